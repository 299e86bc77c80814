"""Cards with faults that a counter meets besides good cards, each with a name."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import cycle

from cardio.errors import UsageError
from simulators.card.base import AnyCard


class FaultyCard:
    """A card whose answers a fault may change; the good card gives all other answers."""

    def __init__(self, card: AnyCard, fault: Callable[[AnyCard, bytes], bytes], atr: bytes | None = None) -> None:
        self._card = card
        self._fault = fault
        self.atr = card.atr if atr is None else atr

    def reset(self) -> None:
        self._card.reset()

    def transmit(self, command: bytes) -> bytes:
        return self._fault(self._card, command)


def _bank_card(card: AnyCard, command: bytes) -> bytes:
    """Answer as a card without a social security environment."""
    return b"\x6a\x82" if command[1] == 0xA4 else b"\x69\x86"


def _garbage() -> Callable[[AnyCard, bytes], bytes]:
    source = random.Random(20261122)  # noqa: S311 - noise for tests, no secret

    def fault(card: AnyCard, command: bytes) -> bytes:
        return source.randbytes(source.randint(2, 64)) + b"\x90\x00"

    return fault


def _endless_61(card: AnyCard, command: bytes) -> bytes:
    return b"\x00" * 16 + b"\x61\x10" if command[1] == 0xC0 else b"\x61\x10"


def _endless_6c() -> Callable[[AnyCard, bytes], bytes]:
    lengths = cycle((0x11, 0x22, 0x33))

    def fault(card: AnyCard, command: bytes) -> bytes:
        return card.transmit(command) if command[1] == 0xA4 else bytes((0x6C, next(lengths)))

    return fault


def _one_byte(card: AnyCard, command: bytes) -> bytes:
    return b"\x90"


def _lying_lengths(card: AnyCard, command: bytes) -> bytes:
    """Answer with records that claim to be longer than they are."""
    answer = card.transmit(command)
    if command[1] == 0xB2 and len(answer) > 4:
        return answer[:1] + b"\x7f" + answer[2:]
    return answer


def _blocked(card: AnyCard, command: bytes) -> bytes:
    return b"\x6a\x81"


def _slow(card: AnyCard, command: bytes) -> bytes:
    time.sleep(3.0)
    return card.transmit(command)


def _lost_debit() -> Callable[[AnyCard, bytes], bytes]:
    """Return a fault that debits and is mute from then on: money was taken, and no answer comes."""
    debited = False

    def fault(card: AnyCard, command: bytes) -> bytes:
        nonlocal debited
        if debited:
            return b""
        answer = card.transmit(command)
        debited = command[:2] == b"\xb0\x2c"
        return b"" if debited else answer

    return fault


_MAKERS: dict[str, Callable[[AnyCard], FaultyCard]] = {
    "mute": lambda card: FaultyCard(card, lambda good, command: b"", atr=b""),
    "bank-card": lambda card: FaultyCard(card, _bank_card),
    "blocked": lambda card: FaultyCard(card, _blocked),
    "garbage": lambda card: FaultyCard(card, _garbage()),
    "endless-61": lambda card: FaultyCard(card, _endless_61),
    "endless-6c": lambda card: FaultyCard(card, _endless_6c()),
    "one-byte": lambda card: FaultyCard(card, _one_byte),
    "lying-lengths": lambda card: FaultyCard(card, _lying_lengths),
    "slow": lambda card: FaultyCard(card, _slow),
    "lost-debit": lambda card: FaultyCard(card, _lost_debit()),
}
FAULTS = tuple(_MAKERS)


def with_fault(card: AnyCard, fault: str) -> FaultyCard:
    """Return the card with a fault.

    Raises:
        UsageError: there is no fault of this name.
    """
    if fault not in _MAKERS:
        raise UsageError(
            f"没有故障 {fault}；现有：{'、'.join(FAULTS)}", f"no fault {fault}; there are: {', '.join(FAULTS)}"
        )
    return _MAKERS[fault](card)


class PulledCard(FaultyCard):
    """A card that is pulled after a number of commands: ``pull`` is called before the next answer."""

    def __init__(self, card: AnyCard, commands: int, pull: Callable[[], None]) -> None:
        super().__init__(card, self._count)
        self._left = commands
        self._pull = pull

    def _count(self, card: AnyCard, command: bytes) -> bytes:
        if self._left == 0:
            self._pull()
        self._left -= 1
        return card.transmit(command)
