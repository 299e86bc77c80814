"""The renaming of files that a person has given up: they stay in the same folder and are never deleted."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from service.audit.chain import Chain
from service.debits.errors import JournalUnavailableError
from service.debits.journal_file.marks import JournalMark, Marks, UnreadableMarkError
from service.debits.journal_file.verification import verify_journal
from service.debits.schema import JOURNAL_FILE
from service.storage.sqlite import SqliteFile, log_of


def keep_its_own_log(path: Path, marks: Marks, chain: Chain) -> bool:
    """Keep the write-ahead log of a database if both are one complete journal.

    This is the case if only the file's time was changed.

    Returns:
        True if they belong together; the database can then be opened with its log.

    Raises:
        JournalUnavailableError: this cannot be determined, so nothing may be set aside.
    """
    if not (path.is_file() and log_of(path).is_file()):
        return False
    try:
        found = [mark for one in marks.files if (mark := one.read(chain)) is not None]
    except UnreadableMarkError:
        return False
    try:
        if not found or not _are_one(path, chain, found):
            return False
        for one in marks.files:
            one.write(replace(found[0], checkpointing=True), chain, synced=True)
    except OSError as error:
        raise JournalUnavailableError(f"{path}：{error}", f"{path}: {error}") from error
    return True


def _are_one(path: Path, chain: Chain, marks: list[JournalMark]) -> bool:
    """Check on a copy that database and log are one journal: SQLite would write the log into the database."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        copy = Path(folder) / path.name
        for one in (path, log_of(path)):
            shutil.copyfile(one, copy.with_name(one.name))
            copy.with_name(one.name).chmod(0o600)
        try:
            with closing(SqliteFile(copy, JOURNAL_FILE)) as opened, opened.snapshot() as database:
                if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                    return False
                verified = verify_journal(database, chain)
        except (JournalUnavailableError, sqlite3.Error):
            return False
    return not verified.chain and verified.anchor.number >= max(mark.number for mark in marks)


def set_aside(path: Path, marks: Marks) -> None:
    """Rename files to make room for a new journal, or for one without another one's write-ahead log.

    The database is gone then, or was replaced beside its old write-ahead log. An existing database stays. Without one
    the marks are renamed too.

    Raises:
        JournalUnavailableError: the files cannot be renamed.
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
