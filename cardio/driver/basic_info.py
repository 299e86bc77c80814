"""The strings of the national driver interface. Its functions by name are in `cardio.driver.functions`."""

from __future__ import annotations

from datetime import date
from typing import Literal

from cardio.card.diagnostics import unread_error
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import AccessNotGrantedError, DecodeError
from cardio.filesystem.card_file_system import IDENTIFYING_ITEMS
from cardio.models.base import CodedValue
from cardio.models.reading import CardReading, Holder, Unread
from cardio.security.errors import SamError

_NOT_WRITTEN = "missing"
NO_PSAM_TERMINAL, UNKNOWN_TERMINAL = "000000000000", ""
BasicLayout = Literal["11", "13", "colon"]
"""The layouts of the basic information: eleven fields, thirteen as in issuing programs, and a vendor's fourteen between
colons.
"""


def read_basic(card: SocialSecurityCard, *, device: str = "") -> str:
    """Read the card by the national flow, and return the eleven fields of iReadCardBas.

    A third-generation card proves itself where the SAM has its key, and a closed card is opened with RKSSSE.

    Args:
        card: the card.
        device: 终端设备号; without it the reader's own.

    Raises:
        ForgedCardError: −21, the card is a copy.
        CardioError: another error, with the driver code that a caller of the national interface acts on: −2201 no PSAM,
            −2202 no such algorithm, −2203 no RKSSSE, −24 key level, −(status word).
    """
    reading = _open_reading(card)
    return basic_string(reading, terminal=terminal_field(card), device=device or card.device_number)


def terminal_field(card: SocialSecurityCard) -> str:
    """Return 终端机编号, zeros without a PSAM card; empty if the configured one is unavailable and another SAM replaces
    it.

    Raises:
        SamError: a PSAM card is configured, and does not give its number.
    """
    try:
        number = card.terminal_number
    except SamError:
        if card.sam.kind == "psam":
            raise
        return UNKNOWN_TERMINAL
    return NO_PSAM_TERMINAL if number is None else number


def basic_text(card: SocialSecurityCard, layout: BasicLayout, *, device: str = "") -> str:
    """Read the card and return its basic information in one of the layouts.

    Raises:
        CardioError: as for `read_basic`.
    """
    if layout == "11":
        return read_basic(card, device=device)
    return thirteen_fields(_open_reading(card)) if layout == "13" else colon_fields(_open_reading(card))


def _open_reading(card: SocialSecurityCard) -> CardReading:
    reading = card.read(supplement=False)
    if reading.holder is None:
        refusal = card.refusal_of_holder()
        if refusal is not None:
            raise refusal
    unproved = card.refusal_of_proof()
    if unproved is not None:
        raise unproved  # the string has no field for it
    return reading


def basic_string(reading: CardReading, *, terminal: str = NO_PSAM_TERMINAL, device: str = "") -> str:
    """Return the result of iReadCardBas: eleven fields, each closed by a bar.

    发卡地区行政区划代码|社会保障号码|卡号|卡识别码|姓名|卡复位信息|规范版本|发卡日期|卡有效期|终端机编号|终端设备号|

    Args:
        reading: the reading of the card.
        terminal: 终端机编号, which a PSAM card gives; twelve zeros without one.
        device: 终端设备号, the reader's serial number.

    Raises:
        AccessNotGrantedError: the card keeps its holder's information closed.
        FileUnreadableError: number, name, card number or identification code could not be read.
    """
    holder, card = _complete_holder(reading), reading.card
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


def thirteen_fields(reading: CardReading) -> str:
    """Return the thirteen fields of issuing programs, each closed by a bar.

    卡识别码|卡类别|规范版本|初始化机构编号|发卡日期|卡有效期|卡号|社会保障号码|姓名|性别|民族|出生地|出生日期|

    Raises:
        AccessNotGrantedError, FileUnreadableError: as for `basic_string`.
    """
    return "".join(f"{field.replace('|', ' ')}|" for field in _thirteen(reading))


def colon_fields(reading: CardReading) -> str:
    """Return the thirteen fields and 姓名扩展 after 姓名, between colons; the name is whole, so its extension is empty.

    Raises:
        AccessNotGrantedError, FileUnreadableError: as for `thirteen_fields`.
    """
    fields = _thirteen(reading)
    fields.insert(9, "")
    return ":".join(field.replace(":", " ") for field in fields)


def _complete_holder(reading: CardReading) -> Holder:
    """Return the holder, if every item that identifies a person and a card was read.

    An item that the issuer has left blank is an empty field, as on a card that was not yet personalised. An item that
    is present and could not be read is an error, never an empty field with the return code 0.

    Raises:
        AccessNotGrantedError: the card keeps its holder's information closed.
        FileUnreadableError: one of `IDENTIFYING_ITEMS` could not be read or decoded: −15, or −(status word).
    """
    holder, card = reading.holder, reading.card
    if holder is None:
        raise AccessNotGrantedError(driver_code=next((unread.driver_code for unread in reading.unread), None))
    hindered = [unread for unread in reading.unread if _hinders(unread)]
    if not hindered:
        return holder
    is_blank = not (holder.social_security_number or holder.name or card.card_number)
    if is_blank and all(unread.reason == _NOT_WRITTEN for unread in hindered):
        return holder
    raise unread_error(hindered[0], driver_code=DecodeError.driver_code)


def _hinders(unread: Unread) -> bool:
    """Return True if an unread entry means that one of the identifying items is missing."""
    wanted = IDENTIFYING_ITEMS.get(unread.file, frozenset())
    return bool(wanted) and unread.reason != "empty" and (unread.item is None or unread.item in wanted)


def _thirteen(reading: CardReading) -> list[str]:
    holder, card = _complete_holder(reading), reading.card
    fields = (
        card.identification_code,
        _code(card.card_class),
        card.spec_version,
        card.issuer_number,
        _digits(card.issue_date),
        _digits(card.expiry_date),
        card.card_number,
        holder.social_security_number,
        holder.name,
        _code(holder.sex),
        _code(holder.ethnic_group),
        _code(holder.birthplace),
        _digits(holder.birth_date),
    )
    return [field or "" for field in fields]


def _code(value: CodedValue | None) -> str | None:
    return None if value is None else value.code


def _digits(day: date | None) -> str | None:
    return f"{day.year:04}{day.month:02}{day.day:02}" if day else None
