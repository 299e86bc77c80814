"""Pairing: a page asks to be admitted, a person confirms outside the page, and the page fetches its token once."""

from __future__ import annotations

import hmac
import secrets
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import Literal

from service.gate.errors import PairingGoneError, TooManyRequestsError
from service.gate.grants import Grant, Grants, verifier_of
from service.gate.pairing_requests import PairingOutcomes, PairingRequest, Source, WaitingRequests
from service.gate.rate_limits import Rate, RateLimit
from service.gate.scopes import PAGE_SCOPES, Scope
from service.http.errors import NoTokenError
from service.sites.labels import FILLERS
from service.sites.resemblance import KnownSite
from service.sites.suffixes import load_suffixes

SECONDS = 120.0
"""The time that a request waits for a person."""
MOST_SHOWN = 16
"""The number of requests that a person is shown at once. Any other request is found by the code that its page shows."""
_SHOWN_SECONDS = 30.0
"""The time for which a request counts as looked at after it was shown: a person at the console reads for a while."""
_MOST_OF_TRUSTED = 16
_MOST_BUSY_OF_TRUSTED = 128
"""The limit for busy grants of one origin: users that share a bridge, and tabs, have one grant each."""
_MOST_TOLD = 8
"""The number of waiting requests up to which listeners hear of each; the pages that list them show the rest."""
_ASKS_OF_SITE = Rate(per_second=1 / 12, burst=10)
_ASKS_OF_KNOWN = Rate(per_second=1 / 4, burst=32)
"""The limit for known origins.

Each page of a trusted origin that has lost its token asks again, and one origin has many tabs and profiles.
"""
_MUTE_SECONDS, _MUTE_GROWTH, _LONGEST_MUTE = 60.0, 4, 3600.0
"""The time that a denied site must wait before it may ask again; it grows with each denial."""
_MOST_MUTED = 1024
NAME_LIMIT = 40
_UNSEEN = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
_MOST_MARKS = 2
"""The number of combining marks on one letter; more of them reach into the lines above and below."""


