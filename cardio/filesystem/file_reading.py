"""What reading a file gave: its records, and what kept the others away."""

from __future__ import annotations

from dataclasses import dataclass, field

from cardio.apdu.status_word import StatusWord
from cardio.apdu.tlv import Record
from cardio.filesystem.layout import File, Item
from cardio.filesystem.manners import Manner, Shape

NONSENSE = 0
"""Stands for a status word where an answer made no sense."""


@dataclass(slots=True)
class FileReading:
    """What reading a file gave."""

    file: File
    records: list[Record] = field(default_factory=list)
    manner: Manner | None = None
    """The manner that worked; None when none did."""
    refusal: int | None = None
    """The status word with which the card refused the file as a whole, `NONSENSE` when no answer was a record."""
    damaged: dict[int, int] = field(default_factory=dict)
    """Tags whose record could not be read, with the status word or `NONSENSE`."""
    corrupt: set[int] = field(default_factory=set)
    """Tags that the card gave with the warning 6281: the data may be wrong."""
    not_asked: set[int] = field(default_factory=set)
    """Optional items that were not asked for, since other cards of this issuer do not have them."""

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
        return self.refusal == NONSENSE

    @property
    def missing(self) -> list[Item]:
        """Items that every issuer must write, and this card neither gave nor refused one by one."""
        if self.refusal is not None:
            return []
        found = {*self.tags, *self.damaged}
        return [item for item in self.file.items if not item.optional and item.tag not in found]

    def value(self, tag: int) -> bytes | None:
        return next((record.value for record in self.records if record.tag == tag), None)
