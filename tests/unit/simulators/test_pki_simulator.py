"""The software card's certificate application by itself: its arithmetic, its files, its rules."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.card.pki import PkiApplication
from simulators.crypto import sm

ENVIRONMENT = "00A404000C 504B492EC9E7BBE1B1A3D5CF"
APPLICATION = "00A404000C 53532E434552542E41444631"
# printf '\x12\x34\x56' | openssl dgst -sm3 begins with this; 12345678 (packed) likewise.
USER_KEY = "3DE741F445DD357BEA4E6C3FE6437036"
# openssl enc -sm4-ecb -nopad -K $USER_KEY, of 00 to 0F, and of 01 to 08 with eight zeros
CRYPTOGRAM_16 = "F34EB25A585CE6584C4D2EB0EA4E9D30"
CRYPTOGRAM_8 = "3BA1F95647767DA9198CD4B476E6C9D7"
# The published trace of an issuing tool: default PINs, challenge and answer.
TRACED = [
    ("81", "51780DDC9394E497EAE01B3D9CAB4A97", "C6CEE3CC430485E8676D2A6B10E52494"),
    ("00", "3D3ECC44607070F8935A64A15E8D95BA", "638C4E4E44182071BA0619F81D35C892"),
]
# Session key "TEST session key": openssl pkeyutl -encrypt for TEST-encryption's, its four objects in a row
SEALED = (
    "9CE4E27299839357B5ADD2F1AFBA7835A7AB968BD0CBF3B51DF8EE6F7F32A5E5"
    "240F1E7B5CE5858DBB69C2B196A5F48E2FC09F6DB7ADEEC33D456D225EDFD669"
    "246DB1CF0D17CB90F13A6326F3BF2B09CA5163757E4074F85182C17E938622BD"
    "FD3317434522F497A416FBBEE157C639"
)
DECIPHER = "804E000178 C2020015 C1820070" + SEALED


class Card:
    """The application with a challenge that is known."""

    def __init__(self, challenge: str = "000102030405060708090A0B0C0D0E0F", **settings: object) -> None:
        given = bytes.fromhex(challenge)
        self.application = PkiApplication(random=lambda size: given[:size].ljust(size, b"\x11"), **settings)  # type: ignore[arg-type]

    def __call__(self, command: str) -> str | None:
        answer = self.application.transmit(bytes.fromhex(command))
        return None if answer is None else answer.hex().upper()

    def selected(self) -> "Card":
        self(ENVIRONMENT)
        self(APPLICATION)
        return self

    def verified(self) -> "Card":
        self.selected()
        self("0084000010")
        assert self("0020018110" + CRYPTOGRAM_16) == "9000"
        return self


# GB/T 32918.5-2017, annexes A and C.
PRIVATE = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
ONCE = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21


def test_the_standards_signature() -> None:
    assert sm.public_key(PRIVATE).hex().upper() == (
        "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
        "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
    )
    digest = bytes.fromhex("F0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640")
    # The number that is used once is one more than what the source gives, so that it is never zero.
    signature = sm.sign(PRIVATE, digest, lambda size: (ONCE - 1).to_bytes(size, "big"))
    assert signature.hex().upper() == (
        "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"
        "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
    )


def test_the_standards_encryption() -> None:
    sealed = bytes.fromhex(
        "04EBFC718E8D1798620432268E77FEB6415E2EDE0E073C0F4F640ECD2E149A73"
        "E858F9D81E5430A57B36DAAB8F950A3C64E6EE6A63094D99283AFF767E124DF0"
        "59983C18F809E262923C53AEC295D30383B54E39D609D160AFCB1908D0BD8766"
        "21886CA989CA9C7D58087307CA93092D651EFA"
    )
    assert sm.decipher(PRIVATE, sealed) == b"encryption standard"
    assert sm.decipher(PRIVATE + 1, sealed) is None
    assert sm.decipher(PRIVATE, sealed[:-1] + b"\x00") is None
    assert sm.decipher(PRIVATE, bytes(64) + sealed[64:]) is None
    assert sm.decipher(PRIVATE, sealed[:96]) is None


def test_sm4_and_its_mac() -> None:
    """GB/T 32907 annex A.1; the MAC with `openssl enc -sm4-cbc`, the last block's words XORed by hand."""
    key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    block = bytes.fromhex("681EDF34D206965E86B3E94F536E4246")
    assert sm.sm4_encipher(key, key) == block
    assert sm.sm4_decipher(key, block) == key
    message = bytes.fromhex("845E018114 714035C6FAF675C404311D61AE3E8083")
    assert sm.sm4_mac(bytes.fromhex(USER_KEY), bytes(range(16)), message).hex().upper() == "A3B19EB6"


