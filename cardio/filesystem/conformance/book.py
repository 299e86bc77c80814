"""Where checks are written down."""

from __future__ import annotations

from dataclasses import dataclass, field

from cardio.apdu.status_word import Meaning
from cardio.models.conformance import Chapter, Check, Outcome


@dataclass(slots=True)
class Book:
    """The checks so far."""

    checks: list[Check] = field(default_factory=list)

    def note(
        self,
        chapter: Chapter,
        place: str,
        rule: Meaning,
        outcome: Outcome,
        detail: Meaning | None = None,
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

    def judge(
        self, chapter: Chapter, place: str, rule: Meaning, fault: Meaning | None, source: str | None = None
    ) -> None:
        """A check that passed where there is no fault."""
        self.note(chapter, place, rule, Outcome.FAIL if fault else Outcome.PASS, fault, source)

    def untestable(self, chapter: Chapter, place: str, rule: Meaning, why: Meaning, source: str | None = None) -> None:
        self.note(chapter, place, rule, Outcome.NOT_TESTABLE, why, source)
