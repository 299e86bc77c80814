"""The finding of a check of ``cardio doctor``; other packages add checks by the entry points
``cardio.doctor_checks``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cardio.cli.command import DONE
from cardio.errors import CardioError

_GROUP = "cardio.doctor_checks"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    check: str
    state: str
    """``ok``, ``note`` or ``bad``."""
    found: str
    found_en: str
    remedy: str = ""
    remedy_en: str = ""
    exit_status: int = DONE

    @classmethod
    def of_error(cls, check: str, error: CardioError) -> Finding:
        return cls(
            check, "bad", error.detail, error.detail_en, error.remedy, error.remedy_en, exit_status=error.exit_status
        )


def plugin_findings() -> Iterator[Finding]:
    """Yield the findings of other packages' checks."""
    from importlib.metadata import entry_points

    for entry_point in sorted(entry_points(group=_GROUP), key=lambda point: point.name):
        check: Callable[[], Iterable[Finding]] = entry_point.load()
        yield from check()
