"""The answer to "is this card good, and is this its holder?": each check by itself, and one verdict."""

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
    """It says nothing either way; the detail says why."""


class Weight(StrEnum):
    """What a check counts for, as the site's policy has it."""

    REQUIRED = "required"
    """Without it no ``verified``; failed, it refuses."""
    OPTIONAL = "optional"
    """It may be left undone; failed, it keeps ``verified`` away."""
    IGNORED = "ignored"
    """It is left out."""


class Decision(StrEnum):
    VERIFIED = "verified"
    NOT_VERIFIED = "not-verified"
    REFUSED = "refused"


class CheckResult(FrozenModel):
    """One check and what came of it."""

    check: CheckName
    title: str
    title_en: str
    outcome: Outcome
    weight: Weight
    detail: str = Field(description="what was found, or why the check was not done; never the holder's data")
    detail_en: str
    driver_code: int | None = None


class VerifiedCard(FrozenModel):
    """Which card this is about. Who its holder is, the reading says."""

    identification_code: str | None
    card_number: str | None
    region: Region | None


class ChipUsed(FrozenModel):
    """What the chip's proof rests on."""

    algorithm: str | None = Field(description="3DES or SM4; null when the proof was not made")
    sam: str | None = Field(description="soft, psam or hsm; null when there was none")
    test_keys: bool = Field(description="published test keys, which prove nothing about a real card")


class PolicyUsed(FrozenModel):
    name: str
    origin: str = Field(description="the file that it comes from")


class LossListUsed(FrozenModel):
    """The loss list, and how old it is."""

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
