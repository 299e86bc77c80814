"""The messages of one socket: each gets one reply, in order. A reply is not sent when its caller no longer waits.

The dialects' messages carry no number. A caller that gives up and calls again takes the next message for the answer to
its last call. So a caller with a time limit (`Dialect.patience`) gets its answer before that limit, if necessary an
error. If that moment has passed for any reason, the socket is closed and nothing more is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from cardio.errors import CardioError
from service.driver.errors import AnswerTooLateError

MOST_PENDING = 32
"""The number of messages that are taken from a socket and wait for their turn; further ones wait in the connection."""
_MARGIN = 2.0
"""The time before the caller gives up at which its answer is sent, to allow for the transport and a busy machine."""
_LAST_MARGIN = 1.3
"""The time before the caller gives up after which nothing is sent any more."""
_LEAST_WORK = 0.2
_BEAT = 1.0
_SLACK = 0.25
Clock = Callable[[], float]


class LoopPulse:
    """The clock of the event loop's pauses: a message that arrived during a pause may be as old as the pause."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self._left, self._back = 0.0, float("-inf")

    def beat(self) -> None:
        """Note that the event loop runs; must be called once a second."""
        now = self._clock()
        if self._last is not None and now - self._last > _BEAT + _SLACK:
            self._left, self._back = self._last, now
        self._last = now

    def earliest_arrival(self) -> float:
        """Return the earliest moment at which a message that is seen now can have been sent."""
        now = self._clock()
        if self._last is not None and now - self._last > _BEAT + _SLACK:
            return self._last
        return self._left if now - self._back < _BEAT else now


class Answering(Protocol):
    """The object that answers the messages of a socket."""

    async def answer(self, message: str | None, seconds: float | None) -> str:
        """Return the reply to a message.

        Args:
            message: the message; None for one that is no text.
            seconds: the time limit; None for no limit.
        """

    def failed(self, message: str | None, error: CardioError) -> str:
        """Return the reply to a message that could not be processed."""


class Ended(Exception):
    """The caller has closed the socket, or it was lost."""

    def __init__(self, code: int = 1006) -> None:
        self.code = code


class TooLate(Exception):
    """The caller does not wait for this answer any more."""


@dataclass(slots=True)
class Conversation:
    """The messages of one socket, from the first to the last."""

    answering: Answering
    receive: Callable[[], Awaitable[str | None]]
    """The function that returns the next message, or raises `Ended`."""
    send: Callable[[str], Awaitable[None]]
    patience: float | None
    pulse: LoopPulse
    clock: Clock = time.monotonic
    on_busy: Callable[[bool], None] = lambda busy: None
    """The listener that is called with True when a message is being processed, with False when none is."""
    _pending: deque[tuple[str | None, float]] = field(default_factory=deque)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: Ended | None = None

    async def run(self) -> None:
        """Answer messages until the caller leaves.

        Raises:
            Ended: the caller has left. A message in progress is finished, waiting ones are not started.
            TooLate: the socket must be closed.
        """
        listening = asyncio.ensure_future(self._listen())
        try:
            while True:
                await self._something()
                if self._ended is not None:
                    await listening
                    raise self._ended
                message, arrived = self._pending.popleft()
                self._changed.set()
                self.on_busy(True)
                try:
                    await self._reply(message, arrived)
                finally:
                    self.on_busy(bool(self._pending))
        finally:
            listening.cancel()

    async def _something(self) -> None:
        while not self._pending and self._ended is None:
            self._changed.clear()
            await self._changed.wait()

    async def _listen(self) -> None:
        try:
            await self._receive_messages()
        finally:
            self._ended = self._ended or Ended()
            self._changed.set()

    async def _receive_messages(self) -> None:
        since: float | None = None
        while True:
            try:
                message = await self.receive()
            except Ended as ended:
                self._ended = ended
                return
            arrived = self.pulse.earliest_arrival()
            self._pending.append((message, arrived if since is None else min(since, arrived)))
            self._changed.set()
            since = None
            while len(self._pending) >= MOST_PENDING:
                since = self.clock() if since is None else since
                self._changed.clear()
                await self._changed.wait()

    async def _reply(self, message: str | None, arrived: float) -> None:
        if self.patience is None:
            await self._send(await self.answering.answer(message, None), None)
            return
        gives_up = arrived + self.patience
        left = gives_up - _MARGIN - self.clock()
        if left < _LEAST_WORK:
            reply = self.answering.failed(message, AnswerTooLateError())
        else:
            try:
                async with asyncio.timeout(left):
                    reply = await self.answering.answer(message, left - _LEAST_WORK)
            except TimeoutError:
                reply = self.answering.failed(message, AnswerTooLateError())
        await self._send(reply, gives_up - _LAST_MARGIN)

    async def _send(self, reply: str, until: float | None) -> None:
        if self._ended is not None:
            raise self._ended
        if until is not None and self.clock() > until:
            raise TooLate()
        await self.send(reply)
