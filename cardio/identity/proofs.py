"""What was proved with keys and with the PIN, as whoever talked to the card reports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cardio.bilingual import Bilingual
from cardio.security.sam.base import SamKind

ChipOutcome = Literal["genuine", "forged", "declined", "not-done"]
"""Declined: the card gave no answer, and cards of its generation do."""
CodeOutcome = Literal["right", "wrong", "not-computed-by-issuer", "not-done"]
HolderOutcome = Literal["proved", "failed", "not-done"]


@dataclass(frozen=True, slots=True)
class ChipProof:
    """Internal authentication: whether the chip holds the keys that its issuer gave it."""

    outcome: ChipOutcome
    algorithm: str | None = None
    """3DES or SM4."""
    sam: SamKind | None = None
    """Where the terminal's own keys were."""
    test_keys: bool = False
    """The keys are the published test keys: anybody can make such a card."""
    reason: Bilingual | None = None
    """Why it was not done."""
    driver_code: int | None = None

    def __post_init__(self) -> None:
        _has_reason(self.outcome, self.reason)


@dataclass(frozen=True, slots=True)
class CodeProof:
    """The 认证码 at the end of the 卡识别码, against the rest of it."""

    outcome: CodeOutcome
    test_keys: bool = False
    reason: Bilingual | None = None
    driver_code: int | None = None

    def __post_init__(self) -> None:
        _has_reason(self.outcome, self.reason)


@dataclass(frozen=True, slots=True)
class HolderProof:
    """Whether who brought the card knows its PIN."""

    outcome: HolderOutcome
    reason: Bilingual | None = None
    driver_code: int | None = None

    def __post_init__(self) -> None:
        _has_reason(self.outcome, self.reason)


def _has_reason(outcome: str, reason: Bilingual | None) -> None:
    if outcome == "not-done" and (reason is None or not all(reason)):
        raise ValueError("what was not done has a reason, in both languages")
