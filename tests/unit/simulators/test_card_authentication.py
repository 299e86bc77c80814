"""Authentication between software card and desk, both ways: the bytes, and which key in which version.

The bytes are from the command line, as `test_simulator_cryptography` has it, from the published roots by way of the
card's own keys; other tests are of states, and take cryptograms from the simulator's cryptography.
"""

from __future__ import annotations

import pytest

from tests.unit.card_helpers import CHALLENGE, GET_CHALLENGE, SELECT, SOURCE, card_of, cryptogram, talk

# TEST1DUKSSSE.... by 370000sh, 370200sx, 8684370200000001 is 7EDBA9C67809B8603C34E1FD3B2608AE;
# tdes of the challenge with it: 9F0AD5F0F1390B37; des 9F0AD5F0F1390B37 0102030405060708:
ADULT_UKSSSE = "5C98D132A8509788"
# TEST1DIRK.......: 7D6830D7C8386569B875A963BFCBE92B; 315B1100AD9FD8D0; des of the source with that:
ADULT_IRK = "DEFD86281AF9F7B2"
# TEST1SRKSSSE.... by 320000sh, 320200sx, 8684329900000014 is 925792DE487DFA3094EA52EA6F39D79D;
# sm4 of the challenge and eight zeros with it: 1D007B2DB72C2C3662CB555DB3BA3D61; sm4 of the source and eight zeros
# with that: 39AB2F6362A460F1 F0B7C6CC0CC63F6D, and these XORed:
THIRD_RKSSSE = "C91CE9AF6E625F9C"
# TEST1SIRK.......: 85B911D10C0CCE17AFC3F7DC8CEE4F4C; 0EDC73A8F70116ADA5A4D25651548566;
# F7F48C6F15ED7904 E743E9C9E3F26751, XORed:
THIRD_IRK = "10B765A6F61F1E55"


def test_external_authentication_with_3des() -> None:
    talk(
        card_of("adult"),
        (SELECT, "6118"),
        ("00DC062C06 060420461231", "6982"),
        GET_CHALLENGE,
        ("0082000410" + ADULT_UKSSSE + SOURCE, "9000"),
        ("00DC062C06 060420461231", "9000"),
        ("00B2062C06", "060420461231 9000"),
        (SELECT, "6118"),
        GET_CHALLENGE,
        ("0082000411" + ADULT_UKSSSE + SOURCE + "01", "9000"),
    )


def test_external_authentication_with_sm4() -> None:
    holder = "0812333139393030313939393132333130303436"
    talk(
        card_of("third-sm4"),
        (SELECT, "611E"),
        ("00B2013414", "6982"),
        GET_CHALLENGE,
        ("0082000A11" + THIRD_RKSSSE + SOURCE + "01", "9000"),
        ("00B2013414", holder + "9000"),
    )


def test_sm4_cards_want_the_version_of_the_key() -> None:
    talk(
        card_of("third-sm4"),
        (SELECT, "611E"),
        GET_CHALLENGE,
        ("0082000A10" + THIRD_RKSSSE + SOURCE, "6700"),
        GET_CHALLENGE,
        ("0082000A11" + THIRD_RKSSSE + SOURCE + "01", "9000"),
    )


def test_internal_authentication() -> None:
    talk(
        card_of("adult"),
        (SELECT, "6118"),
        ("0088000010" + CHALLENGE + SOURCE, "6108"),
        ("00C0000008", ADULT_IRK + "9000"),
        ("0088000011" + CHALLENGE + SOURCE + "01", "6108"),
        ("00C0000008", ADULT_IRK + "9000"),
        ("0088000011" + CHALLENGE + SOURCE + "02", "6A88"),
        ("0088000008" + CHALLENGE, "6700"),
        ("0088000110" + CHALLENGE + SOURCE, "6A86"),
        ("00A4000002DF01", "610A"),
        ("0088000010" + CHALLENGE + SOURCE, "6A88"),
        ("00A40000023F00", "6112"),
        ("0088000010" + CHALLENGE + SOURCE, "6A88"),
    )
    third = "0088000011" + CHALLENGE + SOURCE + "01"
    talk(card_of("third-sm4"), (SELECT, "611E"), (third, "6108"), ("00C0000008", THIRD_IRK + "9000"))
    at_once = card_of("third-sm4", data_at_once=True)
    at_once.transmit(bytes.fromhex(SELECT))
    talk(at_once, (third, THIRD_IRK + "9000"))


