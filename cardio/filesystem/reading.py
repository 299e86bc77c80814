"""Reading one variable-length file, whatever the card's manners: plans without any transport.

A plan yields commands and takes answers (see `cardio.apdu.channel`). It asks with the exact length where
the layout or an earlier card tells it, and turns to the next manner only when the card refuses the last.
What an earlier card had is where it begins, and never what it ends with: an item that is missing is looked for.
"""

from __future__ import annotations

from collections.abc import Iterable

from cardio.apdu.channel import Plan
from cardio.apdu.command import SHORT_MAXIMUM, CommandApdu
from cardio.apdu.commands import read_record, select_file
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord
from cardio.apdu.tlv import Record, split_records
from cardio.errors import CardGarbledError
from cardio.filesystem.file_reading import NONSENSE, FileReading
from cardio.filesystem.layout import File
from cardio.filesystem.manners import MANNERS_BY_COST, Addressing, Manner, Reference, Shape
from cardio.filesystem.text import FILL, trim

RECORD_LIMIT = 255
UNKNOWN_LIMIT = 16
"""Records with tags that no layout knows, in one file; a card with more does not mean records."""
_CORRUPT = 0x6281
_LONGEST_CHARACTER = 4
_MANNER_REFUSALS = frozenset(
    {
        StatusWord.WRONG_LENGTH,
        StatusWord.COMMAND_INCOMPATIBLE,
        StatusWord.NO_CURRENT_EF,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.FUNCTION_NOT_SUPPORTED,
        StatusWord.FILE_NOT_FOUND,
        StatusWord.RECORD_NOT_FOUND,
        StatusWord.INCORRECT_P1_P2,
        StatusWord.WRONG_P1_P2,
        StatusWord.INS_NOT_SUPPORTED,
        StatusWord.CLA_NOT_SUPPORTED,
    }
)
"""Answers to the first record that speak about the way of asking; others speak about that one record."""


def read_file(file: File, shape: Shape | None = None, known: Iterable[Manner] = ()) -> Plan[FileReading]:
    """Reads all records of a variable-length file.

    Args:
        file: the file; its application must be current.
        shape: the records that earlier cards of this kind had; None where none is known.
        known: manners that worked on this kind of card before, tried first.
    """
    reader = _FileReader(file, shape)
    best: FileReading | None = None
    for manner in dict.fromkeys([*known, *MANNERS_BY_COST]):
        attempt = yield from reader.attempt(manner)
        if attempt is None:
            if reader.is_empty and manner.addressing is Addressing.IDENTIFIER:
                break
            continue
        if attempt.closed:
            return attempt
        # Where a dearer manner shows no more, the cheaper one was right.
        if best is None or len(attempt.records) > len(best.records):
            best = attempt
        if reader.is_whole(attempt):
            break
    return best if best is not None else FileReading(file, refusal=reader.refusal)


