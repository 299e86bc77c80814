"""The state of the service, for people who look after it, and for Prometheus."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response
from pydantic import Field, create_model

from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from cardio.models.readers import ReaderStatus
from service.audit.recorder import AuditState
from service.driver.registry import dialects
from service.gate.scopes import Scope
from service.readers.sam_monitor import SamState
from service.readers.schemas import VERSION, ServiceState
from service.routes.dependencies import (
    AccessOf,
    AuditOf,
    DebitsOf,
    HubOf,
    RegistryOf,
    StateOf,
    SupervisorOf,
    require_scope,
)
from service.routes.keys import StoppedSam, key_states

router = APIRouter(tags=["status"])


def _ports_model() -> type[FrozenModel]:
    """Return the model with a member for each dialect."""
    fields: dict[str, Any] = {
        f"{name}_": (int | None, Field(serialization_alias=name, description="null where the dialect does not listen"))
        for name in dialects()
    }
    return create_model("DialectPorts", __base__=FrozenModel, **fields)


if TYPE_CHECKING:
    DialectPorts = FrozenModel
else:
    DialectPorts = _ports_model()


class DialectProblem(FrozenModel):
    """A dialect that is enabled and does not listen."""

    name: str
    port: int
    problem: Problem


class TaskState(FrozenModel):
    """A background task that has failed since the start. The log has the cause, without any data."""

    task: str
    failures: int
    error: str = Field(description="kind of the last error")
    place: str = Field(description="where it was raised")
    time: datetime
    down: bool = Field(description="it waits for its next start")


class Status(FrozenModel):
    version: str
    instance: str
    uptime_seconds: int
    pcsc: ServiceState = Field(description="off where PC/SC is left out")
    psam: SamState
    hsm: SamState
    dialects: DialectPorts
    dialect_problems: tuple[DialectProblem, ...] = Field(description="dialects whose port another program has")
    simulated: bool
    auto_read: bool
    audit: AuditState = Field(description="failing: nothing is written at present")
    sams_stopped: tuple[StoppedSam, ...] = Field(description="SAMs that card after card has refused; none is well")
    keys_problem: Problem | None = Field(
        description="why what cards answer to keys cannot be noted: no key is presented then; null is well"
    )
    tasks: tuple[TaskState, ...] = Field(description="background tasks that have failed; none is well")


@router.get("/v1/status", dependencies=[require_scope(Scope.BASIC)])
async def status(
    state: StateOf, registry: RegistryOf, hub: HubOf, access: AccessOf, audit: AuditOf, supervisor: SupervisorOf
) -> Status:
    """Return the state of the service and of the parts that it depends on."""
    sam = state.running.sam_watch
    stopped, keys_problem = await asyncio.to_thread(key_states, state.running.key_memories)
    ports = {rule.name: port for port, rule in access.dialects.items()}
    return Status(
        version=VERSION,
        instance=hub.run,
        uptime_seconds=int(time.monotonic() - state.running.started),
        pcsc=registry.service_state,
        psam=sam.states["psam"],
        hsm=sam.states["hsm"],
        dialects=DialectPorts(**{f"{name}_": ports.get(name) for name in dialects()}),
        dialect_problems=tuple(
            DialectProblem(name=name, port=port, problem=Problem.of(error))
            for name, port, error in state.dialect_ports.problems()
        ),
        simulated=state.has_simulated,
        auto_read=state.auto_read,
        audit=audit.state,
        sams_stopped=stopped,
        keys_problem=keys_problem,
        tasks=tuple(TaskState(**asdict(failure)) for failure in supervisor.failures),
    )


@router.get(
    "/metrics",
    dependencies=[require_scope(Scope.METRICS)],
    response_class=Response,
    responses={200: {"description": "Prometheus' text format", "content": {"text/plain": {}}}},
)
async def metrics(
    state: StateOf,
    registry: RegistryOf,
    hub: HubOf,
    access: AccessOf,
    debits: DebitsOf,
    audit: AuditOf,
    supervisor: SupervisorOf,
) -> Response:
    """Return figures for Prometheus, without personal data."""
    infos = [managed.info for managed in registry.all()]
    text = state.metrics.text(
        readers=len(infos),
        cards=sum(info.status is not ReaderStatus.EMPTY for info in infos),
        pcsc_up=0 if registry.service_down else 1,
        streams=access.live.all_streams,
        subscribers_dropped=hub.dropped,
        audit_entries_lost=audit.lost,
        task_failures=sum(failure.failures for failure in supervisor.failures),
        tasks_down=len(supervisor.failed_tasks),
        **await debits.figures(),
    )
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
