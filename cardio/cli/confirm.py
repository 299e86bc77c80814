"""The question to a person before an action that cannot be undone."""

from __future__ import annotations

import sys

from cardio.errors import UsageError

_YES = ("y", "yes", "是")


def consents(question: str) -> bool:
    """Ask on the terminal; return True if the person consents.

    Raises:
        UsageError: there is no terminal, so no person can consent.
    """
    if not sys.stdin.isatty():
        raise UsageError("没有终端可供确认，请加 --yes", "there is no terminal to confirm on: add --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in _YES
