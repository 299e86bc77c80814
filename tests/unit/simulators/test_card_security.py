"""The software card's security states by APDU: challenges, tries, what ends a right, classes of commands."""

from __future__ import annotations

import pytest

from simulators.card.software_card import SoftwareCard
from tests.unit.card_helpers import GET_CHALLENGE, GIVEN, SELECT, SOURCE, card_of, cryptogram, talk

NOTHING = "0000000000000000"
# As test_card_authentication has it.
ADULT_UKSSSE = "5C98D132A8509788"


# -- challenges --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "between",
    ["00C0000018", "00B2032C06", "00A4000002EF05", "0020000000", "00FE0000", "80FE0000", "00B2", "", "0084000007"],
)
def test_a_challenge_is_good_for_the_next_command_only(between: str) -> None:
    card = card_of("adult")
    opening = "0082000410" + ADULT_UKSSSE + SOURCE
    talk(card, (SELECT, "6118"), GET_CHALLENGE)
    card.transmit(bytes.fromhex(between))
    talk(card, (opening, "6984"), GET_CHALLENGE, (opening, "9000"), (opening, "6984"))


@pytest.mark.parametrize("length", [4, 16])
def test_authentication_takes_a_challenge_of_eight_bytes(length: int) -> None:
    given = (f"00840000{length:02X}", GIVEN[length] + "9000")
    talk(card_of("adult"), (SELECT, "6118"), given, ("0082000410" + ADULT_UKSSSE + SOURCE, "6984"))


def test_a_reset_ends_a_challenge() -> None:
    card = card_of("adult", application_at_power_up=True)
    talk(card, GET_CHALLENGE)
    card.reset()
    talk(card, ("0082000410" + ADULT_UKSSSE + SOURCE, "6984"))


# -- tries ---------------------------------------------------------------------------------------------


def test_tries_of_a_key_are_counted_restored_and_used_up() -> None:
    card = card_of("adult")
    wrong, right = "0082000410" + NOTHING + SOURCE, "0082000410" + ADULT_UKSSSE + SOURCE
    talk(card, (SELECT, "6118"), GET_CHALLENGE, (wrong, "63C2"), GET_CHALLENGE, (wrong, "63C1"))
    talk(card, GET_CHALLENGE, (right, "9000"), GET_CHALLENGE, (wrong, "63C2"), GET_CHALLENGE, (wrong, "63C1"))
    card.reset()
    talk(card, (SELECT, "6118"), (wrong, "6984"), GET_CHALLENGE, (wrong, "6983"), GET_CHALLENGE, (right, "6983"))
    # Another key's tries are its own.
    talk(card, GET_CHALLENGE, ("0082000A10" + cryptogram("RKSSSE", "adult"), "9000"))


def test_a_key_may_have_other_tries() -> None:
    wrong = "0082000410" + NOTHING + SOURCE
    talk(
        card_of("adult", key_tries=1), (SELECT, "6118"), GET_CHALLENGE, (wrong, "6983"), GET_CHALLENGE, (wrong, "6983")
    )


def test_a_failure_takes_the_right_away() -> None:
    talk(
        card_of("adult"),
        (SELECT, "6118"),
        GET_CHALLENGE,
        ("0082000410" + ADULT_UKSSSE + SOURCE, "9000"),
        GET_CHALLENGE,
        ("0082000410" + NOTHING + SOURCE, "63C2"),
        ("00DC062C06 060420461231", "6982"),
    )


# -- what a key opens (the matrix has it for every file) ---------------------------------------------


def in_df01(key_id: str, name: str) -> SoftwareCard:
    card = card_of("personalised")
    talk(card, ("00A4000002DF01", "610A"), GET_CHALLENGE)
    talk(card, (f"008200{key_id}10" + cryptogram(name, "personalised"), "9000"))
    return card


def test_the_update_key_opens_its_file_for_reading_and_no_other() -> None:
    card = in_df01("83", "UK1DF01")
    talk(card, ("00B2012C04", "20023131 9000"), ("00B2023480", "6982"), ("00DC014403 2B0131", "6982"))


def test_who_reads_with_the_read_key_does_not_write() -> None:
    card = in_df01("88", "RK1DF01")
    talk(card, ("00B2012C04", "20023131 9000"), ("00DC012C04 20023131", "6982"))


# -- what ends a right -----------------------------------------------------------------------------------


@pytest.mark.parametrize("selection", ["00A4000002DF01", "00A4000002DDF1", "00A40000023F00", "00A4040006D15600000502"])
def test_any_selection_of_a_df_ends_every_right(selection: str) -> None:
    card = card_of("personalised")
    talk(card, ("00A4000002DF01", "610A"), ("0020000003123456", "9000"), GET_CHALLENGE)
    talk(card, ("0082008310" + cryptogram("UK1DF01", "personalised"), "9000"), ("00DC012C04 20023131", "9000"))
    card.transmit(bytes.fromhex(selection))
    talk(card, ("00A4000002DF01", "610A"), ("00DC012C04 20023131", "6982"), ("00B2012C04", "6982"))


@pytest.mark.parametrize("selection", ["00A4000002DF01", "00A4000002DDF1", "00A40000023F00"])
def test_where_the_pin_survives_keys_do_not(selection: str) -> None:
    card = card_of("personalised", pin_survives_selection=True)
    talk(card, ("00A4000002DF01", "610A"), ("0020000003123456", "9000"), GET_CHALLENGE)
    talk(card, ("0082008310" + cryptogram("UK1DF01", "personalised"), "9000"))
    card.transmit(bytes.fromhex(selection))
    talk(card, ("00A4000002DF01", "610A"), ("00DC012C04 20023131", "6982"), ("00B2012C04", "20023131 9000"))


def test_selecting_a_file_or_nothing_ends_no_right() -> None:
    card = card_of("personalised")
    talk(card, ("00A4000002DF01", "610A"), ("0020000003123456", "9000"))
    talk(card, ("00A4000002EF05", "9000"), ("00A4000002DF99", "6A82"), ("00B2010404", "20023131 9000"))


def test_a_reset_ends_every_right() -> None:
    card = card_of("personalised", pin_survives_selection=True)
    talk(card, ("00A4000002DF01", "610A"), ("0020000003123456", "9000"))
    card.reset()
    talk(card, ("00A4000002DF01", "610A"), ("00B2012C04", "6982"))


# -- classes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("04B2032C06", "6E00"),
        ("0420000003123456", "6E00"),
        ("8020000003123456", "6E00"),
        ("84A4000002DF01", "6E00"),
        ("845E010007123456FF654321", "6E00"),
        ("8024000004 00000000", "6E00"),
        ("005E010007123456FF654321", "6D00"),
        ("0024000004 00000000", "6D00"),
        ("FFB2032C06", "6E00"),
        ("80DC062C06 060420461231", "6E00"),
        ("00FE0000", "6D00"),
    ],
)
def test_classes_and_commands_that_there_are_not(command: str, expected: str) -> None:
    talk(card_of("adult"), (SELECT, "6118"), (command, expected))
