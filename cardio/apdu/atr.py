"""The answer to reset (ISO/IEC 7816-3 §8): the bytes that a card sends when it is powered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Self

from cardio.apdu.timing import DEFAULT_TA1
from cardio.errors import CardGarbledError

MAXIMUM_LENGTH = 33


_MADE_UP_T0, _MADE_UP_TD = 0x80, b"\x80\x01"

_INTERFACE_BYTES = ((0x10, "TA"), (0x20, "TB"), (0x40, "TC"), (0x80, "TD"))


def _interface_bytes(raw: bytes) -> tuple[tuple[str, int], ...]:
    """Return TA1, TB1 … by name and value: T0 says which come first, each TD says which follow it."""
    named: list[tuple[str, int]] = []
    announced, group = raw[1], 1
    while announced:
        following, announced = announced, 0
        for bit, name in _INTERFACE_BYTES:
            if following & bit:
                value = raw[2 + len(named)]
                named.append((f"{name}{group}", value))
                announced = value if name == "TD" else 0
        group += 1
    return tuple(named)


def is_made_by_reader(raw: bytes) -> bool:
    """Return True if an ATR is one that a reader makes up for a contactless card, which has none of its own.

    Such an ATR is ``3B 8n 80 01``, then bytes of the card's ATS or ATQB (PC/SC part 3 §3.1.3.2.3). The rest is not
    checked, because readers make mistakes in it. A card with contacts might send the same bytes; the two cannot be told
    apart.
    """
    return raw[:1] == b"\x3b" and len(raw) >= 4 and raw[1] & 0xF0 == _MADE_UP_T0 and raw[2:4] == _MADE_UP_TD


@dataclass(frozen=True, slots=True)
class Atr:
    """A parsed ATR; ``raw`` is the whole ATR."""

    raw: bytes
    interface_bytes: tuple[tuple[str, int], ...]
    """The name and value of each interface byte, in order: TA1, TB1, TC1, TD1, TA2 …"""
    historical_bytes: bytes
    protocols: tuple[int, ...]
    """The protocols offered, in order; 0 when no TD byte says otherwise."""

    @property
    def ta1(self) -> int:
        """Return the clock and bit rate factors that the card offers; 11 hex when it offers none."""
        return dict(self.interface_bytes).get("TA1", DEFAULT_TA1)

    def __bytes__(self) -> bytes:
        return self.raw

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Parse an ATR of 2 to 33 bytes.

        Raises:
            CardGarbledError: it is too short or too long for its own announcement, or a check byte is wrong.
        """
        if not 2 <= len(raw) <= MAXIMUM_LENGTH:
            raise CardGarbledError("ATR 长度不合标准", f"an ATR has 2 to {MAXIMUM_LENGTH} bytes, not {len(raw)}")
        try:
            named = _interface_bytes(raw)
        except IndexError:
            raise CardGarbledError("ATR 无法解析", "the ATR ends before what it announces") from None
        if raw[0] not in (0x3B, 0x3F):
            raise CardGarbledError("ATR 无法解析", "an ATR begins with 3B or 3F")
        protocols = [value & 0x0F for name, value in named if name.startswith("TD")]
        has_check_byte = any(protocol != 0 for protocol in protocols)
        start = 2 + len(named)
        end = start + (raw[1] & 0x0F)
        if len(raw) != end + has_check_byte:
            raise CardGarbledError("ATR 长度与内容不符", "the ATR's size does not match what it announces")
        if has_check_byte and reduce(xor, raw[1:]) != 0:
            raise CardGarbledError("ATR 校验字节错误", "the ATR's check byte is wrong")
        offered = tuple(dict.fromkeys(protocol for protocol in protocols if protocol != 15)) or (0,)
        return cls(raw, named, raw[start:end], offered)
