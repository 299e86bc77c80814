"""National addresses of files and items (iReadCard, iWriteCard): ``SSSEEF05|01|07|$DF03EF19|79:01|$DF04EF08:01$``.

An address has a file name, then data-item tags, each closed by ``|``; each file is closed by ``$``. The answer has the
same shape, with values in place of tags. Two points are not settled by any source. Here fields of a record without
tags, and the items inside an item, are joined by ``^`` (one library uses a comma). Numbers behind ``:`` are decimal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from cardio.errors import DecodeError, FileUnreadableError, UsageError
from cardio.filesystem.card_file_system import IDENTIFYING_ITEMS
from cardio.filesystem.codec.items import DecodedItem
from cardio.filesystem.codec.text import join_split_text, text_across
from cardio.filesystem.layouts.loader import DEFAULT_GENERATION, layout_of
from cardio.filesystem.layouts.model import File, Format, Item, Kind, Structure
from cardio.filesystem.reading.decode import DecodedRecord, decode_records
from cardio.filesystem.reading.result import FileReading

INNER = "^"
"""The separator of values that stand inside one item or record."""
_ENVIRONMENT = "SSSE"
_ILLEGAL = -23
_SYNONYMS = {"SSSE": _ENVIRONMENT, "3F00": _ENVIRONMENT, "MF": _ENVIRONMENT, "DDF1": _ENVIRONMENT}
_FILE = re.compile(r"(SSSE|3F00|MF|DDF1|DF[0-9A-F]{2})/?(EF[0-9A-F]{2})(?::([0-9]{1,3}))?")
_ITEM = re.compile(r"([0-9A-F]{2})(?::([0-9]{1,3}))?")


@dataclass(frozen=True, slots=True)
class ItemAddress:
    """A tag, and the number of the record among those with this tag, counted from 1."""

    tag: int
    occurrence: int = 1


@dataclass(frozen=True, slots=True)
class FileAddress:
    """A file with the items wanted from it; no items means all."""

    written: str
    """The file as the caller names it; the answer uses the same name."""
    file: str
    """The file as the layout names it: ``SSSE/EF05``."""
    record: int | None = None
    """The number of the record in a file without tags."""
    items: tuple[ItemAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """The files and items that an iReadCard call requests."""

    parts: tuple[FileAddress, ...]

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse an address. Case does not matter, and the last ``|`` of a file may be left out.

        Raises:
            UsageError: the text is not an address; the error says where it stops being one.
        """
        body = text.strip()
        if not body.endswith("$"):
            raise _not_an_address(text, "应以 $ 结束", "it must end with $")
        return cls(tuple(_file_address(part, text) for part in body[:-1].split("$")))


def _file_address(part: str, text: str) -> FileAddress:
    name, *tags = part.strip().removesuffix("|").split("|")
    named = _FILE.fullmatch(name.strip().upper())
    if named is None:
        raise _not_an_address(text, f"“{name}”不是文件名", f"{name!r} is no file name")
    application = _SYNONYMS.get(named[1], named[1])
    items = []
    for tag in tags:
        found = _ITEM.fullmatch(tag.strip().upper())
        if found is None or (found[2] and not int(found[2])):
            raise _not_an_address(text, f"“{tag}”不是数据项标签", f"{tag!r} is no tag")
        items.append(ItemAddress(int(found[1], 16), int(found[2] or 1)))
    record = int(named[3]) if named[3] else None
    if record == 0:
        raise _not_an_address(text, "记录号从 1 起", "records are numbered from 1")
    return FileAddress(name.strip(), f"{application}/{named[2]}", record, tuple(items))


def file_path(written: str) -> str | None:
    """Return the path of a file by any of its names (``SSSEEF05``, ``3F00EF05``, ``mf/ef05``); None if it
    is no name.
    """
    named = _FILE.fullmatch(written.strip().upper())
    return None if named is None or named[3] else f"{_SYNONYMS.get(named[1], named[1])}/{named[2]}"


def _not_an_address(text: str, zh: str, en: str) -> UsageError:
    return UsageError(f"地址“{text}”：{zh}", f"the address {text!r}: {en}")


def answer(address: Address, readings: Mapping[str, FileReading]) -> str:
    """Return the values at an address, in its shape. A value that is blank on the card or cannot be decoded is empty.

    Raises:
        UsageError: an item is unknown to the layout and to the card, tags are asked of records without tags, or the
            file holds fingerprints.
        FileUnreadableError: the requested record or item is damaged.
    """
    return "".join(_part(part, readings[part.file]) for part in address.parts)


def values_at(address: Address, text: str) -> list[tuple[str, dict[str, str] | bytes]]:
    """Return the values that a caller wants written, by file: by tag, or the bytes of a file that is written as a
    whole.

    The text has the address's shape, with values in place of tags (``SSSEEF05|20260520|$``).

    Raises:
        UsageError: the text has another shape than the address (driver code −23).
    """
    body = text.strip()
    parts = body[:-1].split("$") if body.endswith("$") else []
    if len(parts) != len(address.parts):
        raise _other_shape()
    return [(part.file, _values_of(part, given)) for part, given in zip(address.parts, parts, strict=True)]


