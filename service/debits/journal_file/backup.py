"""The backups of a journal: one file with all contents and the key, made beside a running bridge, and put back."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from cardio.config.private_file import SIDE_FILES, make_folder
from cardio.errors import CannotWriteError, CardioError, ConfigurationError, UsageError
from service.audit.chain import Chain, Progress
from service.debits.errors import JournalKeyLostError, JournalUnavailableError
from service.debits.journal_file.verification import JournalVerification, verify_journal
from service.debits.schema import JOURNAL_FILE
from service.storage.secret_file import load_token
from service.storage.sqlite import SqliteFile

_LEFT_SECONDS = 3600
_BACKUP_TABLE = """
CREATE TABLE backup (id INTEGER PRIMARY KEY CHECK (id = 1), secret TEXT NOT NULL, made TEXT NOT NULL) STRICT;
"""


def write_backup(source: SqliteFile, target: Path, secret: str) -> None:
    """Write everything that a journal holds now, and its key, into an empty private file.

    Raises:
        JournalUnavailableError: the journal cannot be read, or the backup cannot be written.
    """
    try:
        with source.lock, source.unlocked() as database:
            database.execute("VACUUM INTO ?", (str(target),))
        with closing(sqlite3.connect(target, isolation_level=None)) as made:
            made.executescript(f"BEGIN; {_BACKUP_TABLE} COMMIT;")
            made.execute("INSERT INTO backup VALUES (1, ?, ?)", (secret, datetime.now(UTC).isoformat()))
        _sync(target)
    except (sqlite3.Error, OSError) as error:
        raise JournalUnavailableError(
            f"备份无法写入 {target.parent}：{error}", f"the backup cannot be written into {target.parent}: {error}"
        ) from error


def new_private_file(target: Path) -> int:
    """Make a backup's file; an existing file is never replaced.

    Returns:
        The file descriptor.

    Raises:
        UsageError: the file exists already.
        CannotWriteError: the file cannot be written.
    """
    try:
        return os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except FileExistsError:
        raise UsageError(f"{target} 已存在，不会覆盖", f"{target} is there already, and is not written over") from None
    except OSError as error:
        raise CannotWriteError(
            f"无法写入 {target}：{error.strerror}", f"{target} cannot be written: {error.strerror}"
        ) from error


def new_file_beside(path: Path) -> Path:
    """Make an empty private file beside a journal, and remove those that a killed process has left.

    Raises:
        JournalUnavailableError: no file can be written there.
    """
    prefix = f".{path.name}.backup-"
    try:
        for one in path.parent.glob(f"{prefix}*"):
            if time.time() - one.stat().st_mtime > _LEFT_SECONDS:
                one.unlink()
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix)
        os.close(handle)
    except OSError as error:
        raise JournalUnavailableError(
            f"备份无法写入 {path.parent}：{error.strerror}",
            f"no backup can be written into {path.parent}: {error.strerror}",
        ) from error
    return Path(name)


class StoredJournal:
    """A journal's file, a backup or an archive, for reading only. Nothing is made or changed, not even beside it."""

    def __init__(self, path: Path, key_file: Path | None = None) -> None:
        """Open the file.

        Args:
            path: the file.
            key_file: the key's file, if the key is neither in the file nor beside it.

        Raises:
            ConfigurationError: there is no such file.
            JournalKeyLostError: there is no key.
            JournalUnavailableError: the file cannot be read.
        """
        if not path.is_file():
            raise ConfigurationError(f"没有文件 {path}", f"there is no file {path}")
        self.path = path
        self._file = SqliteFile(path, JOURNAL_FILE, read_only=True)
        self.reading = self._file.snapshot
        try:
            self.secret = self._secret(path, key_file)
            self.chain = Chain(self.secret)
        except BaseException:  # any error, also an interruption: do not leave the file open
            self._file.close()
            raise

    def _secret(self, path: Path, key_file: Path | None) -> str:
        with self.reading() as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version != JOURNAL_FILE.version:
                raise JournalUnavailableError(
                    f"{path} 不是扣款记录，或由其他版本写成（{version}）",
                    f"{path} is no journal of debits, or another version wrote it ({version})",
                )
            self.is_backup = (
                database.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'backup'").fetchone()
                is not None
            )
            if self.is_backup:
                kept = database.execute("SELECT secret FROM backup").fetchone()
                if kept is None:
                    raise JournalKeyLostError(f"{path} 中没有密钥", f"there is no key in {path}")
                return str(kept[0])
        for one in (path.with_suffix(".key"), key_file):
            if one is not None and one.is_file():
                return load_token(one)
        raise JournalKeyLostError(f"缺少 {path.with_suffix('.key')}", f"{path.with_suffix('.key')} is missing")

    def verify(self, anchor: str | None = None, progress: Progress | None = None) -> JournalVerification:
        """Check every step and every debit; tell ``progress`` how far it is.

        Raises:
            JournalUnavailableError: the file cannot be read.
            UsageError: ``anchor`` is no anchor.
        """
        with self.reading() as database:
            return verify_journal(database, self.chain, anchor, progress)

    def require_readable(self) -> None:
        """Check that SQLite can read the whole file.

        Raises:
            JournalUnavailableError: SQLite finds the file damaged.
        """
        with self.reading() as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise JournalUnavailableError(f"{self.path} 已损坏：{found}", f"{self.path} is damaged: {found}")

    def close(self) -> None:
        self._file.close()


def install_backup(backup: StoredJournal, path: Path) -> None:
    """Put a backup in the place of a journal, with its key.

    The bridge then treats it as restored and needs a person's decision.

    Raises:
        UsageError: there is a journal already, or the file is no backup.
        JournalKeyLostError: another journal's key is there.
        CannotWriteError: the journal cannot be written.
        JournalUnavailableError: the backup cannot be read.
    """
    if not backup.is_backup:
        raise UsageError(f"{backup.path} 不是备份", f"{backup.path} is no backup")
    # SQLite would write a log that was left beside it into the backup.
    if any(os.path.lexists(one) for one in (path, *(path.with_name(path.name + suffix) for suffix in SIDE_FILES))):
        raise UsageError(
            f"{path}（或其 -wal、-shm、-journal）已存在；请先停止服务并将其一并移走",
            f"{path}, or its -wal, -shm or -journal, is there: stop the bridge and move them away first",
        )
    key = path.with_suffix(".key")
    if key.exists() and load_token(key) != backup.secret:
        raise JournalKeyLostError(f"{key} 是另一份扣款记录的密钥", f"{key} is another journal's key")
    temporary: Path | None = None
    try:
        make_folder(path.parent)
        if not key.exists():
            with os.fdopen(new_private_file(key), "w", encoding="ascii") as stream:
                stream.write(backup.secret + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        os.close(handle)
        temporary = Path(name)
        with backup.reading() as database, closing(sqlite3.connect(temporary, isolation_level=None)) as made:
            database.backup(made)
            made.execute("DROP TABLE backup")
        _sync(temporary)
        os.rename(temporary, path)
        temporary = None
    except CardioError:
        raise
    except (sqlite3.Error, OSError) as error:
        raise CannotWriteError(f"无法写入 {path}：{error}", f"{path} cannot be written: {error}") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    with suppress(OSError):  # Windows opens no folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
