"""Command APDUs: all four cases of ISO/IEC 7816-4:2020 §5.2, short and extended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from cardio.apdu.effect import CommandEffect, effect_of
from cardio.errors import UsageError

SHORT_MAXIMUM = 256
EXTENDED_MAXIMUM = 65536


@dataclass(frozen=True, slots=True, repr=False)
class CommandApdu:
    """One command to a card.

    ``expected_length`` is Ne, the number of data bytes wanted back (1 to 65536), or None when no data is wanted (cases
    1 and 3). 256 encodes as ``00``, 65536 as ``0000``.
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    expected_length: int | None = None
    extended: bool = False
    once: bool = False
    """True if it is never sent again, whatever the card answers: it may have been carried out."""
    known_effect: CommandEffect | None = None
    """The effect where the instruction does not show it: commands that are configured in a file, or come from
    outside.
    """

    def __post_init__(self) -> None:
        if (self.cla | self.ins | self.p1 | self.p2) & ~0xFF:
            raise UsageError("命令头的每一项必须是一个字节", "cla, ins, p1 and p2 must be one byte each")
        limit = EXTENDED_MAXIMUM if self.extended else SHORT_MAXIMUM
        if len(self.data) >= limit:
            raise UsageError("命令数据过长", f"command data must be shorter than {limit} bytes")
        if self.expected_length is not None and not 1 <= self.expected_length <= limit:
            raise UsageError("期望长度超出范围", f"expected length must be 1 to {limit}")

    @property
    def case(self) -> int:
        """Return the case: 1 no data either way, 2 data back, 3 data out, 4 both."""
        return 1 + (2 if self.data else 0) + (1 if self.expected_length is not None else 0)

    @property
    def effect(self) -> CommandEffect:
        """Return the effect that the command leaves on the card."""
        return self.known_effect or effect_of(self.cla, self.ins, has_data=bool(self.data))

    @property
    def may_be_repeated(self) -> bool:
        """Return True if the command may be sent again with another Le.

        That is not so if its sender has said that it spends or changes something although its instruction does not show
        it: it is not known how cards answer 6Cxx to such commands.
        """
        return not self.once and self.known_effect in (None, CommandEffect.NONE)

    @property
    def header(self) -> bytes:
        return bytes((self.cla, self.ins, self.p1, self.p2))

    def with_expected_length(self, expected_length: int) -> Self:
        return replace(self, expected_length=expected_length)

    def __bytes__(self) -> bytes:
        out = bytearray(self.header)
        size = 2 if self.extended else 1
        if self.extended and self.case > 1:
            out.append(0)
        if self.data:
            out += len(self.data).to_bytes(size, "big") + self.data
        if self.expected_length is not None:
            out += (self.expected_length % (1 << 8 * size)).to_bytes(size, "big")
        return bytes(out)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Parse one command APDU.

        Raises:
            UsageError: the lengths in it do not agree with its size.
        """
        if len(raw) < 4:
            raise UsageError("命令不足 4 字节", "a command APDU has at least 4 bytes")
        (cla, ins, p1, p2), body = raw[:4], raw[4:]
        if not body:
            return cls(cla, ins, p1, p2)
        extended = body[0] == 0 and len(body) >= 3
        size = 2 if extended else 1
        if extended:
            body = body[1:]
        whole = EXTENDED_MAXIMUM if extended else SHORT_MAXIMUM
        if len(body) == size:
            return cls(cla, ins, p1, p2, expected_length=int.from_bytes(body, "big") or whole, extended=extended)
        length, rest = int.from_bytes(body[:size], "big"), body[size:]
        if length == 0 or len(rest) not in (length, length + size):
            raise UsageError("命令的长度字节与实际不符", "the length in the command does not match its size")
        tail = rest[length:]
        expected = (int.from_bytes(tail, "big") or whole) if tail else None
        return cls(cla, ins, p1, p2, data=rest[:length], expected_length=expected, extended=extended)

    def __repr__(self) -> str:
        """Return header and lengths only: the data may be personal."""
        expected = "-" if self.expected_length is None else self.expected_length
        return f"CommandApdu({self.header.hex().upper()} Lc={len(self.data)} Le={expected})"
