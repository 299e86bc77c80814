"""What routes need, taken from the application that they run in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from service.desks import Desks
from service.events import EventHub
from service.gate import CALLER
from service.scopes import Caller, Scope
from service.security import BridgeSecurity


def _desks(request: Request) -> Desks:
    desks: Desks = request.app.state.desks
    return desks


def _hub(request: Request) -> EventHub:
    hub: EventHub = request.app.state.hub
    return hub


def _security(request: Request) -> BridgeSecurity:
    security: BridgeSecurity = request.app.state.security
    return security


def _caller(request: Request) -> Caller:
    caller: Caller = getattr(request.state, CALLER)
    return caller


def needs(scope: Scope) -> Any:
    """A dependency of a route: its caller must have been granted this scope."""

    def check(request: Request) -> None:
        _caller(request).require(scope)

    return Depends(check)


DesksOf = Annotated[Desks, Depends(_desks)]
SecurityOf = Annotated[BridgeSecurity, Depends(_security)]
CallerOf = Annotated[Caller, Depends(_caller)]
HubOf = Annotated[EventHub, Depends(_hub)]
