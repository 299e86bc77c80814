"""The sessions of the bridge's own pages.

The owner's permanent token never goes into a page, an address or a command line. A link holds a one-time ticket. The
page that the link opens exchanges it for a token of its own (a grant of kind ``session``), which is kept in memory and
ends with the bridge's process.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from service.gate.errors import LinkUsedError
from service.gate.grants import Grant, Grants, verifier_of
from service.gate.peers import ROOT, is_person
from service.gate.rate_limits import LiveCalls
from service.gate.scopes import Scope

_log = logging.getLogger("cardio.service")
OwnPage = Literal["/", "/kiosk", "/developer", "/pair"]
LINK_SECONDS = 60
"""The lifetime of a link that a program passes to the browser."""
LONG_LINK_SECONDS = 600
"""The lifetime of a link that a person copies by hand."""
_MOST_TICKETS = 64
_MOST_SESSIONS = 64
_DOORWAY = "doorway-"
_LEFT_OUT = frozenset({Scope.METRICS})
"""The scopes that pages never get: no page shows the figures for Prometheus."""
_PAGE_SCOPES: dict[str, frozenset[Scope]] = {"/kiosk": frozenset({Scope.BASIC})}
"""Pages that get fewer scopes than the owner has: a kiosk stands in a public place."""


@dataclass(frozen=True, slots=True)
class _Ticket:
    ends: float
    page: OwnPage
    user: int | None
    """The system user whose browser may use the ticket. None if the system does not tell, or no person asked for it."""

    def is_for(self, user: int | None) -> bool:
        return self.user is None or user in (self.user, ROOT)


class PageSessions:
    """The links that were issued, and the sessions that they were exchanged for."""

    def __init__(self, grants: Grants, live: LiveCalls, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._grants = grants
        self._live = live
        self._clock = clock
        self._tickets: dict[str, _Ticket] = {}
        """The tickets by their hash; the time of a lookup reveals nothing about other tickets."""
        self._users: dict[str, int] = {}
        """The system user whose browser has each session."""
        grants.on_revoked.append(self._forget_user)

    def issue(
        self, page: OwnPage, *, user: int | None, bound_to: int | None = None, seconds: int = LINK_SECONDS
    ) -> str:
        """Make a ticket for a page.

        Args:
            page: the page that the ticket opens.
            user: the system user that asks for the link. Only the same user's browser can use it, because other users
                see a browser's command line. Root and the user of the system service pass links on to a person, so
                their links are bound to no user.
            bound_to: the only user whose browser can use it, if the caller names one.
            seconds: the lifetime of the ticket.
        """
        now = self._clock()
        self._tickets = {name: ticket for name, ticket in self._tickets.items() if ticket.ends > now}
        while len(self._tickets) >= _MOST_TICKETS:
            del self._tickets[next(iter(self._tickets))]
        ticket = secrets.token_urlsafe(32)
        if bound_to is None and user is not None and is_person(user):
            bound_to = user
        self._tickets[verifier_of(ticket)] = _Ticket(now + seconds, page, bound_to)
        return ticket

    def verifier_of_link(self, name: str | None) -> str | None:
        """Return the hash of an unused ticket, by which the bridge proves its identity to the page of the link.

        Args:
            name: ``link-`` and the first 32 digits of that hash's own SHA-256. It reveals nothing about the ticket.
        """
        return next((one for one in self._tickets if _name_of(one) == name), None)

    def may_open(self, name: str | None, user: int | None) -> bool:
        """Return True if a system user's browser may use the link of that name (`verifier_of_link`)."""
        found = self._tickets.get(self.verifier_of_link(name) or "")
        return found is not None and found.is_for(user)

    def redeem(self, ticket: str, *, user: int | None, held: str | None = None) -> tuple[Grant, str | None]:
        """Exchange a ticket for a session; return its grant and its token.

        Args:
            ticket: the ticket of the link.
            user: the system user at the other end of the connection.
            held: the token that the page has already. If it is still valid for the same scopes, that session continues
                and no new token is issued.

        Raises:
            LinkUsedError: the ticket was used before, has expired, belongs to another user of this machine, or never
                existed.
        """
        name = verifier_of(ticket)
        found = self._tickets.get(name)
        if found is None:
            raise LinkUsedError()
        if not found.is_for(user):
            # The ticket stays valid: another user cannot take the owner's link away by trying it.
            _log.warning("a link to a page was tried by another user of this machine")
            raise LinkUsedError()
        del self._tickets[name]
        if found.ends <= self._clock():
            raise LinkUsedError()
        scopes = self._scopes(found.page)
        kept = self._grants.find(held) if held else None
        if kept is not None and kept.kind == "session" and kept.scopes == scopes and self.may_use(kept.id, user):
            return kept, None
        self._make_room()
        grant, token = self._grants.add_session(found.page, scopes)
        if user is not None:
            self._users[grant.id] = user
        return grant, token

    def new_doorway(self) -> str:
        """Return a name for one browser's doorway, which has no session and opens nothing."""
        return f"{_DOORWAY}{secrets.token_hex(8)}"

    def is_doorway(self, name: str) -> bool:
        """Return True if the name is a doorway's, of this run or an earlier one."""
        return name.startswith(_DOORWAY)

    def recall_key(self, session: str) -> str:
        """Return the key by which every later run proves to a session's page that it is the same bridge, in hex.

        Args:
            session: the id of the session's grant, or a doorway's name. The grant itself ends with its run.
        """
        own = bytes.fromhex(self._grants.owner.verifier)
        return hmac.new(own, f"cardio-recall|{session}".encode(), hashlib.sha256).hexdigest()

    def is_opened_by(self, user: int | None) -> bool:
        """Return True if a page of this system user has a session of this run."""
        return any(self._users.get(one.id) == user for one in self._grants.all() if one.kind == "session")

    def may_use(self, session: str, user: int | None) -> bool:
        """Return True if a system user may use a session: no other user can use its token."""
        return self._users.get(session, user) == user

    def _forget_user(self, session: str) -> None:
        self._users.pop(session, None)

    def _scopes(self, page: OwnPage) -> frozenset[Scope]:
        return _PAGE_SCOPES.get(page, self._grants.owner.scopes - _LEFT_OUT)

    def _make_room(self) -> None:
        """End the sessions that were unused for longest. Each deleted browser profile leaves a session behind."""
        sessions = [grant for grant in self._grants.all() if grant.kind == "session"]
        used = self._grants.last_used
        sessions.sort(key=lambda grant: (self._live.streams(grant.id) > 0, used.get(grant.id, grant.created)))
        for grant in sessions[: max(0, len(sessions) - _MOST_SESSIONS + 1)]:
            self._grants.revoke(grant.id)


def _name_of(verifier: str) -> str:
    return f"link-{verifier_of(verifier)[:32]}"
