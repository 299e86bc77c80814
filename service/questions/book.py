"""The questions to the clerk at the counter: shown on the bridge's own page, for a call that waits for the answer.

A question ends with its card session, with its caller, or with its time. The entered data go only to the waiting call:
no event, no log and no list holds a PIN.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from cardio.errors import CardChangedError, ReaderBusyError
from cardio.security.errors import PinEntryCancelledError, PinEntryTimeoutError
from cardio.security.pin.pin import Pin
from service.events.hub import EventHub
from service.questions.errors import ConsentDeclinedError, ConsentTimeoutError, QuestionGoneError
from service.readers.errors import StoppingError

ANSWER_SECONDS = 60.0
"""The lifetime of a question, and of a consent whose call has ended meanwhile."""
_MOST_OPEN = 16
ASKED, ANSWERED = "question-asked", "question-answered"
_OF_CARDS = frozenset({"card-inserted", "card-removed", "card-mute", "reader-removed"})
Field = Literal["pin", "new_pin"]
Wants = tuple[Field, ...]


class QuestionKind(StrEnum):
    LAST_TRY = "last-try"
    """The question whether the holder consents to use the last try of the PIN."""
    PIN = "pin"
    """The request for the holder's PIN, the new PIN, or both, if there is no PIN pad."""


