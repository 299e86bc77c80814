"""What goes wrong at the bridge itself, before or beside the card: each with its cause and what to do."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from cardio.errors import CardioError, NotPermittedError, ReaderBusyError, ReaderError
from cardio.models.reading import Problem


class GateError(CardioError):
    """The caller is not let in."""

    code = "not-let-in"


class WrongHostError(GateError):
    code = "wrong-host"
    title = "请求的主机名不是本服务"
    title_en = "The Host of the request is not this service"
    remedy = "请使用启动时显示的地址（http://127.0.0.1:端口）。"
    remedy_en = "Use the address that was shown at the start (http://127.0.0.1:PORT)."
    status = 421


class WrongOriginError(GateError):
    code = "wrong-origin"
    title = "该网页无权使用本服务"
    title_en = "This page may not use the service"
    remedy = "请让该网页申请配对并由操作员确认，或请管理员登记该网页的来源。"
    remedy_en = "Have the page ask for pairing and confirm it, or have the administrator list its origin."
    status = 403


class NoTokenError(GateError):
    code = "no-token"
    title = "缺少访问令牌或令牌不正确"
    title_en = "The access token is missing or wrong"
    remedy = "请从桌面图标“读卡台”打开页面（命令：cardio open）；程序请在请求中带上令牌；已被撤销的网页须重新配对。"
    remedy_en = (
        "Open the page by the icon 'Card Counter' (command: cardio open); a program sends the token; a page that was "
        "revoked pairs again."
    )
    status = 401


class LinkUsedError(GateError):
    """The ticket in a link to one of the bridge's own pages counts no more."""

    code = "link-used"
    title = "此链接已经用过，或已过期"
    title_en = "This link was used before, or its time is over"
    remedy = "请重新点击桌面图标“读卡台”；没有图标请联系信息科（命令：cardio open）。"
    remedy_en = "Click the icon 'Card Counter' again; without one ask your IT department (command: cardio open)."
    status = 401


class BridgeNotStartedError(ReaderError):
    """The bridge was told to start and did not become ready."""

    code = "bridge-not-started"
    title = "读卡服务未能启动"
    title_en = "The card service did not start"
    remedy = "请运行 cardio doctor 查看原因，或联系信息科（日志：journalctl --user -u cardio）。"
    remedy_en = "Run cardio doctor, or ask your IT department (log: journalctl --user -u cardio)."


class PortHeldError(CardioError):
    """Another user's program listens at the bridge's port; it was sent nothing."""

    code = "port-held"
    title = "读卡服务的端口被另一个用户的程序占用"
    title_en = "Another user's program has the port of the card service"
    remedy = "如有另一位用户尚未注销，请其注销后重试；否则请勿继续，联系信息科查明占用端口的程序。"
    remedy_en = (
        "If another user is still logged in, have them log out, then try again. Otherwise do not go on: have your IT "
        "department find out what listens there."
    )
    exit_status = 77


class NoBrowserError(CardioError):
    """A link was made, and no browser could be started to open it."""

    code = "no-browser"
    title = "没有可以启动的浏览器"
    title_en = "No browser could be started"
    remedy = "请将上面的链接粘贴到浏览器的地址栏；链接只能用一次。"
    remedy_en = "Paste the link above into a browser's address bar; it counts once."


class HeadersTooLargeError(GateError):
    code = "headers-too-large"
    title = "请求头过大"
    title_en = "The request's headers are too large"
    remedy = "请减少请求头后重试。"
    remedy_en = "Send fewer or shorter headers."
    status = 431


class BodyTooLargeError(GateError):
    code = "body-too-large"
    title = "请求内容过大"
    title_en = "The request's body is too large"
    remedy = "请求内容不得超过 64 KiB。"
    remedy_en = "Send at most 64 KiB."
    status = 413


class SlowBodyError(GateError):
    code = "body-too-slow"
    title = "请求内容未及时送达"
    title_en = "The request's body did not arrive in time"
    remedy = "请重试。"
    remedy_en = "Send it again."
    status = 408
    retryable = True


class WaitError(GateError):
    """Too much at once: ``retry_after`` is in seconds."""

    code = "wait"
    status = 429
    retryable = True

    def __init__(self, detail: str = "", detail_en: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail, detail_en)
        self.retry_after = retry_after


