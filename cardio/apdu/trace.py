"""The trace of the wire: every exchange is handed to it.

A line of a trace shows headers, lengths and status words. The data bytes are personal, so only a trace that was made
for it prints them (simulated cards).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cardio.apdu.status_word import describe

_CARRY_PINS = frozenset({0x20, 0x5E})
"""VERIFY and CHANGE PIN."""


def without_pin(command: bytes) -> bytes:
    """Return a command in a form that may be kept: a PIN in it is overwritten with zeros."""
    return command[:5] + bytes(len(command) - 5) if len(command) > 5 and command[1] in _CARRY_PINS else command


@dataclass(frozen=True, slots=True, repr=False)
class Exchange:
    """One command and its answer as they crossed the reader, without PINs, and their duration."""

    command: bytes
    response: bytes
    seconds: float

    def line(self, *, with_data: bool = False) -> str:
        """Return the exchange as one line of text; without ``with_data`` it has no data byte."""
        command = self.command if with_data else self.command[:5]
        hidden = f"(+{len(self.command) - 5})" if not with_data and len(self.command) > 5 else ""
        status = self.response[-2:].hex().upper() or "-"
        meaning = describe(int.from_bytes(self.response[-2:], "big")).zh if len(self.response) > 1 else "?"
        data = self.response[:-2]
        shown = data.hex().upper() if with_data else f"{len(data)}B"
        return f"{command.hex().upper()}{hidden} -> {shown} {status} {meaning} {self.seconds * 1000:.1f}ms"

    def __repr__(self) -> str:
        return f"Exchange({self.line()})"


Trace = Callable[[Exchange], None]
"""A function that receives each exchange at once, on the thread that talks to the card."""


@dataclass(slots=True)
class TraceLog:
    """A trace that keeps every exchange."""

    exchanges: list[Exchange] = field(default_factory=list)

    def __call__(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
