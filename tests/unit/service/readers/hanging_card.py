"""A card that does not answer one kind of command until it is let, and notes what it was sent."""

from __future__ import annotations

import threading
from collections.abc import Callable

from simulators.card.base import AnyCard
from simulators.readers.software_reader import SoftwareReader
from tests.pcsc import wait_until
from tests.unit.service.bridge import FIRST, Bridge

NEVER = 30.0
Kind = Callable[[bytes], bool]


def by_instruction(*instructions: int) -> Kind:
    """Commands with these instruction bytes and data: a VERIFY without any only asks for the count."""
    return lambda command: command[1] in instructions and len(command) > 5


class HangingCard:
    """``done``: it carries the command out before it falls silent."""

    def __init__(self, card: AnyCard, kind: Kind, *, done: bool = False) -> None:
        self.card = card
        self.atr = card.atr
        self.sent: list[bytes] = []
        self.asked, self.let = threading.Event(), threading.Event()
        self._kind = kind
        self._done = done

    def reset(self) -> None:
        self.card.reset()

    def transmit(self, command: bytes) -> bytes:
        self.sent.append(command)
        if not self._kind(command) or self.let.is_set():
            return self.card.transmit(command)
        answer = self.card.transmit(command) if self._done else None
        self.asked.set()
        self.let.wait(NEVER)
        return self.card.transmit(command) if answer is None else answer

    def of_kind(self, kind: Kind) -> int:
        return sum(map(kind, self.sent))


def put_in(bridge: Bridge, card: AnyCard, name: str = FIRST) -> SoftwareReader:
    """Puts a card in, and waits until the bridge has seen it."""
    reader = bridge.readers.reader(name)
    assert reader is not None

    def session() -> str | None:
        listed = bridge.client.get("/v1/readers").json()["readers"]
        found: str | None = next(one["card_session"] for one in listed if one["name"] == name)
        return found

    before = session()
    reader.insert(card)
    wait_until(lambda: session() not in (None, before), "the card is in")
    return reader
