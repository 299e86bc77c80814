"""The duration of an exchange on the card's contacts, by arithmetic (ISO/IEC 7816-3 §10, T=0).

A T=0 command is a 5-byte header, a procedure byte when data is transferred, the data, and two status bytes. Each
character takes 12 elementary time units (etu), and one etu is F / (D * f).
"""

from __future__ import annotations

CLOCK_HZ = 3_571_200
"""The clock that gives 9600 bit/s at the default F = 372, D = 1."""

_F = {0x0: 372, 0x1: 372, 0x2: 558, 0x3: 744, 0x4: 1116, 0x5: 1488, 0x6: 1860}
_F |= {0x9: 512, 0xA: 768, 0xB: 1024, 0xC: 1536, 0xD: 2048}
_D = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32, 7: 64, 8: 12, 9: 20}
_CHARACTER_ETU = 12
DEFAULT_TA1 = 0x11


def t0_characters(data_out: int, data_back: int) -> int:
    """Return the number of characters of one T=0 exchange.

    Args:
        data_out: data bytes to the card.
        data_back: data bytes from the card.
    """
    procedure_byte = 1 if data_out or data_back else 0
    return 5 + procedure_byte + data_out + data_back + 2


def bits_per_second(ta1: int = DEFAULT_TA1, clock_hz: int = CLOCK_HZ) -> float | None:
    """Return the bit rate of TA1; None where ISO 7816-3 leaves its value open."""
    factor, divisor = _F.get(ta1 >> 4), _D.get(ta1 & 0xF)
    return clock_hz * divisor / factor if factor and divisor else None


def t0_seconds(characters: int, ta1: int = DEFAULT_TA1, clock_hz: int = CLOCK_HZ) -> float:
    """Return the least time in seconds for a number of characters, without the computing time of card and reader.

    Raises:
        ValueError: ISO 7816-3 does not define this TA1.
    """
    rate = bits_per_second(ta1, clock_hz)
    if rate is None:
        raise ValueError(f"TA1 {ta1:02X} has no bit rate in ISO 7816-3")
    return characters * _CHARACTER_ETU / rate
