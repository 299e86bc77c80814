"""What a card's keys are diversified by: its chip's number, its city, its province (分散因子)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cardio.errors import CardGarbledError

_LENGTH = 8
_CITY_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Factors:
    """The three factors of one card, eight bytes each, from the root key down: province, city, card."""

    card: bytes
    """The last eight of the historical bytes."""
    city_code: str
    """应用城市代码: the first six digits of 卡识别码."""

    @classmethod
    def of(cls, historical_bytes: bytes, identification_code: str) -> Self:
        """Args: the card's historical bytes, and its 卡识别码 in hex.

        Raises:
            CardGarbledError: there are too few bytes, or the code does not begin with six digits.
        """
        city = identification_code[:_CITY_DIGITS]
        if len(historical_bytes) < _LENGTH or len(city) != _CITY_DIGITS or not (city.isascii() and city.isdecimal()):
            raise CardGarbledError(
                "卡复位信息或卡识别码不完整，无法计算分散因子",
                "the card's historical bytes or identification code are incomplete: no diversification factor",
            )
        return cls(historical_bytes[-_LENGTH:], city)

    @property
    def city(self) -> bytes:
        """Six digits and ``sx``."""
        return self.city_code.encode("ascii") + b"sx"

    @property
    def province(self) -> bytes:
        """Two digits, ``0000`` and ``sh``."""
        return self.city_code[:2].encode("ascii") + b"0000sh"

    def of_levels(self, levels: int) -> tuple[bytes, ...]:
        """The factors still to be used, from the top down: one (card), two (city, card) or all three."""
        return (self.province, self.city, self.card)[3 - levels :]
