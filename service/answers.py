"""Answers that only the bridge gives; all others are cardio's own models."""

from __future__ import annotations

from cardio.model import Answer, Problem, ReaderInfo


class ReaderList(Answer):
    """The readers, and why some may be missing: an empty list never hides an error."""

    readers: tuple[ReaderInfo, ...]
    problems: tuple[Problem, ...]


class Health(Answer):
    status: str
