"""Events on their way from the watchers' threads to the clients: numbered, kept a while, never waited for."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cardio.model import ReaderEvent

KEPT = 1_000
"""How many events a client that was away can catch up with."""
_LONGEST_NUMBER = 18
_QUEUE = 256
"""How many events a slow client may be behind before it must begin again."""


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    number: int
    event: ReaderEvent


class EventHub:
    """Everything here runs on the event loop."""

    def __init__(self) -> None:
        self._kept: deque[NumberedEvent] = deque(maxlen=KEPT)
        self._subscribers: set[asyncio.Queue[NumberedEvent | None]] = set()
        self.last_number = 0
        self._run = secrets.token_hex(4)
        self._closed = False

    def publish(self, event: ReaderEvent) -> None:
        self.last_number += 1
        numbered = NumberedEvent(self.last_number, event)
        self._kept.append(numbered)
        for queue in list(self._subscribers):
            if queue.qsize() >= _QUEUE:
                self._drop(queue)
            else:
                queue.put_nowait(numbered)

    def name_of(self, number: int) -> str:
        """The id of an event for clients; numbers of another run of the service mean nothing in this one."""
        return f"{self._run}-{number}"

    def missed_since(self, name: str) -> list[NumberedEvent] | None:
        """The events after one; None when they are no longer kept, or it is none of this run's."""
        run, _, digits = name.partition("-")
        if run != self._run or not digits.isdecimal() or len(digits) > _LONGEST_NUMBER:
            return None
        number = int(digits)
        if number > self.last_number or (self._kept and number < self._kept[0].number - 1):
            return None
        return [numbered for numbered in self._kept if numbered.number > number]

    @contextmanager
    def subscription(self) -> Iterator[AsyncIterator[NumberedEvent]]:
        """Events from now on, until the hub closes or the client is too slow."""
        queue: asyncio.Queue[NumberedEvent | None] = asyncio.Queue(_QUEUE + 1)
        if self._closed:
            queue.put_nowait(None)
        else:
            self._subscribers.add(queue)
        try:
            yield _events(queue)
        finally:
            self._subscribers.discard(queue)

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    def close(self) -> None:
        """Ends every stream, so that the service can stop."""
        self._closed = True
        for queue in list(self._subscribers):
            self._drop(queue)

    def _drop(self, queue: asyncio.Queue[NumberedEvent | None]) -> None:
        self._subscribers.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)


async def _events(queue: asyncio.Queue[NumberedEvent | None]) -> AsyncIterator[NumberedEvent]:
    while (numbered := await queue.get()) is not None:
        yield numbered
