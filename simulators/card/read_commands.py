"""READ RECORD and READ BINARY of a software card."""

from __future__ import annotations

from simulators.card.apdu import (
    NO_RECORD,
    NOT_ALLOWED,
    OK,
    WRONG_LENGTH,
    WRONG_OFFSET,
    WRONG_P1_P2,
    WRONG_STRUCTURE,
    expected_length,
)
from simulators.card.files import CardFile
from simulators.card.quirks import WrongLength
from simulators.card.volatile_state import VolatileState


class ReadCommands:
    """The commands that read files."""

    def __init__(self, session: VolatileState) -> None:
        self._session = session
        self._quirks = session.quirks
        # The most used quirks are plain attributes, because READ RECORD runs a hundred thousand times a second.
        self._modes = self._quirks.record_modes
        self._tells_length = self._quirks.wrong_length is WrongLength.TELL

    # -- READ RECORD (读取记录) -----------------------------------------------------------------

    def read_record(self, command: bytes) -> bytes:
        p1, p2 = command[2], command[3]
        sfi, mode = p2 >> 3, p2 & 7
        file = self._session.file_by_sfi(sfi) if sfi else self._session.current_file()
        if not self._may_read(file):
            return NOT_ALLOWED
        if mode not in self._modes:
            return WRONG_P1_P2
        if file.structure == "transparent":
            return WRONG_STRUCTURE
        data = self._records(file, p1, mode)
        if data is None:
            return NO_RECORD
        if len(command) == 5 and command[4] == len(data):
            return data + OK
        return self._with_wrong_length(command, data)

    def _records(self, file: CardFile, p1: int, mode: int) -> bytes | None:
        """Return the record or records that P1 and the mode mean; None if there are none."""
        records = file.records
        if mode == 4 or (mode == 5 and self._quirks.read_all_as_one):
            number = p1 or self._session.pointer
            if not 1 <= number <= len(records):
                return None
            self._session.pointer = number
            return records[number - 1]
        if mode == 5:
            return b"".join(records[p1 - 1 :]) if 1 <= p1 <= len(records) else None
        if mode == 6:
            return b"".join(reversed(records[p1 - 1 :])) if 1 <= p1 <= len(records) else None
        return self._by_identifier(file, p1, mode)

    def _by_identifier(self, file: CardFile, tag: int, mode: int) -> bytes | None:
        """Return the first, last, next or previous record with this identifier (modes 0 to 3).

        Cyclic records have none.
        """
        if file.structure == "cyclic":
            return None
        numbers = [number for number, record in enumerate(file.records, 1) if record[0] == tag]
        pointer = self._session.pointer
        if mode == 1:
            numbers.reverse()
        elif mode == 2:
            numbers = [number for number in numbers if number > pointer]
        elif mode == 3:
            numbers = [number for number in reversed(numbers) if number < pointer or not pointer]
        if not numbers:
            return None
        self._session.pointer = numbers[0]
        return file.records[numbers[0] - 1]

    def _may_read(self, file: CardFile) -> bool:
        """Return True if the file may be read.

        A right to write a file includes the right to read it (V2.0: its own UK opens it).
        """
        if file.path in self._quirks.closed_files:
            return False
        rights = self._session.rights
        if file.read.allows(rights) or self._quirks.all_files_open or file.path in self._quirks.open_files:
            return True
        return file.update.allows(rights)

    def _with_wrong_length(self, command: bytes, data: bytes) -> bytes:
        asked = expected_length(command)
        if asked == len(data):
            return data + OK
        # An answer longer than 255 bytes cannot be given in one length byte.
        told = len(data) if len(data) < 256 else 0
        if self._tells_length:
            return data[:256] + OK if len(data) >= 256 and asked == 256 else bytes((0x6C, told))
        match self._quirks.wrong_length:
            case WrongLength.REFUSE:
                return data[:256] + OK if asked == 256 else WRONG_LENGTH
            case WrongLength.CUT:
                return data[: asked or 256] + OK
        return data[:256] + OK

    # -- READ BINARY (读取二进制) ---------------------------------------------------------------

    def read_binary(self, command: bytes) -> bytes:
        file, offset = self._session.file_and_offset(command)
        if not self._may_read(file):
            return NOT_ALLOWED
        if file.structure != "transparent":
            return WRONG_STRUCTURE
        if offset >= len(file.content):
            return WRONG_OFFSET
        left = len(file.content) - offset
        asked = expected_length(command) or 256
        if asked > left and asked != 256:
            return bytes((0x6C, left))
        return bytes(file.content[offset : offset + asked]) + OK
