"""Watches an event loop from inside: what a callback costs, and whether it waits for a disk."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

LIMIT = 0.020
"""Seconds of its thread's own time that one callback may take: what other programs take meanwhile does not count."""
_TOUCH_THE_DISK = frozenset(
    {"open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove", "os.link", "sqlite3.connect"}
)
_NO_DISK = "/proc/"
"""The kernel's memory."""
_ROOT = str(Path(__file__).parents[3])


class LoopGuard:
    def __init__(self) -> None:
        self.slow: list[tuple[str, float]] = []
        self.disk: list[str] = []
        self._thread: int | None = None

    @contextmanager
    def on(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Watches every callback of a loop that runs on another thread."""
        found = threading.Event()

        def begin() -> None:
            self._thread = threading.get_ident()
            found.set()

        loop.call_soon_threadsafe(begin)
        assert found.wait(5)
        run = asyncio.Handle._run
        guard = self

        def watched(self: asyncio.Handle) -> None:
            if threading.get_ident() != guard._thread:
                return run(self)
            before = time.thread_time()
            run(self)
            took = time.thread_time() - before
            if took > LIMIT:
                guard.slow.append((str(self), took))

        _audited(self)
        asyncio.Handle._run = watched  # type: ignore[method-assign]
        try:
            yield
        finally:
            asyncio.Handle._run = run  # type: ignore[method-assign]
            _watching.remove(self)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _TOUCH_THE_DISK or threading.get_ident() != self._thread:
            return
        if not str(arguments[0] if arguments else "").startswith(_NO_DISK):
            self.disk.append(f"{event} {arguments[0] if arguments else ''} at {' < '.join(_places())}")

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        self._thread, thread = None, self._thread
        try:
            yield
        finally:
            self._thread = thread


def _places() -> list[str]:
    """Where this is called from, in this project's files; no source is read for it, which would be noted in turn."""
    found: list[str] = []
    frame: FrameType | None = sys._getframe()
    while frame is not None and len(found) < 6:
        name = frame.f_code.co_filename
        if name.startswith(_ROOT) and ".venv" not in name and name != __file__:
            found.append(f"{name.rpartition('/')[2]}:{frame.f_lineno}")
        frame = frame.f_back
    return found


_watching: list[LoopGuard] = []
_hooked = False


def _audited(guard: LoopGuard) -> None:
    """Python's own record of what touches the outside; a hook stays for the whole process, so there is one."""
    global _hooked
    _watching.append(guard)
    if not _hooked:
        _hooked = True

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            for one in tuple(_watching):
                one.note(event, arguments)

        sys.addaudithook(hook)
