"""PIN pads: the structures of PC/SC part 10 byte for byte, features that are none, and what the pad says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardioError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.readers.pin_pad import modify_structure as modify
from cardio.readers.pin_pad import parse_features, verify_structure
from cardio.security.credentials import Credentials
from cardio.security.pin.pad_status import entry_error_of
from simulators.personas.persona import find_persona
from simulators.readers.pin_pad import CANCEL, TIMEOUT, CardWithPinPad, Entry
from simulators.readers.software_reader import SoftwareConnection, SoftwareReader

VERIFY = (
    "1E"  # bTimerOut 30 s
    "0F"  # bTimerOut2 15 s
    "81"  # bmFormatString: bytes, position 0, left, BCD
    "03"  # bmPINBlockString: block of 3 bytes, no length
    "00"  # bmPINLengthFormat
    "0606"  # wPINMaxExtraDigit: 6 to 6
    "03"  # bEntryValidationCondition: full, or key
    "01"  # bNumberMessage
    "0408"  # wLangId 0804, little-endian
    "00"  # bMsgIndex
    "000000"  # bTeoPrologue
    "08000000"  # ulDataLength
    "0020000003FFFFFF"  # abData
)
MODIFY = (
    "1E0F81030000"  # as above, and bInsertionOffsetOld 0
    "04"  # bInsertionOffsetNew
    "0606"  # wPINMaxExtraDigit
    "03"  # bConfirmPIN: old asked for, new twice
    "03"  # bEntryValidationCondition
    "03"  # bNumberMessage
    "0408"  # wLangId
    "000102"  # bMsgIndex1 to 3
    "000000"  # bTeoPrologue
    "0C000000"  # ulDataLength
    "805E010007FFFFFFFFFFFFFF"  # abData
)


def test_structures_byte_for_byte() -> None:
    assert verify_structure(6).hex().upper() == VERIFY
    assert modify(6).hex().upper() == MODIFY
    assert verify_structure(5).endswith(bytes.fromhex("0020000003FFFFFF"))  # the odd last nibble stays F
    assert verify_structure(8)[3] == 4 and verify_structure(8)[5:7] == b"\x08\x08"


def test_features_by_tag_and_nothing_from_nonsense() -> None:
    assert parse_features(bytes.fromhex("060442330006 070442330007")) == {6: 0x42330006, 7: 0x42330007}
    assert parse_features(bytes.fromhex("060442330006 0705")) == {6: 0x42330006}
    assert parse_features(bytes.fromhex("060342330006")) == {}


@given(st.binary(max_size=64))
def test_no_answer_of_a_reader_is_too_strange(answer: bytes) -> None:
    assert all(0 <= tag <= 255 for tag in parse_features(answer))


class PadConnection(SoftwareConnection):
    """A software reader with a pad: control codes go where the test driver sends them."""

    def feature_list(self) -> bytes:
        return bytes.fromhex("060400000006 070400000007")

    def control(self, code: int, data: bytes) -> bytes:
        return self.transmit(bytes((0xFF, 0xC2, 0x01, code, len(data))) + data)


class PadReader(SoftwareReader):
    def connect(self) -> SoftwareConnection:
        connection = super().connect()
        connection.__class__ = PadConnection
        return connection


def on_pad(work: Callable[[SocialSecurityCard], object], *entries: Entry) -> tuple[object, CardWithPinPad]:
    card = CardWithPinPad(find_persona("personalised").card(), list(entries))
    reader = PadReader("r", card)
    credentials = Credentials(pad_digits=6)
    with SocialSecurityCard(
        reader.connect(), reader, capabilities=CapabilityCache(None), credentials=credentials
    ) as held:
        return work(held), card


def test_a_file_opens_with_the_pin_that_only_the_pad_has_seen() -> None:
    opened, card = on_pad(lambda held: held.file("DF01/EF05").opened_by, Entry("123456"))
    assert opened == "pin" and [one.hex().upper() for one in card.structures] == [VERIFY]


@pytest.mark.parametrize(
    ("entry", "code", "driver_code"),
    [
        (Entry("999999"), "wrong-pin", -51),
        (Entry(instead=TIMEOUT), "pin-entry-timeout", -32),
        (Entry(instead=CANCEL), "pin-entry-cancelled", -31),
        (Entry("1234"), "pin-format", -33),
    ],
)
def test_what_the_holder_may_do_instead(entry: Entry, code: str, driver_code: int) -> None:
    with pytest.raises(CardioError) as caught:
        on_pad(lambda held: held.verify_pin(), entry)
    assert (caught.value.code, caught.value.driver_code) == (code, driver_code)


def test_a_new_pin_on_the_pad() -> None:
    entries = [Entry("123456", "654321", "654321"), Entry("654321")]

    def change_and_verify(held: SocialSecurityCard) -> None:
        held.change_pin_on_pad()
        held.verify_pin()

    _, card = on_pad(change_and_verify, *entries)
    assert [one.hex().upper() for one in card.structures] == [MODIFY, VERIFY]
    with pytest.raises(CardioError) as caught:
        on_pad(lambda held: held.change_pin_on_pad(), Entry("123456", "654321", "654322"))
    assert (caught.value.code, caught.value.driver_code) == ("pin-entry-mismatch", -34)


def test_a_reader_without_a_pad_says_so() -> None:
    reader = SoftwareReader("r", find_persona("personalised").card())
    with SocialSecurityCard(
        reader.connect(), reader, capabilities=CapabilityCache(None), credentials=Credentials(pad_digits=6)
    ) as held:
        with pytest.raises(CardioError) as caught:
            held.verify_pin()
    assert caught.value.code == "no-pin-pad"


def test_status_words_of_the_card_are_not_the_pads() -> None:
    assert all(entry_error_of(one) is None for one in (0x9000, 0x63C2, 0x6983, 0x6700))
