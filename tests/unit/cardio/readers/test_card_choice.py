"""Which card is meant where the call names no reader: what counts, what gives way, and when a person has to choose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cardio.errors import CardMuteError, NoCardError, NoReaderError, SeveralCardsError
from cardio.readers.card_choice import CardSlot, Choice, Interface, Preference, ReaderPolicy, choose_card

CONTACT_ATR = bytes.fromhex("3B6D00000081544C928684370200000001")
CONTACTLESS_ATR = bytes.fromhex("3B8D80014D524B4B0000000000000000E1")
EMPTY, OTHER = CardSlot("Counter A 00 00", occupied=False), CardSlot("Token", True, b"\x3b\x00", ours=False)
OURS = CardSlot("Counter B 00 00", True, CONTACT_ATR, ours=True)


def chosen(*slots: CardSlot, policy: ReaderPolicy | None = None, preference: Preference | None = None) -> Choice:
    return choose_card(slots, policy or ReaderPolicy(), preference)


def test_an_empty_reader_gives_way_to_one_with_a_card() -> None:
    assert chosen(EMPTY) == Choice("Counter A 00 00")
    assert chosen(EMPTY, OURS) == Choice("Counter B 00 00")
    assert chosen(OTHER) == Choice("Token"), "alone it is the one that is meant, whatever it is"


def test_cards_beside_each_other_are_asked_and_the_other_kind_gives_way() -> None:
    unasked = CardSlot("Token", True), CardSlot("Counter B 00 00", True)
    assert chosen(*unasked) == Choice(None, ("Token", "Counter B 00 00"))
    assert chosen(OTHER, OURS) == chosen(OURS, OTHER) == Choice("Counter B 00 00")
    assert chosen(OTHER, CardSlot("Token 2", True, ours=False)) == Choice("Token"), "its own error says what it is"


def test_two_social_security_cards_are_not_chosen_between() -> None:
    with pytest.raises(SeveralCardsError, match=r"Counter B 00 00.*Counter C"):
        chosen(OURS, CardSlot("Counter C", True, CONTACT_ATR, ours=True), OTHER)


def test_a_card_that_does_not_say_what_it_is_is_not_passed_over() -> None:
    """It may be the patient's, upside down, beside the card of the patient before."""
    with pytest.raises(CardMuteError) as raised:
        chosen(OURS, CardSlot("Counter C", True, fault=CardMuteError()))
    assert "Counter C" in raised.value.detail and "Counter C" in raised.value.detail_en
    assert chosen(OURS, CardSlot("Counter C", True, fault=CardMuteError()), policy=ReaderPolicy(use=("B 00",))).reader


def test_what_gives_way_by_itype_need_not_say_what_it_is() -> None:
    """A telephone on the antenna, while the patient's card is in the slot that is asked for first."""
    telephone = CardSlot("ACR1281 PICC 00 01", True, fault=CardMuteError())
    assert chosen(OURS, telephone, preference=Preference.CONTACT_FIRST) == Choice(OURS.name)
    with pytest.raises(CardMuteError):
        chosen(OURS, telephone, preference=Preference.CONTACTLESS_FIRST)
    with pytest.raises(CardMuteError):
        chosen(OTHER, telephone, preference=Preference.CONTACT_FIRST)


@pytest.mark.parametrize("named", ["Counter A 00 01", "a 00 01", "1"])
def test_the_configured_sams_slot_is_never_the_patients(named: str) -> None:
    slots = CardSlot("Counter A 00 00", False), CardSlot("Counter A 00 01", True, CONTACT_ATR, ours=True)
    assert chosen(*slots, policy=ReaderPolicy(sam=(named,))) == Choice("Counter A 00 00")
    with pytest.raises(NoReaderError):
        chosen(slots[1], policy=ReaderPolicy(sam=("Counter A 00 01",)))


