"""The file of the journal: SQLite with a write-ahead log, synchronous to the disk, held by one process."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.errors import JournalUnavailableError

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE debit (
  id TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  asked TEXT NOT NULL,
  attempt INTEGER NOT NULL DEFAULT 1,
  state TEXT NOT NULL,
  sent INTEGER NOT NULL DEFAULT 0,
  doubted INTEGER NOT NULL DEFAULT 0,
  card TEXT,
  number INTEGER,
  terminal TEXT,
  time TEXT,
  intent TEXT,
  result TEXT,
  reason TEXT NOT NULL DEFAULT '',
  created TEXT NOT NULL,
  changed TEXT NOT NULL,
  UNIQUE (owner, idempotency_key)
) STRICT;
CREATE UNIQUE INDEX debit_once_by_number ON debit (card, number, terminal) WHERE state <> 'aborted';
CREATE UNIQUE INDEX debit_once_by_time ON debit (card, terminal, time) WHERE state <> 'aborted';
CREATE INDEX debit_by_state ON debit (state);
CREATE TABLE key_mark (id INTEGER PRIMARY KEY CHECK (id = 1), mark TEXT NOT NULL) STRICT;
"""
_PRAGMAS = {"locking_mode": "exclusive", "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
"""As they are set, in this order, and as they are read back; 2 is FULL."""


class JournalFile:
    """One connection, used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Raises: JournalUnavailableError: it cannot be used, or another process has it."""
        self.lock = threading.RLock()
        self._path = path
        self._inside = False
        """Whether a transaction is open: what is done meanwhile is part of it."""
        try:
            self._database = _opened(path)
        except (sqlite3.Error, OSError) as error:
            raise _unavailable(path, error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is on disk afterwards, or none of it. One inside another is part of it.

        Raises:
            sqlite3.IntegrityError: what must be unique would not be.
            JournalUnavailableError: the disk is full, or the like.
        """
        with self.lock:
            if self._inside:
                yield self._database
                return
            try:
                self._database.execute("BEGIN IMMEDIATE")
                self._inside = True
                try:
                    yield self._database
                    self._database.execute("COMMIT")
                except BaseException:  # whatever it is, an interruption too: nothing half done stays
                    self._roll_back()
                    raise
                finally:
                    self._inside = False
            except sqlite3.IntegrityError:
                raise
            except sqlite3.Error as error:  # the file is closed, the disk is full
                raise _unavailable(self._path, error) from error

    def _roll_back(self) -> None:
        """Where even that fails nothing is written any more: what comes later would not be on disk."""
        try:
            if self._database.in_transaction:  # a full disk rolls back by itself
                self._database.execute("ROLLBACK")
        except sqlite3.Error:
            self._database.close()

    def close(self) -> None:
        with self.lock:
            self._database.close()


def _unavailable(path: Path, error: sqlite3.Error | OSError) -> JournalUnavailableError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
        return JournalUnavailableError(f"另一个程序正在使用消费日志 {path}", f"another program has the journal {path}")
    return JournalUnavailableError(f"消费日志 {path}：{error}", f"journal of debits {path}: {error}")


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A file that is there is not opened by hand: to close it again would end the locks of this process on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    database = sqlite3.connect(path, timeout=2.0, isolation_level=None, check_same_thread=False)
    try:
        database.row_factory = sqlite3.Row
        for name, wanted in _PRAGMAS.items():
            database.execute(f"PRAGMA {name} = {wanted}")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > _SCHEMA_VERSION:
            raise JournalUnavailableError(
                f"消费日志 {path} 由较新的版本写成", f"the journal {path} was written by a newer version"
            )
        if version == 0:
            database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;")
        for name, wanted in _PRAGMAS.items():
            found = database.execute(f"PRAGMA {name}").fetchone()[0]
            if found != wanted:
                raise JournalUnavailableError(
                    f"消费日志不能以 {name}={wanted} 运行（{found}）",
                    f"the journal runs with {name} {found}, not {wanted}",
                )
    except BaseException:  # whatever it is, an interruption too: the file and its lock do not stay held
        database.close()
        raise
    return database
