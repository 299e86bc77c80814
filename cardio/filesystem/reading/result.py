"""The result of reading a file: its records, and the reasons why others are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cardio.apdu.command import SHORT_MAXIMUM
from cardio.apdu.status_word import StatusWord
from cardio.apdu.tlv import Record
from cardio.errors import CardioError
from cardio.filesystem.capabilities import AccessMethod, RecordShape
from cardio.filesystem.layouts.model import File, Item

MALFORMED = 0
"""The value in place of a status word when an answer is malformed."""
CORRUPT = 0x6281
"""The card's warning that the returned data may be wrong."""
UNTAGGED = 0
"""The value in place of the tag of a record that has none."""


@dataclass(slots=True)
class FileReading:
    """The result of reading a file."""

    file: File
    records: list[Record] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """The number of each record on the card; empty if they are numbered from 1 without gaps, or were read by tag."""
    method: AccessMethod | None = None
    """The access method that worked; None when none did."""
    refusal: int | None = None
    """The status word with which the card refused the file as a whole; `MALFORMED` when no answer was a record."""
    damaged: dict[int, int] = field(default_factory=dict)
    """The tags whose record could not be read, with the status word or `MALFORMED`."""
    corrupt: set[int] = field(default_factory=set)
    """The tags that the card gave with the warning 6281: the data may be wrong."""
    damaged_numbers: dict[int, int] = field(default_factory=dict)
    """The numbers of records without tags that could not be read whole, with the status word or `MALFORMED`."""
    corrupt_numbers: set[int] = field(default_factory=set)
    """The numbers of such records, or 1 for a transparent file, that came with the warning 6281."""
    content: bytes = field(default=b"", repr=False)
    """The bytes of a transparent file."""
    probed: bool = False
    """True if only the file's beginning was requested."""
    block: int = SHORT_MAXIMUM
    """The number of bytes of a transparent file that the card gave in one answer."""
    broken_off: int | None = None
    """The status word that ended a transparent file before its end."""
    access_error: CardioError | None = None
    """The reason why the rights that open the file could not be obtained, where that was tried."""
    opened_by: str | None = None
    """``free``, or the rights that opened it, for example ``PIN``."""
    only_first: set[int] = field(default_factory=set)
    """Tags with several records, if the card gives only the first."""
    duplicates: set[int] = field(default_factory=set)
    """The tags of records that the card gave twice, byte for byte."""
    not_asked: set[int] = field(default_factory=set)
    """The tags of optional items that were not requested, since other cards of this issuer do not have them."""

    def numbered(self) -> Iterator[tuple[int, Record]]:
        """Return the records with their numbers."""
        return zip(self.numbers or range(1, len(self.records) + 1), self.records, strict=True)

    @property
    def shape(self) -> RecordShape:
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
        """Return True if the file is on the card and holds no record."""
        return self.refusal == StatusWord.RECORD_NOT_FOUND

    @property
    def malformed(self) -> bool:
        """Return True if the card answered, and no answer was a record."""
        return self.refusal == MALFORMED

    @property
    def missing(self) -> list[Item]:
        """Return the items that every issuer must write, and that this card neither gave nor refused one by one."""
        if self.refusal is not None or not self.file.has_tags:
            return []
        found = {*self.tags, *self.damaged}
        return [item for item in self.file.items if item.expected and item.tag not in found]

    def value(self, tag: int) -> bytes | None:
        return next((record.value for record in self.records if record.tag == tag), None)
