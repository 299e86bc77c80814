"""The report of a conformance check: the checks by chapter, and the outcome of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum

from cardio.models.base import FrozenModel


class RuleOutcome(StrEnum):
    PASS = "pass"  # noqa: S105 - an outcome, no password
    FAIL = "fail"
    NOT_TESTABLE = "not-testable"


class Chapter(StrEnum):
    """The chapters of a report, in order."""

    STRUCTURE = "structure"
    PRESENCE = "presence"
    RECORDS = "records"
    FORMATS = "formats"
    CODES = "codes"
    CHECK_DIGITS = "check-digits"
    ACCESS = "access"
    DATES = "dates"
    CROSS_FILE = "cross-file"


CHAPTER_TITLES = {
    Chapter.STRUCTURE: ("文件结构", "The structure as submitted"),
    Chapter.PRESENCE: ("应用与文件", "Applications and files"),
    Chapter.RECORDS: ("记录顺序与长度", "Order and length of records"),
    Chapter.FORMATS: ("格式与填充", "Formats and padding"),
    Chapter.CODES: ("代码值", "Code values"),
    Chapter.CHECK_DIGITS: ("校验位", "Check digits"),
    Chapter.ACCESS: ("读写控制", "Read and write controls"),
    Chapter.DATES: ("日期", "Dates"),
    Chapter.CROSS_FILE: ("文件间一致性", "Rules across files"),
}


class ConformanceCheck(FrozenModel):
    """One check and its outcome."""

    chapter: Chapter
    place: str
    """Application, file or item: ``DF03/EF07/pension_type``."""
    rule: str
    rule_en: str
    outcome: RuleOutcome
    detail: str = ""
    """The reason why it fails, or cannot be tested. It never has a value of the card, because reports are passed on."""
    detail_en: str = ""
    source: str | None = None


class ConformanceReport(FrozenModel):
    """The report on a card against its layout, or on a layout by itself."""

    subject: str
    layout: str
    generation: int
    checks: tuple[ConformanceCheck, ...]
    passed: int
    failed: int
    not_testable: int

    @classmethod
    def of(cls, subject: str, layout: str, generation: int, checks: Iterable[ConformanceCheck]) -> ConformanceReport:
        """Return a report with its checks counted."""
        listed = tuple(checks)
        counts = Counter(check.outcome for check in listed)
        return cls(
            subject=subject,
            layout=layout,
            generation=generation,
            checks=listed,
            passed=counts[RuleOutcome.PASS],
            failed=counts[RuleOutcome.FAIL],
            not_testable=counts[RuleOutcome.NOT_TESTABLE],
        )

    def chapter(self, chapter: Chapter) -> Sequence[ConformanceCheck]:
        return [check for check in self.checks if check.chapter is chapter]
