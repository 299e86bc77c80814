"""The flow that reads transparent files (透明) block by block: photo, fingerprints, reserved files."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cardio.apdu.channel import Flow
from cardio.apdu.command import SHORT_MAXIMUM
from cardio.apdu.commands import read_binary
from cardio.apdu.status_word import StatusWord
from cardio.filesystem.capabilities import AccessMethod, Addressing, Reference
from cardio.filesystem.layouts.model import File
from cardio.filesystem.reading.attempt import ReadAttempt, has_data, send_or_malformed
from cardio.filesystem.reading.result import CORRUPT, FileReading

Progress = Callable[[int, int], None]
"""A function that is called after each block: bytes read so far, bytes expected."""
SMALL_BLOCK = 0xF0
"""The block length that regional libraries request; some cards and readers cannot return 256 bytes at once."""
OFFSET_LIMIT = 0x7FFF
"""The limit of the offset in READ BINARY; no file on a card is longer."""
_END = frozenset({StatusWord.WRONG_P1_P2, StatusWord.INCORRECT_P1_P2, StatusWord.WRONG_LENGTH})
"""The status words of cards when a block begins beyond the end of the file."""


def read_transparent(
    file: File,
    known: Iterable[AccessMethod] = (),
    *,
    block: int = SHORT_MAXIMUM,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Flow[FileReading]:
    """Read a file to the end that its layout or the card gives, whichever comes first.

    Args:
        file: the file; its application must be current.
        known: access methods that worked on this kind of card before; they are tried first.
        block: bytes to request at once; `SMALL_BLOCK` follows where the card refuses.
        limit: the greatest number of bytes to read, to find out whether the file can be read at all.
        progress: called after each block.
    """
    attempt = ReadAttempt(file)
    end = max(file.sizes) if limit is None else limit
    for reference in dict.fromkeys([*(method.reference for method in known), *Reference]):
        if not (yield from attempt.select_file_by(reference)):
            continue
        method = AccessMethod(reference=reference, addressing=Addressing.ALL)
        reading = FileReading(file, method=method, block=block, probed=limit is not None and limit < max(file.sizes))
        if (yield from _blocks(attempt, reference, reading, end, progress)) or reading.closed:
            return reading
    return FileReading(file, refusal=attempt.refusal)


def _blocks(
    attempt: ReadAttempt, reference: Reference, reading: FileReading, end: int, progress: Progress | None
) -> Flow[bool]:
    content = bytearray()
    sfi = attempt.sfi(reference)
    while len(content) < min(end, OFFSET_LIMIT):
        asked = min(reading.block, end - len(content))
        # Once named by its SFI, the file is current.
        response = yield from send_or_malformed(read_binary(len(content), asked, sfi if not content else 0))
        if response.status_word == StatusWord.WRONG_LENGTH and asked > SMALL_BLOCK:
            reading.block = SMALL_BLOCK
            continue
        if not has_data(response):
            if not content:
                attempt.note_refusal(response.status_word, reading)
                return False
            if response.status_word not in _END:
                reading.broken_off = response.status_word
            break
        content += response.data[:asked]
        if response.status_word == CORRUPT:
            reading.corrupt_numbers.add(1)
        if progress is not None:
            progress(len(content), end)
        if len(response.data) < asked:
            break
    reading.content = bytes(content)
    return True
