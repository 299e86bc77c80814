"""What tests of the software card's security share: a card with known challenges, and talk with it."""

from __future__ import annotations

from typing import Any

from cardio.filesystem.layouts.loader import layout_of
from simulators.card.software_card import SoftwareCard
from simulators.crypto import card_crypto as cryptography
from simulators.crypto.published_keys import root_key
from simulators.personas.persona import find_persona

SELECT = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"
CHALLENGE = "1122334455667788"
SHORT_CHALLENGE = "A1B2C3D4"
GIVEN = {4: SHORT_CHALLENGE, 8: CHALLENGE, 16: CHALLENGE * 2}
SOURCE = "0102030405060708"
GET_CHALLENGE = ("0084000008", CHALLENGE + "9000")
GET_SHORT_CHALLENGE = ("0084000004", SHORT_CHALLENGE + "9000")


def known_random(length: int) -> bytes:
    """Challenges that are always the same."""
    return bytes.fromhex(GIVEN[length])


def card_of(persona: str, algorithm: str | None = None, **quirks: Any) -> SoftwareCard:
    """A persona's card with known challenges and other quirks."""
    found = find_persona(persona)
    changed: dict[str, object] = {"quirks": found.quirks.model_copy(update=quirks)}
    if algorithm is not None:
        changed["algorithm"] = algorithm
    return found.model_copy(update=changed).card(random=known_random)


def talk(card: SoftwareCard, *exchanges: tuple[str, str]) -> None:
    for command, expected in exchanges:
        assert card.transmit(bytes.fromhex(command)).hex().upper() == expected.replace(" ", ""), command


def cryptogram(name: str, persona: str, version: int = 1, algorithm: str = "3DES") -> str:
    """What EXTERNAL AUTHENTICATION sends after the known challenge: for tests of states, not of bytes."""
    found = find_persona(persona)
    key = layout_of(found.generation).key(name)
    assert key is not None
    region = str(found.files["SSSE/EF05"]["identification_code"])[:6]
    root = root_key(name, algorithm, key.length, version)
    value = cryptography.card_key(algorithm, root, found.historical_bytes, region)
    process_key = cryptography.process_key(algorithm, value, bytes.fromhex(CHALLENGE))
    return cryptography.cryptogram(algorithm, process_key, bytes.fromhex(SOURCE)).hex().upper() + SOURCE