class _FileReader:
    """The attempts at one file, and what they have shown so far."""

    def __init__(self, file: File, shape: Shape | None) -> None:
        self._file = file
        self._known_shape = shape
        self._lengths = dict(file.record_shape) | dict(shape or ())
        self._repeats = {item.tag: item.repeat for item in file.items}
        self._order = [tag for tag, _ in (file.record_shape if shape is None else shape)]
        # What an earlier card lacked is not missed on this one, unless every issuer may leave it out.
        for item in file.items:
            if item.tag is not None and not item.optional and item.tag not in self._order:
                self._order.append(item.tag)
        self._selectable: dict[Reference, bool] = {Reference.SFI: True}
        self._refusals: list[int] = []

    @property
    def is_empty(self) -> bool:
        return set(self._refusals) == {StatusWord.RECORD_NOT_FOUND}

    @property
    def refusal(self) -> int:
        """Why the file cannot be read, when no manner works: the most telling of all answers."""
        selected = [works for reference, works in self._selectable.items() if reference.select_p1 is not None]
        if NONSENSE in self._refusals:
            return NONSENSE
        if not any(selected) and StatusWord.FILE_NOT_FOUND in self._refusals:
            return StatusWord.FILE_NOT_FOUND
        return self._refusals[-1] if self._refusals else StatusWord.FILE_NOT_FOUND

    def is_whole(self, reading: FileReading) -> bool:
        """Whether this is all: every mandatory item, at its length; or just what another card of this kind had."""
        if self._known_shape is not None and reading.shape == self._known_shape:
            return True
        defined = {item.tag: item.length for item in self._file.items if not item.cut}
        as_defined = all(defined.get(tag, length) == length for tag, length in reading.shape)
        return not reading.missing and (as_defined or self._is_single(reading))

    @staticmethod
    def _is_single(reading: FileReading) -> bool:
        """Records that came one by one cannot hide each other behind a wrong length."""
        return reading.manner is not None and reading.manner.addressing is not Addressing.ALL

    def attempt(self, manner: Manner) -> Plan[FileReading | None]:
        """One manner; None when the card does not have it."""
        if not (yield from self._reach(manner.reference)):
            return None
        reading = FileReading(self._file, manner=manner)
        match manner.addressing:
            case Addressing.ALL:
                works = yield from self._all(manner, reading)
            case Addressing.NUMBER:
                works = yield from self._by_number(manner, reading)
            case Addressing.IDENTIFIER:
                works = yield from self._by_identifier(manner, reading)
        return reading if works or reading.closed else None

    def _reach(self, reference: Reference) -> Plan[bool]:
        """Makes the file current where it is not named by SFI."""
        if reference not in self._selectable:
            response = yield from _ask(select_file(self._file.file_id, reference.select_p1 or 0))
            self._selectable[reference] = response.sw1 in (0x90, 0x61)
            if not self._selectable[reference]:
                self._refusals.append(response.status_word)
        return self._selectable[reference]

    def _sfi(self, manner: Manner) -> int:
        return self._file.sfi if manner.reference is Reference.SFI else 0

    def _note_refusal(self, status_word: int, reading: FileReading) -> None:
        """Notes why a manner failed; a file that is closed is closed in every manner."""
        if status_word == StatusWord.SECURITY_STATUS_NOT_SATISFIED:
            reading.refusal, reading.manner = status_word, None
        self._refusals.append(status_word)

    def _are_plausible(self, reading: FileReading, more: list[Record]) -> bool:
        """Whether these can be records of this file: a known one first, none too often, few unknown."""
        tags = [*reading.tags, *(record.tag for record in more)]
        too_often = any(tags.count(record.tag) > self._repeats.get(record.tag, 1) for record in more)
        unknown = sum(tag not in self._lengths for tag in tags)
        return not too_often and unknown <= UNKNOWN_LIMIT and (not tags or tags[0] in self._lengths)

    # -- all records at once ------------------------------------------------------------------

    def _all(self, manner: Manner, reading: FileReading) -> Plan[bool]:
        sfi, mode = self._sfi(manner), manner.addressing.mode
        length = min(sum(2 + self._lengths[tag] for tag in self._order), SHORT_MAXIMUM) or SHORT_MAXIMUM
        while len(reading.records) < RECORD_LIMIT:
            number = len(reading.records) + 1
            response = yield from _ask(read_record(number, mode, sfi, length))
            if response.status_word == StatusWord.WRONG_LENGTH and length != SHORT_MAXIMUM:
                length = SHORT_MAXIMUM
                response = yield from _ask(read_record(number, mode, sfi, length))
            if not _has_data(response):
                if number == 1:
                    self._note_refusal(response.status_word, reading)
                return number > 1 and response.status_word == StatusWord.RECORD_NOT_FOUND
            records, rest = split_records(response.data)
            if not records and number > 1 and length != SHORT_MAXIMUM:
                length = SHORT_MAXIMUM
                continue
            if not records or not self._are_plausible(reading, records):
                if number == 1:
                    self._note_refusal(NONSENSE, reading)
                return False
            self._take(reading, records, response)
            if _is_fill(rest) and not self._was_cut(reading, response, length):
                break
            length = SHORT_MAXIMUM
        # A card that takes "all from this number" for "this number" gives one record.
        return len(reading.records) > 1 or len(self._order) < 2

    def _was_cut(self, reading: FileReading, response: ResponseApdu, length: int) -> bool:
        """Whether an answer that ends with a record may have been cut there: as long as was asked, and short of what
        is expected. Then also a text that is full asks for what continues it."""
        as_asked = len(response.data) == length
        return as_asked and (reading.tags != self._order or bool(self._continuations(reading)))

    # -- record by record ---------------------------------------------------------------------

    def _by_number(self, manner: Manner, reading: FileReading) -> Plan[bool]:
        remaining = list(self._order)
        for number in range(1, RECORD_LIMIT + 1):
            if not remaining:
                remaining = self._continuations(reading)
            if not remaining:
                break
            tag = self._likely_next(reading, remaining)
            response = yield from self._record(manner, number, tag)
            if not _has_data(response):
                if number == 1 and self._speaks_of_the_manner(response):
                    self._note_refusal(response.status_word, reading)
                    return False
                if response.status_word == StatusWord.RECORD_NOT_FOUND:
                    break
                reading.damaged[tag] = response.status_word
                remaining.remove(tag)
                continue
            record = _one_record(response.data)
            if record is None or not self._are_plausible(reading, [record]):
                reading.damaged[tag] = NONSENSE
                remaining.remove(tag)
                continue
            if record.tag in remaining:
                remaining.remove(record.tag)
            self._take(reading, [record], response)
        return self._worked(reading)

    def _likely_next(self, reading: FileReading, remaining: list[int]) -> int:
        """The expected record after the last one read: cards may lack one, or order them differently."""
        if reading.records:
            last = reading.records[-1].tag
            order = self._order if last in self._order else [tag for tag, _ in self._file.record_shape]
            if last in order:
                following = order[order.index(last) + 1 :]
                return next((tag for tag in following if tag in remaining), remaining[0])
        return remaining[0]

    def _by_identifier(self, manner: Manner, reading: FileReading) -> Plan[bool]:
        """Every tag of the layout once; of an item that may be there several times, the first."""
        refused: list[int] = []
        for tag in dict.fromkeys([*(tag for tag, _ in self._file.record_shape), *self._order]):
            if tag not in self._order and tag not in self._continuations(reading):
                reading.not_asked.add(tag)
                continue
            response = yield from self._record(manner, tag, tag)
            if not _has_data(response):
                if response.status_word == StatusWord.RECORD_NOT_FOUND:
                    refused.append(response.status_word)
                elif not reading.records and not refused and self._speaks_of_the_manner(response):
                    self._note_refusal(response.status_word, reading)
                    return False
                else:
                    reading.damaged[tag] = response.status_word
                continue
            record = _one_record(response.data)
            if record is None or record.tag != tag:
                reading.damaged[tag] = NONSENSE
                continue
            self._take(reading, [record], response)
        self._refusals += refused[:1]
        return self._worked(reading)

    def _worked(self, reading: FileReading) -> bool:
        """Whether single records came; when none did, what they answered says why."""
        if not reading.records:
            self._refusals += reading.damaged.values()
        return bool(reading.records)

    @staticmethod
    def _speaks_of_the_manner(response: ResponseApdu) -> bool:
        closed = response.status_word == StatusWord.SECURITY_STATUS_NOT_SATISFIED
        return closed or response.status_word in _MANNER_REFUSALS

    def _continuations(self, reading: FileReading) -> list[int]:
        """Optional items not read yet that continue a text which fills its field, but for part of a character."""
        wanted = []
        for item in self._file.items:
            base = next((other for other in self._file.items if item.extends == other.name), None)
            if not item.optional or base is None or item.tag is None or item.tag in (*reading.tags, *reading.damaged):
                continue
            text = reading.value(base.tag or 0)
            if text is not None and len(trim(text)) > base.length - _LONGEST_CHARACTER:
                wanted.append(item.tag)
        return wanted

    def _record(self, manner: Manner, p1: int, tag: int) -> Plan[ResponseApdu]:
        """One record, asked for with the length that its tag should have; a wrong length is put right."""
        mode, sfi = manner.addressing.mode, self._sfi(manner)
        length = min(2 + self._lengths.get(tag, SHORT_MAXIMUM - 2), SHORT_MAXIMUM)
        response = yield from _ask(read_record(p1, mode, sfi, length))
        if response.status_word == StatusWord.WRONG_LENGTH and length != SHORT_MAXIMUM:
            return (yield from _ask(read_record(p1, mode, sfi, SHORT_MAXIMUM)))
        if _has_data(response) and 2 <= len(response.data) < 2 + response.data[1] <= SHORT_MAXIMUM:
            # The card cut the record at the length that was asked for; its own length byte says more.
            return (yield from _ask(read_record(p1, mode, sfi, 2 + response.data[1])))
        return response

    @staticmethod
    def _take(reading: FileReading, records: list[Record], response: ResponseApdu) -> None:
        reading.records += records
        if response.status_word == _CORRUPT:
            reading.corrupt |= {record.tag for record in records}


def _ask(command: CommandApdu) -> Plan[ResponseApdu]:
    """Asks, and takes an answer that makes no sense for a refusal: the next record may be better."""
    try:
        return (yield command)
    except CardGarbledError:
        return ResponseApdu(b"", NONSENSE)


def _has_data(response: ResponseApdu) -> bool:
    """Success, or a warning that comes with data."""
    return response.ok or (response.sw1 == 0x62 and bool(response.data))


def _one_record(data: bytes) -> Record | None:
    """The record in an answer; a card that ignores Le may add fill behind it."""
    records, _ = split_records(data)
    if not records:
        return None
    return records[0] if _is_fill(data[2 + len(records[0].value) :]) else None


def _is_fill(data: bytes) -> bool:
    return not data or any(data == bytes((fill,)) * len(data) for fill in FILL)
