"""Debits at the readers: each has a key, the journal knows its state, and the card is debited at most once.

Amounts and cards come typed; `service.driver.debits` converts the strings of the national interface.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from cardio.card.social_security_card import SocialSecurityCard
from cardio.debits.errors import DebitOpenError, DebitUnknownError
from cardio.debits.execution import DEFAULT_LIMITS, recording_abort
from cardio.debits.lifecycle import debit_or_recover, error_for_debit, requires_card, resolve_open_debit
from cardio.debits.limits import DebitLimits
from cardio.debits.record import DebitRecord
from cardio.debits.recovery import recover
from cardio.debits.transaction import BEFORE_SENT, UNBOOKED_STATES, UNRESOLVED, DebitEntry, DebitOrder
from cardio.driver.hsm_steps import HsmSteps
from cardio.errors import CardioError
from cardio.models.reading import Proof
from cardio.readers.supervision import Supervisor
from cardio.security.errors import StepError
from service.debits.delivery.receipts import DebitReceipts, ReportedOutcome
from service.debits.errors import JournalUnavailableError, NoIdempotencyKeyError
from service.debits.journal import Journal
from service.debits.journal_file.entry import JournalEntry
from service.debits.provider import JournalProvider
from service.gate.context import RequestContext
from service.gate.receipt import AnswerReceipt
from service.readers.managed_reader import ManagedReader
from service.security import SecurityContext

_LONGEST_KEY = 200
_MOST_BETWEEN = 64
Result = TypeVar("Result")
Subject = TypeVar("Subject", SocialSecurityCard, HsmSteps)


class FirstStep(Protocol):
    """The first of two steps: it returns the data that a caller's own HSM needs for MAC1."""

    def __call__(
        self, steps: HsmSteps, order: DebitOrder, entry: DebitEntry, terminal_number: str | None, limits: DebitLimits
    ) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DebitCall:
    """One call about a debit, with its caller and its reader."""

    key: str
    """The idempotency key; checked when it is used."""
    context: RequestContext
    reader: Callable[[], Awaitable[ManagedReader]]
    """The look-up of the reader, done when the card is needed: a debit that is done is answered without any reader."""
    pin: str | None = None
    accept_last_try: bool = False

    def checked_key(self) -> str:
        """Return the idempotency key.

        Raises:
            NoIdempotencyKeyError: there is no key, or it has a wrong form.
        """
        key = self.key.strip()
        if not key or len(key) > _LONGEST_KEY or not (key.isascii() and key.isprintable()):
            raise NoIdempotencyKeyError()
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class DebitRequest(DebitCall):
    """A call for a debit."""

    order: DebitOrder
    card_named: str
    """The card as the caller names it: the key is for this card."""
    check_card: Callable[[SocialSecurityCard], None]
    """The check of the card in the reader; it raises an error for another card."""
    first_step: FirstStep | None = None
    """The first step, if the caller's own HSM makes MAC1 in a second step (`DebitService.second_step`)."""


@dataclass(frozen=True, slots=True)
class DebitAnswer:
    """The state of a debit, and the card that it was done with."""

    card_session: str | None
    debit: DebitRecord
    step_output: str | None = None
    """The result of a first step, for the HSM; the debit is not done then."""
    reported: ReportedOutcome | None = None
    """The contents of this answer, for the journal."""
    proof: Proof | None = None
    """The proof that the card is genuine; None if it was not needed."""


