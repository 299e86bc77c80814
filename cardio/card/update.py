"""The change of a card: it is first prepared and shown, then written, read back and reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cardio.apdu.channel import Flow
from cardio.card.diagnostics import refusal_error
from cardio.errors import CardChangedError, CardioError, UsageError
from cardio.filesystem.access_rights import Authenticator
from cardio.filesystem.card_file_system import ISSUER_FILE, CardFileSystem, text_of
from cardio.filesystem.codec.items import DecodedItem, decode_item, decode_part
from cardio.filesystem.codec.structures import split_parts
from cardio.filesystem.layouts.model import File, Item, Structure
from cardio.filesystem.reading.result import FileReading
from cardio.filesystem.writing.changes import RecordChange, content_change, record_changes
from cardio.filesystem.writing.records import Written, write_content, write_records
from cardio.models.files import FileWritten, RecordWritten
from cardio.models.reading import NO_SAM, Proof

_TAG_AND_LENGTH = 2


@dataclass(frozen=True, slots=True, repr=False)
class PreparedUpdate:
    """The planned new content of one file of one card. It fits this card and this content only."""

    identification_code: str | None
    file: File
    records: tuple[RecordChange, ...] = ()
    content: bytes | None = None
    before: bytes | None = None
    """The present content of a transparent file."""
    proof: Proof = NO_SAM
    """The proof of the card at the time of the preparation."""

    @property
    def needed(self) -> bool:
        return self.content != self.before or any(record.needed for record in self.records)

    def result(self, done: bool) -> FileWritten:
        """Return the change as a result.

        Args:
            done: the change has been written; else it is planned.
        """
        outcome = "written" if done else "planned"
        return FileWritten(
            file=self.file.path,
            title=self.file.title,
            title_en=self.file.title_en,
            identification_code=self.identification_code,
            records=tuple(
                RecordWritten(
                    item=None if one.item is None else one.item.name,
                    label=None if one.item is None else one.item.label,
                    number=one.number,
                    before=None if one.before is None else one.before.hex().upper(),
                    after=one.record.hex().upper(),
                    before_text=None if one.before is None else _text(self.file, one.item, one.before),
                    after_text=_text(self.file, one.item, one.record),
                    outcome=outcome if one.needed else "unchanged",
                )
                for one in self.records
            ),
            size=None if self.content is None else len(self.content),
            proof=self.proof,
        )


def prepare(file_system: CardFileSystem, file: File, values: Mapping[str, str] | bytes) -> Flow[PreparedUpdate]:
    """Obtain the right to write a file, read it, and return its planned new content. Nothing is changed yet.

    Args:
        file_system: the file system of the card.
        file: the file.
        values: by item (see `cardio.filesystem.writing.changes`), or the bytes of a transparent file.

    Raises:
        UsageError: there is no such item, or a value does not fit it.
        CardioError: the file cannot be read, or the right cannot be obtained.
    """
    yield from file_system.open_for_writing(file)
    reading = yield from file_system.read(file.path, probe_optional=True)
    refusal = None if reading.empty or reading.absent else refusal_error(file_system.layout, reading)
    if refusal is not None:
        raise refusal
    code = text_of(file_system.contents.files[ISSUER_FILE], "identification_code")
    if isinstance(values, bytes):
        return PreparedUpdate(code, file, content=content_change(file, values), before=reading.content)
    if file.structure is Structure.TRANSPARENT:
        raise UsageError(f"{file.path} 是透明文件，请给出全部内容", f"{file.path} is written as a whole, from bytes")
    return PreparedUpdate(code, file, records=tuple(record_changes(file_system.layout, reading, values)))


def write(file_system: CardFileSystem, change: PreparedUpdate, authenticator: Authenticator) -> Flow[FileWritten]:
    """Write a prepared change, if the card is still the one of the preparation.

    Raises:
        CardChangedError: it is another card, or the file has changed meanwhile; nothing was written.
        CardioError: as for `write_records`; its detail says what has been written before.
    """
    code = text_of(file_system.contents.files[ISSUER_FILE], "identification_code")
    reading = yield from file_system.read(change.file.path, probe_optional=True)
    if code != change.identification_code or not _as_prepared(reading, change):
        raise CardChangedError(
            "卡片或文件内容与准备写入时不同，未写入",
            "the card or the file is not as it was prepared for: nothing was written",
        )
    # Done after the reading, which may have selected another application: that ends the rights.
    yield from file_system.open_for_writing(change.file)
    written = Written()
    try:
        if change.content is not None:
            yield from write_content(change.file, change.content, authenticator, written)
        else:
            yield from write_records(reading, change.records, authenticator, written)
    except CardioError as error:
        if written.records:
            error.detail += f"（之前已写入 {len(written.records)} 条，其余未写）"
            error.detail_en += f" (records written before it: {len(written.records)}; none after)"
        elif written.bytes:
            error.detail += f"（之前已写入 {written.bytes} 字节，文件不完整，请重写）"
            error.detail_en += f" (bytes written before it: {written.bytes}; the file is incomplete, write it again)"
        raise
    return change.result(done=True)


def _text(file: File, item: Item | None, record: bytes) -> str | None:
    """Return a record as text for people: its value, or the values inside it with their names."""
    if item is not None:
        return _value(decode_item(item, record[_TAG_AND_LENGTH:]))
    parts = zip(file.items, split_parts(record, [part.record_length for part in file.items]), strict=True)
    return _named(decode_part(part, raw) for part, raw in parts)


def _value(decoded: DecodedItem) -> str | None:
    if decoded.items:
        return _named(decoded.items)
    return None if decoded.value is None else str(decoded.value)


def _named(items: Iterable[DecodedItem]) -> str | None:
    texts = [(one.item.label, _value(one)) for one in items]
    return "；".join(f"{label} {value}" for label, value in texts if value is not None) or None


def _as_prepared(reading: FileReading, change: PreparedUpdate) -> bool:
    """Return True if the content to be replaced is still on the card."""
    if change.content is not None:
        return reading.content == change.before
    standing = {number: bytes(record) for number, record in reading.numbered()} if reading.file.has_tags else {}
    return all(standing.get(one.number or 0) == one.before for one in change.records)
