"""Names of readers: every name has a readable text, and every text leads back to its own bytes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.readers.named_calls import split_names
from cardio.readers.reader_names import raw_name, readable_name


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"Counter A 00 00", "Counter A 00 00"),
        (bytes.fromhex("E5BEB7E58DA1543130"), "德卡T10"),
        (bytes.fromhex("B5C2BFA8543130"), "德卡T10 [GBK]"),
        (b"Lecteur \xe0 puce", "Lecteur à puce [Latin-1]"),
        (b"Reader [GBK]", "Reader [GBK] [GBK]"),
    ],
)
def test_names_as_people_read_them(raw: bytes, name: str) -> None:
    assert readable_name(raw) == name
    assert raw_name(name, lambda: []) == raw


@given(st.lists(st.binary(min_size=1, max_size=40).filter(lambda raw: 0 not in raw), unique=True, max_size=8))
def test_no_two_names_have_one_text_and_each_leads_back(raws: list[bytes]) -> None:
    names = [readable_name(raw) for raw in raws]
    assert len(set(names)) == len(raws)
    assert [raw_name(name, lambda: raws) for name in names] == raws


@given(st.binary(min_size=1, max_size=40))
def test_nothing_invisible_stands_in_a_name(raw: bytes) -> None:
    categories = {unicodedata.category(character) for character in readable_name(raw)}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_a_name_that_no_reader_has_leads_nowhere() -> None:
    assert raw_name("X [0123456789ABCDEF]", lambda: [b"Counter A 00 00"]) is None


def test_a_block_of_names_ends_at_the_empty_one() -> None:
    assert split_names(b"A 0\0B 0\0\0garbage\0") == [b"A 0", b"B 0"]
    assert split_names("A\0读\0\0".encode("utf-16-le"), 2) == ["A".encode("utf-16-le"), "读".encode("utf-16-le")]
    assert split_names(b"\0\0") == split_names(b"") == []
