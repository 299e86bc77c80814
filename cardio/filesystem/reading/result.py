"""What reading a file gave: its records, and what kept the others away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cardio.apdu.command import SHORT_MAXIMUM
from cardio.apdu.status_word import StatusWord
from cardio.apdu.tlv import Record
from cardio.errors import CardioError
from cardio.filesystem.capabilities import AccessMethod, Shape
from cardio.filesystem.layouts.model import File, Item

MALFORMED = 0
"""Stands for a status word where an answer made no sense."""
CORRUPT = 0x6281
"""The card's warning that what it gives may be wrong."""
UNTAGGED = 0
"""Stands for the tag of a record that has none."""


@dataclass(slots=True)
class FileReading:
    """What reading a file gave."""

    file: File
    records: list[Record] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """The number of each on the card; empty where they follow each other from 1, or came by their tags."""
    manner: AccessMethod | None = None
    """The manner that worked; None when none did."""
    refusal: int | None = None
    """The status word with which the card refused the file as a whole, `MALFORMED` when no answer was a record."""
    damaged: dict[int, int] = field(default_factory=dict)
    """Tags whose record could not be read, with the status word or `MALFORMED`."""
    corrupt: set[int] = field(default_factory=set)
    """Tags that the card gave with the warning 6281: the data may be wrong."""
    damaged_numbers: dict[int, int] = field(default_factory=dict)
    """Numbers of records without tags that could not be read whole, with the status word or `MALFORMED`."""
    corrupt_numbers: set[int] = field(default_factory=set)
    """Numbers of such records, or 1 for a transparent file, that came with the warning 6281."""
    content: bytes = field(default=b"", repr=False)
    """The bytes of a transparent file."""
    probed: bool = False
    """Only its beginning was asked for."""
    block: int = SHORT_MAXIMUM
    """Bytes of it that the card gave at once."""
    broken_off: int | None = None
    """The status word that ended a transparent file before its end."""
    access_error: CardioError | None = None
    """Why the rights that open it could not be had, where they were tried for."""
    opened_by: str | None = None
    """``free``, or the rights that opened it, as ``PIN``."""
    only_first: set[int] = field(default_factory=set)
    """Tags of which the card gives the first record only, though there may be more."""
    duplicates: set[int] = field(default_factory=set)
    """Tags of records that the card gave once more, byte for byte."""
    not_asked: set[int] = field(default_factory=set)
    """Optional items that were not asked for, since other cards of this issuer do not have them."""

    def numbered(self) -> Iterator[tuple[int, Record]]:
        """The records with their numbers."""
        return zip(self.numbers or range(1, len(self.records) + 1), self.records, strict=True)

    @property
    def shape(self) -> Shape:
        return tuple((record.tag, len(record.value)) for record in self.records)

    @property
    def tags(self) -> list[int]:
        return [record.tag for record in self.records]

    @property
    def closed(self) -> bool:
        return self.refusal == StatusWord.SECURITY_STATUS_NOT_SATISFIED

    @property
    def absent(self) -> bool:
        return self.refusal == StatusWord.FILE_NOT_FOUND

    @property
    def empty(self) -> bool:
        """The file is there and holds no record."""
        return self.refusal == StatusWord.RECORD_NOT_FOUND

    @property
    def nonsense(self) -> bool:
        """The card answered, and no answer was a record."""
        return self.refusal == MALFORMED

    @property
    def missing(self) -> list[Item]:
        """Items that every issuer must write, and this card neither gave nor refused one by one."""
        if self.refusal is not None or not self.file.has_tags:
            return []
        found = {*self.tags, *self.damaged}
        return [item for item in self.file.items if item.expected and item.tag not in found]

    def value(self, tag: int) -> bytes | None:
        return next((record.value for record in self.records if record.tag == tag), None)
