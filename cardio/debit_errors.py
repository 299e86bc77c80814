"""What goes wrong where money moves: each with its cause, what to do now, and whether anything was taken.

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
        └── NumberUsedError             debit-number-used            the card has gone back in time: leave it
"""

from __future__ import annotations

from typing import Any

from cardio.errors import CardError

OUTCOME_UNKNOWN = -202
"""Return code of a debit whose outcome is not known: cardio's own, for the national interface has none."""
RESULT_UNDELIVERED = -203
"""Return code if the result of an earlier debit was not delivered: cardio's own as well."""


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
    title_en = "The outcome of the debit is not known: it may have been taken"
    remedy = "请勿另行收费。请放回同一张卡，在业务系统中重试该笔消费：系统只查明结果，不会重复扣款。"
    remedy_en = (
        "Do not charge again. Put the same card back and retry this debit (by the same Idempotency-Key): "
        "that finds out, and never debits twice."
    )
    status = 202
    driver_code = OUTCOME_UNKNOWN
    debit_id: str | None = None
    """Which debit of the journal it is."""


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
    title_en = "An earlier debit on this card is to be cleared up first"
    remedy = "请先确认此前那笔消费的结果，再决定是否发起新的消费。"
    remedy_en = "See what became of the earlier debit, then decide whether to begin another."
    status = 409
    driver_code = -0x6985
    told_debit: str | None = None
    """The earlier debit, if this refusal tells its own caller, which had heard of the doubt, that it is done."""


class DebitUndeliveredError(CardError):
    """The card was debited and the caller left before it was answered, so the next debit may be the same one again."""

    code = "debit-undelivered"
    title = "上一笔扣款已成功，但结果未送达"
    title_en = "The previous debit was done, but its result was not delivered"
    remedy = (
        "请勿重复收费。请先在业务系统中重试或查询上一笔扣款，核对后补打凭条；"
        "业务系统查不到时，请联系信息科核对（cardio debits）。"
    )
    remedy_en = (
        "Do not charge again. First ask for the previous debit by its own Idempotency-Key, or list it, and print its "
        "slip. If the cashier's program does not know it, have your IT department check it (cardio debits)."
    )
    status = 409
    driver_code = RESULT_UNDELIVERED

    def __init__(self, detail: str = "", detail_en: str = "", *, debit_id: str | None = None) -> None:
        """Args: ``debit_id``: the previous debit, for its own caller only."""
        super().__init__(detail, detail_en)
        self.members: dict[str, Any] = {} if debit_id is None else {"debit": debit_id}


class SameSecondError(CardError):
    code = "debit-same-second"
    title = "同一张卡在该交易时间已有一笔消费"
    title_en = "There is a debit of this card at this very time already"
    remedy = "请核对是否重复收费；确需再次消费时，请使用新的交易时间。"
    remedy_en = "See whether it is the same debit; for another one, use another time."
    status = 409
    driver_code = -0x6985


class NumberUsedError(CardError):
    """A card's number only grows: one that has gone back is a copy, or a software card that was made anew."""

    code = "debit-number-used"
    title = "卡内交易序号已用过，卡片可能被复制"
    title_en = "The card's transaction number was used already: the card may be a copy"
    remedy = "请勿用该卡收费，请核对持卡人身份并联系信息科。（模拟卡重新生成后序号会倒退：测试时请换用新的消费日志。）"
    remedy_en = (
        "Do not charge this card; check who the holder is, and ask your IT department. "
        "(A software card that is made anew begins its numbers anew: take another journal for the test.)"
    )
    status = 409
    driver_code = -0x6985
