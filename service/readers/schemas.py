"""Answers that only the bridge gives; all others are cardio's own models."""

from __future__ import annotations

from importlib.metadata import version

from pydantic import Field

from cardio.models.reading import Answer, Problem, ReaderInfo

VERSION = version("cardio")
"""Looked up once: each look-up reads files."""


class LeaseShown(Answer):
    """Who has a reader for itself, as others see it."""

    owner: str
    purpose: str
    seconds_left: int


class DeskInfo(ReaderInfo):
    """A reader, the card session in it, and who has it."""

    card_session: str | None = Field(description="names the card that is in now; another card has another session")
    lease: LeaseShown | None
    counts: bool = Field(description="a patient's card may be in it; a SAM's slot does not count")


class ReaderList(Answer):
    """The readers, and why some may be missing: an empty list never hides an error."""

    readers: tuple[DeskInfo, ...]
    problems: tuple[Problem, ...]


class ChosenReader(Answer):
    """The reader that a call means which names none."""

    reader: str
    card_session: str | None


class Health(Answer):
    status: str


class PersonaChoice(Answer):
    id: str
    title: str
    title_en: str


class SimulatorChoices(Answer):
    personas: tuple[PersonaChoice, ...]
    faults: tuple[str, ...]
