"""Events on their way to the clients: numbered, kept for a while, and never waited for (CloudEvents 1.0, JSON format).

Data that were read from a card travel with an event only while the card is in: kept events lose them at its removal.
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
"""The number of events that a client can catch up with after an absence."""
_LONGEST_NUMBER = 18
_QUEUE = 256
"""The number of events that a slow client may be behind before it must begin again."""
TYPE_PREFIX = "cardio."
STATE, RESYNC = "state", "resync"
CARD_READ, READ_FINISHED = "card-read", "read-finished"


@dataclass(slots=True, repr=False)
class Event:
    """One event."""

    number: int
    kind: str
    """The kind, such as ``card-inserted``; its type for clients is then ``cardio.card-inserted``."""
    data: Mapping[str, Any]
    subject: str | None
    """The reader, if the event is about one."""
    time: datetime
    reading: CardReading | None = field(default=None)
    """Personal data: sent only to clients that asked for readings, and forgotten when the card leaves."""
    problem: Problem | None = field(default=None)
    """The reason why a reading failed: sent and forgotten in the same way."""


class EventHub:
    """The hub of all events. Everything here runs on the event loop."""

    def __init__(self) -> None:
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._subscribers: set[asyncio.Queue[Event | None]] = set()
        self.last_number = 0
        self.run = secrets.token_hex(4)
        """The name of this run of the service: event numbers of another run have no meaning in this one."""
        self._closed = False
        self.dropped = 0
        self.clerks = 0
        """The number of open pages that show questions to the clerk."""
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
        # Listeners run afterwards: an event that is published in reply to this one has the next number and follows it.
        for tell in self.on_published:
            tell(kind, data)

    def forget_readings(self, subject: str) -> None:
        """Forget the data that were read from a card that has left this reader."""
        for event in self._kept:
            if event.subject == subject:
                event.reading = event.problem = None

    def payload(self, event: Event, *, readings: bool) -> dict[str, Any]:
        """Return an event in the form for clients."""
        data = event.data
        if event.kind in (CARD_READ, READ_FINISHED):
            carried = {"reading": event.reading} | ({"problem": event.problem} if event.kind == READ_FINISHED else {})
            data = {**data, **{name: _private(one if readings else None) for name, one in carried.items()}}
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
        """Return the CloudEvents envelope.

        Without a number it gets the number of the last event: this is the case for `state`.
        """
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
        """Return the id of an event for clients."""
        return f"{self.run}-{number}"

    def events_since(self, name: str) -> list[Event] | None:
        """Return the events after one; None if they are no longer kept, or the event is not of this run."""
        run, _, digits = name.partition("-")
        if run != self.run or not (digits.isascii() and digits.isdecimal()) or len(digits) > _LONGEST_NUMBER:
            return None
        number = int(digits)
        if number > self.last_number or (self._kept and number < self._kept[0].number - 1):
            return None
        return [event for event in self._kept if event.number > number]

    @contextmanager
    def subscription(self, *, questions: bool = False) -> Iterator[AsyncIterator[Event]]:
        """Yield the events from now on, until the hub closes or the client is too slow.

        Args:
            questions: True if the client shows questions to a clerk.
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
        """End every stream, so that the service can stop."""
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
