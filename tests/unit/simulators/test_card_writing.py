"""Writing to a software card by APDU: records, bytes, MACs, and what is refused.

MACs are from the command line, as `test_simulator_cryptography` has it, with the card's maintenance keys: of the
adult's card 5C79AD192613615C (root TEST1DTK), in DF01 90F16ED7D6C13A0C (TEST1D01); of the third-generation card
36F526B14AE82C926E9CB030372F10C7 (TEST1SSTK.......). The short challenge is A1B2C3D4, the long one 1122334455667788.
"""

from __future__ import annotations

from typing import Any

import pytest

from simulators.card.software_card import SoftwareCard
from simulators.personas.persona import find_persona
from tests.unit.card_helpers import (
    GET_CHALLENGE,
    GET_SHORT_CHALLENGE,
    SELECT,
    SOURCE,
    card_of,
    cryptogram,
    known_random,
    talk,
)

# As test_card_authentication has it for the adult; root TEST1SUKSSSE...., the card's 7B54458EA743B9F8F414C489FA556F73,
# C37741C11C9C7FE2D127BEF7A107E008, 4D6CBA55B70CB309 XOR 238D11A1E3028A19 for the other.
UKSSSE = {"adult": "10" + "5C98D132A8509788" + SOURCE, "third-sm4": "11" + "6EE1ABF4540E3910" + SOURCE + "01"}
# des of A1B2C3D400000000 is 5CBB4FEFE9FB3358, run des-cbc of 04DC062C0A0604204612318000000000 ends in EC94322B706E2D5B
ADULT_EXPIRY = "04DC062C0A 060420461231 EC94322B"
# sm4 of A1B2C3D4 and zeros is 737A61046B4EB03BE1F83CCD271F9DCA, run sm4-cbc of 04DC062C0A0604204612318000000000
# 05D2F35D XOR 80668B59 XOR 4CF14FAE XOR D411F78A
THIRD_EXPIRY = "04DC062C0A 060420461231 1D54C020"


def authenticated(card: SoftwareCard, persona: str, place: str, key_id: str, name: str) -> SoftwareCard:
    """In an application, with the right of one of its keys."""
    card.transmit(bytes.fromhex("00A4000002" + place))
    talk(card, GET_CHALLENGE, (f"008200{key_id}10" + cryptogram(name, persona), "9000"))
    return card


def environment(persona: str = "adult", **quirks: Any) -> SoftwareCard:
    """In SSSE, with its update key."""
    card = card_of(persona, **quirks)
    card.transmit(bytes.fromhex(SELECT))
    talk(card, GET_CHALLENGE, ("00820004" + UKSSSE[persona], "9000"))
    return card


# -- UPDATE RECORD -------------------------------------------------------------------------------------


def test_a_record_is_replaced_by_number_by_tag_by_sfi_and_in_the_current_file() -> None:
    talk(
        environment(),
        ("00DC062C06 060420461231", "9000"),
        ("00B2062C06", "060420461231 9000"),
        ("00DC062806 060420471231", "9000"),
        ("00B2062C06", "060420471231 9000"),
        ("00A4000002EF06", "9000"),
        ("00DC040403 0A0131", "9000"),
        ("00B20A0003", "0A0131 9000"),
        ("00DC0A0003 0A0139", "9000"),
        ("00B2043403", "0A0139 9000"),
        ("00DC000403 0A0132", "9000"),
        ("00B2040403", "0A0132 9000"),
        # The others stand as they stood.
        ("00B2050403", "0B0101 9000"),
        ("00B2072C0B", "0709413030303030303131 9000"),
    )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("00DC062C06 050420461231", "6A80"),
        ("00DC062C05 0603204612", "6A80"),
        ("00DC062C07 06042046123100", "6A80"),
        ("00DC062C06 060320461231", "6A80"),
        ("00DC082C06 060420461231", "6A83"),
        ("00DC002C06 060420461231", "6A83"),
        ("00DC772806 060420461231", "6A83"),
        ("00DC062F06 060420461231", "6A86"),
        ("00DC062D06 060420461231", "6A86"),
        ("00DC064C06 060420461231", "6A82"),
        ("00DC062C", "6700"),
        ("00DC062C08 060420461231", "6700"),
        ("00DC063C06 060420461231", "6981"),
        ("00DC060406 060420461231", "6986"),
        ("04DC062C02 0604", "6700"),
    ],
)
def test_what_is_no_update_changes_nothing(command: str, expected: str) -> None:
    card = environment()
    before = [list(file.records) for file in card.applications[0].by_id.values()]
    talk(card, (command, expected))
    assert [list(file.records) for file in card.applications[0].by_id.values()] == before


