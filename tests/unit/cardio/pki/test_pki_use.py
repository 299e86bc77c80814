"""Signing and opening envelopes with the card's keys: exact bytes, and nothing given out that does not verify."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.apdu.channel import Channel
from cardio.errors import CardError, CardRefusedError, UsageError
from cardio.pki.application import select_pki, sign
from cardio.pki.certificate import decode_certificate
from cardio.pki.envelope import Envelope, import_session_key, open_envelope, seal
from cardio.pki.errors import EnvelopeError, PkiPinNeededError, SignatureNotValidError
from cardio.pki.pin import change_pin, verify_pin
from cardio.pki.sm2 import PublicKey
from cardio.security.pin.pin import Pin
from simulators.crypto import sm
from tests.unit.cardio.pki.pki_helpers import DIGEST, KEY, LAYOUT, SIGNATURE, Software, der_of, run

SIGN = "002A9E9A20" + DIGEST
# openssl pkeyutl -encrypt of "TEST session key" for the encryption key, and under that key
# printf 'TEST: who reads this is the card' | openssl enc -sm4-cbc -iv 00…0F
SEALED_KEY = (
    "9CE4E27299839357B5ADD2F1AFBA7835A7AB968BD0CBF3B51DF8EE6F7F32A5E5"
    "240F1E7B5CE5858DBB69C2B196A5F48E2FC09F6DB7ADEEC33D456D225EDFD669"
    "246DB1CF0D17CB90F13A6326F3BF2B09CA5163757E4074F85182C17E938622BD"
    "FD3317434522F497A416FBBEE157C639"
)
SEALED_TEXT = "1C25BA359AE3DA5430D75615E43B59A33CF3880ECF5D0ECDFC727499744EA141D3F1FD4ED5B0FD8648821C3BECEE7F6B"
TEXT = b"TEST: who reads this is the card"
SESSION_KEY = b"TEST session key"
ENVELOPE = Envelope(bytes.fromhex(SEALED_KEY), bytes(range(16)), bytes.fromhex(SEALED_TEXT))
DECIPHER = "804E000178 C2020015 C1820070" + SEALED_KEY


# -- signing -------------------------------------------------------------------------------------


def signature_of(*answers: tuple[str, str]) -> object:
    return run(list(answers), lambda: sign(LAYOUT, KEY, b"TEST message"))


def test_the_card_signs_the_hash_with_za_in_it() -> None:
    assert signature_of((SIGN, "6140"), ("00C0000040", SIGNATURE + "9000")) == bytes.fromhex(SIGNATURE)


@pytest.mark.parametrize("signature", ["A9" + SIGNATURE[2:], SIGNATURE[:-2], SIGNATURE + "00", "", "00" * 64])
def test_a_signature_that_is_not_the_cards_is_not_given_out(signature: str) -> None:
    with pytest.raises(SignatureNotValidError):
        signature_of((SIGN, signature + "9000"))


def test_another_key_than_the_cards_is_noticed() -> None:
    channel = Channel(Software())
    channel.run(select_pki(LAYOUT))
    channel.run(verify_pin(LAYOUT, LAYOUT.pins.user, Pin("123456")))
    with pytest.raises(SignatureNotValidError):
        channel.run(sign(LAYOUT, PublicKey(sm.public_key(12345)), b"TEST message"))


def test_signing_wants_the_pin() -> None:
    with pytest.raises(PkiPinNeededError):
        signature_of((SIGN, "6982"))


@pytest.mark.parametrize("answer", ["6D00", "6E00", "6A86", "6700", "6A81"])
def test_a_card_that_does_not_know_the_command_is_told_apart(answer: str) -> None:
    with pytest.raises(CardRefusedError) as caught:
        signature_of((SIGN, answer))
    assert "试验" in caught.value.detail and "experimental" in caught.value.detail_en
    assert "002A9E9A" in caught.value.detail and answer in caught.value.detail
    with pytest.raises(CardRefusedError) as caught:
        signature_of((SIGN, "6985"))
    assert "试验" not in caught.value.detail and caught.value.status_word == 0x6985


def test_a_whole_session_with_the_software_card() -> None:
    channel = Channel(Software())
    channel.run(select_pki(LAYOUT))
    user = LAYOUT.pins.user
    channel.run(verify_pin(LAYOUT, user, Pin("123456")))
    signature = channel.run(sign(LAYOUT, KEY, b"TEST message", b"TEST-user@example"))
    assert KEY.verify(b"TEST message", signature, b"TEST-user@example")
    channel.run(change_pin(LAYOUT, user, Pin("123456"), Pin("1234567890123456")))
    channel.run(verify_pin(LAYOUT, user, Pin("1234567890123456")))
    channel.run(verify_pin(LAYOUT, LAYOUT.pins.administrator, Pin("12345678")))
    channel.run(import_session_key(LAYOUT, SESSION_KEY))


# -- envelopes -----------------------------------------------------------------------------------


def opened(*answers: tuple[str, str], envelope: Envelope = ENVELOPE) -> object:
    return run(list(answers), lambda: open_envelope(LAYOUT, envelope))


def test_an_envelope_that_openssl_sealed() -> None:
    assert opened((DECIPHER, "6110"), ("00C0000010", SESSION_KEY.hex() + "9000")) == TEXT


def test_sealing_under_a_known_session_key() -> None:
    """The text as openssl enciphers it; the key as the card's side deciphers it."""
    given_first = [SESSION_KEY, bytes(range(16)), b"\x01" * 32]
    key = decode_certificate(der_of("TEST-encryption.pem")).sm2_key
    envelope = seal(key, TEXT, random=lambda size: given_first.pop(0))
    assert envelope.content.hex().upper() == SEALED_TEXT
    assert envelope.initial_value == bytes(range(16))
    private = int.from_bytes(b"TEST encryption key, no secret!!", "big")
    assert sm.decipher(private, envelope.sealed_key) == SESSION_KEY