def test_it_is_silent_until_it_is_selected() -> None:
    card = Card()
    for command in (APPLICATION, "00A40000020012", "0084000010", "0020018100", "00C0000016", "00", ""):
        assert card(command) is None
    assert card("0020010C0C 504B492EC9E7BBE1B1A3D5CF") is None  # its name, but not in SELECT


def test_selection_answers_as_in_the_published_trace() -> None:
    card = Card()
    assert card(ENVIRONMENT) == "6116"
    assert card("00C0000016") == "6F14840C504B492EC9E7BBE1B1A3D5CF7304920233309000"
    assert card("00A40000020012") == "6A82"
    assert card(APPLICATION) == "6110"
    assert card("00C0000010") == "6F0E840C53532E434552542E414446319000"
    assert card("00C0000010") == "6985"
    assert card("00A4000002DF01") == "6110"
    assert card("00C0000011") == "6C10"
    assert card("00C0000004") == "6F0E840C610C"


def test_behind_t1_the_data_come_at_once() -> None:
    assert Card(data_at_once=True)(ENVIRONMENT + "00") == "6F14840C504B492EC9E7BBE1B1A3D5CF7304920233309000"


@pytest.mark.parametrize(
    "command", ["00A404000F7378312E73682EC9E7BBE1B1A3D5CF", "00A40000023F00", "00A40000", "00A4000000"]
)
def test_it_leaves_when_something_else_is_selected(command: str) -> None:
    card = Card().verified()
    assert card(command) is None
    assert card("0084000010") is None
    card.selected()
    assert card("002A9E9A20" + "00" * 32) == "6982"


def test_files() -> None:
    card = Card().selected()
    assert card("00B0000042") == "6986"
    assert card("00A40000020012") == "9000"
    key = card("00B0000042")
    assert key is not None and key[4:-4] == (
        "45F13BB0718ECE4D8D30271CB4116DCDF4289C892368633D8CB63BDF7A28B6CF"
        "0AC818C3AB406A7F57A508EEBE2D5DE5D8BA20C4798860627748838B2A1C0173"
    )
    assert card("00B0000043") == "6C42"
    assert card("00B0004200") == "6B00"
    assert card("00B0920000") == "6A86"
    assert card("00A40200020018") == "9000"
    start = card("00B0000004")
    assert start == "308201CE9000"
    assert card("00A40000020077") == "6A82"
    assert card("00A40000030012FF") == "6A86"
    assert card("00A40001020012") == "6A86"
    assert card("00A40000020012FFFF") == "6700"


@pytest.mark.parametrize("file", ["0013", "0015"])
def test_private_keys_are_not_read(file: str) -> None:
    card = Card().verified()
    assert card(f"00A4000002{file}") == "9000"
    assert card("00B0000020") == "6982"


def test_certificates_are_what_openssl_wrote() -> None:
    folder = Path(__file__).parents[3] / "simulators" / "card" / "certificates"
    for name in ("TEST-issuer.pem", "TEST-signature.pem", "TEST-encryption.pem"):
        text = (folder / name).read_text(encoding="utf-8")
        assert text.startswith("TEST ONLY") and "BEGIN CERTIFICATE" in text and "PRIVATE KEY" not in text


@pytest.mark.parametrize(("reference", "challenge", "answer"), TRACED)
def test_pins_as_in_the_published_trace(reference: str, challenge: str, answer: str) -> None:
    card = Card(challenge).selected()
    assert card("0084000010") == challenge + "9000"
    assert card(f"002001{reference}10{answer}") == "9000"


def test_a_challenge_of_eight_bytes_is_filled_with_zeros() -> None:
    card = Card("0102030405060708").selected()
    assert card("0084000008") == "01020304050607089000"
    assert card("0020018110" + CRYPTOGRAM_8) == "9000"


def test_tries_count_down_survive_a_reset_and_come_back() -> None:
    card = Card(tries=3).selected()
    assert card("00200181") == "63C3"
    card("0084000010")
    assert card("0020018110" + "00" * 16) == "63C2"
    card.application.reset()
    assert card("00200181") is None
    card.selected()
    assert card("0020018100") == "63C2"
    card("0084000010")
    assert card("0020018110" + CRYPTOGRAM_16) == "9000"
    assert (card("00200181"), card.application.tries_left()) == ("9000", 3)
    for left in ("63C2", "63C1", "63C0"):
        card("0084000010")
        assert card("0020018110" + "00" * 16) == left
    card("0084000010")
    assert card("0020018110" + CRYPTOGRAM_16) == "6983"
    assert card("00200100") == "63C3"


