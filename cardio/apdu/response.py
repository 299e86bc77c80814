"""Response APDUs (ISO/IEC 7816-4:2020 §5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cardio.apdu.status_word import StatusWord, describe
from cardio.errors import CardGarbledError


@dataclass(frozen=True, slots=True, repr=False)
class ResponseApdu:
    """A card's answer: data, and the two status bytes as one number."""

    data: bytes
    status_word: int

    @property
    def ok(self) -> bool:
        return self.status_word == StatusWord.SUCCESS

    @property
    def sw1(self) -> int:
        return self.status_word >> 8

    @property
    def sw2(self) -> int:
        return self.status_word & 0xFF

    def __bytes__(self) -> bytes:
        return self.data + self.status_word.to_bytes(2, "big")

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Split an answer into data and status word.

        Raises:
            CardGarbledError: there are fewer than two bytes, or ISO 7816-4 §5.6 rules the status word out.
        """
        if len(raw) < 2:
            raise CardGarbledError(
                f"卡片只返回了 {len(raw)} 个字节，应答不完整",
                f"the card answered {len(raw)} byte(s); an answer has at least two",
            )
        if raw[-2] >> 4 not in (6, 9) or raw[-2] == 0x60:
            raise CardGarbledError(
                "卡片返回的状态字不合标准",
                # The error does not quote the bytes: if the status word is missing, they are personal data.
                "the last two bytes are no status word of ISO 7816-4",
            )
        return cls(raw[:-2], int.from_bytes(raw[-2:], "big"))

    def __repr__(self) -> str:
        """Return length and status only: the data may be personal."""
        return f"ResponseApdu({len(self.data)} bytes, {self.status_word:04X} {describe(self.status_word).en})"
