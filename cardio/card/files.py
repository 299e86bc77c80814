"""The step from files that were read to their results: one file, the tree, the dump, a report by topic."""

from __future__ import annotations

from typing import Literal

from cardio.card.diagnostics import Diagnostics, coded_value, issuing_region
from cardio.filesystem.card_file_system import ISSUER_FILE, CardContents, text_of
from cardio.filesystem.codec.items import DecodedItem
from cardio.filesystem.codec.photo import recognise_photo
from cardio.filesystem.layouts.model import File, Item, Kind, Layout, Structure
from cardio.filesystem.reading.decode import DecodedRecord, decode_records
from cardio.filesystem.reading.result import FileReading
from cardio.models.files import (
    ApplicationEntry,
    CardIdentity,
    CardTree,
    FileContent,
    FileEntry,
    ItemContent,
    Photo,
    RecordContent,
)
from cardio.models.reading import NO_SAM, Proof


def card_identity(contents: CardContents) -> CardIdentity:
    """Return which card it is, from its issuer's file."""
    code = text_of(contents.files[ISSUER_FILE], "identification_code")
    return CardIdentity(
        generation=contents.layout.generation,
        layout=contents.layout.title,
        region=issuing_region(code),
        identification_code=code,
    )


def file_content(layout: Layout, reading: FileReading, proof: Proof = NO_SAM) -> FileContent:
    """Return one file, decoded and raw."""
    file, remarks = reading.file, Diagnostics()
    records: tuple[RecordContent, ...] = ()
    content, size = None, None
    if reading.refusal is not None:
        remarks.add_refusal(layout, reading)
    else:
        decoded = decode_records(reading)
        remarks.read(reading, decoded)
        records = tuple(_record(layout, file, record, remarks) for record in decoded)
    if file.structure is Structure.TRANSPARENT and reading.refusal is None:
        size = len(reading.content)
        content = None if file.content == "fingerprint" else reading.content.hex().upper()
    return FileContent(
        file=file.path,
        title=file.title,
        title_en=file.title_en,
        structure=file.structure,
        opened_by=_opened_by(reading),
        records=records,
        size=size,
        content=content,
        unread=tuple(remarks.unread),
        warnings=tuple(remarks.warnings),
        proof=proof,
    )


def _opened_by(reading: FileReading) -> str | None:
    return reading.opened_by.replace("PIN", "pin") if reading.opened_by and reading.refusal is None else None


def _record(layout: Layout, file: File, record: DecodedRecord, remarks: Diagnostics) -> RecordContent:
    items = tuple(item_content(layout, item, remarks) for item in record.items)
    return RecordContent(number=record.number, title=record_title(file, record.number), items=items)


def record_title(file: File, number: int) -> str | None:
    return file.record_titles[number - 1] if number <= len(file.record_titles) else None


def item_content(layout: Layout, decoded: DecodedItem, remarks: Diagnostics) -> ItemContent:
    """Return one item with the items inside it; codes get their words."""
    item = decoded.item
    return ItemContent(
        tag=None if item.tag is None else f"{item.tag:02X}",
        name=item.name,
        label=item.label,
        label_en=item.label_en,
        value=_value(layout, decoded, remarks),
        unit=unit_of(item),
        items=tuple(item_content(layout, inside, remarks) for inside in decoded.items) if decoded.items else None,
        raw=decoded.raw.hex().upper(),
    )


def unit_of(item: Item) -> Literal["fen", "months"] | None:
    return "fen" if item.kind is Kind.AMOUNT else item.unit


def _value(layout: Layout, decoded: DecodedItem, remarks: Diagnostics) -> object:
    value = decoded.value
    if value is None or decoded.item.codes is None:
        return value
    return coded_value(layout, decoded.item, value, remarks)


def photo_content(reading: FileReading) -> Photo | None:
    """Return the photo in a file; None if it holds none.

    Raises:
        DecodeError: the content is no photo.
    """
    shape = recognise_photo(reading.content)
    if shape is None:
        return None
    remarks = Diagnostics()
    remarks.read(reading, [])
    if not shape.whole:
        remarks.add_warning(
            "incomplete-photo", None, "照片没有结束标志，可能不完整", "the photo has no end: it may be cut"
        )
    return Photo(
        media_type=shape.media_type,
        width=shape.width,
        height=shape.height,
        size=shape.size,
        data=reading.content[: shape.size],
        warnings=tuple(remarks.warnings),
    )


# -- the tree -----------------------------------------------------------------------------------


def card_tree(contents: CardContents, *, reader: str, simulated: bool, proof: Proof) -> CardTree:
    """Return every application and file of the layout, and which files this card lets be read."""
    layout = contents.layout
    applications = tuple(
        ApplicationEntry(
            id=application.id,
            title=application.title,
            title_en=application.title_en,
            aid=application.name.hex().upper() if application.name else None,
            files=tuple(_file_entry(layout, file, contents.files.get(file.path)) for file in application.files),
        )
        for application in layout.applications
    )
    return CardTree(
        reader=reader, simulated=simulated, card=card_identity(contents), applications=applications, proof=proof
    )


def _file_entry(layout: Layout, file: File, reading: FileReading | None) -> FileEntry:
    remarks = Diagnostics()
    if reading is None:
        remarks.internal(file)
    else:
        remarks.add_refusal(layout, reading)
    why = remarks.unread[0] if remarks.unread else None
    size = file.size
    records = None
    if reading is not None and reading.refusal is None and file.structure is not Structure.TRANSPARENT:
        records = len(reading.records)
        size = sum(len(record.value) + (2 if file.has_tags else 0) for record in reading.records)
    return FileEntry(
        file=file.path,
        title=file.title,
        title_en=file.title_en,
        structure=file.structure,
        read=str(file.read),
        update=str(file.update),
        use=file.use,
        readable=why is None,
        opened_by=_opened_by(reading) if reading is not None else None,
        records=records,
        size=size,
        reason=why.reason if why else None,
        detail=why.detail if why else None,
        detail_en=why.detail_en if why else None,
    )


# -- reports by topic -----------------------------------------------------------------------------
