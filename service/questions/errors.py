"""The errors of questions to the clerk, each with its cause and remedy."""

from __future__ import annotations

from typing import Self

from cardio.errors import CardioError
from cardio.security.errors import LastTryError, NoPinPadError, PinEntryError


class QuestionGoneError(CardioError):
    code = "question-gone"
    title = "该问题已失效或已有答复"
    title_en = "The question is not open any more"
    remedy = "无需处理；需要时请在业务系统中重新操作。"
    remedy_en = "Nothing is to be done; where it is still wanted, begin again in the calling program."
    status = 404


class ConsentDeclinedError(PinEntryError):
    code = "last-try-declined"
    title = "未同意使用密码的最后一次机会，未发送给卡片"
    title_en = "The last try of the PIN was not consented to: nothing was sent"
    remedy = "请持卡人想好密码后重新操作，或凭有效证件办理密码重置。"
    remedy_en = "Try again when the holder is sure, or have the PIN reset with the holder's identity document."
    status = 409
    driver_code = -31


class ConsentTimeoutError(PinEntryError):
    code = "last-try-unanswered"
    title = "密码只剩最后一次机会，读卡台尚未确认，未发送给卡片"
    title_en = "Only the last try of the PIN is left, and the counter has not confirmed it yet: nothing was sent"
    remedy = "请在读卡台页面上确认，然后在一分钟内重试。"
    remedy_en = "Confirm at the counter's page, then try again within a minute."
    status = 408
    retryable = True
    driver_code = -32

    @classmethod
    def with_page(cls, page: str) -> Self:
        """Return the error for a caller whose clerk can go to this page."""
        error = cls()
        error.remedy = f"请在读卡台页面 {page} 上确认，然后在一分钟内重试。"
        error.remedy_en = f"Confirm at the counter's page {page}, then try again within a minute."
        return error


def last_try_without_clerk(page: str) -> LastTryError:
    """Return the error for the last try of a PIN when no page is open where a clerk could consent."""
    error = LastTryError("密码只剩最后一次机会，未发送给卡片", "only the last try of the PIN is left: nothing was sent")
    error.remedy = f"请打开读卡台页面 {page} 并在其上确认，然后在一分钟内重试。"
    error.remedy_en = f"Open the counter's page {page} and confirm there, then try again within a minute."
    return error


def no_place_for_pin(page: str) -> NoPinPadError:
    """Return the error for a missing PIN pad when no page is open where the PIN could be entered."""
    error = NoPinPadError("没有可录入密码的键盘或页面", "there is no key pad and no page to enter the PIN on")
    error.remedy = f"请打开读卡台页面 {page}，然后重试：密码在该页面上输入。"
    error.remedy_en = f"Open the counter's page {page}, then try again: the PIN is entered there."
    return error
