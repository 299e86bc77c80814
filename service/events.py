"""Events on their way from the watchers' threads to the clients: numbered, kept a while, never waited for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from cardio.model import ReaderEvent

KEPT = 1_000
"""How many events a client that was away can catch up with."""
_QUEUE = 256
"""How many events a slow client may be behind before it must begin again."""


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    number: int
    event: ReaderEvent


class EventHub:
    """Everything here runs on the event loop, but `close_from_thread`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._kept: deque[NumberedEvent] = deque(maxlen=KEPT)
        self._subscribers: set[asyncio.Queue[NumberedEvent | None]] = set()
        self.last_number = 0
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

    def missed_since(self, number: int) -> list[NumberedEvent] | None:
        """The events after a number; None when some of them are no longer kept."""
        if number > self.last_number or (self._kept and number < self._kept[0].number - 1):
            return None
        return [numbered for numbered in self._kept if numbered.number > number]

    def subscribe(self) -> AsyncIterator[NumberedEvent]:
        """Events from now on (from this call, not from the first step), until the hub closes or the client is slow."""
        queue: asyncio.Queue[NumberedEvent | None] = asyncio.Queue(_QUEUE + 1)
        if self._closed:
            queue.put_nowait(None)
        else:
            self._subscribers.add(queue)
        return self._events(queue)

    async def _events(self, queue: asyncio.Queue[NumberedEvent | None]) -> AsyncIterator[NumberedEvent]:
        try:
            while (numbered := await queue.get()) is not None:
                yield numbered
        finally:
            self._subscribers.discard(queue)

    def close(self) -> None:
        """Ends every stream, so that the service can stop."""
        self._closed = True
        for queue in list(self._subscribers):
            self._drop(queue)

    def close_from_thread(self) -> None:
        """The same from a signal handler or another thread."""
        self._loop.call_soon_threadsafe(self.close)

    def _drop(self, queue: asyncio.Queue[NumberedEvent | None]) -> None:
        self._subscribers.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
