"""Debits at the desks: a key names each, the journal knows how far it is, and the card is debited once at most."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cardio.card import SocialSecurityCard
from cardio.debit_errors import DebitManualError, DebitNotDoneError, DebitOpenError, DebitUnknownError
from cardio.debit_witnesses import recover
from cardio.debiting import aborted_by_faults, debit
from cardio.driver_debits import debit_1, debit_2, parse_pay_info, result_text
from cardio.driver_functions import DebitFunction, DriverArguments, guard
from cardio.driver_steps import HsmSteps
from cardio.errors import CardioError
from cardio.secured_card import SecuredCard
from cardio.security.errors import StepError
from cardio.settlement import BEFORE_SENT, DONE, DebitOrder, DebitState, error_of
from service.debit_answers import DebitShown
from service.desk import Asking, Desk
from service.errors import JournalUnavailableError, NoIdempotencyKeyError
from service.journal import Journal, JournalEntry
from service.scopes import Caller
from service.security import BridgeSecurity

_LONGEST_KEY = 200
_MOST_BETWEEN = 64
_UNKNOWN = (DebitState.SENT, DebitState.UNKNOWN, DebitState.MANUAL)
Result = TypeVar("Result")


class JournalPlace:
    """Where the journal is; it is opened when it is first needed, and at the start where there is one already."""

    def __init__(self, path: Path | None) -> None:
        """Args: ``path`` None: no debits here."""
        self._path = path
        self._journal: Journal | None = None
        self._opening = threading.Lock()

    def open(self) -> Journal:
        """Raises: JournalUnavailableError, ConfigurationError: it cannot be used; whoever comes next tries again."""
        if self._path is None:
            raise JournalUnavailableError("本机未设置消费日志", "no journal of debits is set up here")
        with self._opening:
            if self._journal is None:
                self._journal = Journal(self._path)
            return self._journal

    @property
    def opened(self) -> Journal | None:
        return self._journal

    @property
    def exists(self) -> bool:
        return self._path is not None and self._path.exists()

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()


@dataclass(frozen=True, slots=True)
class DebitAnswer:
    """What a debit's function gives, which card it was done with, and how the debit stands."""

    output: str
    card_session: str | None
    debit: DebitShown


