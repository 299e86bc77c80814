"""Doing something that may never come back, for at most so long."""

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
    """No thread waits for its outcome any more."""


def _outcome_of(job: _Job, seconds: float, watch: CommandWatch | None) -> tuple[Any, BaseException | None]:
    """Return what a job has come to. Raises: queue.Empty: its time is over, or that of the command that it is at."""
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
                continue  # whose time is over is looked at anew: another command may have begun meanwhile
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
        except BaseException as error:  # whatever it is, it belongs to the thread that waits
            job.outcome.put((None, error))
            if job.given_up and not isinstance(error, CardioError):
                supervisor.note("card-worker", error)
        del job  # nothing of the last card outlives its reading


class Worker:
    """A thread that can be given up: PC/SC has calls that no one can interrupt.

    It does one thing at a time and may be asked from one thread at a time. Starting a thread costs several times
    what asking a waiting one does, so whoever reads often keeps a worker.
    """

    def __init__(self, supervisor: Supervisor | None = None) -> None:
        """Args: ``supervisor`` is told of errors that no thread waits for any more."""
        self._supervisor = supervisor or Supervisor()
        self._jobs: queue.SimpleQueue[_Job | None] | None = None
        self._job: _Job | None = None

    def run_within(
        self, seconds: float, function: Callable[[], Result], *, if_given_up: Callable[[], None] | None = None
    ) -> Result:
        """Runs a function on the worker's thread and gives its result, or raises what it raises.

        Args: ``if_given_up`` is done by that same thread when it comes back too late. Nobody else may touch what a
        call is stuck in: PC/SC's library holds a lock of the whole process while it waits for such a handle.

        Raises:
            ReaderTimeoutError: it has not returned in time. Its thread goes on, and nobody waits for it any more;
                the next function gets a new one.
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
        """As `run_within`, for a function that sends commands to a card.

        Args: ``watch`` is told of them: one that takes longer than it may ends the waiting too, and after the waiting
        no other is sent.
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
        except BaseException as interrupted:  # its time is over, or a person interrupts: its thread is given up
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
            self._job = None  # nothing of the last card outlives its reading
        if error is not None:
            raise error
        done: Result = result
        return done

    @property
    def has_thread(self) -> bool:
        """Return whether there is a thread to ask; one that was given up does not count."""
        return self._jobs is not None

    def abandon(self) -> None:
        """Tell the caller that waits at once that it took too long: the process is about to end. From any thread."""
        job = self._job
        if job is not None:
            job.given_up = True
            job.outcome.put((None, None))

    def close(self) -> None:
        """Lets the thread end as soon as it comes back."""
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
