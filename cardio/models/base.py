"""The base of all results, and the values that many of them have."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """The base of all results: immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CodedValue(FrozenModel):
    """A code from the card with its words; the words are null where the code table does not know it."""

    code: str
    label: str | None
    label_en: str | None


class Region(FrozenModel):
    code: str
    name: str | None
