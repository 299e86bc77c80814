"""Questions to the clerk at the counter: shown on the bridge's own page, for a call that waits for the answer.

A question dies with its card session, with its caller, or with its time. What is entered goes to the waiting call and
nowhere else: no event, no log and no list holds a PIN.
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
"""How long a question stands, and how long a consent counts whose call has ended meanwhile."""
_MOST_OPEN = 16
ASKED, ANSWERED = "question-asked", "question-answered"
_OF_CARDS = frozenset({"card-inserted", "card-removed", "card-mute", "reader-removed"})
Field = Literal["pin", "new_pin"]
Wants = tuple[Field, ...]


class QuestionKind(StrEnum):
    LAST_TRY = "last-try"
    """Does the holder consent to spend the last try of the PIN?"""
    PIN = "pin"
    """The holder's PIN, the new one, or both: where there is no key pad to enter it on."""


class QuestionOutcome(StrEnum):
    YES = "yes"
    NO = "no"
    CARD_GONE = "card-gone"
    CALLER_GONE = "caller-gone"
    TIMED_OUT = "timed-out"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Entered:
    """What the holder entered at the bridge's page."""

    pin: Pin | None = field(default=None, repr=False)
    new_pin: Pin | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a question is about: who asks, with which function, at which card."""

    grant: str
    caller: str
    """What the clerk is told of who asks."""
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
    """Taken by the waiting call, and then no more."""


class QuestionBook:
    """All open questions, in memory. Everything here runs on the event loop."""

    def __init__(self, hub: EventHub, *, page: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        """Args: ``page`` is the address of the page where questions are answered."""
        self._hub = hub
        self._clock = clock
        self._open: dict[str, Question] = {}
        self._consents: dict[tuple[str, str, str | None], float] = {}
        self.page = page
        hub.on_published.append(self._published)
        hub.on_closed.append(self._stop)

    @property
    def has_clerk(self) -> bool:
        """A page is open that shows questions."""
        return self._hub.clerks > 0

    def all(self) -> list[Question]:
        """The open questions, the oldest first."""
        return list(self._open.values())

    def seconds_left(self, question: Question) -> int:
        return max(0, round(question.ends - self._clock()))

    # -- asking ---------------------------------------------------------------------------------

    async def consent(self, subject: Subject, seconds: float, gone: asyncio.Future[None] | None) -> None:
        """Wait until the clerk says that the holder consents to spend the last try.

        The question outlives a call whose time is over: a consent that is given then counts for the next call.

        Raises:
            ConsentDeclinedError: the clerk says no.
            ConsentTimeoutError: no answer in time.
            CardChangedError: the card has left. StoppingError: the service stops.
        """
        if self.take_consent(subject):
            return
        question = self._asked(QuestionKind.LAST_TRY, subject) or self._ask(QuestionKind.LAST_TRY, subject, ())
        outcome = await self._wait(question, seconds, gone)
        if outcome is None:
            raise ConsentTimeoutError.at(self.page)
        self._refuse(outcome, ConsentDeclinedError(), ConsentTimeoutError.at(self.page))
        if not self.take_consent(subject):  # another call of this caller had it
            raise ConsentTimeoutError.at(self.page)

    async def pins(self, subject: Subject, wants: Wants, seconds: float, gone: asyncio.Future[None] | None) -> Entered:
        """Wait until the holder has entered what is wanted at the bridge's page.

        Raises:
            PinEntryCancelledError, PinEntryTimeoutError: nothing was entered.
            CardChangedError: the card has left.
            ReaderBusyError: another entry is being waited for at this reader.
        """
        if any(one.kind is QuestionKind.PIN and one.subject.reader == subject.reader for one in self._open.values()):
            raise ReaderBusyError("读卡台正在等待另一次密码输入", "the counter's page waits for another entry already")
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
        """Ask for consent without waiting: it counts for the next call of this caller to this card."""
        if self._asked(QuestionKind.LAST_TRY, subject) is None:
            self._ask(QuestionKind.LAST_TRY, subject, ())

    def take_consent(self, subject: Subject) -> bool:
        """Use a consent up that is at hand; False: there is none."""
        until = self._consents.pop(_key(subject), None)
        return until is not None and self._clock() < until

    def has_consent_of(self, grant: str) -> bool:
        """Return whether a consent is at hand for any card of this caller's."""
        return any(key[0] == grant for key in self._consents)

    # -- answering ------------------------------------------------------------------------------

    def answer(self, question_id: str, *, yes: bool, entered: Entered) -> Question:
        """The clerk's answer. Raises: QuestionGoneError: the question is not open any more."""
        question = self.find(question_id)
        if yes and question.kind is QuestionKind.LAST_TRY:
            self._consents[_key(question.subject)] = self._clock() + ANSWER_SECONDS
        question.entered = entered
        self._close(question, QuestionOutcome.YES if yes else QuestionOutcome.NO)
        return question

    def find(self, question_id: str) -> Question:
        """Raises: QuestionGoneError: it is not open any more."""
        question = self._open.get(question_id)
        if question is None:
            raise QuestionGoneError()
        return question

    def drop_grant(self, grant: str) -> None:
        """A caller is let in no more: its questions die, and its consents."""
        for question in self.all():
            if question.subject.grant == grant:
                self._close(question, QuestionOutcome.CALLER_GONE)
        self._consents = {key: until for key, until in self._consents.items() if key[0] != grant}

    # -- the life of a question -----------------------------------------------------------------

    def _asked(self, kind: QuestionKind, subject: Subject) -> Question | None:
        """The question that this caller has asked of this card already."""
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
        self._hub.publish(ASKED, self.shown(question), subject=subject.reader)
        return question

    def shown(self, question: Question) -> dict[str, Any]:
        """Return what events and lists tell of a question: nothing of the holder."""
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
        """Return how the question ended; None: it is still open, and the call's time is over."""
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
        """What happens at the readers: a question about a card that has left is of no use to anybody."""
        if kind not in _OF_CARDS:
            return
        reader = data.get("reader")
        for question in self.all():
            if question.subject.reader == reader:
                self._close(question, QuestionOutcome.CARD_GONE)
        self._consents = {key: until for key, until in self._consents.items() if key[1] != reader}

    def _stop(self) -> None:
        """The service stops, and waits for no clerk."""
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
