"""``/livez`` and ``/readyz``: is it running, and can it read cards?"""

from __future__ import annotations

from fastapi import APIRouter

from cardio.model import Problem
from service.answers import Health
from service.dependencies import DesksOf

router = APIRouter(tags=["health"])


@router.head("/livez", include_in_schema=False)
@router.get("/livez")
async def livez() -> Health:
    """The process runs and answers."""
    return Health(status="alive")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"model": Problem, "description": "PC/SC does not run"}})
async def readyz(desks: DesksOf) -> Health:
    """Cards can be read: PC/SC runs, or only simulated readers were asked for."""
    if desks.service_down:
        raise desks.service_fault()
    return Health(status="ready")
