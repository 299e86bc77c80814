"""The social security environment: whether it is there, and which algorithm it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cardio.apdu.channel import Plan
from cardio.apdu.commands import select_by_name
from cardio.apdu.fci import Fci
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import Meaning, StatusWord, describe
from cardio.errors import CardBlockedError, CardGarbledError, CardRefusedError, NotASocialSecurityCardError
from cardio.filesystem.layout import Application
from cardio.filesystem.manners import Algorithm

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
        0x6999,  # "applet selection failed" of Java cards
    }
)


@dataclass(slots=True)
class Environment:
    """Selecting the social security environment (SSSE), and what its FCI says about the algorithm."""

    meanings: Mapping[str, Algorithm]
    t1: bool
    fetched: bool = False
    named: Algorithm | None = None
    """The algorithm; None where the card names none."""
    problem: Meaning | None = None

    def select(self, environment: Application, *, fetch: bool) -> Plan[None]:
        """Makes the social security environment current.

        Raises:
            NotASocialSecurityCardError, CardBlockedError, CardRefusedError: it is not there, or not to be had.
        """
        response = yield select_by_name(environment.name or b"", want_fci=fetch or self.t1)
        if response.status_word in _BLOCKED:
            raise CardBlockedError(status_word=response.status_word)
        if response.status_word in _NOT_HERE:
            raise _not_this_card(response)
        if response.sw1 not in (0x90, 0x61):
            meaning = describe(response.status_word)
            raise CardRefusedError(
                f"社会保障应用无法选择：{response.status_word:04X} {meaning.zh}",
                f"the social security application cannot be selected: {response.status_word:04X} {meaning.en}",
                status_word=response.status_word,
            )
        if response.data or fetch:
            self._take(response.data)

    def _take(self, fci: bytes) -> None:
        self.fetched = True
        if not fci:
            return
        try:
            marker = Fci.from_bytes(fci).algorithm_marker
        except CardGarbledError:
            self.problem = Meaning("应用选择信息无法解析，算法未知", "the answer to SELECT cannot be parsed")
            return
        if marker is not None:
            self.named = self.meanings.get(f"{marker:02X}")
            if self.named is None:
                self.problem = Meaning(f"算法标识 {marker:02X} 未知", f"algorithm marker {marker:02X} is unknown")


def _not_this_card(response: ResponseApdu) -> NotASocialSecurityCardError:
    meaning = describe(response.status_word)
    return NotASocialSecurityCardError(
        f"卡内没有社会保障应用（{response.status_word:04X} {meaning.zh}）",
        f"the card has no social security application ({response.status_word:04X} {meaning.en})",
        status_word=response.status_word,
    )
