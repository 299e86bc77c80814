"""A database file of the bridge: SQLite with a write-ahead log, for its owner only, each change whole or not at all."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

from cardio.config.private_file import SIDE_FILES, check_private, prepare_database, require_unmoved
from cardio.errors import CardioError, ConfigurationError

Upgrade = str | Callable[[sqlite3.Connection], None]


@dataclass(frozen=True, slots=True)
class DatabaseSpec:
    """The contents of such a file, and the way it is kept."""

    name: str
    name_en: str
    unavailable: type[CardioError]
    """The class of the error that is raised when the file cannot be used."""
    version: int
    schema: str
    pragmas: Mapping[str, str | int]
    """The pragmas as they are set, in this order, and as they are read back; ``synchronous`` 1 is NORMAL, 2 is FULL."""
    upgrades: Mapping[int, Upgrade] = field(default_factory=dict)
    """The upgrades by version: each makes the next version, in SQL or by a function."""
    wait_seconds: float = 2.0
    """The time in seconds to wait for another process that is writing."""

    def error(self, path: Path, error: sqlite3.Error | OSError) -> CardioError:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return self.unavailable(
                f"另一个程序正在使用{self.name} {path}", f"another program has the {self.name_en} {path}"
            )
        return self.unavailable(f"{self.name} {path}：{error}", f"{self.name_en} {path}: {error}")


class SqliteFile:
    """One connection, used by one thread at a time."""

    def __init__(self, path: Path, kind: DatabaseSpec, *, read_only: bool = False) -> None:
        """Open the file.

        Args:
            path: the file.
            kind: the kind of the file.
            read_only: True if the file exists and must stay unchanged.

        Raises:
            CardioError: the file cannot be used, or another process has it; the error is the one of ``kind``.
        """
        self.lock = threading.RLock()
        self._path = path
        self._kind = kind
        self._inside = False
        """True while a transaction is open: nested calls are part of it."""
        try:
            check_parent(path, kind)
            if read_only:
                check_database(path, kind)
                self._database = _for_reading(path, kind)
            else:
                self._database = _opened(path, kind)
            self._place = path.lstat()
        except ConfigurationError as error:
            raise kind.unavailable(error.detail, error.detail_en) from error
        except (sqlite3.Error, OSError) as error:
            raise kind.error(path, error) from error

    @property
    def is_in_place(self) -> bool:
        """Return True if the file at the path is the one that is open: it was neither removed nor replaced."""
        try:
            return os.path.samestat(self._place, self._path.lstat()) and log_of(self._path).exists()
        except OSError:
            return False

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Yield the present contents for reading; a writer does not wait for it.

        Raises:
            CardioError: the file cannot be read; the error is the one of its kind.
        """
        with self.lock:
            try:
                self._database.execute("BEGIN")
                try:
                    yield self._database
                finally:
                    self._roll_back()
            except sqlite3.Error as error:  # the file is damaged, or closed
                raise self._kind.error(self._path, error) from error

    @contextmanager
    def unlocked(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection outside any transaction, for a statement that begins its own (``VACUUM INTO``).

        Raises:
            sqlite3.Error: the statement fails.
        """
        with self.lock:
            yield self._database

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction: all changes inside are on disk afterwards, or none. A nested one is part of the outer one.

        Raises:
            sqlite3.IntegrityError: a value that must be unique would not be.
            CardioError: the disk is full, or a similar problem; the error is the one of the file's kind.
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
                    self._before_commit()
                    self._database.execute("COMMIT")
                except BaseException:  # any error, also an interruption: nothing half done stays
                    self._roll_back()
                    raise
                finally:
                    self._inside = False
            except sqlite3.IntegrityError:
                raise
            except sqlite3.Error as error:  # the file is closed, or the disk is full
                raise self._kind.error(self._path, error) from error

    def _before_commit(self) -> None:
        """Add the changes that belong to every transaction."""

    def _roll_back(self) -> None:
        """Undo the transaction. If that fails, close the connection: later changes would not be on disk."""
        try:
            if self._database.in_transaction:  # a full disk rolls back by itself
                self._database.execute("ROLLBACK")
        except sqlite3.Error:
            self._database.close()

    def close(self) -> None:
        with self.lock:
            self._database.close()


def _opened(path: Path, kind: DatabaseSpec) -> sqlite3.Connection:
    # An existing file is not opened by hand: closing it would end the locks of this process on it.
    about = prepare_database(path, kind.name, kind.name_en)
    database = sqlite3.connect(path, timeout=kind.wait_seconds, isolation_level=None, check_same_thread=False)
    try:
        _read_as_it_is(database)
        for name, wanted in kind.pragmas.items():
            database.execute(f"PRAGMA {name} = {wanted}")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > kind.version:
            raise kind.unavailable(
                f"{kind.name} {path} 由较新的版本写成", f"the {kind.name_en} {path} was written by a newer version"
            )
        if version == 0:
            database.executescript(f"BEGIN IMMEDIATE; {kind.schema} PRAGMA user_version = {kind.version}; COMMIT;")
            version = kind.version
        for older in range(version, kind.version):
            _upgrade(database, kind.upgrades[older], older + 1)
        for name, wanted in kind.pragmas.items():
            found = database.execute(f"PRAGMA {name}").fetchone()[0]
            if found != wanted:
                raise kind.unavailable(
                    f"{kind.name}不能以 {name}={wanted} 运行（{found}）",
                    f"the {kind.name_en} runs with {name} {found}, not {wanted}",
                )
        require_unmoved(path, about, kind.name, kind.name_en)
    except BaseException:  # any error, also an interruption: release the file and its lock
        database.close()
        raise
    return database


def _upgrade(database: sqlite3.Connection, upgrade: Upgrade, version: int) -> None:
    """Make the next version of a file, whole or not at all; if that fails the caller closes the connection."""
    if isinstance(upgrade, str):
        database.executescript(f"BEGIN IMMEDIATE; {upgrade} PRAGMA user_version = {version}; COMMIT;")
        return
    database.execute("BEGIN IMMEDIATE")
    upgrade(database)
    database.execute(f"PRAGMA user_version = {version}")
    database.execute("COMMIT")


def check_database(path: Path, kind: DatabaseSpec) -> None:
    """Check an existing file, and those beside it, as `cardio.config.private_file.prepare_database` does.

    Raises:
        ConfigurationError: one of them is no private file.
        OSError: there is no such file.
    """
    check_private(path, kind.name, kind.name_en)
    for suffix in SIDE_FILES:
        beside = path.with_name(path.name + suffix)
        if os.path.lexists(beside):
            check_private(beside, kind.name, kind.name_en)


def check_parent(path: Path, kind: DatabaseSpec) -> None:
    """Check that other users cannot replace the files in the folder.

    Raises:
        CardioError: all users may write into the folder; the error is the one of ``kind``.
    """
    if not hasattr(os, "getuid") or not path.parent.exists():  # it will be made with mode 0700
        return
    try:
        mode = path.parent.stat().st_mode
    except OSError as error:
        raise kind.error(path, error) from error
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise kind.unavailable(
            f"{kind.name}所在的文件夹 {path.parent} 任何用户都可写，请执行 chmod o-w",
            f"everybody may write into {path.parent}, the folder of the {kind.name_en}: chmod o-w it",
        )


def _for_reading(path: Path, kind: DatabaseSpec) -> sqlite3.Connection:
    # Without a write-ahead log no process writes, and nothing is made beside a file that may be on a read-only disk.
    how = "mode=ro" if log_of(path).exists() else "mode=ro&immutable=1"
    place = f"file:{quote(str(path.absolute()))}?{how}"
    database = sqlite3.connect(
        place, uri=True, timeout=kind.wait_seconds, isolation_level=None, check_same_thread=False
    )
    _read_as_it_is(database)
    return database


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _read_as_it_is(database: sqlite3.Connection) -> None:
    """Make the connection read invalid text too, which a damaged file may have."""
    database.row_factory = sqlite3.Row
    database.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
