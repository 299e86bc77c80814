"""The SAMs that were stopped because card after card refused their keys, and a person's decision to resume them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from cardio.errors import CardioError
from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from cardio.security.errors import SamRefusedError
from cardio.security.key_memory import KeyMemory
from service.gate.context import context_of
from service.gate.scopes import Scope
from service.routes.dependencies import AuditOf, CallerOf, require_scope
from service.state import state_of

router = APIRouter(prefix="/v1/keys", tags=["status"])
RESUMED = "keys-resumed"


class StoppedSam(FrozenModel):
    """A SAM that presents no key any more, because card after card has refused one of its keys."""

    place: str = Field(description="a key file, a terminal number, an address")
    key: str = Field(description="the name of the key that was refused")
    cards: int = Field(description="how many cards in a row have refused it")
    proved: bool = Field(description="it is stopped for all cards; else for those only that do not prove themselves")
    since: datetime
    problem: Problem


class Resumed(FrozenModel):
    resumed: tuple[StoppedSam, ...] = Field(description="what was stopped, and goes on now")


async def _memories(request: Request) -> Sequence[KeyMemory]:
    return state_of(request.app).running.key_memories


MemoriesOf = Annotated[Sequence[KeyMemory], Depends(_memories)]


def stopped_sams(memories: Sequence[KeyMemory]) -> tuple[StoppedSam, ...]:
    """Return the stopped SAMs, for real cards and for simulated ones. Not for the event loop: it reads files.

    Raises:
        KeyMemoryError: the files cannot be read.
    """
    return tuple(
        StoppedSam(
            place=one.place,
            key=one.key,
            cards=one.cards,
            proved=one.proved,
            since=datetime.fromtimestamp(one.since, UTC),
            problem=Problem.of(SamRefusedError(*one.message)),
        )
        for memory in memories
        if memory.exists
        for one in memory.stopped_sams()
    )


def key_states(memories: Sequence[KeyMemory]) -> tuple[tuple[StoppedSam, ...], Problem | None]:
    """Return the result of `stopped_sams` and None, or nothing and the problem if the files cannot be read.

    No key is presented while there is a problem. Not for the event loop: it reads files.
    """
    try:
        for memory in memories:
            memory.require_place()
        return stopped_sams(memories), None
    except CardioError as error:
        return (), Problem.of(error)


@router.post("/resume", dependencies=[require_scope(Scope.MANAGE)])
async def resume(request: Request, memories: MemoriesOf, caller: CallerOf, audit: AuditOf) -> Resumed:
    """Resume stopped SAMs, because a person has checked that their keys are right.

    Cards that have refused a key still do not get it again.
    """

    def work() -> tuple[StoppedSam, ...]:
        stopped = stopped_sams(memories)
        for memory in memories:
            if memory.exists:
                memory.resume()
        return stopped

    stopped = await asyncio.to_thread(work)
    audit.note(context_of(request, caller), action=RESUMED, target=" ".join(one.key for one in stopped))
    return Resumed(resumed=stopped)
