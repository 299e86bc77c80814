"""One-time tickets for WebSockets: a browser cannot send a header with a WebSocket, so it brings a ticket."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

SECONDS = 30.0
_MOST = 256


class Tickets:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tickets: dict[str, tuple[float, str, str]] = {}

    def issue(self, grant: str, origin: str) -> str:
        """Return a new ticket for a grant, valid for one origin.

        If there are too many tickets, the oldest becomes invalid.
        """
        now = self._clock()
        self._tickets = {ticket: kept for ticket, kept in self._tickets.items() if kept[0] > now}
        while len(self._tickets) >= _MOST:
            del self._tickets[next(iter(self._tickets))]
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = (now + SECONDS, grant, origin)
        return ticket

    def redeem(self, ticket: str, origin: str) -> str | None:
        """Return the grant of a ticket and invalidate the ticket, even if the origin is wrong."""
        ends, grant, of_origin = self._tickets.pop(ticket, (0.0, "", ""))
        return grant if self._clock() < ends and origin == of_origin else None
