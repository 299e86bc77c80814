"""The PINs of the certificate application: exact bytes, at most one try, nothing without consent."""

import itertools

import pytest

from cardio.apdu.channel import Channel
from cardio.apdu.transcript import Transcript
from cardio.errors import CardError, CardGarbledError, CardRefusedError
from cardio.pki.layout import PkiPin, pki_layout
from cardio.pki.pin import change_pin, pin_tries_left, verify_pin
from cardio.security.errors import (
    LastTryError,
    MacRefusedError,
    PinBlockedError,
    PinFormatError,
    PinOutcomeUnknownError,
    WrongPinError,
)
from cardio.security.pin.pin import Pin

LAYOUT = pki_layout()
USER, ADMINISTRATOR = LAYOUT.pins.user, LAYOUT.pins.administrator
PIN = Pin("123456")
CHALLENGE = ("0084000010", "000102030405060708090A0B0C0D0E0F 9000")
# printf '\x12\x34\x56' | openssl dgst -sm3 begins with 3DE741F445DD357BEA4E6C3FE6437036, the key;
# openssl enc -sm4-ecb -nopad -K of the challenge
VERIFY = "0020018110 F34EB25A585CE6584C4D2EB0EA4E9D30"
VERIFIED = [("00200181", "63C3"), CHALLENGE, (VERIFY, "9000")]
# 654321: openssl enc -sm4-ecb -nopad of 03654321 80 and zeros; then openssl enc -sm4-cbc -nopad, -iv the challenge, of
# 845E018114, that block, 80 and zeros: its last block is 8807FAD3 3DFEAE26 E1588581 F7104FC2, which XOR to A3B19EB6.
CHANGE = "845E018114 714035C6FAF675C404311D61AE3E8083 A3B19EB6"


def verify(exchanges: list[tuple[str, str]], pin: Pin = PIN, which: PkiPin = USER, *, last: bool = False) -> None:
    card = Transcript(exchanges)
    try:
        Channel(card).run(verify_pin(LAYOUT, which, pin, accept_last_try=last))
    finally:
        assert card.finished


def change(exchanges: list[tuple[str, str]]) -> None:
    card = Transcript(exchanges)
    try:
        Channel(card).run(change_pin(LAYOUT, USER, PIN, Pin("654321")))
    finally:
        assert card.finished


def test_the_user_pin_as_in_a_published_trace() -> None:
    """An issuing tool's: PIN 123456, the card's challenge, what was sent, 9000."""
    verify(
        [
            ("00200181", "63C6"),
            ("0084000010", "51780DDC9394E497EAE01B3D9CAB4A97 9000"),
            ("0020018110 C6CEE3CC430485E8676D2A6B10E52494", "9000"),
        ]
    )


def test_the_administrator_pin_as_in_a_published_trace() -> None:
    verify(
        [
            ("00200100", "63C6"),
            ("0084000010", "3D3ECC44607070F8935A64A15E8D95BA 9000"),
            ("0020010010 638C4E4E44182071BA0619F81D35C892", "9000"),
        ],
        Pin("12345678"),
        ADMINISTRATOR,
    )


def test_an_odd_digit_is_filled_with_f() -> None:
    """printf '\\x12\\x34\\x56\\x7f' | openssl dgst -sm3, then as above."""
    verify([("00200181", "63C3"), CHALLENGE, ("0020018110 DF07526D35C8C17D856E82CC31AC4ABE", "9000")], Pin("1234567"))


@pytest.mark.parametrize(
    "challenge",
    [
        [("0084000010", "6700"), ("0084000008", "0102030405060708 9000")],
        [("0084000010", "6C08"), ("0084000008", "0102030405060708 9000")],
        [("0084000010", "0102030405060708 9000")],
    ],
    ids=["6700", "6C08", "fewer"],
)
def test_a_card_that_gives_eight_bytes_has_them_filled_with_zeros(challenge: list[tuple[str, str]]) -> None:
    """openssl enc -sm4-ecb -nopad of 01 to 08 and eight zeros."""
    verify([("00200181", "63C3"), *challenge, ("0020018110 3BA1F95647767DA9198CD4B476E6C9D7", "9000")])


@pytest.mark.parametrize("answer", ["6700", "6985", "9000", "01 9000", "0102030405060708090A0B0C 9000"])
def test_without_a_challenge_nothing_is_sent(answer: str) -> None:
    with pytest.raises(CardRefusedError):
        verify([("00200181", "63C3"), ("0084000010", answer), ("0084000008", answer)])


def test_a_pin_that_is_none_never_becomes_a_plan() -> None:
    for digits in ("", "123", "1" * 17, "12a4", "１２３４"):
        with pytest.raises(PinFormatError):
            Pin(digits)


