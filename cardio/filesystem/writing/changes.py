"""The step from entered values to the records that a card is to hold: ``residence=上海市…``,
``degree[2].degree_code=101``.

A value is text: dates as ``2026-11-24`` or ``20261124``, codes as codes, amounts in fen, bytes in hex; an empty text
clears the item. Everything is checked here, before anything is sent to a card.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from cardio.errors import UsageError
from cardio.filesystem.codec.check_digits import FAULTS
from cardio.filesystem.codec.items import Value, encode_value
from cardio.filesystem.codec.structures import split_chain, split_parts
from cardio.filesystem.codec.text import encode_text
from cardio.filesystem.layouts.model import File, Format, Item, Kind, Layout, Structure
from cardio.filesystem.reading.result import FileReading

_PLACE = re.compile(r"([a-z0-9_]+|[0-9A-F]{2})(?:\[([1-9][0-9]{0,2})\])?(?:\.([a-z0-9_]+|[0-9A-F]{2}))?")
_REVISED_FILL = b"\xee"
"""The fill of a value that has its V2.0 meaning on a 1.0 card (V2.0 appendix C)."""


@dataclass(frozen=True, slots=True, repr=False)
class RecordChange:
    """The new content of one record."""

    item: Item | None
    """The item that the record holds; None for a record without tags."""
    number: int | None
    """The number of the record in the file; None for an additional record."""
    record: bytes
    before: bytes | None
    """The present content; None if there is no such record."""

    @property
    def needed(self) -> bool:
        return self.record != self.before


def record_changes(layout: Layout, reading: FileReading, values: Mapping[str, str]) -> list[RecordChange]:
    """Return the new records of a file, in the order in which the file has them.

    Args:
        layout: the layout of the card.
        reading: the present content of the file.
        values: the entered text by item: its name or tag, ``[2]`` for the second of several, ``.name`` for an item
            inside.

    Raises:
        UsageError: there is no such item, or a value does not fit it; nothing has been sent then.
    """
    if not values:
        raise UsageError("没有要写入的内容", "there is nothing to write")
    if not reading.file.has_tags:
        return [RecordChange(None, None, _untagged_record(layout, reading.file, values), None)]
    entries: dict[tuple[str, int], _Entry] = {}
    for written, text in values.items():
        place = _Place.parse(written)
        item, revised = _find(reading.file, place.name)
        entry = entries.setdefault((item.name, place.occurrence), _Entry(item, place.occurrence, revised))
        entry.texts[place.inner] = text
    in_order = sorted(entries.values(), key=lambda entry: (reading.file.items.index(entry.item), entry.occurrence))
    return [change for entry in in_order for change in _changes(layout, reading, entry)]


def content_change(file: File, content: bytes) -> bytes:
    """Return the new content of a transparent file, with zeros to its end.

    Raises:
        UsageError: the content is longer than the file, or the file is not transparent.
    """
    if file.structure is not Structure.TRANSPARENT:
        raise UsageError(f"{file.path} 不是透明文件，请按数据项写入", f"{file.path} is written item by item")
    size = max(file.sizes)
    if len(content) > size:
        raise UsageError(
            f"{file.path}：{len(content)} 字节，最多 {size} 字节",
            f"{file.path}: {len(content)} bytes, more than {size}",
        )
    return content.ljust(size, b"\x00")


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a value: ``name``, ``name[2]``, ``name[2].inner``."""

    name: str
    occurrence: int
    inner: str | None

    @classmethod
    def parse(cls, text: str) -> _Place:
        found = _PLACE.fullmatch(text)
        if found is None:
            raise UsageError(
                f"“{text}”不是数据项；应如 residence、degree[2].degree_code",
                f"{text!r} is no item; it is like residence or degree[2].degree_code",
            )
        return cls(found[1], int(found[2] or 1), found[3])


@dataclass(slots=True, repr=False)
class _Entry:
    """The texts entered for one item: for itself (None), or for items inside it."""

    item: Item
    occurrence: int
    revised: bool
    """True if the item on a 1.0 card is to have its V2.0 meaning."""
    texts: dict[str | None, str] = field(default_factory=dict)


def _find(file: File, name: str) -> tuple[Item, bool]:
    """Return an item by its name, its tag, or the name of its V2.0 meaning; and True if that meaning is meant."""
    for item in file.items:
        if name == item.name or (item.tag is not None and name == f"{item.tag:02X}"):
            return item, False
        if item.revised is not None and name == item.revised.name:
            return item, True
    known = ", ".join(item.name for item in file.items)
    raise UsageError(f"{file.path} 没有数据项 {name}；有：{known}", f"{file.path} has no item {name}; it has: {known}")


def _changes(layout: Layout, reading: FileReading, entry: _Entry) -> list[RecordChange]:
    item, times = entry.item, reading.file.repeats(entry.item)
    if entry.occurrence > times:
        raise UsageError(
            f"{item.label}只有 {times} 个，没有第 {entry.occurrence} 个",
            f"{item.name} stands {times} times in {reading.file.path}; there is no [{entry.occurrence}]",
        )
    extension = next((other for other in reading.file.items if other.extends == item.name), None)
    if extension is not None and None in entry.texts:
        whole = encode_text(_checked_text(item, entry.texts[None]))
        if len(whole) > item.length + extension.length:
            raise _too_long(item, len(whole), item.length + extension.length)
        parts = ((item, whole[: item.length]), (extension, whole[item.length :]))
        return [_change(reading, part, 1, raw.ljust(part.length, b"\x00")) for part, raw in parts]
    standing = [record for record in reading.records if record.tag == item.tag]
    before = standing[entry.occurrence - 1].value if entry.occurrence <= len(standing) else None
    # The length of an existing record does not change.
    sized = item if before is None else replace(item, length=len(before))
    return [_change(reading, item, entry.occurrence, _value(layout, sized, entry, before))]


