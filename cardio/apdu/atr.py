"""Answer to reset (ISO/IEC 7816-3 §8): what a card says when it is powered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, Any, Self

import construct as c

from cardio.apdu.wire import DEFAULT_TA1
from cardio.errors import CardGarbledError

MAXIMUM_LENGTH = 33


if TYPE_CHECKING:
    _Named = c.Construct[list[tuple[str, int]], list[tuple[str, int]]]
else:
    _Named = c.Construct


class _InterfaceBytes(_Named):
    """TA1, TB1 … by name and value: T0 says which come first, each TD which come after it."""

    def _parse(self, stream: Any, context: Any, path: str) -> list[tuple[str, int]]:
        named: list[tuple[str, int]] = []
        announced: int | None = context.t0
        group = 0
        while announced is not None:
            group += 1
            present = [
                name for bit, name in ((0x10, "TA"), (0x20, "TB"), (0x40, "TC"), (0x80, "TD")) if announced & bit
            ]
            values = c.stream_read(stream, len(present), path)
            named += [(f"{name}{group}", value) for name, value in zip(present, values, strict=True)]
            announced = named[-1][1] if "TD" in present else None
        return named


_ATR = c.Struct(
    "ts" / c.OneOf(c.Byte, [0x3B, 0x3F]),
    "t0" / c.Byte,
    "interface_bytes" / _InterfaceBytes(),
    "historical_bytes" / c.Bytes(lambda this: this.t0 & 0x0F),
    "rest" / c.GreedyBytes,
)


@dataclass(frozen=True, slots=True)
class Atr:
    """A parsed ATR; ``raw`` is all of it."""

    raw: bytes
    interface_bytes: tuple[tuple[str, int], ...]
    """Name and value of each, in order: TA1, TB1, TC1, TD1, TA2 …"""
    historical_bytes: bytes
    protocols: tuple[int, ...]
    """The protocols offered, in order; 0 when no TD byte says otherwise."""

    @property
    def ta1(self) -> int:
        """What the card offers as clock and bit rate factors; 11 hex when it does not say."""
        return dict(self.interface_bytes).get("TA1", DEFAULT_TA1)

    def __bytes__(self) -> bytes:
        return self.raw

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Parses an ATR of 2 to 33 bytes.

        Raises:
            CardGarbledError: too short or too long for what it announces, or a wrong check byte.
        """
        if not 2 <= len(raw) <= MAXIMUM_LENGTH:
            raise CardGarbledError("ATR 长度不合标准", f"an ATR has 2 to {MAXIMUM_LENGTH} bytes, not {len(raw)}")
        try:
            parsed = _ATR.parse(raw)
        except c.ConstructError as error:
            raise CardGarbledError("ATR 无法解析", "the ATR does not follow ISO 7816-3") from error
        named = tuple(parsed.interface_bytes)
        protocols = [value & 0x0F for name, value in named if name.startswith("TD")]
        has_check_byte = any(protocol != 0 for protocol in protocols)
        if len(parsed.rest) != has_check_byte:
            raise CardGarbledError("ATR 长度与内容不符", "the ATR's size does not match what it announces")
        if has_check_byte and reduce(xor, raw[1:]) != 0:
            raise CardGarbledError("ATR 校验字节错误", "the ATR's check byte is wrong")
        offered = tuple(dict.fromkeys(protocol for protocol in protocols if protocol != 15)) or (0,)
        return cls(raw, named, bytes(parsed.historical_bytes), offered)
