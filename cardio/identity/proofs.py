"""The proofs made with keys and with the PIN, as the caller that talked to the card reports them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cardio.bilingual import Bilingual
from cardio.security.sam.base import SamKind

ChipOutcome = Literal["genuine", "forged", "declined", "not-done"]
"""The outcome of internal authentication. Declined: the card gave no answer, although cards of its generation do."""
CodeOutcome = Literal["right", "wrong", "not-computed-by-issuer", "not-done"]
HolderOutcome = Literal["proved", "failed", "not-done"]


@dataclass(frozen=True, slots=True)
class ChipProof:
    """The result of internal authentication: the chip has the keys that its issuer gave it, or not."""

    outcome: ChipOutcome
    algorithm: str | None = None
    """3DES or SM4."""
    sam: SamKind | None = None
    """The kind of SAM that held the terminal's own keys."""
    test_keys: bool = False
    """True if the keys are the published test keys: any person can make such a card."""
    reason: Bilingual | None = None
    """The reason why it was not done."""
    driver_code: int | None = None

    def __post_init__(self) -> None:
        _has_reason(self.outcome, self.reason)


@dataclass(frozen=True, slots=True)
class CodeProof:
    """The check of the 认证码 at the end of the 卡识别码 against the rest of it."""

    outcome: CodeOutcome
    test_keys: bool = False
    reason: Bilingual | None = None
    driver_code: int | None = None

    def __post_init__(self) -> None:
        _has_reason(self.outcome, self.reason)


@dataclass(frozen=True, slots=True)
class HolderProof:
    """The proof that the bearer of the card knows its PIN."""

    outcome: HolderOutcome
    reason: Bilingual | None = None
    driver_code: int | None = None

    def __post_init__(self) -> None:
        _has_reason(self.outcome, self.reason)


def _has_reason(outcome: str, reason: Bilingual | None) -> None:
    if outcome == "not-done" and (reason is None or not all(reason)):
        raise ValueError("what was not done has a reason, in both languages")
