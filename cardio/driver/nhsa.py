"""The card's data for transaction 1101 of the national medical insurance interface (NHSA, 人员信息获取).

医疗保障信息平台定点医药机构接口规范, 1101: ``mdtrt_cert_type`` 03 is 社会保障卡, and then ``mdtrt_cert_no`` is the card
number and ``card_sn`` the identification code. Pages that map the eleven fields by hand have put the social security
number into ``card_sn``.
"""

from __future__ import annotations

from pydantic import Field

from cardio.card.diagnostics import unread_error
from cardio.errors import AccessNotGrantedError, DecodeError, FileUnreadableError
from cardio.filesystem.codec.check_digits import is_citizens_number
from cardio.models.base import FrozenModel
from cardio.models.reading import CardReading

SOCIAL_SECURITY_CARD = "03"
_ID_CARD, _BY_CARD = "01", "90"


class Nhsa1101(FrozenModel):
    """The fields of the request's ``data`` that come from the card; the caller adds the others."""

    mdtrt_cert_type: str = Field(description="就诊凭证类型: 03, 社会保障卡")
    mdtrt_cert_no: str = Field(description="就诊凭证编号: the card number")
    card_sn: str = Field(description="卡识别码: required with 03")
    begntime: str | None = Field(description="开始时间: the caller's; null means now")
    psn_cert_type: str = Field(description="人员证件类型: 01 resident identity card; 90 social security card")
    certno: str = Field(description="证件号码: the social security number")
    psn_name: str = Field(description="人员姓名")


def nhsa_1101(reading: CardReading) -> Nhsa1101:
    """Return the fields for a card that was read.

    Raises:
        AccessNotGrantedError: the card keeps its holder's information closed.
        FileUnreadableError: a field that 1101 requires is empty on the card, or could not be read.
    """
    card, holder = reading.card, reading.holder
    if holder is None:
        raise AccessNotGrantedError(driver_code=next((unread.driver_code for unread in reading.unread), None))
    values = {
        "card_number": card.card_number,
        "identification_code": card.identification_code,
        "social_security_number": holder.social_security_number,
        "name": holder.name,
    }
    missing = [name for name, value in values.items() if not value]
    hindered = [unread for unread in reading.unread if unread.item in missing]
    if hindered:
        raise unread_error(hindered[0], driver_code=DecodeError.driver_code)
    if missing:
        listed = ", ".join(missing)
        raise FileUnreadableError(
            f"1101 需要的数据项在卡上为空：{listed}", f"empty on the card, and 1101 wants it: {listed}"
        )
    number = values["social_security_number"] or ""
    return Nhsa1101(
        mdtrt_cert_type=SOCIAL_SECURITY_CARD,
        mdtrt_cert_no=values["card_number"] or "",
        card_sn=values["identification_code"] or "",
        begntime=None,
        # The number of a foreigner is on no resident identity card.
        psn_cert_type=_ID_CARD if is_citizens_number(number) else _BY_CARD,
        certno=number,
        psn_name=values["name"] or "",
    )
