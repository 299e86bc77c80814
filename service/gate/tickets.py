"""Tickets for WebSockets: a browser cannot send a header with one, so it brings a ticket that counts once."""

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
        """A ticket for a grant, as used by an origin. Beyond so many the oldest counts no more."""
        now = self._clock()
        self._tickets = {ticket: kept for ticket, kept in self._tickets.items() if kept[0] > now}
        while len(self._tickets) >= _MOST:
            del self._tickets[next(iter(self._tickets))]
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = (now + SECONDS, grant, origin)
        return ticket

    def take(self, ticket: str, origin: str) -> str | None:
        """The grant of a ticket, which is spent by this, whoever brings it."""
        ends, grant, of_origin = self._tickets.pop(ticket, (0.0, "", ""))
        return grant if self._clock() < ends and origin == of_origin else None
