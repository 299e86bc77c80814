"""What a dialect is: requests out of messages, messages out of answers. No sockets here, and no cards."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cardio.driver.return_codes import explain
from cardio.errors import CardioError, UsageError
from cardio.models.reading import NO_SAM, Proof

if TYPE_CHECKING:
    from service.driver.dialect_calls import DialectCalls

_LINE_SEPARATORS = {"\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True, slots=True, repr=False)
class DialectRequest:
    """One call, as a dialect has it."""

    function: str
    arguments: Mapping[str, Any]


class Dialect(ABC):
    """One way to speak. A dialect is one file in this folder, ``NAME_dialect.py``: the registry finds it there.

    One object serves all sockets of one caller, so it may remember what the caller asked before.
    """

    name: ClassVar[str]
    """Its key in the settings, beside ``NAME_port``."""
    port: ClassVar[int]
    """The port that callers in the field have built in."""
    patience: ClassVar[float | None] = None
    """Seconds after which its callers give up. What comes later they take for the answer to their next call."""
    greeting: ClassVar[str | None] = None
    """What is sent as soon as a socket is open."""

    @abstractmethod
    def parse(self, message: str) -> DialectRequest:
        """Raises: UsageError: it is no request."""

    @abstractmethod
    def done(self, request: DialectRequest, output: str, proof: Proof | None = None) -> str:
        """The message for a function that returned 0; beside its output, how far the card was proved genuine."""

    @abstractmethod
    def failed(self, request: DialectRequest | None, error: CardioError) -> str:
        """The message for one that did not."""

    async def own_function(self, request: DialectRequest, calls: DialectCalls) -> str | None:
        """The message for a function that the national interface does not have; None where this is none.

        Raises:
            CardioError: what hindered.
        """
        return None


def beside(output: str, proof: Proof | None) -> dict[str, str]:
    """Return what a message says beside data of a card: how far it was proved genuine. A desk without a SAM proves
    none, and its messages are what callers in the field have always had.
    """
    return {} if proof in (None, NO_SAM) or not output else {"proof": proof.outcome, "proofInfo": proof.summary}


def description(code: int, error: CardioError) -> str:
    """Return what the clerk is shown: the code's own words, what exactly happened, what to do."""
    title = explain(code).title
    detail = "" if error.detail in (title, "") else f"（{error.detail}）"
    return f"{title}{detail}：{error.remedy}".replace("|", " ")


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
