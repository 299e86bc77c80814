"""The errors between the bridge and callers of its dialects."""

from __future__ import annotations

from cardio.errors import CardioError, ReaderError


class DialectPortTakenError(CardioError):
    """Another program listens at the port of a dialect; the rest of the bridge runs."""

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
    """The caller of a dialect has a time limit, and takes a late answer for the answer to its next call.

    A call that has begun to spend or change something gets another error.
    """

    code = "answer-too-late"
    title = "未能在调用方等待的时间内完成"
    title_en = "It could not be done in the time that the caller waits"
    remedy = "请重新插卡再读。卡片没有被写入，也没有收到密码。"
    remedy_en = "Insert the card again and read it. Nothing was written to it, and it was sent no PIN."
    status = 504
    retryable = True
