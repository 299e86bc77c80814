"""The context of a request: its caller, its purpose, the card that it means, and its lease."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from starlette.requests import HTTPConnection

from service.gate.receipt import RECEIPT, AnswerReceipt
from service.gate.scopes import Caller
from service.http.request_state import REQUEST_ID

_TARGETS = ("application", "file")
"""The path parameters that name the object of a call."""


_NO_CALLER = Caller(origin="local", scopes=frozenset())
"""The caller of what the bridge does by itself."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    caller: Caller = _NO_CALLER
    grant: str = "local"
    """The owner of leases and of held cards: the caller's grant, for a dialect's socket with the dialect's name."""
    card_session: str | None = None
    """The card session that the caller saw. If another card is inserted, the call does nothing."""
    lease: str | None = None
    action: str = ""
    """The operation: the route with its method, or the driver function."""
    target: str = ""
    """The object of the operation: files or a debit."""
    request_id: str = ""
    gone: asyncio.Future[None] | None = field(default=None, compare=False, repr=False)
    """A future that is done when the caller has left; no operator is asked on its behalf after that."""
    receipt: AnswerReceipt | None = field(default=None, repr=False, compare=False)
    """The receipt that says whether the answer was handed over; None if the call has no caller to answer."""

    @property
    def origin(self) -> str:
        """Return the page's origin, or ``local`` for a program."""
        return self.caller.origin

    def for_reader(self, *, simulated: bool) -> RequestContext:
        """Return the context with the caller's scopes that count at this kind of reader."""
        caller = self.caller.for_reader(simulated=simulated)
        return self if caller is self.caller else replace(self, caller=caller)


def context_of(
    connection: HTTPConnection, caller: Caller, card_session: str | None = None, lease: str | None = None
) -> RequestContext:
    """Return the context of a request.

    The action is the route, not the path: a path can hold any text of the caller.
    """
    scope = connection.scope
    named = (scope["path_params"].get(name) for name in _TARGETS)
    return RequestContext(
        caller=caller,
        grant=caller.grant,
        card_session=card_session,
        lease=lease,
        action=f"{scope.get('method', 'WEBSOCKET')} {scope['route'].path_format}",
        target="/".join(str(one) for one in named if one is not None),
        request_id=getattr(connection.state, REQUEST_ID, ""),
        receipt=getattr(connection.state, RECEIPT, None),
    )