class DebitService:
    """The debits of the bridge, one object for the whole bridge."""

    def __init__(
        self,
        place: JournalProvider,
        security: SecurityContext,
        supervisor: Supervisor | None = None,
        limits: DebitLimits = DEFAULT_LIMITS,
    ) -> None:
        """Prepare without opening the journal.

        Args:
            place: the provider of the journal.
            security: the keys of this site.
            supervisor: the supervisor of threads and tasks.
            limits: the limits of an order at this site.
        """
        self._place = place
        self._security = security
        self._limits = limits
        self._supervisor = supervisor or Supervisor()
        self.receipts = DebitReceipts(self._supervisor)
        self._between: dict[tuple[str, str], tuple[str, JournalEntry]] = {}
        """The debits that wait for a second step, with their keys, indexed by caller and reader of the first step."""

    async def journal(self) -> Journal:
        """Return the journal, after everything that was handed over before was written.

        Raises:
            JournalUnavailableError: the journal cannot be used.
            ConfigurationError: its key file is not as it should be.
        """
        await self.receipts.written()
        return await asyncio.to_thread(self._place.open)

    async def figures(self) -> dict[str, int]:
        """Return the numbers of debits for the figures; 0 without a journal.

        They are the debits with an unknown outcome, with an undelivered result, and not booked yet.
        """
        await self.receipts.written()
        journal = self._place.opened
        counts = {} if journal is None else await asyncio.to_thread(journal.counts)
        undelivered = 0 if journal is None else await asyncio.to_thread(journal.delivery.count_undelivered)
        return {
            "debits_undelivered": undelivered,
            "debits_unknown": sum(counts.get(state, 0) for state in UNRESOLVED),
            "debits_unsettled": sum(counts.get(state, 0) for state in UNBOOKED_STATES),
        }

    async def record(self, debit_id: str | None) -> DebitRecord | None:
        """Return the record of a debit."""
        if debit_id is None:
            return None
        return await asyncio.to_thread((await self.journal()).record, debit_id)

    async def call(self, asked: DebitRequest) -> DebitAnswer:
        """Do a debit, or its first step, or return its outcome; with the same key it is never done twice.

        Raises:
            NoIdempotencyKeyError: the debit has no valid key.
            DebitUnknownError: it is not known yet whether money was taken; ``debit_id`` names the debit.
            CardioError: the obstacle; nothing was taken.
        """
        key, order = asked.checked_key(), asked.order
        journal = await self.journal()
        what = "|".join((asked.card_named, bytes(order.amounts).hex(), order.time))
        entry = await _claim(lambda: journal.claim(asked.context.caller.origin, key, what))
        return await self._answered(asked, entry, lambda task: self._debit_or_report(asked, journal, task))

    async def _answered(
        self, asked: DebitCall, entry: JournalEntry, do: Callable[[_DebitTask], Coroutine[Any, Any, DebitAnswer]]
    ) -> DebitAnswer:
        """Work on a debit, and record the contents of the answer once it was handed over."""
        following = self.receipts.follow(entry, asked.context.receipt)
        try:
            answer = await _run_shielded(entry, do, self._supervisor, asked.context.receipt)
        except DebitUnknownError:
            following.set_contents(ReportedOutcome(entry.id, "unknown", datetime.now(UTC)))
            raise
        except DebitOpenError as error:
            if error.reported_debit is not None:
                following.set_contents(ReportedOutcome(error.reported_debit, "done", datetime.now(UTC)))
            raise
        if answer.reported is not None:
            following.set_contents(answer.reported)
        return answer

    async def _debit_or_report(self, asked: DebitRequest, journal: Journal, task: _DebitTask) -> DebitAnswer:
        entry, order = task.entry, asked.order
        if not await asyncio.to_thread(requires_card, entry):
            return await self._deliver(entry, None)
        if await asyncio.to_thread(lambda: entry.state in BEFORE_SENT):
            await asyncio.to_thread(self._check_limits, entry, order)
            if asked.first_step is not None:
                return await self._first_step(asked, asked.first_step, journal, task)

        def on_card(card: SocialSecurityCard) -> None:
            if entry.state in BEFORE_SENT:
                with recording_abort(entry):
                    asked.check_card(card)
            debit_or_recover(journal, entry, card, order, self._limits)

        return await self._on_card(on_card, asked, task)

    def _check_limits(self, entry: JournalEntry, order: DebitOrder) -> None:
        """Check the parts of an order that need no card, before any reader is asked.

        Raises:
            DebitTimeError: the order's time is wrong.
            DebitLimitError: the order is over a limit.
        """
        with recording_abort(entry):
            self._limits.check_order(order)

    async def _on_card(
        self, on_card: Callable[[SocialSecurityCard], None], asked: DebitCall, task: _DebitTask
    ) -> DebitAnswer:
        caller = asked.context.caller
        session = None
        try:
            managed = await asked.reader()
            security = self._security.for_reader(simulated=managed.reader.simulated)
            credentials = security.for_debit(caller.origin, caller.pin(asked.pin), asked.accept_last_try)
            doing = managed.run(task.releasing(on_card), task.context(asked), credentials=credentials, repeat=False)
            _, session = await doing
        except Exception as error:  # any error: the journal says what it means
            await task.reconcile(error)
        return await self._deliver(task.entry, session)

    async def _deliver(self, entry: JournalEntry, session: str | None) -> DebitAnswer:
        """Return the outcome of a debit. The delivery is recorded after the answer was sent."""
        shown = await asyncio.to_thread(entry.record)
        if shown.result is None:
            raise DebitUnknownError()
        reported = ReportedOutcome.of(shown, by_name=True)
        return DebitAnswer(session, shown.as_answered(reported.at), reported=reported)

    # -- in steps -------------------------------------------------------------------------------

    async def _first_step(
        self, asked: DebitRequest, first_step: FirstStep, journal: Journal, task: _DebitTask
    ) -> DebitAnswer:
        caller, entry = asked.context.caller, task.entry

        def step(steps: HsmSteps) -> str:
            with recording_abort(entry):
                asked.check_card(steps.card)
            resolve_open_debit(journal, entry, steps.card)
            return first_step(steps, asked.order, entry, terminal_number, self._limits)

        try:
            managed = await asked.reader()
            security = self._security.for_reader(simulated=managed.reader.simulated)
            terminal_number = await asyncio.to_thread(security.terminal_number_for_steps)
            credentials = security.for_debit_steps(caller.origin, caller.pin(asked.pin), asked.accept_last_try)
            text, session = await managed.run_step(task.releasing(step), task.context(asked), credentials=credentials)
        except Exception as error:  # any error: the journal says what it means
            await task.reconcile(error)
            return await self._deliver(entry, None)
        self._between[asked.context.grant, managed.reader.name] = (asked.checked_key(), entry)
        while len(self._between) > _MOST_BETWEEN:
            self._between.pop(next(iter(self._between)))  # a caller that never came back begins again
        return DebitAnswer(session, await asyncio.to_thread(entry.record), step_output=text)

    async def second_step(
        self, asked: DebitCall, finish: Callable[[HsmSteps], object], held: ManagedReader | None
    ) -> DebitAnswer:
        """Do the step that debits.

        With a key it also returns the outcome of a debit whose second step was called before.

        Args:
            asked: the call.
            finish: sends the debit with the data of the caller's HSM.
            held: the reader that holds a card for this caller.

        Raises:
            StepError: there was no first step.
            CardioError: the errors of `call`.
        """
        place = (asked.context.grant, "" if held is None else held.reader.name)
        key, entry = self._between.get(place, ("", None))
        if held is None or entry is None or (asked.key and asked.checked_key() != key):
            return await self._ask_again(asked)
        del self._between[place]
        await asyncio.to_thread(entry.resume)
        return await self._answered(asked, entry, lambda task: self._finish(asked, finish, held, task))

    async def _finish(
        self, asked: DebitCall, finish: Callable[[HsmSteps], object], held: ManagedReader, task: _DebitTask
    ) -> DebitAnswer:
        session = None
        try:
            _, session = await held.run_step(task.releasing(finish), task.context(asked), credentials=None)
        except Exception as error:  # any error: the journal says what it means
            await task.reconcile(error)
        return await self._deliver(task.entry, session)

    async def _ask_again(self, asked: DebitCall) -> DebitAnswer:
        if not asked.key:
            raise StepError()
        journal = await self.journal()

        def find() -> JournalEntry:
            found = journal.claim_existing(asked.context.caller.origin, asked.checked_key())
            if found is None:
                raise StepError()
            return found

        entry = await _claim(find)
        return await self._answered(asked, entry, lambda task: self._find_out(asked, task))

    async def _find_out(self, asked: DebitCall, task: _DebitTask) -> DebitAnswer:
        entry = task.entry
        if await asyncio.to_thread(lambda: entry.state in BEFORE_SENT):
            raise StepError()
        if not await asyncio.to_thread(requires_card, entry):
            return await self._deliver(entry, None)

        def on_card(card: SocialSecurityCard) -> None:
            recover(card, entry)

        return await self._on_card(on_card, asked, task)


