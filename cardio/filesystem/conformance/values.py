"""The checks of a card's values: formats and padding, codes, check digits, dates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime

from cardio.bilingual import Bilingual
from cardio.errors import DecodeError
from cardio.filesystem.codec.check_digits import FAULTS, is_citizens_pattern
from cardio.filesystem.codec.items import DecodedItem
from cardio.filesystem.codec.text import decode_text
from cardio.filesystem.conformance.book import Book
from cardio.filesystem.layouts.model import Format, Item, Kind, Layout
from cardio.filesystem.reading.decode import decode_records
from cardio.filesystem.reading.result import FileReading
from cardio.models.conformance import Chapter

_FORMAT = Bilingual("格式与填充", "format and padding are as they should be")
_CODE = Bilingual("代码值", "the code is in its table")
_CHECK_DIGIT = Bilingual("校验位", "the check digit is right")
_SEQUENCE = Bilingual("日期先后", "not before the date that it follows")
_PAST = Bilingual("日期是否在将来", "not in the future")
_CITIZENS = "GB 11643"


def check_values(layout: Layout, reading: FileReading, today: date, book: Book) -> None:
    """Check every value of a file that was read."""
    file = reading.file
    split = {item.extends for item in file.items} | {item.name for item in file.items if item.extends}
    records = decode_records(reading)
    # Items with tags have the other items of the file beside them, items without tags those of their record.
    beside = tuple(item for record in records for item in record.items)
    for record in records:
        several = not file.has_tags or reading.tags.count(record.items[0].item.tag or 0) > 1
        siblings = beside if file.has_tags else record.items
        for around, decoded in _walk(record.items, siblings):
            place = f"{file.path}/{decoded.item.name}" + (f" {record.number}" if several else "")
            # A text that continues in a second item need not end with a whole character.
            check_format(place, decoded, book, joined=decoded.item.name in split)
            _check_value(layout, place, decoded, around, today, book)


def _walk(
    items: Sequence[DecodedItem], siblings: Sequence[DecodedItem]
) -> Iterator[tuple[Sequence[DecodedItem], DecodedItem]]:
    """Yield each item, together with the items beside it."""
    for item in items:
        yield siblings, item
        yield from _walk(item.items, item.items)


def check_format(place: str, decoded: DecodedItem, book: Book, *, joined: bool = False) -> None:
    """Check characters, digits and fill of one item (V2.0 table 9)."""
    if decoded.problem is not None and not joined:
        # The problem's own words are not used: they quote the value.
        fault: Bilingual | None = Bilingual("内容与格式不符", "its content does not fit its format")
    elif decoded.revised:
        fault = None
    elif decoded.item.fixed is not None and not _has_fixed(decoded.item, decoded.raw):
        fault = Bilingual("固定部分不符", "its fixed part is another")
    elif decoded.items and decoded.item.format is Format.B_TLV:
        fault = _chain_fault(decoded)
    else:
        fault = padding_fault(decoded.item, decoded.raw, joined=joined)
    book.record_check(Chapter.FORMATS, place, _FORMAT, fault, decoded.item.source)


def _has_fixed(item: Item, raw: bytes) -> bool:
    offset, content = item.fixed or (0, b"")
    return raw[offset : offset + len(content)] == content


def padding_fault(item: Item, raw: bytes, *, joined: bool = False) -> Bilingual | None:
    """Return the error in the bytes of a plain value: left-aligned, ``an`` filled with 00, ``cn`` with hex F."""
    if item.format is Format.CN:
        return _digits_fault(item, raw)
    if item.format is not Format.AN:
        return None
    content = raw.rstrip(b"\x00")
    if b"\x00" in content:
        return Bilingual("文字之间有 00", "there is 00 between characters")
    if content[-1:] in (b"\x20", b"\xff"):
        return Bilingual("应以 00 填充", "it must be filled with 00")
    if not joined:
        try:
            decode_text(content)
        except DecodeError:
            return Bilingual("不是有效的 GB18030 文字", "not GB18030 text")
    if item.kind is Kind.NUMBER and content and (not content.isdigit() or len(content) != item.length):
        return Bilingual("数字未写满各位", "a digit is missing")
    return None


def _digits_fault(item: Item, raw: bytes) -> Bilingual | None:
    digits = raw.hex().upper()
    bare = digits.rstrip("F")
    if item.kind is Kind.HEX:
        return None
    if not bare:
        return None
    if not bare.isdecimal():
        return Bilingual("含有非数字的半字节", "a nibble is not a digit")
    if not bare.strip("0") and item.kind in (Kind.DATE, Kind.TIME, Kind.MONTH):
        return Bilingual("空值应以 F 填充", "an empty value must be filled with F")
    if item.kind is Kind.DATE and len(bare) != 8:
        return Bilingual("日期应为 8 位压缩数字", "a date is eight packed digits")
    return None


def _chain_fault(decoded: DecodedItem) -> Bilingual | None:
    expected = [(inner.tag, inner.length) for inner in decoded.item.items]
    found = [(inner.item.tag, len(inner.raw)) for inner in decoded.items]
    if found == expected:
        return None
    order = " ".join(f"{tag or 0:02X}({length})" for tag, length in found)
    return Bilingual(f"内部数据项为 {order}", f"the items inside are {order}")


def _check_value(
    layout: Layout, place: str, decoded: DecodedItem, siblings: Sequence[DecodedItem], today: date, book: Book
) -> None:
    item, value = decoded.item, decoded.value
    if value is None:
        return
    if item.codes is not None:
        table = layout.code_table(item.codes)
        known = table.look_up(str(value)).label is not None
        unknown = None if known else Bilingual(f"不在{table.title}中", f"not in {table.source}")
        book.record_check(Chapter.CODES, place, _CODE, unknown, table.source)
    if item.check is not None:
        if item.check == _CITIZENS and not is_citizens_pattern(str(value)):
            why = Bilingual("不是公民身份号码，可能是指定号码", "not a citizen's number: it may be an assigned one")
            book.untestable(Chapter.CHECK_DIGITS, place, _CHECK_DIGIT, why, item.check)
            return
        fault = FAULTS[item.check](str(value))
        book.record_check(
            Chapter.CHECK_DIGITS, place, _CHECK_DIGIT, Bilingual(fault.zh, fault.en) if fault else None, item.check
        )
    if not isinstance(value, date):
        return
    day = value.date() if isinstance(value, datetime) else value
    if item.past:
        ahead = Bilingual("在将来", "it is in the future") if day > today else None
        book.record_check(Chapter.DATES, place, _PAST, ahead, item.source)
    start = next((other.value for other in siblings if other.item.name == item.not_before), None)
    if isinstance(start, date):
        early = Bilingual(f"早于 {item.not_before}", f"before {item.not_before}") if day < start else None
        book.record_check(Chapter.DATES, place, _SEQUENCE, early, item.source)