@given(st.binary(max_size=100))
def test_what_is_sealed_for_the_card_opens_on_it(plaintext: bytes) -> None:
    channel = Channel(Software())
    channel.run(select_pki(LAYOUT))
    channel.run(verify_pin(LAYOUT, LAYOUT.pins.user, Pin("123456")))
    envelope = seal(decode_certificate(der_of("TEST-encryption.pem")).sm2_key, plaintext)
    assert channel.run(open_envelope(LAYOUT, envelope)) == plaintext
    elsewhere = seal(KEY, plaintext)
    with pytest.raises(CardRefusedError):
        channel.run(open_envelope(LAYOUT, elsewhere))


@pytest.mark.parametrize("answer", ["544553549000", "9000", SESSION_KEY.hex() + "00" + "9000", "00" * 16 + "9000"])
def test_an_envelope_that_does_not_open(answer: str) -> None:
    """Too short, nothing, too long; and a key under which the padding makes no sense."""
    with pytest.raises(EnvelopeError):
        opened((DECIPHER, answer))


@pytest.mark.parametrize(
    ("answer", "error"), [("6982", PkiPinNeededError), ("6A80", CardRefusedError), ("6D00", CardRefusedError)]
)
def test_a_card_that_does_not_decipher(answer: str, error: type[CardError]) -> None:
    with pytest.raises(error):
        opened((DECIPHER, answer))


@pytest.mark.parametrize("parts", [(111, 16, 16), (113, 16, 16), (112, 15, 16), (112, 16, 0), (112, 16, 17)])
def test_an_envelope_has_its_lengths(parts: tuple[int, int, int]) -> None:
    with pytest.raises(EnvelopeError):
        Envelope(*map(bytes, parts))


def test_a_session_key_goes_to_the_card() -> None:
    command = "804A021012 C110" + SESSION_KEY.hex()
    run([(command, "9000")], lambda: import_session_key(LAYOUT, SESSION_KEY))
    with pytest.raises(PkiPinNeededError):
        run([(command, "6982")], lambda: import_session_key(LAYOUT, SESSION_KEY))
    with pytest.raises(UsageError):
        run([], lambda: import_session_key(LAYOUT, SESSION_KEY[:15]))
