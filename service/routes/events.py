"""The event stream (Server-Sent Events): what is there, then every change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.dependencies import DesksOf, HubOf
from service.events import EventHub, NumberedEvent

router = APIRouter(prefix="/v1", tags=["events"])
STATE, RESYNC = "state", "resync"


def _event(hub: EventHub, numbered: NumberedEvent) -> ServerSentEvent:
    event = numbered.event
    return ServerSentEvent(id=hub.name_of(numbered.number), event=event.kind.value, data=event.model_dump(mode="json"))


@router.get("/events", response_class=EventSourceResponse)
async def stream_events(
    desks: DesksOf, hub: HubOf, last_event_id: Annotated[str | None, Header(max_length=64)] = None
) -> AsyncIterator[ServerSentEvent]:
    """Begins with `state` (all readers), or with what was missed since `Last-Event-ID`.

    A client that was too slow gets `resync` and the end of the stream: it connects again.
    """
    # Subscribed before the state is taken: nothing is lost in between.
    with hub.subscription() as events:
        missed = hub.missed_since(last_event_id) if last_event_id else None
        if missed is None:
            state = desks.listing().model_dump(mode="json")
            yield ServerSentEvent(id=hub.name_of(hub.last_number), event=STATE, data=state)
        else:
            for numbered in missed:
                yield _event(hub, numbered)
        async for numbered in events:
            yield _event(hub, numbered)
    yield ServerSentEvent(event=RESYNC, data={})
