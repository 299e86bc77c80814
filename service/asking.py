"""What a call says of itself: who calls, what for, which card it means, and by which lease."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from service.gate.receipt import AnswerReceipt


@dataclass(frozen=True, slots=True)
class Asking:
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
