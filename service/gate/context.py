"""The context of a request: its caller, its purpose, the card that it means, and its lease."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from service.gate.receipt import RECEIPT, AnswerReceipt
from service.gate.scopes import Caller
from service.http.request_state import REQUEST_ID

_TARGETS = ("application", "file")
"""What of a path says what a call is about."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    grant: str = "local"
    card_session: str | None = None
    """The card that the caller saw; with another one in, nothing is done."""
    lease: str | None = None
    origin: str = "local"
    """The page's origin, or ``local`` for a program."""
    action: str = ""
    """What is asked for: the route with its method, or the driver function."""
    target: str = ""
    """What it is about: the files, the debit."""
    request_id: str = ""
    gone: asyncio.Future[None] | None = field(default=None, compare=False, repr=False)
    """Done when the caller has left: nobody asks a person on its behalf any more."""
    receipt: AnswerReceipt | None = field(default=None, repr=False, compare=False)
    """Tells whether the answer was handed over; None if the call has no caller to answer."""


def context_of(
    connection: HTTPConnection, caller: Caller, card_session: str | None = None, lease: str | None = None
) -> RequestContext:
    """Return what a request says of itself. Its route stands for it, not its path: that can hold what a
    caller likes.
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
