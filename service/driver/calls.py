"""The calls of the national driver's functions: their reader, their right, their keys, and their steps."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from cardio.card.social_security_card import WHOLE_CARD_SECONDS, SocialSecurityCard
from cardio.driver.functions import CardFunction, DebitFunction, DriverArguments, DriverFunction, StepFunction
from cardio.driver.hsm_steps import HsmSteps
from cardio.errors import CardioError, UsageError
from cardio.filesystem.address import Address
from cardio.models.reading import Proof
from cardio.readers.card_choice import Preference
from cardio.security.credentials import Credentials
from cardio.security.errors import LastTryError, StepError
from service.audit.recorder import CardUse
from service.debits.service import DebitAnswer, DebitService
from service.driver.debits import call_debit, finish_debit, output_of
from service.gate.context import RequestContext
from service.gate.scopes import Caller, Scope
from service.questions.book import QuestionBook
from service.questions.clerk import Clerk, Supplement, subject_of
from service.questions.errors import last_try_without_clerk
from service.readers.card_selection import CardSelection
from service.readers.managed_reader import ManagedReader
from service.readers.registry import ReaderRegistry
from service.security import SecurityContext

_BY_PIN = 1
_MOST_NAMED = 20


class DriverOutput(NamedTuple):
    """The output of a function, with data about the card for which the interface's string has no place."""

    output: str
    card_session: str | None
    proof: Proof | None
    """The proof that the card is genuine; None if no card was needed."""


