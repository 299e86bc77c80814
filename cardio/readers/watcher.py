"""The PC/SC watcher: one thread that reports every insertion and removal, and outlives the service.

It waits in SCardGetStatusChange (no polling of cards), and learns of new readers by PC/SC's own notification. When the
service is stopped, restarted or killed it reports that, tries again with growing pauses, and continues. Insertions are
distinguished by the event counter, so a quick swap is two events and not none. Errors without a name in PC/SC, and
errors of this code, end one round and not the thread: they are reported as a service that is down, and the next round
begins after a pause.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from cardio.errors import CardioError, NotPermittedError, PcscUnavailableError, ReaderGoneError, ReaderWatchError
from cardio.models.problem import Problem
from cardio.models.readers import EventKind, ReaderEvent
from cardio.readers import scard
from cardio.readers.base import Emit
from cardio.readers.supervision import Pauses, Supervisor

WAIT_MILLISECONDS = 5_000
"""The longest wait before the list of readers is read again."""
_MOST_GONE = 10
"""The limit of consecutive rounds in which a listed reader is gone; then PC/SC contradicts itself."""
_REFUSALS_THAT_COUNT = 3
"""The number of consecutive refusals after which a policy counts: a service that stops or just starts gives the same
code.
"""
_STOP_SECONDS = 2.0
TASK = "pcsc-watch"
"""The name of the thread for its supervisor."""


def now() -> datetime:
    return datetime.now(UTC)


class PcscWatch:
    """A watch that runs from its creation until `stop`."""

    def __init__(
        self, emit: Emit, *, clock: Callable[[], datetime] = now, supervisor: Supervisor | None = None
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._supervisor = supervisor or Supervisor()
        self._known: dict[str, int] = {}
        """The state word of each reader as last reported."""
        self._with_card: set[str] = set()
        self._service: tuple[bool, str | None] | None = None
        """The state of the service as last reported: up or down, and the error code while it is down, which may
        change.
        """
        self._stopping = threading.Event()
        self._context: scard.Context | None = None
        self._refusals = 0
        """The number of consecutive refusals by the system's policy."""
        self._thread = threading.Thread(target=self._run, name="cardio-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; return when it has ended, or after two seconds."""
        self._stopping.set()
        end = time.monotonic() + _STOP_SECONDS
        while self._thread.is_alive() and time.monotonic() < end:
            # Repeated: a cancel that comes just before the waiting has no effect.
            context = self._context
            if context is not None:
                context.cancel()
            self._thread.join(timeout=0.05)

    def _run(self) -> None:
        self._supervisor.keep_thread(TASK, self._watch_service, self._stopping)

    def _watch_service(self) -> None:
        """Watch until stopped. An unexpected error is raised after the service was reported as down."""
        pauses = Pauses()
        while not self._stopping.is_set():
            pauses.begin()
            try:
                self._context = scard.Context()
                self._watch(self._context)
            except CardioError as failure:
                error = failure
                if isinstance(error, NotPermittedError):
                    self._refusals += 1
                    if self._refusals < _REFUSALS_THAT_COUNT:
                        error = PcscUnavailableError(hresult=failure.hresult)
                else:
                    self._refusals = 0
                if isinstance(error, PcscUnavailableError) and self._context is not None:
                    pauses = Pauses()  # the service was reachable: it may be back at once
                self._report_down(error)
                self._stopping.wait(pauses.next())
            except BaseException:
                with suppress(Exception):  # a failing listener may have raised it
                    self._report_down(ReaderWatchError())
                raise
            finally:
                if self._context is not None:
                    with suppress(CardioError):
                        self._context.release()
                    self._context = None

    def _watch(self, context: scard.Context) -> None:
        """Report changes until the service fails (raises) or the watch is stopped (returns)."""
        names = context.readers()
        states = context.status_change(0, self._questions(names))
        self._refusals = 0
        self._report_service(up=True)  # only after both answers: else each try would report the service as up and down
        self._report_readers(names)
        self._report_states(states)
        gone = 0
        while not self._stopping.is_set():
            names = context.readers()
            self._report_readers(names)
            try:
                states = context.status_change(WAIT_MILLISECONDS, self._questions(names))
            except ReaderGoneError:  # one was removed since they were listed: the other readers' cards are still in
                gone += 1
                if gone >= _MOST_GONE:
                    raise
                continue
            gone = 0
            self._report_states(states)

    def _questions(self, names: list[str]) -> list[tuple[str, int]]:
        questions = [(name, self._known.get(name, scard.STATE_UNAWARE)) for name in names]
        # With the number of readers in the upper half, PC/SC answers as soon as a reader comes or goes.
        return [*questions, (scard.PNP_NOTIFICATION, len(names) << 16)]

    def _report_states(self, states: list[scard.ReaderState] | None) -> None:
        time = self._clock()
        for state in states or ():
            if state.name in self._known and state.flags & scard.STATE_CHANGED:
                self._report_state(state, time)

    def _report_readers(self, names: list[str]) -> None:
        for name in [known for known in self._known if known not in names]:
            self._forget_reader(name)
        for name in names:
            if name not in self._known:
                self._known[name] = scard.STATE_UNAWARE
                self._report(EventKind.READER_ADDED, name, self._clock())

    def _report_state(self, state: scard.ReaderState, time: datetime) -> None:
        before = self._known.get(state.name, scard.STATE_UNAWARE)
        first = before == scard.STATE_UNAWARE
        self._known[state.name] = state.flags & ~scard.STATE_CHANGED
        swapped = not first and state.event_counter != before >> 16 & 0xFFFF
        present = bool(state.flags & scard.STATE_PRESENT)
        mute = bool(state.flags & scard.STATE_MUTE)
        was_mute = bool(before & scard.STATE_MUTE)
        if state.name in self._with_card and (not present or swapped):
            self._with_card.discard(state.name)
            self._report(EventKind.CARD_REMOVED, state.name, time, counter=state.event_counter)
        if present and (state.name not in self._with_card or mute != was_mute):
            self._with_card.add(state.name)
            kind = EventKind.CARD_MUTE if mute else EventKind.CARD_INSERTED
            self._report(kind, state.name, time, atr=state.atr, counter=state.event_counter)

    def _forget_reader(self, name: str) -> None:
        del self._known[name]
        if name in self._with_card:
            self._with_card.discard(name)
            self._report(EventKind.CARD_REMOVED, name, self._clock())
        self._report(EventKind.READER_REMOVED, name, self._clock())

    def _report_down(self, error: CardioError) -> None:
        try:
            for name in list(self._known):
                self._forget_reader(name)
        finally:
            self._known.clear()
            self._with_card.clear()
        self._report_service(up=False, problem=Problem.of(error))

    def _report_service(self, *, up: bool, problem: Problem | None = None) -> None:
        state = (up, None if problem is None else problem.code)
        if self._service != state:
            self._service = state
            self._report(EventKind.SERVICE_UP if up else EventKind.SERVICE_DOWN, None, self._clock(), problem=problem)

    def _report(
        self,
        kind: EventKind,
        reader: str | None,
        time: datetime,
        *,
        atr: bytes = b"",
        counter: int | None = None,
        problem: Problem | None = None,
    ) -> None:
        self._emit(
            ReaderEvent(
                kind=kind,
                reader=reader,
                simulated=False,
                atr=atr.hex().upper() if atr else None,
                event_counter=counter,
                time=time,
                problem=problem,
            )
        )
