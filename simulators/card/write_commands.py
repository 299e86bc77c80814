"""UPDATE RECORD, APPEND RECORD and UPDATE BINARY of a software card: each is carried out completely or not at all."""

from __future__ import annotations

from collections.abc import Callable

from simulators.card.apdu import (
    MAC_MISSING,
    NO_RECORD,
    NO_SPACE,
    NOT_ALLOWED,
    OK,
    WRONG_DATA,
    WRONG_LENGTH,
    WRONG_OFFSET,
    WRONG_P1_P2,
    WRONG_STRUCTURE,
    CommandRefused,
    required_data,
)
from simulators.card.authentication import CardAuthentication
from simulators.card.files import CardFile
from simulators.card.persistent_state import CardState
from simulators.card.volatile_state import VolatileState

SECURED = 0x04
"""The class byte of a command with a MAC."""
_BY_TAG, _PREVIOUS, _BY_NUMBER = 0, 3, 4


class CardWriting:
    """The commands that write files."""

    def __init__(
        self, session: VolatileState, authentication: CardAuthentication, state: CardState, keep: Callable[[], None]
    ) -> None:
        """Prepare the commands.

        Args:
            session: the volatile state.
            authentication: the commands that need keys.
            state: the persistent state.
            keep: saves the persistent state.
        """
        self._session = session
        self._authentication = authentication
        self._state = state
        self._keep = keep

    def update_record(self, command: bytes) -> bytes:
        """Carry out UPDATE RECORD (更新记录) with a whole record, by tag or number.

        In a cyclic file the record becomes a new number 1.
        """
        p1, p2 = command[2], command[3]
        file = self._file(p2 >> 3)
        data = self._data(file, command)
        if file.structure == "transparent":
            return WRONG_STRUCTURE
        if file.structure == "cyclic":
            return self._add_to_cyclic(file, p1, p2 & 7, data)
        number = self._number(file, p1, p2 & 7)
        standing = file.records[number - 1]
        if len(data) != len(standing) or (file.tagged and data[:2] != standing[:2]):
            return WRONG_DATA
        file.records[number - 1] = data
        return self._written(file, number)

    def append_record(self, command: bytes) -> bytes:
        """Carry out APPEND RECORD (追加记录) in a variable or fixed file that has not all its records yet."""
        if command[2] or command[3] & 7:
            return WRONG_P1_P2
        file = self._file(command[3] >> 3)
        data = self._data(file, command)
        if file.structure not in ("variable", "fixed"):
            return WRONG_STRUCTURE
        if file.tagged and (len(data) < 2 or data[1] != len(data) - 2):
            return WRONG_DATA
        if file.structure == "fixed" and len(data) != (file.record_size or len(data)):
            return WRONG_DATA
        if len(file.records) >= file.capacity:
            return NO_SPACE
        file.records.append(data)
        return self._written(file, len(file.records))

    def update_binary(self, command: bytes) -> bytes:
        """Carry out UPDATE BINARY (更新二进制)."""
        file, offset = self._session.file_and_offset(command)
        data = self._data(file, command)
        if file.structure != "transparent":
            return WRONG_STRUCTURE
        if offset + len(data) > len(file.content):
            return WRONG_OFFSET
        file.content[offset : offset + len(data)] = data
        return self._written(file, 0)

    def _file(self, sfi: int) -> CardFile:
        return self._session.file_by_sfi(sfi) if sfi else self._session.current_file()

    def _data(self, file: CardFile, command: bytes) -> bytes:
        """Return the data to write, if the terminal may write.

        Raises:
            CommandRefused: the right is missing, or the MAC is wrong. A required MAC is missing: 6987, in ISO 7816-4
                "expected secure messaging data objects missing".
        """
        if not file.update.allows(self._session.rights):
            raise CommandRefused(NOT_ALLOWED)
        if command[0] == SECURED:
            data = self._authentication.without_mac(command)
            if not data:
                raise CommandRefused(WRONG_LENGTH)
            return data
        if self._session.quirks.secure_messaging == "required":
            raise CommandRefused(MAC_MISSING)
        return required_data(command)

    def _add_to_cyclic(self, file: CardFile, p1: int, mode: int, record: bytes) -> bytes:
        # Two public writers use number 1, a third one "previous".
        if (p1, mode) not in ((1, _BY_NUMBER), (0, _PREVIOUS)):
            return WRONG_P1_P2
        if len(record) != (file.record_size or len(record)):
            return WRONG_LENGTH
        file.records.insert(0, record)
        del file.records[file.capacity :]
        return self._written(file, 1)

    def _number(self, file: CardFile, p1: int, mode: int) -> int:
        """Return the number of the record that P1 and the mode mean.

        Raises:
            CommandRefused: there is no such record, or the mode is not allowed.
        """
        if mode == _BY_NUMBER:
            number = p1 or self._session.pointer
        elif mode == _BY_TAG:
            number = next((number for number, record in enumerate(file.records, 1) if record[0] == p1), 0)
        else:
            raise CommandRefused(WRONG_P1_P2)
        if not 1 <= number <= len(file.records):
            raise CommandRefused(NO_RECORD)
        return number

    def _written(self, file: CardFile, number: int) -> bytes:
        self._session.pointer = number
        self._state.note(file)
        self._keep()
        return OK
