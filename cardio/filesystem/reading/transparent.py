"""Reading transparent files (透明): photo, fingerprints, reserved files, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cardio.apdu.channel import Flow
from cardio.apdu.command import SHORT_MAXIMUM
from cardio.apdu.commands import read_binary
from cardio.apdu.status_word import StatusWord
from cardio.filesystem.capabilities import AccessMethod, Addressing, Reference
from cardio.filesystem.layouts.model import File
from cardio.filesystem.reading.attempt import ReadAttempt, ask, has_data
from cardio.filesystem.reading.result import CORRUPT, FileReading

Progress = Callable[[int, int], None]
"""Told after each block: bytes read so far, bytes expected."""
SMALL_BLOCK = 0xF0
"""What regional libraries ask for; some cards and readers do not carry 256 bytes at once."""
OFFSET_LIMIT = 0x7FFF
"""READ BINARY names no place beyond; no file on a card is so long."""
_END = frozenset({StatusWord.WRONG_P1_P2, StatusWord.INCORRECT_P1_P2, StatusWord.WRONG_LENGTH})
"""What cards say when a block begins beyond the end."""


def read_transparent(
    file: File,
    known: Iterable[AccessMethod] = (),
    *,
    block: int = SHORT_MAXIMUM,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Flow[FileReading]:
    """Reads a file to the end that its layout gives, or the card, whichever comes first.

    Args:
        file: the file; its application must be current.
        known: manners that worked on this kind of card before, tried first.
        block: bytes to ask for at once; `SMALL_BLOCK` follows where the card refuses.
        limit: no more bytes than this, to find out whether the file can be read at all.
        progress: told after each block.
    """
    approach = ReadAttempt(file)
    end = max(file.sizes) if limit is None else limit
    for reference in dict.fromkeys([*(manner.reference for manner in known), *Reference]):
        if not (yield from approach.reach(reference)):
            continue
        manner = AccessMethod(reference=reference, addressing=Addressing.ALL)
        reading = FileReading(file, manner=manner, block=block, probed=limit is not None and limit < max(file.sizes))
        if (yield from _blocks(approach, reference, reading, end, progress)) or reading.closed:
            return reading
    return FileReading(file, refusal=approach.refusal)


def _blocks(
    approach: ReadAttempt, reference: Reference, reading: FileReading, end: int, progress: Progress | None
) -> Flow[bool]:
    content = bytearray()
    sfi = approach.sfi(reference)
    while len(content) < min(end, OFFSET_LIMIT):
        asked = min(reading.block, end - len(content))
        # Named by its SFI once, the file is current.
        response = yield from ask(read_binary(len(content), asked, sfi if not content else 0))
        if response.status_word == StatusWord.WRONG_LENGTH and asked > SMALL_BLOCK:
            reading.block = SMALL_BLOCK
            continue
        if not has_data(response):
            if not content:
                approach.note_refusal(response.status_word, reading)
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
