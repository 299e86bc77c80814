"""The holder's PIN over HTTP, for callers with the scope ``pin``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field, SecretStr

from cardio.card.social_security_card import SocialSecurityCard
from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from cardio.security.pin.count import PinCount
from cardio.security.pin.pin import Pin
from service.gate.scopes import Scope
from service.routes.dependencies import CallOf, require_scope
from service.routes.readers import CARD_PROBLEMS

router = APIRouter(prefix="/v1/readers", tags=["pin"], dependencies=[require_scope(Scope.PIN)])

_PIN_PROBLEMS: dict[int | str, dict[str, Any]] = CARD_PROBLEMS | {
    422: {"model": Problem, "description": "the PIN is wrong, blocked or malformed; or not a social security card"},
    429: {"model": Problem, "description": "too many wrong PINs from this caller, or too many wait at the reader"},
}
Digits = Annotated[SecretStr, Field(max_length=16, description="four to sixteen digits")]


class PinTries(FrozenModel):
    tries_left: int | None = Field(description="0 when blocked; null when it is not known")
    count: Literal["told", "remembered", "unknown"] = Field(
        description="`told` by the card just now; `remembered` from its last answer, for asking may cost it a try"
    )

    @classmethod
    def of(cls, count: PinCount) -> PinTries:
        return cls(tries_left=count.left, count=count.source)


class PinGiven(FrozenModel):
    pin: Digits
    accept_last_try: bool = Field(default=False, description="the holder consents to spend the last try")


class PinChanged(PinGiven):
    new_pin: Digits


class PinReloaded(FrozenModel):
    new_pin: Digits


@router.get("/{reader:path}/card/pin", responses=_PIN_PROBLEMS)
async def pin_status(call: CallOf) -> PinTries:
    """Return the number of tries that are left. The card is asked only if asking is not known to cost a try."""
    credentials = call.security.credentials(call.context.origin)
    return PinTries.of(await call.run(lambda card: card.pin_count(), credentials=credentials))


@router.post("/{reader:path}/card/pin/verify", responses=_PIN_PROBLEMS)
async def verify_pin(given: PinGiven, call: CallOf) -> PinTries:
    """Verify the holder's PIN with the card. The PIN is sent only once in any case."""
    credentials = call.security.credentials(call.context.origin, _pin(given.pin), accept_last_try=given.accept_last_try)

    def work(card: SocialSecurityCard) -> PinCount:
        card.verify_pin()
        return card.pin_count()

    return PinTries.of(await call.run(work, credentials=credentials, repeat=False))


@router.post("/{reader:path}/card/pin/change", responses=_PIN_PROBLEMS)
async def change_pin(given: PinChanged, call: CallOf) -> PinTries:
    """Replace the holder's PIN by another."""
    new = _pin(given.new_pin)
    credentials = call.security.credentials(call.context.origin, _pin(given.pin), accept_last_try=given.accept_last_try)

    def work(card: SocialSecurityCard) -> PinCount:
        card.change_pin(new)
        return card.pin_count()

    return PinTries.of(await call.run(work, credentials=credentials, repeat=False))


@router.post("/{reader:path}/card/pin/unblock", responses=_PIN_PROBLEMS)
async def unblock_pin(call: CallOf) -> PinTries:
    """Restore the tries with the authority's key; the PIN stays."""

    def work(card: SocialSecurityCard) -> PinCount:
        card.unblock_pin()
        return card.pin_count()

    credentials = call.security.credentials(call.context.origin)
    return PinTries.of(await call.run(work, credentials=credentials, repeat=False))


@router.post("/{reader:path}/card/pin/reload", responses=_PIN_PROBLEMS)
async def reload_pin(given: PinReloaded, call: CallOf) -> PinTries:
    """Set a new PIN with the authority's key."""
    new = _pin(given.new_pin)

    def work(card: SocialSecurityCard) -> PinCount:
        card.reload_pin(new)
        return card.pin_count()

    credentials = call.security.credentials(call.context.origin)
    return PinTries.of(await call.run(work, credentials=credentials, repeat=False))


def _pin(given: SecretStr) -> Pin:
    return Pin(given.get_secret_value())
