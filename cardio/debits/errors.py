"""The errors of debits: each with its cause, the next action, and whether anything was taken.

::

    CardioError
    └── CardError
        ├── DebitNotDoneError           debit-not-done               nothing was taken: begin another debit
        ├── DebitUnknownError           debit-unknown                put the same card back, ask again
        ├── DebitManualError            debit-manual                 have a person compare card and journal
        │   └── WrongMac2Error          wrong-mac2                   check who the holder is, have a person compare
        ├── DebitOpenError              debit-open                   see what became of the other debit first
        ├── DebitUndeliveredError       debit-undelivered            ask for the result of the previous debit first
        ├── SameSecondError             debit-same-second            see whether it is the same debit
        ├── NumberUsedError             debit-number-used            the card's number went back: do not use it
        ├── DebitOnCardError            debit-on-card                it was taken already: do not charge again
        ├── DebitRecordUnclearError     debit-record-unclear         have a person look at the card's details
        ├── DebitNotCheckableError      debit-not-checkable          repeat it with the present time
        ├── DebitRecordUnreadableError  debit-record-unreadable      this card is not debited here
        ├── DebitContradictedError      debit-contradicted           have a person look at the earlier debit again
        └── DebitYearError              debit-year                   check the clocks
    UsageError
        ├── DebitTimeError              debit-time                   check the clocks
        └── DebitLimitError             debit-limit                  check the amount
"""

from __future__ import annotations

from typing import Any

from cardio.errors import CardError, CardioError, UsageError

OUTCOME_UNKNOWN = -202
"""The return code of a debit with an unknown outcome: cardio's own, because the national interface has none."""
RESULT_UNDELIVERED = -203
"""The return code if the result of an earlier debit was not delivered: cardio's own as well."""
STANDS_ON_CARD = -204
"""The return code if the card's own record has the order already: cardio's own as well."""
NOT_CHECKABLE = -205
"""The return code if the card's own record does not show whether it has the order: cardio's own as well."""
CONTRADICTED = -206
"""The return code if the card contradicts a person's decision on an earlier debit: cardio's own as well."""
_ILLEGAL = -23


class DebitNotDoneError(CardError):
    code = "debit-not-done"
    title = "消费未成功，未扣款"
    title_en = "The debit was not done: nothing was taken"
    remedy = "请在业务系统中重新发起一笔消费。"
    remedy_en = "Begin another debit (with another Idempotency-Key)."
    status = 409
    driver_code = -0x6985


class DebitUnknownError(CardError):
    code = "debit-unknown"
    title = "消费结果未知，可能已扣款"
    title_en = "The result of the debit is not known: money may have been taken"
    remedy = "请勿另行收费。请放回同一张卡，在业务系统中重试该笔消费：系统只查明结果，不会重复扣款。"
    remedy_en = (
        "Do not charge again. Put the same card back and retry this debit with the same Idempotency-Key. "
        "The retry only finds out the result; it never debits twice."
    )
    status = 202
    driver_code = OUTCOME_UNKNOWN
    debit_id: str | None = None
    """The id of the debit in the journal."""


class DebitManualError(CardError):
    code = "debit-manual"
    title = "卡内记录与本机记录不一致，须人工核对"
    title_en = "The card and the journal disagree: a person must compare them"
    remedy = "请勿另行收费，请联系信息科核对该笔消费。"
    remedy_en = "Do not charge again; have your IT department compare this debit."
    status = 409
    driver_code = OUTCOME_UNKNOWN


class WrongMac2Error(DebitManualError):
    code = "wrong-mac2"
    title = "卡片的消费认证码（MAC2）不正确，可能是伪卡"
    title_en = "The card's MAC2 is wrong: it may be a copy"
    remedy = "请勿另行收费，请核对持卡人身份，并联系信息科核对该笔消费。"
    remedy_en = "Do not charge again; check who the holder is, and have your IT department compare this debit."
    driver_code = -0x9302


class DebitOpenError(CardError):
    code = "debit-open"
    title = "该卡此前的消费须先查明"
    title_en = "An earlier debit on this card must be resolved first"
    remedy = "请先确认此前那笔消费的结果，再决定是否发起新的消费。"
    remedy_en = "First find out the result of the earlier debit, then decide whether to begin another."
    status = 409
    driver_code = -0x6985
    reported_debit: str | None = None
    """The id of the earlier debit, if this refusal tells the debit's own caller, which knew of the doubt, that it is
    done.
    """