class _DebitTask:
    """Work on a card for one debit.

    Once started, the card's thread releases the journal entry, because the caller may have disconnected.
    """

    def __init__(self, entry: JournalEntry) -> None:
        self.entry = entry
        self.begun = False
        self.proof: Proof | None = None

    def releasing(self, work: Callable[[Subject], Result]) -> Callable[[Subject], Result]:
        def with_release(subject: Subject) -> Result:
            self.begun = True
            try:
                return work(subject)
            finally:
                self.proof = subject.proof
                self.entry.release()

        return with_release

    def context(self, asked: DebitCall) -> RequestContext:
        """Return the context of the call, with the debit that it is about."""
        return replace(asked.context, target=self.entry.id)

    async def reconcile(self, error: Exception) -> None:
        """Raise the meaning of an error for the debit, unless the debit is done in spite of it.

        The thread of the work may never come back, so the entry is released here.
        """
        found = await asyncio.to_thread(error_for_debit, self.entry, error)
        self.entry.release()
        if found is not None:
            raise found from error


async def _claim(claim: Callable[[], JournalEntry]) -> JournalEntry:
    """Claim a debit; if the caller is cut off meanwhile, release it again."""
    claiming = asyncio.ensure_future(asyncio.to_thread(claim))
    try:
        return await asyncio.shield(claiming)
    except asyncio.CancelledError:
        claiming.add_done_callback(
            lambda done: None if done.cancelled() or done.exception() else done.result().release()
        )
        raise


