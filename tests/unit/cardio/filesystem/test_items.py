"""Values: hand-written bytes after V2.0 table 9 and the field (card.md §2.10, §4.4), and round trips."""

from dataclasses import replace
from datetime import date, datetime
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.errors import DecodeError, UsageError
from cardio.filesystem.codec.items import HiddenCharacters, PartialDate, Value, decode_item, decode_value, encode_value
from cardio.filesystem.layouts.loader import GENERATIONS, layout_of
from cardio.filesystem.layouts.model import Format, Item, Kind


def item(format_: Format, kind: Kind, length: int, **more: object) -> Item:
    return replace(
        Item(name="x", label="x", label_en="x", format=format_, kind=kind, length=length),
        **more,  # type: ignore[arg-type]
    )


NAME = item(Format.AN, Kind.TEXT, 30)
VERSION = item(Format.AN, Kind.TEXT, 4)
DATE = item(Format.CN, Kind.DATE, 4)
DIGITS = item(Format.CN, Kind.DIGITS, 3)
CARD_NUMBER = item(Format.AN, Kind.TEXT, 9, cut=True)

GOLDEN = [
    # item, bytes on the card, value; written by hand
    (NAME, "B2E2CAD4BCD7" + "00" * 24, "测试甲"),
    (NAME, "B2E2CAD4BCD7" + "FF" * 24, "测试甲"),
    (NAME, "B2E2CAD4BCD7" + "20" * 24, "测试甲"),
    (NAME, "B2E2CAD4BCD7" + "00" + "20" * 23, "测试甲"),
    (NAME, "B2E2 9933A736 8139EF31 FE59" + "00" * 18, "测\U0002cb3e㐂龴"),
    (NAME, "00" * 30, None),
    (NAME, "FF" * 30, None),
    (NAME, "20" * 30, None),
    (VERSION, "322E3000", "2.0"),
    (VERSION, "332E3030", "3.00"),
    (CARD_NUMBER, "423030303030313331", "B00000131"),
    (CARD_NUMBER, "423030303030313331" + "FF" * 16, "B00000131"),
    (DATE, "20101001", date(2010, 10, 1)),
    (DATE, "00000000", None),
    (DATE, "FFFFFFFF", None),
    (DATE, "3230313031303031", date(2010, 10, 1)),
    (DIGITS, "370200", "370200"),
    (DIGITS, "3702FF", "3702"),
    (DIGITS, "000000", None),
    (item(Format.CN, Kind.CODE, 1), "01", "01"),
    (item(Format.CN, Kind.CODE, 1), "20", "20"),  # 傈僳族, and not a blank
    (DATE, "20202020", None),
    (NAME, "\u3164".encode("gb18030").hex().ljust(60, "0"), ""),
    (item(Format.CN, Kind.AMOUNT, 4), "12345FFF", 12345),
    (item(Format.CN, Kind.AMOUNT, 4), "0FFFFFFF", 0),
    (item(Format.CN, Kind.AMOUNT, 4), "FFFFFFFF", None),
    (item(Format.CN, Kind.TIME, 7), "20260131235959", datetime(2026, 1, 31, 23, 59, 59)),
    (item(Format.CN, Kind.MONTH, 3), "202605", "2026-05"),
    (item(Format.AN, Kind.NUMBER, 3), "303132", 12),
    (item(Format.B, Kind.AMOUNT, 4), "0000012C", 300),
    (item(Format.B, Kind.AMOUNT, 4), "00000000", 0),
    (item(Format.CN, Kind.HEX, 12), "9156000002430200430100D5", "9156000002430200430100D5"),
]


@pytest.mark.parametrize(("one", "raw", "value"), GOLDEN)
def test_bytes_on_the_card_say(one: Item, raw: str, value: Value | None) -> None:
    assert decode_value(one, bytes.fromhex(raw)) == value


@pytest.mark.parametrize(
    ("one", "raw"),
    [
        (DATE, "19700230"),
        (DATE, "19771301"),
        (DATE, "1977AB01"),
        (DATE, "197708"),
        (DIGITS, "37A200"),
        (NAME, "B2E2CA"),
        (NAME, "80" + "41" * 29),
        (item(Format.AN, Kind.NUMBER, 3), "303141"),
    ],
)
def test_bytes_that_cannot_be(one: Item, raw: str) -> None:
    if raw == "197708":
        with pytest.raises(PartialDate):
            decode_value(one, bytes.fromhex(raw))
    else:
        with pytest.raises(DecodeError):
            decode_value(one, bytes.fromhex(raw))


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("32303132", "2012"),
        ("2012FFFF", "2012"),
        ("201205FF", "2012-05"),
        ("20120500", "2012-05"),
        ("20120000", "2012"),
    ],
)
def test_a_date_without_its_day_is_said_to_be_one(raw: str, written: str) -> None:
    with pytest.raises(PartialDate, match=written):
        decode_value(DATE, bytes.fromhex(raw))


def test_one_bad_value_is_reported_and_not_raised() -> None:
    decoded = decode_item(DATE, bytes.fromhex("19700230"))
    assert decoded.value is None
    assert decoded.problem is not None and "19700230" in decoded.problem.detail


