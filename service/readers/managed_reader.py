"""A desk: one reader, what is in it, who has it, and the thread that talks to it, so that no card holds up another."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from cardio.apdu.command_watch import COMMAND_SECONDS, CommandWatch
from cardio.apdu.trace import Exchange
from cardio.card.runner import on_card
from cardio.card.social_security_card import OPERATION_SECONDS, WHOLE_CARD_SECONDS, SocialSecurityCard
from cardio.driver.hsm_steps import HsmSteps
from cardio.errors import (
    CardChangedError,
    CardioError,
    NoCardError,
    NotASocialSecurityCardError,
    ReaderBusyError,
    ReaderGoneError,
    ReaderTimeoutError,
)
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.registry import LayoutChoice
from cardio.models.readers import EventKind, ReaderEvent, ReaderInfo, ReaderStatus
from cardio.readers.base import Reader
from cardio.readers.policy_settings import MEMORY_SECONDS
from cardio.readers.supervision import Supervisor
from cardio.readers.worker import Worker
from cardio.security.credentials import Credentials
from service.audit.card_binding import CardBinding
from service.audit.recorder import AuditRecorder, CardUse
from service.events.hub import EventHub
from service.gate.context import RequestContext
from service.readers.lease import LeaseBook
from service.readers.reading_memory import ReadingMemory
from service.readers.schemas import DeskInfo, LeaseInfo
from service.readers.step_session import StepSession
from service.readers.work_queue import QUEUE_LIMIT, WorkQueue

Result = TypeVar("Result")
_LEAST_SECONDS = 0.5
_TRACE_LIMIT = 500


@dataclass(frozen=True, slots=True)
class ReaderDependencies:
    """What all desks share."""

    manners: CapabilityCache
    layouts: LayoutChoice
    stopping: asyncio.Future[None]
    hub: EventHub
    audit: AuditRecorder
    supervisor: Supervisor
    on_swapped: Callable[[ManagedReader, bytes], None]
    """Is told that another card is in than the session stands for, with its ATR."""
    command_seconds: float = COMMAND_SECONDS
    """How long a card may take for one command."""
    memory_seconds: float = MEMORY_SECONDS
    """How long a reading is answered again while its card stays in."""


@dataclass(frozen=True, slots=True)
class _Meant:
    """The card that was in when a call came."""

    event_counter: int
    card_session: str | None
    strictly: bool
    """The caller named it, or the call changes it: nothing is done with another one."""


class ManagedReader:
    """Everything but the work with the card runs on the event loop."""

    def __init__(self, reader: Reader, surroundings: ReaderDependencies) -> None:
        self.reader = reader
        self.lease = LeaseBook()
        self.holding = self._new_holding(None, reader, surroundings)
        self._around = surroundings
        self._line = WorkQueue(reader.name, surroundings.stopping, surroundings.supervisor)
        self._closed = False
        self._hung: CommandWatch | None = None
        """Of work that was given up while a command was at the card that is in."""
        self.card_session: str | None = None
        self._binding = CardBinding()
        self.memory = ReadingMemory(surroundings.memory_seconds)
        self.trace: list[Exchange] = []
        """The last conversation with the card that is in; without its data unless the card is simulated."""
        self.info = ReaderInfo(
            name=reader.name, simulated=reader.simulated, status=ReaderStatus.EMPTY, atr=None, event_counter=0
        )

    def shown(self, *, counts: bool) -> DeskInfo:
        lease = self.lease.current
        shown = None
        if lease is not None:
            shown = LeaseInfo(owner=lease.owner, purpose=lease.purpose, seconds_left=self.lease.seconds_left())
        return DeskInfo(**self.info.model_dump(), card_session=self.card_session, lease=shown, counts=counts)

    # -- work with the card -----------------------------------------------------------------------

    async def do(
        self,
        work: Callable[[SocialSecurityCard], Result],
        context: RequestContext,
        *,
        seconds: float = WHOLE_CARD_SECONDS,
        credentials: Credentials | None = None,
        repeat: bool = True,
        card_use: CardUse | None = None,
    ) -> tuple[Result, str | None]:
        """Does something with the card in the reader, within so many seconds, waiting included.

        Args:
            credentials: what closed files are opened with.
            repeat: after another program's reset, begin again; never for what changes the card or sends a PIN.
            touch: is told which card it was, also where the work fails.

        Returns what the work gave, and the session of the card it was done with, which may have left since; None
        where the card is so new that it has none yet.

        Raises:
            QueueFullError: too many are waiting already. ReaderBusyError: those before took all the time.
            LeasedError, HeldError, LeaseLostError: another caller has the reader.
            CardChangedError: the card is not the one that the caller named.
            ReaderTimeoutError: the card has not answered an earlier call's command yet; nothing was sent.
            StoppingError: the service stops.
            CardioError: as `cardio.card.runner.on_card` says.
        """
        self.check(context)
        self.memory.note_use()
        deadline = time.monotonic() + seconds
        trace: list[Exchange] = []
        card_use = card_use or CardUse()
        meant = _Meant(self.info.event_counter, self.card_session, context.card_session is not None or not repeat)

        def on_this_card(card: SocialSecurityCard) -> Result:
            with self._recorded(card, card_use):
                self._check_still(meant, card_use)
                return work(card)

        watch = self._new_watch()

        def attempt(worker: Worker) -> Result:
            self._wait_for_earlier_answer(deadline)
            left = deadline - time.monotonic()
            if left < _LEAST_SECONDS:
                raise ReaderBusyError("前面的读卡占用了读卡器，请重试", "the readings before took all the time")
            holding = self.holding
            holding.check(context.grant)  # somebody may have begun while this waited
            holding.end()
            with self._around.audit.recording(context, self.reader.name, card_use), self._noting_hang(meant, watch):
                return on_card(
                    self.reader, on_this_card, manners=self._around.manners, layouts=self._around.layouts,
                    credentials=credentials, seconds=left, worker=worker, repeat=repeat,
                    trace=lambda exchange: self._note(trace, exchange),
                    confirm=lambda mark: self._confirm(meant, card_use, mark), watch=watch,
                )  # fmt: skip

        try:
            result = await self._in_line(attempt, watch, context)
        except CardChangedError:
            swapped, left = self._note_swap(card_use), deadline - time.monotonic()
            if not swapped or meant.strictly or left < _LEAST_SECONDS:
                raise
            card_use.card_session = None
            return await self.do(work, context, seconds=left, credentials=credentials, card_use=card_use)
        except NotASocialSecurityCardError:
            if card_use.event_counter == self.info.event_counter:
                self._binding.ours = False
            raise
        finally:
            if card_use.event_counter in (None, self.info.event_counter):
                self.trace = trace
        return result, self.session_of(card_use)

    async def with_held(
        self, work: Callable[[HsmSteps], Result], context: RequestContext, *, credentials: Credentials | None
    ) -> tuple[Result, str | None]:
        """Does one step of several with a card that stays held for this caller; with credentials it begins anew.

        Returns what the work gave, and the session of the card, as `do`.

        Raises:
            StepError: nothing is held for this caller. CardioError: as `do`.
        """
        self.check(context)
        self.memory.note_use()
        meant = _Meant(self.info.event_counter, self.card_session, context.card_session is not None)
        card_use, watch = CardUse(), self._new_watch()

        def step(steps: HsmSteps) -> Result:
            with self._recorded(steps.card, card_use):
                if credentials is not None:
                    self._check_still(meant, card_use)
                return work(steps)

        def attempt(worker: Worker) -> Result:
            self._wait_for_earlier_answer(time.monotonic() + OPERATION_SECONDS)
            holding = self.holding
            holding.check(context.grant)  # somebody may have begun while this waited
            try:
                with self._around.audit.recording(context, self.reader.name, card_use), self._noting_hang(meant, watch):
                    if credentials is not None:
                        card_use.event_counter = self.reader.info().event_counter
                        self._check_still(meant, card_use)
                        holding.begin(
                            context.grant, credentials, lambda mark: self._confirm(meant, card_use, mark), watch
                        )
                    return holding.do(context.grant, step, watch)
            finally:
                if holding.owner == context.grant and not holding.waits_for_a_step:
                    holding.end()  # an error or the last step: nothing is waited for, nobody else is kept away

        try:
            result = await self._in_line(attempt, watch, context)
        except CardChangedError:
            self._note_swap(card_use)
            raise
        return result, self.session_of(card_use)

    async def end_held(self, grant: str) -> None:
        """Lets go the card that is held for a caller, if there is one: the caller has gone.

        In line, for a first step of this caller may still be waiting for the card; and however long the line is.
        """
        if not self._closed:
            await self._in_line(lambda worker: self.holding.end_for(grant), limit=None)

    @contextmanager
    def _recorded(self, card: SocialSecurityCard, card_use: CardUse) -> Iterator[None]:
        """Around work with a card, on its thread: keeps which card it is."""
        card_use.card, card_use.event_counter, card_use.binding = card, card.event_counter(), self._binding
        card_use.card_session = self.session_at(card_use.event_counter)
        try:
            yield
        finally:  # the watcher may have told of it meanwhile
            card_use.card_session = self.session_of(card_use)

    def _check_still(self, meant: _Meant, card_use: CardUse) -> None:
        """On the card's thread, before the work begins: whether the card that was meant is in.

        Raises:
            CardChangedError: PC/SC has told of another one, or a call before this one has found another one.
        """
        if meant.strictly and (
            card_use.event_counter != meant.event_counter or self.card_session != meant.card_session
        ):
            raise CardChangedError()

    def _confirm(self, meant: _Meant, card_use: CardUse, mark: bytes) -> None:
        """On the card's thread, when the card has said which one it is.

        Raises:
            CardChangedError: it is not the card of its session.
        """
        if card_use.event_counter == self.info.event_counter:  # else its session is not known here yet
            if meant.strictly and self.card_session != meant.card_session:
                raise CardChangedError()
            self._binding.confirm(mark)

    def _note_swap(self, card_use: CardUse) -> bool:
        """Ends the session of a card that was swapped unseen, and begins another for the card that is in.

        Returns:
            Whether the work ended for such a swap.
        """
        if card_use.binding is None or not card_use.binding.swapped:
            return False
        if card_use.event_counter == self.info.event_counter and card_use.binding is self._binding:
            self._around.on_swapped(self, b"" if card_use.card is None else card_use.card.atr)
        return True

    @property
    def is_ours(self) -> bool | None:
        """Return whether the card that is in is a social security card; None as long as it was not asked."""
        return self._binding.ours

    def check(self, context: RequestContext) -> None:
        """Check that the caller may use the card that is in.

        Raises:
            LeasedError, HeldError, LeaseLostError: another caller has the reader.
            NoCardError, CardChangedError: the card is not the one that the caller named.
        """
        self.lease.check(context.lease)
        self.holding.check(context.grant)
        if context.card_session is not None and context.card_session != self.card_session:
            raise NoCardError() if self.card_session is None else CardChangedError()

    async def _in_line(
        self,
        work: Callable[[Worker], Result],
        watch: CommandWatch | None = None,
        context: RequestContext | None = None,
        *,
        limit: int | None = QUEUE_LIMIT,
    ) -> Result:
        if self._closed:
            raise ReaderGoneError()
        receipt = None if context is None else context.receipt
        on_cut = None if receipt is None else receipt.note_unknown
        return await self._line.do(work, limit=limit, watch=watch, on_cut=on_cut)

    def _new_watch(self) -> CommandWatch:
        return CommandWatch(self._around.command_seconds)

    @contextmanager
    def _noting_hang(self, meant: _Meant, watch: CommandWatch) -> Iterator[None]:
        """Around one use of a card: keeps that a command of it is still at the card when it was given up."""
        try:
            yield
        finally:
            if watch.hangs and meant.event_counter == self.info.event_counter:
                self._hung = watch

    def _wait_for_earlier_answer(self, deadline: float) -> None:
        """On the line's thread: nothing can be sent as long as a command of an earlier call is at the card.

        Raises:
            ReaderTimeoutError: it is over its limit. To wait once more would tell nobody anything new.
        """
        hung = self._hung
        if hung is None or not hung.hangs:
            self._hung = None
            return
        answered = hung.wait_for_answer(deadline - time.monotonic() - _LEAST_SECONDS)
        if not answered and (hung.is_over_limit or self._closed):
            raise ReaderTimeoutError(
                "卡片仍未应答上一次的命令，本次未发送任何命令",
                "the card has not answered the command of an earlier call: nothing was sent this time",
            )

    def _note(self, trace: list[Exchange], exchange: Exchange) -> None:
        if len(trace) >= _TRACE_LIMIT:
            return
        if not self.reader.simulated:
            # A real card's data are a person's: their lengths are kept, and nothing of them.
            command = exchange.command[:5] + bytes(max(0, len(exchange.command) - 5))
            response = bytes(max(0, len(exchange.response) - 2)) + exchange.response[-2:]
            exchange = Exchange(command, response, exchange.seconds)
        trace.append(exchange)

    async def is_unchanged(self) -> bool:
        """Ask the reader whether the card that is in came in when the bridge was last told of one.

        The watcher may be about to tell. The card itself is not asked.
        """
        try:
            async with asyncio.timeout(_LEAST_SECONDS):
                now = await asyncio.to_thread(self.reader.info)
        except (CardioError, TimeoutError):
            return False
        return now.event_counter == self.info.event_counter and now.status is self.info.status

    @property
    def audit(self) -> AuditRecorder:
        """Return where is written what was done with cards."""
        return self._around.audit

    @property
    def hub(self) -> EventHub:
        """Return where is told what happens at this reader."""
        return self._around.hub

    def session_at(self, counter: int | None) -> str | None:
        """Return the session of the card that is in, if it came in at that count of PC/SC's events."""
        return self.card_session if counter == self.info.event_counter else None

    def session_of(self, card_use: CardUse) -> str | None:
        """Return the session of the card that was used, which may have left since."""
        return card_use.card_session or self.session_at(card_use.event_counter)

    # -- what happens to it -----------------------------------------------------------------------

    def take(self, event: ReaderEvent) -> None:
        """Brings the desk up to date with what the watcher saw."""
        if event.kind in (EventKind.CARD_INSERTED, EventKind.CARD_REMOVED, EventKind.CARD_MUTE):
            self._renew()
            self.card_session = None if event.kind is EventKind.CARD_REMOVED else secrets.token_hex(8)
            self._binding = CardBinding()
            self._hung = None
            self.trace = []
        status = {
            EventKind.CARD_INSERTED: ReaderStatus.CARD,
            EventKind.CARD_MUTE: ReaderStatus.MUTE,
        }.get(event.kind, ReaderStatus.EMPTY)
        self.info = self.info.model_copy(
            update={"status": status, "atr": event.atr, "event_counter": event.event_counter or 0}
        )

    def _renew(self) -> None:
        """Give the new card a new worker, so that a call that hangs on the old card blocks nothing."""
        busy = self._line.waiting or self.holding.owner is not None
        if busy:
            self.holding = self._new_holding(self.holding, self.reader, self._around)
            self._line.close()
            self._line = WorkQueue(self.reader.name, self._around.stopping, self._around.supervisor)

    @staticmethod
    def _new_holding(before: StepSession | None, reader: Reader, around: ReaderDependencies) -> StepSession:
        return StepSession(reader, around.manners, around.layouts, before, around.supervisor)

    def stop(self) -> None:
        """The service ends: nobody waits for a slow card any more, the interpreter least of all."""
        self._closed = True
        self._line.abandon()
        self.holding.abandon()
        if self._hung is not None:
            self._hung.abandon()
        self.close()

    def close(self) -> None:
        """Those who wait are answered by the reader itself: it has gone."""
        self._closed = True
        self._line.close(self.holding.end)