class DebitUndeliveredError(CardError):
    """An error for a card that was debited while its caller left before the answer: the next debit may be the same
    again.
    """

    code = "debit-undelivered"
    title = "上一笔扣款已成功，但结果未送达"
    title_en = "The previous debit was done, but its result was not delivered"
    remedy = (
        "请勿重复收费。请先在业务系统中重试或查询上一笔扣款，核对后补打凭条；"
        "业务系统查不到时，请联系信息科核对（cardio debits）。"
    )
    remedy_en = (
        "Do not charge again. First query the previous debit by its own Idempotency-Key or in the list, and print its "
        "slip. If the cashier's program does not know it, have your IT department check it (cardio debits)."
    )
    status = 409
    driver_code = RESULT_UNDELIVERED

    def __init__(self, detail: str = "", detail_en: str = "", *, debit_id: str | None = None) -> None:
        """Set up the error.

        Args:
            detail: the reason, in Chinese.
            detail_en: the reason, in English.
            debit_id: the previous debit, for its own caller only.
        """
        super().__init__(detail, detail_en)
        self.members: dict[str, Any] = {} if debit_id is None else {"debit": debit_id}


class SameSecondError(CardError):
    code = "debit-same-second"
    title = "同一张卡在该交易时间已有一笔消费"
    title_en = "This card already has a debit at exactly this time"
    remedy = "请核对是否重复收费；确需再次消费时，请使用新的交易时间。"
    remedy_en = "Check if it is the same debit. For another debit, use another time."
    status = 409
    driver_code = -0x6985


class NumberUsedError(CardError):
    """An error for a number that has gone back. A card's number only grows: the card is a copy, or a renewed software
    card.
    """

    code = "debit-number-used"
    title = "卡内交易序号已用过，卡片可能被复制"
    title_en = "The card's transaction number was used already: the card may be a copy"
    remedy = "请勿用该卡收费，请核对持卡人身份并联系信息科。（模拟卡重新生成后序号会倒退：测试时请换用新的扣款记录。）"
    remedy_en = (
        "Do not charge this card; check who the holder is, and ask your IT department. "
        "(The numbers of a new software card start again: use another journal for the test.)"
    )
    status = 409
    driver_code = -0x6985


class DebitOnCardError(CardError):
    """An error for an order that the card's own record has already, by its time and amounts, from any terminal."""

    code = "debit-on-card"
    title = "卡内已有这笔消费，本次未扣款"
    title_en = "This debit is already on the card; nothing was taken now"
    remedy = (
        "请勿重复收费。请按卡内记录（时间、终端机、序号）核对原来的收费，并补打凭条；"
        "确属另一笔消费时，请换用新的交易时间。"
    )
    remedy_en = (
        "Do not charge again. Find the first charge by the card's own record (time, terminal, number) and print its "
        "slip. If this is another debit, use another time."
    )
    status = 409
    driver_code = STANDS_ON_CARD

    def __init__(
        self, time: str = "", terminal_number: str | None = None, transaction_number: int | None = None
    ) -> None:
        """Set up the error from the card's own record; a value that it does not have is None.

        Args:
            time: YYYYMMDDhhmmss.
            terminal_number: 终端机编号.
            transaction_number: 交易序号.
        """
        when, number = with_marks(time) if time else "?", "?" if transaction_number is None else str(transaction_number)
        super().__init__(
            f"卡内记录：交易时间 {when}，终端机编号 {terminal_number or '?'}，交易序号 {number}",
            f"the card's record: {when}, terminal {terminal_number or '?'}, number {number}",
        )
        noted = {"time": time, "terminal_number": terminal_number, "transaction_number": transaction_number}
        self.members: dict[str, Any] = {"card_record": noted}


class DebitRecordUnclearError(CardError):
    code = "debit-record-unclear"
    title = "卡内有一条交易明细残缺，可能就是这笔消费，本次未扣款"
    title_en = "A damaged detail on the card may be this debit; nothing was taken now"
    remedy = (
        "请勿直接再收费。请信息科读出卡内交易明细核对；不能确认时请改用其他方式收费，并请持卡人联系发卡机构检查卡片。"
    )
    remedy_en = (
        "Do not charge again. Have your IT department compare the card's details. If that does not help, "
        "charge in another way, and have the issuer check the holder's card."
    )
    status = 409
    driver_code = NOT_CHECKABLE