def test_control_and_bidi_characters_do_not_reach_a_screen() -> None:
    # 8136A532 is U+202E (right-to-left override) in GB18030.
    value = decode_value(NAME, b"A" + "\u202e\u061c\u2028\u00ad".encode("gb18030") + b"B\x07C")
    assert value == "ABC"
    assert isinstance(value, HiddenCharacters)


@pytest.mark.parametrize(
    ("one", "value", "raw"),
    [
        (NAME, "测试甲", "B2E2CAD4BCD7" + "00" * 24),
        (NAME, "龴", "FE59" + "00" * 28),
        (NAME, None, "00" * 30),
        (DATE, date(1977, 8, 9), "19770809"),
        (DATE, None, "FFFFFFFF"),
        (DIGITS, "37020", "37020F"),
        (item(Format.CN, Kind.AMOUNT, 4), 5, "5FFFFFFF"),
        (item(Format.B, Kind.AMOUNT, 4), 300, "0000012C"),
        (item(Format.AN, Kind.NUMBER, 3), 12, "303132"),
    ],
)
def test_values_are_written_as_the_specification_says(one: Item, value: Value | None, raw: str) -> None:
    assert encode_value(one, value) == bytes.fromhex(raw)


@pytest.mark.parametrize(
    ("one", "value"),
    [
        (NAME, "测" * 16),
        (DIGITS, "3702001"),
        (DIGITS, "37A2"),
        (DATE, "1977-08-09"),
        (item(Format.B, Kind.AMOUNT, 2), 65536),
        (item(Format.CN, Kind.AMOUNT, 2), -1),
        (item(Format.CN, Kind.HEX, 2), "XYZ"),
    ],
)
def test_what_does_not_fit_is_never_written(one: Item, value: Value) -> None:
    with pytest.raises(UsageError):
        encode_value(one, value)


# Letters and marks that GB18030 carries; private-use code points are what its revisions moved about.
_CHARACTERS = st.characters(
    exclude_categories=("Cs", "Co", "Cc", "Cf", "Zs", "Zl", "Zp", "Cn"),
    exclude_characters="\u115f\u1160\u3164\uffa0",  # letters that look like nothing are taken out
)
_OF_ONE_BYTE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
_OF_TWO_BYTES = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5)


@cache
def _texts(size: int) -> st.SearchStrategy[str]:
    """Texts of at most so many bytes. Characters that do not fit are left out: hardly a text is drawn in vain."""

    def fit(text: str) -> str:
        kept = ""
        for character in text:
            kept += character if len((kept + character).encode("gb18030")) <= size else ""
        return kept

    characters = _OF_ONE_BYTE if size == 1 else _OF_ONE_BYTE | _OF_TWO_BYTES | _CHARACTERS
    return st.text(characters, min_size=1, max_size=min(size, 40)).map(fit).filter(bool)


def _values(one: Item) -> st.SearchStrategy[Value]:
    size = one.length
    match one.kind:
        case Kind.DATE:
            return st.dates(min_value=date(1000, 1, 1))
        case Kind.HEX:
            return st.binary(min_size=size, max_size=size).map(lambda raw: raw.hex().upper())
        case Kind.AMOUNT | Kind.NUMBER:
            most = {Format.B: 256**size, Format.CN: 10 ** (2 * size), Format.AN: 10**size}[one.format]
            return st.integers(0, most - 1)
        case Kind.TIME:
            return st.datetimes(min_value=datetime(1000, 1, 1)).map(lambda moment: moment.replace(microsecond=0))
        case Kind.MONTH:
            return st.dates(min_value=date(1000, 1, 1)).map(lambda day: f"{day:%Y-%m}")
    if one.format is Format.CN:
        return st.text("0123456789", min_size=1, max_size=2 * size).filter(lambda digits: digits.strip("0"))
    return _texts(size)


ITEMS = {
    (i.format, i.kind, i.length): i
    for generation in GENERATIONS
    for file in layout_of(generation).files()
    for top in file.items
    for outer in (top, *((top.revised,) if top.revised else ()))
    for i in (outer, *outer.items)
    if i.kind is not Kind.ITEMS
}
EXTRA = [
    item(Format.B, Kind.AMOUNT, 4),
    item(Format.B, Kind.HEX, 8),
    item(Format.AN, Kind.NUMBER, 3),
    item(Format.CN, Kind.NUMBER, 3),
    item(Format.CN, Kind.AMOUNT, 4),
]


@pytest.mark.parametrize("one", [*ITEMS.values(), *EXTRA], ids=lambda i: f"{i.name}-{i.format}-{i.kind}-{i.length}")
@given(data=st.data())
def test_every_item_comes_back_as_it_was_written(one: Item, data: st.DataObject) -> None:
    value = data.draw(_values(one))
    raw = encode_value(one, value)
    assert len(raw) == one.length
    read = decode_value(one, raw)
    if one.kind is Kind.HEX and one.format is not Format.B and raw in (bytes(one.length), b"\xff" * one.length):
        assert read is None
    else:
        assert read == value


@pytest.mark.parametrize("one", [*ITEMS.values(), *EXTRA], ids=lambda i: f"{i.name}-{i.format}-{i.kind}-{i.length}")
@given(raw=st.binary(max_size=90))
def test_any_bytes_give_a_value_or_our_error(one: Item, raw: bytes) -> None:
    try:
        decode_value(one, raw)
    except DecodeError:
        pass
