"""What the checks judge by, and what one of them finds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TypeVar

from cardio.bilingual import Bilingual
from cardio.filesystem.card_file_system import HOLDER_FILE, ISSUER_FILE
from cardio.identity.loss_list import LossList
from cardio.identity.model import Outcome
from cardio.identity.policy import Policy
from cardio.identity.proofs import ChipProof, CodeProof, HolderProof
from cardio.models.reading import CardReading, Holder, Unread

_CHINA = timezone(timedelta(hours=8))
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class FactFinding:
    """What a check finds: its outcome, and what was found or why it was not done."""

    outcome: Outcome
    words: Bilingual
    driver_code: int | None = None


def passed(zh: str, en: str) -> FactFinding:
    return FactFinding(Outcome.PASSED, Bilingual(zh, en))


def failed(zh: str, en: str, driver_code: int | None = None) -> FactFinding:
    return FactFinding(Outcome.FAILED, Bilingual(zh, en), driver_code)


def not_done(zh: str, en: str, driver_code: int | None = None) -> FactFinding:
    return FactFinding(Outcome.NOT_DONE, Bilingual(zh, en), driver_code)


class NotDoneError(Exception):
    """A check cannot be done: something that it needs is not there. It ends the check, never the verdict."""

    def __init__(self, finding: FactFinding) -> None:
        super().__init__(finding.words.en)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a verdict rests on."""

    reading: CardReading
    chip: ChipProof
    code: CodeProof
    holder_proof: HolderProof
    policy: Policy
    loss_list: LossList | None
    now: datetime

    @property
    def today(self) -> date:
        """The day in China, whose days the dates on a card are."""
        return self.now.astimezone(_CHINA).date()

    @property
    def holder(self) -> Holder:
        """Raises: NotDoneError: the card gave nothing about its holder."""
        return self._need(self.reading.holder, HOLDER_FILE, None)

    def of_card(self, value: Value | None, item: str) -> Value:
        """A value from the issuer's file.

        Raises:
            NotDoneError: it was not read, is not on the card, or the card itself doubts it.
        """
        return self._need(value, ISSUER_FILE, item)

    def of_holder(self, value: Value | None, item: str) -> Value:
        """A value from the holder's file; raises like `of_card`."""
        return self._need(value, HOLDER_FILE, item)

    def warned(self, code: str, item: str) -> bool:
        """Return whether the reading warns of an item."""
        return any(warning.code == code and warning.item == item for warning in self.reading.warnings)

    def refuse_corrupt(self, item: str) -> None:
        """Raises: NotDoneError: the card itself doubts what it gave for an item."""
        if self.warned("corrupt-data", item):
            raise NotDoneError(not_done("卡片提示该数据可能有误", "the card says that this value may be corrupt"))

    def unread(self, path: str, item: str | None) -> Unread | None:
        """Return why an item, or else its whole file, was not read."""
        listed = [one for one in self.reading.unread if one.file == path and one.item in (item, None)]
        return max(listed, key=lambda one: one.item is not None, default=None)

    def _need(self, value: Value | None, path: str, item: str | None) -> Value:
        if value is None:
            raise NotDoneError(self._why_missing(path, item))
        if item is not None:
            self.refuse_corrupt(item)
        return value

    def _why_missing(self, path: str, item: str | None) -> FactFinding:
        unread = self.unread(path, item)
        if unread is not None:
            return of_unread(unread)
        if item is not None and self.warned("partial-date", item):
            return not_done("卡内日期不完整", "the card holds only a part of this date")
        return not_done(f"{path} 中没有内容", f"nothing is written there in {path}")


def of_unread(unread: Unread) -> FactFinding:
    """Return why something was not read, and what to do about it, without a value of the holder's."""
    zh, en = unread.detail, unread.detail_en
    if unread.reason == "undecodable":
        # The detail quotes what stands on the card.
        zh, en = "内容无法解读", "it cannot be decoded"
    return not_done(
        f"{unread.file}：{zh}。{unread.remedy}", f"{unread.file}: {en}. {unread.remedy_en}", unread.driver_code
    )
