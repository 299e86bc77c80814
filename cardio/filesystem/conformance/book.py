"""The record of all checks."""

from __future__ import annotations

from dataclasses import dataclass, field

from cardio.bilingual import Bilingual
from cardio.models.conformance import Chapter, ConformanceCheck, RuleOutcome


@dataclass(slots=True)
class Book:
    """The checks so far."""

    checks: list[ConformanceCheck] = field(default_factory=list)

    def note(
        self,
        chapter: Chapter,
        place: str,
        rule: Bilingual,
        outcome: RuleOutcome,
        detail: Bilingual | None = None,
        source: str | None = None,
    ) -> None:
        self.checks.append(
            ConformanceCheck(
                chapter=chapter,
                place=place,
                rule=rule.zh,
                rule_en=rule.en,
                outcome=outcome,
                detail=detail.zh if detail else "",
                detail_en=detail.en if detail else "",
                source=source,
            )
        )

    def record_check(
        self, chapter: Chapter, place: str, rule: Bilingual, fault: Bilingual | None, source: str | None = None
    ) -> None:
        """Note a check that has passed if there is no fault, and failed otherwise."""
        self.note(chapter, place, rule, RuleOutcome.FAIL if fault else RuleOutcome.PASS, fault, source)

    def untestable(
        self, chapter: Chapter, place: str, rule: Bilingual, why: Bilingual, source: str | None = None
    ) -> None:
        self.note(chapter, place, rule, RuleOutcome.NOT_TESTABLE, why, source)
