"""A loss list that is kept as long as its file stays as it is: an authority replaces it while programs run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cardio.identity.loss_list import LossList
from cardio.security.errors import PolicyError

_SETTLED_NS = 1_000_000_000
"""Clocks of file systems are coarse: a file that was changed so lately may change again and show the same time."""


@dataclass(frozen=True, slots=True)
class _FileState:
    """What tells one content of a file from the next."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> _FileState | None:
        """None where the file cannot be asked: reading it says why."""
        try:
            about = os.stat(path)
        except OSError:
            return None
        return cls(about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)

    def is_settled(self, now: int) -> bool:
        """Return whether its last change is some time ago. A time that is yet to come is another clock's: it tells
        nothing.
        """
        past = [time for time in (self.modified, self.changed) if time <= now]
        return not past or now - max(past) > _SETTLED_NS


class KeptLossList:
    """One for a program. May be used from any thread; who asks while the file is read waits for the same reading."""

    def __init__(self, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._state: _FileState | None = None
        self._path: Path | None = None
        self._found: LossList | PolicyError | None = None

    def load(self, path: Path) -> LossList:
        """The list as its file has it now. It takes seconds where the file is new and long.

        Raises:
            PolicyError: as `LossList.load`; a wrong file is not read again until it changes.
        """
        with self._lock:
            state = _FileState.of(path)
            if self._found is None or state is None or (state, path) != (self._state, self._path):
                self._found = None  # the old list's memory is free before the new one is read
                self._found = _read(path)
                after = _FileState.of(path)
                # What was changed while it was read, or a moment ago, is read anew the next time.
                kept = after is not None and after == state and after.is_settled(self._clock())
                self._state, self._path = (state, path) if kept else (None, None)
            found = self._found
        if isinstance(found, PolicyError):
            raise PolicyError(found.detail, found.detail_en)
        return found


def _read(path: Path) -> LossList | PolicyError:
    try:
        return LossList.load(path)
    except PolicyError as error:
        return error
