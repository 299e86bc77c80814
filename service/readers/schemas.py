"""The answers that only the bridge gives; all others are cardio's own models."""

from __future__ import annotations

from importlib.metadata import version
from typing import Literal

from pydantic import Field

from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from cardio.models.readers import ReaderInfo

VERSION = version("cardio")
"""The version of cardio, looked up once because each look-up reads files."""
ServiceState = Literal["up", "down", "off"]
"""The states of PC/SC."""


class LeaseInfo(FrozenModel):
    """The lease of a reader, as other callers see it."""

    owner: str
    purpose: str
    seconds_left: int


class DeskInfo(ReaderInfo):
    """A reader, the card session in it, and its lease."""

    card_session: str | None = Field(description="names the card that is in now; another card has another session")
    lease: LeaseInfo | None
    counts: bool = Field(description="a patient's card may be in it; a SAM's slot does not count")


class ReaderList(FrozenModel):
    """The readers, and the reasons why some may be missing: an empty list never hides an error."""

    readers: tuple[DeskInfo, ...]
    problems: tuple[Problem, ...]


class ChosenReader(FrozenModel):
    """The reader for a call that names none."""

    reader: str
    card_session: str | None


class Health(FrozenModel):
    status: str


class PersonaChoice(FrozenModel):
    id: str
    title: str
    title_en: str


class SimulatorChoices(FrozenModel):
    personas: tuple[PersonaChoice, ...]
    faults: tuple[str, ...]
