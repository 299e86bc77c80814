"""``/livez`` and ``/readyz``: is it running, and can it read cards?"""

from __future__ import annotations

from fastapi import APIRouter

from cardio.model import Problem
from service.answers import Health
from service.dependencies import DesksOf, SupervisorOf
from service.errors import TaskDownError

router = APIRouter(tags=["health"])


@router.head("/livez", include_in_schema=False)
@router.get("/livez")
async def livez() -> Health:
    """The process runs and answers."""
    return Health(status="alive")


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz", responses={503: {"model": Problem, "description": "PC/SC does not run, or a background task is down"}}
)
async def readyz(desks: DesksOf, supervisor: SupervisorOf) -> Health:
    """Cards can be read: PC/SC runs, or only simulated readers were asked for; and every background task runs."""
    if desks.service_down:
        raise desks.service_fault()
    if supervisor.down:
        tasks = ", ".join(failure.task for failure in supervisor.down)
        raise TaskDownError(f"后台任务出错，正在自动恢复：{tasks}", f"tasks that start again by themselves: {tasks}")
    return Health(status="ready")
