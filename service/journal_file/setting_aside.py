"""Putting away what a person has given up: under another name in the same folder, never deleted."""

from __future__ import annotations

import os
import time
from pathlib import Path

from service.database_file import log_of
from service.errors import JournalUnavailableError
from service.journal_file.marks import Marks


def set_aside(path: Path, marks: Marks) -> None:
    """Make way for a new journal, or for one without another one's write-ahead log.

    Called where the database is gone, or was replaced beside its old write-ahead log. A database that is there stays;
    without one the marks go too.

    Raises:
        JournalUnavailableError: they cannot be renamed.
    """
    names = [log_of(path), path.with_name(path.name + "-shm")]
    if not (path.exists() and path.stat().st_size):
        names += [path, *(one.path for one in marks.files)]
    suffix = f".{time.strftime('%Y%m%d-%H%M%S')}.old"
    try:
        for one in names:
            if os.path.lexists(one):
                os.rename(one, _free_name(one, suffix))
    except OSError as error:
        raise JournalUnavailableError(f"{path}：{error}", f"{path}: {error}") from error


def _free_name(path: Path, suffix: str) -> Path:
    number = 0
    while os.path.lexists(found := path.with_name(f"{path.name}{suffix}{number or ''}")):
        number += 1
    return found
