"""A command in the parts that a card uses, and the status words of its answers (card.md's set is ISO 7816-4's)."""

from __future__ import annotations

OK = b"\x90\x00"
WRONG_LENGTH = b"\x67\x00"
WRONG_STRUCTURE = b"\x69\x81"
NOT_ALLOWED = b"\x69\x82"
BLOCKED = b"\x69\x83"
NO_CHALLENGE = b"\x69\x84"
CONDITIONS = b"\x69\x85"
NO_CURRENT_FILE = b"\x69\x86"
MAC_MISSING = b"\x69\x87"
WRONG_MAC = b"\x69\x88"
WRONG_DATA = b"\x6a\x80"
NO_FILE = b"\x6a\x82"
NO_RECORD = b"\x6a\x83"
NO_SPACE = b"\x6a\x84"
WRONG_P1_P2 = b"\x6a\x86"
NO_KEY = b"\x6a\x88"
WRONG_OFFSET = b"\x6b\x00"
NO_COMMAND = b"\x6d\x00"
NO_CLASS = b"\x6e\x00"


class CommandRefused(Exception):
    """The command is not carried out; the status word gives the reason."""

    def __init__(self, status_word: bytes) -> None:
        super().__init__(status_word.hex())
        self.status_word = status_word


def tries_answer(left: int) -> bytes:
    """Return 63Cx after a failed attempt, 6983 if no try is left."""
    return bytes((0x63, 0xC0 | left)) if left else BLOCKED


def command_data(command: bytes) -> bytes | None:
    """Return the data field of a case 3 or 4 command, short or extended; None if the lengths do not agree."""
    body = command[4:]
    if not body:
        return b""
    if body[0] == 0 and len(body) > 3:
        length, data = int.from_bytes(body[1:3], "big"), body[3:]
        return data[:length] if length and len(data) in (length, length + 2) else None
    length, data = body[0], body[1:]
    return data[:length] if len(data) in (length, length + 1) else None


def required_data(command: bytes, *lengths: int) -> bytes:
    """Return the data field of a command that must have one.

    Args:
        command: the command.
        lengths: the allowed lengths in bytes; none to allow any.

    Raises:
        CommandRefused: the data field is missing or has a wrong length (6700).
    """
    data = command_data(command)
    if not data or (lengths and len(data) not in lengths):
        raise CommandRefused(WRONG_LENGTH)
    return data


def expected_length(command: bytes) -> int | None:
    """Return Le of a case 2 command, short or extended; None if there is none."""
    if len(command) == 5:
        return command[4] or 256
    if len(command) == 7 and command[4] == 0:
        return int.from_bytes(command[5:7], "big") or 65536
    return None
