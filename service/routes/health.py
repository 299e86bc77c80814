"""The health of the service: ``/livez`` (it runs) and ``/readyz`` (it can read cards)."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from cardio.errors import PcscUnavailableError
from cardio.models.problem import Problem
from service.http.errors import TaskDownError
from service.readers.schemas import Health
from service.routes.dependencies import JournalPlaceOf, RegistryOf, StateOf, SupervisorOf

router = APIRouter(tags=["health"])


@router.head("/livez", include_in_schema=False)
@router.get("/livez")
async def livez() -> Health:
    """Answer that the process runs."""
    return Health(status="alive")


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    responses={
        503: {
            "model": Problem,
            "description": "PC/SC does not run, a background task is down, or the journal is not in its place",
        }
    },
)
async def readyz(state: StateOf, registry: RegistryOf, supervisor: SupervisorOf, journal: JournalPlaceOf) -> Health:
    """Check that cards can be read: PC/SC runs, or there are simulated readers, and every background task runs.

    If there is a journal of debits, it must be in its place; without it cards are read, but not debited.

    `/v1/status` says whether PC/SC runs.
    """
    fault = registry.service_fault() if registry.service_down else None
    if fault is not None and not (state.has_simulated and isinstance(fault, PcscUnavailableError)):
        raise fault
    if supervisor.failed_tasks:
        tasks = ", ".join(failure.task for failure in supervisor.failed_tasks)
        raise TaskDownError(f"后台任务出错，正在自动恢复：{tasks}", f"tasks that start again by themselves: {tasks}")
    trouble = await asyncio.to_thread(journal.blocking_error)
    if trouble is not None:
        raise trouble
    return Health(status="ready")
