"""The queue of a reader: one thread that does one job at a time, and callers that wait for it on the event loop."""

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
"""The number of calls that may wait at one reader; a further call gets an error and can come again."""


class WorkQueue:
    def __init__(self, name: str, stopping: asyncio.Future[None], supervisor: Supervisor | None = None) -> None:
        """Start the thread of a reader.

        Args:
            name: the name of the reader.
            stopping: a future that is done when the service stops; calls that wait get an error then.
            supervisor: the supervisor of threads.
        """
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"desk-{name}")
        self._supervisor = supervisor or Supervisor()
        self._worker = Worker(self._supervisor)
        self._stopping = stopping
        self.waiting = 0

    async def submit(
        self,
        work: Callable[[Worker], Result],
        *,
        limit: int | None = QUEUE_LIMIT,
        watch: CommandWatch | None = None,
        on_cut: Callable[[CardioError], None] | None = None,
    ) -> Result:
        """Run a job on the thread, in its turn.

        Cancelled: drop the job if it has not started, else discard its result.

        Args:
            work: the job.
            limit: the number of calls that may wait; None for no limit.
            watch: the watch that knows which commands the job has sent to the card.
            on_cut: a listener for an unknown outcome, if the caller is cut off while the job runs.

        Raises:
            QueueFullError: ``limit`` calls wait already.
            StoppingError: the service stops; nothing was spent or changed.
            PinOutcomeUnknownError: the service stops, and it is not known whether the card has checked a PIN.
            WriteOutcomeUnknownError: the service stops, and it is not known whether the card was changed.
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
                # The caller is cut off: a job that has not started is dropped; one that has begun to change the card
                # ends normally.
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
        """Stop waiting for a slow card."""
        self._worker.abandon()

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Close the queue after the calls that wait, and after a last job."""
        if last is not None:
            self._thread.submit(self._do_last, last)
        self._thread.submit(self._worker.close)
        self._thread.shutdown(wait=False)

    def _do_last(self, last: Callable[[], None]) -> None:
        with self._supervisor.guard("reader-queue"):  # no caller waits for it
            last()
