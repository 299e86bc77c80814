"""A small file with the learnt facts of cards' PINs and keys: SQLite, private, shared by the processes of one user.

Cards stand in it as keyed hashes. The key of the hashes is created with the file and stays in it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cardio.config.private_file import prepare_database, require_unmoved
from cardio.errors import CardioError

_WAIT_SECONDS = 2.0
_KEY_TABLE = "CREATE TABLE IF NOT EXISTS secret (id INTEGER PRIMARY KEY CHECK (id = 1), value BLOB NOT NULL);"


class MemoryFileError(OSError):
    """An error for a file that cannot be used. `detail` and `detail_en` say why."""

    def __init__(self, detail: str, detail_en: str) -> None:
        super().__init__(detail_en)
        self.detail = detail
        self.detail_en = detail_en


@dataclass(frozen=True, slots=True)
class MemoryKind:
    """The content of such a file, and the way it is stored."""

    name: str
    name_en: str
    schema: str
    synchronous: Literal["OFF", "FULL"]
    """FULL if a change must be on the disk when it returns. With OFF a power cut may destroy the file."""
    renew_damaged: bool
    """True if a damaged file is replaced by an empty one; else a person decides."""


class MemoryFile:
    """One file, opened for each transaction. Without a path the data stays in this process. Any thread may use it."""

    def __init__(self, path: Path | None, kind: MemoryKind) -> None:
        self._path = path
        self._kind = kind
        self._lock = threading.RLock()
        self._own: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the statements inside as one transaction: all of them are stored, or none.

        Yields:
            the open database.

        Raises:
            MemoryFileError: the file is no private file, is damaged, locked or on a full disk, or cannot be created.
        """
        with self._lock:
            if self._path is None:
                if self._own is None:
                    self._own = _connected(":memory:", self._kind)
                yield from _within(self._own)
                return
            try:
                with closing(self._opened(self._path)) as database:
                    yield from _within(database)
            except sqlite3.Error as error:
                raise self._error(error) from error

    def _opened(self, path: Path) -> sqlite3.Connection:
        try:
            return self._checked(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # it is damaged, or no database at all
            if not self._kind.renew_damaged:
                raise
            path.unlink()
            return self._checked(path)
        except (OSError, CardioError) as error:
            raise self._error(error) from error

    def _checked(self, path: Path) -> sqlite3.Connection:
        what = (self._kind.name, self._kind.name_en)
        before = prepare_database(path, *what)
        database = _connected(path, self._kind)
        try:
            require_unmoved(path, before, *what)
        except CardioError:
            database.close()
            raise
        return database

    def _error(self, error: Exception) -> MemoryFileError:
        if isinstance(error, MemoryFileError):
            return error
        if isinstance(error, CardioError):
            return MemoryFileError(error.detail, error.detail_en)
        kind = self._kind
        return MemoryFileError(f"{kind.name} {self._path}：{error}", f"{kind.name_en} {self._path}: {error}")


def keyed_hash(database: sqlite3.Connection, *parts: bytes) -> bytes:
    """Return the mark that stands for a value in the file. Different lists of parts have different marks."""
    row = database.execute("SELECT value FROM secret").fetchone()
    if row is None:
        row = (secrets.token_bytes(32),)
        database.execute("INSERT INTO secret VALUES (1, ?)", row)
    if len(parts) == 1:
        return hmac.new(row[0], parts[0], hashlib.sha256).digest()
    whole = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.new(row[0], whole, hashlib.sha256).digest()


def _within(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    with database:  # commits, or rolls back
        database.execute("BEGIN IMMEDIATE")
        yield database


def _connected(place: Path | str, kind: MemoryKind) -> sqlite3.Connection:
    database = sqlite3.connect(place, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        database.executescript(f"PRAGMA synchronous = {kind.synchronous}; {_KEY_TABLE} {kind.schema}")
    except sqlite3.Error:
        database.close()
        raise
    return database
