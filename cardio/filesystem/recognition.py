"""The meaning of a card's refusal to select its social security environment, in words for the counter.

The status word alone is not enough. 6A81 means a blocked card if the ATR is one of ours (LD/T 32.5), and "function not
supported" (ISO/IEC 7816-4) if it is a storage card's.
"""

from __future__ import annotations

from cardio.apdu.atr import Atr, is_made_by_reader
from cardio.apdu.status_word import StatusWord, describe
from cardio.errors import (
    CardBlockedError,
    CardError,
    CardGarbledError,
    CardRefusedError,
    NotASocialSecurityCardError,
)
from cardio.filesystem.card_kinds import CardKind, kind_of_atr, kind_of_name

_BLOCKED = frozenset(
    {
        StatusWord.SELECTED_FILE_INVALIDATED,
        StatusWord.FUNCTION_NOT_SUPPORTED,
        StatusWord.AUTHENTICATION_BLOCKED,
        0x9303,  # application permanently blocked
    }
)
_NOT_HERE = frozenset(
    {
        StatusWord.FILE_NOT_FOUND,
        StatusWord.INCORRECT_P1_P2,
        StatusWord.WRONG_P1_P2,
        StatusWord.WRONG_LENGTH,
        StatusWord.INS_NOT_SUPPORTED,
        StatusWord.CLA_NOT_SUPPORTED,
        StatusWord.KEY_NOT_FOUND,
        0x6881,  # logical channel not supported
        0x6882,  # secure messaging not supported
        0x6999,  # "applet selection failed" of Java cards
        0x6A80,  # the card cannot have such a name
        0x6A87,  # Lc inconsistent with P1 P2
    }
)
_HISTORICAL_BYTES = 13
"""The number of historical bytes of a social security card; they are its 卡复位信息."""


def environment_refused(status_word: int, atr: bytes) -> CardError:
    """Return the error for a card's refusal to select the environment.

    Args:
        status_word: the card's answer to SELECT.
        atr: the card's ATR; empty where it is not known.
    """
    kind = kind_of_atr(atr)
    if kind is not None and not kind.ours:
        return another_kind(kind, status_word)
    if status_word in _BLOCKED:
        if status_word == StatusWord.FUNCTION_NOT_SUPPORTED and not _may_be_ours(atr):
            return not_ours(status_word, atr)
        return CardBlockedError(status_word=status_word)
    if status_word in _NOT_HERE:
        return not_ours(status_word, atr)
    meaning = describe(status_word)
    return CardRefusedError(
        f"社会保障应用无法选择：{status_word:04X} {meaning.zh}",
        f"the social security application cannot be selected: {status_word:04X} {meaning.en}",
        status_word=status_word,
    )


def may_be_elsewhere(status_word: int, atr: bytes) -> bool:
    """Return True if a card that refuses the environment by its name may still have it, so that other
    ways are tried.
    """
    kind = kind_of_atr(atr)
    if kind is not None and not kind.ours and is_made_by_reader(atr):
        return False
    return status_word in _NOT_HERE


def not_ours(status_word: int, atr: bytes) -> NotASocialSecurityCardError:
    """Return the error for a card that has no social security environment and whose ATR names no kind."""
    meaning = describe(status_word)
    error = NotASocialSecurityCardError(
        f"卡内没有社会保障应用（{status_word:04X} {meaning.zh}）",
        f"the card has no social security application ({status_word:04X} {meaning.en})",
        status_word=status_word,
    )
    if is_made_by_reader(atr):
        error.remedy = "读到的是感应卡：请拿开其他卡片，将社会保障卡插入读卡器的卡槽。"
        error.remedy_en = (
            "That was a contactless card: take it away, and insert the social security card into the slot."
        )
    return error


def another_kind(kind: CardKind, status_word: int | None = None) -> NotASocialSecurityCardError:
    """Return the error for a card that is known to be of another kind."""
    why, why_en = "", ""
    if status_word is not None:
        meaning = describe(status_word)
        why, why_en = f"（{status_word:04X} {meaning.zh}）", f" ({status_word:04X} {meaning.en})"
    error = NotASocialSecurityCardError(
        f"读卡器上是{kind.title}，不是社会保障卡{why}",
        f"this is {kind.title_en}, not a social security card{why_en}",
        status_word=status_word,
    )
    error.remedy = f"请取走{kind.title}，换用社会保障卡。"
    error.remedy_en = f"Take {kind.title_en} away and use the social security card."
    return error


def another_name(name: bytes, atr: bytes) -> NotASocialSecurityCardError:
    """Return the error for a card that names its selected application differently from the requested name."""
    kind = kind_of_name(name) or kind_of_atr(atr)
    if kind is not None and not kind.ours:
        return another_kind(kind)
    return NotASocialSecurityCardError(
        "卡片选择的是别的应用，不是社会保障应用", "what the card has selected is another application"
    )


def without_a_record(atr: bytes) -> NotASocialSecurityCardError:
    """Return the error for a card that accepts every selection, and has no record of a social security card."""
    kind = kind_of_atr(atr)
    if kind is not None and not kind.ours:
        return another_kind(kind)
    return NotASocialSecurityCardError(
        "卡片接受了选择，但发卡机构文件和持卡人文件中没有一条记录：不是社会保障卡，或是未写入数据的空白卡",
        "the card lets the application be selected and gives no record of EF05 or EF06: another card, or a blank one",
    )


def _may_be_ours(atr: bytes) -> bool:
    """Return True if the ATR is unknown or may be a social security card's: 13 historical bytes, read over its
    contacts.
    """
    if is_made_by_reader(atr):
        return False
    try:
        return not atr or len(Atr.from_bytes(atr).historical_bytes) == _HISTORICAL_BYTES
    except CardGarbledError:
        return True
