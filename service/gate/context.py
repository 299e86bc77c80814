"""The context of a request: its caller, its purpose, the card that it means, and its lease."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from service.gate.receipt import RECEIPT, AnswerReceipt
from service.gate.scopes import Caller
from service.http.request_state import REQUEST_ID

_TARGETS = ("application", "file")
"""The path parameters that name the object of a call."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    grant: str = "local"
    card_session: str | None = None
    """The card session that the caller saw. If another card is inserted, the call does nothing."""
    lease: str | None = None
    origin: str = "local"
    """The page's origin, or ``local`` for a program."""
    action: str = ""
    """The operation: the route with its method, or the driver function."""
    target: str = ""
    """The object of the operation: files or a debit."""
    request_id: str = ""
    gone: asyncio.Future[None] | None = field(default=None, compare=False, repr=False)
    """A future that is done when the caller has left; no operator is asked on its behalf after that."""
    receipt: AnswerReceipt | None = field(default=None, repr=False, compare=False)
    """The receipt that says whether the answer was handed over; None if the call has no caller to answer."""


def context_of(
    connection: HTTPConnection, caller: Caller, card_session: str | None = None, lease: str | None = None
) -> RequestContext:
    """Return the context of a request.

    The action is the route, not the path: a path can hold any text of the caller.
    """
    scope = connection.scope
    named = (scope["path_params"].get(name) for name in _TARGETS)
    return RequestContext(
        grant=caller.grant,
        card_session=card_session,
        lease=lease,
        origin=caller.origin,
        action=f"{scope.get('method', 'WEBSOCKET')} {scope['route'].path_format}",
        target="/".join(str(one) for one in named if one is not None),
        request_id=getattr(connection.state, REQUEST_ID, ""),
        receipt=getattr(connection.state, RECEIPT, None),
    )
