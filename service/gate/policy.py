"""The rules of the gate: they turn the head of a request into a caller, or into the reason of a refusal.

The order of the checks: size of the head, Host, Origin, then what the path needs: nothing, any page's question for
pairing, or a token.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qs

from starlette.types import Scope

from service.gate.callers import OF_ANOTHER_USER, OF_OTHER_USERS, PROGRAMS_NOT_LET_IN, may_be_a_program
from service.gate.errors import WrongHostError, WrongOriginError
from service.gate.grants import LOCAL, Grant, Grants
from service.gate.origin_advice import advice
from service.gate.origin_syntax import NULL_ORIGINS, is_origin
from service.gate.page_addresses import LOOPBACK_NAMES, PageAddresses
from service.gate.page_memory import PageMemory
from service.gate.page_sessions import OwnPage, PageSessions
from service.gate.pairing import Pairing
from service.gate.peers import PEER, BelievedUsers, Peer, Peers
from service.gate.rate_limits import HEADER_LIMIT, LiveCalls, Rate, RateLimit
from service.gate.refusals import Refusals
from service.gate.scopes import DEFAULT_SCOPES, OWNERS_SCOPES, Caller
from service.gate.scopes import Scope as GrantedScope
from service.gate.tickets import Tickets
from service.http.errors import GateError, HeadersTooLargeError, NotFoundError, NoTokenError

PAGES = frozenset[str](get_args(OwnPage))
KEEPER = "/page-keeper.js"
"""The worker that keeps the pages in the browser."""
OPEN_PATHS = PAGES | {KEEPER, "/livez", "/readyz", "/openapi.json"}
OPEN_PREFIX = "/static/"
HELLO, PAIRING = "/v1/hello", "/v1/pairing"
SESSION = "/v1/pages/session"
"""The path where the bridge's own pages exchange a link's ticket for a token; it needs no token."""
FORGET = "/v1/pages/forget"
"""The path where the bridge's own pages make the browser delete what it keeps for an address that they have left."""
MOVED = "/v1/pages/moved"
"""The path where a page of an earlier run gets the current address of the pages; its token is not valid any more."""
_OF_OWN_PAGES = frozenset({("POST", SESSION), ("GET", FORGET), ("POST", MOVED)})
_OUTCOME = re.compile(r"/v1/pairing/[0-9a-f]{16}")
DIALECT_PREFIX = "/dialects/"
"""The prefix where the application serves dialects; they are reached only by their own ports."""
PROTOCOL = "cardio.v1"
_TICKET, _BEARER = "ticket.", "bearer."
_MOST_TOKENS = 4
"""The number of tokens in one address that are checked."""
_STRANGERS = frozenset({"cross-site", "same-site"})
_OF_ONE_ORIGIN = frozenset({"", "same-origin"})
"""The values of ``Sec-Fetch-Site`` for a page's request to its own origin; older browsers do not send it."""


@dataclass(frozen=True, slots=True)
class DialectRule:
    """The rule of one dialect, which is addressed by its port."""

    name: str
    programs: bool
    """True to admit programs of the same system user, with any Origin that their library writes."""
    scopes: frozenset[GrantedScope]
    """The scopes of such programs."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A request that may go on."""

    caller: Caller
    foreign_origin: str | None = None
    """The origin that the answer's CORS headers must name."""
    stream: bool = False
    """True if the call stays open: an event stream or a socket."""
    path: str | None = None
    """The path of the request if the gate changed it."""
    user: int | None = None
    """The system user at the other end; None if the system does not tell."""

    @property
    def rate_limit_key(self) -> str:
        """Return the rate-limit key: the token's grant, whatever the Origin.

        Without a token each origin and each user of this machine has its own key, and never the owner's.
        """
        return self.caller.grant or f"anybody {self.user} {self.caller.origin}"


