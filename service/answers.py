"""Answers that only the bridge gives; all others are cardio's own models."""

from __future__ import annotations

from cardio.model import Answer, Problem, ReaderInfo


class ReaderList(Answer):
    """The readers, and why some may be missing: an empty list never hides an error."""

    readers: tuple[ReaderInfo, ...]
    problems: tuple[Problem, ...]


class Health(Answer):
    status: str


class PersonaChoice(Answer):
    id: str
    title: str
    title_en: str


class SimulatorChoices(Answer):
    personas: tuple[PersonaChoice, ...]
    faults: tuple[str, ...]
