"""The supervision of background work: an escaped error is logged with its place and counted, and the work starts again.

Python ends a thread whose function raises, and an asyncio task in the same way, without notice. A bridge whose watcher
ended like that would show empty readers from then on.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""The seconds before failed work starts again: doubled after each failure, up to the longest."""
_ROOT = Path(__file__).parents[2]
_log = logging.getLogger("cardio.supervision")


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """The state of one background task that has failed at least once."""

    task: str
    failures: int
    error: str
    """The class of the last error. Its message is left out: it can contain data that was read from a card."""
    place: str
    """The place where it was raised: file, line and function."""
    time: datetime
    down: bool
    """True while the task waits for its next start."""


def place_of(error: BaseException) -> str:
    """Return where an error was raised: the innermost line of this project, else the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_ROOT) and ".venv" not in frame.filename]
    for frame in (ours or frames)[-1:]:
        path = Path(frame.filename)
        return f"{path.relative_to(_ROOT) if ours else path.name}:{frame.lineno} in {frame.name}"
    return "unknown"


class Supervisor:
    """The background tasks of one program. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, TaskFailure] = {}

    @property
    def failures(self) -> tuple[TaskFailure, ...]:
        """Return every task that has failed since the start."""
        with self._lock:
            return tuple(self._failures.values())

    @property
    def failed_tasks(self) -> tuple[TaskFailure, ...]:
        """Return the tasks that do not run at present."""
        return tuple(failure for failure in self.failures if failure.down)

    def note(self, task: str, error: BaseException, *, down: bool = False) -> None:
        """Count and log an unexpected error."""
        kind, place = type(error).__name__, place_of(error)
        with self._lock:
            before = self._failures.get(task)
            count = 1 if before is None else before.failures + 1
            self._failures[task] = TaskFailure(task, count, kind, place, datetime.now(UTC), down)
        _log.error("%s failed (%d): %s at %s", task, count, kind, place)

    def note_running(self, task: str) -> None:
        """Note that a task that was down runs again."""
        with self._lock:
            before = self._failures.get(task)
            if before is not None and before.down:
                self._failures[task] = replace(before, down=False)

    @contextmanager
    def guard(self, task: str) -> Iterator[None]:
        """Run work that is done once: an error that escapes is noted and not passed on; for a ``with`` statement."""
        try:
            yield
        except Exception as error:  # without this the task would end unnoticed, whatever the error is
            self.note(task, error)

    def watch_threads(self) -> None:
        """Note the errors that escape from any thread of this process; Python itself would print their messages and
        lines.
        """

        def note(escaped: threading.ExceptHookArgs) -> None:
            if escaped.exc_value is not None:
                self.note(f"thread-{escaped.thread.name if escaped.thread else '?'}", escaped.exc_value)

        threading.excepthook = note

    def keep_thread(self, task: str, work: Callable[[], None], stopping: threading.Event) -> None:
        """Run work on this thread until it returns or ``stopping`` is set; start it again after an error.

        Work that fails after the stop is not down, because it need not start again.
        """
        pauses = Pauses()
        while not stopping.is_set():
            try:
                self.note_running(task)
                pauses.begin()
                return work()
            except BaseException as error:  # a thread has no caller that would see it
                self.note(task, error, down=True)
                stopping.wait(pauses.next())
        self.note_running(task)

    async def keep_task(self, task: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a coroutine on the event loop as `keep_thread` runs a function; cancelling ends it."""
        pauses = Pauses()
        while True:
            try:
                self.note_running(task)
                pauses.begin()
                return await work()
            except Exception as error:  # a task has no caller that would see it
                self.note(task, error, down=True)
                import asyncio  # imported late: a command that reads a card has no event loop

                await asyncio.sleep(pauses.next())


class Pauses:
    """The wait before the next start: longer after each failure, short again after a long run."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = FIRST_PAUSE
        self._began = clock()

    def begin(self) -> None:
        """Note that the work starts."""
        self._began = self._clock()

    def next(self) -> float:
        """Return the seconds until the next start."""
        if self._clock() - self._began > LONGEST_PAUSE:
            self._pause = FIRST_PAUSE
        pause = self._pause
        self._pause = min(2 * pause, LONGEST_PAUSE)
        return pause