class DebitCalls:
    """One for the whole bridge."""

    def __init__(self, place: JournalPlace, security: BridgeSecurity) -> None:
        self._place = place
        self._security = security
        self._between: dict[str, JournalEntry] = {}
        """Debits that wait for their second step, by who called the first."""

    async def journal(self) -> Journal:
        """Raises: JournalUnavailableError, ConfigurationError."""
        return await asyncio.to_thread(self._place.open)

    async def figures(self) -> dict[str, int]:
        """How many debits nobody knows the outcome of, and how many are not booked yet; none without a journal."""
        journal = self._place.opened
        counts = {} if journal is None else await asyncio.to_thread(journal.counts)
        return {
            "debits_unknown": sum(counts.get(state, 0) for state in _UNKNOWN),
            "debits_unsettled": sum(counts.get(state, 0) for state in (DebitState.COMMITTED, DebitState.DELIVERED)),
        }

    async def shown(self, debit_id: str | None) -> DebitShown | None:
        """How a debit stands."""
        if debit_id is None:
            return None
        journal = await self.journal()
        return await asyncio.to_thread(journal.shown, debit_id)

    async def call(
        self, function: DebitFunction, given: DriverArguments, caller: Caller, asking: Asking, desk: Desk
    ) -> DebitAnswer:
        """Does a debit, or its first step, or says what became of it; by the same key it is never done twice.

        Raises:
            NoIdempotencyKeyError: the debit has no name.
            DebitUnknownError: nobody knows yet whether money was taken; ``debit_id`` names it.
            CardioError: what hindered; nothing was taken.
        """
        key, order = _key(given), parse_pay_info(given.pPayInfo)
        journal = await self.journal()
        asked = f"{given.pCardInfo.strip()}\n{given.pPayInfo.strip()}"
        entry = await asyncio.to_thread(journal.take, caller.origin, key, asked)
        work = _Work(entry)
        try:
            return await self._take_up(function, given, order, caller, asking, desk, work)
        except DebitUnknownError as error:
            error.debit_id = entry.id
            raise
        finally:
            if not work.begun:
                entry.release()

    async def _take_up(
        self,
        function: DebitFunction,
        given: DriverArguments,
        order: DebitOrder,
        caller: Caller,
        asking: Asking,
        desk: Desk,
        work: _Work,
    ) -> DebitAnswer:
        entry = work.entry
        state = await asyncio.to_thread(lambda: entry.state)
        if state in DONE:
            return await self._deliver(entry, None)
        if state in (DebitState.UNKNOWN, DebitState.SENT):
            return await self._recover(given, caller, asking, desk, work)
        if state is not DebitState.NEW:
            raise error_of(state)
        if function.step == 1:
            return await self._first_step(given, order, caller, asking, desk, work)
        journal = await self.journal()

        def on_card(card: SocialSecurityCard) -> None:
            with aborted_by_faults(entry):
                guard(card, given.pCardInfo)
                _clear_up(journal, card)
            debit(card, order, entry)

        return await self._on_card(on_card, given, caller, asking, desk, work)

    async def _recover(
        self, given: DriverArguments, caller: Caller, asking: Asking, desk: Desk, work: _Work
    ) -> DebitAnswer:
        def on_card(card: SocialSecurityCard) -> None:
            if work.entry.state is DebitState.SENT:
                work.entry.move(DebitState.UNKNOWN, reason="left")
            recover(card, work.entry)

        return await self._on_card(on_card, given, caller, asking, desk, work)

    async def _on_card(
        self,
        on_card: Callable[[SocialSecurityCard], None],
        given: DriverArguments,
        caller: Caller,
        asking: Asking,
        desk: Desk,
        work: _Work,
    ) -> DebitAnswer:
        credentials = self._security.for_debit(caller.origin, caller.pin(given.pin), given.acceptLastTry)
        try:
            _, session = await desk.do(work.guarded(on_card), asking, credentials=credentials, repeat=False)
        except CardioError as error:
            raise await asyncio.to_thread(_as_it_stands, work.entry, error) from error
        return await self._deliver(work.entry, session)

    async def _deliver(self, entry: JournalEntry, session: str | None) -> DebitAnswer:
        def deliver() -> tuple[str, DebitShown]:
            result = entry.result
            if result is None:
                raise DebitUnknownError()
            if entry.state is DebitState.COMMITTED:
                entry.move(DebitState.DELIVERED)
            return result_text(result), entry.shown()

        text, shown = await asyncio.to_thread(deliver)
        return DebitAnswer(text, session, shown)

    # -- in steps -------------------------------------------------------------------------------

    async def _first_step(
        self, given: DriverArguments, order: DebitOrder, caller: Caller, asking: Asking, desk: Desk, work: _Work
    ) -> DebitAnswer:
        entry = work.entry
        journal = await self.journal()
        terminal_number = await asyncio.to_thread(self._security.terminal_number_for_steps)

        def step(steps: HsmSteps) -> str:
            with aborted_by_faults(entry):
                guard(steps.card, given.pCardInfo)
                _clear_up(journal, steps.card)
            return debit_1(steps, order, entry, terminal_number)

        credentials = self._security.for_debit_steps(caller.origin, caller.pin(given.pin), given.acceptLastTry)
        try:
            text = await desk.with_held(work.guarded(step), asking, credentials=credentials)
        except CardioError as error:
            raise await asyncio.to_thread(_as_it_stands, entry, error) from error
        self._between[asking.grant] = entry
        while len(self._between) > _MOST_BETWEEN:
            self._between.pop(next(iter(self._between)))  # who never came back begins anew
        return DebitAnswer(text, desk.card_session, await asyncio.to_thread(entry.shown))

    async def second_step(
        self, given: DriverArguments, caller: Caller, asking: Asking, held: Desk | None, desk: Callable[[], Desk]
    ) -> DebitAnswer:
        """The step that debits; with the first one's key it also says what became of it.

        Args: ``held``: the desk that holds a card for this caller; ``desk``: where its card is otherwise.

        Raises:
            StepError: there was no first step. Else as `call`.
        """
        entry = self._between.pop(asking.grant, None)
        if entry is None or held is None:
            return await self._ask_again(given, caller, asking, desk)
        entry.resume()
        work = _Work(entry)
        try:
            await held.with_held(work.guarded(lambda steps: debit_2(steps, given.pKey)), asking, credentials=None)
        except CardioError as error:
            found = await asyncio.to_thread(_as_it_stands, entry, error)
            if isinstance(found, DebitUnknownError):
                found.debit_id = entry.id
            raise found from error
        finally:
            if not work.begun:
                entry.release()
        return await self._deliver(entry, held.card_session)

    async def _ask_again(
        self, given: DriverArguments, caller: Caller, asking: Asking, desk: Callable[[], Desk]
    ) -> DebitAnswer:
        if not given.idempotencyKey:
            raise StepError()
        journal = await self.journal()
        entry = await asyncio.to_thread(journal.find, caller.origin, _key(given))
        if entry is None:
            raise StepError()
        work = _Work(entry)
        try:
            state = await asyncio.to_thread(lambda: entry.state)
            if state in BEFORE_SENT:
                raise StepError()
            if state in DONE:
                return await self._deliver(entry, None)
            if state in (DebitState.UNKNOWN, DebitState.SENT):
                return await self._recover(given, caller, asking, desk(), work)
            raise error_of(state)
        except DebitUnknownError as error:
            error.debit_id = entry.id
            raise
        finally:
            if not work.begun:
                entry.release()


