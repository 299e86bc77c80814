"""The factors that diversify a card's keys: its chip's number, its city, its province (分散因子)."""
# Only this module decides whether an ATR contains the chip's number. A wrong number makes a genuine card look forged,
# and costs it a try of each key that is presented.

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cardio.apdu.atr import Atr, is_made_by_reader
from cardio.errors import CardGarbledError
from cardio.security.errors import ContactSlotNeededError, NoCardFactorError

_RESET_INFORMATION = 13
_LENGTH = 8
_CITY_DIGITS = 6


def reset_information(atr: bytes) -> bytes:
    """Return 卡复位信息: the thirteen historical bytes T1 to TD of a social security card's own ATR.

    The standard's ATR is ``3B 6D 00 00`` and these bytes, on T=0 (public articles on LD/T 32.2-2015, and the readings
    of five public programs). The bytes that give the card's speed (TA1, TB1, TC1) do not move them, so they may differ.
    Some ATRs have other data in their place: an ATS, an ATQB, a storage card's name. Such an ATR has another number of
    bytes, has another protocol than T=0, or is made up by a contactless reader.

    Raises:
        ContactSlotNeededError: a reader has made the ATR up.
        NoCardFactorError: the ATR is that of another kind of card.
        CardGarbledError: it is no ATR.
    """
    if is_made_by_reader(atr):
        raise ContactSlotNeededError(
            "读卡器给出的是非接触卡的 ATR，其中没有卡复位信息",
            "the reader shows the ATR that it makes up for contactless cards: no reset information is in it",
        )
    parsed = Atr.from_bytes(atr)
    if parsed.protocols != (0,):
        listed = ", ".join(f"T={protocol}" for protocol in parsed.protocols)
        raise NoCardFactorError(
            f"ATR 使用 {listed} 协议，社会保障卡为 T=0", f"the ATR offers {listed}, and a social security card T=0"
        )
    if len(parsed.historical_bytes) != _RESET_INFORMATION:
        length = len(parsed.historical_bytes)
        raise NoCardFactorError(
            f"ATR 有 {length} 个历史字节，社会保障卡为 {_RESET_INFORMATION} 个",
            f"the ATR has {length} historical bytes, and a social security card {_RESET_INFORMATION}",
        )
    return parsed.historical_bytes


def known_reset_information(atr: bytes) -> bytes:
    """Return 卡复位信息 as `reset_information` does; empty bytes where an ATR does not contain it."""
    try:
        return reset_information(atr)
    except (NoCardFactorError, CardGarbledError):
        return b""


@dataclass(frozen=True, slots=True)
class DiversificationFactors:
    """The three factors of one card, eight bytes each, from the root key down: province, city, card."""

    card: bytes
    """The last eight of the historical bytes."""
    city_code: str
    """应用城市代码: the first six digits of 卡识别码."""

    @classmethod
    def of(cls, historical_bytes: bytes, identification_code: str) -> Self:
        """Return the factors of a card.

        Args:
            historical_bytes: the card's historical bytes.
            identification_code: its 卡识别码, in hex.

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
        """Return the six digits and ``sx``."""
        return self.city_code.encode("ascii") + b"sx"

    @property
    def province(self) -> bytes:
        """Return the two digits, ``0000`` and ``sh``."""
        return self.city_code[:2].encode("ascii") + b"0000sh"

    def of_levels(self, levels: int) -> tuple[bytes, ...]:
        """Return the factors still to be used, from the top down.

        Args:
            levels: one (card), two (city, card) or three (province, city, card).
        """
        return (self.province, self.city, self.card)[3 - levels :]