def test_the_record_that_was_written_is_the_current_one() -> None:
    card = environment()
    talk(card, ("00B2022C03", "020133 9000"), ("00B2002C03", "020133 9000"), ("00DC062C06 060420461231", "9000"))
    talk(
        card,
        ("00B2002C06", "060420461231 9000"),
        ("00DC002C06 060420471231", "9000"),
        ("00B2062C06", "060420471231 9000"),
    )


@pytest.mark.parametrize("form", ["00DC01AC03", "00DC00AB03"])
def test_a_cyclic_file_gets_a_new_record_number_1(form: str) -> None:
    # DF04/EF15 holds eight records of three bytes; SFI 15 hex.
    card = authenticated(card_of("personalised"), "personalised", "DF04", "86", "UK2DF04")
    talk(card, (form + "000C32", "9000"), ("00B201AC03", "000C32 9000"), ("00B202AC03", "000B31 9000"))
    for number in range(0x10, 0x18):
        talk(card, (f"{form}00{number:02X}33", "9000"))
    talk(card, ("00B201AC03", "001733 9000"), ("00B208AC03", "001033 9000"), ("00B209AC03", "6A83"))
    talk(card, ("00DC01AC04 00183300", "6700"), ("00DC02AC03 001833", "6A86"), ("00DC01AB03 001833", "6A86"))
    talk(card, ("00DC00A803 001833", "6A86"), ("00B201AC03", "001733 9000"))


def test_a_cyclic_file_in_the_short_forms_of_public_writers() -> None:
    card = authenticated(card_of("personalised"), "personalised", "DF04", "86", "UK2DF04")
    talk(card, ("00A4000002EF15", "9000"), ("00DC010403 000C32", "9000"), ("00DC000303 000D33", "9000"))
    talk(card, ("00B2010403", "000D33 9000"), ("00B2020403", "000C32 9000"), ("00B2030403", "000B31 9000"))


def test_a_cyclic_file_that_was_issued_with_more_records_keeps_as_many() -> None:
    issued = {"records": [f"hex:00{number:02X}31" for number in range(10, 0, -1)]}
    persona = find_persona("personalised")
    files = {**persona.files, "DF04/EF15": issued}
    card = persona.model_copy(update={"files": files}).card(random=known_random)
    authenticated(card, "personalised", "DF04", "86", "UK2DF04")
    talk(card, ("00DC01AC03 000C32", "9000"), ("00B20AAC03", "000231 9000"), ("00B20BAC03", "6A83"))


def test_a_record_of_a_fixed_file() -> None:
    card = authenticated(card_of("personalised"), "personalised", "DF03", "8D", "UK8DF03")
    record = card.applications[3].by_id[0xEF19].records[1]
    assert len(record) == 41
    changed = (record[:-1] + b"\x99").hex().upper()
    talk(card, ("00DC02CC29" + changed, "9000"), ("00B202CC29", changed + "9000"))
    talk(card, ("00DC02CC28" + changed[:-2], "6A80"), ("00B202CC29", changed + "9000"))


def test_the_card_itself_writes_its_transactions() -> None:
    card = authenticated(card_of("personalised"), "personalised", "DF04", "86", "UK2DF04")
    talk(card, ("0020000003123456", "9000"), ("00DC01441C" + "00" * 28, "6982"))


