"""The colours of the command: few, and only where a person looks at a terminal that shows them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import TextIO


class Colour(StrEnum):
    """The meaning of a text, with the terminal's number for its looks (ECMA-48, SGR)."""

    ERROR = "1;31"
    WARNING = "33"
    LABEL = "2"
    GOOD = "32"
    BAD = "31"


_WINDOWS_TERMINALS = ("WT_SESSION", "ANSICON", "ConEmuANSI")
"""The variables of terminals for Windows that understand the sequences; its old console prints them as they are."""
_MARKS = {"✓": Colour.GOOD, "✗": Colour.BAD}


def is_coloured(stream: TextIO, environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Return True if the stream is a terminal that shows colours, and the user has not turned them off.

    ``FORCE_COLOR`` is not heeded: build servers set it for everything, and a program may read what is printed there.
    """
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    if platform == "win32" and not any(environment.get(name, "OFF") != "OFF" for name in _WINDOWS_TERMINALS):
        return False
    return is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def painted(text: str, colour: Colour | None) -> str:
    """Return the text in a colour; blanks around it stay outside."""
    said = text.strip(" ")
    if colour is None or not said:
        return text
    before, _, after = text.partition(said)
    return f"{before}\x1b[{colour}m{said}\x1b[0m{after}"


def marked(text: str) -> str:
    """Return a cell with its mark in a colour, if it begins with one."""
    mark = text[:1]
    return painted(mark, _MARKS[mark]) + text[1:] if mark in _MARKS else text
