"""The definition of a dialect: it parses messages into requests and writes answers as messages.

It uses no sockets and no cards.
"""

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
    """One call in the form of a dialect."""

    function: str
    arguments: Mapping[str, Any]


class Dialect(ABC):
    """One dialect. It is one file in this folder, ``NAME_dialect.py``, where the registry finds it.

    One object serves all sockets of one caller, so it may remember the caller's earlier calls.
    """

    name: ClassVar[str]
    """The key in the settings, beside ``NAME_port``."""
    port: ClassVar[int]
    """The port that existing callers have built in."""
    patience: ClassVar[float | None] = None
    """The seconds after which its callers give up. They take a later reply for the answer to their next call."""
    greeting: ClassVar[str | None] = None
    """The message that is sent as soon as a socket is open."""

    @abstractmethod
    def parse(self, message: str) -> DialectRequest:
        """Return the request of a message.

        Raises:
            UsageError: the message is no request.
        """

    @abstractmethod
    def done(self, request: DialectRequest, output: str, proof: Proof | None = None) -> str:
        """Return the message for a function that returned 0.

        Args:
            request: the request.
            output: the output of the function.
            proof: the proof that the card is genuine.
        """

    @abstractmethod
    def failed(self, request: DialectRequest | None, error: CardioError) -> str:
        """Return the message for a function that failed."""

    async def own_function(self, request: DialectRequest, calls: DialectCalls) -> str | None:
        """Return the message for a function that the national interface does not have.

        Returns:
            None if the dialect has no such function of its own.

        Raises:
            CardioError: the obstacle.
        """
        return None


def proof_members(output: str, proof: Proof | None) -> dict[str, str]:
    """Return the members that a message has beside data of a card: the result of its proof.

    A reader without a SAM proves nothing, and its messages stay as existing callers know them.
    """
    return {} if proof in (None, NO_SAM) or not output else {"proof": proof.outcome, "proofInfo": proof.summary}


def description(code: int, error: CardioError) -> str:
    """Return the text for the clerk: the words of the code, the details, and the remedy."""
    title = explain(code).title
    detail = "" if error.detail in (title, "") else f"（{error.detail}）"
    return f"{title}{detail}：{error.remedy}".replace("|", " ")


def as_object(message: str) -> dict[str, Any]:
    """Return the JSON object of a message.

    Raises:
        UsageError: the message is no JSON object.
    """
    try:
        document = json.loads(message)
    except (ValueError, RecursionError):
        raise UsageError("不是 JSON", "that is no JSON") from None
    if not isinstance(document, dict):
        raise UsageError("应为 JSON 对象", "a JSON object is wanted")
    return document


def as_message(document: Mapping[str, Any]) -> str:
    """Return a message without blanks. Some callers evaluate it as a script, so two line separators are escaped."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in _LINE_SEPARATORS.items():
        text = text.replace(character, escaped)
    return text.encode("utf-8", "replace").decode()  # a lone surrogate is not allowed in a text
