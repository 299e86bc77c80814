"""The line at a desk: one thread that does one thing at a time, and those who wait for it on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from cardio.apdu.command_watch import CommandWatch
from cardio.errors import CardioError, ReaderTimeoutError
from cardio.readers.supervision import Supervisor
from cardio.readers.worker import Worker
from cardio.security.outcome import as_outcome
from service.readers.errors import QueueFullError, StoppingError

Result = TypeVar("Result")
QUEUE_LIMIT = 4
"""Calls that may wait at one reader; the next is told to come again."""


class WorkQueue:
    def __init__(self, name: str, stopping: asyncio.Future[None], supervisor: Supervisor | None = None) -> None:
        """Args: ``stopping`` is done when the service stops: whoever waits is told so."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"desk-{name}")
        self._supervisor = supervisor or Supervisor()
        self._worker = Worker(self._supervisor)
        self._stopping = stopping
        self.waiting = 0

    async def do(
        self,
        work: Callable[[Worker], Result],
        *,
        limit: int | None = QUEUE_LIMIT,
        watch: CommandWatch | None = None,
        on_cut: Callable[[CardioError], None] | None = None,
    ) -> Result:
        """Does something on the thread, when it is its turn.

        Args:
            watch: knows what the work has begun at the card.
            on_cut: told of an outcome that is not known, where the caller is cut off in the midst of it.

        Raises:
            QueueFullError: more than ``limit`` wait already.
            StoppingError: the service stops; nothing was spent or changed.
            PinOutcomeUnknownError, WriteOutcomeUnknownError: it stops where it is not known what the card has done.
        """
        watch = watch or CommandWatch()
        if limit is not None and self.waiting >= limit:
            raise QueueFullError()
        self.waiting += 1
        try:
            submitted = self._thread.submit(work, self._worker)
            working = asyncio.wrap_future(submitted)
            ends: set[asyncio.Future[Any]] = {working, self._stopping}
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                # Cut off: what has not begun does not begin; what has begun to change the card comes to its end.
                working.cancel()
                submitted.add_done_callback(self._log_unhandled)
                cut_off = ReaderTimeoutError("调用已中断", "the call was cut off")
                outcome = as_outcome(cut_off, watch.withdraw())
                if outcome is not cut_off and on_cut is not None:
                    on_cut(outcome)
                raise
            if not working.done():
                working.cancel()
                submitted.add_done_callback(self._log_unhandled)
                raise as_outcome(StoppingError(), watch.give_up())
            return working.result()
        finally:
            self.waiting -= 1

    def _log_unhandled(self, done: Future[Any]) -> None:
        """Note an unplanned error of work that no caller waits for any more."""
        error = None if done.cancelled() else done.exception()
        if error is not None and not isinstance(error, CardioError):
            self._supervisor.note("reader-queue", error)

    def abandon(self) -> None:
        """Nobody waits for a slow card any more."""
        self._worker.abandon()

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Those who wait are still served, and after them what is to be done last."""
        if last is not None:
            self._thread.submit(self._do_last, last)
        self._thread.submit(self._worker.close)
        self._thread.shutdown(wait=False)

    def _do_last(self, last: Callable[[], None]) -> None:
        with self._supervisor.guard("reader-queue"):  # no caller waits for it
            last()