@pytest.mark.parametrize("left", range(1, 16))
def test_a_wrong_pin_says_how_many_tries_are_left(left: int) -> None:
    with pytest.raises(WrongPinError) as caught:
        verify([("00200181", "63CF"), CHALLENGE, (VERIFY, f"63C{left:X}")])
    assert (caught.value.tries_left, caught.value.status_word) == (left, 0x63C0 + left)
    assert str(left) in caught.value.detail and str(left) in caught.value.detail_en


@pytest.mark.parametrize("answer", ["6983", "63C0"])
def test_the_last_wrong_pin_blocks(answer: str) -> None:
    with pytest.raises(PinBlockedError):
        verify([("00200181", "63C1"), CHALLENGE, (VERIFY, answer)], last=True)


@pytest.mark.parametrize("answer", ["6983", "63C0"])
def test_nothing_is_sent_to_a_blocked_pin(answer: str) -> None:
    with pytest.raises(PinBlockedError):
        verify([("00200181", answer)], last=True)


@pytest.mark.parametrize("answer", ["63C1", "6700", "6D00", "6300", "6A88"])
def test_the_last_try_or_an_unknown_one_wants_consent(answer: str) -> None:
    with pytest.raises(LastTryError):
        verify([("00200181", answer)])
    verify([("00200181", answer), CHALLENGE, (VERIFY, "9000")], last=True)


def test_a_pin_that_was_presented_already_has_all_its_tries() -> None:
    verify([("00200181", "9000"), CHALLENGE, (VERIFY, "9000")])


@pytest.mark.parametrize("answer", ["6A88", "6984", "6D00", "6300", "6F00", "6110"])
def test_another_refusal_is_told_with_its_status_word(answer: str) -> None:
    with pytest.raises(CardRefusedError) as caught:
        verify([("00200181", "63C3"), CHALLENGE, (VERIFY, answer)])
    assert caught.value.status_word == int(answer, 16)
    assert answer in caught.value.detail and answer in caught.value.detail_en


def test_an_answer_without_sense_leaves_the_outcome_unknown() -> None:
    with pytest.raises(PinOutcomeUnknownError):
        verify([("00200181", "63C3"), CHALLENGE, (VERIFY, "90")])


def test_an_answer_without_sense_before_that_costs_nothing() -> None:
    for exchanges in ([("00200181", "90")], [("00200181", "63C3"), ("0084000010", "01")]):
        with pytest.raises(CardGarbledError):
            verify(exchanges)


@pytest.mark.parametrize(("answer", "left"), [("63C5", 5), ("63C0", 0), ("6983", 0), ("6700", None), ("9000", None)])
def test_how_many_tries_are_left(answer: str, left: int | None) -> None:
    assert Channel(Transcript([("00200100", answer)])).run(pin_tries_left(ADMINISTRATOR)) == left


def test_a_new_pin_is_enciphered_and_has_a_mac_under_the_old_one() -> None:
    change([*VERIFIED, CHALLENGE, (CHANGE, "9000")])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("63C2", WrongPinError),
        ("6983", PinBlockedError),
        ("6988", MacRefusedError),
        ("6D00", CardRefusedError),
        ("6A80", CardRefusedError),
        ("01", PinOutcomeUnknownError),
    ],
)
def test_a_new_pin_that_is_refused(answer: str, error: type[CardError]) -> None:
    with pytest.raises(error):
        change([*VERIFIED, CHALLENGE, (CHANGE, answer)])


def test_no_new_pin_without_the_old_one() -> None:
    with pytest.raises(WrongPinError):
        change([("00200181", "63C3"), CHALLENGE, (VERIFY, "63C2")])
    with pytest.raises(LastTryError):
        change([("00200181", "63C1")])


def test_no_error_says_the_pin() -> None:
    """Nor what is made from it: not in ASCII, packed, as the key, or as the cryptogram."""
    secrets = ("123456", "654321", "3DE741F4", "F34EB25A", "714035C6", "A3B19EB6")
    conversation = [*VERIFIED, CHALLENGE, (CHANGE, "9000")]
    for answer, at in itertools.product(("63C2", "6983", "6A80", "6988", "6D00", "01"), (2, 4)):
        exchanges = [*conversation[:at], (conversation[at][0], answer)]
        with pytest.raises(CardError) as caught:
            change(exchanges)
        said: BaseException | None = caught.value
        while said is not None:
            text = f"{said!s} {said!r} {vars(said)}".upper()
            assert not any(secret in text for secret in secrets)
            said = said.__cause__ or said.__context__
