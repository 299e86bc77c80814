"""A file of the bridge's own: SQLite with a write-ahead log, for its owner only, each change whole or not at all."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from cardio.config.private_file import SIDE_FILES, check_private, prepare_database, require_unmoved
from cardio.errors import CardioError, ConfigurationError

Upgrade = str | Callable[[sqlite3.Connection], None]


@dataclass(frozen=True, slots=True)
class DatabaseSpec:
    """What is in such a file, and how it is kept."""

    name: str
    name_en: str
    unavailable: type[CardioError]
    """Raised when it cannot be used."""
    version: int
    schema: str
    pragmas: Mapping[str, str | int]
    """As they are set, in this order, and as they are read back; ``synchronous`` 1 is NORMAL, 2 is FULL."""
    upgrades: Mapping[int, Upgrade] = field(default_factory=dict)
    """By version: what makes the next one of it, in SQL or with it."""
    wait_seconds: float = 2.0
    """How long another process that is writing is waited for."""

    def error(self, path: Path, error: sqlite3.Error | OSError) -> CardioError:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return self.unavailable(
                f"另一个程序正在使用{self.name} {path}", f"another program has the {self.name_en} {path}"
            )
        return self.unavailable(f"{self.name} {path}：{error}", f"{self.name_en} {path}: {error}")


class SqliteFile:
    """One connection, used by one thread at a time."""

    def __init__(self, path: Path, kind: DatabaseSpec, *, read_only: bool = False) -> None:
        """Args: ``read_only``: the file is there, and stays as it is.

        Raises: the kind's error: it cannot be used, or another process has it.
        """
        self.lock = threading.RLock()
        self._path = path
        self._kind = kind
        self._inside = False
        """Whether a transaction is open: what is done meanwhile is part of it."""
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
        """Return whether what is written here is found at its path again: nobody has removed or replaced the file."""
        try:
            return os.path.samestat(self._place, self._path.lstat()) and log_of(self._path).exists()
        except OSError:
            return False

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Everything as it is now, for reading: nobody who writes waits for it.

        Raises:
            CardioError: the kind's: it cannot be read.
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
        """The connection outside any transaction, for what begins its own (``VACUUM INTO``). Raises: sqlite3.Error."""
        with self.lock:
            yield self._database

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is on disk afterwards, or none of it. One inside another is part of it.

        Raises:
            sqlite3.IntegrityError: what must be unique would not be.
            CardioError: the kind's: the disk is full, or the like.
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
                except BaseException:  # whatever it is, an interruption too: nothing half done stays
                    self._roll_back()
                    raise
                finally:
                    self._inside = False
            except sqlite3.IntegrityError:
                raise
            except sqlite3.Error as error:  # the file is closed, the disk is full
                raise self._kind.error(self._path, error) from error

    def _before_commit(self) -> None:
        """Add what belongs to every transaction."""

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


def _opened(path: Path, kind: DatabaseSpec) -> sqlite3.Connection:
    # A file that is there is not opened by hand: to close it again would end the locks of this process on it.
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
    except BaseException:  # whatever it is, an interruption too: the file and its lock do not stay held
        database.close()
        raise
    return database


def _upgrade(database: sqlite3.Connection, upgrade: Upgrade, version: int) -> None:
    """Make the next version of a file, whole or not at all; where it fails the connection is closed by the caller."""
    if isinstance(upgrade, str):
        database.executescript(f"BEGIN IMMEDIATE; {upgrade} PRAGMA user_version = {version}; COMMIT;")
        return
    database.execute("BEGIN IMMEDIATE")
    upgrade(database)
    database.execute(f"PRAGMA user_version = {version}")
    database.execute("COMMIT")


def check_database(path: Path, kind: DatabaseSpec) -> None:
    """Check a file that is there, and those beside it, as `cardio.config.private_file.prepare_database` does.

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
    """Raises: CardioError: the kind's: everybody may put other files in the place of these."""
    if not hasattr(os, "getuid") or not path.parent.exists():  # made with mode 0700 then
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
    # Without a write-ahead log nobody writes, and nothing is made beside a file that may be on read-only ground.
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
    """What is no text any more, because somebody has damaged the file, is still read."""
    database.row_factory = sqlite3.Row
    database.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