def test_verify_wants_its_form_and_a_fresh_challenge() -> None:
    card = Card().selected()
    assert card("0020018110" + CRYPTOGRAM_16) == "6984"
    card("0084000010")
    card("00A40000020012")
    assert card("0020018110" + CRYPTOGRAM_16) == "6984"
    assert card("0020018108" + "00" * 8) == "6700"
    assert card("0020018110" + "00" * 15) == "6700"
    assert card("0020018210" + CRYPTOGRAM_16) == "6A88"
    assert card("0020008110" + CRYPTOGRAM_16) == "6A86"
    assert card("0084000005") == "6700"
    assert card("0084010008") == "6A86"
    assert card.application.tries_left() == 3


def test_a_new_pin_comes_with_a_mac_under_the_old_one() -> None:
    """Block and MAC for 654321, computed with openssl: see test_pki."""
    change = "845E018114 714035C6FAF675C404311D61AE3E8083 A3B19EB6"
    card = Card().selected()
    assert card(change) == "6982"
    card.verified()
    assert card(change) == "6984"
    card("0084000010")
    assert card(change[:-1] + "7") == "6988"
    card("0084000010")
    assert card("845E018110" + "00" * 16) == "6700"
    card("0084000010")
    assert card("845E008114" + "00" * 20) == "6A86"
    card("0084000010")
    assert card(change) == "9000"
    card("0084000010")
    assert card("0020018110" + CRYPTOGRAM_16) == "63C2"


def test_a_new_pin_must_be_one() -> None:
    """``00`` and zeros in place of the block: openssl enc -sm4-ecb, then the MAC as above."""
    key, challenge = bytes.fromhex(USER_KEY), bytes(range(16))
    block = sm.sm4_encipher(key, bytes(16))
    mac = sm.sm4_mac(key, challenge, bytes.fromhex("845E018114") + block)
    card = Card().verified()
    card("0084000010")
    assert card("845E018114" + (block + mac).hex()) == "6A80"


def test_signing_wants_the_pin_and_a_hash() -> None:
    card = Card().selected()
    assert card("002A9E9A20" + "00" * 32) == "6982"
    card.verified()
    assert card("002A9E9A1F" + "00" * 31) == "6700"
    assert card("002A80862000" + "00" * 31) == "6A86"
    assert card("002A9E9A20" + "00" * 32) == "6140"


def test_deciphering_what_openssl_sealed() -> None:
    card = Card().selected()
    assert card(DECIPHER) == "6982"
    card.verified()
    assert card(DECIPHER) == "6110"
    assert card("00C0000010") == b"TEST session key".hex().upper() + "9000"
    assert card(DECIPHER.replace("C2020015", "C2020013")) == "6A80"
    assert card(DECIPHER.replace("C2020015", "C2020018")) == "6A88"
    assert card(DECIPHER.replace("C2020015", "C3020015")) == "6A80"
    assert card(DECIPHER.replace("0070", "0071")) == "6A80"
    assert card(DECIPHER.replace("804E0001", "804E0002")) == "6A86"
    assert card("804E000104C2020015") == "6700"


def test_a_session_key_is_taken_after_the_pin() -> None:
    command = "804A021012 C110" + b"TEST session key".hex()
    card = Card().selected()
    assert card(command) == "6982"
    card.verified()
    assert card(command) == "9000"
    assert card.application.session_key == b"TEST session key"
    assert card("804A021012 C210" + "00" * 16) == "6A80"
    assert card("804A021112 C110" + "00" * 16) == "6A86"
    card.application.reset()
    assert card.application.session_key is None


def test_other_commands_are_not_known() -> None:
    card = Card().selected()
    assert card("00B2010400") == "6D00"
    assert card("80400000") == "6D00"
    assert card("F0000000") == "6E00"
    assert card("00B0") == "6700"


@given(commands=st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_at_all_are_answered(commands: list[bytes]) -> None:
    application = PkiApplication()
    application.transmit(bytes.fromhex(ENVIRONMENT))
    application.transmit(bytes.fromhex(APPLICATION))
    for command in commands:
        answer = application.transmit(command)
        assert answer is None or len(answer) >= 2
