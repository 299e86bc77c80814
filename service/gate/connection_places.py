"""The limits on open connections: in all, for all other users of this machine, and for one of them.

Any local user may connect, because the bridge answers before a token is brought. So a connection without a token has no
right to stay. When its user, or all users together, have too many connections, the oldest of them is closed, and the
new one gets its chance to bring a token. Some places are reserved for connections that have brought a token.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

DESCRIPTORS_KEPT = 64
"""The number of files that the bridge itself keeps open.

They are readers, journals, logs, listening sockets, and short-lived files of a reading.
"""
_LEAST = 16
_WANTED_DESCRIPTORS = 1024


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits from the settings; `reduced_to` reduces them to the number of files that this process may open."""

    in_all: int = 256
    of_others: int = 64
    """Connections without a token, for all users of this machine that are not believed."""
    of_one_other: int = 32
    """Connections without a token, for one such user. All users that the system does not identify count as one."""
    kept: int = 64
    """Places that are reserved for connections with a token."""
    of_grant: int = 96
    """Connections of one token, or of one dialect's caller, that keep their places while others can go."""

    def reduced_to(self, descriptors: int) -> ConnectionLimits:
        """Return the limits reduced to a number of open files."""
        in_all = max(_LEAST, min(self.in_all, descriptors - DESCRIPTORS_KEPT))
        return ConnectionLimits(
            in_all,
            min(self.of_others, in_all // 4),
            min(self.of_one_other, in_all // 8),
            min(self.kept, in_all // 4),
            min(self.of_grant, in_all * 3 // 8),
        )


def available_descriptors() -> int:
    """Return the number of files that this process may open.

    The limit is first raised to what a bridge may need, where the system allows it.
    """
    if sys.platform == "win32":
        return 8192  # Windows has no such limit for sockets
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < _WANTED_DESCRIPTORS:
        wanted = _WANTED_DESCRIPTORS if hard == unlimited else min(hard, _WANTED_DESCRIPTORS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return _WANTED_DESCRIPTORS if soft == unlimited else soft


class Closable(Protocol):
    def close_now(self) -> None: ...


@dataclass(eq=False, slots=True)
class Place:
    """The place of one connection."""

    connection: Closable
    user: int | None
    is_own: bool
    """True if its user is believed, as far as that is known."""
    grant: str | None = None
    """The id of its token's grant. None before a token was brought, and where the grant has enough places already."""
    calls: int = 0
    """The number of requests that are processed on it and of streams that are open."""


@dataclass(slots=True)
class ConnectionPlaces:
    """All places, the oldest first; used on the event loop only."""

    limits: ConnectionLimits
    on_given_way: Callable[[int | None], None] = lambda user: None
    """The listener for the user of a connection that was closed to make room."""
    _places: dict[Place, None] = field(default_factory=dict)

    def open(self, connection: Closable, user: int | None, *, is_own: bool) -> Place | None:
        """Give a new connection a place, and close another connection for it if needed.

        Returns:
            None if no connection can be closed for it.
        """
        limits, place = self.limits, Place(connection, user, is_own)
        if not is_own:
            strangers = [one for one in self._places if not one.is_own and one.grant is None]
            if sum(one.user == user for one in strangers) >= limits.of_one_other:
                self._close_first(one for one in strangers if one.user == user)
            elif len(strangers) >= limits.of_others:
                self._close_first(_of_most_frequent(strangers))
        without = [one for one in self._places if one.grant is None]
        if without and (len(without) >= limits.in_all - limits.kept or len(self._places) >= limits.in_all):
            self._close_first(_of_most_frequent(without))
        elif len(self._places) >= limits.in_all and not self._close_first(one for one in self._places if not one.calls):
            return None
        self._places[place] = None
        return place

    def admit(self, place: Place, grant: str) -> None:
        """Note that a connection has brought a token.

        From now on connections without a token are closed before it, unless the grant has too many such places already.
        """
        if place.grant is None and sum(one.grant == grant for one in self._places) < self.limits.of_grant:
            place.grant = grant

    def closed(self, place: Place) -> None:
        """Free the place of a connection that is gone."""
        self._places.pop(place, None)

    def _close_first(self, places: Iterable[Place]) -> bool:
        """Close the oldest connection that has no request in progress, else the oldest one.

        Returns:
            False if there is none to close.
        """
        candidates = list(places)
        found = next((one for one in candidates if not one.calls), candidates[0] if candidates else None)
        if found is None:
            return False
        self.closed(found)
        found.connection.close_now()
        self.on_given_way(found.user)
        return True

    @property
    def taken(self) -> int:
        return len(self._places)


def _of_most_frequent(places: list[Place]) -> list[Place]:
    """Return the places of the user that has the most."""
    ((user, _),) = Counter(one.user for one in places).most_common(1)
    return [one for one in places if one.user == user]
