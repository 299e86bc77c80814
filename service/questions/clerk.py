"""The help of a person for driver functions: the PIN, a new PIN, or consent to use its last try.

Hospital software has no argument for these, and often no PIN pad. So the bridge's own page asks, and the call waits.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from cardio.security.errors import LastTryError, NoPinPadError
from service.audit.recorder import CardUse
from service.gate.context import RequestContext
from service.questions.book import ANSWER_SECONDS, Entered, QuestionBook, Subject, Wants
from service.questions.errors import last_try_without_clerk, no_place_for_pin
from service.readers.managed_reader import ManagedReader

_WORK_SECONDS = 2.0
"""The part of the caller's time that is reserved for the work after the answer."""
_PLACES = 3
"""The number of times that a call is begun: without help, with the entered PINs, with consent."""
_WANTED: dict[str, Wants] = {
    "iChangePIN": ("pin", "new_pin"),
    "iReloadPIN": ("new_pin",),
    "iReloadPIN_HSM_Step1": ("new_pin",),
}
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Supplement:
    """The data that the clerk or the holder has added to a call."""

    entered: Entered = field(default_factory=Entered)
    accept_last_try: bool = False


Attempt = Callable[[Supplement, RequestContext, CardUse], Awaitable[Result]]


class Clerk:
    """The help for one call."""

    def __init__(
        self,
        book: QuestionBook,
        managed: ManagedReader,
        context: RequestContext,
        seconds: float | None = None,
    ) -> None:
        """Prepare the help for a call.

        Args:
            book: the questions.
            desk: the reader.
            context: the caller's request.
            seconds: the time that the caller waits; None if the caller does not say.
        """
        self._book = book
        self._managed = managed
        self._context = context
        limit = ANSWER_SECONDS if seconds is None else min(ANSWER_SECONDS, seconds - _WORK_SECONDS)
        self._ends = time.monotonic() + limit

    async def help(self, attempt: Attempt[Result]) -> Result:
        """Make the call. If it needs a person's answer, ask for it and make the call again with the answer.

        The call had sent nothing when it stopped, so no PIN is ever sent twice.

        Raises:
            CardioError: the errors of the call, of `QuestionBook.consent` and of `QuestionBook.pins`.
        """
        supplement, context = Supplement(), self._context
        for _ in range(_PLACES - 1):
            card_use = CardUse()
            try:
                return await attempt(supplement, context, card_use)
            except NoPinPadError as error:
                if supplement.entered != Entered():
                    raise
                subject = self._subject(card_use)
                supplement = replace(supplement, entered=await self._enter(subject, error))
            except LastTryError as error:
                if supplement.accept_last_try:
                    raise
                subject = self._subject(card_use)
                await self._consent(subject, error)
                supplement = replace(supplement, accept_last_try=True)
            # The answer was given for this card, and for no other.
            context = replace(context, card_session=subject.card_session)
        return await attempt(supplement, context, CardUse())

    def _subject(self, card_use: CardUse) -> Subject:
        """Return the subject of the question, with the card that the call has used."""
        session = card_use.card_session or self._context.card_session or self._managed.card_session
        return subject_of(self._managed, self._context, session)

    async def _enter(self, subject: Subject, error: NoPinPadError) -> Entered:
        if not self._book.has_clerk:
            raise no_place_for_pin(self._book.page) from error
        wants = _WANTED.get(self._context.action, ("pin",))
        return await self._book.pins(subject, wants, self._left, self._context.gone)

    async def _consent(self, subject: Subject, error: LastTryError) -> None:
        if self._book.consume_consent(subject):
            return
        if not self._book.has_clerk:
            self._book.ask_for_next_call(subject)
            raise last_try_without_clerk(self._book.page) from error
        await self._book.consent(subject, self._left, self._context.gone)

    @property
    def _left(self) -> float:
        return self._ends - time.monotonic()


def subject_of(managed: ManagedReader, context: RequestContext, card_session: str | None) -> Subject:
    caller = context.caller
    return Subject(caller.grant, caller.label, context.action, managed.reader.name, card_session)
