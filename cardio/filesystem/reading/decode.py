"""The step from a file's bytes to its items: record by record, with the items inside each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cardio.filesystem.codec.items import DecodedItem, decode_item, decode_part, revised_item, unknown_item
from cardio.filesystem.codec.structures import split_parts
from cardio.filesystem.codec.text import is_fill, join_split_text, trim
from cardio.filesystem.layouts.model import File, Item
from cardio.filesystem.reading.result import FileReading

_BLANK = b"\x00\xff"


@dataclass(frozen=True, slots=True, repr=False)
class DecodedRecord:
    """One record: its number on the card, from 1, and its items (one where records have tags)."""

    number: int
    items: tuple[DecodedItem, ...]

    def __repr__(self) -> str:
        return f"DecodedRecord({self.number}, {len(self.items)} items)"


def decode_records(reading: FileReading) -> list[DecodedRecord]:
    """Return all records of a file that was read, in the card's order."""
    if not reading.file.has_tags:
        return [_untagged(reading.file, number, record.value) for number, record in reading.numbered()]
    return list(_tagged(reading))


def _tagged(reading: FileReading) -> Iterator[DecodedRecord]:
    file = reading.file
    by_tag = {item.tag: item for item in file.items}
    first: dict[str, tuple[Item, bytes]] = {}
    for record in reading.records:
        if record.tag in by_tag:
            item = by_tag[record.tag]
            first.setdefault(item.name, (item, record.value))
    continued = {item.extends: item for item in file.items if item.extends is not None}
    revised = {name for name, (item, raw) in first.items() if revised_item(item, raw, first)[0] is not item}
    seen: set[str] = set()
    for number, record in reading.numbered():
        known = by_tag.get(record.tag)
        if known is None:
            yield DecodedRecord(number, (decode_item(unknown_item(record.tag, len(record.value)), record.value),))
            continue
        # Of several records with one tag, only the first is continued by an extension or carries the mark.
        meant, value = revised_item(known, record.value, first)
        is_first = known.name not in seen
        seen.add(known.name)
        extension = continued.get(known.name)
        if known.extends in first and known.extends not in revised:
            yield DecodedRecord(number, (DecodedItem(known, record.value, None),))
        elif extension is not None and is_first and known.name not in revised and extension.name in first:
            tail = first[extension.name][1]
            # Where the text continues, only the end of the extension may cut a character.
            capacity = known.length + (extension.length if trim(tail) else 0)
            whole = decode_item(known, join_split_text(value, tail), capacity)
            result = DecodedItem(known, record.value, whole.value, whole.problem, cut=whole.cut)
            yield DecodedRecord(number, (result,))
        else:
            result = decode_item(meant, value)
            if meant is not known:
                # The record has the other meaning, in the same place.
                meant = replace(meant, tag=known.tag, length=known.length)
                result = replace(result, item=meant, raw=record.value, revised=True)
            yield DecodedRecord(number, (result,))


def _untagged(file: File, number: int, raw: bytes) -> DecodedRecord:
    if not file.record_size:
        return DecodedRecord(number, (decode_item(file.items[0], raw),))
    split = split_parts(raw, [item.record_length for item in file.items])
    # An issuer may have written every field empty: 00 in text and bytes, F in digits.
    blank = all(is_fill(part, _BLANK) for part in split)
    parts = zip(file.items, split, strict=True)
    decoded = (DecodedItem(item, part, None) if blank else decode_part(item, part) for item, part in parts)
    return DecodedRecord(number, tuple(decoded))
