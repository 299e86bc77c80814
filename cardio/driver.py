"""The national driver interface: its strings. (Its functions and codes over HTTP come with the bridge.)"""

from __future__ import annotations

from datetime import date

from cardio.errors import AccessNotGrantedError
from cardio.model import CardReading

NO_PSAM_TERMINAL = "000000000000"


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