def test_a_number_means_a_reader_of_pcsc_as_it_does_where_the_sam_is_opened() -> None:
    simulated = CardSlot("Simulated Reader 00", True, CONTACT_ATR), CardSlot("Simulated Reader 01", False)
    sam = CardSlot("Counter A 00 01", True, CONTACT_ATR)
    listed = *simulated, CardSlot("Counter A 00 00", False), sam
    slots = [replace(slot, simulated=slot.name.startswith("Simulated")) for slot in listed]
    assert chosen(*slots, policy=ReaderPolicy(sam=("1",))) == Choice("Simulated Reader 00"), "the SAM is none beside it"
    assert chosen(*slots[:2], policy=ReaderPolicy(sam=("0",))) == Choice("Simulated Reader 00")


def test_a_slot_for_sams_by_its_name_counts_only_where_the_settings_say_so() -> None:
    slot = CardSlot("Identiv SCR3310 SAM 00 01", True, CONTACT_ATR, ours=True)
    with pytest.raises(NoReaderError):
        chosen(slot)
    assert chosen(slot, policy=ReaderPolicy(use=("SCR3310 SAM",))) == Choice(slot.name)


def test_readers_that_are_there_and_do_not_count_are_no_loose_cable() -> None:
    with pytest.raises(NoReaderError, match=r"Counter B 00 00.*Token") as caught:
        chosen(OURS, OTHER, policy=ReaderPolicy(use=("Window 9",)))
    assert "readers" in caught.value.remedy and "readers" in caught.value.remedy_en
    with pytest.raises(NoReaderError) as caught:
        chosen()
    assert caught.value.remedy == NoReaderError.remedy


def test_a_setting_says_which_readers_count() -> None:
    two = OURS, CardSlot("Counter C", True, CONTACT_ATR, ours=True)
    assert chosen(*two, policy=ReaderPolicy(use=("counter c",))) == Choice("Counter C")
    assert ReaderPolicy(use=("Counter C", "Window 9"), sam=("Nothing", "7")).missing(["Counter C"]) == [
        "Window 9",
        "Nothing",
    ]


@pytest.mark.parametrize(
    ("name", "atr", "interface"),
    [
        ("ACS ACR1281 1S Dual Reader 00 01", CONTACTLESS_ATR, Interface.CONTACTLESS),
        ("ACS ACR1281 1S Dual Reader 00 00", CONTACT_ATR, Interface.CONTACT),
        ("ACS ACR1281 1S Dual Reader 00 00", b"", Interface.UNKNOWN),
        ("ACS ACR1252 1S PICC Reader", b"", Interface.CONTACTLESS),
        ("ACS ACR1281 1S Dual Reader ICC 00 00", b"", Interface.CONTACT),
        ("OMNIKEY 5422CL", CONTACT_ATR, Interface.CONTACT),
    ],
)
def test_the_atr_tells_more_than_the_name(name: str, atr: bytes, interface: Interface) -> None:
    assert ReaderPolicy().interface(name, atr) is interface
    assert ReaderPolicy(contact=(name,)).interface(name, atr) is Interface.CONTACT
    assert ReaderPolicy(contactless=(name[:6],)).interface(name, atr) is Interface.CONTACTLESS


DUAL = (
    CardSlot("ACS ACR1281 1S Dual Reader 00 00", True, CONTACT_ATR, ours=True),
    CardSlot("ACS ACR1281 1S Dual Reader 00 01", True, CONTACTLESS_ATR, ours=True),
)


@pytest.mark.parametrize(("preference", "number"), [(1, 0), (2, 1), (3, 0), (4, 1)])
def test_itype_chooses_between_the_slots_of_one_reader(preference: int, number: int) -> None:
    assert chosen(*DUAL, preference=Preference(preference)) == Choice(DUAL[number].name)


def test_itype_without_a_card_of_its_kind() -> None:
    with pytest.raises(NoCardError, match="非接触"):
        chosen(DUAL[0], preference=Preference.CONTACTLESS)
    assert chosen(DUAL[1], preference=Preference.CONTACT_FIRST) == Choice(DUAL[1].name)
    empty = CardSlot("ACS ACR1281 1S Dual Reader 00 01", False)
    assert chosen(DUAL[0], empty, preference=Preference.CONTACTLESS) == Choice(empty.name), "where it is to be laid"
    with pytest.raises(NoReaderError):
        chosen(preference=Preference.CONTACT)
