"""Pairing: a page asks to be let in, a person confirms outside the page, and the page fetches its token once."""

from __future__ import annotations

import hmac
import secrets
import time
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from service.errors import NoTokenError, PairingGoneError, TooManyRequestsError
from service.gate.grants import Grant, Grants, verifier_of
from service.scopes import PAGE_SCOPES, Scope

SECONDS = 120.0
"""How long a request waits for a person."""
_MOST_WAITING = 8
_MOST_OF_SITE = 2
_MOST_KEPT = 64
_MOST_OF_TRUSTED = 16
_DENIED_SECONDS = 30.0
"""How long an origin that was refused must wait before it may ask again."""
NAME_LIMIT = 40
_UNSEEN = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
_FILLERS = "\u115f\u1160\u3164\uffa0\u2800"
"""Letters and symbols that show nothing."""
State = Literal["waiting", "granted", "denied", "expired"]
Source = Literal["page", "dialect"]


@dataclass(slots=True)
class PairingRequest:
    """One page that has asked."""

    id: str
    origin: str
    name: str
    scopes: frozenset[Scope]
    code: str
    """Six digits that the page shows and the person compares."""
    source: Source
    verifier: str
    ends: float
    state: State = "waiting"
    token: str | None = field(default=None, repr=False)
    grant: str | None = None
    displaced: tuple[str, ...] = ()
    """Grants that ended to make room for this one."""


class Pairing:
    """All requests; they live in memory only."""

    def __init__(
        self,
        grants: Grants,
        trusted: Mapping[str, frozenset[Scope]] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args: ``trusted`` are origins that the administrator has confirmed for everybody, with their scopes."""
        self._grants = grants
        self.trusted = dict(trusted or {})
        self._clock = clock
        self._requests: dict[str, PairingRequest] = {}
        self._denied: dict[str, float] = {}
        self.on_asked: list[Callable[[PairingRequest], None]] = []

    def ask(
        self, origin: str, name: str, scopes: Iterable[Scope], source: Source = "page"
    ) -> tuple[PairingRequest, str]:
        """A page asks; gives the request and the secret to fetch its outcome with.

        Raises:
            TooManyRequestsError: too many wait already, or this origin was refused a moment ago.
        """
        self._tidy()
        now = self._clock()
        if now < self._denied.get(site_of(origin), 0.0):
            raise TooManyRequestsError(retry_after=int(self._denied[site_of(origin)] - now) + 1)
        waiting = [one for one in self._requests.values() if one.state == "waiting"]
        mine = [one for one in waiting if one.origin == origin and one.source == source]
        for one in mine:  # a page that asks anew has forgotten its secret
            one.state = "expired"
            del self._requests[one.id]
        others = [one for one in waiting if one not in mine]
        of_site = sum(site_of(one.origin) == site_of(origin) for one in others)
        if of_site >= _MOST_OF_SITE or len(others) >= _MOST_WAITING or len(self._requests) >= _MOST_KEPT:
            raise TooManyRequestsError(retry_after=int(SECONDS))
        secret = secrets.token_urlsafe(32)
        request = PairingRequest(
            id=secrets.token_hex(8), origin=origin, name=presentable(name), scopes=frozenset(scopes) & PAGE_SCOPES,
            code=self._fresh_code(waiting), source=source, verifier=verifier_of(secret), ends=now + SECONDS,
        )  # fmt: skip
        self._requests[request.id] = request
        if source == "page" and request.scopes <= self.trusted.get(origin, frozenset()):
            request.displaced = self._make_room(origin)
            self.approve(request.id, request.scopes)
        else:
            for tell in self.on_asked:
                tell(request)
        return request, secret

    def _make_room(self, origin: str) -> tuple[str, ...]:
        """Pages of a trusted origin that lost their token leave a grant behind each time: the oldest ones go."""
        kept = [grant for grant in self._grants.of_origin(origin) if grant.kind == "page"]
        used = self._grants.last_used
        kept.sort(key=lambda grant: used.get(grant.id, grant.created))
        gone = kept[: max(0, len(kept) - _MOST_OF_TRUSTED + 1)]
        for grant in gone:
            self._grants.revoke(grant.id)
        return tuple(grant.id for grant in gone)

    def waiting(self) -> list[PairingRequest]:
        self._tidy()
        return [one for one in self._requests.values() if one.state == "waiting"]

    def find(self, id_or_code: str) -> PairingRequest:
        """A waiting request, by its id or by the code that the page shows. Raises: PairingGoneError."""
        wanted = id_or_code.replace(" ", "")
        for one in self.waiting():
            if wanted in (one.id, one.code):
                return one
        raise PairingGoneError()

    def approve(self, request_id: str, scopes: Collection[Scope]) -> Grant:
        """A person has confirmed. Raises: PairingGoneError, ConfigurationError."""
        request = self.find(request_id)
        kind: Literal["page", "dialect"] = request.source
        grant, token = self._grants.add(kind, request.origin, request.name, scopes)
        request.state, request.grant, request.scopes = "granted", grant.id, grant.scopes
        request.token = None if kind == "dialect" else token
        return grant

    def deny(self, request_id: str) -> None:
        """A person has refused. Raises: PairingGoneError."""
        request = self.find(request_id)
        request.state = "denied"
        self._denied[site_of(request.origin)] = self._clock() + _DENIED_SECONDS

    def seconds_left(self, request: PairingRequest) -> int:
        return max(0, int(request.ends - self._clock()))

    def outcome(self, request_id: str, secret: str, origin: str | None) -> tuple[PairingRequest, str | None]:
        """What has become of a request, and its token: once, to the page that asked.

        Raises:
            PairingGoneError: it is not known any more.
            NoTokenError: it is somebody else's.
        """
        self._tidy()
        request = self._requests.get(request_id)
        if request is None:
            raise PairingGoneError()
        mine = hmac.compare_digest(request.verifier, verifier_of(secret)) and origin in (None, request.origin)
        if not mine:
            raise NoTokenError()
        token, request.token = request.token, None
        return request, token

    def _fresh_code(self, waiting: Collection[PairingRequest]) -> str:
        taken = {one.code for one in waiting}
        while (code := f"{secrets.randbelow(10**6):06}") in taken:
            pass
        return code

    def _tidy(self) -> None:
        now = self._clock()
        for one in list(self._requests.values()):
            if now >= one.ends + SECONDS:
                del self._requests[one.id]
            elif now >= one.ends and one.state == "waiting":
                one.state = "expired"
        self._denied = {origin: until for origin, until in self._denied.items() if until > now}


def site_of(origin: str) -> str:
    """Scheme, port and subdomain cost a hostile site nothing: it is counted without them."""
    host = urlsplit(origin).hostname or origin
    labels = host.split(".")
    if ":" in host or labels[-1].isdecimal():
        return host
    return ".".join(labels[-3:] if len(labels) > 2 and len(labels[-2]) <= 3 else labels[-2:])


def presentable(text: str) -> str:
    """A name that a stranger gave, fit to be shown: no control and no direction characters."""
    kept = "".join(one for one in text if one not in _FILLERS and unicodedata.category(one) not in _UNSEEN)
    return " ".join(kept.split())[:NAME_LIMIT]
