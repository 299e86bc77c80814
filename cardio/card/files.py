"""From files that were read to the answers about them: one file, the tree, the dump, a report by topic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from cardio.card.diagnostics import Diagnostics, coded_value, issuing_region
from cardio.errors import UsageError
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
    Section,
    SourcedItem,
    Total,
)
from cardio.models.reading import NO_SAM, CodedValue, Proof


def card_identity(contents: CardContents) -> CardIdentity:
    """Which card it is, from its issuer's file."""
    code = text_of(contents.files[ISSUER_FILE], "identification_code")
    return CardIdentity(
        generation=contents.layout.generation,
        layout=contents.layout.title,
        region=issuing_region(code),
        identification_code=code,
    )


def file_content(layout: Layout, reading: FileReading, proof: Proof = NO_SAM) -> FileContent:
    """One file, decoded beside raw."""
    file, remarks = reading.file, Diagnostics()
    records: tuple[RecordContent, ...] = ()
    content, size = None, None
    if reading.refusal is not None:
        remarks.refused(layout, reading)
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
    return RecordContent(number=record.number, title=_record_title(file, record.number), items=items)


def _record_title(file: File, number: int) -> str | None:
    return file.record_titles[number - 1] if number <= len(file.record_titles) else None


def item_content(layout: Layout, decoded: DecodedItem, remarks: Diagnostics) -> ItemContent:
    """One item with what is inside it; codes get their words."""
    item = decoded.item
    return ItemContent(
        tag=None if item.tag is None else f"{item.tag:02X}",
        name=item.name,
        label=item.label,
        label_en=item.label_en,
        value=_value(layout, decoded, remarks),
        unit=_unit(item),
        items=tuple(item_content(layout, inside, remarks) for inside in decoded.items) if decoded.items else None,
        raw=decoded.raw.hex().upper(),
    )


def _unit(item: Item) -> Literal["fen", "months"] | None:
    return "fen" if item.kind is Kind.AMOUNT else item.unit


def _value(layout: Layout, decoded: DecodedItem, remarks: Diagnostics) -> object:
    value = decoded.value
    if value is None or decoded.item.codes is None:
        return value
    return coded_value(layout, decoded.item, value, remarks)


def photo_content(reading: FileReading) -> Photo | None:
    """The photo that a file holds, None where it holds none.

    Raises:
        DecodeError: what it holds is no photo.
    """
    shape = recognise_photo(reading.content)
    if shape is None:
        return None
    remarks = Diagnostics()
    remarks.read(reading, [])
    if not shape.whole:
        remarks.warn("incomplete-photo", None, "照片没有结束标志，可能不完整", "the photo has no end: it may be cut")
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
    """Every application and file of the layout, and whether this card lets it be read."""
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
        remarks.refused(layout, reading)
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


def report_files(layout: Layout, report: str) -> list[File]:
    """The files that a report is made from.

    Raises:
        UsageError: there is no such report.
    """
    topics = {topic.name for topic in layout.topics if topic.report == report}
    if not topics:
        known = sorted({topic.report for topic in layout.topics})
        raise UsageError(f"没有 {report} 报告；有 {known}", f"there is no report {report!r}; there are {known}")
    return [file for file in layout.files() if any(topic in topics for topic in _topics(file))]


def _topics(file: File) -> Iterator[str]:
    if file.topic is not None:
        yield file.topic
    for item in file.items:
        for one in (item, item.revised):
            if one is not None and one.topic is not None:
                yield one.topic


def report_sections(
    layout: Layout, readings: Iterable[FileReading], report: str, remarks: Diagnostics
) -> tuple[dict[str, Section], tuple[Total, ...]]:
    """What files say of the topics of a report, each value with where it stands; and the sums."""
    values: dict[str, list[SourcedItem]] = {topic.name: [] for topic in layout.topics if topic.report == report}
    totals: list[Total] = []
    for reading in readings:
        remarks.refused(layout, reading)
        if reading.refusal is not None:
            continue
        records = decode_records(reading)
        remarks.read(reading, records)
        for record in records:
            for topic, item in _sourced(layout, reading.file, record, remarks):
                if topic in values:
                    values[topic].append(item)
        totals += _totals(layout, reading.file, records, remarks)
    titles = {topic.name: topic for topic in layout.topics}
    sections = {
        name: Section(title=titles[name].title, title_en=titles[name].title_en, values=tuple(found))
        for name, found in values.items()
    }
    return sections, tuple(totals)


def _sourced(
    layout: Layout, file: File, record: DecodedRecord, remarks: Diagnostics
) -> Iterator[tuple[str | None, SourcedItem]]:
    """The items of a record that say something; a record without tags is one item with its fields inside."""
    where = {"file": file.path, "record": record.number, "title": _record_title(file, record.number)}
    contents = [(item, item_content(layout, item, remarks)) for item in record.items]
    told = [(item, content) for item, content in contents if _says_something(content)]
    if file.has_tags:
        for item, content in told:
            yield item.item.topic or file.topic, SourcedItem(**dict(content), **where)
    elif told:
        yield (
            file.topic,
            SourcedItem(
                tag=None,
                name="record",
                label=file.title,
                label_en=file.title_en,
                items=tuple(content for _, content in contents),
                raw="".join(content.raw for _, content in contents),
                **where,
            ),
        )


def _says_something(content: ItemContent) -> bool:
    if content.items is not None:
        return any(_says_something(inside) for inside in content.items)
    return content.value is not None


def _totals(layout: Layout, file: File, records: list[DecodedRecord], remarks: Diagnostics) -> Iterator[Total]:
    sums: dict[tuple[str, str | None], list[int]] = {}
    items: dict[str, Item] = {}
    codes: dict[str | None, CodedValue | None] = {None: None}
    for record in records:
        for siblings in (record.items, *(item.items for item in record.items)):
            for one in siblings:
                if one.item.summed_by is None or not isinstance(one.value, int):
                    continue
                by = next((other for other in siblings if other.item.name == one.item.summed_by), None)
                code = str(by.value) if by is not None and by.value is not None else None
                if by is not None and code is not None and code not in codes:
                    codes[code] = coded_value(layout, by.item, code, Diagnostics())
                items[one.item.name] = one.item
                sums.setdefault((one.item.name, code), []).append(one.value)
    for (name, code), listed in sums.items():
        yield Total(
            name=name,
            label=items[name].label,
            label_en=items[name].label_en,
            by=codes[code],
            value=sum(listed),
            unit=_unit(items[name]),
            records=len(listed),
            file=file.path,
        )
