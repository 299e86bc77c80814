"""The result of a reading: one definition for the library, the command line (``--json``) and HTTP.

Dates are ISO ``YYYY-MM-DD``, absent is null, hex is upper case without blanks, codes come with their words.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from cardio.models.base import CodedValue, FrozenModel, Region


class Card(FrozenModel):
    """The card's own data (SSSE/EF05) and the data of its ATR."""

    generation: int
    algorithm: str | None = Field(description="3DES, SSF33 or SM4; null when the card was not asked")
    atr: str
    historical_bytes: str | None
    region: Region | None
    identification_code: str | None
    card_class: CodedValue | None
    spec_version: str | None
    issuer_number: str | None
    issue_date: date | None
    expiry_date: date | None
    card_number: str | None


class Holder(FrozenModel):
    """The person that the card belongs to (SSSE/EF06, with nationality, residence and registration from DF01)."""

    social_security_number: str | None
    name: str | None
    sex: CodedValue | None
    ethnic_group: CodedValue | None
    birthplace: CodedValue | None
    birth_date: date | None
    nationality: CodedValue | None
    residence: str | None
    household_registration: str | None


class Derived(FrozenModel):
    """Values that are computed and not on the card."""

    age: int | None
    citizen: bool | None
    days_to_expiry: int | None


class Unread(FrozenModel):
    """A file, or one item of it, that could not be read: the reason, and the remedy."""

    file: str
    item: str | None = None
    title: str = Field(default="", description="what was not read, in words for a clerk")
    title_en: str = ""
    reason: str
    detail: str
    detail_en: str
    driver_code: int | None
    remedy: str
    remedy_en: str
    error: str | None = Field(default=None, description="slug of the error that kept it closed, where there was one")

    def with_subject(self, detail: str, detail_en: str) -> tuple[str, str]:
        """Return a detail that names its part of the card in words, and then the file for the IT department.

        Args:
            detail: the detail, in Chinese.
            detail_en: the same in English.
        """
        if not self.title:
            return f"{self.file}：{detail}", f"{self.file}: {detail_en}"
        zh = detail if detail.startswith(self.title) else f"{self.title}：{detail}"
        en = detail_en if detail_en.startswith(self.title_en) else f"{self.title_en}: {detail_en}"
        return f"{zh}（{self.file}）", f"{en} ({self.file})"


class Warning(FrozenModel):
    """A point that a person should check; the value is given all the same."""

    code: str
    item: str | None = None
    detail: str
    detail_en: str


class Proof(FrozenModel):
    """The proof that the card is genuine, by internal authentication (内部认证), or the reason why there is none."""

    outcome: Literal["genuine", "not-asked", "not-possible"] = Field(
        description="`genuine`: it answered a fresh challenge rightly; a card that answers wrongly is an error"
    )
    reason: str | None = Field(
        default=None, description="why not: `no-sam`, `setting`, `declined`, or an error's code; null when genuine"
    )
    detail: str
    detail_en: str
    algorithm: str | None = Field(default=None, description="3DES or SM4: by which the answer was checked")
    sam: Literal["soft", "psam", "hsm"] | None = Field(default=None, description="where the keys of the check are")
    test_keys: bool = Field(
        default=False, description="checked by published test keys: any person can make such a card"
    )

    @property
    def is_genuine(self) -> bool:
        return self.outcome == "genuine"

    @property
    def summary(self) -> str:
        """Return the outcome and its reason, in words for a clerk."""
        return f"{'真伪已核验' if self.is_genuine else '真伪未核验'}：{self.detail}"

    @property
    def summary_en(self) -> str:
        return f"{'proved genuine' if self.is_genuine else 'not proved genuine'}: {self.detail_en}"

    @classmethod
    def not_asked(cls, reason: str, detail: str, detail_en: str) -> Proof:
        return cls(outcome="not-asked", reason=reason, detail=detail, detail_en=detail_en)


NO_SAM = Proof.not_asked(
    "no-sam",
    "本机没有 PSAM 卡或加密机",
    "there is neither a PSAM card nor an HSM here",
)


class CardReading(FrozenModel):
    """The basic information of one card."""

    reader: str
    simulated: bool
    card: Card
    holder: Holder | None = Field(description="null when the card gives nothing about its holder")
    derived: Derived
    unread: tuple[Unread, ...]
    warnings: tuple[Warning, ...]
    proof: Proof = Field(default=NO_SAM, description="how far the card was proved genuine")
