"""The national driver's functions over HTTP: the same names, arguments and strings, with errors in words."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, create_model

from cardio.debits.errors import OUTCOME_UNKNOWN, DebitUnknownError
from cardio.debits.record import DebitRecord
from cardio.driver.functions import (
    FUNCTIONS,
    READ_BASIC,
    DebitFunction,
    DriverArguments,
    DriverFunction,
    find_function,
)
from cardio.driver.return_codes import DriverCode, driver_codes
from cardio.errors import CardioError
from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from cardio.models.reading import Proof
from service.debits.service import DebitService
from service.driver.calls import DriverService
from service.driver.debits import output_of
from service.events.sse import leaving
from service.gate.context import RequestContext
from service.gate.scopes import Scope
from service.routes.dependencies import CallerOf, ContextOf, DebitsOf, DriverOf, IdempotencyKeyHeader, card_headers
from service.routes.readers import CARD_PROBLEMS

router = APIRouter(prefix="/v1/driver", tags=["driver"])
_FIELDS = (
    "region_code", "social_security_number", "card_number", "identification_code", "name", "historical_bytes",
    "spec_version", "issue_date", "expiry_date", "terminal_number", "device_number",
)  # fmt: skip
_SECRET = frozenset({"pin", "newPin"})
_NOT_IN_THE_BODY = frozenset({"idempotencyKey", "deviceNumber"})
"""The arguments that are not in the body: a header has the first, the site's settings have the second."""
_CODES_GIVEN = CARD_PROBLEMS | {
    404: {"model": Problem, "description": "no such reader, no card, or no such file"},
    408: {"model": Problem, "description": "the PIN was not entered in time"},
}
_OF_DEBITS: dict[int | str, dict[str, Any]] = {
    202: {"description": "a debit was sent, its outcome is not known: ask again by the same key, with the same card"},
    409: {"model": Problem, "description": "card or reader are not free, or the debit is, or came to nothing"},
}  # fmt: skip