class TooManyRequestsError(WaitError):
    code = "too-many-requests"
    title = "请求过于频繁"
    title_en = "Too many requests"
    remedy = "请稍候再试；插卡拔卡请用事件流，不要轮询。"
    remedy_en = "Wait a moment; follow the event stream in place of asking again and again."


class TooManySocketsError(WaitError):
    code = "too-many-sockets"
    title = "打开的连接过多"
    title_en = "Too many open streams and sockets"
    remedy = "请关闭不用的页面后重试。"
    remedy_en = "Close pages that are not used, then try again."


class NotFoundError(CardioError):
    code = "not-found"
    title = "没有这个地址"
    title_en = "There is no such address"
    remedy = "请查看 /openapi.json 中的接口。"
    remedy_en = "See the interface in /openapi.json."
    status = 404


class WrongMethodError(NotFoundError):
    code = "wrong-method"
    title = "该地址不支持此方法"
    title_en = "This address does not take this method"
    status = 405


class InternalError(CardioError):
    code = "internal"
    title = "服务内部错误"
    title_en = "The service has failed inside"
    status = 500


class TaskDownError(ReaderError):
    code = "task-down"
    title = "读卡服务的后台任务出错，正在自动恢复"
    title_en = "A background task of the card service has failed and starts again by itself"
    remedy = "请稍候几秒再试；若一直如此，请联系信息科（cardio doctor 可查出原因）。"
    remedy_en = "Wait a few seconds and try again; if it stays so, call your IT department (cardio doctor says more)."
    status = 503


class StoppingError(ReaderError):
    code = "stopping"
    title = "读卡服务正在停止"
    title_en = "The card service is stopping"
    remedy = "请在服务重新启动后再读。"
    remedy_en = "Read again when the service has started again."


class QueueFullError(ReaderBusyError):
    """Too many wait at one reader already."""

    code = "queue-full"
    title = "等待该读卡器的请求过多"
    title_en = "Too many are waiting at this reader"
    remedy = "请稍候再读。"
    remedy_en = "Wait a moment, then read again."
    status = 429
    retry_after = 2


class HeldError(ReaderBusyError):
    """Another caller is between two steps of a driver function with the card in this reader."""

    code = "reader-held"
    title = "读卡器正被另一个程序的加密机步骤占用"
    title_en = "Another caller is between two HSM steps with this card"
    remedy = "请等待其完成后重试。"
    remedy_en = "Wait until it has finished, then try again."


class LeasedError(ReaderBusyError):
    """Another page or program has taken the reader for itself for a while."""

    code = "reader-leased"
    title = "读卡器正由另一个网页或程序使用"
    title_en = "Another page or program is using this reader"
    remedy = "请等待其用完，或请求对方让出（take_over）。"
    remedy_en = "Wait until it is done, or ask for a take-over (take_over)."

    def __init__(self, owner: str, purpose: str, seconds_left: int) -> None:
        owner_zh = "本机程序" if owner == "local" else owner
        super().__init__(
            f"{owner_zh} 正在使用读卡器{f'（{purpose}）' if purpose else ''}，还有 {seconds_left} 秒",
            f"{owner} has this reader{f' ({purpose})' if purpose else ''} for another {seconds_left} s",
        )
        self.members: dict[str, Any] = {
            "lease": {"owner": owner, "purpose": purpose, "seconds_left": seconds_left},
        }
        self.retry_after = max(1, seconds_left)


class LeaseLostError(CardioError):
    code = "lease-lost"
    title = "读卡器的占用已结束"
    title_en = "The lease of this reader has ended"
    remedy = "请重新申请占用。"
    remedy_en = "Ask for a new lease."
    status = 409
    retryable = True


class PairingGoneError(CardioError):
    code = "no-such-pairing"
    title = "没有这个配对请求，或已过期"
    title_en = "There is no such pairing request, or its time is over"
    remedy = "请让网页重新申请配对。"
    remedy_en = "Have the page ask for pairing again."
    status = 404


class NoSuchGrantError(CardioError):
    code = "no-such-grant"
    title = "没有这个授权"
    title_en = "There is no such grant"
    remedy = "请查看授权列表（cardio pair list）。"
    remedy_en = "See the list of grants (cardio pair list)."
    status = 404