class _Work:
    """Work on a card for one debit. Once it has begun it is the card's thread that gives the debit free, for the caller
    may be gone long before."""

    def __init__(self, entry: JournalEntry) -> None:
        self.entry = entry
        self.begun = False

    def guarded(self, work: Callable[[SecuredOrSteps], Result]) -> Callable[[SecuredOrSteps], Result]:
        def with_release(subject: SecuredOrSteps) -> Result:
            self.begun = True
            try:
                return work(subject)
            finally:
                self.entry.release()

        return with_release


SecuredOrSteps = TypeVar("SecuredOrSteps", SocialSecurityCard, HsmSteps)


def _key(given: DriverArguments) -> str:
    key = given.idempotencyKey.strip()
    if not key or len(key) > _LONGEST_KEY or not key.isprintable():
        raise NoIdempotencyKeyError()
    return key


def _clear_up(journal: Journal, card: SecuredCard) -> None:
    """Before another debit: one on this card of which nobody knows the outcome is asked for, and told.

    Raises:
        DebitOpenError: there was one; whoever asked sees what became of it first.
    """
    other = journal.open_on(card.identity)
    if other is None:
        return
    try:
        with suppress(DebitNotDoneError, DebitManualError, DebitUnknownError):
            recover(card, other)
        shown = other.shown()
        told = {"done": ("已扣款", "it was taken"), "none": ("未扣款", "it was not taken")}
        zh, en = told.get(shown.outcome, ("仍不能确定", "it is still not known"))
        amount = (shown.self_paid_amount or 0) + (shown.pooled_fund_amount or 0)
        raise DebitOpenError(
            f"此前 {shown.time} 的一笔消费（{amount / 100:.2f} 元）：{zh}",
            f"an earlier debit of {shown.time} ({amount / 100:.2f} yuan): {en}",
        )
    finally:
        other.release()


def _as_it_stands(entry: JournalEntry, error: CardioError) -> CardioError:
    """What an error means for the debit, by the journal: once it is sent, nothing but its outcome matters."""
    with suppress(CardioError):
        state = entry.state
        if state in BEFORE_SENT:
            entry.move(DebitState.ABORTED, reason=error.code)
            state = entry.state
        if state is DebitState.SENT:
            entry.move(DebitState.UNKNOWN, reason=error.code)
            state = DebitState.UNKNOWN
            entry.release()  # its thread may never come back
        if state is DebitState.UNKNOWN and not isinstance(error, DebitUnknownError):
            return DebitUnknownError(f"结果未知：{error.detail}", f"its outcome is not known: {error.detail_en}")
    return error