class QuestionOutcome(StrEnum):
    YES = "yes"
    NO = "no"
    CARD_GONE = "card-gone"
    CALLER_GONE = "caller-gone"
    TIMED_OUT = "timed-out"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Entered:
    """The PINs that the holder entered at the bridge's page."""

    pin: Pin | None = field(default=None, repr=False)
    new_pin: Pin | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a question: the caller, the function and the card."""

    grant: str
    caller: str
    """The name of the caller for the clerk."""
    function: str
    reader: str
    card_session: str | None


@dataclass(slots=True, repr=False)
class Question:
    """One open question."""

    id: str
    kind: QuestionKind
    subject: Subject
    wants: Wants
    ends: float
    outcome: asyncio.Future[QuestionOutcome]
    expiry: asyncio.TimerHandle
    entered: Entered = field(default_factory=Entered)
    """The entered PINs, which the waiting call takes once."""


class QuestionBook:
    """All open questions, in memory. Everything here runs on the event loop."""

    def __init__(self, hub: EventHub, *, page: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare a book without questions.

        Args:
            hub: the hub of the events.
            page: the address of the page where questions are answered.
            clock: the seconds of a monotonic clock.
        """
        self._hub = hub
        self._clock = clock
        self._open: dict[str, Question] = {}
        self._consents: dict[tuple[str, str, str | None], float] = {}
        self.page = page
        hub.on_published.append(self._published)
        hub.on_closed.append(self._stop)

    @property
    def has_clerk(self) -> bool:
        """Return True if a page that shows questions is open."""
        return self._hub.clerks > 0

    def all(self) -> list[Question]:
        """Return the open questions, the oldest first."""
        return list(self._open.values())

    def seconds_left(self, question: Question) -> int:
        return max(0, round(question.ends - self._clock()))

    # -- asking ---------------------------------------------------------------------------------

    async def consent(self, subject: Subject, seconds: float, gone: asyncio.Future[None] | None) -> None:
        """Wait until the clerk says that the holder consents to use the last try.

        The question outlives a call whose time is over: a consent that is given then is valid for the next call.

        Args:
            subject: the subject of the question.
            seconds: the time limit of the call.
            gone: a future that is done when the caller has left.

        Raises:
            ConsentDeclinedError: the clerk says no.
            ConsentTimeoutError: there was no answer in time.
            CardChangedError: the card has left.
            StoppingError: the service stops.
        """
        if self.consume_consent(subject):
            return
        question = self._asked(QuestionKind.LAST_TRY, subject) or self._ask(QuestionKind.LAST_TRY, subject, ())
        outcome = await self._wait(question, seconds, gone)
        if outcome is None:
            raise ConsentTimeoutError.with_page(self.page)
        self._refuse(outcome, ConsentDeclinedError(), ConsentTimeoutError.with_page(self.page))
        if not self.consume_consent(subject):  # another call of this caller has used it
            raise ConsentTimeoutError.with_page(self.page)

    async def pins(self, subject: Subject, wants: Wants, seconds: float, gone: asyncio.Future[None] | None) -> Entered:
        """Wait until the holder has entered the PINs at the bridge's page; return them.

        Args:
            subject: the subject of the question.
            wants: the PINs to enter.
            seconds: the time limit of the call.
            gone: a future that is done when the caller has left.

        Raises:
            PinEntryCancelledError: the clerk has cancelled the entry.
            PinEntryTimeoutError: nothing was entered in time.
            CardChangedError: the card has left.
            ReaderBusyError: another entry is waited for at this reader.
        """
        if any(one.kind is QuestionKind.PIN and one.subject.reader == subject.reader for one in self._open.values()):
            raise ReaderBusyError(
                "读卡台正在等待另一次密码输入", "the counter's page is already waiting for another entry"
            )
        question = self._ask(QuestionKind.PIN, subject, wants)
        try:
            outcome = await self._wait(question, seconds, gone)
        finally:
            self._close(question, QuestionOutcome.TIMED_OUT)  # the entry is for this call, and for no later one
        cancelled = PinEntryCancelledError(
            "读卡台页面上取消了密码输入", "the entry was cancelled at the counter's page"
        )
        late = PinEntryTimeoutError(
            f"没有在读卡台页面 {self.page} 上及时输入密码", f"nothing was entered in time at {self.page}"
        )
        self._refuse(outcome or QuestionOutcome.TIMED_OUT, cancelled, late)
        entered, question.entered = question.entered, Entered()
        return entered

    def ask_for_next_call(self, subject: Subject) -> None:
        """Ask for consent without waiting: it is valid for the next call of this caller to this card."""
        if self._asked(QuestionKind.LAST_TRY, subject) is None:
            self._ask(QuestionKind.LAST_TRY, subject, ())

    def consume_consent(self, subject: Subject) -> bool:
        """Use up a consent; return False if there is none."""
        until = self._consents.pop(_key(subject), None)
        return until is not None and self._clock() < until

    def has_consent_of(self, grant: str) -> bool:
        """Return True if there is a consent for any card of this caller's."""
        return any(key[0] == grant for key in self._consents)

    # -- answering ------------------------------------------------------------------------------

    def answer(self, question_id: str, *, yes: bool, entered: Entered) -> Question:
        """Record the clerk's answer.

        Raises:
            QuestionGoneError: the question is not open any more.
        """
        question = self.find(question_id)
        if yes and question.kind is QuestionKind.LAST_TRY:
            self._consents[_key(question.subject)] = self._clock() + ANSWER_SECONDS
        question.entered = entered
        self._close(question, QuestionOutcome.YES if yes else QuestionOutcome.NO)
        return question

    def find(self, question_id: str) -> Question:
        """Return an open question.

        Raises:
            QuestionGoneError: the question is not open any more.
        """
        question = self._open.get(question_id)
        if question is None:
            raise QuestionGoneError()
        return question

    def drop_grant(self, grant: str) -> None:
        """End the questions and the consents of a caller whose grant was revoked."""
        for question in self.all():
            if question.subject.grant == grant:
                self._close(question, QuestionOutcome.CALLER_GONE)
        self._consents = {key: until for key, until in self._consents.items() if key[0] != grant}

    # -- the life of a question -----------------------------------------------------------------

    def _asked(self, kind: QuestionKind, subject: Subject) -> Question | None:
        """Return the open question of this kind from this caller about this card; None if there is none."""
        same = (one for one in self._open.values() if one.kind is kind and _key(one.subject) == _key(subject))
        return next(same, None)

    def _ask(self, kind: QuestionKind, subject: Subject, wants: Wants) -> Question:
        if len(self._open) >= _MOST_OPEN:
            raise ReaderBusyError("读卡台上等待答复的问题过多", "too many questions wait for an answer at the counter")
        loop = asyncio.get_running_loop()
        question_id = secrets.token_hex(8)

        def expire() -> None:
            self._close(question, QuestionOutcome.TIMED_OUT)

        question = Question(
            question_id, kind, subject, wants, self._clock() + ANSWER_SECONDS,
            loop.create_future(), loop.call_later(ANSWER_SECONDS, expire),
        )  # fmt: skip
        self._open[question_id] = question
        self._hub.publish(ASKED, self.describe(question), subject=subject.reader)
        return question

    def describe(self, question: Question) -> dict[str, Any]:
        """Return the data of a question for events and lists, without anything about the holder."""
        subject = question.subject
        return {
            "question": question.id,
            "kind": question.kind.value,
            "wants": list(question.wants),
            "reader": subject.reader,
            "card_session": subject.card_session,
            "caller": subject.caller,
            "function": subject.function,
            "seconds_left": self.seconds_left(question),
        }

    async def _wait(
        self, question: Question, seconds: float, gone: asyncio.Future[None] | None
    ) -> QuestionOutcome | None:
        """Return the outcome of the question; None if it is still open and the call's time is over."""
        ends: set[asyncio.Future[Any]] = {question.outcome}
        if gone is not None:
            ends.add(gone)
        await asyncio.wait(ends, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        if not question.outcome.done() and gone is not None and gone.done():
            self._close(question, QuestionOutcome.CALLER_GONE)
        return question.outcome.result() if question.outcome.done() else None

    def _close(self, question: Question, outcome: QuestionOutcome) -> None:
        question.expiry.cancel()
        if self._open.pop(question.id, None) is None:
            return
        question.outcome.set_result(outcome)
        data = {"question": question.id, "kind": question.kind.value, "reader": question.subject.reader}
        self._hub.publish(ANSWERED, {**data, "outcome": outcome.value}, subject=question.subject.reader)

    def _published(self, kind: str, data: Mapping[str, Any]) -> None:
        """Close the questions about a card that has left: their answers are of no use."""
        if kind not in _OF_CARDS:
            return
        reader = data.get("reader")
        for question in self.all():
            if question.subject.reader == reader:
                self._close(question, QuestionOutcome.CARD_GONE)
        self._consents = {key: until for key, until in self._consents.items() if key[1] != reader}

    def _stop(self) -> None:
        """Close all questions because the service stops."""
        for question in self.all():
            self._close(question, QuestionOutcome.STOPPED)

    def _refuse(self, outcome: QuestionOutcome, declined: Exception, late: Exception) -> None:
        match outcome:
            case QuestionOutcome.NO | QuestionOutcome.CALLER_GONE:
                raise declined
            case QuestionOutcome.TIMED_OUT:
                raise late
            case QuestionOutcome.CARD_GONE:
                raise CardChangedError()
            case QuestionOutcome.STOPPED:
                raise StoppingError()


def _key(subject: Subject) -> tuple[str, str, str | None]:
    return subject.grant, subject.reader, subject.card_session
