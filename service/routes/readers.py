"""The readers and the cards in them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from cardio.driver.nhsa import Nhsa1101, nhsa_1101
from cardio.models.problem import Problem
from cardio.models.reading import CardReading
from cardio.readers.card_choice import Preference
from service.gate.scopes import Scope
from service.readers.basic_reading import read_basic
from service.readers.schemas import ChosenReader, ReaderList
from service.routes.dependencies import CallOf, ContextOf, DriverOf, RegistryOf, require_scope

router = APIRouter(prefix="/v1/readers", tags=["readers"], dependencies=[require_scope(Scope.BASIC)])

CARD_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "no such reader, or no card in it"},
    409: {
        "model": Problem,
        "description": "the reader is busy or leased; the card was pulled, reset or changed; the outcome is not known",
    },
    422: {"model": Problem, "description": "not a social security card, or a blocked or forged one"},
    429: {"model": Problem, "description": "too many wait at the reader; `retry_after` says how long"},
    501: {"model": Problem, "description": "this is not supported"},
    502: {"model": Problem, "description": "the card is mute, refuses, or makes no sense"},
    503: {"model": Problem, "description": "PC/SC does not run, the reader has gone, or the keys are not to be had"},
    504: {"model": Problem, "description": "the card, or the HSM, did not answer in time"},
}


@router.get("")
async def list_readers(registry: RegistryOf) -> ReaderList:
    """Return the readers and the cards in them, from the watcher's data: no card is touched."""
    return registry.listing()


@router.get("/-/chosen", responses=CARD_PROBLEMS)
async def choose_reader(
    calls: DriverOf,
    context: ContextOf,
    iType: Annotated[
        Preference | None, Query(description="1 contact, 2 contactless, 3 contact first, 4 contactless first")
    ] = None,
) -> ChosenReader:
    """Return the reader for a caller that names none; `several-cards` if a person has to choose."""
    managed = await calls.selection.choose(iType, context)
    return ChosenReader(reader=managed.reader.name, card_session=managed.card_session)


@router.get("/{reader:path}/card", responses=CARD_PROBLEMS, response_model=CardReading)
async def read_card(
    call: CallOf,
    supplement: Annotated[
        bool, Query(description="also ask for residence, registration and nationality (DF01)")
    ] = True,
    fresh: Annotated[
        bool, Query(description="ask the card even if it has been read already and has not left since")
    ] = False,
) -> Response:
    """Return the holder of the card in a reader, with the card's own data.

    A card that has not left, and that the bridge has not used since, is not read again for a minute: `Age` has the
    seconds since it was read, `Cardio-Read-At` the time. Event streams get the basic information before the supplement
    is read.
    """
    reading, headers = await _read(call, supplement=supplement, fresh=fresh)
    # It is a model already: a second check would take a large part of the time that the bridge adds to a reading.
    return Response(reading.model_dump_json(), media_type="application/json", headers=headers)


@router.get("/{reader:path}/card/nhsa-1101", responses=CARD_PROBLEMS)
async def read_for_nhsa(call: CallOf) -> Nhsa1101:
    """Return the fields of NHSA transaction 1101 (人员信息获取) that come from the card, ready to post."""
    reading, _ = await _read(call, supplement=False, fresh=False)
    return nhsa_1101(reading)


async def _read(call: CallOf, *, supplement: bool, fresh: bool) -> tuple[CardReading, dict[str, str]]:
    credentials = call.security.for_reading(call.context.origin)
    answer = await read_basic(call.managed, call.context, supplement=supplement, credentials=credentials, fresh=fresh)
    return answer.reading, call.name_card(answer.card_session, answer.reading.proof) | call.date_answer(answer.read_at)
