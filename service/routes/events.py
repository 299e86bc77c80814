"""The events as a stream (Server-Sent Events) and over a WebSocket: first the present state, then every change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response, WebSocket, WebSocketDisconnect
from pydantic import Field

from cardio.errors import CardioError
from cardio.models.base import FrozenModel
from service.events.hub import RESYNC, STATE, EventHub
from service.events.sse import EventStream
from service.gate import tickets
from service.gate.context import context_of
from service.gate.grants import LOCAL
from service.gate.policy import PROTOCOL
from service.gate.scopes import Caller, Scope
from service.http.request_state import CALLER
from service.readers.registry import ReaderRegistry
from service.routes.dependencies import AccessOf, AuditOf, CallerOf, HubOf, RegistryOf, require_scope
from service.state import state_of

router = APIRouter(prefix="/v1", tags=["events"])
_NAME_LIMIT = 64
LISTENS = "listens-to-readings"
"""The action in the audit log: from now on this caller gets the readings of every card, until its stream ends."""
_RESYNC_CLOSE, _NO_SCOPE_CLOSE = 4408, 4403


class Ticket(FrozenModel):
    ticket: str = Field(description="as WebSocket sub-protocol `ticket.TICKET`, beside `cardio.v1`; counts once")
    expires_in: int = Field(description="seconds")


async def _payloads(
    registry: ReaderRegistry, hub: EventHub, after: str | None, *, readings: bool, questions: bool = False
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield `state`, or the missed events, then every change.

    `resync` is the last one if the client was too slow or the service stops.
    """
    # Subscribe before reading the state, so that no event is lost in between.
    with hub.subscription(questions=questions) as events:
        missed = hub.events_since(after) if after else None
        if missed is None:
            yield hub.document(STATE, registry.listing().model_dump(mode="json"))
        else:
            for event in missed:
                yield hub.payload(event, readings=readings)
        async for event in events:
            yield hub.payload(event, readings=readings)
    yield hub.document(RESYNC, {})


@router.get(
    "/events",
    response_class=Response,
    responses={200: {"description": "CloudEvents 1.0 objects, one a frame", "content": {"text/event-stream": {}}}},
    dependencies=[require_scope(Scope.BASIC)],
)
async def stream_events(
    request: Request,
    registry: RegistryOf,
    hub: HubOf,
    audit: AuditOf,
    caller: CallerOf,
    last_event_id: Annotated[str | None, Header(max_length=_NAME_LIMIT)] = None,
    readings: Annotated[bool, Query(description="with what was read, while the card is in")] = False,
    questions: Annotated[
        bool,
        Query(description="this page shows questions to a clerk; without the scope `manage` it counts for nothing"),
    ] = False,
) -> Response:
    """Stream the events, beginning with `state` (all readers), or with the events since `Last-Event-ID`.

    A client that was too slow gets `resync` and the end of the stream, and must connect again.
    """
    clerk = questions and Scope.MANAGE in caller.scopes
    if readings:
        audit.note(context_of(request, caller), action=LISTENS)
    return EventStream(_payloads(registry, hub, last_event_id, readings=readings, questions=clerk))


@router.post("/ws/ticket", dependencies=[require_scope(Scope.BASIC)])
async def issue_ticket(request: Request, access: AccessOf, caller: CallerOf) -> Ticket:
    """Issue a ticket for one WebSocket, because browsers cannot send a token with a WebSocket."""
    origin = request.headers.get("origin") or LOCAL
    return Ticket(ticket=access.tickets.issue(caller.grant, origin), expires_in=int(tickets.SECONDS))


@router.websocket("/ws")
async def socket_events(
    socket: WebSocket,
    after: Annotated[str | None, Query(max_length=_NAME_LIMIT)] = None,
    readings: Annotated[bool, Query()] = False,
    questions: Annotated[bool, Query()] = False,
) -> None:
    """Send the same events over a WebSocket. Messages from the client are read and ignored."""
    caller: Caller = getattr(socket.state, CALLER)
    await socket.accept(subprotocol=PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None)
    try:
        caller.require(Scope.BASIC)
    except CardioError:
        await socket.close(_NO_SCOPE_CLOSE, "no-scope")
        return
    state = state_of(socket.app)
    if readings:
        state.audit.note(context_of(socket, caller), action=LISTENS)
    clerk = questions and Scope.MANAGE in caller.scopes
    payloads = _payloads(state.running.registry, state.running.hub, after, readings=readings, questions=clerk)
    sending = asyncio.ensure_future(_send_events(socket, payloads))
    listening = asyncio.ensure_future(_until_gone(socket))
    try:
        await asyncio.wait({sending, listening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, listening):
            task.cancel()
        for task in (sending, listening):
            with suppress(asyncio.CancelledError, Exception):  # the connection has gone, whatever the error
                await task


async def _send_events(socket: WebSocket, events: AsyncGenerator[dict[str, Any], None]) -> None:
    async with aclosing(events) as payloads:
        async for payload in payloads:
            await socket.send_json(payload)
    await socket.close(_RESYNC_CLOSE, RESYNC)


async def _until_gone(socket: WebSocket) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await socket.receive()
            if socket.client_state.name == "DISCONNECTED":
                return
