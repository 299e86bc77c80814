"""Readers and the cards in them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from cardio.model import CardReading, Problem
from service.answers import ReaderList
from service.dependencies import CallerOf, DesksOf, SecurityOf, needs
from service.scopes import Scope

router = APIRouter(prefix="/v1/readers", tags=["readers"], dependencies=[needs(Scope.BASIC)])

CARD_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "no such reader, or no card in it"},
    409: {"model": Problem, "description": "the reader is busy, or the card was pulled or reset"},
    422: {"model": Problem, "description": "not a social security card, or a blocked or forged one"},
    502: {"model": Problem, "description": "the card is mute, refuses, or makes no sense"},
    503: {"model": Problem, "description": "PC/SC does not run, or the reader has gone"},
    504: {"model": Problem, "description": "the card did not answer in time"},
}


@router.get("")
async def list_readers(desks: DesksOf) -> ReaderList:
    """The readers and what is in them, from what the watcher knows: no card is touched."""
    return desks.listing()


@router.get("/{reader:path}/card", responses=CARD_PROBLEMS)
async def read_card(
    reader: str,
    desks: DesksOf,
    security: SecurityOf,
    caller: CallerOf,
    supplement: Annotated[
        bool, Query(description="also ask for residence, registration and nationality (DF01)")
    ] = True,
) -> CardReading:
    """Who the card in a reader belongs to, with the card's own data."""
    return await desks.desk(reader).read(supplement=supplement, credentials=security.for_reading(caller.origin))
