"""The dependencies of routes, taken from the application that they run in.

All of them are `async`, although none waits: FastAPI would run plain functions on a thread, which costs more than they
do.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request, Response
from starlette.requests import HTTPConnection

from cardio.card.social_security_card import WHOLE_CARD_SECONDS, SocialSecurityCard
from cardio.models.reading import Proof
from cardio.readers.supervision import Supervisor
from cardio.security.credentials import Credentials
from service.audit.recorder import AuditRecorder
from service.debits.provider import JournalProvider
from service.debits.service import DebitService
from service.driver.calls import DriverService
from service.events.hub import EventHub
from service.gate.context import RequestContext, context_of
from service.gate.peers import PEER, Peer
from service.gate.policy import Access
from service.gate.scopes import Caller, Scope
from service.http.request_state import CALLER
from service.questions.book import QuestionBook
from service.readers.managed_reader import ManagedReader
from service.readers.registry import ReaderRegistry
from service.security import SecurityContext
from service.state import BridgeState, state_of

Result = TypeVar("Result")
CARD_SESSION = "Cardio-Card-Session"
CARD_PROOF = "Cardio-Card-Proof"
READ_AT = "Cardio-Read-At"
"""The headers with the card, its proof, and the time of the reading.

The proof is ``genuine``, or ``not-possible; reason=declined`` and the like.
"""


async def _registry(request: Request) -> ReaderRegistry:
    return state_of(request.app).running.registry


async def _hub(request: Request) -> EventHub:
    return state_of(request.app).running.hub


async def _audit(request: Request) -> AuditRecorder:
    return state_of(request.app).audit


async def _access(request: Request) -> Access:
    return state_of(request.app).access


async def _questions(request: Request) -> QuestionBook:
    return state_of(request.app).running.questions


async def _supervisor(request: Request) -> Supervisor:
    return state_of(request.app).supervisor


async def _journal_place(request: Request) -> JournalProvider:
    return state_of(request.app).journal


async def _state(request: Request) -> BridgeState:
    return state_of(request.app)


async def _caller(request: Request) -> Caller:
    caller: Caller = getattr(request.state, CALLER)
    return caller


async def _managed_of(request: Request) -> ManagedReader | None:
    """Return the reader that a path names; None if there is none."""
    named = request.path_params.get("reader")
    return next((managed for managed in (await _registry(request)).all() if managed.reader.name == named), None)


def require_scope(*scopes: Scope) -> Any:
    """Return a dependency of a route that requires a scope, or one of several, of the caller."""

    async def check(request: Request) -> None:
        caller = await _caller(request)
        managed = await _managed_of(request) if caller.simulated_only else None
        if managed is not None:
            caller = caller.for_reader(simulated=managed.reader.simulated)
        if not caller.scopes.intersection(scopes):
            caller.require(scopes[0])

    return Depends(check)


StateOf = Annotated[BridgeState, Depends(_state)]
RegistryOf = Annotated[ReaderRegistry, Depends(_registry)]
JournalPlaceOf = Annotated[JournalProvider, Depends(_journal_place)]
AuditOf = Annotated[AuditRecorder, Depends(_audit)]
AccessOf = Annotated[Access, Depends(_access)]
QuestionsOf = Annotated[QuestionBook, Depends(_questions)]
CallerOf = Annotated[Caller, Depends(_caller)]
SupervisorOf = Annotated[Supervisor, Depends(_supervisor)]
HubOf = Annotated[EventHub, Depends(_hub)]
CardSessionHeader = Annotated[
    str | None, Header(max_length=64, description="the card that is meant; with another one in, nothing is done")
]
LeaseHeader = Annotated[str | None, Header(max_length=64, description="the lease by which the caller has the reader")]


class CardCall:
    """One call to the card in a reader, with its request."""

    def __init__(
        self,
        managed: ManagedReader,
        context: RequestContext,
        security: SecurityContext,
        response: Response,
    ) -> None:
        self.managed = managed
        self.context = context
        self.security = security
        self._response = response

    def name_card(self, session: str | None, proof: Proof) -> dict[str, str]:
        """Set the headers with the card and its proof; return them for answers that a route makes itself."""
        headers = card_headers(session, proof)
        self._response.headers.update(headers)
        return headers

    def date_answer(self, read_at: datetime) -> dict[str, str]:
        """Set the headers with the time of the reading (`Age`: RFC 9111 §5.1); return them."""
        age = max(0, int((datetime.now(UTC) - read_at).total_seconds()))
        headers = {"Age": str(age), READ_AT: read_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        self._response.headers.update(headers)
        return headers

    async def run(
        self,
        work: Callable[[SocialSecurityCard], Result],
        *,
        credentials: Credentials | None = None,
        repeat: bool = True,
        seconds: float = WHOLE_CARD_SECONDS,
    ) -> Result:
        """Run work with the card as `ManagedReader.run`.

        Without credentials the work uses those that the bridge has for reading.
        """
        given = credentials or self.security.for_reading(self.context.origin)
        outcome, session = await self.managed.run(
            lambda card: (work(card), card.proof), self.context, credentials=given, repeat=repeat, seconds=seconds
        )
        result, proof = outcome
        self.name_card(session, proof)
        return result


def card_headers(session: str | None, proof: Proof | None) -> dict[str, str]:
    """Return the headers about the card."""
    headers = {CARD_SESSION: session} if session is not None else {}
    if proof is not None:
        reason = "" if proof.reason is None else f"; reason={proof.reason}"
        headers[CARD_PROOF] = proof.outcome + reason
    return headers


async def _context(
    request: Request,
    caller: CallerOf,
    cardio_card_session: CardSessionHeader = None,
    cardio_lease: LeaseHeader = None,
) -> RequestContext:
    return context_of(request, caller, cardio_card_session, cardio_lease)


ContextOf = Annotated[RequestContext, Depends(_context)]


async def _card_call(
    request: Request,
    response: Response,
    reader: str,
    cardio_card_session: CardSessionHeader = None,
    cardio_lease: LeaseHeader = None,
) -> CardCall:
    # It has no dependencies of its own: each costs some 40 µs a call, and this one is resolved for every card.
    state = state_of(request.app)
    context = context_of(request, await _caller(request), cardio_card_session, cardio_lease)
    managed = state.running.registry.managed(reader)
    simulated = managed.reader.simulated
    return CardCall(
        managed, context.for_reader(simulated=simulated), state.security.for_reader(simulated=simulated), response
    )


CallOf = Annotated[CardCall, Depends(_card_call)]


async def _driver(request: Request) -> DriverService:
    return state_of(request.app).running.driver


DriverOf = Annotated[DriverService, Depends(_driver)]


async def _debits(request: Request) -> DebitService:
    return state_of(request.app).running.debits


DebitsOf = Annotated[DebitService, Depends(_debits)]
IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        max_length=200,
        description="names a debit: a repeat with the same key returns its result and never debits twice",
    ),
]


def peer_of(connection: HTTPConnection) -> Peer:
    """Return the other end of the connection, as far as the system knows it."""
    peer: Peer = getattr(connection.state, PEER, Peer())
    return peer
