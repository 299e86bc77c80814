"""Reports over several files: insurance, employment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cardio.card.diagnostics import Diagnostics, coded_value
from cardio.card.files import item_content, record_title, unit_of
from cardio.errors import UsageError
from cardio.filesystem.layouts.model import File, Item, Layout
from cardio.filesystem.reading.decode import DecodedRecord, decode_records
from cardio.filesystem.reading.result import FileReading
from cardio.models.base import CodedValue
from cardio.models.files import (
    ItemContent,
    Section,
    SourcedItem,
    Total,
)


def report_files(layout: Layout, report: str) -> list[File]:
    """Return the files that a report is made from.

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


def build_report(
    layout: Layout, readings: Iterable[FileReading], report: str, remarks: Diagnostics
) -> tuple[dict[str, Section], tuple[Total, ...]]:
    """Collect the values of a report's topics, each with its place on the card, and the sums."""
    values: dict[str, list[SourcedItem]] = {topic.name: [] for topic in layout.topics if topic.report == report}
    totals: list[Total] = []
    for reading in readings:
        remarks.add_refusal(layout, reading)
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
    """Yield the items of a record that have a value. A record without tags is one item with its fields inside."""
    where = {"file": file.path, "record": record.number, "title": record_title(file, record.number)}
    contents = [(item, item_content(layout, item, remarks)) for item in record.items]
    stated = [(item, content) for item, content in contents if _says_something(content)]
    if file.has_tags:
        for item, content in stated:
            yield item.item.topic or file.topic, SourcedItem(**dict(content), **where)
    elif stated:
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
            unit=unit_of(items[name]),
            records=len(listed),
            file=file.path,
        )
