"""The bank's card number: exact bytes by transcript, written by hand after EMV book 3; then software cards."""

from __future__ import annotations

import pytest

from cardio.apdu.channel import Channel
from cardio.apdu.transcript import Transcript
from cardio.card.bank_number import read_bank_number
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import NoBankNumberError
from cardio.filesystem.capabilities import CapabilityCache
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader

SELECT = "00A4040008A000000333010101"
FCI = "6F188408A000000333010101A50C500A50424F43204445424954"
FCI_WITH_PDOL = "6F238408A000000333010101A517500A50424F432044454249549F38089F660495059F3704"
SELECTED = [(SELECT, "611A"), ("00C000001A", FCI + "9000")]
NUMBER = "6200000000000000005"
PLAIN = "700C5A0A6200000000000000005F"
TRACK = "701257106200000000000000005D30122010000F"
NOTHING = [("00B2011400", "6A83"), ("00B2011C00", "6A83"), ("00B2018400", "6A83")]


def number_of(*exchanges: tuple[str, str]) -> str:
    card = Transcript(list(exchanges))
    found = Channel(card).run(read_bank_number())
    assert card.finished
    return found


@pytest.mark.parametrize(
    "exchanges",
    [
        [("00B2011400", PLAIN + "9000")],
        [("00B2011400", "6C14"), ("00B2011414", TRACK + "9000")],
        [("00B2011400", "6A83"), ("00B2011C00", PLAIN + "9000")],
        [("00B2011400", "6985"), ("00B2011C00", "6A83"), ("00B2018400", "6C21"), ("00B2018421", PLAIN + "9000")],
        [("00B2011400", "70035A01FF9000"), ("00B2011C00", PLAIN + "9000")],
    ],
    ids=["plain", "track", "third-file", "sixteenth-file", "no-digits"],
)
def test_where_it_stands(exchanges: list[tuple[str, str]]) -> None:
    assert number_of(*SELECTED, *exchanges) == NUMBER


def test_behind_processing_options() -> None:
    """Zeros for what the card asks of the terminal: 4 + 5 + 4 bytes."""
    assert NUMBER == number_of(
        (SELECT, "6125"), ("00C0000025", FCI_WITH_PDOL + "9000"), *NOTHING,
        ("80A800000F830D" + "00" * 13, "610C"), ("00C000000C", "770A82027C009404080102009000"),
        ("00B2010C00", "70005F20009000"), ("00B2020C00", PLAIN + "9000"),
    )  # fmt: skip


def test_without_a_list_and_in_the_short_form() -> None:
    assert NUMBER == number_of(
        *SELECTED, *NOTHING,
        ("80A80000028300", "6108"), ("00C0000008", "80067C00" + "18010100" + "9000"),
        ("00B2011C00", PLAIN + "9000"),
    )  # fmt: skip


def test_no_bank_application() -> None:
    with pytest.raises(NoBankNumberError) as caught:
        number_of((SELECT, "6A82"))
    assert (caught.value.status_word, caught.value.driver_code) == (0x6A82, -27266)


@pytest.mark.parametrize("answer", ["6985", "6D00", "77009000", "800100" + "9000", "94021801" + "9000"])
def test_a_bank_application_that_does_not_say(answer: str) -> None:
    with pytest.raises(NoBankNumberError):
        number_of(*SELECTED, *NOTHING, ("80A80000028300", answer))


def test_a_card_that_sends_us_about() -> None:
    """A locator of 25 files with 254 records each: it is followed 32 records far."""
    locator = "".join(f"{sfi << 3:02X}01FE00" for sfi in range(1, 26))
    followed = [(f"00B2{number:02X}0C00", "6A83") for number in range(1, 33)]
    with pytest.raises(NoBankNumberError):
        number_of(*SELECTED, *NOTHING, ("80A80000028300", f"9464{locator}9000"), *followed)


@pytest.mark.parametrize(
    ("persona", "number"),
    [
        ("adult", "6200000000000000005"),
        ("third-closed", "6200000000000003"),
        ("third-generation", "6200000000000000013"),
        ("whole-third", "6200000000000000005"),
    ],
)
def test_software_cards(persona: str, number: str) -> None:
    reader = SoftwareReader("r", find_persona(persona).card())
    with SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None)) as card:
        before = card.read().card
        assert card.bank_number() == number
        assert card.bank_number() == number, "and again"
        assert card.read().card == before, "the social security environment is found again"


def test_a_software_card_without_a_bank() -> None:
    reader = SoftwareReader("r", find_persona("first-generation").card())
    with (
        SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None)) as card,
        pytest.raises(NoBankNumberError),
    ):
        card.bank_number()