class DriverService:
    """The driver's functions, one object for the whole bridge; HTTP and the dialects call through it."""

    def __init__(
        self,
        registry: ReaderRegistry,
        security: SecurityContext,
        debits: DebitService,
        questions: QuestionBook,
        selection: CardSelection | None = None,
        *,
        device_number: str = "",
    ) -> None:
        """Prepare the calls.

        Args:
            desks: the readers of the bridge.
            security: the keys of this site.
            debits: the service for debits.
            questions: the questions to the clerk.
            selection: the choice of a reader for calls that name none.
            device_number: 终端设备号 as the site has set it; empty for each reader's own.
        """
        self.selection = selection or CardSelection(registry)
        self._registry = registry
        self._device_number = device_number
        self._questions = questions
        self._security = security
        self._debits = debits

    async def call(
        self,
        function: DriverFunction,
        given: DriverArguments,
        context: RequestContext,
        *,
        reader: str | None = None,
        seconds: float | None = None,
    ) -> DriverOutput:
        """Carry out one function; return its output string, the session of the card, and the proof of the card.

        If only a person can give something, the bridge's own page asks the clerk for it.

        Args:
            function: the function.
            given: its arguments.
            context: the caller's request.
            reader: the full name of the reader; None to choose one by iType.
            seconds: the time that the caller waits; None if the caller does not say. A function that changes the card
                takes its own time all the same.

        Raises:
            NoScopeError: the caller has not the right to call it.
            CardioError: the obstacle; `return_codes.code_of` has its code.
        """
        context.caller.require(Scope(function.right))
        if isinstance(function, DebitFunction):
            done = await self.debit(function, given, context, reader=reader)
            # A debit that is asked for again by its key gets the same answer, and then without its card.
            return DriverOutput(output_of(done), done.card_session, None)
        context = _named(context, function, given)
        given = replace(given, deviceNumber=self._device_number)
        if isinstance(function, StepFunction):
            return await self._step(function, given, context, reader, seconds)
        managed = await self._managed(given, context, reader)
        context = _at(managed, function, context)
        brought = self._credentials(
            function, given, context.caller, self._security.for_reader(simulated=managed.reader.simulated)
        )

        async def attempt(added: Supplement, context: RequestContext, card_use: CardUse) -> DriverOutput:
            whole, credentials = supplemented(given, added), brought
            if credentials is not None and added != Supplement():
                credentials = credentials.with_consent(added.accept_last_try).with_pin(added.entered.pin)

            def work(card: SocialSecurityCard) -> tuple[str, Proof]:
                return function.work(card, whole), card.proof

            repeat = not function.changes_card
            limit = WHOLE_CARD_SECONDS if seconds is None or function.changes_card else seconds
            done, session = await managed.run(
                work, context, credentials=credentials, repeat=repeat, card_use=card_use, seconds=limit
            )
            return DriverOutput(done[0], session, done[1])

        return await Clerk(self._questions, managed, context, seconds).help(attempt)

    async def debit(
        self,
        function: DebitFunction,
        given: DriverArguments,
        context: RequestContext,
        *,
        reader: str | None = None,
    ) -> DebitAnswer:
        """Carry out a debit function as `call`; return also the state of the debit.

        Raises:
            DebitUnknownError: it is not known yet whether money was taken.
            CardioError: the errors of `call`.
        """
        context.caller.require(Scope(function.right))
        context = _named(context, function, given)
        used: list[ManagedReader] = []

        async def managed() -> ManagedReader:
            found = await self._managed(given, context, reader)
            _at(found, function, context).caller.pin(given.pin)
            used.append(found)
            return found

        if function.step == 2:
            held = self._held_for(context, reader)
            return await finish_debit(self._debits, given, context, managed, held)
        if self._questions.has_consent_of(context.caller.grant):
            with suppress(CardioError):  # the debit itself reports the error, or needs no card at all
                given = self._with_consent(given, context, await managed())
        try:
            return await call_debit(self._debits, function, given, context, managed)
        except LastTryError as error:
            # This debit is over: the consent that is asked for now is valid for the next one.
            if used:
                self._questions.ask_for_next_call(subject_of(used[-1], context, used[-1].card_session))
            raise last_try_without_clerk(self._questions.page) from error

    def _with_consent(self, given: DriverArguments, context: RequestContext, managed: ManagedReader) -> DriverArguments:
        """Return the arguments of a debit, with the consent to the last try if it was given for this card."""
        consented = self._questions.consume_consent(subject_of(managed, context, managed.card_session))
        return replace(given, acceptLastTry=True) if consented else given

    async def _step(
        self,
        function: StepFunction,
        given: DriverArguments,
        context: RequestContext,
        reader: str | None,
        seconds: float | None,
    ) -> DriverOutput:
        def step(steps: HsmSteps, given: DriverArguments) -> tuple[str, Proof]:
            return function.work(steps, given), steps.card.proof

        if not function.first:
            held = self._held_for(context, reader)
            if held is None:
                raise StepError()
            _at(held, function, context)
            done, session = await held.run_step(lambda steps: step(steps, given), context, credentials=None)
            return DriverOutput(done[0], session, done[1])
        managed = await self._managed(given, context, reader)
        _at(managed, function, context)
        security = self._security.for_reader(simulated=managed.reader.simulated)
        if function.right == "basic":
            credentials = await asyncio.to_thread(security.for_reading_steps, context.origin)
        else:
            credentials = security.for_steps(context.origin)

        async def attempt(added: Supplement, context: RequestContext, card_use: CardUse) -> DriverOutput:
            whole = supplemented(given, added)
            done, session = await managed.run_step(lambda steps: step(steps, whole), context, credentials=credentials)
            return DriverOutput(done[0], session, done[1])

        return await Clerk(self._questions, managed, context, seconds).help(attempt)

    def _held_for(self, context: RequestContext, reader: str | None) -> ManagedReader | None:
        """Return the reader that holds a card for this caller; the named one first, because the caller may hold two."""
        in_order = sorted(self._registry.all(), key=lambda one: one.reader.name != reader)
        return next((managed for managed in in_order if managed.holding.owner == context.grant), None)

    def _credentials(
        self, function: CardFunction, given: DriverArguments, caller: Caller, security: SecurityContext
    ) -> Credentials | None:
        by_pin = function.right == "pin" or (given.iAuthType == _BY_PIN and function.right == "files")
        if not by_pin and function.right == "basic":
            return security.for_reading(caller.origin)
        if by_pin:
            caller.require(Scope.PIN)
        pin = caller.pin(given.pin) if by_pin else None
        on_pad = by_pin and pin is None and function.name not in ("iReloadPIN", "iUnblockPIN")
        return security.credentials(caller.origin, pin, accept_last_try=given.acceptLastTry, on_pad=on_pad)

    async def _managed(self, given: DriverArguments, context: RequestContext, reader: str | None) -> ManagedReader:
        return self._registry.managed(reader) if reader else await self.choose(given.iType, context)

    async def choose(self, card_type: int, context: RequestContext) -> ManagedReader:
        """Return the reader that iType means; if several cards are in, the reader of the meant card.

        Raises:
            UsageError: there is no such iType.
            CardioError: the errors of `CardSelection.choose`.
        """
        if card_type not in set(Preference):
            raise UsageError(f"iType 应为 1 至 4，而不是 {card_type}", f"iType is 1 to 4, not {card_type}")
        return await self.selection.choose(Preference(card_type), context)


def _at(managed: ManagedReader, function: DriverFunction, context: RequestContext) -> RequestContext:
    """Return the request with the caller's rights that count at this reader.

    Raises:
        NoScopeError: the caller may not call this function there.
    """
    narrowed = context.for_reader(simulated=managed.reader.simulated)
    narrowed.caller.require(Scope(function.right))
    return narrowed


def supplemented(given: DriverArguments, added: Supplement) -> DriverArguments:
    """Return the arguments of a call, with the new PIN that the holder has entered."""
    new = added.entered.new_pin
    return given if new is None else replace(given, newPin=new.digits)


def _named(context: RequestContext, function: DriverFunction, given: DriverArguments) -> RequestContext:
    """Return the context with the name of the function, and the files that it reads or changes."""
    files: list[str] = []
    if given.pFileAddr:
        with suppress(UsageError):  # the function itself reports the error
            files = [part.file for part in Address.parse(given.pFileAddr).parts]
    return replace(context, action=function.name, target=" ".join(files[:_MOST_NAMED]))