async def _run_shielded(
    entry: JournalEntry,
    do: Callable[[_DebitTask], Coroutine[Any, Any, DebitAnswer]],
    supervisor: Supervisor,
    receipt: AnswerReceipt | None,
) -> DebitAnswer:
    """Work on a debit to its end.

    If the caller is cut off or leaves, work that has not begun is stopped. Work that has begun goes on, so that its end
    is in the journal. A caller that can still be answered gets the error of an unknown outcome.

    Raises:
        DebitUnknownError: the outcome is unknown; the error has the debit's id.
        CardioError: the errors of the task.
    """
    task = _DebitTask(entry)

    async def run() -> DebitAnswer:
        try:
            return replace(await do(task), proof=task.proof)
        except DebitUnknownError as error:
            error.debit_id = entry.id
            raise
        except JournalUnavailableError as error:
            if await asyncio.to_thread(entry.withdraw):
                raise  # the card was told nothing
            unknown = DebitUnknownError(f"结果未知：{error.detail}", f"its outcome is not known: {error.detail_en}")
            unknown.debit_id = entry.id
            raise unknown from error
        finally:
            if not task.begun:
                entry.release()

    working = asyncio.ensure_future(run())
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        if not task.begun:
            working.cancel()
        elif receipt is not None:
            unknown = DebitUnknownError()
            unknown.debit_id = entry.id
            receipt.note_unknown(unknown)
        working.add_done_callback(lambda done: _log_unhandled(done, supervisor))
        raise


def _log_unhandled(done: asyncio.Future[DebitAnswer], supervisor: Supervisor) -> None:
    """Note an unplanned error of a debit whose caller was cut off; planned errors are in the journal."""
    error = None if done.cancelled() else done.exception()
    if error is not None and not isinstance(error, CardioError):
        supervisor.note("debit", error)
