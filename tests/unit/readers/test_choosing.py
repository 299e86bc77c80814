import pytest

from cardio.errors import NoReaderError, ReaderNotFoundError
from cardio.readers.base import choose_reader
from simulators.personas import find_persona
from simulators.reader import SoftwareReader

A, B, C = SoftwareReader("Vendor One 00"), SoftwareReader("Vendor Two 01"), SoftwareReader("Other 02")


@pytest.mark.parametrize(("wanted", "reader"), [("Vendor One 00", A), ("two", B), ("2", C), ("0", A), ("other", C)])
def test_a_reader_is_meant_by_name_part_or_number(wanted: str, reader: SoftwareReader) -> None:
    assert choose_reader([A, B, C], wanted) is reader


@pytest.mark.parametrize("wanted", ["vendor", "3", "nothing", ""])
def test_what_means_none_or_several_is_refused_with_the_names(wanted: str) -> None:
    with pytest.raises(ReaderNotFoundError, match="Vendor One 00"):
        choose_reader([A, B, C], wanted)


def test_without_a_name_the_one_with_a_card_is_meant() -> None:
    with_card = SoftwareReader("D", find_persona("adult").card())
    assert choose_reader([A, with_card, C], None) is with_card
    assert choose_reader([A], None) is A
    assert choose_reader([A, B], None) is A
    with pytest.raises(NoReaderError):
        choose_reader([], None)
