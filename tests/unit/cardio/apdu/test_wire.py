"""Wire costs against the arithmetic of the standard (ISO/IEC 7816-3), worked by hand."""

import pytest

from cardio.apdu.timing import bits_per_second, t0_characters, t0_seconds


@pytest.mark.parametrize(
    ("out", "back", "characters"), [(15, 0, 23), (0, 18, 26), (0, 0, 7), (2, 0, 10), (0, 64, 72), (0, 91, 99)]
)
def test_characters_of_one_exchange(out: int, back: int, characters: int) -> None:
    assert t0_characters(out, back) == characters


def test_bit_rates() -> None:
    assert bits_per_second() == 9600.0
    assert bits_per_second(0x95) == pytest.approx(111_600)
    assert bits_per_second(0x7F) is None
    assert t0_seconds(440) == pytest.approx(0.550)
    with pytest.raises(ValueError, match="TA1"):
        t0_seconds(1, 0x0F)
