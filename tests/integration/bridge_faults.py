"""What the tests of faults at a counter share: cards, other programs at the same reader, PC/SC spoiled at its edge."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Self

import pytest
from smartcard import scard as raw

from cardio.models.readers import ReaderStatus
from cardio.readers import named_calls
from simulators.card.base import AnyCard
from simulators.personas.persona import find_persona
from tests.integration.bridges import (
    NAME,
    Asker,
)
from tests.pcsc import Slot

ADULT, CHILD = find_persona("adult"), find_persona("child")
LIMIT = 10.0
"""Seconds within which every call is answered."""
GONE = ("80100069", "8010000C")
NO_SERVICE = ("8010001D", "8010001E", "80100003", "80100013")


def put_in(bridge: Asker, slot: Slot, card: AnyCard, seen: ReaderStatus = ReaderStatus.CARD) -> None:
    slot.insert(card, seen)
    bridge.wait_for(slot.reader.name, seen)


def take_out(bridge: Asker, slot: Slot) -> None:
    slot.remove()
    bridge.wait_for(slot.reader.name, ReaderStatus.EMPTY)


def reads_the_next_card(bridge: Asker, slot: Slot) -> None:
    """What is in is taken out, and a good card is read at once."""
    take_out(bridge, slot)
    put_in(bridge, slot, ADULT.card())
    assert bridge.card(slot.reader.name).json()["holder"]["name"] == NAME


class Timed:
    """A call is answered within the limit."""

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert kind is not None or time.monotonic() - self._started < LIMIT


class OtherProgram:
    """Another program at the same reader, in a process of its own, which does as it is told."""

    _SCRIPT = """
import sys
from smartcard import scard
_, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
share = scard.SCARD_SHARE_EXCLUSIVE if "exclusive" in sys.argv else scard.SCARD_SHARE_SHARED
result, card, _ = scard.SCardConnect(context, sys.argv[1], share, scard.SCARD_PROTOCOL_ANY)
if "transaction" in sys.argv:
    result = result or scard.SCardBeginTransaction(card)
print(result, flush=True)
how = sys.stdin.readline().strip()
scard.SCardDisconnect(card, scard.SCARD_RESET_CARD if how == "reset" else scard.SCARD_LEAVE_CARD)
scard.SCardReleaseContext(context)
"""

    def __init__(self, reader: str, *how: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._SCRIPT, reader, *how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        result = self._process.stdout.readline()
        if result != "0\n":
            self.die()
            raise AssertionError(f"the other program did not get the card: {result}")

    def leave(self, how: str = "") -> None:
        """Lets the card go, as it is or by a reset, and ends."""
        self._process.communicate(how + "\n", timeout=10)

    def die(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self.die()


def call_of(name: str) -> tuple[Any, str]:
    """Where a function of PC/SC is called: the module, and what the function is called there."""
    named = {
        "SCardConnect": "connect",
        "SCardGetStatusChange": "status_change",
        "SCardListReaders": "list_readers",
        "SCardStatus": "card_status",
    }
    return (named_calls, named[name]) if name in named else (raw, name)


class Spoiled:
    """A function of PC/SC that gives something else, for as many calls as it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, instead: Any) -> None:
        self.calls = 0
        self.left = 0
        self.after = 0
        """Calls that go well before."""
        module, attribute = call_of(name)
        good: Callable[..., Any] = getattr(module, attribute)

        def spoiled(*arguments: Any) -> Any:
            self.calls += 1
            if self.after or not self.left:
                self.after = max(0, self.after - 1)
                return good(*arguments)
            self.left -= 1
            return instead

        monkeypatch.setattr(module, attribute, spoiled)


def signed(hresult: int) -> int:
    """As pyscard gives it."""
    return hresult - (1 << 32)
