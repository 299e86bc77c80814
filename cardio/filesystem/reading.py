"""Reading one variable-length file, whatever the card's manners: plans without any transport.

A plan yields commands and takes answers (see `cardio.apdu.channel`). It asks with the exact length where
the layout or an earlier card tells it, and turns to the next manner only when the card refuses the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from cardio.apdu.channel import Plan
from cardio.apdu.command import SHORT_MAXIMUM
from cardio.apdu.commands import read_record, select_file
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord
from cardio.apdu.tlv import Record, split_records
from cardio.filesystem.layout import File
from cardio.filesystem.manners import Addressing, Manner, Reference, Shape, manners_by_cost
from cardio.filesystem.text import FILL

RECORD_LIMIT = 255
_CORRUPT = 0x6281


@dataclass(slots=True)
class FileReading:
    """What reading a file gave."""

    file: File
    records: list[Record] = field(default_factory=list)
    manner: Manner | None = None
    """The manner that worked; None when none did."""
    refusal: int | None = None
    """The status word with which the card refused the file as a whole."""
    damaged: dict[int, int] = field(default_factory=dict)
    """Tags whose record could not be read, with the status word (0 when the answer made no sense)."""
    corrupt: set[int] = field(default_factory=set)
    """Tags that the card gave with the warning 6281: the data may be wrong."""

    @property
    def shape(self) -> Shape:
        return tuple((record.tag, len(record.value)) for record in self.records)

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
    def garbled(self) -> bool:
        """The card answered, and no answer was a record."""
        return self.refusal == StatusWord.SUCCESS

    def value(self, tag: int) -> bytes | None:
        return next((record.value for record in self.records if record.tag == tag), None)


def read_file(file: File, shape: Shape, known: Iterable[Manner] = ()) -> Plan[FileReading]:
    """Reads all records of a variable-length file.

    Args:
        file: the file; its application must be current.
        shape: the records that are expected, from an earlier card of this kind or from the layout.
        known: manners that worked on this kind of card before, tried first.
    """
    reader = _FileReader(file, shape)
    best: FileReading | None = None
    for manner in dict.fromkeys([*known, *manners_by_cost()]):
        attempt = yield from reader.attempt(manner)
        if attempt is None:
            if reader.nothing_but(StatusWord.RECORD_NOT_FOUND) and manner.addressing is Addressing.IDENTIFIER:
                break
            continue
        if attempt.closed:
            return attempt
        if best is None or len(attempt.records) > len(best.records):
            best = attempt
        if attempt.manner is not None and (reader.complete(attempt) or manner.addressing is not Addressing.ALL):
            # A read-all that came back short was right when single records show no more.
            return best
    if best is not None and best.records:
        return best
    return FileReading(file, refusal=reader.refusal)


class _FileReader:
    """The attempts at one file, and what they have shown so far."""

    def __init__(self, file: File, shape: Shape) -> None:
        self._file = file
        self._lengths = dict(file.record_shape) | dict(shape)
        expected = [tag for tag, _ in shape]
        # What an earlier card lacked is not missed on this one, unless every issuer may leave it out.
        self._order = expected + [
            i.tag for i in file.items if i.tag is not None and not i.optional and i.tag not in expected
        ]
        self._repeats = {item.tag: item.repeat for item in file.items}
        self._needed = {item.tag for item in file.items if not item.optional}
        self._selectable: dict[Reference, bool] = {Reference.SFI: True}
        self._refusals: list[int] = []

    def nothing_but(self, status_word: int) -> bool:
        return set(self._refusals) == {status_word}

    @property
    def refusal(self) -> int:
        """Why the file cannot be read, when no manner works: the most telling of all answers."""
        nowhere = not any(
            self._selectable[reference] for reference in self._selectable if reference.select_p1 is not None
        )
        if StatusWord.SUCCESS in self._refusals:
            return StatusWord.SUCCESS
        if nowhere and StatusWord.FILE_NOT_FOUND in self._refusals:
            return StatusWord.FILE_NOT_FOUND
        return self._refusals[-1] if self._refusals else StatusWord.FILE_NOT_FOUND

    def complete(self, reading: FileReading) -> bool:
        """Whether every item that an issuer must write has come."""
        return self._needed <= {record.tag for record in reading.records}

    def attempt(self, manner: Manner) -> Plan[FileReading | None]:
        """One manner; None when the card does not have it."""
        if not (yield from self._reach(manner.reference)):
            return None
        reading = FileReading(self._file, manner=manner)
        match manner.addressing:
            case Addressing.ALL:
                works = yield from self._all(reading)
            case Addressing.NUMBER:
                works = yield from self._by_number(reading)
            case Addressing.IDENTIFIER:
                works = yield from self._by_identifier(reading)
        return reading if works or reading.closed else None

    def _reach(self, reference: Reference) -> Plan[bool]:
        """Makes the file current where it is not named by SFI."""
        if reference not in self._selectable:
            response = yield select_file(self._file.file_id, reference.select_p1 or 0)
            self._selectable[reference] = response.sw1 in (0x90, 0x61)
            if not self._selectable[reference]:
                self._refused(response)
        return self._selectable[reference]

    def _sfi(self, reading: FileReading) -> int:
        assert reading.manner is not None  # noqa: S101 - narrows a type: attempt() has just set it
        return self._file.sfi if reading.manner.reference is Reference.SFI else 0

    def _refused(self, response: ResponseApdu, reading: FileReading | None = None) -> None:
        """Notes why; a file that is closed is closed in every manner."""
        if response.status_word == StatusWord.SECURITY_STATUS_NOT_SATISFIED and reading is not None:
            reading.refusal = response.status_word
            reading.manner = None
        self._refusals.append(response.status_word)

    def _too_many(self, reading: FileReading, more: list[Record]) -> bool:
        """Whether a tag comes more often than the layout allows: the card does not do what was asked."""
        counts = Counter(record.tag for record in (*reading.records, *more))
        return any(count > self._repeats.get(tag, 1) for tag, count in counts.items())

    # -- all records at once ------------------------------------------------------------------

    def _all(self, reading: FileReading) -> Plan[bool]:
        sfi = self._sfi(reading)
        expected = sum(2 + self._lengths[tag] for tag in self._order)
        while len(reading.records) < RECORD_LIMIT:
            number = len(reading.records) + 1
            length = min(expected, SHORT_MAXIMUM) or SHORT_MAXIMUM
            response = yield read_record(number, Addressing.ALL.mode, sfi, length)
            if response.status_word == StatusWord.WRONG_LENGTH and length != SHORT_MAXIMUM:
                response = yield read_record(number, Addressing.ALL.mode, sfi, SHORT_MAXIMUM)
            if not _has_data(response):
                if number == 1:
                    self._refused(response, reading)
                return number > 1
            records, rest = split_records(response.data)
            if not records or self._too_many(reading, records) or (number == 1 and not self._known(records[0])):
                if number == 1:
                    self._refused(response)
                return False
            reading.records += records
            if response.status_word == _CORRUPT:
                reading.corrupt |= {record.tag for record in records}
            if _is_fill(rest):
                return len(reading.records) > 1 or len(self._order) < 2
            expected = max(expected - len(response.data) + len(rest), 2 + rest[1] if len(rest) > 1 else 0)
        return True

    # -- record by record ---------------------------------------------------------------------

    def _by_number(self, reading: FileReading) -> Plan[bool]:
        remaining = list(self._order)
        for number in range(1, RECORD_LIMIT + 1):
            if not remaining:
                break
            tag = self._likely_next(reading, remaining)
            response = yield from self._record(reading, number, tag)
            if not _has_data(response):
                if number == 1:
                    self._refused(response, reading)
                    return False
                if response.status_word == StatusWord.RECORD_NOT_FOUND:
                    break
                reading.damaged[tag] = response.status_word
                remaining.remove(tag)
                continue
            record = _one_record(response.data)
            if record is None or (number == 1 and not self._known(record)):
                if number == 1:
                    self._refused(response)
                    return False
                reading.damaged[tag] = 0
                remaining.remove(tag)
                continue
            if self._too_many(reading, [record]):
                return False
            if record.tag in remaining:
                remaining.remove(record.tag)
            self._take(reading, record, response)
        return bool(reading.records)

    def _known(self, record: Record) -> bool:
        return record.tag in self._lengths

    def _likely_next(self, reading: FileReading, remaining: list[int]) -> int:
        """The expected record after the last one read: cards may lack one, or order them differently."""
        if reading.records:
            last = reading.records[-1].tag
            order = self._order if last in self._order else [tag for tag, _ in self._file.record_shape]
            if last in order:
                following = order[order.index(last) + 1 :]
                return next((tag for tag in following if tag in remaining), remaining[0])
        return remaining[0]

    def _by_identifier(self, reading: FileReading) -> Plan[bool]:
        refused: ResponseApdu | None = None
        for tag in self._asked_by_identifier():
            if tag not in self._order and not self._continues(reading, tag):
                continue
            response = yield from self._record(reading, tag, tag)
            if not _has_data(response):
                if response.status_word != StatusWord.RECORD_NOT_FOUND:
                    if not reading.records and refused is None:
                        self._refused(response, reading)
                        return False
                    reading.damaged[tag] = response.status_word
                refused = refused or response
                continue
            record = _one_record(response.data)
            if record is None or record.tag != tag:
                if not reading.records:
                    self._refused(response)
                    return False
                reading.damaged[tag] = 0
                continue
            self._take(reading, record, response)
        if not reading.records and refused is not None:
            self._refused(refused)
        return bool(reading.records)

    def _asked_by_identifier(self) -> list[int]:
        """Every tag once, in the order of the layout: a mandatory item is asked for even if unexpected."""
        always = [tag for tag, _ in self._file.record_shape]
        return list(dict.fromkeys([*always, *self._order]))

    def _continues(self, reading: FileReading, tag: int) -> bool:
        """Whether to ask for an item that cards of this issuer lack: yes when the one it extends is full."""
        item = self._file.item(tag)
        if item is None or not item.optional:
            return True
        extended = next((other for other in self._file.items if other.name == item.extends), None)
        if extended is None or extended.tag is None:
            return False
        value = reading.value(extended.tag)
        return value is not None and len(value) >= extended.length and value[-1] not in FILL

    def _record(self, reading: FileReading, p1: int, tag: int) -> Plan[ResponseApdu]:
        """One record, asked for with the length that its tag should have; a wrong length is put right."""
        assert reading.manner is not None  # noqa: S101 - narrows a type: attempt() has just set it
        mode, sfi = reading.manner.addressing.mode, self._sfi(reading)
        length = min(2 + self._lengths.get(tag, SHORT_MAXIMUM - 2), SHORT_MAXIMUM)
        response = yield read_record(p1, mode, sfi, length)
        if response.status_word == StatusWord.WRONG_LENGTH and length != SHORT_MAXIMUM:
            return (yield read_record(p1, mode, sfi, SHORT_MAXIMUM))
        if _has_data(response) and len(response.data) >= 2 and len(response.data) < 2 + response.data[1]:
            # The card cut the record at the length that was asked for; its own length byte says more.
            return (yield read_record(p1, mode, sfi, 2 + response.data[1]))
        return response

    @staticmethod
    def _take(reading: FileReading, record: Record, response: ResponseApdu) -> None:
        reading.records.append(record)
        if response.status_word == _CORRUPT:
            reading.corrupt.add(record.tag)


def _has_data(response: ResponseApdu) -> bool:
    """Success, or a warning that comes with data."""
    return response.ok or (response.sw1 == 0x62 and bool(response.data))


def _one_record(data: bytes) -> Record | None:
    """The record in an answer; a card that ignores Le may add fill behind it."""
    records, _ = split_records(data)
    if not records or data[0] in (0x00, 0xFF):
        return None
    return records[0] if _is_fill(data[2 + len(records[0].value) :]) else None


def _is_fill(data: bytes) -> bool:
    return not data or any(data == bytes((fill,)) * len(data) for fill in FILL)
