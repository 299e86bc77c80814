"""The simulated readers of ``cardio serve --simulate``: the only module of the bridge that uses the simulators."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Sequence

from cardio.errors import NoCardError, ReaderNotFoundError
from cardio.security.sam.base import Sam
from cardio.security.sam.key_file import KeyFile, SoftSam
from service.readers.schemas import PersonaChoice, SimulatorChoices
from simulators.card.base import AnyCard
from simulators.card.faults import FAULTS, with_fault
from simulators.card.software_card import SoftwareCard
from simulators.crypto.published_keys import published_key_file
from simulators.personas.persona import find_persona, personas
from simulators.readers.software_reader import SoftwareReader, SoftwareReaders

DEFAULT_PERSONAS = ("adult", "rare-name", "third-closed")
DEMO_PERSONAS = ("adult", "rare-name", "whole", "third-closed", "third-forged")
"""A good card, a rare name, a card for payment, a card that keys open, and a copy of that one."""


class SimulatedReaders(SoftwareReaders):
    """The simulated readers, one for each named persona, with its card in it."""

    def __init__(self, names: Sequence[str]) -> None:
        """Make a reader and a card for each persona.

        Args:
            names: the names of the personas; empty for the default ones.

        Raises:
            CardioError: there is no persona of one of the names.
        """
        self._lock = threading.RLock()
        """The lock for inserting and removing cards, from any thread; making a card takes a while."""
        self._of_persona: dict[str, SoftwareCard] = {}
        """The last card of each persona that was inserted."""
        cards: dict[str, AnyCard] = {
            f"Simulated Reader {index:02}": self._made(name) for index, name in enumerate(names or DEFAULT_PERSONAS)
        }
        super().__init__(SoftwareReader(name, card) for name, card in cards.items())
        self._last = cards
        """The card that each reader had last, without its faults."""
        self._upright: dict[str, AnyCard] = {}
        """The cards that are in upside down, as they were before."""

    def insert(self, reader: str, persona: str, fault: str | None) -> None:
        """Insert a new card into a reader, with a fault if one is named.

        Its transaction numbers continue from the persona's last card: a card that began again would be a copy.
        """
        with self._lock:
            slot = self._simulated(reader)
            before = self._of_persona.get(persona)
            card = self._made(persona)
            if before is not None:
                card.inherit_purse(before)
            self._upright.pop(reader, None)
            slot.insert(with_fault(card, fault) if fault else card)
            self._last[reader] = card

    def reinsert(self, reader: str) -> None:
        """Insert the card that this reader had last, with its memory and without a fault."""
        with self._lock:
            self._upright.pop(reader, None)
            self._simulated(reader).insert(self._last[reader])

    def remove(self, reader: str) -> None:
        with self._lock:
            self._simulated(reader).remove()
            self._upright.pop(reader, None)

    def turn_over(self, reader: str) -> None:
        """Turn the card over and insert it again; its memory stays.

        Raises:
            NoCardError: there is no card in the reader.
        """
        with self._lock:
            slot = self._simulated(reader)
            card = slot.card
            if card is None:
                raise NoCardError()
            upright = self._upright.pop(reader, None)
            if upright is None:
                self._upright[reader] = card
            slot.insert(with_fault(card, "mute") if upright is None else upright)

    def _made(self, persona: str) -> SoftwareCard:
        card = self._of_persona[persona] = find_persona(persona).card()
        return card

    def _simulated(self, name: str) -> SoftwareReader:
        found = self.reader(name)
        if found is None:
            raise ReaderNotFoundError(f"“{name}”不是模拟读卡器", f"{name!r} is not a simulated reader")
        return found

    @staticmethod
    def choices() -> SimulatorChoices:
        """Return the personas and faults that can be chosen."""
        listed = (PersonaChoice(id=p.id, title=p.title, title_en=p.title_en) for p in personas().values())
        return SimulatorChoices(personas=tuple(listed), faults=FAULTS)


class PublishedTestKeys:
    """A SAM with the published test keys, made in memory: no file exists that could be used with another program."""

    def __init__(self) -> None:
        document = tomllib.loads(published_key_file())
        self._sam = SoftSam(KeyFile.model_validate(document), "published test keys")

    def open(self) -> Sam:
        return self._sam
