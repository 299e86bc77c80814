"""The flows that write to a card: one command for each record, each read back and compared.

The card writes a record whole or not at all. When an error occurs between two records, the first stays written, and
`Written` says which records were written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cardio.apdu.channel import Flow
from cardio.apdu.commands import RecordMode, append_record, read_binary, read_record, update_binary, update_record
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord, describe
from cardio.errors import CardChangedError, CardRefusedError, NotWrittenError, UsageError
from cardio.filesystem.access_rights import Authenticator
from cardio.filesystem.capabilities import Addressing, Reference
from cardio.filesystem.layouts.model import File, Structure
from cardio.filesystem.reading.attempt import ReadAttempt, send_or_malformed
from cardio.filesystem.reading.result import FileReading
from cardio.filesystem.writing.changes import RecordChange

WRITE_BLOCK = 0x80
"""The bytes of a transparent file in one command, as public issuing tools send them."""
_NOT_SO = frozenset({StatusWord.INCORRECT_P1_P2, StatusWord.WRONG_P1_P2, StatusWord.FUNCTION_NOT_SUPPORTED})
"""The status words of a card for a form of a command that it does not know."""
_NEW_RECORD = ((1, RecordMode.BY_NUMBER), (0, RecordMode.PREVIOUS_WITH_IDENTIFIER))
"""The P1 and mode of UPDATE RECORD that begin a new record of a cyclic file. Two public libraries use one, a third
library uses the other.
"""


@dataclass(slots=True)
class Written:
    """The progress of a change: the content that was written and has been read back."""

    records: list[RecordChange] = field(default_factory=list)
    bytes: int = 0
    """The number of bytes written of a transparent file."""


def write_records(
    reading: FileReading, changes: Sequence[RecordChange], authenticator: Authenticator, written: Written
) -> Flow[None]:
    """Write records of a file that was just read; its application must be current and its rights held.

    Args:
        reading: the present content of the file.
        changes: the new records.
        authenticator: adds the MAC to each writing command.
        written: receives every record that was written and read back.

    Raises:
        CardChangedError: another record stands in the place; it stays as it is.
        CardRefusedError: the card refuses; the record stays as it was.
        MacRefusedError: the card refuses a MAC that was damaged on the way; the record stays as it was.
        NotWrittenError: the record that was read back differs.
    """
    file = reading.file
    method = reading.method
    reference = Reference.SELECT_P1_02 if method is None else method.reference
    attempt = ReadAttempt(file)
    yield from attempt.select_file_by(reference)
    sfi = attempt.sfi(reference)
    count = len(reading.records)
    for change in changes:
        if not change.needed:
            continue
        if file.structure is Structure.CYCLIC:
            response, number = (yield from _new_record(change, sfi, authenticator, file)), 1
        elif change.number is None:
            count += 1
            response = yield from authenticator.protect(append_record(sfi, change.record), file.application)
            number = count
        else:
            number = change.number
            where, mode = _place(reading, change, number)
            standing = yield from send_or_malformed(read_record(where, mode, sfi, len(change.before or b"")))
            if standing.data != change.before:
                raise CardChangedError(
                    f"{file.path} 第 {number} 条不是要改写的记录，未写入",
                    f"record {number} of {file.path} is not the one to be replaced: it was not written",
                )
            response = yield from authenticator.protect(
                update_record(where, mode, sfi, change.record), file.application
            )
        _expect_success(file, response)
        where, mode = _place(reading, change, number)
        back = yield from send_or_malformed(read_record(where, mode, sfi, len(change.record)))
        if back.status_word != StatusWord.SUCCESS or back.data != change.record:
            raise _differs(file, number)
        written.records.append(change)


def write_content(file: File, content: bytes, authenticator: Authenticator, written: Written) -> Flow[None]:
    """Write a transparent file from its beginning; its application must be current and its rights held.

    Args:
        file: the file.
        content: the new content.
        authenticator: adds the MAC to each writing command.
        written: receives the number of bytes that were written and read back.

    Raises:
        CardRefusedError, MacRefusedError, NotWrittenError: as for `write_records`, at a block.
    """
    attempt = ReadAttempt(file)
    for reference in (Reference.SELECT_P1_02, Reference.SELECT_P1_00):
        if (yield from attempt.select_file_by(reference)):
            break
    else:
        raise CardRefusedError(
            f"{file.path} 不能选择", f"{file.path} cannot be selected", status_word=attempt.refusals[-1]
        )
    for offset in range(0, len(content), WRITE_BLOCK):
        block = content[offset : offset + WRITE_BLOCK]
        _expect_success(file, (yield from authenticator.protect(update_binary(offset, block), file.application)))
        back = yield from send_or_malformed(read_binary(offset, len(block)))
        if back.status_word != StatusWord.SUCCESS or back.data != block:
            raise _differs(file, offset)
        written.bytes = offset + len(block)


def _new_record(change: RecordChange, sfi: int, authenticator: Authenticator, file: File) -> Flow[ResponseApdu]:
    response = ResponseApdu(b"", StatusWord.FUNCTION_NOT_SUPPORTED)
    for p1, mode in _NEW_RECORD:
        response = yield from authenticator.protect(update_record(p1, mode, sfi, change.record), file.application)
        if response.status_word not in _NOT_SO:
            break  # a refused form has written nothing, any other answer is final
    return response


def _place(reading: FileReading, change: RecordChange, number: int) -> tuple[int, RecordMode]:
    """Return P1 and mode of a record: its number, or its tag on cards that read by tag only."""
    by_tag = reading.method is not None and reading.method.addressing is Addressing.IDENTIFIER
    if not by_tag or change.item is None or change.item.tag is None:
        return number, RecordMode.BY_NUMBER
    if reading.tags.index(change.item.tag) + 1 != number and change.item.tag in reading.tags:
        raise UsageError(
            "该卡只能按标识寻址，无法写入同名的后续记录",
            "this card names records by tag: only the first can be written",
        )
    return change.item.tag, RecordMode.BY_IDENTIFIER


def _expect_success(file: File, response: ResponseApdu) -> None:
    status_word = response.status_word
    if status_word != StatusWord.SUCCESS:
        meaning = describe(status_word)
        raise CardRefusedError(
            f"{file.path} 未写入：{status_word:04X} {meaning.zh}",
            f"{file.path} was not written: {status_word:04X} {meaning.en}",
            status_word=status_word,
        )


def _differs(file: File, place: int) -> NotWrittenError:
    return NotWrittenError(
        f"{file.path} 第 {place} 条（或偏移）写入后读回不一致",
        f"{file.path}: what was read back at record or offset {place} is not what was written",
    )
