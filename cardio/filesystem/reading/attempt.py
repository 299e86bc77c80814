"""Getting at a file: naming it to the card, and what the card's refusals say of it."""

from __future__ import annotations

from cardio.apdu.channel import Flow
from cardio.apdu.command import CommandApdu
from cardio.apdu.commands import select_file
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord
from cardio.errors import CardGarbledError
from cardio.filesystem.capabilities import Reference
from cardio.filesystem.layouts.model import File
from cardio.filesystem.reading.result import MALFORMED, FileReading

MANNER_REFUSALS = frozenset(
    {
        StatusWord.SECURITY_STATUS_NOT_SATISFIED,
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


_READ_RECORD = 0xB2


class ReadAttempt:
    """One file of a card: how it can be named, and why it could not be read."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.refusals: list[int] = []
        self._selectable: dict[Reference, bool] = {Reference.SFI: True}

    def reach(self, reference: Reference) -> Flow[bool]:
        """Makes the file current where it is not named by SFI."""
        if reference not in self._selectable:
            response = yield from ask(select_file(self.file.file_id, reference.select_p1 or 0))
            self._selectable[reference] = response.sw1 in (0x90, 0x61)
            if not self._selectable[reference]:
                self.refusals.append(response.status_word)
        return self._selectable[reference]

    def sfi(self, reference: Reference) -> int:
        """The SFI to put into a command; 0 where the file is current."""
        return self.file.sfi if reference is Reference.SFI else 0

    def note_refusal(self, status_word: int, reading: FileReading) -> None:
        """Notes why a manner failed; a file that is closed is closed in every manner."""
        if status_word == StatusWord.SECURITY_STATUS_NOT_SATISFIED:
            reading.refusal, reading.manner = status_word, None
        self.refusals.append(status_word)

    @property
    def is_empty(self) -> bool:
        return set(self.refusals) == {StatusWord.RECORD_NOT_FOUND}

    @property
    def refusal(self) -> int:
        """Return why the file cannot be read, when no manner works: the most telling of all answers."""
        selected = [works for reference, works in self._selectable.items() if reference.select_p1 is not None]
        if MALFORMED in self.refusals:
            return MALFORMED
        if not any(selected) and StatusWord.FILE_NOT_FOUND in self.refusals:
            return StatusWord.FILE_NOT_FOUND
        return self.refusals[-1] if self.refusals else StatusWord.FILE_NOT_FOUND


def ask(command: CommandApdu) -> Flow[ResponseApdu]:
    """Asks, and takes an answer that makes no sense for a refusal: the next record may be better."""
    try:
        response = yield command
    except CardGarbledError:
        return ResponseApdu(b"", MALFORMED)
    if command.ins == _READ_RECORD and response.ok and not response.data:
        # Cards that say 9000 to everything: where a record comes there are bytes.
        return ResponseApdu(b"", StatusWord.RECORD_NOT_FOUND)
    return response


def has_data(response: ResponseApdu) -> bool:
    """Success, or a warning that comes with data."""
    return response.ok or (response.sw1 == 0x62 and bool(response.data))
