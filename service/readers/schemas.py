"""Answers that only the bridge gives; all others are cardio's own models."""

from __future__ import annotations

from importlib.metadata import version
from typing import Literal

from pydantic import Field

from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from cardio.models.readers import ReaderInfo

VERSION = version("cardio")
"""Looked up once: each look-up reads files."""
ServiceState = Literal["up", "down", "off"]
"""Of PC/SC."""


class LeaseInfo(FrozenModel):
    """Who has a reader for itself, as others see it."""

    owner: str
    purpose: str
    seconds_left: int


class DeskInfo(ReaderInfo):
    """A reader, the card session in it, and who has it."""

    card_session: str | None = Field(description="names the card that is in now; another card has another session")
    lease: LeaseInfo | None
    counts: bool = Field(description="a patient's card may be in it; a SAM's slot does not count")


class ReaderList(FrozenModel):
    """The readers, and why some may be missing: an empty list never hides an error."""

    readers: tuple[DeskInfo, ...]
    problems: tuple[Problem, ...]


class ChosenReader(FrozenModel):
    """The reader that a call means which names none."""

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
