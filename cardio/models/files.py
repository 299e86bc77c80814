"""The results about files: the content of each, the content of a whole card, and the data on one topic.

Like all results they are the same in the library, on the command line (``--json``) and over HTTP.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from cardio.models.base import CodedValue, FrozenModel, Region
from cardio.models.reading import NO_SAM, Proof, Unread, Warning


class ItemContent(FrozenModel):
    """One item, decoded and raw. With ``items`` inside it has no ``value``."""

    tag: str | None = Field(description="two hex digits; null in records without tags")
    name: str
    label: str
    label_en: str
    value: CodedValue | datetime | date | int | str | None = Field(
        default=None, description="null where the item is empty on the card; money in fen (分)"
    )
    unit: Literal["fen", "months"] | None = Field(default=None, description="of a number, where it has one")
    items: tuple[ItemContent, ...] | None = None
    raw: str = Field(description="the bytes on the card, hex")

    @model_serializer(mode="wrap")
    def _either(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        document.pop("items" if self.items is None else "value", None)
        if self.unit is None:
            document.pop("unit", None)
        return document


class RecordContent(FrozenModel):
    number: int
    title: str | None = Field(default=None, description="what this record of a fixed file is about")
    items: tuple[ItemContent, ...]


class FileContent(FrozenModel):
    """One file. A file that could not be read has no records, and ``unread`` says why."""

    file: str
    title: str
    title_en: str
    structure: str
    opened_by: str | None = Field(description="free, pin, or the names of keys; null where it is closed")
    records: tuple[RecordContent, ...] = ()
    size: int | None = Field(default=None, description="bytes read of a transparent file")
    content: str | None = Field(default=None, description="the bytes of a transparent file, hex; not of fingerprints")
    unread: tuple[Unread, ...] = ()
    warnings: tuple[Warning, ...] = ()
    proof: Proof = NO_SAM


class CardIdentity(FrozenModel):
    """The card that a result is about."""

    generation: int
    layout: str
    region: Region | None
    identification_code: str | None


class CardDump(FrozenModel):
    """Everything that a card gives."""

    reader: str
    simulated: bool
    card: CardIdentity
    files: tuple[FileContent, ...]
    proof: Proof = NO_SAM


class FileEntry(FrozenModel):
    """A file in the tree: its description, and whether it can be read."""

    file: str
    title: str
    title_en: str
    structure: str
    read: str = Field(description="what opens it, by the layout")
    update: str
    use: str
    readable: bool
    opened_by: str | None
    records: int | None
    size: int | None = Field(description="bytes: of the records that the card gave, else as the layout says")
    reason: str | None = Field(default=None, description="why it cannot be read, as in `unread`")
    detail: str | None = None
    detail_en: str | None = None


class ApplicationEntry(FrozenModel):
    id: str
    title: str
    title_en: str
    aid: str | None
    files: tuple[FileEntry, ...]


class CardTree(FrozenModel):
    """The applications and files of a card."""

    reader: str
    simulated: bool
    card: CardIdentity
    applications: tuple[ApplicationEntry, ...]
    proof: Proof = NO_SAM


class SourcedItem(ItemContent):
    """An item, and its place on the card."""

    file: str
    record: int
    title: str | None = None


class Section(FrozenModel):
    """The card's data on one topic, across its files."""

    title: str
    title_en: str
    values: tuple[SourcedItem, ...]


class Total(FrozenModel):
    """The sum of an item over the records of a file that have the same code."""

    name: str
    label: str
    label_en: str
    by: CodedValue | None
    value: int
    unit: Literal["fen", "months"] | None
    records: int
    file: str


class Report(FrozenModel):
    """The card's data on insurance or on employment, by topic."""

    reader: str
    simulated: bool
    card: CardIdentity
    sections: dict[str, Section]
    totals: tuple[Total, ...]
    unread: tuple[Unread, ...]
    warnings: tuple[Warning, ...]
    proof: Proof = NO_SAM


class Photo(FrozenModel):
    """The photo on a card."""

    media_type: str
    width: int
    height: int
    size: int = Field(description="bytes, without what fills the file up")
    data: bytes = Field(exclude=True, repr=False)
    warnings: tuple[Warning, ...] = ()


class RecordWritten(FrozenModel):
    """One record of a file that was to be written."""

    item: str | None = Field(description="null for a record without tags")
    label: str | None
    number: int | None = Field(description="null for one more record")
    before: str | None = Field(description="what stood there, hex; null where nothing did")
    after: str = Field(description="what is to stand there, hex: tag, length, value")
    before_text: str | None = Field(description="the same as people read it; null where it is empty")
    after_text: str | None
    outcome: Literal["planned", "written", "unchanged"]


class FileWritten(FrozenModel):
    """The planned or finished writing of a file."""

    file: str
    title: str
    title_en: str
    identification_code: str | None
    records: tuple[RecordWritten, ...] = ()
    size: int | None = Field(default=None, description="bytes of a transparent file")
    proof: Proof = NO_SAM