class _DriverAsked(BaseModel):
    """Arguments by their national names; a function uses those that it knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reader: str | None = Field(default=None, max_length=200, description="the reader; chosen by iType without it")


def _asked_field(one: dataclasses.Field[Any], hint: Any) -> tuple[Any, Any]:
    """Return an argument in the form of the description. Secret texts are not shown in errors and logs."""
    said = one.metadata
    if hint is int:
        return hint, Field(default=one.default, ge=said["least"], le=said["most"], description=said["description"])
    if one.name in _SECRET:
        hint = SecretStr | None
    return hint, Field(default=one.default, max_length=said["most"], description=said["description"] or None)


if TYPE_CHECKING:
    DriverAsked = _DriverAsked
else:
    _HINTS = get_type_hints(DriverArguments)
    DriverAsked = create_model(
        "DriverAsked",
        __base__=_DriverAsked,
        __doc__=_DriverAsked.__doc__,
        **{
            one.name: _asked_field(one, _HINTS[one.name])
            for one in dataclasses.fields(DriverArguments)
            if one.name not in _NOT_IN_THE_BODY
        },
    )


class DriverAnswered(BaseModel):
    """The answer of a function that returned 0; other codes are problems with `driver_code`.

    A debit with an unknown outcome is no failure: `return` is -202 then, with HTTP 202.
    """

    function: str
    return_code: int = Field(serialization_alias="return")
    pOutInfo: str
    fields: dict[str, str] | None = Field(description="the eleven fields by name, of iReadCardBas")
    debit: DebitRecord | None = Field(default=None, description="of iDoDebit and its steps: how it stands")
    proof: Proof | None = Field(
        default=None,
        description="how far the card was proved genuine; null of debits, whose answer is the same each time: the "
        "header says it there",
    )


class DriverFunctionInfo(FrozenModel):
    """One function of the national driver."""

    name: str
    arguments: tuple[str, ...] = Field(description="those of the interface, by its own names")
    optional: tuple[str, ...] = Field(description="those that the interface does not have, and this bridge takes")
    scope: Scope = Field(description="what the caller must have been granted")
    step: int = Field(description="0: done in one call; else which of several calls with the card held between them")
    changes_card: bool = Field(description="it is not repeated by itself after a fault")
    example: dict[str, int | str] = Field(
        description="arguments to begin with; YYYYMMDDhhmmss stands for the time of the call"
    )


class DriverFunctions(FrozenModel):
    functions: tuple[DriverFunctionInfo, ...]


class DriverCodes(FrozenModel):
    codes: tuple[DriverCode, ...]


@router.get("/codes")
async def list_codes(caller: CallerOf) -> DriverCodes:
    """Return all return codes with their meaning, their cause, and the next step of the clerk."""
    return DriverCodes(codes=tuple(driver_codes()[code] for code in sorted(driver_codes(), reverse=True)))


@router.get("/functions")
async def list_functions(caller: CallerOf) -> DriverFunctions:
    """Return all functions of the national driver that this bridge has."""
    return DriverFunctions(functions=tuple(_info(one) for one in FUNCTIONS.values()))


def _info(one: DriverFunction) -> DriverFunctionInfo:
    return DriverFunctionInfo(
        name=one.name,
        arguments=one.arguments,
        optional=one.optional,
        scope=Scope(one.right),
        step=one.step,
        changes_card=one.changes_card,
        example=dict(one.example),
    )


@router.post("/{function}", responses=_CODES_GIVEN | _OF_DEBITS)
async def call_function(
    request: Request,
    function: Annotated[str, Path(max_length=64, examples=[READ_BASIC])],
    asked: DriverAsked,
    calls: DriverOf,
    context: ContextOf,
    response: Response,
    debits: DebitsOf,
    idempotency_key: IdempotencyKeyHeader = None,
) -> DriverAnswered:
    """Call a function of the national driver interface.

    Functions in steps (`…_HSM_Step1`) hold the card for the caller's token until the last step, or for a minute. Debits
    (`iDoDebit`, its steps) need an `Idempotency-Key`. If the PIN's last try needs consent, or a PIN must be entered and
    the reader has no key pad, an open page of the bridge asks the clerk, and the call waits for a minute.
    """
    wanted = find_function(function)
    given = _arguments(asked, idempotency_key)
    if isinstance(wanted, DebitFunction):
        return await _debit(wanted, given, calls, debits, context, asked.reader, response)
    async with leaving(request.receive) as gone:
        context = replace(context, gone=gone)
        text, session, proof = await calls.call(wanted, given, context, reader=asked.reader)
    response.headers.update(card_headers(session, proof))
    basic = wanted.name.startswith(READ_BASIC) and not wanted.name.endswith("Step1") and given.layout == "11"
    return DriverAnswered(
        function=wanted.name, return_code=0, pOutInfo=text, fields=_named_fields(text) if basic else None, proof=proof
    )


async def _debit(
    wanted: DebitFunction,
    given: DriverArguments,
    calls: DriverService,
    debits: DebitService,
    context: RequestContext,
    reader: str | None,
    response: Response,
) -> DriverAnswered:
    try:
        done = await calls.debit(wanted, given, context, reader=reader)
    except DebitUnknownError as error:
        response.status_code = error.status
        text = f"{error.title}：{error.remedy}".replace("|", " ")
        shown = None
        with suppress(CardioError):  # the outcome stays unknown if the journal cannot be read
            shown = await debits.record(error.debit_id)
        return DriverAnswered(
            function=wanted.name, return_code=OUTCOME_UNKNOWN, pOutInfo=text, fields=None, debit=shown
        )
    response.headers.update(card_headers(done.card_session, done.proof))
    return DriverAnswered(function=wanted.name, return_code=0, pOutInfo=output_of(done), fields=None, debit=done.debit)


def _arguments(asked: DriverAsked, idempotency_key: str | None) -> DriverArguments:
    given: dict[str, Any] = asked.model_dump(exclude={"reader"}, exclude_none=True)
    for name in ("pin", "newPin"):
        if name in given:
            given[name] = given[name].get_secret_value()
    return DriverArguments(**given, idempotencyKey=idempotency_key or "")


def _named_fields(text: str) -> dict[str, str]:
    return dict(zip(_FIELDS, text.split("|"), strict=False))
