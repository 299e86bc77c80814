"""The lock that gives a journal to one process.

It is on a file of its own, which stays if the database is moved or removed.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from cardio.config.private_file import check_private, make_folder
from cardio.errors import ConfigurationError
from service.debits.errors import JournalUnavailableError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NAME, _NAME_EN = "扣款记录的锁文件", "lock file of the journal of debits"


class ProcessLock:
    """The lock of a process, held until `release` or until the process ends in any way."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Args:
            path: the lock's own file, which is made if it is missing.

        Raises:
            JournalUnavailableError: another process has it, it is no private file, or it cannot be made.
        """
        self._handle: int | None = None
        try:
            make_folder(path.parent)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
            if not os.path.samestat(check_private(path, _NAME, _NAME_EN), os.fstat(self._handle)):
                raise ConfigurationError(f"{_NAME} {path} 被替换", f"the {_NAME_EN} {path} was replaced")
            _lock(self._handle)
        except ConfigurationError as error:
            self.release()
            raise JournalUnavailableError(error.detail, error.detail_en) from error
        except BlockingIOError as error:
            self.release()
            busy = JournalUnavailableError(
                f"另一个程序正在使用扣款记录（{path.parent}）",
                f"another program has the journal of debits in {path.parent}",
            )
            busy.in_use = True
            raise busy from error
        except OSError as error:
            self.release()
            raise JournalUnavailableError(f"{_NAME} {path}：{error}", f"{_NAME_EN} {path}: {error}") from error

    def release(self) -> None:
        """Release the lock; a second time does nothing. The file stays."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(OSError):
                os.close(handle)


if sys.platform == "win32":

    def _lock(handle: int) -> None:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError() from error

else:

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
