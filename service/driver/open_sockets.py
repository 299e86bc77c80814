"""The limits on open sockets of the dialects' callers, and the choice of a socket to close when there are too many.

Existing pages open a socket for every reading and close none. So a full list is no reason to refuse a caller: the
socket is closed that its caller needs least.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from service.gate.errors import TooManySocketsError

MOST_OF_CALLER = 64
MOST_IN_ALL = 128
"""Half of the connections that the server takes. The bridge's own pages and other programs always find a place."""
MOST_CLOSING = 64
MOST_CLOSING_OF_CALLER = 24
"""Sockets that this side has closed and the other side has not: a client may take its time, and they count as well."""
_STEADY_SECONDS = 5.0
"""The time after which a second use shows that a page keeps its socket."""


@dataclass(slots=True, eq=False)
class OpenSocket:
    """One socket of a caller."""

    caller: str
    opened: float
    last: float
    close_requested: asyncio.Event = field(default_factory=asyncio.Event)
    """An event that is set when the socket must be closed for another."""
    busy: bool = False
    first_use: float | None = None
    steady: bool = False

    def use(self, busy: bool, now: float) -> None:
        """Note that a message is being processed, or that none is any more."""
        self.busy, self.last = busy, now
        if busy and self.first_use is None:
            self.first_use = now
        elif busy and self.first_use is not None and now - self.first_use > _STEADY_SECONDS:
            self.steady = True

    @property
    def value(self) -> tuple[int, float]:
        """Return the rank of the socket; the lowest rank is closed first.

        The order is: used once and left, never used yet, used repeatedly.
        """
        kind = 2 if self.steady else 1 if self.first_use is None else 0
        return kind, self.last


class OpenSockets:
    """All open sockets, on the event loop."""

    def __init__(
        self,
        *,
        of_caller: int = MOST_OF_CALLER,
        in_all: int = MOST_IN_ALL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._of_caller, self._in_all = of_caller, in_all
        self._clock = clock
        self._sockets: dict[OpenSocket, None] = {}
        self._closing: Counter[str] = Counter()

    def reduce_to(self, connections: int) -> None:
        """Reduce the limits to half of the connections that the server takes.

        The limit for one caller is a quarter of them.
        """
        self._of_caller = min(self._of_caller, connections // 4)
        self._in_all = min(self._in_all, connections // 2)

    def open(self, caller: str) -> OpenSocket:
        """Make a place for a caller's new socket.

        Raises:
            TooManySocketsError: no socket can be closed: all are in use, or too many are closing already.
        """
        if self.of(caller) >= self._of_caller:
            self._make_room([caller])
        elif len(self._sockets) >= self._in_all:
            self._make_room([name for name, _ in Counter(one.caller for one in self._sockets).most_common()])
        now = self._clock()
        made = OpenSocket(caller, opened=now, last=now)
        self._sockets[made] = None
        return made

    def _make_room(self, callers: Iterable[str]) -> None:
        """Close a socket of the first of these callers that has an idle one."""
        for caller in callers:
            idle = [one for one in self._sockets if one.caller == caller and not one.busy]
            if idle and self.closing(caller):
                evicted = min(idle, key=lambda one: one.value)
                self.remove(evicted)
                evicted.close_requested.set()
                return
        raise TooManySocketsError(retry_after=5)

    def closing(self, caller: str) -> bool:
        """Count a socket that this side closes, if there is room for one more; `closed` ends that."""
        if self._closing.total() >= MOST_CLOSING or self._closing[caller] >= MOST_CLOSING_OF_CALLER:
            return False
        self._closing[caller] += 1
        return True

    def closed(self, caller: str) -> None:
        """Note that the other side has closed a socket too, or was given up."""
        self._closing[caller] -= 1
        if not self._closing[caller]:
            del self._closing[caller]

    def use(self, socket: OpenSocket, busy: bool) -> None:
        socket.use(busy, self._clock())

    def remove(self, socket: OpenSocket) -> None:
        """Remove a socket that is closed or must close."""
        self._sockets.pop(socket, None)

    def of(self, caller: str) -> int:
        return sum(one.caller == caller for one in self._sockets)

    @property
    def all(self) -> int:
        return len(self._sockets)
