"""The software card's PIN by APDU: changed by its holder, unblocked and set again by who has PUK.

MACs and enciphered blocks are from the command line, as `test_simulator_cryptography` has it.
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

RIGHT, WRONG, NEW = "0020000003123456", "0020000003999999", "0020000003654321"
# Root TEST1DPUK......., the card's E1131B4604FCB7F0E74BE2D2C3B6B070, of the challenge DD84EA7888FDC52F; des with that:
ADULT_PUK = "352793988A3E0A94"
# Root TEST1DTK, the card's 5C79AD192613615C; process key, des of 1122334455667788: 571F64C2DEB8587F.
# run des-ecb 571F64C2DEB8587F 8424000004800000 is BF0E673171FCA31D
ADULT_UNBLOCK = "8424000004 BF0E6731"
# run des-ecb 571F64C2DEB8587F 0365432180000000 is EDFBE4C0AB63BFC4
# run des-cbc 571F64C2DEB8587F 842400010CEDFBE4C0AB63BFC4800000 "-iv 0000000000000000" ends in 20E1706FFD4529B5
ADULT_RELOAD = "842400010C EDFBE4C0AB63BFC4 20E1706F"
# Root TEST1SPUK......., the card's 99AB4172B6BE59C2BB383AC6775B1205, 2241C9C89D222014B041BD3722353972;
# sm4 of the source and zeros with that: 3861BC3C151A61C7 XOR 7CCF2D93402221E1
THIRD_PUK = "44AE91AF55384026"
# Root TEST1SSTK......., the card's 36F526B14AE82C926E9CB030372F10C7; process key, sm4 of 1122334455667788 and zeros:
# 88B134B1B8E2A4734B394C6FED3F5019. sm4 of 84240000048000000000000000000000 with that:
# B5D7E60E XOR 7FF136EB XOR 27A6E5E2 XOR 64FC1803
THIRD_UNBLOCK = "8424000004 897C2D04"
# sm4 88B134B1B8E2A4734B394C6FED3F5019 03654321800000000000000000000000 is 875436B4014DC957E0C1CEF558C8B125; run sm4-cbc
# of 8424000114875436B4014DC957E0C1CE F558C8B1258000000000000000000000 ends in 87EF83D6 3E8FD878 B711E964 D52CBA8D
THIRD_RELOAD = "8424000114 875436B4014DC957E0C1CEF558C8B125 DB5D0847"


def with_puk(persona: str = "adult", **quirks: Any) -> SoftwareCard:
    """A card whose PIN is blocked and to which PUK has been presented."""
    card = card_of(persona, **quirks)
    talk(card, (WRONG, "63C2"), (WRONG, "63C1"), (WRONG, "6983"))
    card.transmit(bytes.fromhex(SELECT))
    opening = "10" + ADULT_PUK + SOURCE if persona == "adult" else "11" + THIRD_PUK + SOURCE + "01"
    talk(card, GET_CHALLENGE, ("00820006" + opening, "9000"))
    return card


@pytest.mark.parametrize(("persona", "unblock"), [("adult", ADULT_UNBLOCK), ("third-sm4", THIRD_UNBLOCK)])
def test_unblocking_gives_the_tries_back_and_leaves_the_pin(persona: str, unblock: str) -> None:
    card = with_puk(persona)
    talk(card, (RIGHT, "6983"), GET_CHALLENGE, (unblock, "9000"), ("0020000000", "63C3"), (RIGHT, "9000"))


@pytest.mark.parametrize(("persona", "reload"), [("adult", ADULT_RELOAD), ("third-sm4", THIRD_RELOAD)])
def test_reloading_sets_another_pin(persona: str, reload: str) -> None:
    card = with_puk(persona)
    talk(card, GET_CHALLENGE, (reload, "9000"), ("0020000000", "63C3"), (RIGHT, "63C2"), (NEW, "9000"))


@pytest.mark.parametrize("command", [ADULT_UNBLOCK, ADULT_RELOAD])
def test_neither_without_puk_challenge_and_mac(command: str) -> None:
    card = card_of("adult")
    talk(card, (SELECT, "6118"), GET_CHALLENGE, (command, "6982"))
    card = with_puk()
    wrong = command[:-2] + "00"
    talk(card, (command, "6984"), GET_CHALLENGE, (wrong, "6988"), GET_CHALLENGE, (command + "00" * 8, "6700"))
    talk(card, GET_CHALLENGE, ("8424000204BF0E6731", "6A86"), GET_CHALLENGE, ("8424010004BF0E6731", "6A86"))
    talk(card, (NEW, "6983"), (RIGHT, "6983"))
    talk(card, ("00A4000002DF01", "610A"), GET_CHALLENGE, (command, "6982"))
    talk(card, ("00A4000002DDF1", "6118"), GET_CHALLENGE, (command, "6982"))


def test_another_key_of_the_environment_does_not_unblock() -> None:
    card = card_of("adult")
    talk(card, (SELECT, "6118"), GET_CHALLENGE, ("0082000510" + cryptogram("BK", "adult"), "9000"))
    talk(card, GET_CHALLENGE, (ADULT_UNBLOCK, "6982"))


@pytest.mark.parametrize(
    ("block", "mac"),
    [
        # c=$(run des-ecb 571F64C2DEB8587F BLOCK); the MAC is of 842400010C${c}800000, as above. BLOCK is
        ("18F35312EA9C6C3D", "144EF4A7"),  # 0365432100000000, no 80 after the PIN
        ("34ECC4514C47244A", "3FF8812C"),  # 0965432180000000, longer than the block
        ("11C93730DC532575", "B77857AA"),  # 0365432A80000000, no digit
        ("344FD4721D90BA52", "280F5E68"),  # 0365432180000001, no zero at the end
        ("F9ED80DCBC7A78E2", "A65F6FF3"),  # 0165800000000000, too short
        ("4A1FD66345B4E207", "AF779256"),  # 036F432180000000, F amid the digits
    ],
)
def test_a_block_that_holds_no_pin_changes_nothing(block: str, mac: str) -> None:
    card = with_puk()
    talk(card, GET_CHALLENGE, ("842400010C" + block + mac, "6A80"), (RIGHT, "6983"))
    talk(card, GET_CHALLENGE, (ADULT_UNBLOCK, "9000"), (RIGHT, "9000"))


@pytest.mark.parametrize(
    ("old", "new", "verify"),
    [
        ("123456", "654321", "0020000003654321"),
        ("123456", "1234", "00200000021234"),
        ("123456", "12345F", "002000000312345F"),
        ("123456", "0123456789012345", "00200000080123456789012345"),
    ],
)
def test_the_holder_changes_the_pin(old: str, new: str, verify: str) -> None:
    data = old + "FF" + new
    change = f"805E0100{len(data) // 2:02X}{data}"
    card = card_of("adult")
    talk(card, (WRONG, "63C2"), ("00A4000002DF01", "610A"), (change, "9000"))
    # Changed, and not verified: the file stays closed.
    talk(card, ("0020000000", "63C3"), ("00B2012C04", "6982"), (verify, "9000"), ("00B2012C04", "20023131 9000"))
    talk(card, (RIGHT, "63C2"))


def test_changing_with_a_wrong_pin_spends_tries() -> None:
    card, wrong = card_of("adult"), "805E010007 999999FF654321"
    talk(card, ("00A4000002DF01", "610A"), (RIGHT, "9000"), (wrong, "63C2"), ("00B2012C04", "6982"))
    talk(card, (wrong, "63C1"), (wrong, "6983"), (wrong, "6983"), ("805E010007 123456FF654321", "6983"), (NEW, "6983"))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("805E010007 123456FF65432A", "6A80"),
        ("805E010007 123456FF6F4321", "6A80"),
        ("805E010007 123456FF6543FF", "6A80"),
        ("805E010005 123456FF65", "6A80"),
        ("805E010004 123456FF", "6A80"),
        ("805E01000D 123456FF654321654321654321", "6A80"),
        ("805E010003 123456", "6A80"),
        ("805E010006 123456654321", "6A80"),
        ("805E010004 FF654321", "6A80"),
        ("805E0100", "6700"),
        ("805E010009 123456FF654321", "6700"),
        ("805E000007 123456FF654321", "6A86"),
        ("805E010107 123456FF654321", "6A86"),
    ],
)
def test_a_change_that_is_none_spends_no_try(command: str, expected: str) -> None:
    talk(card_of("adult"), (command, expected), ("0020000000", "63C3"), (RIGHT, "9000"))


def test_a_pin_of_an_odd_number_of_digits_ends_in_f() -> None:
    card = find_persona("adult").model_copy(update={"pin": "12345"}).card(random=known_random)
    talk(card, ("0020000003123450", "63C2"), ("002000000312345F", "9000"))


def test_a_card_may_give_more_tries() -> None:
    card = card_of("adult", pin_tries=6)
    talk(card, (WRONG, "63C5"), (RIGHT, "9000"), ("0020000000", "63C6"))
    assert card.pin_tries_left == 6


def test_a_short_challenge_serves_as_well() -> None:
    # Process key, des of A1B2C3D400000000 with the card's STK: 5CBB4FEFE9FB3358.
    # run des-ecb 5CBB4FEFE9FB3358 8424000004800000 is C45F41436E8F822A
    talk(with_puk(), GET_SHORT_CHALLENGE, ("8424000004 C45F4143", "9000"), (RIGHT, "9000"))


def test_a_mac_that_begins_from_the_challenge() -> None:
    # run des-cbc 571F64C2DEB8587F 8424000004800000 "-iv 1122334400000000" is 05B853609BF849CA
    card = with_puk(mac_initial_value="challenge")
    talk(card, GET_CHALLENGE, (ADULT_UNBLOCK, "6988"), GET_CHALLENGE, ("8424000004 05B85360", "9000"), (RIGHT, "9000"))
