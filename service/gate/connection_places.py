"""How many connections there may be: in all, of other users of this machine, and of one of them. Which one gives way.

Any local user may connect, for the bridge's answers begin before a token is brought. So a connection that has brought
none has no right to stay: when its user, or all users, have too many, the oldest of them is closed, and the new one has
its chance to bring a token. Some places are kept for connections that have brought one.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

DESCRIPTORS_KEPT = 64
"""Open files of the bridge itself: readers, journals, logs, listening sockets, what a reading opens for a moment."""
_LEAST = 16
_WANTED_DESCRIPTORS = 1024


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What the settings say; `within` fits it to the files that this process may open."""

    in_all: int = 256
    of_others: int = 64
    """Without a token, of all users of this machine who are not believed."""
    of_one_other: int = 32
    """Without a token, of one such user; and of those together of whom the system does not tell who they are."""
    kept: int = 64
    """Places that only connections with a token have."""
    of_grant: int = 96
    """How many connections one token, or one dialect's caller, keeps from having to give way."""

    def within(self, descriptors: int) -> ConnectionLimits:
        """Fit them to so many open files."""
        in_all = max(_LEAST, min(self.in_all, descriptors - DESCRIPTORS_KEPT))
        return ConnectionLimits(
            in_all,
            min(self.of_others, in_all // 4),
            min(self.of_one_other, in_all // 8),
            min(self.kept, in_all // 4),
            min(self.of_grant, in_all * 3 // 8),
        )


def available_descriptors() -> int:
    """Return how many files this process may open; raised first, where the system lets it, to what a
    bridge may need.
    """
    if sys.platform == "win32":
        return 8192  # of sockets there is no such limit
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
    """One connection's place."""

    connection: Closable
    user: int | None
    is_own: bool
    """A user's who is believed, as far as that is known."""
    grant: str | None = None
    """What its token grants; None before it has brought one, and where that grant has places enough."""
    calls: int = 0
    """Requests on it that are worked on, and streams that are open."""


@dataclass(slots=True)
class ConnectionPlaces:
    """All places, on the event loop. The oldest come first."""

    limits: ConnectionLimits
    on_given_way: Callable[[int | None], None] = lambda user: None
    """Told whose connection was closed for another."""
    _places: dict[Place, None] = field(default_factory=dict)

    def open(self, connection: Closable, user: int | None, *, is_own: bool) -> Place | None:
        """Give a new connection a place, for which others may have to give way; None where none does."""
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
        """It has brought a token: it need not give way any more, unless that grant has too many such places."""
        if place.grant is None and sum(one.grant == grant for one in self._places) < self.limits.of_grant:
            place.grant = grant

    def closed(self, place: Place) -> None:
        """The connection is gone."""
        self._places.pop(place, None)

    def _close_first(self, places: Iterable[Place]) -> bool:
        """Close one: of those on which nothing is worked on the oldest, else the oldest."""
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
    """Those of the user who has the most."""
    ((user, _),) = Counter(one.user for one in places).most_common(1)
    return [one for one in places if one.user == user]
