"""The facts that the checks judge by, and the finding of a check."""

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
    """The finding of a check: its outcome, and what was found or why it was not done."""

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
    """An error for a check that cannot be done because a fact is missing. It ends the check, never the verdict."""

    def __init__(self, finding: FactFinding) -> None:
        super().__init__(finding.words.en)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts of a verdict."""

    reading: CardReading
    chip: ChipProof
    code: CodeProof
    holder_proof: HolderProof
    policy: Policy
    loss_list: LossList | None
    now: datetime

    @property
    def today(self) -> date:
        """Return the day in China, because the dates on a card are days in China."""
        return self.now.astimezone(_CHINA).date()

    @property
    def holder(self) -> Holder:
        """Return the holder.

        Raises:
            NotDoneError: the card gave nothing about its holder.
        """
        return self._need(self.reading.holder, HOLDER_FILE, None)

    def of_card(self, value: Value | None, item: str) -> Value:
        """Return a value from the issuer's file.

        Raises:
            NotDoneError: it was not read, is not on the card, or the card says that it may be corrupt.
        """
        return self._need(value, ISSUER_FILE, item)

    def of_holder(self, value: Value | None, item: str) -> Value:
        """Return a value from the holder's file.

        Raises:
            NotDoneError: as for `of_card`.
        """
        return self._need(value, HOLDER_FILE, item)

    def has_warning(self, code: str, item: str) -> bool:
        """Return True if the reading has a warning for an item."""
        return any(warning.code == code and warning.item == item for warning in self.reading.warnings)

    def refuse_corrupt(self, item: str) -> None:
        """Check that the card itself does not doubt an item.

        Raises:
            NotDoneError: the card says that the item may be corrupt.
        """
        if self.has_warning("corrupt-data", item):
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
        if item is not None and self.has_warning("partial-date", item):
            return not_done("卡内日期不完整", "the card holds only a part of this date")
        return not_done(f"卡内没有该内容（{path}）", f"the card has no such value ({path})")


def of_unread(unread: Unread) -> FactFinding:
    """Return why something was not read, and what to do about it, without any value of the holder's."""
    zh, en = unread.detail, unread.detail_en
    if unread.reason == "undecodable":
        # The detail quotes the card's data.
        zh, en = "内容无法解读", "it cannot be decoded"
    zh, en = unread.with_subject(zh, en)
    return not_done(f"{zh}。{unread.remedy}", f"{en}. {unread.remedy_en}", unread.driver_code)