def _change(reading: FileReading, item: Item, occurrence: int, value: bytes) -> RecordChange:
    standing = [(number, record) for number, record in reading.numbered() if record.tag == item.tag]
    number, before = standing[occurrence - 1] if occurrence <= len(standing) else (None, None)
    record = bytes((item.tag or 0, len(value))) + value
    return RecordChange(item, number, record, None if before is None else bytes(before))


def _value(layout: Layout, item: Item, entry: _Entry, before: bytes | None) -> bytes:
    if entry.revised and item.revised is not None:
        meant = _value(layout, item.revised, replace(entry, revised=False), None)
        if len(meant) >= item.length:
            raise UsageError(
                f"{item.revised.label}在 1.0 卡上没有位置标明新含义",
                f"{item.revised.name} leaves no room on a 1.0 card for the mark of its meaning",
            )
        return meant.ljust(item.length, _REVISED_FILL)
    if None in entry.texts:
        if len(entry.texts) > 1:
            raise UsageError(f"{item.label}给出了两次", f"{item.name} is given twice, whole and in part")
        return encode_value(item, typed_value(layout, item, entry.texts[None]))
    inner = {_find_inside(item, name or "").name: text for name, text in entry.texts.items()}
    if item.format is Format.B_TLV:
        chain = dict(split_chain(before or b"")[0])
        raws = [(part, chain.get(part.tag or 0, encode_value(part, None))) for part in item.items]
        return _filled(item, b"".join(_tlv(part, _entered(layout, part, raw, inner)) for part, raw in raws))
    lengths = [part.length for part in item.items]
    standing = split_parts(before, lengths) if before else [encode_value(part, None) for part in item.items]
    pairs = zip(item.items, standing, strict=True)
    return _filled(item, b"".join(_entered(layout, part, raw, inner) for part, raw in pairs))


def _entered(layout: Layout, part: Item, raw: bytes, texts: Mapping[str, str]) -> bytes:
    """Return a part as it was entered, or as it stands."""
    return encode_value(part, typed_value(layout, part, texts[part.name])) if part.name in texts else raw


def _untagged_record(layout: Layout, file: File, values: Mapping[str, str]) -> bytes:
    """Return a new record of a cyclic file; items that are not entered are empty."""
    texts = {}
    for written, text in values.items():
        place = _Place.parse(written)
        if place.inner is not None or place.occurrence != 1:
            raise UsageError(f"“{written}”不是该文件的字段", f"{written!r} is no field of {file.path}")
        texts[_find(file, place.name)[0].name] = text
    if not file.record_size:
        raise UsageError(f"{file.path} 的记录长度未知", f"the length of a record of {file.path} is not known")
    return b"".join(_entered(layout, part, encode_value(part, None), texts) for part in file.items)


def _find_inside(item: Item, name: str) -> Item:
    for part in item.items:
        if name == part.name or (part.tag is not None and name == f"{part.tag:02X}"):
            return part
    known = ", ".join(part.name for part in item.items) or "-"
    raise UsageError(f"{item.label}中没有 {name}；有：{known}", f"{item.name} has no {name}; it has: {known}")


def _tlv(part: Item, value: bytes) -> bytes:
    return bytes((part.tag or 0, len(value))) + value


def _filled(item: Item, raw: bytes) -> bytes:
    if len(raw) > item.length:
        raise _too_long(item, len(raw), item.length)
    return raw.ljust(item.length, b"\x00")


def typed_value(layout: Layout, item: Item, text: str) -> Value | None:
    """Return the entered text as the value of an item; None for an empty text.

    Raises:
        UsageError: the text does not fit: no date, no such code, a wrong check digit, control characters.
    """
    if not text:
        return None
    text = _checked_text(item, text)
    if item.codes is not None and layout.code_table(item.codes).look_up(text).label is None:
        title = layout.code_table(item.codes).title
        raise UsageError(
            f"{item.label}：{title}中没有代码 {text}", f"{item.name}: there is no code {text} in its table"
        )
    if item.check is not None:
        fault = FAULTS[item.check](text)
        if fault is not None:
            raise UsageError(f"{item.label}：{fault.zh}", f"{item.name}: {fault.en}")
    try:
        if item.kind is Kind.DATE:
            return _date(item, text)
        if item.kind is Kind.TIME:
            return datetime.strptime(re.sub(r"[-T: ]", "", text), "%Y%m%d%H%M%S")  # the card's clock has no zone
        return int(text) if item.kind in (Kind.AMOUNT, Kind.NUMBER) else text
    except ValueError as error:
        raise UsageError(f"{item.label}：值不合格式", f"{item.name}: the value does not fit its format") from error


def _date(item: Item, text: str) -> date:
    day = datetime.strptime(text.replace("-", ""), "%Y%m%d").date()
    if item.past and day > date.today():
        raise UsageError(f"{item.label}不能晚于今天", f"{item.name} cannot lie in the future")
    return day


def _checked_text(item: Item, text: str) -> str:
    if any(unicodedata.category(character).startswith("C") for character in text):
        raise UsageError(f"{item.label}：含有控制字符", f"{item.name}: it has control characters")
    return text


def _too_long(item: Item, length: int, most: int) -> UsageError:
    return UsageError(
        f"{item.label}：{length} 字节，超过 {most} 字节", f"{item.name}: {length} bytes, more than {most}"
    )
