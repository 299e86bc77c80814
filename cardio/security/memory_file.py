"""A small file of what cards have taught about PINs and keys: SQLite, private, shared by the processes of one user.

Cards stand in it by keyed hashes; the key is made with the file and stays in it.
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
    """The file cannot be used. `detail` and `detail_en` say why."""

    def __init__(self, detail: str, detail_en: str) -> None:
        super().__init__(detail_en)
        self.detail = detail
        self.detail_en = detail_en


@dataclass(frozen=True, slots=True)
class MemoryKind:
    """What such a file holds, and how it is kept."""

    name: str
    name_en: str
    schema: str
    synchronous: Literal["OFF", "FULL"]
    """Whether a change is on the disk when it returns; without, a power cut may take the file."""
    renew_damaged: bool
    """Begin anew where the file is damaged; else a person decides."""


class MemoryFile:
    """One file, opened for each transaction; without a path it lives in this process. For any thread."""

    def __init__(self, path: Path | None, kind: MemoryKind) -> None:
        self._path = path
        self._kind = kind
        self._lock = threading.RLock()
        self._own: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is kept, or none of it.

        Raises:
            MemoryFileError: the file is no private file, is damaged, locked or on a full disk, or cannot be made.
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
    """The mark by which something stands in the file; parts are told apart whatever bytes they have."""
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
