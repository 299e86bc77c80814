"""Text: the joins and fills of card.md §2.1, §2.10, bytes by hand."""

import pytest

from cardio.errors import DecodeError
from cardio.filesystem.codec.text import decode_text, encode_text, join_split_text, trim


@pytest.mark.parametrize(
    ("head", "tail", "text"),
    [
        # 测(B2E2) 甲(BCD7); 㐂 is 8139EF31
        ("B2E2" * 15, "BCD7" + "00" * 18, "测" * 15 + "甲"),
        ("B2E2" * 14 + "8139", "EF31BCD7" + "00" * 16, "测" * 14 + "㐂甲"),
        ("41" + "B2E2" * 14 + "BC", "D7" + "00" * 19, "A" + "测" * 14 + "甲"),
        ("B2E2" + "00" * 28, "00" * 20, "测"),
        ("B2E2" + "00" * 28, "FF" * 20, "测"),
        ("B2E2" + "20" * 28, "20" * 20, "测"),
        # An issuer that would not split a character left a blank at the end.
        ("41" + "B2E2" * 14 + "20", "BCD7" + "00" * 18, "A" + "测" * 14 + "甲"),
        # A blank between words of a foreign name is no fill.
        ("41" * 29 + "20", "42" * 3 + "00" * 17, "A" * 29 + " BBB"),
    ],
)
def test_a_text_over_two_fields(head: str, tail: str, text: str) -> None:
    assert decode_text(join_split_text(bytes.fromhex(head), bytes.fromhex(tail))) == (text, False)


def test_each_half_alone_could_not_be_decoded() -> None:
    with pytest.raises(DecodeError):
        decode_text(bytes.fromhex("B2E2" * 14 + "8139"))


def test_fill_is_taken_away_and_nothing_else() -> None:
    assert trim(bytes.fromhex("4142 2000 43")) == b"AB"
    assert trim(bytes.fromhex("4142 FF20FF")) == b"AB"
    assert trim(b" A B ") == b" A B"


def test_characters_that_moved_in_2022_both_ways() -> None:
    assert decode_text(bytes.fromhex("FE59A6D9")) == ("\u9fb4\ufe10", False)
    assert encode_text("\u9fb4") == bytes.fromhex("FE59")
    # Beyond FFFF the two-byte code is read, and the four-byte code is written.
    assert decode_text(bytes.fromhex("FE51")) == ("\U00020087", False)
    assert encode_text("\U00020087") == bytes.fromhex("95329031")
