"""What routes need, taken from the application that they run in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from service.desks import Desks
from service.events import EventHub


def _desks(request: Request) -> Desks:
    desks: Desks = request.app.state.desks
    return desks


def _hub(request: Request) -> EventHub:
    hub: EventHub = request.app.state.hub
    return hub


DesksOf = Annotated[Desks, Depends(_desks)]
HubOf = Annotated[EventHub, Depends(_hub)]
