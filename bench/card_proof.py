"""The cost of a card's proof of itself: commands and characters of one piece of work, with it and without.

Target: two commands while a card is held, for any work in that time. The SAM's own time is in `closed-card`; here the
keys are in a file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from cardio.apdu.channel import Counts
from cardio.card.social_security_card import SocialSecurityCard
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.security.credentials import Credentials
from cardio.security.pin.pin import Pin
from cardio.security.sam.key_file import KeyFile, SoftSam
from simulators.crypto.published_keys import key_file
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader


def _everything(card: SocialSecurityCard) -> None:
    card.read(supplement=False)
    card.file("DF01/EF06")
    card.verify_pin()


_WORK: tuple[tuple[str, str, Callable[[SocialSecurityCard], object]], ...] = (
    ("basic reading, 2.0", "adult", lambda card: card.read(supplement=False)),
    ("basic reading, 3.0", "third-generation", lambda card: card.read(supplement=False)),
    ("one file, 2.0", "adult", lambda card: card.file("SSSE/EF06")),
    ("VERIFY, 2.0", "adult", lambda card: card.verify_pin()),
    ("all of it, held once", "personalised", _everything),
)


class _Keys:
    def __init__(self) -> None:
        self._sam = SoftSam(KeyFile.model_validate(tomllib.loads(key_file(layout_of(3).keys))))

    def open(self) -> SoftSam:
        return self._sam


def _counts(persona: str, work: Callable[[SocialSecurityCard], object], keys: _Keys | None) -> Counts:
    reader = SoftwareReader("R", find_persona(persona).card())
    with TemporaryDirectory() as folder:
        store = CapabilityCache(Path(folder) / "manners.json")
        with SocialSecurityCard(reader.connect(), reader, capabilities=store, credentials=Credentials()) as card:
            card.read()  # the family is known from here on
        credentials = Credentials(sam=keys, pin=Pin("123456"))
        with SocialSecurityCard(reader.connect(), reader, capabilities=store, credentials=credentials) as card:
            work(card)
            if card.proof.is_genuine is (keys is None):
                raise AssertionError(f"{persona}: {card.proof.outcome}")
            return card.counts


def main() -> None:
    keys = _Keys()
    print(f"{'':22}{'commands':>10}{'proved':>8}{'chars':>8}{'proved':>8}{'ratio':>8}")
    for name, persona, work in _WORK:
        without, proved = _counts(persona, work, None), _counts(persona, work, keys)
        print(
            f"{name:22}{without.commands:10}{proved.commands:8}{without.characters:8}{proved.characters:8}"
            f"{proved.characters / without.characters:8.2f}"
        )
