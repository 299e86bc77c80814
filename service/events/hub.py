"""Events on their way to the clients: numbered, kept a while, never waited for (CloudEvents 1.0, JSON format).

What was read from a card travels with an event only as long as the card is in: kept events forget it at removal.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cardio.models.problem import Problem
from cardio.models.reading import CardReading

KEPT = 1_000
"""How many events a client that was away can catch up with."""
_LONGEST_NUMBER = 18
_QUEUE = 256
"""How many events a slow client may be behind before it must begin again."""
TYPE_PREFIX = "cardio."
STATE, RESYNC = "state", "resync"
CARD_READ, READ_FINISHED = "card-read", "read-finished"


@dataclass(slots=True, repr=False)
class Event:
    """One thing that happened."""

    number: int
    kind: str
    """``card-inserted``; on the wire its type is ``cardio.card-inserted``."""
    data: Mapping[str, Any]
    subject: str | None
    """The reader, where it is about one."""
    time: datetime
    reading: CardReading | None = field(default=None)
    """Personal: given to those who asked for readings, and forgotten when the card leaves."""
    problem: Problem | None = field(default=None)
    """Why a reading failed: likewise."""


class EventHub:
    """Everything here runs on the event loop."""

    def __init__(self) -> None:
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._subscribers: set[asyncio.Queue[Event | None]] = set()
        self.last_number = 0
        self.run = secrets.token_hex(4)
        """Tells this run of the service from others: numbers of another run mean nothing in this one."""
        self._closed = False
        self.dropped = 0
        self.clerks = 0
        """Open pages that show questions to the clerk."""
        self.on_published: list[Callable[[str, Mapping[str, Any]], None]] = []
        self.on_closed: list[Callable[[], None]] = []

    def publish(
        self,
        kind: str,
        data: Mapping[str, Any],
        *,
        subject: str | None = None,
        time: datetime | None = None,
        reading: CardReading | None = None,
        problem: Problem | None = None,
    ) -> None:
        self.last_number += 1
        event = Event(
            self.last_number, kind, data, subject, time or datetime.now(UTC), reading, problem
        )  # fmt: skip
        self._kept.append(event)
        for queue in list(self._subscribers):
            if queue.qsize() >= _QUEUE:
                self.dropped += 1
                self._drop(queue)
            else:
                queue.put_nowait(event)
        # Afterwards: what is published in answer to this has the next number, and comes after it.
        for tell in self.on_published:
            tell(kind, data)

    def forget_readings(self, subject: str) -> None:
        """A card has left this reader: what was read from it is nobody's any more."""
        for event in self._kept:
            if event.subject == subject:
                event.reading = event.problem = None

    def payload(self, event: Event, *, readings: bool) -> dict[str, Any]:
        """An event as clients get it."""
        data = event.data
        if event.kind in (CARD_READ, READ_FINISHED):
            told = {"reading": event.reading} | ({"problem": event.problem} if event.kind == READ_FINISHED else {})
            data = {**data, **{name: _private(one if readings else None) for name, one in told.items()}}
        return self.document(event.kind, data, number=event.number, subject=event.subject, time=event.time)

    def document(
        self,
        kind: str,
        data: Mapping[str, Any],
        *,
        number: int | None = None,
        subject: str | None = None,
        time: datetime | None = None,
    ) -> dict[str, Any]:
        """The CloudEvents envelope; without a number it is that of the last event: `state` counts as that."""
        number = self.last_number if number is None else number
        moment = (time or datetime.now(UTC)).isoformat().replace("+00:00", "Z")
        return {
            "specversion": "1.0",
            "id": self.name_of(number),
            "source": f"urn:cardio:bridge:{self.run}",
            "type": TYPE_PREFIX + kind,
            **({"subject": subject} if subject is not None else {}),
            "time": moment,
            "datacontenttype": "application/json",
            "sequence": str(number),
            "data": data,
        }

    def name_of(self, number: int) -> str:
        """The id of an event for clients."""
        return f"{self.run}-{number}"

    def missed_since(self, name: str) -> list[Event] | None:
        """The events after one; None when they are no longer kept, or it is none of this run's."""
        run, _, digits = name.partition("-")
        if run != self.run or not (digits.isascii() and digits.isdecimal()) or len(digits) > _LONGEST_NUMBER:
            return None
        number = int(digits)
        if number > self.last_number or (self._kept and number < self._kept[0].number - 1):
            return None
        return [event for event in self._kept if event.number > number]

    @contextmanager
    def subscription(self, *, questions: bool = False) -> Iterator[AsyncIterator[Event]]:
        """Events from now on, until the hub closes or the client is too slow.

        Args: ``questions``: the client shows questions to a clerk.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue(_QUEUE + 1)
        if self._closed:
            queue.put_nowait(None)
        else:
            self._subscribers.add(queue)
        self.clerks += questions
        try:
            yield _events(queue)
        finally:
            self.clerks -= questions
            self._subscribers.discard(queue)

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    def close(self) -> None:
        """Ends every stream, so that the service can stop."""
        self._closed = True
        for tell in self.on_closed:
            tell()
        for queue in list(self._subscribers):
            self._drop(queue)

    def _drop(self, queue: asyncio.Queue[Event | None]) -> None:
        self._subscribers.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)


def _private(value: CardReading | Problem | None) -> dict[str, Any] | None:
    return None if value is None else value.model_dump(mode="json")


async def _events(queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
    while (event := await queue.get()) is not None:
        yield event