def test_a_forged_card_proves_nothing_and_opens_to_nobody() -> None:
    card = card_of("third-forged")
    talk(card, (SELECT, "611E"), ("0088000011" + CHALLENGE + SOURCE + "01", "6108"))
    answer = card.transmit(bytes.fromhex("00C0000008")).hex().upper()
    right = cryptogram("IRK", "third-forged", algorithm="SM4")[:16]
    assert len(answer) == 20 and answer.endswith("9000") and answer[:16] != right
    opening = cryptogram("RKSSSE", "third-forged", algorithm="SM4")
    talk(card, GET_CHALLENGE, ("0082000A11" + opening + "01", "63C2"), ("00B2013414", "6982"))
    genuine = card_of("third-forged", forged=False)
    talk(genuine, (SELECT, "611E"), GET_CHALLENGE, ("0082000A11" + opening + "01", "9000"))


def test_a_card_that_says_ssf33_has_no_keys_that_anybody_could_use() -> None:
    talk(
        card_of("third-sm4", "SSF33"),
        (SELECT, "611E"),
        ("0088000011" + CHALLENGE + SOURCE + "01", "6985"),
        GET_CHALLENGE,
        ("0082000A11" + THIRD_RKSSSE + SOURCE + "01", "6985"),
    )


# -- which key ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("application", "key_id"),
    [
        ("DDF1", "00"),  # IRK, for internal authentication only
        ("DDF1", "02"),  # STK, for MACs only
        ("DDF1", "83"),  # of DF01
        ("DDF1", "7F"),
        ("DF01", "04"),  # of SSSE
        ("DF01", "82"),  # STKDF01
        ("DF04", "01"),  # DLK1 and DPK1, for transactions
        ("3F00", "04"),
    ],
)
def test_keys_that_are_not_there_to_be_authenticated(application: str, key_id: str) -> None:
    card = card_of("adult")
    card.transmit(bytes.fromhex("00A4000002" + application))
    talk(card, GET_CHALLENGE, (f"008200{key_id}10" + ADULT_UKSSSE + SOURCE, "6A88"))


@pytest.mark.parametrize(
    ("application", "key_id", "name"),
    [("DDF1", "05", "BK"), ("DDF1", "06", "PUK"), ("DF01", "83", "UK1DF01"), ("DF03", "83", "LKDF03")],
)
def test_every_other_key_is_authenticated_where_it_is(application: str, key_id: str, name: str) -> None:
    card = card_of("personalised")
    card.transmit(bytes.fromhex("00A4000002" + application))
    talk(card, GET_CHALLENGE, (f"008200{key_id}10" + cryptogram(name, "personalised"), "9000"))


def test_versions_that_the_card_holds() -> None:
    card = card_of("adult", key_versions=frozenset({2, 3}))
    first, second, third = (cryptogram("UKSSSE", "adult", version) for version in (1, 2, 3))
    talk(card, (SELECT, "6118"), GET_CHALLENGE, ("0082000411" + first + "01", "6A88"))
    for given in ("10" + second, "11" + second + "02", "11" + third + "03"):
        talk(card, GET_CHALLENGE, ("00820004" + given, "9000"))
    talk(card, GET_CHALLENGE, ("0082000411" + first + "02", "63C2"))
    # PUK exists in one group only.
    talk(card, GET_CHALLENGE, ("0082000611" + cryptogram("PUK", "adult") + "01", "9000"))


def test_a_first_generation_card_has_ukmf() -> None:
    talk(
        card_of("first-generation"),
        (SELECT, "6118"),
        GET_CHALLENGE,
        ("0082000410" + cryptogram("UKMF", "first-generation"), "9000"),
        ("00A4000002EF05", "9000"),
        ("00DC020403 020133", "9000"),
    )


def test_parameters_and_lengths() -> None:
    talk(
        card_of("adult"),
        (SELECT, "6118"),
        GET_CHALLENGE,
        ("0082010410" + ADULT_UKSSSE + SOURCE, "6A86"),
        GET_CHALLENGE,
        ("0082000408" + ADULT_UKSSSE, "6700"),
        GET_CHALLENGE,
        ("00820004", "6700"),
    )
