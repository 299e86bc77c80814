"""The cards in simulated readers: insert, remove, and make fail. Only available with ``--simulate``."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from service.gate.scopes import Scope
from service.readers.schemas import SimulatorChoices
from service.readers.simulated import SimulatedReaders
from service.routes.dependencies import require_scope


class SimulatedCard(FrozenModel):
    persona: str = Field(max_length=64, pattern=r"^[a-z0-9-]+$")
    fault: str | None = Field(default=None, max_length=64)


def simulator_router(readers: SimulatedReaders) -> APIRouter:
    """Return the router for these readers."""
    router = APIRouter(prefix="/v1/simulator", tags=["simulator"], dependencies=[require_scope(Scope.APDU)])

    @router.get("")
    async def choices() -> SimulatorChoices:
        """Return the personas and faults that can be chosen."""
        return await asyncio.to_thread(readers.choices)

    not_found: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "no such simulated reader"}}

    @router.put("/readers/{reader}/card", status_code=204, responses=not_found)
    async def insert(reader: str, card: SimulatedCard) -> None:
        """Insert a new card into a simulated reader; a card that is there is removed first."""
        await asyncio.to_thread(readers.insert, reader, card.persona, card.fault)

    @router.delete("/readers/{reader}/card", status_code=204, responses=not_found)
    async def remove(reader: str) -> None:
        """Remove the card; during a reading it is a card that was pulled too early."""
        await asyncio.to_thread(readers.remove, reader)

    @router.post("/readers/{reader}/put-back", status_code=204, responses=not_found)
    async def put_back(reader: str) -> None:
        """Insert again the card that this reader had last: it keeps its memory, and no longer fails."""
        await asyncio.to_thread(readers.reinsert, reader)

    @router.post("/readers/{reader}/turn-over", status_code=204, responses=not_found)
    async def turn_over(reader: str) -> None:
        """Remove the card and insert it the other way round: upside down it is mute."""
        await asyncio.to_thread(readers.turn_over, reader)

    return router
