"""Access to a file: the ways to name it to the card, and the meaning of the card's refusals."""

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

METHOD_REFUSALS = frozenset(
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
"""The status words that refuse the way of asking when they answer the first record; others concern that one record."""


_READ_RECORD = 0xB2


class ReadAttempt:
    """One file of a card: the ways to name it, and the reasons why it could not be read."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.refusals: list[int] = []
        self._selectable: dict[Reference, bool] = {Reference.SFI: True}

    def select_file_by(self, reference: Reference) -> Flow[bool]:
        """Select the file where it is not named by SFI; return True if it can be read by this reference."""
        if reference not in self._selectable:
            response = yield from send_or_malformed(select_file(self.file.file_id, reference.select_p1 or 0))
            self._selectable[reference] = response.sw1 in (0x90, 0x61)
            if not self._selectable[reference]:
                self.refusals.append(response.status_word)
        return self._selectable[reference]

    def sfi(self, reference: Reference) -> int:
        """Return the SFI to put into a command; 0 where the file is current."""
        return self.file.sfi if reference is Reference.SFI else 0

    def note_refusal(self, status_word: int, reading: FileReading) -> None:
        """Note why an access method failed. A closed file is closed for every method."""
        if status_word == StatusWord.SECURITY_STATUS_NOT_SATISFIED:
            reading.refusal, reading.method = status_word, None
        self.refusals.append(status_word)

    @property
    def is_empty(self) -> bool:
        return set(self.refusals) == {StatusWord.RECORD_NOT_FOUND}

    @property
    def refusal(self) -> int:
        """Return why the file cannot be read when no access method works: the most telling of all answers."""
        selected = [works for reference, works in self._selectable.items() if reference.select_p1 is not None]
        if MALFORMED in self.refusals:
            return MALFORMED
        if not any(selected) and StatusWord.FILE_NOT_FOUND in self.refusals:
            return StatusWord.FILE_NOT_FOUND
        return self.refusals[-1] if self.refusals else StatusWord.FILE_NOT_FOUND


def send_or_malformed(command: CommandApdu) -> Flow[ResponseApdu]:
    """Send a command; treat a malformed answer as a refusal, because the next record may be better."""
    try:
        response = yield command
    except CardGarbledError:
        return ResponseApdu(b"", MALFORMED)
    if command.ins == _READ_RECORD and response.ok and not response.data:
        # Some cards answer 9000 to everything; a real record has bytes.
        return ResponseApdu(b"", StatusWord.RECORD_NOT_FOUND)
    return response


def has_data(response: ResponseApdu) -> bool:
    """Return True if the card answered with success, or with a warning and data."""
    return response.ok or (response.sw1 == 0x62 and bool(response.data))
