"""The flows that read records without tags: cyclic files (循环), number 1 the newest, and plain fixed files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cardio.apdu.channel import Flow
from cardio.apdu.command import SHORT_MAXIMUM
from cardio.apdu.commands import read_record
from cardio.apdu.status_word import StatusWord
from cardio.apdu.tlv import RECORD_LIMIT, Record
from cardio.filesystem.capabilities import METHODS_BY_COST, AccessMethod, Addressing
from cardio.filesystem.layouts.model import File
from cardio.filesystem.reading.attempt import METHOD_REFUSALS, ReadAttempt, has_data, send_or_malformed
from cardio.filesystem.reading.result import CORRUPT, MALFORMED, UNTAGGED, FileReading

_REFUSALS_ENDURED = 3
"""The number of consecutive refused records after which reading ends; such a card refuses the rest too."""


Enough = Callable[[Sequence[Record]], bool]
"""A function that returns True if the records read so far, newest first, are enough."""


def read_newest_records(file: File, known: Iterable[AccessMethod], enough: Enough) -> Flow[FileReading]:
    """Read records one by one until there are enough; all at once only if the card does not give single records.

    Single records are requested because a full cyclic file takes a second on a slow line.
    """
    by_number = (AccessMethod(reference=method.reference, addressing=Addressing.NUMBER) for method in known)
    others = (method for method in METHODS_BY_COST if method.addressing is Addressing.NUMBER)
    reading = yield from read_equal_records(file, [*by_number, *others], enough=enough)
    return reading


def read_equal_records(
    file: File, known: Iterable[AccessMethod] = (), *, all_at_once: bool = False, enough: Enough | None = None
) -> Flow[FileReading]:
    """Read all records: all at once where the card does that, else one by one.

    Args:
        file: the file; its application must be current.
        known: access methods that worked on this kind of card before; they are tried first.
        all_at_once: this card has given several records at once, so a single record means that there is only one.
        enough: ends the reading one by one before the last record.
    """
    attempt = ReadAttempt(file)
    for method in dict.fromkeys([*known, *METHODS_BY_COST]):
        # Only their number identifies these records, and records of unknown size cannot be told apart.
        if method.addressing is Addressing.IDENTIFIER or (method.addressing is Addressing.ALL and not file.record_size):
            continue
        if not (yield from attempt.select_file_by(method.reference)):
            continue
        reading = FileReading(file, method=method)
        if method.addressing is Addressing.ALL:
            works = yield from _at_once(attempt, method, reading, all_at_once)
        else:
            works = yield from _one_by_one(attempt, method, reading, enough)
        if works or reading.closed:
            return reading
        if attempt.is_empty and method.addressing is Addressing.NUMBER:
            break
    return FileReading(file, refusal=attempt.refusal)


def _at_once(attempt: ReadAttempt, method: AccessMethod, reading: FileReading, known_to_work: bool) -> Flow[bool]:
    """Read all records from a number on, as many as one answer carries; return True if the method works."""
    size, sfi, rest = attempt.file.record_size, attempt.sfi(method.reference), b""
    while (number := len(reading.records) + 1) <= RECORD_LIMIT:
        response = yield from send_or_malformed(read_record(number, method.addressing.mode, sfi, SHORT_MAXIMUM))
        data = response.data
        if not has_data(response) or not data:
            if number == 1 or response.status_word != StatusWord.RECORD_NOT_FOUND:
                # Read one by one, the card shows which of them it refuses.
                attempt.note_refusal(response.status_word, reading)
                return False
            if rest:
                reading.damaged_numbers[number] = MALFORMED
            break
        whole, cut = divmod(len(data), size)
        rest = data[whole * size :]
        if not whole or (cut and len(data) < SHORT_MAXIMUM):
            # Not a number of whole records: read one by one, the card shows which is wrong.
            attempt.note_refusal(MALFORMED, reading)
            return False
        if response.status_word == CORRUPT:
            reading.corrupt_numbers |= set(range(number, number + whole))
        reading.records += [Record(UNTAGGED, data[i * size : (i + 1) * size]) for i in range(whole)]
        # A single record may be the only one, or the most that this card gives at once.
        if len(data) < SHORT_MAXIMUM and (whole > 1 or known_to_work):
            break
    return True


def _one_by_one(attempt: ReadAttempt, method: AccessMethod, reading: FileReading, enough: Enough | None) -> Flow[bool]:
    size, sfi = attempt.file.record_size, attempt.sfi(method.reference)
    asked = size if 0 < size <= SHORT_MAXIMUM else SHORT_MAXIMUM
    number, refused = 1, 0
    while number <= RECORD_LIMIT and refused < _REFUSALS_ENDURED:
        response = yield from send_or_malformed(read_record(number, method.addressing.mode, sfi, asked))
        if response.status_word == StatusWord.WRONG_LENGTH and asked != SHORT_MAXIMUM:
            asked = SHORT_MAXIMUM
            continue
        data = response.data
        if not has_data(response) or not data:
            if number == 1 and response.status_word in METHOD_REFUSALS:
                attempt.note_refusal(response.status_word, reading)
                return False
            if response.status_word == StatusWord.RECORD_NOT_FOUND:
                break
            refused += 1
            reading.damaged_numbers[number] = response.status_word
        else:
            refused = 0
            if response.status_word == CORRUPT:
                reading.corrupt_numbers.add(number)
            if len(data) < size:
                reading.damaged_numbers[number] = MALFORMED
            reading.numbers.append(number)
            reading.records.append(Record(UNTAGGED, data[: size or None]))
            if enough is not None and enough(reading.records):
                break
        number += 1
    if not reading.records:
        attempt.refusals += reading.damaged_numbers.values()
    return bool(reading.records)
