"""The errors of the bridge itself, before or beside the card, each with its cause and remedy."""

from __future__ import annotations

from cardio.errors import CardioError, ReaderError


class GateError(CardioError):
    """The caller is not admitted."""

    code = "not-let-in"


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


class RetryLaterError(GateError):
    """The caller has sent too many requests at once; ``retry_after`` is in seconds."""

    code = "wait"
    status = 429
    retryable = True

    def __init__(self, detail: str = "", detail_en: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail, detail_en)
        self.retry_after = retry_after


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
    remedy = "请稍候几秒再试；若持续出现，请联系信息科（cardio doctor 可查出原因）。"
    remedy_en = "Wait a few seconds and try again; if it stays so, call your IT department (cardio doctor says more)."
    status = 503


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
