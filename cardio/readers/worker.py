"""The thread for calls that may never return, with a time limit."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cardio.apdu.command_watch import CommandWatch
from cardio.errors import CardioError, ReaderTimeoutError
from cardio.readers.supervision import Supervisor

Result = TypeVar("Result")


@dataclass(slots=True)
class _Job:
    function: Callable[[], Any]
    outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = field(default_factory=queue.SimpleQueue)
    given_up: bool = False
    """True if no thread waits for its outcome any more."""


def _outcome_of(job: _Job, seconds: float, watch: CommandWatch | None) -> tuple[Any, BaseException | None]:
    """Return the outcome of a job.

    Raises:
        queue.Empty: the time of the job is over, or that of its present command.
    """
    ends = time.monotonic() + seconds
    while True:
        left = ends - time.monotonic()
        wait = left if watch is None else min(left, watch.seconds_to_limit())
        if wait <= 0:
            found = job.outcome.get_nowait()
        else:
            try:
                found = job.outcome.get(timeout=wait)
            except queue.Empty:
                continue  # the limits are computed again: another command may have begun meanwhile
        if job.given_up:
            raise queue.Empty
        return found


def _too_late(watch: CommandWatch | None) -> ReaderTimeoutError:
    if watch is None or not watch.hangs or watch.seconds_to_limit() > 0:
        return ReaderTimeoutError()
    return ReaderTimeoutError(
        f"卡片超过 {watch.seconds:g} 秒没有应答一条命令",
        f"the card has not answered a command within {watch.seconds:g} s",
    )


def _work(jobs: queue.SimpleQueue[_Job | None], supervisor: Supervisor) -> None:
    while (job := jobs.get()) is not None:
        try:
            job.outcome.put((job.function(), None))
        except BaseException as error:  # every error belongs to the waiting thread
            job.outcome.put((None, error))
            if job.given_up and not isinstance(error, CardioError):
                supervisor.note("card-worker", error)
        del job  # no data of the last card outlives its reading


class Worker:
    """A thread that can be given up: PC/SC has calls that cannot be interrupted.

    It does one job at a time, and one thread at a time may use it. Starting a thread costs several times the use of a
    waiting one, so a caller that reads often keeps a worker.
    """

    def __init__(self, supervisor: Supervisor | None = None) -> None:
        """Set up without starting the thread.

        Args:
            supervisor: notes the errors that no thread waits for any more.
        """
        self._supervisor = supervisor or Supervisor()
        self._jobs: queue.SimpleQueue[_Job | None] | None = None
        self._job: _Job | None = None

    def run_within(
        self, seconds: float, function: Callable[[], Result], *, if_given_up: Callable[[], None] | None = None
    ) -> Result:
        """Run a function on the worker's thread and return its result, or raise its error.

        Args:
            seconds: the time limit.
            function: the function.
            if_given_up: called by that same thread when it returns too late. No other thread may touch the handle that
                a call hangs on: PC/SC's library holds a lock of the whole process while it waits for such a handle.

        Raises:
            ReaderTimeoutError: the function has not returned in time. Its thread continues, and no thread waits for it
                any more; the next function gets a new one.
        """
        return self.run_watched(seconds, function, None, if_given_up=if_given_up)

    def run_watched(
        self,
        seconds: float,
        function: Callable[[], Result],
        watch: CommandWatch | None,
        *,
        if_given_up: Callable[[], None] | None = None,
    ) -> Result:
        """Run a function that sends commands to a card, as `run_within` does.

        Args:
            seconds: the time limit.
            function: the function.
            watch: called for its commands. A command over its own limit ends the waiting too, and after that no other
                command is sent.
            if_given_up: as for `run_within`.
        """
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            threading.Thread(
                target=_work, args=(self._jobs, self._supervisor), name="cardio-reading", daemon=True
            ).start()
        job = self._job = _Job(function)
        self._jobs.put(job)
        try:
            result, error = _outcome_of(job, seconds, watch)
        except BaseException as interrupted:  # the time is over, or a person interrupts: the thread is given up
            job.given_up = True
            if watch is not None:
                watch.give_up()
            if if_given_up is not None:
                self._jobs.put(_Job(if_given_up, given_up=True))
            self.close()
            if isinstance(interrupted, queue.Empty):
                raise _too_late(watch) from None
            raise
        finally:
            self._job = None  # no data of the last card outlives its reading
        if error is not None:
            raise error
        done: Result = result
        return done

    @property
    def has_thread(self) -> bool:
        """Return True if there is a thread to use; one that was given up does not count."""
        return self._jobs is not None

    def abandon(self) -> None:
        """Make the waiting caller time out at once, because the process is about to end. Any thread may call this."""
        job = self._job
        if job is not None:
            job.given_up = True
            job.outcome.put((None, None))

    def close(self) -> None:
        """Let the thread end as soon as its job returns."""
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
