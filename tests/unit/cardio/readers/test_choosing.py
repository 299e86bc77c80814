import pytest

from cardio.card.runner import find_card
from cardio.errors import AmbiguousReaderError, NoReaderError, ReaderNotFoundError, SeveralCardsError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.readers.base import choose_reader
from simulators.card.faults import with_fault
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader

A, B, C = SoftwareReader("Vendor One 00"), SoftwareReader("Vendor Two 01"), SoftwareReader("Other 02")


@pytest.mark.parametrize(("wanted", "reader"), [("Vendor One 00", A), ("two", B), ("2", C), ("0", A), ("other", C)])
def test_a_reader_is_meant_by_name_part_or_number(wanted: str, reader: SoftwareReader) -> None:
    assert choose_reader([A, B, C], wanted) is reader


@pytest.mark.parametrize("wanted", ["vendor", "3", "nothing", ""])
def test_what_means_none_or_several_is_refused_with_the_names(wanted: str) -> None:
    with pytest.raises(ReaderNotFoundError, match="Vendor One 00"):
        choose_reader([A, B, C], wanted)


def test_of_several_that_fit_the_only_one_with_a_card_is_meant() -> None:
    with_card = SoftwareReader("Vendor Three", find_persona("adult").card())
    assert choose_reader([A, with_card, B], "vendor") is with_card
    with pytest.raises(AmbiguousReaderError) as raised:
        choose_reader([A, with_card, SoftwareReader("Vendor Four", find_persona("child").card())], "vendor")
    assert raised.value.code == "reader-ambiguous"


def test_without_a_name_the_one_with_a_card_is_meant(store: CapabilityCache) -> None:
    with_card = SoftwareReader("D", find_persona("adult").card())
    assert find_card([A, with_card, C], capabilities=store) is with_card
    assert find_card([A], capabilities=store) is A
    assert find_card([A, B], capabilities=store) is A
    with pytest.raises(NoReaderError):
        find_card([], capabilities=store)


def test_without_a_name_another_kind_of_card_gives_way_and_two_of_ours_do_not(store: CapabilityCache) -> None:
    bank = SoftwareReader("E", with_fault(find_persona("adult").card(), "bank-card"))
    first, second = (SoftwareReader(name, find_persona("adult").card()) for name in "FG")
    assert find_card([bank, first], capabilities=store) is first
    with pytest.raises(SeveralCardsError, match=r"F.*G"):
        find_card([bank, first, second], capabilities=store)