class DialectPortTakenError(CardioError):
    """Another program listens where a dialect should; the rest of the bridge runs."""

    code = "dialect-port-taken"
    title = "兼容接口的端口被其他程序占用"
    title_en = "Another program has the port of a dialect"
    remedy = (
        "多为厂商的读卡服务：请停止并停用它（Windows 在“服务”中，Linux 用 systemctl disable --now）。"
        "端口空出后几秒内自动启用，无需重启。"
    )
    remedy_en = (
        "It is mostly a vendor's card service: stop and disable it (Windows: Services; Linux: systemctl disable "
        "--now). Some seconds after the port is free the dialect listens there by itself, without a restart."
    )
    status = 503
    exit_status = 69
    retryable = True


class AnswerTooLateError(ReaderError):
    """A caller of a dialect waits only so long, and takes a late answer for the answer to its next call. Of what was
    begun that spends or changes, another error tells."""

    code = "answer-too-late"
    title = "未能在调用方等待的时间内完成"
    title_en = "It could not be done in the time that the caller waits"
    remedy = "请重新插卡再读。卡片没有被写入，也没有收到密码。"
    remedy_en = "Insert the card again and read it. Nothing was written to it, and it was sent no PIN."
    status = 504
    retryable = True


class SimulatedOnlyError(NotPermittedError):
    code = "simulated-only"
    title = "只能用于模拟读卡器"
    title_en = "For simulated readers only"
    remedy = "单条命令只能发给模拟读卡器中的软件卡。"
    remedy_en = "Single commands go to software cards in simulated readers only."


def problem_document(error: CardioError, request_id: str | None) -> dict[str, Any]:
    """An error as RFC 9457 has it, with what this kind of error tells besides."""
    document = Problem.of(error, request_id).document()
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        document["retry_after"] = retry_after
    return document | getattr(error, "members", {})


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


class OtherOrderError(CardioError):
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


class JournalStepError(CardioError):
    code = "debit-step"
    title = "该笔消费现在不能这样处理"
    title_en = "The debit is past that, or not there yet"
    remedy = "请查询该笔消费的状态。"
    remedy_en = "See what state it is in."
    status = 409
    driver_code = -0x6985


class JournalUnavailableError(CardioError):
    code = "journal-unavailable"
    title = "消费日志不可用，不能消费"
    title_en = "The journal of debits cannot be used: no debit without it"
    remedy = "请检查磁盘空间和文件权限，并确认没有另一个 cardio 在使用同一日志。"
    remedy_en = "Check disk space and permissions, and that no other cardio has the same journal."
    status = 503
    exit_status = 78
    driver_code = -13
    in_use = False
    """True if another process has it."""
    gone = False
    """True if the file is not where it was."""


class JournalKeyLostError(JournalUnavailableError):
    code = "journal-key-lost"
    title = "消费日志的密钥文件缺失或不符，不能消费"
    title_en = "The key file of the journal is missing or another one's: no debit without it"
    remedy = "请将 debits.sqlite 与 debits.key 一起恢复；切勿只恢复其中一个。"
    remedy_en = "Restore debits.sqlite and debits.key together, never one without the other."


class JournalRestoredError(JournalUnavailableError):
    """The journal is a copy, or older than what was done with it: debits may have been forgotten."""

    code = "journal-restored"
    title = "消费日志是恢复或复制来的，须由人确认后才能消费"
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
    """A debit's row is not as the journal has left it, so nothing it says is believed."""

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
    """The key names a debit that is over and in an archive; by it no card is ever told to debit again."""

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


class AuditUnavailableError(CardioError):
    code = "audit-unavailable"
    title = "审计日志不可用"
    title_en = "The audit log cannot be used"
    remedy = "请检查磁盘空间和文件权限；读卡照常，但这段时间没有审计记录。"
    remedy_en = "Check disk space and permissions; cards are read as before, but this time is not in the log."
    status = 503
    exit_status = 78
    driver_code = -13


class NoJournalError(JournalUnavailableError):
    code = "no-journal"
    title = "本服务未设置消费日志，不能消费"
    title_en = "This bridge has no journal of debits: no debit without it"
    remedy = "请联系信息科。"
    remedy_en = "Call your IT department."


def problem_response(error: CardioError, request_id: str | None) -> Response:
    """The HTTP answer for an error."""
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, NoTokenError) else {}
    document = problem_document(error, request_id)
    if "retry_after" in document:
        headers["Retry-After"] = str(document["retry_after"])
    return JSONResponse(document, status_code=error.status, media_type="application/problem+json", headers=headers)