class Pairing:
    """All pairing requests, in memory only."""

    def __init__(
        self,
        grants: Grants,
        trusted: Mapping[str, frozenset[Scope]] | None = None,
        *,
        trusted_names: Mapping[str, str] | None = None,
        is_busy: Callable[[str], bool] = lambda grant: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the pairing without any request.

        Args:
            grants: the grants that confirmed requests are added to.
            trusted: origins that the administrator has confirmed for all users, with their scopes.
            trusted_names: the administrator's names for these origins.
            is_busy: returns True if calls run under a grant, which the end of the grant would cut.
            clock: the seconds of a monotonic clock.
        """
        load_suffixes()  # loaded now because it takes a while, and a request must not wait for it
        self._grants = grants
        self.trusted = dict(trusted or {})
        self._trusted_names = dict(trusted_names or {})
        self._is_busy = is_busy
        self._clock = clock
        self._waiting = WaitingRequests()
        self._on_show: dict[str, PairingRequest] = {}
        """The requests that a person was shown lately, in the order in which they appeared."""
        self._outcomes = PairingOutcomes()
        self._muted: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """The time until which each site may not ask, and the number of its denials."""
        self._asks_of_site = RateLimit(_ASKS_OF_SITE, clock=clock)
        self._asks_of_known = RateLimit(_ASKS_OF_KNOWN, clock=clock)
        self.on_asked: list[Callable[[PairingRequest], None]] = []

    def ask(
        self, origin: str, name: str, scopes: Iterable[Scope], source: Source = "page", *, user: int | None = None
    ) -> tuple[PairingRequest, str]:
        """Make a pairing request for a page; return it with the secret that fetches its outcome.

        Args:
            origin: the page's origin.
            name: the name that the page gives itself.
            scopes: the scopes that the page asks for.
            source: the way in which the page asks.
            user: the system user at the other end of the connection; users take no places from one another.

        Raises:
            TooManyRequestsError: this site asks too often, or was denied a moment ago. Requests of other sites never
                cause it.
        """
        now = self._clock()
        self._tidy(now)
        secret = secrets.token_urlsafe(32)
        request = PairingRequest(
            id=secrets.token_hex(8), origin=origin, name=presentable(name), scopes=frozenset(scopes) & PAGE_SCOPES,
            code=self._fresh_code(), source=source, verifier=verifier_of(secret), ends=now + SECONDS, user=user,
            known=origin in self.trusted or bool(self._grants.of_origin(origin)),
        )  # fmt: skip
        # An origin that the administrator has confirmed needs no person, so its request takes no place.
        at_once = source == "page" and request.scopes <= self.trusted.get(origin, frozenset())
        self._check_may_ask(request, now, at_once=at_once)
        if at_once:
            request.displaced = self._make_room(origin)
            self._grant(request, request.scopes)
            return request, secret
        for gone in self._waiting.add(request, now):
            self._expire(gone, now)
        if len(self._waiting) <= _MOST_TOLD:
            for tell in self.on_asked:
                tell(request)
        return request, secret

    def _check_may_ask(self, request: PairingRequest, now: float, *, at_once: bool) -> None:
        """Check that the site of a request may ask now.

        Raises:
            TooManyRequestsError: the site may not ask, see `ask`.
        """
        until, _ = self._muted.get(request.place, (0.0, 0))
        if now < until and not at_once:
            raise TooManyRequestsError(retry_after=int(until - now) + 1)
        limit = self._asks_of_known if request.known else self._asks_of_site
        limit.count_request(request.place)

    def _make_room(self, origin: str) -> tuple[str, ...]:
        """Revoke the oldest grants of a trusted origin, and return their ids.

        Each page of the origin that lost its token leaves a grant behind. Grants with a call in progress, such as a
        debit, are kept up to a limit of their own.
        """
        kept = [grant for grant in self._grants.of_origin(origin) if grant.kind == "page"]
        used = self._grants.last_used
        kept.sort(key=lambda grant: used.get(grant.id, grant.created))
        busy = [grant for grant in kept if self._is_busy(grant.id)]
        idle = [grant for grant in kept if grant not in busy]
        gone = idle[: max(0, len(kept) - _MOST_OF_TRUSTED + 1)]
        gone += busy[: max(0, len(busy) - _MOST_BUSY_OF_TRUSTED + 1)]
        for grant in gone:
            self._grants.revoke(grant.id)
        return tuple(grant.id for grant in gone)

    def waiting(self) -> list[PairingRequest]:
        """Return all requests that wait, the oldest first."""
        self._tidy(self._clock())
        return list(self._waiting)

    def list_requests(self, code: str | None = None) -> list[PairingRequest]:
        """Return the requests that a person is shown; they keep their places while they are shown.

        A request that is shown keeps its position until it ends, so that no row moves while a person clicks. New
        requests follow it. If many wait, the choice shows every kind of site.

        Args:
            code: also shows the request with this code, however many wait.
        """
        now = self._clock()
        self._tidy(now)
        self._on_show = {
            name: one for name, one in self._on_show.items() if one.state == "waiting" and one.shown_until > now
        }
        others = (one for one in self._waiting.in_fair_order() if one.id not in self._on_show)
        chosen = list(islice(others, max(0, MOST_SHOWN - len(self._on_show))))
        asked_for = self._waiting.find(code.replace(" ", "")) if code else None
        if asked_for is not None:
            chosen.append(asked_for)
        for one in sorted(chosen, key=lambda one: one.ends):
            self._on_show.setdefault(one.id, one)
        for one in self._on_show.values():
            one.shown_until = now + _SHOWN_SECONDS
        return list(self._on_show.values())

    @property
    def count(self) -> int:
        """Return the number of requests that wait."""
        return len(self._waiting)

    def is_waiting(self, origin: str, source: Source, user: int | None) -> bool:
        """Return True if a user's pages of an origin have asked in this way and still wait."""
        return self._waiting.has(origin, source, user)

    def known_sites(self) -> list[KnownSite]:
        """Return the origins that were admitted, the administrator's first."""
        listed = [KnownSite(origin, self._trusted_names.get(origin, "")) for origin in self.trusted]
        return listed + [KnownSite(one.origin, one.name) for one in self._grants.all() if one.origin is not None]

    def find(self, id_or_code: str) -> PairingRequest:
        """Return a waiting request by its id or by the code that the page shows.

        Raises:
            PairingGoneError: no such request waits.
        """
        self._tidy(self._clock())
        found = self._waiting.find(id_or_code.replace(" ", ""))
        if found is None:
            raise PairingGoneError()
        return found

    def approve(self, request_id: str, scopes: Collection[Scope]) -> Grant:
        """Grant a request that a person has confirmed.

        Raises:
            PairingGoneError: no such request waits.
            ConfigurationError: there are too many grants, or the grants file cannot be written.
        """
        request = self.find(request_id)
        grant = self._grant(request, scopes)
        self._waiting.remove(request)
        self._muted.pop(request.place, None)
        return grant

    def _grant(self, request: PairingRequest, scopes: Collection[Scope]) -> Grant:
        kind: Literal["page", "dialect"] = request.source
        grant, token = self._grants.add(kind, request.origin, request.name, scopes)
        request.state, request.grant, request.scopes = "granted", grant.id, grant.scopes
        request.token = None if kind == "dialect" else token
        self._keep(request)
        return grant

    def deny(self, request_id: str) -> None:
        """Deny a request that a person has refused; its whole site may not ask again for a while.

        Raises:
            PairingGoneError: no such request waits.
        """
        request = self.find(request_id)
        self._waiting.remove(request)
        request.state = "denied"
        self._keep(request)
        _, times = self._muted.pop(request.place, (0.0, 0))
        seconds = min(_LONGEST_MUTE, _MUTE_SECONDS * _MUTE_GROWTH**times)
        self._muted[request.place] = (self._clock() + seconds, times + 1)
        while len(self._muted) > _MOST_MUTED:
            self._muted.popitem(last=False)

    def seconds_left(self, request: PairingRequest) -> int:
        return max(0, int(request.ends - self._clock()))

    def outcome(self, request_id: str, secret: str, origin: str | None) -> tuple[PairingRequest, str | None]:
        """Return a request with its state, and its token: once, and only to the page that asked.

        Raises:
            PairingGoneError: the request is not known any more.
            NoTokenError: the request belongs to another page.
        """
        self._tidy(self._clock())
        request = self._outcomes.find(request_id) or self._waiting.find(request_id)
        if request is None or request.id != request_id:
            raise PairingGoneError()
        mine = hmac.compare_digest(request.verifier, verifier_of(secret)) and origin in (None, request.origin)
        if not mine:
            raise NoTokenError()
        token, request.token = request.token, None
        return request, token

    def _fresh_code(self) -> str:
        while self._waiting.has_code(code := f"{secrets.randbelow(10**6):06}"):
            pass
        return code

    def _keep(self, request: PairingRequest) -> None:
        self._outcomes.keep(request, max(request.ends, self._clock()) + SECONDS)

    def _expire(self, request: PairingRequest, now: float) -> None:
        request.state = "expired"
        self._outcomes.keep(request, now + SECONDS)

    def _tidy(self, now: float) -> None:
        for one in self._waiting.ended(now):
            self._expire(one, one.ends)
        self._outcomes.forget(now)
        # A site that was denied often is remembered for as long again.
        for place in [name for name, (until, _) in self._muted.items() if until + _LONGEST_MUTE <= now]:
            del self._muted[place]


def presentable(text: str) -> str:
    """Return a stranger's name in a form that is safe to show.

    Control and direction characters are removed, and a letter keeps few marks.
    """
    kept, marks = list[str](), 0
    for one in unicodedata.normalize("NFC", text):
        category = unicodedata.category(one)
        if one in FILLERS or category in _UNSEEN:
            continue
        marks = marks + 1 if category.startswith("M") else 0
        if marks <= _MOST_MARKS:
            kept.append(one)
    return " ".join("".join(kept).split())[:NAME_LIMIT]
