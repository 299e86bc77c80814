"""The errors of debits that are not accepted, and of the journal."""

from __future__ import annotations

from typing import Any

from cardio.errors import CardioError


class NoIdempotencyKeyError(CardioError):
    code = "no-idempotency-key"
    title = "消费请求缺少 Idempotency-Key，或其内容不合规（可打印的 ASCII，至多 200 个字符）"
    title_en = "A debit's Idempotency-Key is missing, or is none (printable ASCII, 200 characters at most)"
    remedy = (
        "请为每笔消费生成一个新的键（如 UUID），重试时保持不变。"
        "HTTP 用请求头 Idempotency-Key，JSON 兼容接口与 SDK 用 idempotencyKey。"
    )
    remedy_en = (
        "Give each debit a key of its own, such as a UUID, and keep it when you ask again: HTTP has the header "
        "Idempotency-Key, the JSON dialect and the SDK have idempotencyKey."
    )
    status = 400
    exit_status = 2
    driver_code = -14


class IdempotencyKeyReusedError(CardioError):
    code = "other-order"
    title = "该 Idempotency-Key 已用于另一笔消费"
    title_en = "This Idempotency-Key belongs to another debit"
    remedy = "新的消费请使用新的 Idempotency-Key。"
    remedy_en = "Use another key for another debit."
    status = 422
    driver_code = -23


class DebitInFlightError(CardioError):
    code = "debit-in-flight"
    title = "该笔消费正在进行"
    title_en = "This debit is being worked on"
    remedy = "请等待其结束。"
    remedy_en = "Wait for its end."
    status = 409
    retryable = True
    driver_code = -0x6985


class NoSuchDebitError(CardioError):
    code = "no-such-debit"
    title = "没有这笔消费"
    title_en = "There is no such debit"
    remedy = "请核对编号。"
    remedy_en = "Check its id."
    status = 404


class JournalUnavailableError(CardioError):
    code = "journal-unavailable"
    title = "扣款记录不可用，不能消费"
    title_en = "The journal of debits cannot be used: no debit without it"
    remedy = "请检查磁盘空间和文件权限，并确认没有另一个 cardio 在使用同一扣款记录。"
    remedy_en = "Check disk space and permissions, and that no other cardio has the same journal."
    status = 503
    exit_status = 78
    driver_code = -13
    in_use = False
    """True if another process uses it."""
    gone = False
    """True if the file is not where it was."""


class JournalKeyLostError(JournalUnavailableError):
    code = "journal-key-lost"
    title = "扣款记录的密钥文件缺失或不符，不能消费"
    title_en = "The key file of the journal is missing or another one's: no debit without it"
    remedy = "请将 debits.sqlite 与 debits.key 一起恢复；切勿只恢复其中一个。"
    remedy_en = "Restore debits.sqlite and debits.key together, never one without the other."


class JournalRestoredError(JournalUnavailableError):
    """The journal is a copy, or older than its marks: debits may have been forgotten."""

    code = "journal-restored"
    title = "扣款记录是恢复或复制来的，须由人确认后才能消费"
    title_en = "The journal of debits was restored or copied: no debit until a person has said so"
    remedy = (
        "未扣款。原文件还在时请放回原处；确实要改用这一份时，请核对后执行 cardio debits restored。"
        "此前的消费仍可查询（cardio debits）。"
    )
    remedy_en = (
        "Nothing was taken. If the right file is still there, put it back. To go on with this one, look at what is "
        "missing and say so: cardio debits restored. Earlier debits can still be looked up (cardio debits)."
    )


class JournalTamperedError(CardioError):
    """A debit's row is not as the journal has left it, so its contents are not trusted."""

    code = "journal-tampered"
    title = "该笔消费的记录被改动，不可信"
    title_en = "The record of this debit was changed from outside, and is not believed"
    remedy = (
        "请勿收费，请保全文件并联系信息科：cardio debits verify 列出被改动的记录，"
        "核对卡内明细后用 cardio debits resolve 认定。"
    )
    remedy_en = (
        "Do not charge; keep the files and ask your IT department: cardio debits verify names what was changed, and "
        "cardio debits resolve decides after a look at the card's own records."
    )
    status = 409
    exit_status = 1
    driver_code = -202

    def __init__(self, debit_id: str) -> None:
        super().__init__(f"记录 {debit_id}", f"record {debit_id}")
        self.members: dict[str, Any] = {"debit": debit_id}


class DebitArchivedError(CardioError):
    """The key names a debit that is over and in an archive. No card is ever told again to debit for this key."""

    code = "debit-archived"
    title = "该笔消费已归档，不会再次扣款"
    title_en = "This debit is in an archive: it is never done again"
    remedy = "请在归档文件中查看结果（cardio debits list --file）；新的消费请使用新的 Idempotency-Key。"
    remedy_en = "Look it up in its archive (cardio debits list --file); use another key for another debit."
    status = 409
    driver_code = -0x6985

    def __init__(self, debit_id: str, outcome: str, archive: str) -> None:
        zh, en = ("已扣款", "it was taken") if outcome == "done" else ("未扣款", "it was not taken")
        super().__init__(f"{zh}，归档文件 {archive}", f"{en}; archive {archive}")
        self.members: dict[str, Any] = {"debit": debit_id, "outcome": outcome}


class NoJournalError(JournalUnavailableError):
    code = "no-journal"
    title = "本服务未设置扣款记录，不能消费"
    title_en = "This bridge has no journal of debits: no debit without it"
    remedy = "请联系信息科。"
    remedy_en = "Call your IT department."
