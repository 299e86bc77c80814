"""The journal's database in its one process.

Every change is chained. Reads use a connection of their own. The process knows if its database is still the file at its
path.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from cardio.config.private_file import make_folder
from cardio.errors import CardioError, ConfigurationError
from service.audit.chain import Anchor, Chain
from service.debits.errors import JournalRestoredError, JournalTamperedError, JournalUnavailableError
from service.debits.journal_file.identity import identify
from service.debits.journal_file.marks import FileIdentity, JournalMark, Marks, UnreadableMarkError
from service.debits.journal_file.process_lock import ProcessLock
from service.debits.journal_file.steps import begin_chain, hash_at, note_step, read_head, row_digest, row_is_noted
from service.debits.journal_file.upgrade import upgrade_to_3
from service.debits.schema import UPGRADE_TO_3, structure_is_ours
from service.storage.sqlite import DatabaseSpec, SqliteFile, check_database, check_parent, log_of

_COMMITS_BETWEEN_CHECKPOINTS = 200
_WATCH_CHANGES = """
CREATE TEMP TABLE touched (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TRIGGER debit_is_new AFTER INSERT ON main.debit
  BEGIN INSERT OR IGNORE INTO touched VALUES (new.id); END;
CREATE TEMP TRIGGER debit_is_checked BEFORE UPDATE ON main.debit
  WHEN NOT EXISTS (SELECT 1 FROM touched WHERE id = old.id)
  BEGIN SELECT require_noted(old.id); INSERT OR IGNORE INTO touched VALUES (old.id); END;
"""
"""Triggers on this connection only.

Before a row is changed it must be as the journal left it. Afterwards the change is recorded in the chain.
"""

_WHERE_IS_IT = (
    "未扣款。请将原文件（debits.sqlite 及其 -wal）放回原处，服务会自动恢复；"
    "文件已丢失时，用 cardio debits restore 恢复备份，或由负责人执行 cardio debits restored。",
    "Nothing was taken. Put the file (debits.sqlite and its -wal) back where it was, and the bridge goes on by "
    "itself. If it is lost, put a backup in its place (cardio debits restore), or have the person in charge say so "
    "(cardio debits restored).",
)


class JournalFile(SqliteFile):
    """The writer's connection and the readers' connection. May be used from any thread."""

    def __init__(self, path: Path, kind: DatabaseSpec, chain: Chain, marks: Marks) -> None:
        """Open the file, or make it if there never was one.

        Raises:
            JournalUnavailableError: the file cannot be used, another process has it, or it is gone.
            JournalRestoredError: the file and its write-ahead log do not belong together.
        """
        self._chain = chain
        self._marks = marks
        self.was_upgraded = False
        self._tampered: str | None = None
        self._commits = self._changes = 0
        self._left: tuple[int, int, int] | None = None
        """The size, time and inode of the database as this process has left it."""
        self._log_place: os.stat_result | None = None
        check_parent(path, kind)
        self._process_lock = lock_of(path)
        self._handle: int | None = None
        try:
            marks.drop_unwritable_mark()
            self.is_new = not _is_there(path)
            if self.is_new and marks.exist:
                raise moved_journal_error(path)
            self._handle = _handle_of(path, kind)
            self.restored = self._look_before(path)
            super().__init__(path, replace(kind, upgrades={**kind.upgrades, 2: self._upgrade}))
            self._readers = SqliteFile(path, kind, read_only=True)
            self._watch_changes()
            self._begin()
            self._log_place = log_of(path).lstat()
            with self.snapshot() as database:
                if not structure_is_ours(database):
                    raise kind.unavailable("扣款记录的结构被改动", "the structure of the journal was changed")
                self.restored = self._look_inside(database) or self.restored
            if self.restored is None:
                self._write_marks()
            self._note_as_left()
        except OSError as error:
            self._close_files()
            raise kind.error(path, error) from error
        except BaseException:  # any error, also an interruption: release the locks
            self._close_files()
            raise

    def _upgrade(self, database: sqlite3.Connection) -> None:
        upgrade_to_3(database, UPGRADE_TO_3, self._chain)
        self.was_upgraded = True

    def _begin(self) -> None:
        """Begin the chain of a file that was just made.

        An empty file that has a mark was emptied, so no chain begins.
        """
        if self._marks.exist:
            return
        with super().transaction() as database:
            empty = not any(
                database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608 - names of ours
                for table in ("debit", "step", "head", "known")
            )
            if empty:
                begin_chain(database, self._chain)

    # -- the identity of the file -----------------------------------------------------------------

    def _look_before(self, path: Path) -> JournalRestoredError | None:
        """Compare the database with its marks before SQLite opens it.

        Returns:
            The error of a restored or copied file; None if the file is the one that the marks describe.

        Raises:
            JournalRestoredError: the database was replaced and has another one's write-ahead log.
        """
        here = self._identity()
        for mark in self._read_marks():
            if mark is None:
                continue
            if isinstance(mark, JournalRestoredError):
                return mark
            if log_of(path).exists() and log_of(path).stat().st_size and not mark.checkpointing:
                if not mark.identity.same_content(here):
                    raise JournalRestoredError(
                        "数据库文件被替换，与其预写日志（-wal）不配套",
                        "the database was replaced: its write-ahead log (-wal) is not its own",
                    )
            if here.machine != mark.identity.machine:
                return JournalRestoredError("该文件来自另一台电脑", "the file comes from another machine")
            if not here.same_file(mark.identity):
                return JournalRestoredError("该文件是一份副本", "the file is a copy")
        return None

    def _look_inside(self, database: sqlite3.Connection) -> JournalRestoredError | None:
        """Compare the steps of the database with its marks: the same steps, and at least as many.

        Returns:
            The error of a restored or copied file; None if it agrees with its marks.
        """
        end = read_head(database, self._chain)
        if end is None:
            return JournalRestoredError("扣款记录末尾的封记不符", "the seal of the journal's end is wrong")
        marks = [mark for mark in self._read_marks() if isinstance(mark, JournalMark)]
        if not marks and end.number and not self.was_upgraded:
            return JournalRestoredError("该文件来自别处（没有标记）", "the file comes from elsewhere: it has no mark")
        for mark in marks:
            if mark.number > end.number:
                missing = mark.number - end.number
                return JournalRestoredError(
                    f"该文件是较早的副本，至少缺 {missing} 步",
                    f"the file is an older copy; steps missing: {missing} or more",
                )
            if mark.number and hash_at(database, mark.number) != mark.chain:
                return JournalRestoredError("该文件是另一份扣款记录", "the file is another journal's")
        return None

    def _read_marks(self) -> Iterator[JournalMark | JournalRestoredError | None]:
        for one in self._marks.files:
            try:
                yield one.read(self._chain)
            except UnreadableMarkError:
                yield JournalRestoredError(f"标记 {one.path} 不可信", f"the mark {one.path} cannot be believed")

    def _identity(self) -> FileIdentity:
        assert self._handle is not None  # noqa: S101 - open as long as the file is
        return identify(self._handle, self._chain)

    @property
    def is_in_place(self) -> bool:
        """Return True if the files at the path are the ones that this process has open, as it left them."""
        if not super().is_in_place or self._log_place is None:
            return False
        try:
            about, log = self._path.lstat(), log_of(self._path).lstat()
        except OSError:
            return False
        same_log = os.path.samestat(log, self._log_place) and log.st_size >= self._log_place.st_size
        self._log_place = log if same_log else self._log_place
        return same_log and self._left == (about.st_size, about.st_mtime_ns, about.st_ino)

    @property
    def path_is_taken(self) -> bool:
        """Return True if there is any file at the path."""
        return _is_there(self._path)

    def require_ours(self) -> None:
        """Check the file before money moves.

        Raises:
            JournalUnavailableError: the file is not in its place.
            JournalRestoredError: it was restored or copied, and no person has accepted it.
        """
        if not self.is_in_place:
            raise moved_journal_error(self._path)
        if self.restored is not None:
            raise self.restored

    def raise_marks(self) -> None:
        """Record outside the file how many steps it has, so that a copy made before is detected.

        Raises:
            JournalUnavailableError: a mark cannot be written.
        """
        with self.lock:
            try:
                with self.snapshot() as database:
                    end = read_head(database, self._chain)
                if end is None:
                    raise JournalUnavailableError("扣款记录末尾的封记不符", "the seal of the journal's end is wrong")
                self._marks.record_step(end.number, end.chain, self._chain)
            except OSError as error:
                raise self._kind.error(self._marks.files[0].path, error) from error

    def accept(self) -> None:
        """Accept this file from now on, because a person has decided it.

        Raises:
            JournalUnavailableError: the journal or a mark cannot be written, or the end of the chain is wrong.
        """
        with self.lock:
            with self.transaction() as database:
                if read_head(database, self._chain) is None:
                    raise self.restored or JournalUnavailableError()
                note_step(database, self._chain, "", "accepted")
            try:
                self._write_marks()
            except OSError as error:
                raise self._kind.error(self._marks.files[0].path, error) from error
            self.restored = None

    def _write_marks(self, *, checkpointing: bool = False) -> None:
        with self.lock:
            end = read_head(self._database, self._chain) or Anchor(0, "")
            mark = JournalMark(end.number, end.chain, self._identity(), checkpointing)
            self._marks.write(mark, self._chain, synced=True)

    def _note_as_left(self) -> None:
        about = os.fstat(self._handle) if self._handle is not None else self._path.lstat()
        self._left = (about.st_size, about.st_mtime_ns, about.st_ino)

    # -- changes ------------------------------------------------------------------------------------

    def _watch_changes(self) -> None:
        # Functions that the trigger calls run inside the change: an error in them undoes it.
        self._database.create_function("require_noted", 1, self._require_noted)
        self._database.executescript(_WATCH_CHANGES)

    def _require_noted(self, debit_id: str) -> int:
        row = self._database.execute("SELECT * FROM debit WHERE id = ?", (debit_id,)).fetchone()
        if not row_is_noted(self._database, self._chain, row):
            self._tampered = debit_id
            raise ValueError("changed from outside")
        return 1

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction as `SqliteFile.transaction`; every debit that is changed inside is recorded in the chain.

        Raises:
            JournalTamperedError: a debit to be changed is not as the journal has left it.
        """
        with self.lock:
            outermost = not self._inside
            try:
                with super().transaction() as database:
                    yield database
            except CardioError as error:
                tampered, self._tampered = self._tampered, None
                if tampered is not None:
                    raise JournalTamperedError(tampered) from error
                raise
            if outermost and self._database.total_changes != self._changes:
                self._changes = self._database.total_changes
                self._commits += 1
                if self._commits >= _COMMITS_BETWEEN_CHECKPOINTS:
                    self._checkpoint()

    def _before_commit(self) -> None:
        for (debit_id,) in self._database.execute("SELECT id FROM touched").fetchall():
            row = self._database.execute("SELECT * FROM debit WHERE id = ?", (debit_id,)).fetchone()
            if row is None:  # the archive itself records what was archived
                continue
            try:
                note_step(self._database, self._chain, debit_id, row_digest(self._chain, row))
            except ValueError as error:
                raise JournalUnavailableError(
                    "扣款记录末尾的封记不符，请运行 cardio debits verify",
                    "the seal of the journal's end is wrong: run cardio debits verify",
                ) from error
        self._database.execute("DELETE FROM touched")

    def trust(self, database: sqlite3.Connection, debit_id: str) -> None:
        """Let a person's decision replace a row that was changed from outside."""
        database.execute("INSERT OR IGNORE INTO touched VALUES (?)", (debit_id,))

    def require_noted(self, database: sqlite3.Connection, row: sqlite3.Row) -> None:
        """Check that a row is as the journal has left it.

        Raises:
            JournalTamperedError: the row was changed from outside.
        """
        touched = self._inside and database.execute("SELECT 1 FROM touched WHERE id = ?", (row["id"],)).fetchone()
        if not touched and not row_is_noted(database, self._chain, row):
            raise JournalTamperedError(row["id"])

    # -- reading beside the writer ------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the present contents for reading; no debit waits for it.

        Raises:
            JournalUnavailableError: the journal cannot be read.
        """
        with self._readers.snapshot() as database:
            yield database

    def reader(self) -> SqliteFile:
        """Return a new reading connection for a long task; the caller closes it."""
        return SqliteFile(self._path, self._kind, read_only=True)

    # -- the end ------------------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        """Copy the write-ahead log into the database, and note the state of the file.

        If that fails, the log keeps its contents.
        """
        self._commits = 0
        if not self.is_in_place or self.restored is not None:
            return
        with suppress(OSError, sqlite3.Error):
            self._write_marks(checkpointing=True)
            try:
                self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            finally:
                if self._handle is not None:
                    os.fsync(self._handle)
                self._note_as_left()
            self._write_marks()

    def close(self) -> None:
        """Copy everything into one file if it is in its place; otherwise leave all files as they are."""
        with self.lock:
            if self._left is not None and self.is_in_place:
                self._checkpoint()
                self._readers.close()
                self._database.close()
                self._close_files()
            else:
                self.abandon()

    def abandon(self) -> None:
        """Close without writing: a file at this path may be another one now."""
        with self.lock:
            self._database.close()
            self._readers.close()  # last, because a reading connection writes no log into a database
            self._close_files()

    def _close_files(self) -> None:
        for part in ("_database", "_readers"):
            if (opened := getattr(self, part, None)) is not None:
                opened.close()
        handle, self._handle = self._handle, None
        if handle is not None:  # after SQLite, because closing the file would end SQLite's locks
            os.close(handle)
        self._process_lock.release()


def moved_journal_error(path: Path) -> JournalUnavailableError:
    """Return the error of a journal whose file is not where it was."""
    error = JournalUnavailableError(
        f"扣款记录 {path} 已被移走、删除或替换", f"the journal of debits {path} was moved, removed or replaced"
    )
    error.gone = True
    error.remedy, error.remedy_en = _WHERE_IS_IT
    return error


def lock_of(path: Path) -> ProcessLock:
    """Take the lock of the journal at a path.

    Raises:
        JournalUnavailableError: the condition of `ProcessLock`.
    """
    return ProcessLock(path.with_name(f".{path.name}.lock"))


def _is_there(path: Path) -> bool:
    try:
        return path.lstat().st_size > 0
    except FileNotFoundError:
        return False


def _handle_of(path: Path, kind: DatabaseSpec) -> int:
    """Open the file before SQLite does, and keep it open as long: a new file is private from the beginning.

    Raises:
        CardioError: the file is not private; the error is the one of ``kind``.
    """
    try:
        with suppress(FileNotFoundError):
            check_database(path, kind)
        make_folder(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except ConfigurationError as error:
        raise kind.unavailable(error.detail, error.detail_en) from error
