"""The pairing requests that wait for a person. No site can take another site's place, and memory is bounded.

A site has two places, for all its subdomains, schemes and ports. Its newest request takes the place of its own oldest.
An origin that was admitted before has places of its own. If there are more requests than places, one is removed of the
system user that has most, and of that user's requests one of the largest kind: sites under one public suffix, or in one
network.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Literal

from service.gate.scopes import Scope
from service.sites.site import Site

MOST_OF_SITE = 2
_MOST_WAITING = 4096
"""The limit for waiting requests, about four megabytes.

A flood of new sites removes requests of its own kind, and must be as large as this to do so.
"""
_FIRST_COMERS = 16
"""The number of first requests of one kind that keep their places until they expire: a flood comes later."""
_MOST_KEPT = 1024
"""The number of outcomes of each sort that wait to be fetched."""
State = Literal["waiting", "granted", "denied", "expired"]
Source = Literal["page", "dialect"]


@dataclass(slots=True)
class PairingRequest:
    """The pairing request of one page."""

    id: str
    origin: str
    name: str
    scopes: frozenset[Scope]
    code: str
    """Six digits that the page shows and the person compares."""
    source: Source
    verifier: str
    ends: float
    user: int | None = None
    """The system user at the other end of the connection; None if the system does not tell."""
    known: bool = False
    """True if its origin was admitted before, by the administrator or a person."""
    shown_until: float = 0.0
    """The time until which a person may be looking at it."""
    state: State = "waiting"
    token: str | None = field(default=None, repr=False)
    grant: str | None = None
    displaced: tuple[str, ...] = ()
    """Grants that were revoked to make room for this one."""
    place: str = field(init=False)
    """The key of its place: its site's, or its origin's own if that was admitted before."""
    kind: str = field(init=False)
    """The group of requests of its user with which it competes when there is no room."""

    @property
    def site(self) -> Site:
        return Site.of(self.origin)

    def __post_init__(self) -> None:
        site = self.site
        self.place = f"{self.user} {self.origin if self.known else site.place}"
        self.kind = f"known {self.origin}" if self.known else site.group


_Requests = dict[str, PairingRequest]
"""Requests by their ids, the oldest first."""


class WaitingRequests:
    """All requests that wait, the oldest first."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, PairingRequest] = OrderedDict()
        self._by_code: dict[str, PairingRequest] = {}
        self._places: dict[str, _Requests] = {}
        self._users: dict[int | None, dict[str, _Requests]] = {}
        """The requests of each kind, for each user."""

    def __iter__(self) -> Iterator[PairingRequest]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def find(self, id_or_code: str) -> PairingRequest | None:
        return self._by_id.get(id_or_code) or self._by_code.get(id_or_code)

    def has_code(self, code: str) -> bool:
        return code in self._by_code

    def of_origin(self, request: PairingRequest) -> list[PairingRequest]:
        """Return the earlier requests of the same user for the same origin and in the same way."""
        same = self._places.get(request.place, {}).values()
        return [one for one in same if one.origin == request.origin and one.source == request.source]

    def has(self, origin: str, source: Source, user: int | None) -> bool:
        """Return True if a user's pages of an origin have asked in this way and still wait."""
        kinds = self._users.get(user, {})
        groups = (kinds.get(f"known {origin}", {}), kinds.get(Site.of(origin).group, {}))
        return any(one.origin == origin and one.source == source for group in groups for one in group.values())

    def add(self, request: PairingRequest, now: float) -> list[PairingRequest]:
        """Add a request; return the requests that were removed for it."""
        gone = self.of_origin(request)  # a page that asks again has forgotten its secret
        others = [one for one in self._places.get(request.place, {}).values() if one not in gone]
        gone += others[: max(0, len(others) - MOST_OF_SITE + 1)]
        for one in gone:
            self.remove(one)
        if len(self._by_id) >= _MOST_WAITING:
            victim = self._least_missed(now)
            self.remove(victim)
            gone.append(victim)
        self._by_id[request.id] = self._by_code[request.code] = request
        self._places.setdefault(request.place, {})[request.id] = request
        self._users.setdefault(request.user, {}).setdefault(request.kind, {})[request.id] = request
        return gone

    def remove(self, request: PairingRequest) -> None:
        del self._by_id[request.id], self._by_code[request.code]
        kinds = self._users[request.user]
        for group, name in ((self._places, request.place), (kinds, request.kind)):
            del group[name][request.id]
            if not group[name]:
                del group[name]
        if not kinds:
            del self._users[request.user]

    def ended(self, now: float) -> list[PairingRequest]:
        """Remove and return the requests that have expired."""
        # All requests wait for the same time, so the oldest end first.
        over = list(takewhile(lambda one: one.ends <= now, self._by_id.values()))
        for one in over:
            self.remove(one)
        return over

    def _least_missed(self, now: float) -> PairingRequest:
        """Return the request to remove when there is no room.

        It is the oldest one in the largest group that no person looks at. The first comers keep their places.
        """
        kinds = max(self._users.values(), key=lambda one: sum(map(len, one.values())))
        crowd = max(kinds.values(), key=len)
        first = _FIRST_COMERS if len(crowd) > _FIRST_COMERS else 0
        # If each request comes from another site, no group is large; still keep those that a person looks at.
        everything = (one for kind in kinds.values() for one in kind.values())
        for candidates in (islice(crowd.values(), first, None), everything):
            found = next((one for one in candidates if one.shown_until <= now), None)
            if found is not None:
                return found
        return next(islice(crowd.values(), first, None))

    def in_fair_order(self) -> Iterator[PairingRequest]:
        """Yield the newest request of each kind in turn, and no kind again before the others had their turn."""
        turns = [iter(reversed(kind.values())) for kinds in self._users.values() for kind in kinds.values()]
        while turns:
            left = []
            for turn in turns:
                one = next(turn, None)
                if one is not None:
                    yield one
                    left.append(turn)
            turns = left


class PairingOutcomes:
    """The requests that have ended, kept for a while so that their pages can fetch the outcome."""

    def __init__(self) -> None:
        self._decided: OrderedDict[str, tuple[PairingRequest, float]] = OrderedDict()
        self._expired: OrderedDict[str, tuple[PairingRequest, float]] = OrderedDict()
        """The expired requests, kept apart so that a flood of them displaces no token that waits to be fetched."""

    def keep(self, request: PairingRequest, until: float) -> None:
        kept = self._expired if request.state == "expired" else self._decided
        kept[request.id] = (request, until)
        while len(kept) > _MOST_KEPT:
            kept.popitem(last=False)

    def find(self, request_id: str) -> PairingRequest | None:
        request, _ = self._decided.get(request_id) or self._expired.get(request_id) or (None, 0.0)
        return request

    def forget(self, now: float) -> None:
        """Forget the requests whose time is over."""
        for request_id in [name for name, (_, until) in self._decided.items() if until <= now]:
            del self._decided[request_id]
        while self._expired and next(iter(self._expired.values()))[1] <= now:
            self._expired.popitem(last=False)
