"""The national driver interface: its strings. (Its functions and codes over HTTP come with the bridge.)"""

from __future__ import annotations

from datetime import date

from cardio.card import SocialSecurityCard
from cardio.errors import AccessNotGrantedError
from cardio.model import CardReading

NO_PSAM_TERMINAL = "000000000000"


def read_basic(card: SocialSecurityCard, *, device: str = "") -> str:
    """iReadCardBas: reads the card as the national flow has it, and gives its eleven fields.

    A third-generation card proves itself where the SAM has its key, and is opened with RKSSSE where it is closed.

    Raises:
        ForgedCardError: −21.
        CardioError: what hindered, with the driver code that a caller of the national interface acts on:
            −2201 no PSAM, −2202 no such algorithm, −2203 no RKSSSE, −24 key level, −(status word).
    """
    reading = card.read(supplement=False)
    if reading.holder is None:
        refusal = card.refusal_of_holder()
        if refusal is not None:
            raise refusal
    return basic_string(reading, terminal=card.terminal_number or NO_PSAM_TERMINAL, device=device)


def basic_string(reading: CardReading, *, terminal: str = NO_PSAM_TERMINAL, device: str = "") -> str:
    """The answer of iReadCardBas: eleven fields, each closed by a bar.

    发卡地区行政区划代码|社会保障号码|卡号|卡识别码|姓名|卡复位信息|规范版本|发卡日期|卡有效期|终端机编号|终端设备号|

    Args:
        terminal: 终端机编号, which a PSAM card gives; twelve zeros without one.
        device: 终端设备号, the reader's serial number.

    Raises:
        AccessNotGrantedError: the card keeps its holder's information closed.
    """
    if reading.holder is None:
        code = next((unread.driver_code for unread in reading.unread), None)
        raise AccessNotGrantedError(driver_code=code)
    card, holder = reading.card, reading.holder
    fields = (
        card.region.code if card.region else None,
        holder.social_security_number,
        card.card_number,
        card.identification_code,
        holder.name,
        card.historical_bytes,
        card.spec_version,
        _digits(card.issue_date),
        _digits(card.expiry_date),
        terminal,
        device,
    )
    # A bar inside a value would shift every field after it.
    return "".join(f"{(field or '').replace('|', ' ')}|" for field in fields)


def _digits(day: date | None) -> str | None:
    return f"{day.year:04}{day.month:02}{day.day:02}" if day else None
