"""Where checks are written down."""

from __future__ import annotations

from dataclasses import dataclass, field

from cardio.conformance_model import Chapter, Check, Outcome


@dataclass(frozen=True, slots=True)
class Words:
    """Something said in Chinese and English."""

    zh: str
    en: str


@dataclass(slots=True)
class Book:
    """The checks so far."""

    checks: list[Check] = field(default_factory=list)

    def note(
        self,
        chapter: Chapter,
        place: str,
        rule: Words,
        outcome: Outcome,
        detail: Words | None = None,
        source: str | None = None,
    ) -> None:
        self.checks.append(
            Check(
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

    def judge(self, chapter: Chapter, place: str, rule: Words, fault: Words | None, source: str | None = None) -> None:
        """A check that passed where there is no fault."""
        self.note(chapter, place, rule, Outcome.FAIL if fault else Outcome.PASS, fault, source)

    def untestable(self, chapter: Chapter, place: str, rule: Words, why: Words, source: str | None = None) -> None:
        self.note(chapter, place, rule, Outcome.NOT_TESTABLE, why, source)
