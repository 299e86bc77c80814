"""Calls of the national driver's functions: which reader, with which right, with what is opened, in how many steps."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from cardio.card import WHOLE_CARD_SECONDS, SocialSecurityCard
from cardio.driver_functions import CardFunction, DebitFunction, DriverArguments, DriverFunction, StepFunction
from cardio.errors import UsageError
from cardio.filesystem.address import Address
from cardio.readers.card_choice import Preference
from cardio.security.credentials import Credentials
from cardio.security.errors import StepError
from service.asking import Asking
from service.debits import Asked, DebitAnswer, DebitCalls
from service.desk import Desk
from service.desks import Desks
from service.readers.card_selection import CardSelection
from service.scopes import Caller, Scope
from service.security import BridgeSecurity

_BY_PIN = 1
_MOST_NAMED = 20


class DriverCalls:
    """One for the whole bridge: HTTP and the dialects call through it."""

    def __init__(
        self,
        desks: Desks,
        security: BridgeSecurity,
        debits: DebitCalls,
        selection: CardSelection | None = None,
        *,
        device_number: str = "",
    ) -> None:
        """Args: ``device_number`` is 终端设备号 as the site has set it; each reader's own without it."""
        self.selection = selection or CardSelection(desks)
        self._desks = desks
        self._device_number = device_number
        self._security = security
        self._debits = debits

    async def call(
        self,
        function: DriverFunction,
        given: DriverArguments,
        caller: Caller,
        asking: Asking,
        *,
        reader: str | None = None,
        seconds: float | None = None,
    ) -> tuple[str, str | None]:
        """Carries out one function; gives its output string, and the session of the card.

        Args: ``seconds`` is how long a function may take that changes nothing on the card; the others take their time.

        Raises:
            NoScopeError: the caller may not. CardioError: what hindered; `driver_codes.code_of` has its code.
        """
        caller.require(Scope(function.right))
        if isinstance(function, DebitFunction):
            done = await self.debit(function, given, caller, asking, reader=reader)
            return done.output, done.card_session
        asking = _named(asking, function, given)
        given = replace(given, deviceNumber=self._device_number)
        if isinstance(function, StepFunction):
            return await self._step(function, given, caller, asking, reader)

        def work(card: SocialSecurityCard) -> str:
            return function.work(card, given)

        credentials = self._credentials(function, given, caller)
        desk = await self._desk(given, asking, reader)
        limit = WHOLE_CARD_SECONDS if seconds is None or function.changes_card else seconds
        return await desk.do(work, asking, credentials=credentials, repeat=not function.changes_card, seconds=limit)

    async def debit(
        self,
        function: DebitFunction,
        given: DriverArguments,
        caller: Caller,
        asking: Asking,
        *,
        reader: str | None = None,
    ) -> DebitAnswer:
        """As `call`, and how the debit stands.

        Raises:
            DebitUnknownError: nobody knows yet whether money was taken.
        """
        caller.require(Scope(function.right))
        asking = _named(asking, function, given)
        asked = Asked(function, given, caller, asking, lambda: self._desk(given, asking, reader))
        if function.step == 2:
            return await self._debits.second_step(asked, self._held_for(asking, reader))
        return await self._debits.call(asked)

    async def _step(
        self, function: StepFunction, given: DriverArguments, caller: Caller, asking: Asking, reader: str | None
    ) -> tuple[str, str | None]:
        if not function.first:
            held = self._held_for(asking, reader)
            if held is None:
                raise StepError()
            return await held.with_held(lambda steps: function.work(steps, given), asking, credentials=None)
        desk = await self._desk(given, asking, reader)
        if function.right == "basic":
            credentials = await asyncio.to_thread(self._security.for_reading_steps, caller.origin)
        else:
            credentials = self._security.for_steps(caller.origin)
        return await desk.with_held(lambda steps: function.work(steps, given), asking, credentials=credentials)

    def _held_for(self, asking: Asking, reader: str | None) -> Desk | None:
        """The desk that holds a card for this caller; the named one first, for it may be between steps at two."""
        in_order = sorted(self._desks.all(), key=lambda one: one.reader.name != reader)
        return next((desk for desk in in_order if desk.holding.owner == asking.grant), None)

    def _credentials(self, function: CardFunction, given: DriverArguments, caller: Caller) -> Credentials | None:
        by_pin = function.right == "pin" or (given.iAuthType == _BY_PIN and function.right == "files")
        if not by_pin and function.right == "basic":
            return self._security.for_reading(caller.origin)
        if by_pin:
            caller.require(Scope.PIN)
        pin = caller.pin(given.pin) if by_pin else None
        on_pad = by_pin and pin is None and function.name not in ("iReloadPIN", "iUnblockPIN")
        return self._security.credentials(caller.origin, pin, accept_last_try=given.acceptLastTry, on_pad=on_pad)

    async def _desk(self, given: DriverArguments, asking: Asking, reader: str | None) -> Desk:
        return self._desks.desk(reader) if reader else await self.choose(given.iType, asking)

    async def choose(self, card_type: int, asking: Asking) -> Desk:
        """The reader that iType means, and the card that is meant where several are in.

        Raises:
            UsageError: there is no such iType.
            CardioError: as `CardSelection.choose` says.
        """
        if card_type not in set(Preference):
            raise UsageError(f"iType 应为 1 至 4，而不是 {card_type}", f"iType is 1 to 4, not {card_type}")
        return await self.selection.choose(Preference(card_type), asking)


def _named(asking: Asking, function: DriverFunction, given: DriverArguments) -> Asking:
    """With the function, and the files that it is about."""
    files: list[str] = []
    if given.pFileAddr:
        with suppress(UsageError):  # the function says so itself
            files = [part.file for part in Address.parse(given.pFileAddr).parts]
    return replace(asking, action=function.name, target=" ".join(files[:_MOST_NAMED]))
