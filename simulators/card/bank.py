"""The bank's application of a software card, up to its number: an independent reading of PBOC (EMV) for one file.

Numbers are invented; they begin with 6200 0000, which no bank issues.
"""

from __future__ import annotations

from typing import Literal

BankNumberPlace = Literal["free", "track", "options"]
"""The place of the number: in a record (tag 5A), in the track data (57), or behind GET PROCESSING OPTIONS."""
NAME = bytes.fromhex("A000000333010101")

_OK = b"\x90\x00"
_NO_RECORD, _NOT_NOW, _WRONG = b"\x6a\x83", b"\x69\x85", b"\x6d\x00"
_PDOL = bytes.fromhex("9F660495 059F3704".replace(" ", ""))


def _given(data: bytes, command: bytes) -> bytes:
    """Return the data if Le is their length or 00; for any other Le return the right one."""
    return data + _OK if command[4] in (0, len(data)) else bytes((0x6C, len(data)))


def _object(tag: str, value: bytes) -> bytes:
    return bytes.fromhex(tag) + bytes((len(value),)) + value


class SoftwareBankApplication:
    """The bank's application, which answers while it is current: from its own SELECT to that of another application."""

    def __init__(self, number: str, place: BankNumberPlace = "free") -> None:
        self._place = place
        self.reset()
        packed = bytes.fromhex(number + "F" * (len(number) % 2))
        track = number + "D30122010000000000000"
        holder = _object("5F20", b"TEST/NOBODY")
        plain = _object("70", _object("5A", packed) + holder)
        on_track = _object("70", _object("57", bytes.fromhex(track + "F" * (len(track) % 2))) + holder)
        self._records = {
            "free": {(2, 1): _object("70", holder), (3, 1): plain},
            "track": {(2, 1): on_track},
            "options": {(1, 1): _object("70", holder), (1, 2): plain},
        }[place]

    def reset(self) -> None:
        self._current = self._ready = False
        self._waiting = b""

    def transmit(self, command: bytes) -> bytes | None:
        """Return the answer to one command; None for a command of another application."""
        if command[:2] == b"\x00\xa4":
            self.reset()
            name = command[5 : 5 + command[4]] if len(command) > 4 else b""
            self._current = command[2:3] == b"\x04" and NAME.startswith(name) and len(name) >= 5
            return self._offer(self._fci()) if self._current else None
        if not self._current:
            return None
        if command[:2] == b"\x00\xc0" and self._waiting:
            waiting, self._waiting = self._waiting, b""
            return _given(waiting, command)
        self._waiting = b""
        if command[:2] == b"\x00\xb2" and len(command) == 5:
            return self._read(command)
        if command[:2] == b"\x80\xa8":
            return self._options(command)
        return _WRONG

    def _offer(self, data: bytes) -> bytes:
        self._waiting = data
        return bytes((0x61, len(data)))

    def _fci(self) -> bytes:
        asked = _object("9F38", _PDOL) if self._place == "options" else b""
        return _object("6F", _object("84", NAME) + _object("A5", _object("50", b"PBOC DEBIT") + asked))

    def _read(self, command: bytes) -> bytes:
        if self._place == "options" and not self._ready:
            return _NOT_NOW
        number, p2 = command[2:4]
        record = self._records.get((p2 >> 3, number)) if p2 & 7 == 4 else None
        return _given(record, command) if record is not None else _NO_RECORD

    def _options(self, command: bytes) -> bytes:
        """Carry out GET PROCESSING OPTIONS.

        The PDOL needs 4 + 5 + 4 bytes, in template 83. Without a PDOL the template is empty.
        """
        wanted = 13 if self._place == "options" else 0
        if command[5:7] != bytes((0x83, wanted)) or len(command) < 7 + wanted:
            return b"\x67\x00"
        self._ready = True
        return self._offer(_object("77", _object("82", b"\x7c\x00") + _object("94", bytes.fromhex("08010200"))))