# -- APPEND RECORD ---------------------------------------------------------------------------------------


def without_birthplace() -> SoftwareCard:
    adult = find_persona("adult").model_copy(update={"omit": frozenset({"SSSE/EF06/birthplace"})})
    card = adult.card(random=known_random)
    talk(card, (SELECT, "6118"), GET_CHALLENGE, ("00820004" + UKSSSE["adult"], "9000"))
    return card


def test_a_record_is_appended_where_one_is_missing() -> None:
    card = without_birthplace()
    talk(card, ("00B20C3005", "6A83"), ("00E2003005 0C03370200", "9000"), ("00B2073405", "0C03370200 9000"))
    talk(card, ("00E2003005 0C03370200", "6A84"), ("00B2083405", "6A83"))
    card = without_birthplace()
    talk(card, ("00A4000002EF06", "9000"), ("00E2000005 0C03370200", "9000"), ("00B20C0005", "0C03370200 9000"))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("00E2003005 0C04370200", "6A80"),
        ("00E2003001 0C", "6A80"),
        ("00E20030", "6700"),
        ("00E2013005 0C03370200", "6A86"),
        ("00E2003405 0C03370200", "6A86"),
        ("00E2003805 0C03370200", "6981"),
        ("00E2000005 0C03370200", "6986"),
    ],
)
def test_what_is_not_appended(command: str, expected: str) -> None:
    card = without_birthplace()
    talk(card, (command, expected), ("00B2073405", "6A83"))


def test_nothing_is_appended_to_a_cyclic_file() -> None:
    card = authenticated(card_of("personalised"), "personalised", "DF04", "86", "UK2DF04")
    talk(card, ("00E200A803 000C32", "6981"))


# -- UPDATE BINARY -----------------------------------------------------------------------------------------


def test_bytes_are_replaced_by_sfi_and_at_an_offset() -> None:
    # SSSE/EF07 has 768 bytes.
    talk(
        environment(),
        ("00D6870104 11223344", "9000"),
        ("00B0870006", "001122334400 9000"),
        ("00D602FE02 5566", "9000"),
        ("00B002FC04", "00005566 9000"),
        ("00D602FF02 7788", "6B00"),
        ("00D6030001 77", "6B00"),
        ("00B002FC04", "00005566 9000"),
        ("00D68700", "6700"),
        ("00D6C70001 77", "6A86"),
        ("00D6850001 77", "6981"),
        ("00D6940001 77", "6A82"),
    )
    talk(environment(), ("00D6000001 77", "6986"))


# -- rights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["00DC062C06 060420461231", "00E2003005 0C03370200", "00D6870001 77", ADULT_EXPIRY])
def test_nothing_is_written_without_the_right(command: str) -> None:
    card = card_of("adult")
    talk(card, (SELECT, "6118"), ("0020000003123456", "9000"), GET_SHORT_CHALLENGE, (command, "6982"))
    talk(card, GET_CHALLENGE, ("0082000A10" + cryptogram("RKSSSE", "adult"), "9000"), GET_SHORT_CHALLENGE)
    talk(card, (command, "6982"), ("00B2062C06", "060420360520 9000"))


# -- with a MAC ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("persona", "command"), [("adult", ADULT_EXPIRY), ("third-sm4", THIRD_EXPIRY)])
def test_a_record_with_a_mac(persona: str, command: str) -> None:
    card = environment(persona)
    talk(card, (command, "6984"), GET_SHORT_CHALLENGE, (command, "9000"), ("00B2062C06", "060420461231 9000"))