def _values_of(part: FileAddress, given: str) -> dict[str, str] | bytes:
    name, *values = given.strip().removesuffix("|").split("|")
    if file_path(name.split(":")[0]) != part.file:
        raise _other_shape()
    if not part.items or (len(part.items) == 1 == len(values) and _is_whole(part)):
        # A file of one item needs no tag: it is written as a whole, in hex.
        try:
            return bytes.fromhex(values[0]) if len(values) == 1 else b""
        except ValueError:
            raise _other_shape() from None
    if len(values) != len(part.items):
        raise _other_shape()
    named = zip(part.items, values, strict=True)
    return {f"{item.tag:02X}" + (f"[{item.occurrence}]" if item.occurrence > 1 else ""): value for item, value in named}


def _is_whole(part: FileAddress) -> bool:
    known = layout_of(DEFAULT_GENERATION).file(part.file)
    return known is not None and known.structure is Structure.TRANSPARENT


def _other_shape() -> UsageError:
    return UsageError(
        "写入数据与文件地址的形式不符",
        "what is to be written has another shape than the address",
        driver_code=_ILLEGAL,
    )


def _part(part: FileAddress, reading: FileReading) -> str:
    values = [_plain(value) for value in _values(part, reading)]
    return f"{part.written}|" + "".join(f"{value}|" for value in values) + "$"


def _plain(value: str) -> str:
    """Replace bars and dollars with blanks: inside a value they would shift everything that follows."""
    return value.replace("|", " ").replace("$", " ")


def _values(part: FileAddress, reading: FileReading) -> list[str]:
    file = reading.file
    if len(part.items) > 1 and not file.has_tags:
        raise UsageError(f"{file.path} 的记录没有标签", f"the records of {file.path} have no tags")
    if file.content == "fingerprint":
        raise UsageError(f"{file.path} 是指纹，不提供", f"{file.path} holds fingerprints, which are not given out")
    if file.structure is Structure.TRANSPARENT:
        return [reading.content.hex().upper()]
    records = decode_records(reading)
    if not file.has_tags:
        wanted = part.record or (part.items[0].occurrence if part.items else 1)
        if wanted in reading.damaged_numbers:
            raise _damaged(file, str(wanted))
        record = next((record for record in records if record.number == wanted), None)
        return [_joined(record.items) if record else ""]
    if part.items:
        asked = [ItemAddress(item.tag, part.record) if part.record else item for item in part.items]
    else:
        own = [item for item in file.items if item.tag is not None and not item.stray]
        asked = [ItemAddress(item.tag or 0, n) for item in own for n in range(1, file.repeats(item) + 1)]
        if part.record is not None:
            asked = [item for item in asked if item.occurrence == part.record]
    return [_tagged(item, file, reading, records) for item in asked]


def _damaged(file: File, what: str) -> FileUnreadableError:
    return FileUnreadableError(f"{file.path} 的 {what} 读不出来", f"{what} of {file.path} cannot be read")


def _tagged(asked: ItemAddress, file: File, reading: FileReading, records: list[DecodedRecord]) -> str:
    found = [record.items[0] for record in records if record.items[0].item.tag == asked.tag]
    if asked.tag in reading.damaged:
        # The damaged record may be any of several with this tag.
        raise _damaged(file, f"{asked.tag:02X}")
    if not found and file.item(asked.tag) is None:
        other = layout_of(DEFAULT_GENERATION).file(file.path)
        if other is not None and other.item(asked.tag) is not None:
            return ""  # hospital software asks 1.0 cards for 4E too
        known = "、".join(f"{item.tag:02X}" for item in file.items if item.tag is not None)
        raise UsageError(
            f"{file.path} 没有标签 {asked.tag:02X}；有 {known}",
            f"{file.path} has no tag {asked.tag:02X}; it has {known}",
        )
    if len(found) < asked.occurrence:
        return ""
    decoded = found[asked.occurrence - 1]
    if decoded.problem is not None and decoded.item.name in IDENTIFYING_ITEMS.get(file.path, ()):
        raise _damaged(file, f"{asked.tag:02X}")
    return _split(decoded, file, reading) or _text(decoded)


def _split(decoded: DecodedItem, file: File, reading: FileReading) -> str | None:
    """Return the characters that begin in this item, where a text continues in a second item; None where
    it does not.
    """
    item = decoded.item
    base = next((other for other in file.items if other.name == item.extends), item)
    extension = next((other for other in file.items if other.extends == base.name), None)
    head = reading.value(base.tag or 0)
    tail = reading.value(extension.tag or 0) if extension is not None else None
    if head is None or tail is None:
        return None
    try:
        first, rest = text_across(join_split_text(head, tail), len(head))
    except DecodeError:
        return None
    return rest if item.extends else first


def _text(decoded: DecodedItem) -> str:
    """Return a value as hospital software expects it: digits and texts as they stand on the card."""
    item, value = decoded.item, decoded.value
    if decoded.items:
        return _joined(decoded.items) if item.format is Format.B_TLV else "".join(map(_text, decoded.items))
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y%m%d%H%M%S}"
    if isinstance(value, date):
        return f"{value.year:04}{value.month:02}{value.day:02}"
    return _as_written(item, str(value))


def _as_written(item: Item, value: str) -> str:
    """Keep the leading zeros that a number has on the card, and write a month without its hyphen."""
    if item.kind is Kind.NUMBER and item.format is Format.AN:
        return value.zfill(item.length)
    if item.kind is Kind.MONTH:
        return value.replace("-", "")
    return value


def _joined(items: tuple[DecodedItem, ...]) -> str:
    return INNER.join(_text(item).replace(INNER, " ") for item in items)
