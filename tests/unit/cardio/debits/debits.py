"""What tests of debits share: a till with a card, test keys and a journal; and cards that lose answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cardio.apdu.trace import Exchange
from cardio.card.social_security_card import SocialSecurityCard
from cardio.debits.execution import debit
from cardio.debits.limits import DebitLimits
from cardio.debits.purse import Amounts
from cardio.debits.recovery import recover
from cardio.debits.transaction import DebitOrder, DebitResult
from cardio.errors import CardRemovedError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.security.credentials import Credentials
from cardio.security.pin.pin import Pin
from cardio.security.sam.base import Sam
from cardio.security.sam.key_file import SoftSam
from service.debits.journal import Journal
from service.debits.journal_file.entry import JournalEntry
from simulators.card.base import AnyCard
from simulators.card.software_card import SoftwareCard
from simulators.crypto.published_keys import key_file
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.unit.card_helpers import known_random

TIME = "20151118185001"
ORDER = DebitOrder(Amounts(0, 10, 20), TIME)
DEBIT = bytes.fromhex("B02C")
NOW = datetime(2015, 11, 18, 18, 51)
"""What the clock says while ORDER is taken."""
LIMITS = DebitLimits(years_back=20, clock=lambda: NOW)
"""The cards' totals are of 2026."""
UNTOUCHED, DONE = (12, 3150, 20600), (13, 3160, 20620)
"""The number and totals of the card with everything, before and after ORDER."""
ANY_YEAR = {"CARDIO_BRIDGE_DEBIT_YEARS": "50"}
"""For bridges with the clock of today: the totals of these cards stay those of 2026."""
Fault = Callable[[AnyCard, bytes], bytes]


def moment(ago: int = 0) -> str:
    """The time of an order of now, or of some seconds ago: for bridges with the clock of today."""
    return f"{datetime.now() - timedelta(seconds=ago):%Y%m%d%H%M%S}"


class Ready:
    """A SAM that every card may share."""

    def __init__(self, sam: Sam) -> None:
        self._sam = sam

    def open(self) -> Sam:
        return self._sam


def soft_sam(folder: Path) -> SoftSam:
    keys = folder / "keys.toml"
    if not keys.exists():
        keys.touch(0o600)
        keys.write_text(key_file(layout_of(3).keys))
    return SoftSam.load(keys)


class Till:
    """A card in a software reader before a terminal that debits it."""

    def __init__(self, folder: Path, persona: str = "whole", *, sam: Sam | None = None, **quirks: Any) -> None:
        found = find_persona(persona)
        changed = found.quirks.model_copy(update=quirks)
        self.card: SoftwareCard = found.model_copy(update={"quirks": changed}).card(random=known_random)
        self.fault: Fault | None = None
        self.reader = SoftwareReader("r", self)
        self.journal = Journal(folder / "debits.sqlite")
        self.limits = LIMITS
        self.sam = sam or soft_sam(folder)
        self.trace: list[Exchange] = []
        self.debits = 0
        """How often the card was told to debit."""

    # The card as the reader sees it: the good one, behind a fault.

    @property
    def atr(self) -> bytes:
        return self.card.atr

    def reset(self) -> None:
        self.card.reset()

    def transmit(self, command: bytes) -> bytes:
        self.debits += command[:2] == DEBIT
        return self.card.transmit(command) if self.fault is None else self.fault(self.card, command)

    # The terminal.

    def open(self, *, pin: str | None = "123456", credentials: Credentials | None = None) -> SocialSecurityCard:
        given = credentials or Credentials(sam=Ready(self.sam), pin=None if pin is None else Pin(pin))
        return SocialSecurityCard(
            self.reader.connect(),
            self.reader,
            capabilities=CapabilityCache(None),
            credentials=given,
            trace=self.trace.append,
        )

    def claim(self, key: str = "k", asked: str = "x") -> JournalEntry:
        entry = self.journal.claim("local", key, asked)
        entry.release()
        return entry

    def debit(self, key: str = "k", order: DebitOrder = ORDER, *, pin: str | None = "123456") -> DebitResult:
        entry = self.claim(key)
        with self.open(pin=pin) as card:
            return debit(card, order, entry, replace(self.limits, clock=lambda: order.moment))

    def recover(self, key: str = "k", *, pin: str | None = "123456") -> DebitResult:
        entry = self.claim(key)
        with self.open(pin=pin) as card:
            return recover(card, entry)

    @property
    def totals(self) -> tuple[int, int, int]:
        """The card's number, and what it has taken this year: self-paid, pooled fund."""
        purse = self.card.purse
        assert purse is not None
        return purse.offline_counter, purse.self_paid_total, purse.pooled_fund_total

    def loses_answer(self, done: bool) -> Fault:
        """The card is pulled around DEBIT: after it has done it, or before it has heard of it."""

        pulled = False

        def fault(card: AnyCard, command: bytes) -> bytes:
            nonlocal pulled
            if not pulled and command[:2] != DEBIT:
                return card.transmit(command)
            if done and not pulled:
                card.transmit(command)
            pulled = True
            raise CardRemovedError()

        return fault


def answers(status_word: str, *, done: bool) -> Fault:
    """The card says something to DEBIT, having done it or not."""

    def fault(card: AnyCard, command: bytes) -> bytes:
        if command[:2] != DEBIT:
            return card.transmit(command)
        if done:
            card.transmit(command)
        return bytes.fromhex(status_word)

    return fault


def refuse(head: str, answer: str) -> Fault:
    """The card answers so to every command that begins so."""

    def fault(card: AnyCard, command: bytes) -> bytes:
        return bytes.fromhex(answer) if command.startswith(bytes.fromhex(head)) else card.transmit(command)

    return fault
