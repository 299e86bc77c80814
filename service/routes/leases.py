"""Leases: a page or program has a reader for itself for a while, and can be asked to release it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import Field

from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from service.gate.pairing import presentable
from service.gate.scopes import Scope
from service.readers.lease import LONGEST_SECONDS, Lease, TakeoverRequested
from service.routes.dependencies import CallerOf, HubOf, RegistryOf, require_scope

router = APIRouter(prefix="/v1/readers", tags=["leases"], dependencies=[require_scope(Scope.BASIC)])
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "no such reader"},
    409: {"model": Problem, "description": "another caller has the reader (member `lease`), or the lease is over"},
    503: {"model": Problem, "description": "PC/SC does not run"},
}
LeaseId = Annotated[str, Header(max_length=64, alias="Cardio-Lease", description="the lease that was given")]


class LeaseAsked(FrozenModel):
    seconds: int = Field(default=60, ge=1, le=LONGEST_SECONDS)
    purpose: str = Field(default="", max_length=80, description="shown to others while the reader is leased")
    take_over: bool = Field(default=False, description="ask the owner to release it")


class LeaseGiven(FrozenModel):
    lease: str = Field(description="send it with every call, in the header `Cardio-Lease`; keep it to yourself")
    owner: str
    seconds_left: int


class TakeOverAsked(FrozenModel):
    state: str = Field(description="always `asked`")
    answer_within: float = Field(description="seconds; ask again then")


@router.post(
    "/{reader:path}/lease",
    status_code=201,
    responses=_PROBLEMS | {202: {"model": TakeOverAsked, "description": "the owner has been asked to give way"}},
)
async def take_lease(
    reader: str, asked: LeaseAsked, registry: RegistryOf, hub: HubOf, caller: CallerOf, response: Response
) -> LeaseGiven | TakeOverAsked:
    """Take the lease of a reader, or ask its owner for it.

    With `take_over` the owner gets the event `lease-asked` and may keep the lease (PUT). Otherwise it passes to the
    caller that asks again after `answer_within`.
    """
    managed = registry.managed(reader)
    managed.holding.check(caller.grant)
    purpose = presentable(asked.purpose)
    claimed = managed.lease.claim(caller, purpose, asked.seconds, take_over=asked.take_over)
    if isinstance(claimed, TakeoverRequested):
        data = {"reader": reader, "by": caller.label, "purpose": purpose, "answer_within": claimed.answer_within}
        hub.publish("lease-asked", data, subject=reader)
        response.status_code = 202
        return TakeOverAsked(state="asked", answer_within=claimed.answer_within)
    registry.publish_lease(managed)
    return _given(claimed, managed.lease.seconds_left())


@router.put("/{reader:path}/lease", responses=_PROBLEMS)
async def keep_lease(reader: str, registry: RegistryOf, cardio_lease: LeaseId) -> LeaseGiven:
    """Renew the lease of a reader for the same time; a caller that has asked for it must ask again."""
    managed = registry.managed(reader)
    lease = managed.lease.keep(cardio_lease)
    registry.publish_lease(managed)
    return _given(lease, managed.lease.seconds_left())


@router.delete("/{reader:path}/lease", status_code=204, responses=_PROBLEMS)
async def give_lease_back(reader: str, registry: RegistryOf, cardio_lease: LeaseId) -> None:
    """End the lease of a reader."""
    managed = registry.managed(reader)
    managed.lease.release(cardio_lease)
    registry.publish_lease(managed)


def _given(lease: Lease, seconds_left: int) -> LeaseGiven:
    return LeaseGiven(lease=lease.id, owner=lease.owner, seconds_left=seconds_left)
