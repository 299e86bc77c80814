"""The limits on callers: requests a second of each caller, and open streams of each grant."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from service.gate.errors import TooManyRequestsError, TooManySocketsError

HEADER_LIMIT = 8 * 1024
BODY_LIMIT = 64 * 1024
BODY_SECONDS = 10.0
FRAME_LIMIT = 64 * 1024
SOCKET_LIMIT = 8
_CALLERS_KEPT = 512


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second, and the number that may come at once after a pause."""

    per_second: float = 50.0
    burst: int = 200


class RateLimit:
    """A bucket of tokens for each caller."""

    def __init__(self, rate: Rate, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count_request(self, caller: str) -> None:
        """Count one request of a caller.

        Args:
            caller: the rate-limit key, see `Admission.rate_limit_key`.

        Raises:
            TooManyRequestsError: this caller has used up its requests for the moment.
        """
        now = self._clock()
        left, since = self._buckets.pop(caller, (float(self._rate.burst), now))
        left = min(self._rate.burst, left + (now - since) * self._rate.per_second)
        self._buckets[caller] = (left - 1 if left >= 1 else left, now)
        while len(self._buckets) > _CALLERS_KEPT:
            self._buckets.popitem(last=False)
        if left < 1:
            raise TooManyRequestsError(retry_after=max(1, round((1 - left) / self._rate.per_second)))


class LiveCalls:
    """The calls in progress under each grant, so that all of them can be cut at once."""

    def __init__(self) -> None:
        self._tasks: dict[str, set[asyncio.Task[Any]]] = {}
        self._streams: dict[str, int] = {}

    @contextmanager
    def call(self, grant: str, task: asyncio.Task[Any], *, stream: bool, limited: bool = True) -> Iterator[None]:
        """Count a call while it runs. Sockets of a dialect have limits of their own.

        Raises:
            TooManySocketsError: this grant has too many streams open.
        """
        if stream and limited and self._streams.get(grant, 0) >= SOCKET_LIMIT:
            raise TooManySocketsError(retry_after=5)
        self._tasks.setdefault(grant, set()).add(task)
        if stream:
            self._streams[grant] = self._streams.get(grant, 0) + 1
        try:
            yield
        finally:
            tasks = self._tasks.get(grant, set())
            tasks.discard(task)
            if not tasks:
                self._tasks.pop(grant, None)
            if stream:
                self._streams[grant] -= 1
                if not self._streams[grant]:
                    del self._streams[grant]

    def is_busy(self, grant: str) -> bool:
        """Return True while a call of the grant is processed, or a stream is open."""
        return bool(self._tasks.get(grant))

    def streams(self, grant: str) -> int:
        return self._streams.get(grant, 0)

    @property
    def all_streams(self) -> int:
        return sum(self._streams.values())

    def cut(self, grant: str) -> None:
        """Cancel every call of a grant at once."""
        for task in list(self._tasks.get(grant, ())):
            task.cancel()
