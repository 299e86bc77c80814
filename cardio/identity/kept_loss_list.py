"""A loss list that is kept in memory until its file changes: an authority replaces it while programs run."""

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
"""The age after which a file counts as stable, in nanoseconds. Clocks of file systems are coarse: a younger file may
change again and show the same time.
"""


@dataclass(frozen=True, slots=True)
class _FileState:
    """The facts that tell one content of a file from the next."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> _FileState | None:
        """Return the state of a file; None where it cannot be examined: reading it gives the reason."""
        try:
            about = os.stat(path)
        except OSError:
            return None
        return cls(about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)

    def is_settled(self, now: int) -> bool:
        """Return True if its last change is some time ago. A time in the future is of another clock, and is ignored."""
        past = [time for time in (self.modified, self.changed) if time <= now]
        return not past or now - max(past) > _SETTLED_NS


class KeptLossList:
    """The loss list of a program. Any thread may use it; a caller that asks while the file is read waits for that
    reading.
    """

    def __init__(self, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._state: _FileState | None = None
        self._path: Path | None = None
        self._found: LossList | PolicyError | None = None

    def load(self, path: Path) -> LossList:
        """Return the list as its file has it now. It takes seconds where the file is new and long.

        Raises:
            PolicyError: as for `LossList.load`; a wrong file is not read again until it changes.
        """
        with self._lock:
            state = _FileState.of(path)
            if self._found is None or state is None or (state, path) != (self._state, self._path):
                self._found = None  # frees the memory of the old list before the new one is read
                self._found = _read(path)
                after = _FileState.of(path)
                # A file that was changed during the reading, or just before, is read again the next time.
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