class DebitNotCheckableError(CardError):
    """An error for a full file of details: the order need not be among the details that it still has."""

    code = "debit-not-checkable"
    title = "卡内明细已查不到这笔消费的时间，无法确认是否扣过款，本次未扣款"
    title_en = (
        "The card's details do not go back to this time, so the earlier result is not known; nothing was taken now"
    )
    remedy = "请先在业务系统中确认这笔消费以前没有扣款，再用当前时间重新发起。"
    remedy_en = (
        "Check in the cashier's program that it was not taken before, then start it again with the present time."
    )
    status = 409
    driver_code = NOT_CHECKABLE


class DebitRecordUnreadableError(CardError):
    """An error for a card that does not give its own record, although the bridge's settings require it before a
    debit.
    """

    code = "debit-record-unreadable"
    title = "读不到卡内交易明细，按本单位设置不能消费"
    title_en = "The card's details cannot be read, and this site requires them for a debit"
    remedy = "请改用其他方式收费；需要放行这类卡片时，请信息科修改设置 debit_record_required。"
    remedy_en = "Charge in another way. To allow such cards, your IT department changes debit_record_required."
    status = 409
    driver_code = NOT_CHECKABLE


class DebitContradictedError(CardError):
    """An error for a card that is back, and whose own record contradicts a person's decision on an earlier debit."""

    code = "debit-contradicted"
    title = "卡内记录与人工认定的结果不符，须重新核对"
    title_en = "The card contradicts a person's decision on an earlier debit, which must be checked again"
    remedy = "请先不要收费。请信息科核对此前那笔消费并重新认定（cardio debits resolve）；认定之前该卡不能消费。"
    remedy_en = (
        "Do not charge yet. Have your IT department compare the earlier debit and decide again "
        "(cardio debits resolve). Until then this card is not debited."
    )
    status = 409
    driver_code = CONTRADICTED

    def __init__(self, detail: str = "", detail_en: str = "", *, debit_id: str | None = None) -> None:
        """Set up the error.

        Args:
            detail: the reason, in Chinese.
            detail_en: the reason, in English.
            debit_id: the earlier debit, for its own caller only.
        """
        super().__init__(detail, detail_en)
        self.members: dict[str, Any] = {} if debit_id is None else {"debit": debit_id}


class DebitYearError(CardError):
    """An error for a debit of another year: it would restart the card's yearly totals, or count in the wrong year."""

    code = "debit-year"
    title = "交易年份与卡内累计年份相差过大，未扣款"
    title_en = "The order's year is too far from that of the card's totals; nothing was taken"
    remedy = (
        "请核对电脑和业务系统的日期。日期正确而该卡多年未用时，请信息科调大设置 debit_years；"
        "卡内年份本身不对时，请持卡人联系发卡机构。"
    )
    remedy_en = (
        "Check the date of this computer and of the cashier's program. If it is right and the card was not used for "
        "years, your IT department raises debit_years. If the card's own year is wrong, the holder contacts the issuer."
    )
    status = 409
    driver_code = _ILLEGAL


class DebitTimeError(UsageError):
    code = "debit-time"
    title = "交易时间与本机时间相差过大，未扣款"
    title_en = "The order's time is too far from this computer's clock; nothing was taken"
    remedy = "请核对电脑和业务系统的日期、时间，再用当前时间重新发起。"
    remedy_en = (
        "Check date and time of this computer and of the cashier's program, then start it again with the present time."
    )
    driver_code = _ILLEGAL


class DebitLimitError(UsageError):
    code = "debit-limit"
    title = "消费金额超过单笔上限，未扣款"
    title_en = "The amount is above the ceiling for one debit; nothing was taken"
    remedy = "请核对金额和小数点；金额确实如此时，请信息科调高设置 debit_limit。"
    remedy_en = "Check the amount and its decimal point. If they are right, your IT department raises debit_limit."
    driver_code = _ILLEGAL


def with_marks(time: str) -> str:
    """Return YYYYMMDDhhmmss with separators for people."""
    return f"{time[:4]}-{time[4:6]}-{time[6:8]} {time[8:10]}:{time[10:12]}:{time[12:]}"


class JournalStepError(CardioError):
    code = "debit-step"
    title = "该笔消费现在不能这样处理"
    title_en = "This step is not possible in the debit's present state"
    remedy = "请查询该笔消费的状态。"
    remedy_en = "Query the debit's state."
    status = 409
    driver_code = -0x6985