@dataclass(slots=True)
class Access:
    """The callers that are admitted, and everything that decides it."""

    hosts: frozenset[str]
    own_origins: frozenset[str]
    pages: PageAddresses
    grants: Grants
    pairing: Pairing
    sessions: PageSessions
    tickets: Tickets = field(default_factory=Tickets)
    live: LiveCalls = field(default_factory=LiveCalls)
    rate: RateLimit = field(default_factory=lambda: RateLimit(Rate()))
    dialects: dict[int, DialectRule] = field(default_factory=dict)
    refusals: Refusals = field(default_factory=Refusals)
    peers: Peers = field(default_factory=Peers)
    simulated_only: frozenset[GrantedScope] = frozenset()
    """Scopes that count at simulated readers only, for every caller: a demonstration's."""
    page_memory: PageMemory = field(default_factory=PageMemory)
    mark_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """The key of this run's marks, which pages of other sites get; see `mark_for`."""

    @classmethod
    def for_port(
        cls,
        port: int,
        token: str,
        *,
        scopes: frozenset[GrantedScope] = DEFAULT_SCOPES,
        file: Path | None = None,
        trusted: Mapping[str, frozenset[GrantedScope]] | None = None,
        trusted_names: Mapping[str, str] | None = None,
        more_hosts: Iterable[str] = (),
        rate: Rate | None = None,
        dialects: Mapping[int, DialectRule] | None = None,
        pages: PageAddresses | None = None,
        page_memory: PageMemory | None = None,
        simulated_only: frozenset[GrantedScope] = frozenset(),
        believed: BelievedUsers | None = None,
    ) -> Access:
        """Return the access to a bridge on this machine's loopback addresses.

        Args:
            port: the bridge's port.
            token: the token of the token file.
            scopes: the scopes that this token grants beside the owner's own rights.
            file: the file of the grants; None to keep them in memory only.
            trusted: the origins that the administrator trusts, with their scopes.
            trusted_names: the administrator's names for the trusted origins.
            more_hosts: ``name:port`` of a bridge that listens on other addresses too.
            rate: the rate limit of one caller.
            dialects: the rule of each dialect's port.
            pages: the addresses of its own pages; by default 127.0.0.1, by http.
            page_memory: the data that the pages keep from run to run.
            simulated_only: scopes that count at simulated readers only.
            believed: users whose browsers are believed, beside the user that runs this process.

        Raises:
            ConfigurationError: the grants file is damaged, or other users may read it.
        """
        pages = PageAddresses(port) if pages is None else pages
        hosts = pages.hosts | set(more_hosts)
        grants = Grants(token, scopes | OWNERS_SCOPES, file)
        live = LiveCalls()
        access = cls(
            hosts=hosts,
            own_origins=frozenset(f"{pages.scheme}://{host}" for host in hosts),
            pages=pages,
            grants=grants,
            pairing=Pairing(grants, trusted, trusted_names=trusted_names, is_busy=live.is_busy),
            sessions=PageSessions(grants, live),
            live=live,
            rate=RateLimit(rate or Rate()),
            dialects=dict(dialects or {}),
            peers=Peers(believed),
            simulated_only=simulated_only,
            page_memory=page_memory or PageMemory(),
        )
        grants.on_revoked.append(access.live.cut)
        return access

    def check(self, scope: Scope) -> Admission:
        """Return the admission of a request that may go on.

        Raises:
            GateError: the request may not go on.
            NotFoundError: the path belongs to a dialect, or a dialect's port got a request that is no WebSocket.
        """
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if sum(len(name) + len(value) for name, value in headers) > HEADER_LIMIT:
            raise HeadersTooLargeError()
        dialect = self.dialects.get(_port_of(scope))
        self._check_host(scope, headers, None if dialect is None else _port_of(scope))
        peer = _peer_of(scope)
        if dialect is not None:
            return self._dialect(dialect, scope, headers, peer)
        return replace(self._check(scope, headers, peer), user=peer.user)

    def _check(self, scope: Scope, headers: list[tuple[bytes, bytes]], peer: Peer) -> Admission:
        origin = self._origin(headers)
        if scope["path"].startswith(DIALECT_PREFIX):
            raise NotFoundError()
        foreign = origin if origin is not None and origin not in self.own_origins else None
        if foreign is not None and self.pages.is_of_pages_alone(_header(headers, b"host")):
            raise WrongHostError()
        if foreign is not None and not peer.is_believed:
            # Before the request is used: a forged one could replace a request that waits.
            raise WrongOriginError(*OF_ANOTHER_USER)
        if scope["type"] == "http" and (scope["method"], scope["path"]) in _OF_OWN_PAGES:
            return self._own_page(scope, headers, origin)
        if self._is_open_to_pages(scope):
            return Admission(Caller(origin or LOCAL, frozenset(), grant=""), foreign)
        if foreign is not None and not self.is_known(foreign):
            raise WrongOriginError(*advice(foreign))
        path: str = scope["path"]
        if scope["type"] == "http" and foreign is None and (path in OPEN_PATHS or path.startswith(OPEN_PREFIX)):
            return Admission(Caller(origin or LOCAL, frozenset(), grant=""))
        if origin is None and _header(headers, b"sec-fetch-site") in _STRANGERS:
            # A browser reports that another site's page has caused this request: an image, a form, a link.
            raise WrongOriginError()
        grant = self._grant(scope, headers, origin)
        if grant.kind == "session" and not self.sessions.may_use(grant.id, peer.user):
            raise NoTokenError()
        return Admission(_caller(grant, origin), foreign, scope["type"] == "websocket" or path == "/v1/events")

    def _own_page(self, scope: Scope, headers: list[tuple[bytes, bytes]], origin: str | None) -> Admission:
        """Admit a page of the bridge itself and no other caller: a program does not need a session."""
        site = _header(headers, b"sec-fetch-site")
        path = scope["path"]
        # For a browser, a page of this run is another site's at an address that the pages have left.
        sites = _STRANGERS if path == FORGET else _OF_ONE_ORIGIN
        # A page of an earlier run is still at its address.
        is_own = origin is not None and (self.is_own(origin) if path == MOVED else self.is_of_pages(origin))
        if origin is None or not is_own or site not in sites | {""}:
            raise WrongOriginError()
        return Admission(Caller(origin, frozenset(), grant=""))

    def recheck_grant(self, passed: Admission) -> None:
        """Check again that a request may go on: its grant can be revoked while its body arrives.

        Raises:
            NoTokenError: the grant was revoked.
        """
        grant = passed.caller.grant
        if grant and passed.path is None and self.grants.get(grant) is None:
            raise NoTokenError()

    def reading_origin(self, scope: Scope) -> str | None:
        """Return the origin of another site's page that may read the answer to a request, even if that is a refusal."""
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        if len(origins) != 1 or not is_origin(origins[0]) or origins[0] in self.own_origins:
            return None
        if self.is_at_own_pages(scope):
            return None
        path = scope["path"]
        open_to_all = path in (HELLO, PAIRING) or _OUTCOME.fullmatch(path) is not None
        return origins[0] if open_to_all or self.may_learn_admission(scope, origins[0]) else None

    def may_learn_admission(self, scope: Scope, origin: str) -> bool:
        """Return True if a caller may learn that an origin was admitted.

        This would reveal to another user which desk this is.
        """
        return self.is_known(origin) and _peer_of(scope).is_believed

    @property
    def port(self) -> int:
        return self.pages.port

    @property
    def scheme(self) -> str:
        return self.pages.scheme

    def check_may_be_led(self, peer: Peer) -> None:
        """Check that a peer may be led to the bridge's own pages, and be given a proof of where they are.

        Another user's program could pass the proof on to a page that still speaks to it.

        Raises:
            WrongOriginError: the peer is another user, or the system does not tell, and no page of it has a session.
        """
        if not (peer.is_believed or self.sessions.is_opened_by(peer.user)):
            raise WrongOriginError(*OF_ANOTHER_USER)

    def is_of_pages(self, origin: str) -> bool:
        """Return True if the bridge's own pages are at that origin in this run."""
        return origin in self.own_origins and not self.pages.is_left(origin.partition("://")[2])

    def is_own(self, origin: str) -> bool:
        return origin in self.own_origins

    def is_at_own_pages(self, scope: Scope) -> bool:
        """Return True if a request came to an address of the bridge's own pages."""
        return self.pages.is_of_pages_alone(_header(scope["headers"], b"host"))

    def is_of_keeper(self, scope: Scope) -> bool:
        """Return True if a request is for a worker that keeps this run's pages, or the way to them."""
        host = _header(scope["headers"], b"host")
        return scope["path"] == KEEPER and (self.pages.is_doorway(host) or not self.pages.is_left(host))

    def mark_for(self, origin: str) -> str:
        """Return a mark of this run for one origin's pages.

        Two sites cannot tell by their marks that they use one desk.
        """
        return hmac.new(self.mark_key, origin.encode(), hashlib.sha256).hexdigest()[:8]

    def is_known(self, origin: str) -> bool:
        """Return True if pages of an origin were admitted, by the administrator or a person."""
        return origin in self.pairing.trusted or any(grant.kind == "page" for grant in self.grants.of_origin(origin))

    def _check_host(self, scope: Scope, headers: list[tuple[bytes, bytes]], port: int | None) -> None:
        hosts = [value for name, value in headers if name == b"host"]
        known = self.hosts if port is None else {f"{name}:{port}" for name in LOOPBACK_NAMES}
        if len(hosts) != 1 or hosts[0].decode("latin-1") not in known or not _origin_form(scope):
            raise WrongHostError()

    @staticmethod
    def _origin(headers: list[tuple[bytes, bytes]]) -> str | None:
        origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
        if not origins:
            return None
        if len(origins) != 1 or not is_origin(origins[0]):
            raise WrongOriginError(*advice(origins[0]))
        return origins[0]

    @staticmethod
    def _is_open_to_pages(scope: Scope) -> bool:
        """Return True for the three addresses that any page may ask: hello, a pairing request, and its outcome."""
        if scope["type"] != "http":
            return False
        method, path = scope["method"], scope["path"]
        return (
            (method in ("GET", "HEAD") and path == HELLO)
            or (method == "POST" and path == PAIRING)
            or (method == "GET" and _OUTCOME.fullmatch(path) is not None)
        )

    def _grant(self, scope: Scope, headers: list[tuple[bytes, bytes]], origin: str | None) -> Grant:
        """Return the grant of the token that a request brings.

        Raises:
            NoTokenError: there is no valid token, or it is not valid for this origin.
        """
        grant = self._presented_grant(scope, headers, origin)
        if grant is None:
            raise NoTokenError()
        own = origin is None or origin in self.own_origins
        # A page's token is of no use without its page; the owner's token is of no use to any other page.
        counts = grant.origin == origin if grant.origin is not None else own
        if not counts:
            raise NoTokenError()
        return grant

    def _presented_grant(self, scope: Scope, headers: list[tuple[bytes, bytes]], origin: str | None) -> Grant | None:
        given = [value for name, value in headers if name == b"authorization"]
        protocols: list[str] = list(scope.get("subprotocols") or ()) if scope["type"] == "websocket" else []
        if len(given) + sum(one.startswith((_TICKET, _BEARER)) for one in protocols) != 1:
            return None
        if given:
            scheme, _, token = given[0].decode("latin-1").partition(" ")
            return self.grants.find(token.strip()) if scheme.lower() == "bearer" else None
        for one in protocols:
            if one.startswith(_TICKET):
                ticket = self.tickets.redeem(one.removeprefix(_TICKET), origin or LOCAL)
                return None if ticket is None else self.grants.get(ticket)
            if one.startswith(_BEARER):
                return self.grants.find(one.removeprefix(_BEARER))
        return None

    def _dialect(self, rule: DialectRule, scope: Scope, headers: list[tuple[bytes, bytes]], peer: Peer) -> Admission:
        passed = self._dialect_caller(rule, scope, headers, peer)
        self.refusals.forget(_header(headers, b"origin"), rule.name)
        return passed

    def _dialect_caller(
        self, rule: DialectRule, scope: Scope, headers: list[tuple[bytes, bytes]], peer: Peer
    ) -> Admission:
        """Return the admission of a dialect's caller.

        A caller sends no token if its page has a grant, or if it is a program of the same user. A page without an
        origin of its own (``null``, ``file://``) brings the token of a named program.

        Raises:
            WrongOriginError: the caller is not admitted.
            NotFoundError: the request is no WebSocket.
        """
        origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
        if len(origins) > 1:
            raise WrongOriginError()
        origin = origins[0] if origins else None
        if scope["type"] != "websocket":
            raise NotFoundError() if origin is None or is_origin(origin) else WrongOriginError(*advice(origin))
        path = DIALECT_PREFIX + rule.name
        port = _port_of(scope)
        program = may_be_a_program(origin, headers, port)
        if program or origin in NULL_ORIGINS:
            grant = self._named_program(scope, headers)
            if grant is not None:
                return Admission(_caller(grant, None), None, True, path)
        if program and rule.programs and peer.is_believed:
            return Admission(
                Caller(LOCAL, rule.scopes, grant=f"programs {rule.name}", name=rule.name), None, True, path
            )
        if origin is None or origin in self._served_by(port) or not is_origin(origin):
            words = OF_OTHER_USERS if rule.programs else PROGRAMS_NOT_LET_IN
            raise WrongOriginError(*self.refusals.note(origin, rule.name, words if program else None))
        if not peer.is_believed:
            raise WrongOriginError(*self.refusals.note(origin, rule.name, OF_ANOTHER_USER))
        for grant in self.grants.of_origin(origin):
            if GrantedScope.BASIC in grant.scopes:
                return Admission(_caller(grant, origin), None, True, path)
        trusted = self.pairing.trusted.get(origin, frozenset())
        if GrantedScope.BASIC in trusted:
            return Admission(Caller(origin, trusted, grant=f"trusted {origin}"), None, True, path)
        self._ask_for(origin, rule, peer.user)
        raise WrongOriginError(*self.refusals.note(origin, rule.name))

    @staticmethod
    def _served_by(port: int) -> frozenset[str]:
        """Return the origins of pages that a dialect's own port would serve: there are none, so none is admitted."""
        return frozenset(f"http://{host}:{port}" for host in LOOPBACK_NAMES)

    def _named_program(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> Grant | None:
        """Return the grant of a program's token, in the address or elsewhere.

        The owner's own token is not accepted there.
        """
        # Existing callers write many parameters there and are admitted. The size of the head was limited before.
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        written = [scope["path"].strip("/"), *query.get("token", [])[:_MOST_TOKENS]]
        found = [grant for token in written if token and (grant := self.grants.find(token)) is not None]
        if not found and (brought := self._presented_grant(scope, headers, None)) is not None:
            found = [brought]
        usable = [one for one in found if one.kind == "program" and GrantedScope.BASIC in one.scopes]
        return usable[0] if usable else None

    def _ask_for(self, origin: str, rule: DialectRule, user: int | None) -> None:
        """Make a pairing request for a page that cannot make one itself; a person sees it and decides."""
        if not self.pairing.is_waiting(origin, "dialect", user):
            try:
                self.pairing.ask(origin, rule.name, rule.scopes, source="dialect", user=user)
            except GateError:
                pass  # the site has asked too often, or was denied a moment ago


def _caller(grant: Grant, origin: str | None) -> Caller:
    # The owner's own pages count as the owner, as do the owner's programs.
    fallback = LOCAL if grant.kind in ("local", "session") else f"{grant.kind} {grant.id}"
    # A program may claim any origin: it counts as itself and as no other caller.
    named = fallback if grant.kind == "program" else origin or fallback
    # A session is named after its page, for the list of grants; no person has named the caller.
    name = "" if grant.kind == "session" else grant.name
    return Caller(grant.origin or named, grant.scopes, grant=grant.id, name=name)


def _peer_of(scope: Scope) -> Peer:
    peer: Peer = scope.get("state", {}).get(PEER, Peer())
    return peer


def _port_of(scope: Scope) -> int:
    server = scope.get("server")
    return int(server[1]) if server and server[1] is not None else 0


def _header(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == wanted), "")


def _origin_form(scope: Scope) -> bool:
    """Return True if the target is a plain path; an absolute-form target names a host of its own."""
    return bytes(scope.get("raw_path") or b"/").startswith(b"/") and str(scope["path"]).startswith("/")
