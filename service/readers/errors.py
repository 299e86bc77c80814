"""The errors of a reader that does not accept a call."""

from __future__ import annotations

from typing import Any

from cardio.errors import CardioError, NotPermittedError, ReaderBusyError, ReaderError


class StoppingError(ReaderError):
    code = "stopping"
    title = "读卡服务正在停止"
    title_en = "The card service is stopping"
    remedy = "请在服务重新启动后再读。"
    remedy_en = "Read again when the service has started again."


class QueueFullError(ReaderBusyError):
    """Too many calls wait at this reader already."""

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
    """Another page or program has reserved the reader for a while."""

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


class SimulatedOnlyError(NotPermittedError):
    code = "simulated-only"
    title = "只能用于模拟读卡器"
    title_en = "For simulated readers only"
    remedy = "单条命令只能发给模拟读卡器中的模拟卡。"
    remedy_en = "Single commands go to software cards in simulated readers only."
