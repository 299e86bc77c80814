"""The cost of checking the card's identity before an answer: commands and characters, with the comparison and without.

Target: nothing for a known family, because EF05 is read anyway. Only work that leaves the social security environment
at once (the bank's number) has to read it first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from cardio.apdu.channel import Counts
from cardio.card.social_security_card import SocialSecurityCard
from cardio.filesystem.capabilities import CapabilityCache
from cardio.security.credentials import Credentials
from cardio.security.pin.pin import Pin
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader

_WORK: tuple[tuple[str, Callable[[SocialSecurityCard], object]], ...] = (
    ("basic reading", lambda card: card.read(supplement=False)),
    ("one file", lambda card: card.file("SSSE/EF06")),
    ("VERIFY", lambda card: card.verify_pin()),
    ("bank number", lambda card: card.bank_number()),
)


def _counts(work: Callable[[SocialSecurityCard], object], *, compared: bool) -> Counts:
    reader = SoftwareReader("R", find_persona("adult").card())
    with TemporaryDirectory() as folder:
        return _counts_on(reader, CapabilityCache(Path(folder) / "manners.json"), work, compared=compared)


def _counts_on(
    reader: SoftwareReader, store: CapabilityCache, work: Callable[[SocialSecurityCard], object], *, compared: bool
) -> Counts:
    for last in (False, True):
        marks: list[bytes | None] = []
        card = SocialSecurityCard(
            reader.connect(),
            reader,
            capabilities=store,
            credentials=Credentials(pin=Pin("123456")) if work is _WORK[2][1] else None,
            confirm=marks.append if compared else None,
        )
        if not last:
            card.read()  # the family is known from here on
        else:
            work(card)
        card.close()
        if last and compared and not any(marks):
            raise AssertionError("the card was not compared")
    return card.counts


def main() -> None:
    print(f"{'':16}{'commands':>10}{'compared':>10}{'chars':>8}{'compared':>10}{'ratio':>8}")
    for name, work in _WORK:
        without, compared = _counts(work, compared=False), _counts(work, compared=True)
        print(
            f"{name:16}{without.commands:10}{compared.commands:10}{without.characters:8}{compared.characters:10}"
            f"{compared.characters / without.characters:8.2f}"
        )