@pytest.mark.parametrize(
    ("persona", "command"),
    [
        # run des-cbc 5CBB4FEFE9FB3358 04DC062C0A0604204612318000000000 "-iv A1B2C3D400000000": F3F4A2DE194C5FC2
        ("adult", "04DC062C0A 060420461231 F3F4A2DE"),
        # run sm4-cbc with "-iv A1B2C3D4000000000000000000000000": F8EEEA12 XOR E02A6743 XOR 3E059E0A XOR 3D42B1F8
        ("third-sm4", "04DC062C0A 060420461231 1B83A2A3"),
    ],
)
def test_a_mac_that_begins_from_the_challenge(persona: str, command: str) -> None:
    card = environment(persona, mac_initial_value="challenge")
    talk(card, GET_SHORT_CHALLENGE, ({"adult": ADULT_EXPIRY, "third-sm4": THIRD_EXPIRY}[persona], "6988"))
    talk(card, GET_SHORT_CHALLENGE, (command, "9000"), ("00B2062C06", "060420461231 9000"))
    talk(environment(persona), GET_SHORT_CHALLENGE, (command, "6988"))


def test_a_wrong_mac_changes_nothing() -> None:
    card = environment()
    for wrong in (
        ADULT_EXPIRY[:-2] + "2C",
        ADULT_EXPIRY.replace("2046", "2047"),
        # The MAC of mode 4 is none of mode 0, of record 6 none of record 5.
        ADULT_EXPIRY.replace("062C0A", "06280A"),
        ADULT_EXPIRY.replace("DC06", "DC05"),
    ):
        talk(card, GET_SHORT_CHALLENGE, (wrong, "6988"), ("00B2062C06", "060420360520 9000"))
    talk(card, GET_CHALLENGE, (ADULT_EXPIRY, "6988"), ("0084000010", GET_CHALLENGE[1][:16] * 2 + "9000"))
    talk(card, (ADULT_EXPIRY, "6984"), ("00B2062C06", "060420360520 9000"))


def test_a_df_has_a_maintenance_key_of_its_own() -> None:
    # des 90F16ED7D6C13A0C 1122334455667788 is 7ABFA57AC9B9E220,
    # run des-cbc 7ABFA57AC9B9E220 04DC012C082002323180000000000000 ends in 18DC9B2AA821CD54
    card = authenticated(card_of("adult"), "adult", "DF01", "83", "UK1DF01")
    talk(card, GET_CHALLENGE, ("04DC012C08 20023231 18DC9B2A", "9000"), ("00B2012C04", "20023231 9000"))


def test_append_and_bytes_with_a_mac() -> None:
    # run des-cbc 5CBB4FEFE9FB3358 04E20030090C03370200800000000000 ends in 4AF31E480279A4EE
    card = without_birthplace()
    talk(card, GET_SHORT_CHALLENGE, ("04E2003009 0C03370200 4AF31E48", "9000"), ("00B2073405", "0C03370200 9000"))
    # run des-cbc 5CBB4FEFE9FB3358 04D6870006544580 is A6AC688D6F631749
    talk(card, GET_SHORT_CHALLENGE, ("04D6870006 5445 A6AC688D", "9000"), ("00B0870003", "544500 9000"))


def test_cards_that_want_a_mac_and_cards_that_know_none() -> None:
    plain = "00DC062C06 060420461231"
    card = environment(secure_messaging="required")
    talk(card, (plain, "6987"), ("00B2062C06", "060420360520 9000"), GET_SHORT_CHALLENGE, (ADULT_EXPIRY, "9000"))
    card = environment(secure_messaging="absent")
    talk(card, GET_SHORT_CHALLENGE, (ADULT_EXPIRY, "6E00"), (plain, "9000"))


def test_a_copy_knows_no_maintenance_key_either() -> None:
    card = card_of("third-sm4", forged=True)
    card.applications[0].by_id[0xEF05].update = card.applications[0].by_id[0xEF05].read  # free
    talk(card, (SELECT, "611E"), GET_SHORT_CHALLENGE, (THIRD_EXPIRY, "6988"))


def test_ssf33_makes_no_mac() -> None:
    card = card_of("third-sm4", "SSF33")
    card.applications[0].by_id[0xEF05].update = card.applications[0].by_id[0xEF05].read  # free
    talk(card, (SELECT, "611E"), GET_SHORT_CHALLENGE, (THIRD_EXPIRY, "6985"), ("00DC062C06 060420461231", "9000"))
