"""Return codes of the national driver interface, with words for people (return_codes.toml).

All larger numbers are a card's status word with a minus: −27010 is 6982.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from cardio.apdu.status_word import describe
from cardio.errors import CardError, CardioError, NotPermittedError, UsageError
from cardio.models.base import FrozenModel
from cardio.security.errors import PinEntryError

NOT_SUPPORTED, BAD_ARGUMENT, READER, GARBLED = -13, -14, -11, -15
_LEAST_STATUS_WORD = 0x6000
_KEY_NOT_FOUND = -0x6A88


class DriverCode(FrozenModel):
    """One return code: its meaning, its cause, and the clerk's next action."""

    code: int
    title: str
    title_en: str
    cause: str
    cause_en: str
    remedy: str
    remedy_en: str


@cache
def driver_codes() -> dict[int, DriverCode]:
    """Return all codes of the interface's table, status words included."""
    document = tomllib.loads((files("cardio.driver") / "return_codes.toml").read_text(encoding="utf-8"))
    listed = [DriverCode.model_validate(one) for one in document["codes"]]
    return {one.code: one for one in listed} | {-word: _of_status_word(word) for word in document["status_words"]}


def explain(code: int) -> DriverCode:
    """Return the words for any code."""
    known = driver_codes().get(code)
    if known is not None:
        return known
    if _LEAST_STATUS_WORD <= -code <= 0xFFFF:
        return _of_status_word(-code)
    return DriverCode(
        code=code,
        title=f"未知返回码 {code}",
        title_en=f"unknown return code {code}",
        cause="全国接口没有此返回码。",
        cause_en="The national interface has no such code.",
        remedy="请联系信息科。",
        remedy_en="Call your IT department.",
    )


def code_of(error: CardioError) -> int:
    """Return the return code of any error for a caller of the national interface."""
    if error.driver_code is not None:
        return error.driver_code
    if error.status_word is not None and error.status_word >= _LEAST_STATUS_WORD:
        return -error.status_word
    if isinstance(error, UsageError):
        return BAD_ARGUMENT
    if isinstance(error, (NotPermittedError, PinEntryError)):
        return NOT_SUPPORTED
    return GARBLED if isinstance(error, CardError) else READER


def _of_status_word(word: int) -> DriverCode:
    meaning = describe(word)
    tries = 0x63C0 <= word <= 0x63CF
    to_hsm = -word == _KEY_NOT_FOUND
    return DriverCode(
        code=-word,
        title="外部认证失败" if tries else meaning.zh,
        title_en="external authentication failed" if tries else meaning.en,
        cause=f"卡片返回状态字 {word:04X}：{meaning.zh}。",
        cause_en=f"The card answered with status word {word:04X}: {meaning.en}.",
        remedy="系统会改用加密机；未配置加密机时请联系信息科。" if to_hsm else _REMEDY,
        remedy_en="The HSM is used instead; where none is configured, call your IT department."
        if to_hsm
        else _REMEDY_EN,
    )


_REMEDY = "请重新插卡再试；若仍失败，请持卡人携卡到社保卡服务网点检测。"
_REMEDY_EN = "Insert the card again and retry; if it still fails, have the issuing authority check the card."
