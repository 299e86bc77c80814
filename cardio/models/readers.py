"""Readers and their events."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from cardio.models.base import FrozenModel
from cardio.models.problem import Problem


class ReaderStatus(StrEnum):
    EMPTY = "empty"
    CARD = "card"
    MUTE = "mute"
    """A card that does not answer: upside down, or broken."""
    IN_USE = "in-use"
    """A card that another program holds exclusively."""
    UNAVAILABLE = "unavailable"


class ReaderInfo(FrozenModel):
    """A reader and its content."""

    name: str
    simulated: bool
    status: ReaderStatus
    atr: str | None
    event_counter: int = Field(description="rises with every card put in or taken out")


class EventKind(StrEnum):
    READER_ADDED = "reader-added"
    READER_REMOVED = "reader-removed"
    CARD_INSERTED = "card-inserted"
    CARD_REMOVED = "card-removed"
    CARD_MUTE = "card-mute"
    SERVICE_DOWN = "service-down"
    """PC/SC is gone; the watcher keeps trying."""
    SERVICE_UP = "service-up"


class ReaderEvent(FrozenModel):
    """One event of a reader, or of PC/SC itself (``reader`` is null then)."""

    kind: EventKind
    reader: str | None
    simulated: bool
    atr: str | None = None
    event_counter: int | None = None
    time: datetime = Field(description="when the reader reported it (UTC)")
    problem: Problem | None = Field(default=None, description="why PC/SC is down")
