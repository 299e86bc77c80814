"""The result of the check that a card is good and its bearer is its holder: each check by itself, and one verdict."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from cardio.models.base import FrozenModel, Region


class CheckName(StrEnum):
    """The checks, in the order in which they are shown."""

    CHIP_GENUINE = "chip-genuine"
    IDENTIFICATION_CODE = "identification-code"
    IDENTIFICATION_CODE_REGION = "identification-code-region"
    CARD_NUMBER = "card-number"
    CARD_DATES = "card-dates"
    LOSS_LIST = "loss-list"
    HOLDER_PIN = "holder-pin"
    NAME = "name"
    ID_NUMBER = "id-number"
    BIRTH_DATE = "birth-date"
    SEX = "sex"
    REGION_OF_ID = "region-of-id"


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_DONE = "not-done"
    """The check shows neither; the detail says why."""


class Weight(StrEnum):
    """The weight of a check in the site's policy."""

    REQUIRED = "required"
    """The check must pass for ``verified``; if it fails, the card is refused."""
    OPTIONAL = "optional"
    """The check may be left undone; if it fails, there is no ``verified``."""
    IGNORED = "ignored"
    """The check is left out."""


class Decision(StrEnum):
    VERIFIED = "verified"
    NOT_VERIFIED = "not-verified"
    REFUSED = "refused"


class CheckResult(FrozenModel):
    """One check and its result."""

    check: CheckName
    title: str
    title_en: str
    outcome: Outcome
    weight: Weight
    detail: str = Field(description="what was found, or why the check was not done; never the holder's data")
    detail_en: str
    driver_code: int | None = None


class VerifiedCard(FrozenModel):
    """The card of the verdict. The reading says who its holder is."""

    identification_code: str | None
    card_number: str | None
    region: Region | None


class ChipUsed(FrozenModel):
    """The means of the chip's proof."""

    algorithm: str | None = Field(description="3DES or SM4; null when the proof was not made")
    sam: str | None = Field(description="soft, psam or hsm; null when there was none")
    test_keys: bool = Field(description="published test keys, which prove nothing about a real card")


class PolicyUsed(FrozenModel):
    name: str
    origin: str = Field(description="the file that it comes from")


class LossListUsed(FrozenModel):
    """The loss list, and its age."""

    origin: str
    updated: datetime
    age_hours: int = Field(description="whole hours since it was updated")
    entries: int


class Verdict(FrozenModel):
    """One card, checked against a site's policy. It names no holder."""

    reader: str
    simulated: bool
    time: datetime = Field(description="when the card was judged (UTC)")
    verdict: Decision
    title: str
    title_en: str
    card: VerifiedCard
    chip: ChipUsed
    checks: tuple[CheckResult, ...]
    policy: PolicyUsed
    loss_list: LossListUsed | None = Field(description="null when the site has none")
