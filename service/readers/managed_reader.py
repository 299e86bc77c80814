"""A reader with its state: the card in it, its lease, and its thread. A slow card delays no other reader's card."""

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
_LOOK_SECONDS = 1.0
"""How long a look at the card may take. A reading follows if it takes longer."""
_TRACE_LIMIT = 500


@dataclass(frozen=True, slots=True)
class ReaderDependencies:
    """The objects that all managed readers share."""

    capabilities: CapabilityCache
    layouts: LayoutChoice
    stopping: asyncio.Future[None]
    hub: EventHub
    audit: AuditRecorder
    supervisor: Supervisor
    on_swapped: Callable[[ManagedReader, bytes], None]
    """A listener for a swap: another card is in the reader than the session stands for.

    It gets the reader and the ATR.
    """
    command_seconds: float = COMMAND_SECONDS
    """The longest time that a card may take for one command."""
    memory_seconds: float = MEMORY_SECONDS
    """The time for which a reading may be answered again while its card stays in."""


@dataclass(frozen=True, slots=True)
class _Meant:
    """The card that was in the reader when a call came."""

    event_counter: int
    card_session: str | None
    strictly: bool
    """True if the caller named the card, or the call changes it: no other card is used then."""


class ManagedReader:
    """A reader of the bridge. Everything except the work with the card runs on the event loop."""

    def __init__(self, reader: Reader, surroundings: ReaderDependencies) -> None:
        self.reader = reader
        self.lease = LeaseBook()
        self.holding = self._new_holding(None, reader, surroundings)
        self._around = surroundings
        self._line = WorkQueue(reader.name, surroundings.stopping, surroundings.supervisor)
        self._closed = False
        self._hung: CommandWatch | None = None
        """The watch of work that was given up while a command was still at the card that is in."""
        self.card_session: str | None = None
        self._binding = CardBinding()
        self.memory = ReadingMemory(surroundings.memory_seconds)
        self.trace: list[Exchange] = []
        """The last exchanges with the card that is in; without their data unless the card is simulated."""
        self.info = ReaderInfo(
            name=reader.name, simulated=reader.simulated, status=ReaderStatus.EMPTY, atr=None, event_counter=0
        )

    def describe(self, *, counts: bool) -> DeskInfo:
        lease = self.lease.current
        shown = None
        if lease is not None:
            shown = LeaseInfo(owner=lease.owner, purpose=lease.purpose, seconds_left=self.lease.seconds_left())
        return DeskInfo(**self.info.model_dump(), card_session=self.card_session, lease=shown, counts=counts)

    # -- work with the card -----------------------------------------------------------------------

    async def run(
        self,
        work: Callable[[SocialSecurityCard], Result],
        context: RequestContext,
        *,
        seconds: float = WHOLE_CARD_SECONDS,
        credentials: Credentials | None = None,
        repeat: bool = True,
        card_use: CardUse | None = None,
    ) -> tuple[Result, str | None]:
        """Run work with the card in the reader, within a time limit that includes waiting.

        Args:
            work: the function that uses the card; it runs on the card's thread.
            context: the caller's request.
            seconds: the time limit.
            credentials: the keys and the PIN that open closed files.
            repeat: True to begin again after another program's reset; never for work that changes the card or sends a
                PIN.
            card_use: the record of the card that was used, filled also if the work fails.

        Returns:
            The result of the work, and the session of the card that was used, which may have left since; None if the
                card is so new that it has no session yet.

        Raises:
            QueueFullError: too many calls are waiting already.
            ReaderBusyError: the calls before took all the time.
            LeasedError: another caller has the reader.
            HeldError: another caller has the reader between two steps.
            LeaseLostError: the caller's lease has ended.
            CardChangedError: the card is not the one that the caller named.
            ReaderTimeoutError: the card has not answered an earlier call's command yet; nothing was sent.
            StoppingError: the service stops.
            CardioError: the errors of `cardio.card.runner.on_card`.
        """
        self.check(context)
        self.memory.note_use()
        deadline = time.monotonic() + seconds
        trace: list[Exchange] = []
        card_use = card_use or CardUse()
        meant = _Meant(self.info.event_counter, self.card_session, context.card_session is not None or not repeat)

        def on_this_card(card: SocialSecurityCard) -> Result:
            with self._recorded(card, card_use):
                self._require_same_card(meant, card_use)
                return work(card)

        watch = self._new_watch()

        def attempt(worker: Worker) -> Result:
            self._wait_for_earlier_answer(deadline)
            left = deadline - time.monotonic()
            if left < _LEAST_SECONDS:
                raise ReaderBusyError("前面的读卡占用了读卡器，请重试", "the readings before took all the time")
            holding = self.holding
            holding.check(context.grant)  # another caller may have begun while this one waited
            holding.end()
            with self._around.audit.recording(context, self.reader.name, card_use), self._noting_hang(meant, watch):
                return on_card(
                    self.reader, on_this_card, capabilities=self._around.capabilities, layouts=self._around.layouts,
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
            return await self.run(work, context, seconds=left, credentials=credentials, card_use=card_use)
        except NotASocialSecurityCardError:
            if card_use.event_counter == self.info.event_counter:
                self._binding.ours = False
            raise
        finally:
            if card_use.event_counter in (None, self.info.event_counter):
                self.trace = trace
        return result, self.session_of(card_use)

    async def run_step(
        self, work: Callable[[HsmSteps], Result], context: RequestContext, *, credentials: Credentials | None
    ) -> tuple[Result, str | None]:
        """Run one of several steps with a card that stays held for this caller.

        With credentials, begin again with the first step.

        Args:
            work: the step; it runs on the card's thread.
            context: the caller's request.
            credentials: the credentials of a first step; None for a later step.

        Returns:
            The result of the work, and the session of the card, as for `run`.

        Raises:
            StepError: no card is held for this caller.
            CardioError: the errors of `run`.
        """
        self.check(context)
        self.memory.note_use()
        meant = _Meant(self.info.event_counter, self.card_session, context.card_session is not None)
        card_use, watch = CardUse(), self._new_watch()

        def step(steps: HsmSteps) -> Result:
            with self._recorded(steps.card, card_use):
                if credentials is not None:
                    self._require_same_card(meant, card_use)
                return work(steps)

        def attempt(worker: Worker) -> Result:
            self._wait_for_earlier_answer(time.monotonic() + OPERATION_SECONDS)
            holding = self.holding
            holding.check(context.grant)  # another caller may have begun while this one waited
            try:
                with self._around.audit.recording(context, self.reader.name, card_use), self._noting_hang(meant, watch):
                    if credentials is not None:
                        card_use.event_counter = self.reader.info().event_counter
                        self._require_same_card(meant, card_use)
                        holding.open(
                            context.grant, credentials, lambda mark: self._confirm(meant, card_use, mark), watch
                        )
                    return holding.run(context.grant, step, watch)
            finally:
                if holding.owner == context.grant and not holding.awaits_step:
                    holding.end()  # an error or the last step: no step follows, and other callers need the card

        try:
            result = await self._in_line(attempt, watch, context)
        except CardChangedError:
            self._note_swap(card_use)
            raise
        return result, self.session_of(card_use)

    async def release_held(self, grant: str) -> None:
        """Release the card that is held for a caller that has gone, if there is one.

        The release waits in the queue, without its limit: a first step of this caller may still be waiting for the
        card.
        """
        if not self._closed:
            await self._in_line(lambda worker: self.holding.end_for(grant), limit=None)

    @contextmanager
    def _recorded(self, card: SocialSecurityCard, card_use: CardUse) -> Iterator[None]:
        """Record the card that is used while work runs; on the card's thread."""
        card_use.card, card_use.event_counter, card_use.binding = card, card.event_counter(), self._binding
        card_use.card_session = self.session_at(card_use.event_counter)
        try:
            yield
        finally:  # the watcher may have reported the card meanwhile
            card_use.card_session = self.session_of(card_use)

    def _require_same_card(self, meant: _Meant, card_use: CardUse) -> None:
        """Check that the card that the call means is in the reader; on the card's thread, before the work begins.

        Raises:
            CardChangedError: PC/SC has reported another card, or an earlier call has found another one.
        """
        if meant.strictly and (
            card_use.event_counter != meant.event_counter or self.card_session != meant.card_session
        ):
            raise CardChangedError()

    def _confirm(self, meant: _Meant, card_use: CardUse, mark: bytes) -> None:
        """Check the identity that the card has given against its session; on the card's thread.

        Raises:
            CardChangedError: it is not the card of its session.
        """
        if card_use.event_counter == self.info.event_counter:  # otherwise its session is not known here yet
            if meant.strictly and self.card_session != meant.card_session:
                raise CardChangedError()
            self._binding.confirm(mark)

    def _note_swap(self, card_use: CardUse) -> bool:
        """End the session of a card that was swapped unseen, and begin another for the card that is in.

        Returns:
            True if the work ended because of such a swap.
        """
        if card_use.binding is None or not card_use.binding.swapped:
            return False
        if card_use.event_counter == self.info.event_counter and card_use.binding is self._binding:
            self._around.on_swapped(self, b"" if card_use.card is None else card_use.card.atr)
        return True

    @property
    def is_ours(self) -> bool | None:
        """Return True if the card that is in is a social security card, False if not; None before it was asked."""
        return self._binding.ours

    def check(self, context: RequestContext) -> None:
        """Check that the caller may use the card that is in.

        Raises:
            LeasedError: another caller has the reader.
            HeldError: another caller has the reader between two steps.
            LeaseLostError: the caller's lease has ended.
            NoCardError: the caller named a card, and there is none.
            CardChangedError: the card is not the one that the caller named.
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
        return await self._line.submit(work, limit=limit, watch=watch, on_cut=on_cut)

    def _new_watch(self) -> CommandWatch:
        return CommandWatch(self._around.command_seconds)

    @contextmanager
    def _noting_hang(self, meant: _Meant, watch: CommandWatch) -> Iterator[None]:
        """Note that a command of a use of the card is still at the card when the use is given up."""
        try:
            yield
        finally:
            if watch.hangs and meant.event_counter == self.info.event_counter:
                self._hung = watch

    def _wait_for_earlier_answer(self, deadline: float) -> None:
        """Wait until a command of an earlier call is answered: nothing can be sent before. Runs on the queue's thread.

        Raises:
            ReaderTimeoutError: the command is over its time limit. A further wait would bring nothing new.
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
            # A real card's data are personal: only their lengths are kept.
            command = exchange.command[:5] + bytes(max(0, len(exchange.command) - 5))
            response = bytes(max(0, len(exchange.response) - 2)) + exchange.response[-2:]
            exchange = Exchange(command, response, exchange.seconds)
        trace.append(exchange)

    async def is_unchanged(self) -> bool:
        """Connect to the card that is in, and compare its ATR with the one of its insertion: it has a serial number.

        PC/SC can miss a quick swap of cards, and the watcher may be about to tell of another card. No command is sent.
        """
        if self.holding.owner is not None:
            return False
        watch = self._new_watch()

        def attempt(worker: Worker) -> tuple[str, int]:
            return on_card(
                self.reader, lambda card: (card.atr.hex().upper(), card.event_counter()),
                capabilities=self._around.capabilities,
                layouts=self._around.layouts, seconds=_LOOK_SECONDS, worker=worker, repeat=False, watch=watch,
            )  # fmt: skip

        try:
            found = await self._in_line(attempt, watch)
        except CardioError:
            return False
        return found == (self.info.atr, self.info.event_counter)

    @property
    def audit(self) -> AuditRecorder:
        """Return the recorder of everything that is done with cards."""
        return self._around.audit

    @property
    def hub(self) -> EventHub:
        """Return the hub of the events of this reader."""
        return self._around.hub

    def session_at(self, counter: int | None) -> str | None:
        """Return the session of the card that is in, if it was inserted at that count of PC/SC's events."""
        return self.card_session if counter == self.info.event_counter else None

    def session_of(self, card_use: CardUse) -> str | None:
        """Return the session of the card that was used, which may have left since."""
        return card_use.card_session or self.session_at(card_use.event_counter)

    # -- events and the end -----------------------------------------------------------------------

    def handle(self, event: ReaderEvent) -> None:
        """Update the state with an event of the watcher."""
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
        return StepSession(reader, around.capabilities, around.layouts, before, around.supervisor)

    def stop(self) -> None:
        """Stop because the service ends: no thread waits for a slow card any more, so the interpreter can end."""
        self._closed = True
        self._line.abandon()
        self.holding.abandon()
        if self._hung is not None:
            self._hung.abandon()
        self.close()

    def close(self) -> None:
        """Close because the reader has gone. Calls that wait get the reader's own error."""
        self._closed = True
        self._line.close(self.holding.end)
