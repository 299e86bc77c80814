"""What a dialect is: requests out of messages, messages out of answers. No sockets here, and no cards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cardio.errors import CardioError, UsageError

_LINE_SEPARATORS = {"\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True, slots=True, repr=False)
class DialectRequest:
    """One call, as a dialect has it."""

    function: str
    arguments: Mapping[str, Any]


class Dialect(Protocol):
    """One way to speak, over one socket: it may remember what was asked before."""

    def parse(self, message: str) -> DialectRequest:
        """Raises: UsageError: it is no request."""

    def done(self, request: DialectRequest, output: str) -> str:
        """The message for a function that returned 0."""

    def failed(self, request: DialectRequest | None, error: CardioError) -> str:
        """The message for one that did not."""


def as_object(message: str) -> dict[str, Any]:
    """A JSON object out of a message. Raises: UsageError: it is none."""
    try:
        document = json.loads(message)
    except (ValueError, RecursionError):
        raise UsageError("不是 JSON", "that is no JSON") from None
    if not isinstance(document, dict):
        raise UsageError("应为 JSON 对象", "a JSON object is wanted")
    return document


def as_message(document: Mapping[str, Any]) -> str:
    """A message without blanks; some callers evaluate it as a script, where two line separators would break it."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in _LINE_SEPARATORS.items():
        text = text.replace(character, escaped)
    return text.encode("utf-8", "replace").decode()  # half a character has no place in a text message
