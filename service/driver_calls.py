"""Calls of the national driver's functions: which reader, with which right, with what is opened, in how many steps."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace

from cardio.card import SocialSecurityCard
from cardio.driver_functions import CardFunction, DebitFunction, DriverArguments, DriverFunction, StepFunction
from cardio.errors import CardioError, NoReaderError, UsageError
from cardio.filesystem.address import Address
from cardio.security.credentials import Credentials
from cardio.security.errors import LastTryError, StepError
from service.asking import Asking
from service.audit import Touch
from service.clerk import Clerk, Supplement, subject_of
from service.debits import Asked, DebitAnswer, DebitCalls
from service.desk import Desk
from service.desks import Desks
from service.question_errors import last_try_without_clerk
from service.questions import QuestionBook
from service.scopes import Caller, Scope
from service.security import BridgeSecurity

_CONTACTLESS = re.compile(r"contactless|picc|nfc|非接|\bcl\b", re.IGNORECASE)
_CONTACT_ONLY, _CONTACTLESS_ONLY, CONTACT_FIRST, _CONTACTLESS_FIRST = 1, 2, 3, 4
_BY_PIN = 1
_MOST_NAMED = 20
_SAM_SLOT = re.compile(r"\bSAM\b|PSAM", re.IGNORECASE)


class DriverCalls:
    """One for the whole bridge: HTTP and the dialects call through it."""

    def __init__(self, desks: Desks, security: BridgeSecurity, debits: DebitCalls, questions: QuestionBook) -> None:
        self._desks = desks
        self._questions = questions
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

        What only a person can give, the clerk is asked for at the bridge's own page.

        Args: ``seconds`` is how long the caller waits; None where it says nothing of it.

        Raises:
            NoScopeError: the caller may not. CardioError: what hindered; `driver_codes.code_of` has its code.
        """
        caller.require(Scope(function.right))
        if isinstance(function, DebitFunction):
            done = await self.debit(function, given, caller, asking, reader=reader)
            return done.output, done.card_session
        asking = _named(asking, function, given)
        if isinstance(function, StepFunction):
            return await self._step(function, given, caller, asking, reader, seconds)
        desk = self._desk(given, reader)
        brought = self._credentials(function, given, caller)

        async def attempt(added: Supplement, asking: Asking, touch: Touch) -> tuple[str, str | None]:
            whole, credentials = supplemented(given, added), brought
            if credentials is not None and added != Supplement():
                credentials = credentials.with_consent(added.accept_last_try).with_pin(added.entered.pin)

            def work(card: SocialSecurityCard) -> str:
                return function.work(card, whole)

            repeat = not function.changes_card
            return await desk.do(work, asking, credentials=credentials, repeat=repeat, touch=touch)

        return await Clerk(self._questions, desk, caller, asking, seconds).help(attempt)

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
        if function.step == 2:
            asked = Asked(function, given, caller, asking, lambda: self._desk(given, reader))
            return await self._debits.second_step(asked, self._held_for(asking, reader))
        return await self._debit_with_consent(function, given, caller, asking, reader)

    async def _debit_with_consent(
        self, function: DebitFunction, given: DriverArguments, caller: Caller, asking: Asking, reader: str | None
    ) -> DebitAnswer:
        """A debit that stops at the last try is over: the consent that it asks for counts for the next one."""
        with_consent = given
        with suppress(CardioError):  # the debit says so itself, or needs no card at all
            desk = self._desk(given, reader)
            subject = subject_of(desk, caller, asking, asking.card_session or desk.card_session)
            if self._questions.consented(subject):
                with_consent = replace(given, acceptLastTry=True)
        try:
            return await self._debits.call(
                Asked(function, with_consent, caller, asking, lambda: self._desk(given, reader))
            )
        except LastTryError as error:
            self._questions.leave(subject)
            raise last_try_without_clerk(self._questions.page) from error

    async def _step(
        self,
        function: StepFunction,
        given: DriverArguments,
        caller: Caller,
        asking: Asking,
        reader: str | None,
        seconds: float | None,
    ) -> tuple[str, str | None]:
        if not function.first:
            held = self._held_for(asking, reader)
            if held is None:
                raise StepError()
            return await held.with_held(lambda steps: function.work(steps, given), asking, credentials=None)
        desk = self._desk(given, reader)
        credentials = self._security.for_steps(caller.origin)

        async def attempt(added: Supplement, asking: Asking, touch: Touch) -> tuple[str, str | None]:
            whole = supplemented(given, added)
            return await desk.with_held(lambda steps: function.work(steps, whole), asking, credentials=credentials)

        return await Clerk(self._questions, desk, caller, asking, seconds).help(attempt)

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

    def _desk(self, given: DriverArguments, reader: str | None) -> Desk:
        return self._desks.desk(reader) if reader else self.choose(given.iType)

    def choose(self, card_type: int) -> Desk:
        """The reader that iType means, one with a card in it first.

        Raises:
            UsageError: there is no such iType.
            NoReaderError: there is no reader of this kind.
        """
        if not _CONTACT_ONLY <= card_type <= _CONTACTLESS_FIRST:
            raise UsageError(f"iType 应为 1 至 4，而不是 {card_type}", f"iType is 1 to 4, not {card_type}")
        desks = [desk for desk in self._desks.all() if not _SAM_SLOT.search(desk.reader.name)]
        contactless = [desk for desk in desks if _CONTACTLESS.search(desk.reader.name)]
        contact = [desk for desk in desks if desk not in contactless]
        in_order = {
            _CONTACT_ONLY: contact,
            _CONTACTLESS_ONLY: contactless,
            CONTACT_FIRST: contact + contactless,
            _CONTACTLESS_FIRST: contactless + contact,
        }[card_type]
        if not in_order:
            raise NoReaderError()
        return next((desk for desk in in_order if desk.card_session is not None), in_order[0])


def supplemented(given: DriverArguments, added: Supplement) -> DriverArguments:
    """The arguments of a call, with the new PIN that the holder has entered."""
    new = added.entered.new_pin
    return given if new is None else replace(given, newPin=new.digits)


def _named(asking: Asking, function: DriverFunction, given: DriverArguments) -> Asking:
    """With the function, and the files that it is about."""
    files: list[str] = []
    if given.pFileAddr:
        with suppress(UsageError):  # the function says so itself
            files = [part.file for part in Address.parse(given.pFileAddr).parts]
    return replace(asking, action=function.name, target=" ".join(files[:_MOST_NAMED]))
