"""The verification of a card and of its holder."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import Field

from cardio.identity.identify import identify
from cardio.identity.model import Verdict
from cardio.models.base import FrozenModel
from cardio.security.pin.pin import Pin
from service.gate.scopes import Scope
from service.routes.dependencies import CallOf, require_scope
from service.routes.pin import Digits
from service.routes.readers import CARD_PROBLEMS

router = APIRouter(prefix="/v1/readers", tags=["verification"], dependencies=[require_scope(Scope.BASIC)])


class VerificationAsked(FrozenModel):
    pin: Digits | None = Field(default=None, description="proves the holder; takes the scope `pin`")
    accept_last_try: bool = False


@router.post("/{reader:path}/card/verification", responses=CARD_PROBLEMS)
async def verify_card(asked: VerificationAsked, call: CallOf) -> Verdict:
    """Return every check by itself (passed, failed, or not done and why), and one verdict by the site's policy."""
    pin = None
    if asked.pin is not None:
        call.context.caller.require(Scope.PIN)
        pin = Pin(asked.pin.get_secret_value())
    credentials = call.security.credentials(call.context.origin, pin, accept_last_try=asked.accept_last_try)
    loss_list = await asyncio.to_thread(call.security.loss_list)
    now = datetime.now(UTC).astimezone()
    return await call.run(
        lambda card: identify(card, call.security.policy, loss_list, now), credentials=credentials, repeat=pin is None
    )
