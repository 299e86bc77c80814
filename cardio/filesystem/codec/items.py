"""Values of data items: from the bytes on the card and back.

Reading is lenient: in the field 社会保障卡 are filled with 00, FF or blanks, dates stand in ASCII, and values are too
long. Writing is strict: values are left-aligned, ``an`` is filled with 00 and ``cn`` with F, and no value is longer
than its item.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from cardio.errors import DecodeError, UsageError
from cardio.filesystem.codec.structures import split_chain, split_parts
from cardio.filesystem.codec.text import FILL, decode_text, encode_text, ends_within_character, is_fill, trim
from cardio.filesystem.codec.text_reading import read_text
from cardio.filesystem.layouts.model import Format, Item, Kind, Variant

Value = str | int | date | datetime
_TIME, _TIME_DIGITS, _MONTH_DIGITS = "%Y%m%d%H%M%S", 14, 6


class PartialDate(DecodeError):
    """An error for an incomplete date: the card holds only the year, or the year and month."""

    code = "partial-date"


class HiddenCharacters(str):
    """A text from which control characters were removed. It may be empty."""

    __slots__ = ()


def _read_text(raw: bytes) -> str | None:
    text, hidden = decode_text(raw)
    return HiddenCharacters(text or "") if hidden else text


def _read_digits(raw: bytes) -> str | None:
    digits = raw.hex().upper().rstrip("F")
    if not digits.strip("0"):
        return None
    if not digits.isdecimal():
        raise DecodeError("含有非数字的半字节", "a nibble is not a digit")
    return digits


def _write_digits(digits: str) -> bytes:
    if not digits.isascii() or not digits.isdecimal():
        raise ValueError("digits only")
    return bytes.fromhex(digits + "F" * (len(digits) % 2))


def _read_date(raw: bytes) -> date | None:
    """Read YYYYMMDD in packed digits; cards in the field also have it in ASCII, four or eight characters."""
    content = trim(raw)
    in_ascii = len(content) in (4, 8) and content.isdigit()
    digits = content.decode() if in_ascii else raw.hex().upper().rstrip("F")
    if not digits.strip("0"):
        return None
    # Some writers had no day, or no month, and filled up with F or with 0.
    if len(digits) == 8 and digits.endswith("00"):
        digits = digits[:4] if digits.endswith("0000") else digits[:6]
    if digits.isdecimal() and len(digits) in (4, 6):
        written = f"{digits[:4]}-{digits[4:]}".rstrip("-")
        raise PartialDate(f"卡内只有 {written}", f"the card holds no more than {written}")
    try:
        if len(digits) != 8 or not digits.isdecimal():
            raise ValueError("not eight digits")
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError as error:
        raise DecodeError(f"日期 {digits} 不存在", f"there is no date {digits}") from error


def _write_date(value: date) -> bytes:
    return bytes.fromhex(f"{value.year:04}{value.month:02}{value.day:02}")


def _read_time(raw: bytes) -> datetime | None:
    digits = _read_digits(raw)
    if digits is None:
        return None
    try:
        # strptime would read 0931 as 09:03:01.
        if len(digits) != _TIME_DIGITS:
            raise ValueError("not fourteen digits")
        return datetime.strptime(digits, _TIME)
    except ValueError as error:
        raise DecodeError(f"时间 {digits} 不存在", f"there is no time {digits}") from error


def _read_month(raw: bytes) -> str | None:
    digits = _read_digits(raw)
    if digits is None:
        return None
    if len(digits) != _MONTH_DIGITS or not 1 <= int(digits[4:]) <= 12 or not int(digits[:4]):
        raise DecodeError(f"月份 {digits} 不存在", f"there is no month {digits}")
    return f"{digits[:4]}-{digits[4:]}"


def _read_packed_number(raw: bytes) -> int | None:
    """Read a number that is left-aligned like all packed digits: 0F FF is the number zero."""
    digits = raw.hex().upper().rstrip("F")
    if digits and not digits.isdecimal():
        raise DecodeError("含有非数字的半字节", "a nibble is not a digit")
    return int(digits) if digits else None


def _read_number_in(read: Callable[[bytes], str | None]) -> Callable[[bytes], int | None]:
    def read_number(raw: bytes) -> int | None:
        digits = read(raw)
        if digits is None:
            return None
        if not digits.isascii() or not digits.isdecimal():
            raise DecodeError("不是数字", "not a number")
        return int(digits)

    return read_number


@dataclass(frozen=True, slots=True)
class _Codec:
    """The functions that read one kind of value, and write it to an item of a given number of bytes."""

    read: Callable[[bytes], Any]
    write: Callable[[Any, int], bytes]


_TEXT = _Codec(_read_text, lambda text, length: encode_text(text))
_DIGITS = _Codec(_read_digits, lambda digits, length: _write_digits(digits))
_DATE = _Codec(_read_date, lambda value, length: _write_date(value))
_HEX = _Codec(lambda raw: raw.hex().upper(), lambda text, length: bytes.fromhex(text))
_AN_NUMBER = _Codec(_read_number_in(_read_text), lambda number, length: str(number).zfill(length).encode())
_CN_NUMBER = _Codec(_read_packed_number, lambda number, length: _write_digits(str(number)))
_BINARY_NUMBER = _Codec(lambda raw: int.from_bytes(raw, "big"), lambda number, length: number.to_bytes(length, "big"))
_WRITTEN = {Format.AN: _TEXT, Format.CN: _DIGITS, Format.B: _HEX, Format.B_TLV: _HEX}
_NUMBERS = {Format.AN: _AN_NUMBER, Format.CN: _CN_NUMBER, Format.B: _BINARY_NUMBER}
_TIMES = _Codec(_read_time, lambda value, length: _write_digits(value.strftime(_TIME)))
_MONTHS = _Codec(_read_month, lambda text, length: _write_digits(text.replace("-", "", 1)))
_BY_KIND = {Kind.DATE: _DATE, Kind.HEX: _HEX, Kind.TIME: _TIMES, Kind.MONTH: _MONTHS}


def _codec_of(item: Item) -> _Codec:
    if item.kind in (Kind.AMOUNT, Kind.NUMBER):
        return _NUMBERS[item.format]
    return _BY_KIND.get(item.kind) or _WRITTEN[item.format]


def _is_empty(item: Item, raw: bytes) -> bool:
    """Return True if there is nothing but fill: 00 or FF, and blanks where blanks cannot be a value."""
    fills = FILL if item.format is Format.AN or item.kind is Kind.DATE else FILL[:2]
    return item.format is not Format.B and is_fill(raw, fills)


def decode_value(item: Item, raw: bytes) -> Value | None:
    """Return a value; None if the item is empty on the card: all 00 or all FF, or all blanks where they cannot be a
    value.

    Packed digits of only 20 are a value (民族 20 is 傈僳族); a date of only 20 is empty.

    Raises:
        PartialDate: the card holds a date without its day.
        DecodeError: the bytes do not fit the format in the layout.
    """
    if item.cut:
        raw = raw[: item.length]
    if _is_empty(item, raw):
        return None
    value: Value | None = _codec_of(item).read(raw)
    return value


def encode_value(item: Item, value: Value | None) -> bytes:
    """Return the bytes of a value, left-aligned and filled to the length of the item.

    Raises:
        UsageError: the value does not fit the item.
    """
    try:
        raw = b"" if value is None else _codec_of(item).write(value, item.length)
    except (ValueError, AttributeError, TypeError, OverflowError) as error:
        raise UsageError(f"{item.label}：值不合格式", f"{item.name}: the value does not fit its format") from error
    if len(raw) > item.length:
        raise UsageError(
            f"{item.label}：{len(raw)} 字节，超过 {item.length} 字节",
            f"{item.name}: {len(raw)} bytes, more than {item.length}",
        )
    return raw.ljust(item.length, b"\xff" if item.format is Format.CN else b"\x00")


@dataclass(frozen=True, slots=True, repr=False)
class DecodedItem:
    """One item of a file: its definition, its bytes, and its value or the reason why it has none."""

    item: Item
    raw: bytes
    value: Value | None
    problem: DecodeError | None = None
    items: tuple[DecodedItem, ...] = ()
    """The items inside, in place of a value."""
    cut: bool = False
    """True if it ends within a character; that character is left out."""
    revised: bool = False
    """True if it has its V2.0 meaning on a 1.0 card, and the fill that marks it."""

    @property
    def overlong(self) -> bool:
        """Return True if it is longer on the card than any source says."""
        if not 0 < self.item.length < len(self.raw) or self.item.cut or len(self.raw) in self.item.lengths:
            return False
        as_text = self.item.kind is Kind.DATE and self.value is not None  # eight characters, as in the field
        return not as_text

    def __repr__(self) -> str:
        """Leave the value out, because it is personal data."""
        return f"DecodedItem({self.item.name}, {len(self.raw)} bytes)"


def revised_item(item: Item, raw: bytes, by_name: dict[str, tuple[Item, bytes]]) -> tuple[Item, bytes]:
    """Return the item with its V2.0 meaning if the bytes carry the mark, and the bytes without the mark.

    A rewritten value is right-filled with hex E. An item without room for the mark follows its neighbour.
    """
    if item.revised is None:
        return item, raw
    witness, its_raw = by_name.get(item.revised_with, (item, b"")) if item.revised_with else (item, raw)
    if not _has_mark(witness, its_raw):
        return item, raw
    bare = raw.rstrip(b"\xee")
    if item.revised.format is Format.CN and bare and bare[-1] & 0x0F == 0x0E:
        bare = bare[:-1] + bytes((bare[-1] | 0x0F,))
    if item.revised.format is Format.AN and ends_within_character(bare):
        bare += raw[len(bare) : len(bare) + 1]
    return item.revised, bare


def _has_mark(item: Item, raw: bytes) -> bool:
    """Return True if there is only EE from where the new value must end. A text may end in a character whose last byte
    is EE.
    """
    mark = raw[item.revised.length :] if item.revised is not None else b""
    return bool(mark) and mark == b"\xee" * len(mark)


def unknown_item(tag: int, length: int) -> Item:
    """Return a definition for an item that no layout knows."""
    return Item(
        name=f"{tag:02X}",
        label="未知数据项",
        label_en="unknown item",
        format=Format.B,
        length=length,
        kind=Kind.HEX,
        tag=tag,
    )


def decode_item(item: Item, raw: bytes, capacity: int | None = None) -> DecodedItem:
    """Decode an item as `decode_value` does, together with the items inside. An error is reported in the result and not
    raised.

    Args:
        item: the definition of the item.
        raw: its bytes on the card.
        capacity: the bytes that there is room for, where a text continues in another item.
    """
    meant = next((_as_variant(item, variant) for variant in item.variants if variant.length == len(raw)), item)
    try:
        if meant.kind is Kind.TEXT and meant.format is Format.AN and not _is_empty(meant, raw):
            text, hidden, cut = read_text(raw[: meant.length] if meant.cut else raw, capacity or meant.length)
            if hidden and not text:
                # Neither a text, nor a field that its issuer has left empty.
                raise DecodeError("只有控制字符，不是文字", "nothing but control characters: no text")
            return DecodedItem(item, raw, HiddenCharacters(text) if hidden else text, cut=cut)
        if meant.kind is not Kind.ITEMS:
            return DecodedItem(item, raw, decode_value(meant, raw))
        if _is_empty(meant, raw):
            return DecodedItem(item, raw, None)
        inside, problem = _chain(meant, raw) if meant.format is Format.B_TLV else _parts(meant, raw)
        return DecodedItem(item, raw, None, problem, tuple(inside))
    except DecodeError as error:
        return DecodedItem(item, raw, None, error)


def decode_part(item: Item, raw: bytes) -> DecodedItem:
    """Decode a part that stands beside others. A part that is cut short gets no value."""
    return decode_item(item, raw) if len(raw) == item.length else DecodedItem(item, raw, None)


def _as_variant(item: Item, variant: Variant) -> Item:
    return replace(item, format=variant.format, length=variant.length, kind=variant.kind)


def _chain(item: Item, raw: bytes) -> tuple[list[DecodedItem], DecodeError | None]:
    """Decode a chain of TLV items; fill may follow the last one."""
    chain, rest = split_chain(raw)
    by_tag = {inner.tag: inner for inner in item.items}
    inside = [decode_item(by_tag.get(tag) or unknown_item(tag, len(value)), value) for tag, value in chain]
    if chain and is_fill(rest):
        return inside, None
    return inside, DecodeError("内部数据项在中途截断", "the chain of items inside ends in the middle")


def _parts(item: Item, raw: bytes) -> tuple[list[DecodedItem], DecodeError | None]:
    """Decode parts that stand side by side: bytes of a text, digits of packed digits."""
    if item.format is Format.CN:
        digits = raw.hex().upper().rstrip("F")
        if not digits.isdecimal():
            raise DecodeError("含有非数字的半字节", "a nibble is not a digit")
        raw = digits.encode()
    lengths = [part.length for part in item.items]
    inside = [decode_part(part, one) for part, one in zip(item.items, split_parts(raw, lengths), strict=True)]
    problem = DecodeError("长度不足", "it is shorter than its parts") if len(trim(raw)) < sum(lengths) else None
    return inside, problem
