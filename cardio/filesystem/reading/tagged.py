"""The flow that reads one file whose records begin with a tag, with any access method, without any transport.

A flow yields commands and receives answers (see `cardio.apdu.channel`). It requests the exact length where the layout
or an earlier card gives it, and turns to the next access method only when the card refuses the last. The record list of
an earlier card is only the starting point: items that it lacked are still looked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from cardio.apdu.channel import Flow
from cardio.apdu.command import SHORT_MAXIMUM
from cardio.apdu.commands import RecordMode, read_record
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord
from cardio.apdu.tlv import RECORD_LIMIT, Record, split_records
from cardio.filesystem.capabilities import METHODS_BY_COST, AccessMethod, Addressing, RecordShape
from cardio.filesystem.codec.text import is_fill, trim
from cardio.filesystem.layouts.model import File
from cardio.filesystem.reading.attempt import METHOD_REFUSALS, ReadAttempt, has_data, send_or_malformed
from cardio.filesystem.reading.result import CORRUPT, MALFORMED, FileReading

_SAME_ENDURED = 2
"""The number of repeats of the last record after which the card is taken to ignore the record number."""
UNKNOWN_LIMIT = 16
"""The limit of records with unknown tags in one file; if a card gives more, its answers are no records."""
_LONGEST_CHARACTER = 4


def read_file(
    file: File,
    shape: RecordShape | None = None,
    known: Iterable[AccessMethod] = (),
    *,
    probe_optional: bool = False,
    exact: bool = True,
    on_method: Callable[[AccessMethod], object] | None = None,
) -> Flow[FileReading]:
    """Read all records of a file whose records begin with a tag.

    Args:
        file: the file; its application must be current.
        shape: the records that earlier cards of this kind had; None where none is known.
        known: access methods that worked on this kind of card before; they are tried first.
        probe_optional: look for records beyond those that the layout or an earlier card had.
        exact: request the expected length; a card that cuts its answers may have more.
        on_method: called with an access method as soon as it has given a record, because the reading may not finish.
    """
    reader = _FileReader(file, shape, probe_optional=probe_optional, exact=exact, on_method=on_method)
    best: FileReading | None = None
    for method in dict.fromkeys([*known, *METHODS_BY_COST]):
        attempt = yield from reader.attempt(method)
        if attempt is None:
            if reader.is_empty and method.addressing is Addressing.IDENTIFIER:
                break
            continue
        if attempt.closed:
            return attempt
        # If a costlier method gives no more records, the cheaper one was right.
        if best is None or len(attempt.records) > len(best.records):
            best = attempt
        if reader.is_whole(attempt):
            break
    if best is None and reader.gave_one is not None:
        best = yield from reader.one_by_one(reader.gave_one)
    return best if best is not None else FileReading(file, refusal=reader.refusal)


class _FileReader(ReadAttempt):
    """The attempts to read one file, and their findings so far."""

    def __init__(
        self,
        file: File,
        shape: RecordShape | None,
        *,
        probe_optional: bool,
        exact: bool,
        on_method: Callable[[AccessMethod], object] | None,
    ) -> None:
        super().__init__(file)
        self._on_method = on_method
        self._known_shape = shape
        self._probe_optional, self._exact = probe_optional, exact
        self.gave_one: AccessMethod | None = None
        """An access method for all records with which the card gave one record only."""
        strays = {item.tag: item.length for item in file.items if item.stray and item.tag is not None}
        self._lengths = strays | dict(file.record_shape) | dict(shape or ())
        self._repeats = {item.tag: file.repeats(item) for item in file.items}
        self._order = [tag for tag, _ in (file.record_shape if shape is None else shape)]
        # An item that an earlier card lacked is still expected here, unless every issuer may leave it out.
        for item in file.items:
            if item.tag is not None and item.expected and item.tag not in self._order:
                self._order.append(item.tag)

    def is_whole(self, reading: FileReading) -> bool:
        """Return True if the file was read completely: every mandatory item at its length, or the same records as
        another card of this kind.
        """
        if self._known_shape is not None and reading.shape == self._known_shape:
            return True
        defined = {item.tag: item.lengths for item in self.file.items if item.length and not item.cut}
        as_defined = all(tag not in defined or length in defined[tag] for tag, length in reading.shape)
        return not reading.missing and (as_defined or self._is_single(reading))

    @staticmethod
    def _is_single(reading: FileReading) -> bool:
        """Return True if the records came one by one, so that a wrong length cannot hide the next record."""
        return reading.method is not None and reading.method.addressing is not Addressing.ALL

    def attempt(self, method: AccessMethod) -> Flow[FileReading | None]:
        """Read the file with one access method; return None when the card does not support it."""
        if not (yield from self.select_file_by(method.reference)):
            return None
        reading = FileReading(self.file, method=method)
        match method.addressing:
            case Addressing.ALL:
                works = yield from self._all(method, reading)
            case Addressing.NUMBER:
                works = yield from self._by_number(method, reading)
            case Addressing.IDENTIFIER:
                works = yield from self._by_identifier(method, reading)
        return reading if works or reading.closed else None

    def one_by_one(self, method: AccessMethod) -> Flow[FileReading | None]:
        """Read record by record with a mode that other cards understand as "all from this number"."""
        if not (yield from self.select_file_by(method.reference)):
            return None
        reading = FileReading(self.file, method=method)
        return reading if (yield from self._by_number(method, reading)) else None

    def _are_plausible(self, reading: FileReading, more: list[Record]) -> bool:
        """Return True if these can be records of this file: a known one first, and not too many unknown or surplus
        ones.

        A card that ignores the record number gives the same record again and again.
        """
        tags = Counter([*reading.tags, *(record.tag for record in more)])
        surplus = {tag: count - self._repeats.get(tag, 1) for tag, count in tags.items() if tag in self._lengths}
        repeated = any(surplus.get(record.tag, 0) > 0 and record in reading.records for record in more)
        unknown = sum(count for tag, count in tags.items() if tag not in self._lengths)
        first = reading.tags[0] if reading.records else more[0].tag
        most = max(unknown, sum(count for count in surplus.values() if count > 0))
        return not repeated and most <= UNKNOWN_LIMIT and first in self._lengths

    # -- all records at once ------------------------------------------------------------------

    def _all(self, method: AccessMethod, reading: FileReading) -> Flow[bool]:
        sfi, mode = self.sfi(method.reference), method.addressing.mode
        length = self._length_of_rest(reading)
        while len(reading.records) < RECORD_LIMIT:
            number = len(reading.records) + 1
            response = yield from send_or_malformed(read_record(number, mode, sfi, length))
            if response.status_word == StatusWord.WRONG_LENGTH and length != SHORT_MAXIMUM:
                length = SHORT_MAXIMUM
                response = yield from send_or_malformed(read_record(number, mode, sfi, length))
            if not has_data(response):
                if number == 1:
                    self.note_refusal(response.status_word, reading)
                return number > 1 and response.status_word == StatusWord.RECORD_NOT_FOUND
            records, rest = split_records(response.data)
            if not records and number > 1 and length != SHORT_MAXIMUM:
                length = SHORT_MAXIMUM
                continue
            if not records or not self._are_plausible(reading, records):
                if number == 1:
                    self.note_refusal(MALFORMED, reading)
                return False
            self._add_records(reading, records, response)
            if is_fill(rest) and not self._was_cut(reading, response, length):
                break
            length = self._length_of_rest(reading)
        # A card that understands "all from this number" as "this number" gives one record.
        if len(reading.records) == 1 and self.gave_one is None:
            self.gave_one = method
        return len(reading.records) > 1 or len(self._order) < 2

    def _length_of_rest(self, reading: FileReading) -> int:
        """Return the bytes of the records that are still expected, up to the length of one answer."""
        expected = Counter(self._order) - Counter(reading.tags)
        if not self._exact or not expected or not all(self._lengths[tag] for tag in expected):
            return SHORT_MAXIMUM
        return min(sum((2 + self._lengths[tag]) * count for tag, count in expected.items()), SHORT_MAXIMUM)

    def _was_cut(self, reading: FileReading, response: ResponseApdu, length: int) -> bool:
        """Return True if an answer that ends with a whole record may have been cut there.

        That is so if it has exactly the requested length, and either a record is still expected or a full text may
        continue.
        """
        as_asked = len(response.data) == length
        unlike = Counter(reading.tags) != Counter(self._order)
        return as_asked and (unlike or bool(self._continuations(reading)))

    # -- record by record ---------------------------------------------------------------------

    def _by_number(self, method: AccessMethod, reading: FileReading) -> Flow[bool]:
        # Another card may have had fewer records of the items that may stand several times.
        several = [tag for tag, _ in self.file.record_shape if self._repeats[tag] > 1]
        optional = [tag for tag, _ in self.file.record_shape if self._probe_optional and tag not in self._order]
        remaining = [*self._order, *(Counter(several) - Counter(self._order)).elements(), *optional]
        strange = 0
        for number in range(1, RECORD_LIMIT + 1):
            if not remaining:
                remaining = self._continuations(reading)
            if not remaining and not (self._probe_optional and strange <= UNKNOWN_LIMIT):
                break
            tag = self._likely_next(reading, remaining) if remaining else None
            response = yield from self._record(method, number, tag)
            if not has_data(response):
                if number == 1 and self._refuses_method(response):
                    self.note_refusal(response.status_word, reading)
                    return False
                if response.status_word == StatusWord.RECORD_NOT_FOUND or tag is None:
                    break
                reading.damaged[tag] = response.status_word
                remaining.remove(tag)
                continue
            record = _one_record(response.data)
            if record is not None and reading.records and record == reading.records[-1] and strange < _SAME_ENDURED:
                if record.tag not in remaining:
                    # Written twice, or this card ignores the record number and always repeats one record.
                    strange += 1
                    reading.duplicates.add(record.tag)
                    continue
            if record is None or not self._are_plausible(reading, [record]):
                if tag is None:
                    break
                reading.damaged[tag] = MALFORMED
                remaining.remove(tag)
                continue
            if record.tag in remaining:
                remaining.remove(record.tag)
            reading.numbers.append(number)
            self._add_records(reading, [record], response)
        if strange >= _SAME_ENDURED:
            reading.duplicates.clear()
        return self._worked(reading)

    def _likely_next(self, reading: FileReading, remaining: list[int]) -> int:
        """Return the expected record after the last one read: cards may lack one, or order them differently."""
        if reading.records:
            last = reading.records[-1].tag
            order = self._order if last in self._order else [tag for tag, _ in self.file.record_shape]
            if last in order:
                following = order[order.index(last) + 1 :]
                return next((tag for tag in following if tag in remaining), remaining[0])
        return remaining[0]

    def _by_identifier(self, method: AccessMethod, reading: FileReading) -> Flow[bool]:
        """Read every tag of the layout; of an item that may stand several times, read the first and then
        the next ones.
        """
        refused: list[int] = []
        strays = [item.tag for item in self.file.items if item.stray and item.tag is not None and self._probe_optional]
        for tag in dict.fromkeys([*(tag for tag, _ in self.file.record_shape), *self._order, *strays]):
            if not self._probe_optional and tag not in self._order and tag not in self._continuations(reading):
                reading.not_asked.add(tag)
                continue
            response = yield from self._record(method, tag, tag)
            if not has_data(response):
                if response.status_word == StatusWord.RECORD_NOT_FOUND:
                    refused.append(response.status_word)
                elif not reading.records and not refused and self._refuses_method(response):
                    self.note_refusal(response.status_word, reading)
                    return False
                else:
                    reading.damaged[tag] = response.status_word
                continue
            record = _one_record(response.data)
            if record is None or record.tag != tag:
                reading.damaged[tag] = MALFORMED
                continue
            self._add_records(reading, [record], response)
            if self._repeats.get(tag, 1) > 1:
                yield from self._next_ones(method, tag, reading)
        self.refusals += refused[:1]
        return self._worked(reading)

    def _next_ones(self, method: AccessMethod, tag: int, reading: FileReading) -> Flow[None]:
        """Read the further records with a tag, which follow the one that was read last."""
        sfi = self.sfi(method.reference)
        for _ in range(self._repeats[tag] - 1):
            length = min(2 + self._lengths[tag], SHORT_MAXIMUM)
            response = yield from send_or_malformed(read_record(tag, RecordMode.NEXT_WITH_IDENTIFIER, sfi, length))
            record = _one_record(response.data) if has_data(response) else None
            if record is None or record.tag != tag:
                if response.status_word != StatusWord.RECORD_NOT_FOUND:
                    reading.only_first.add(tag)
                return
            self._add_records(reading, [record], response)

    def _worked(self, reading: FileReading) -> bool:
        """Return True if any single record was read; if none was, note the card's answers as the reason."""
        if not reading.records:
            self.refusals += reading.damaged.values()
        return bool(reading.records)

    @staticmethod
    def _refuses_method(response: ResponseApdu) -> bool:
        return response.status_word in METHOD_REFUSALS

    def _continuations(self, reading: FileReading) -> list[int]:
        """Return optional items not read yet that continue a full text; part of a character may be missing
        at its end.
        """
        wanted = []
        for item in self.file.items:
            base = next((other for other in self.file.items if item.extends == other.name), None)
            if not item.optional or base is None or item.tag is None or item.tag in (*reading.tags, *reading.damaged):
                continue
            text = reading.value(base.tag or 0)
            if text is not None and len(trim(text)) > base.length - _LONGEST_CHARACTER:
                wanted.append(item.tag)
        return wanted

    def _record(self, method: AccessMethod, p1: int, tag: int | None) -> Flow[ResponseApdu]:
        """Read one record with the length that its tag should have; correct the length if it is wrong."""
        mode, sfi = method.addressing.mode, self.sfi(method.reference)
        known = self._lengths.get(tag) if tag is not None else None
        length = min(2 + (known or SHORT_MAXIMUM - 2), SHORT_MAXIMUM)
        response = yield from send_or_malformed(read_record(p1, mode, sfi, length))
        if response.status_word == StatusWord.WRONG_LENGTH and length != SHORT_MAXIMUM:
            return (yield from send_or_malformed(read_record(p1, mode, sfi, SHORT_MAXIMUM)))
        if has_data(response) and 2 <= len(response.data) < 2 + response.data[1] <= SHORT_MAXIMUM:
            # The card cut the record at the requested length; the record's own length byte is larger.
            return (yield from send_or_malformed(read_record(p1, mode, sfi, 2 + response.data[1])))
        return response

    def _add_records(self, reading: FileReading, records: list[Record], response: ResponseApdu) -> None:
        if self._on_method is not None and reading.method is not None and not reading.records:
            self._on_method(reading.method)
        reading.records += records
        if response.status_word == CORRUPT:
            reading.corrupt |= {record.tag for record in records}


def _one_record(data: bytes) -> Record | None:
    """Return the record in an answer; a card that ignores Le may add fill behind it."""
    records, _ = split_records(data)
    if not records:
        return None
    return records[0] if is_fill(data[2 + len(records[0].value) :]) else None
