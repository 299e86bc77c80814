"""The software card: files, commands and states of a social security card, after LB002-2000 and V2.0.

It takes command APDUs and gives answers as a T=0 card behind a reader does: ``61xx`` and ``6Cxx`` included.
It shares layouts with the library and nothing that parses or builds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from cardio.filesystem.access import PIN
from simulators.files import CardApplication, CardFile
from simulators.manners import CardManners, WrongLength

_OK = b"\x90\x00"
_MF = 0x3F00
_MF_NAME = bytes.fromhex("315041592E5359532E4444463031")  # 1PAY.SYS.DDF01
_ALGORITHM_CODES = {"3DES": 1, "SSF33": 2, "SM4": 3}


class SoftwareCard:
    """One card. Not safe for several threads at once: a real slot serialises too."""

    def __init__(
        self,
        atr: bytes,
        applications: Sequence[CardApplication],
        *,
        manners: CardManners | None = None,
        algorithm_marker: str | None = None,
        pin: str = "123456",
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Args: ``algorithm_marker`` is what the FCI names (3DES, SSF33, SM4); None leaves it out."""
        self.atr = atr
        self.manners = manners or CardManners()
        self.applications = list(applications)
        self._algorithm_marker = algorithm_marker
        self._pin = bytes.fromhex(pin if len(pin) % 2 == 0 else pin + "F")
        self.pin_tries_left = self.manners.pin_tries
        self._random = random
        self._handlers: dict[int, Callable[[bytes], bytes]] = {
            0xB2: self._read_record,
            0xA4: self._select,
            0xC0: self._get_response,
            0xB0: self._read_binary,
            0x84: self._get_challenge,
            0x20: self._verify,
        }
        self._by_name = {app.label.encode("gb18030"): app for app in self.applications if app.label}
        self._by_name |= {app.name: app for app in self.applications if app.name}
        self._by_id = {app.file_id: app for app in self.applications}
        # The commonest manners as plain attributes: READ RECORD is asked for a hundred thousand times a second.
        self._modes = self.manners.record_modes
        self._tells_length = self.manners.wrong_length is WrongLength.TELL
        self.reset()

    def reset(self) -> None:
        """Power on or warm reset: nothing selected but the root, no right held, no answer waiting."""
        at_once = self.manners.application_at_power_up
        self._application: CardApplication | None = self.applications[0] if at_once else None
        self._file: CardFile | None = None
        self._pointer = 0
        self._rights: set[str] = set()
        self._waiting = b""
        self.challenge: bytes | None = None

    def transmit(self, command: bytes) -> bytes:
        """One command, one answer; any bytes at all are answered."""
        if len(command) < 4:
            return b"\x67\x00"
        if command[0] != 0x00:
            return b"\x6e\x00"
        handler = self._handlers.get(command[1])
        if handler is None:
            return b"\x6d\x00"
        if command[1] != 0xC0:
            self._waiting = b""
        return handler(command)

    # -- SELECT (选择文件) ----------------------------------------------------------------------

    def _select(self, command: bytes) -> bytes:
        p1, p2 = command[2], command[3]
        if p2 != 0x00:
            return b"\x6a\x86"
        data = _command_data(command)
        if data is None:
            return b"\x67\x00"
        if p1 == 0x04:
            return self._select_name(data)
        if p1 not in (0x00, 0x01, 0x02):
            return b"\x6a\x86"
        if len(data) != 2:
            return b"\x67\x00" if data else self._select_root()
        file_id = int.from_bytes(data, "big")
        if p1 == 0x00 and file_id == _MF:
            return self._select_root()
        if p1 in (0x00, 0x01) and file_id in self._by_id:
            if p1 not in self.manners.select_application_p1:
                return b"\x6a\x86"
            return self._enter(self._by_id[file_id])
        if p1 == 0x01:
            return b"\x6a\x82"
        if p1 not in self.manners.select_file_p1:
            return b"\x6a\x86"
        file = self._application.by_id.get(file_id) if self._application else None
        if file is None:
            return b"\x6a\x82"
        self._file, self._pointer = file, 0
        return _OK

    def _select_name(self, name: bytes) -> bytes:
        if name and name == _MF_NAME[: len(name)]:
            return self._select_root()
        application = self._by_name.get(name)
        if application is None:
            return b"\x6a\x82"
        if 0x04 not in self.manners.select_application_p1 and application is not self.applications[0]:
            return b"\x6a\x86"
        return self._enter(application)

    def _select_root(self) -> bytes:
        self._application = self._file = None
        self._rights.clear()
        return self._answer_fci(b"\x84" + bytes((len(_MF_NAME),)) + _MF_NAME)

    def _enter(self, application: CardApplication) -> bytes:
        if application is not self._application and not self.manners.pin_survives_selection:
            self._rights.clear()
        self._application, self._file = application, None
        name = application.name or application.file_id.to_bytes(2, "big")
        content = bytes((0x84, len(name))) + name
        own = b""
        if application.directory_sfi is not None:
            own += bytes((0x88, 0x01, application.directory_sfi))
        if self._algorithm_marker is not None and application is self.applications[0]:
            own += bytes((0x9F, 0x0C, 0x03, 0x86, 0x01, _ALGORITHM_CODES[self._algorithm_marker]))
        if own:
            content += bytes((0xA5, len(own))) + own
        return self._answer_fci(content)

    def _answer_fci(self, content: bytes) -> bytes:
        fci = bytes((0x6F, len(content))) + content
        if self.manners.data_at_once:
            return fci + _OK
        self._waiting = fci
        return bytes((0x61, len(fci)))

    # -- GET RESPONSE (获取响应) ----------------------------------------------------------------

    def _get_response(self, command: bytes) -> bytes:
        waiting = self._waiting
        if not waiting:
            return b"\x69\x85"
        if command[2] or command[3]:
            return b"\x6a\x86"
        asked = _expected_length(command)
        if asked is None or asked > len(waiting):
            return bytes((0x6C, len(waiting)))
        self._waiting = waiting[asked:]
        return waiting[:asked] + (bytes((0x61, len(self._waiting))) if self._waiting else _OK)

    # -- READ RECORD (读取记录) -----------------------------------------------------------------

    def _read_record(self, command: bytes) -> bytes:
        p1, p2 = command[2], command[3]
        sfi, mode = p2 >> 3, p2 & 7
        if sfi:
            if not self.manners.sfi or self._application is None:
                return b"\x6a\x86" if self._application else b"\x69\x85"
            file = self._application.by_sfi.get(sfi)
            if file is None:
                return b"\x6a\x82"
            if file is not self._file:
                self._file, self._pointer = file, 0
        else:
            file = self._file
            if file is None:
                return b"\x69\x86"
        if not self._may_read(file):
            return b"\x69\x82"
        if mode not in self._modes:
            return b"\x6a\x86"
        if file.structure == "transparent":
            return b"\x69\x81"
        data = self._records(file, p1, mode)
        if data is None:
            return b"\x6a\x83"
        if len(command) == 5 and command[4] == len(data):
            return data + _OK
        return self._with_wrong_length(command, data)

    def _records(self, file: CardFile, p1: int, mode: int) -> bytes | None:
        """The record or records that P1 and the mode mean; None when there are none."""
        records = file.records
        if mode == 4 or (mode == 5 and self.manners.read_all_as_one):
            number = p1 or self._pointer
            if not 1 <= number <= len(records):
                return None
            self._pointer = number
            return records[number - 1]
        if mode == 5:
            return b"".join(records[p1 - 1 :]) if 1 <= p1 <= len(records) else None
        if mode == 6:
            return b"".join(reversed(records[p1 - 1 :])) if 1 <= p1 <= len(records) else None
        return self._by_identifier(file, p1, mode)

    def _by_identifier(self, file: CardFile, tag: int, mode: int) -> bytes | None:
        """Modes 0 to 3: first, last, next, previous record with this identifier; cyclic records have none."""
        if file.structure == "cyclic":
            return None
        numbers = [number for number, record in enumerate(file.records, 1) if record[0] == tag]
        if mode == 1:
            numbers.reverse()
        elif mode == 2:
            numbers = [number for number in numbers if number > self._pointer]
        elif mode == 3:
            numbers = [number for number in reversed(numbers) if number < self._pointer or not self._pointer]
        if not numbers:
            return None
        self._pointer = numbers[0]
        return file.records[numbers[0] - 1]

    def _may_read(self, file: CardFile) -> bool:
        if file.path in self.manners.closed_files:
            return False
        opened = self.manners.all_files_open or file.path in self.manners.open_files
        return opened or file.read.allows(self._rights)

    def _with_wrong_length(self, command: bytes, data: bytes) -> bytes:
        asked = _expected_length(command)
        if asked == len(data):
            return data + _OK
        # A whole answer longer than 255 bytes has no place in one length byte.
        told = len(data) if len(data) < 256 else 0
        if self._tells_length:
            return data[:256] + _OK if len(data) >= 256 and asked == 256 else bytes((0x6C, told))
        match self.manners.wrong_length:
            case WrongLength.REFUSE:
                return data[:256] + _OK if asked == 256 else b"\x67\x00"
            case WrongLength.CUT:
                return data[: asked or 256] + _OK
        return data[:256] + _OK

    # -- READ BINARY (读取二进制) ---------------------------------------------------------------

    def _read_binary(self, command: bytes) -> bytes:
        p1, p2 = command[2], command[3]
        if p1 & 0x80:
            if not self.manners.sfi or p1 & 0x60 or self._application is None:
                return b"\x6a\x86"
            file = self._application.by_sfi.get(p1 & 0x1F)
            if file is None:
                return b"\x6a\x82"
            self._file, self._pointer, offset = file, 0, p2
        else:
            file, offset = self._file, p1 << 8 | p2
            if file is None:
                return b"\x69\x86"
        if not self._may_read(file):
            return b"\x69\x82"
        if file.structure != "transparent":
            return b"\x69\x81"
        if offset >= len(file.content):
            return b"\x6b\x00"
        left = len(file.content) - offset
        asked = _expected_length(command) or 256
        if asked > left and asked != 256:
            return bytes((0x6C, left))
        return bytes(file.content[offset : offset + asked]) + _OK

    # -- GET CHALLENGE (获取随机数), VERIFY (校验个人密码) ---------------------------------------

    def _get_challenge(self, command: bytes) -> bytes:
        if command[2] or command[3]:
            return b"\x6a\x86"
        asked = _expected_length(command)
        if asked not in (4, 8, 16):
            return b"\x67\x00"
        self.challenge = self._random(asked)
        return self.challenge + _OK

    def _verify(self, command: bytes) -> bytes:
        if command[2] or command[3]:
            return b"\x6a\x86"
        if self.pin_tries_left == 0:
            return b"\x69\x83"
        data = b"" if len(command) == 4 else _command_data(command)
        if data == b"":
            return bytes((0x63, 0xC0 | self.pin_tries_left))
        if data is None or not 2 <= len(data) <= 8:
            return b"\x67\x00"
        if data == self._pin:
            self.pin_tries_left = self.manners.pin_tries
            self._rights.add(PIN)
            return _OK
        self.pin_tries_left -= 1
        self._rights.discard(PIN)
        return bytes((0x63, 0xC0 | self.pin_tries_left)) if self.pin_tries_left else b"\x69\x83"


def _command_data(command: bytes) -> bytes | None:
    """The data field of a case 3 or 4 command, short or extended; None when the lengths do not agree."""
    body = command[4:]
    if not body:
        return b""
    if body[0] == 0 and len(body) > 3:
        length, data = int.from_bytes(body[1:3], "big"), body[3:]
        return data[:length] if length and len(data) in (length, length + 2) else None
    length, data = body[0], body[1:]
    return data[:length] if len(data) in (length, length + 1) else None


def _expected_length(command: bytes) -> int | None:
    """Le of a case 2 command, short or extended; None when there is none."""
    if len(command) == 5:
        return command[4] or 256
    if len(command) == 7 and command[4] == 0:
        return int.from_bytes(command[5:7], "big") or 65536
    return None
