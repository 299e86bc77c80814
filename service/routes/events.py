"""The event stream (Server-Sent Events): what is there, then every change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.dependencies import DesksOf, HubOf
from service.events import NumberedEvent

router = APIRouter(prefix="/v1", tags=["events"])
STATE, RESYNC = "state", "resync"


def _event(numbered: NumberedEvent) -> ServerSentEvent:
    event = numbered.event
    return ServerSentEvent(id=str(numbered.number), event=event.kind.value, data=event.model_dump(mode="json"))


@router.get("/events", response_class=EventSourceResponse)
async def stream_events(
    desks: DesksOf,
    hub: HubOf,
    last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,18}$")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Begins with `state` (all readers), or with what was missed since `Last-Event-ID`.

    A client that was too slow gets `resync` and the end of the stream: it connects again.
    """
    # Subscribed before the state is taken: nothing is lost in between.
    subscription = hub.subscribe()
    missed = hub.missed_since(int(last_event_id)) if last_event_id else None
    if missed is None:
        yield ServerSentEvent(id=str(hub.last_number), event=STATE, data=desks.listing().model_dump(mode="json"))
    else:
        for numbered in missed:
            yield _event(numbered)
    async for numbered in subscription:
        yield _event(numbered)
    yield ServerSentEvent(event=RESYNC, data={})
