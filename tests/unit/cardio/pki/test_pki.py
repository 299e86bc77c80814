"""The certificate application: what is selected and read, byte for byte, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.apdu.channel import Channel, TransmissionProtocol
from cardio.errors import CardBlockedError, CardError, CardRefusedError
from cardio.pki.application import PkiContents, read_certificate, read_contents, read_signature_key, select_pki, sign
from cardio.pki.certificate import Certificate, decode_certificate
from cardio.pki.envelope import Envelope, open_envelope
from cardio.pki.errors import (
    CertificateUnusableError,
    NoCertificateError,
    NoPkiError,
    PkiPinNeededError,
    PublicKeyError,
)
from cardio.pki.pin import change_pin, verify_pin
from cardio.pki.sm2 import PublicKey
from cardio.security.pin.pin import Pin
from simulators.crypto import sm
from tests.unit.cardio.pki.pki_helpers import KEY, LAYOUT, POINT, Software, der_of, run

SELECT_ENVIRONMENT = "00A404000C 504B492EC9E7BBE1B1A3D5CF"
SELECT_APPLICATION = "00A404000C 53532E434552542E41444631"
CERTIFICATE = der_of("TEST-signature.pem").hex().upper()


def select(exchanges: list[tuple[str, str]]) -> None:
    run(exchanges, lambda: select_pki(LAYOUT))


def key_in(*answers: tuple[str, str]) -> PublicKey:
    return run([("00A40000020012", "9000"), *answers], lambda: read_signature_key(LAYOUT))


def certificate_in(*answers: tuple[str, str], select: str = "9000") -> Certificate:
    return run(
        [("00A40000020018", select), *answers], lambda: read_certificate(LAYOUT, LAYOUT.files.signature_certificate)
    )


# -- selecting -----------------------------------------------------------------------------------


def test_selecting_as_in_a_published_trace() -> None:
    select(
        [
            (SELECT_ENVIRONMENT, "6116"),
            ("00C0000016", "6F14840C504B492EC9E7BBE1B1A3D5CF730492023330 9000"),
            (SELECT_APPLICATION, "9000"),
        ]
    )


def test_an_application_without_a_name_is_selected_by_its_id() -> None:
    select([(SELECT_ENVIRONMENT, "9000"), (SELECT_APPLICATION, "6A82"), ("00A4000002DF01", "9000")])


@pytest.mark.parametrize("answer", ["6A82", "6A86", "6B00", "6700", "6D00", "6E00"])
def test_a_card_without_it_says_so(answer: str) -> None:
    with pytest.raises(NoPkiError):
        select([(SELECT_ENVIRONMENT, answer)])
    with pytest.raises(NoPkiError):
        select([(SELECT_ENVIRONMENT, "9000"), (SELECT_APPLICATION, answer), ("00A4000002DF01", "6A82")])


@pytest.mark.parametrize(
    ("answer", "error"), [("6283", CardBlockedError), ("6A81", CardBlockedError), ("6985", CardRefusedError)]
)
def test_an_application_that_is_not_to_be_had(answer: str, error: type[CardError]) -> None:
    with pytest.raises(error):
        select([(SELECT_ENVIRONMENT, answer)])


# -- the signature key ---------------------------------------------------------------------------


def test_the_signature_key_follows_two_bytes() -> None:
    assert key_in(("00B0000042", f"CA40 {POINT} 9000")) == KEY
    assert key_in(("00B0000042", f"0000 {POINT} 9000")) == KEY


@pytest.mark.parametrize("answer", ["CA40" + "00" * 64 + "9000", "FFFF" + "FF" * 64 + "9000", "9000", "6A82", "6B00"])
def test_no_key_has_been_generated(answer: str) -> None:
    with pytest.raises(NoCertificateError):
        key_in(("00B0000042", answer))


@pytest.mark.parametrize("point", [POINT[:-2] + "00", POINT[:-2], POINT[2:] + "73", "01" * 64])
def test_what_is_no_key(point: str) -> None:
    with pytest.raises(PublicKeyError):
        key_in(("00B0000042", f"CA40 {point} 9000"))


@pytest.mark.parametrize(("answer", "error"), [("6982", PkiPinNeededError), ("6981", CardRefusedError)])
def test_a_key_that_the_card_keeps(answer: str, error: type[CardError]) -> None:
    with pytest.raises(error):
        key_in(("00B0000042", answer))


@given(st.binary(max_size=66))
def test_any_bytes_are_a_key_or_none(content: bytes) -> None:
    try:
        assert key_in(("00B0000042", content.hex() + "9000")).point == content[2:66]
    except (PublicKeyError, NoCertificateError):
        pass


# -- certificates --------------------------------------------------------------------------------


def test_a_certificate_is_read_to_its_end_and_no_further() -> None:
    """466 bytes: F0 and E2."""
    read = certificate_in(("00B00000F0", CERTIFICATE[:480] + "9000"), ("00B000F0E2", CERTIFICATE[480:] + "9000"))
    assert read == decode_certificate(bytes.fromhex(CERTIFICATE))


def test_a_card_that_gives_less_at_once_is_asked_for_less() -> None:
    """70 hex at once, as an issuing tool writes: the offsets are 0, 70, E0, 150 and 1C0."""
    blocks = [
        ("00B0000070", CERTIFICATE[:224] + "9000"),
        ("00B0007070", CERTIFICATE[224:448] + "9000"),
        ("00B000E070", CERTIFICATE[448:672] + "9000"),
        ("00B0015070", CERTIFICATE[672:896] + "9000"),
        ("00B001C012", CERTIFICATE[896:] + "9000"),
    ]
    assert certificate_in(("00B00000F0", "6700"), *blocks) == decode_certificate(bytes.fromhex(CERTIFICATE))
    with pytest.raises(CardRefusedError):
        certificate_in(("00B00000F0", "6700"), ("00B0000070", "6700"))


@pytest.mark.parametrize("end", ["6B00", "6A82", "6982", "9000", "6F00"])
def test_a_file_that_ends_early_gives_a_damaged_certificate(end: str) -> None:
    read = certificate_in(("00B00000F0", CERTIFICATE[:480] + "9000"), ("00B000F0E2", end))
    assert read == decode_certificate(bytes.fromhex(CERTIFICATE[:480]))
    assert read.damage and read.common_name == "测试甲"


def test_a_short_answer_is_the_end_of_the_file() -> None:
    read = certificate_in(("00B00000F0", CERTIFICATE[:300] + "6282"))
    assert read == decode_certificate(bytes.fromhex(CERTIFICATE[:300]))


@pytest.mark.parametrize("content", ["00" * 240, "FF" * 240, "00"])
def test_an_empty_file_holds_no_certificate(content: str) -> None:
    with pytest.raises(NoCertificateError):
        certificate_in(("00B00000F0", content + "9000"))


def test_what_is_no_certificate_is_not_read_on() -> None:
    read = certificate_in(("00B00000F0", "AB" * 240 + "9000"))
    assert read.damage


def test_no_certificate_is_longer_than_eight_kilobytes() -> None:
    """30 82 1FFC is 8192 bytes with its header; one more is too much."""
    whole = certificate_in(
        ("00B00000F0", "30821FFC" + "00" * 236 + "9000"),
        *[(f"00B0{240 * n:04X}F0", "00" * 240 + "9000") for n in range(1, 34)],
        ("00B01FE020", "00" * 32 + "9000"),
    )
    assert len(whole.der) == 8192
    with pytest.raises(CertificateUnusableError):
        certificate_in(("00B00000F0", "30821FFD" + "00" * 236 + "9000"))


@pytest.mark.parametrize(
    ("answer", "error"), [("6A82", NoCertificateError), ("6A83", NoCertificateError), ("6985", CardRefusedError)]
)
def test_a_certificate_file_that_cannot_be_selected(answer: str, error: type[CardError]) -> None:
    with pytest.raises(error):
        certificate_in(select=answer)


@pytest.mark.parametrize(
    ("answer", "error"), [("6982", PkiPinNeededError), ("6F00", CardRefusedError), ("9000", NoCertificateError)]
)
def test_a_certificate_that_cannot_be_read(answer: str, error: type[CardError]) -> None:
    with pytest.raises(error):
        certificate_in(("00B00000F0", answer))


# -- all of it -----------------------------------------------------------------------------------


def contents_of(**settings: object) -> PkiContents:
    channel = Channel(Software(**settings))
    channel.run(select_pki(LAYOUT))
    return channel.run(read_contents(LAYOUT))


@pytest.mark.parametrize("t1", [False, True])
def test_the_software_cards_application(t1: bool) -> None:
    contents = contents_of(data_at_once=t1)
    assert contents.problems == ()
    assert contents.signature_key == KEY
    assert contents.signature_certificate is not None and contents.encryption_certificate is not None
    assert contents.signature_certificate.der == der_of("TEST-signature.pem")
    assert contents.encryption_certificate.der == der_of("TEST-encryption.pem")


def test_one_bad_file_hides_no_other() -> None:
    contents = contents_of(contents={0x12: b"\xca\x40" + b"\x01" * 64, 0x19: bytes(1020)})
    assert (contents.signature_key, contents.encryption_certificate) == (None, None)
    assert contents.signature_certificate is not None
    assert len(contents.problems) == 2
    assert "0019" in contents.problems[1].zh and "0019" in contents.problems[1].en


def test_an_answer_without_sense_hides_no_other_file() -> None:
    contents = run(
        [
            ("00A40000020012", "9000"),
            ("00B0000042", "90"),
            ("00A40000020018", "6A82"),
            ("00A40000020019", "9000"),
            ("00B00000F0", CERTIFICATE[:300] + "9000"),
        ],
        lambda: read_contents(LAYOUT),
    )
    assert isinstance(contents, PkiContents)
    assert contents.encryption_certificate is not None and len(contents.problems) == 2


def test_a_certificate_for_another_key_is_noticed() -> None:
    other = sm.public_key(12345)
    contents = contents_of(contents={0x12: b"\xca\x40" + other})
    assert contents.signature_key == PublicKey(other)
    assert len(contents.problems) == 1 and "公钥" in contents.problems[0].zh


# -- hostile cards -------------------------------------------------------------------------------


class Hostile:
    """Answers from a list; then, for ever, the last of it."""

    protocol = TransmissionProtocol.T0

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self.commands = 0

    def transmit(self, command: bytes) -> bytes:
        self.commands += 1
        return self._answers[min(self.commands, len(self._answers)) - 1]


STATUS = st.sampled_from(["9000", "6110", "6C10", "6282", "6700", "6982", "63C3", "63C0"]).map(bytes.fromhex)
START = st.sampled_from(
    [b"", b"\x30\x82\x01\xd2", b"\x30\x82\x1f\xfc", bytes.fromhex("CA40" + POINT), bytes.fromhex(CERTIFICATE)]
)
ANSWER = st.binary(max_size=3) | st.tuples(START, st.binary(max_size=120), STATUS).map(b"".join)


@given(st.lists(ANSWER, min_size=1, max_size=30))
def test_any_answers_at_all(answers: list[bytes]) -> None:
    """Only our own errors come out, after few commands, and no PIN is sent twice by one plan."""
    user, envelope = LAYOUT.pins.user, Envelope(bytes(112), bytes(16), bytes(16))
    for plan in (
        lambda: select_pki(LAYOUT),
        lambda: read_contents(LAYOUT),
        lambda: verify_pin(LAYOUT, user, Pin("123456"), accept_last_try=True),
        lambda: change_pin(LAYOUT, user, Pin("123456"), Pin("654321"), accept_last_try=True),
        lambda: sign(LAYOUT, KEY, b"TEST message"),
        lambda: open_envelope(LAYOUT, envelope),
    ):
        card = Hostile(answers)
        try:
            Channel(card).run(plan())
        except CardError:
            pass
        assert card.commands < 800
