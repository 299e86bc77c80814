"""The archive of debits that are over, a file of its own: it can be listed and verified, and its keys stay known."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cardio.debits.transaction import DebitState
from cardio.errors import UsageError
from service.audit.chain import Chain
from service.debits.errors import JournalUnavailableError
from service.debits.journal_file.file import JournalFile
from service.debits.journal_file.steps import archived_digest, begin_chain, note_step, row_digest, row_is_noted
from service.debits.journal_file.thinning import THINNED
from service.debits.journal_file.verification import verify_journal
from service.debits.schema import JOURNAL_FILE, OVER
from service.storage.sqlite import SqliteFile

ARCHIVE_FILE = replace(
    JOURNAL_FILE,
    name="扣款记录归档",
    name_en="archive of the journal of debits",
    pragmas={"journal_mode": "delete", "synchronous": 2, "secure_delete": 1},
)
_ROWS_AT_ONCE = 200
"""The number of rows in one transaction, which limits the time that a debit waits."""
_ARE_OVER = (
    "SELECT *, rowid AS place FROM debit WHERE phase = ?1 AND created < ?2 AND (created, rowid) > (?3, ?4)"
    " AND changed < ?2 ORDER BY created, rowid LIMIT ?5"
)


@dataclass(frozen=True, slots=True)
class Archived:
    """The result of archiving."""

    file: Path | None
    """The archive's file; None if no debit was old enough."""
    debits: int
    left_out: int
    """The number of debits that were changed from outside. They stay in the journal for a person to check."""


def archive_before(
    path: Path, file: JournalFile, chain: Chain, key_mark: str, before: datetime, is_working: Callable[[str], bool]
) -> Archived:
    """Move debits that were settled or came to nothing before a time.

    Everything is in the archive, on disk and verified, before the first row is removed from the journal. A crash in
    between leaves debits in both.

    Args:
        path: the journal's path.
        file: the journal's file.
        chain: the journal's chain.
        key_mark: the hash by which a file knows its key.
        before: the time.
        is_working: returns True for a debit that is being processed.

    Raises:
        UsageError: the time is in the future.
        JournalUnavailableError: the archive cannot be written; then nothing was removed from the journal.
    """
    if before > datetime.now(UTC):
        raise UsageError("归档日期不能晚于现在", "a date to archive before lies in the past")
    target = _free_name(path)
    archive: SqliteFile | None = None
    moved: list[str] = []
    left_out, after = 0, ("", 0)
    try:
        while rows := _rows(file, before, after):
            after = (rows[-1]["created"], rows[-1]["place"])
            with file.reading() as database:
                good = [row for row in rows if row_is_noted(database, chain, row)]
            left_out += len(rows) - len(good)
            good = [row for row in good if not is_working(row["id"])]
            if good and archive is None:
                archive = _begin(target, chain, key_mark)
            if archive is not None:
                _copy(archive, chain, good)
            moved += [row["id"] for row in good]
        if archive is None:
            return Archived(None, 0, left_out)
        with archive.snapshot() as database:
            verified = verify_journal(database, chain)
        if not verified.is_whole or verified.debits != len(moved):
            raise JournalUnavailableError(f"归档 {target} 不完整", f"the archive {target} is not whole")
    except BaseException:  # any error, also an interruption: keep no incomplete archive
        _discard(target, archive)
        raise
    archive.close()
    _sync_folder(target.parent)
    for start in range(0, len(moved), _ROWS_AT_ONCE):
        _move_out(file, chain, moved[start : start + _ROWS_AT_ONCE], target.name)
    return Archived(target, len(moved), left_out)


def _rows(file: JournalFile, before: datetime, after: tuple[str, int]) -> list[sqlite3.Row]:
    when = before.astimezone(UTC).isoformat()
    with file.reading() as database:
        return database.execute(_ARE_OVER, (OVER, when, *after, _ROWS_AT_ONCE)).fetchall()


def _begin(target: Path, chain: Chain, key_mark: str) -> SqliteFile:
    archive = SqliteFile(target, ARCHIVE_FILE)
    with archive.transaction() as database:
        begin_chain(database, chain)
        database.execute("INSERT INTO key_mark VALUES (1, ?)", (key_mark,))
    return archive


def _copy(archive: SqliteFile, chain: Chain, rows: Collection[sqlite3.Row]) -> None:
    with archive.transaction() as database:
        for row in rows:
            values = {name: row[name] for name in row.keys() if name not in ("phase", "place")}
            values |= {"intent": None, "idempotency_key": f"{THINNED}{row['key_mark']}"}
            values["thinned"] = row["thinned"] or datetime.now(UTC).isoformat()
            names, marks = ", ".join(values), ", ".join("?" for _ in values)
            database.execute(f"INSERT INTO debit ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 - names of ours
            database.execute("INSERT INTO known (key_mark, debit) VALUES (?, ?)", (row["key_mark"], row["id"]))
            note_step(database, chain, row["id"], row_digest(chain, values))


def _move_out(file: JournalFile, chain: Chain, debits: Collection[str], archive: str) -> None:
    with file.transaction() as database:
        for debit in debits:
            row = database.execute("SELECT * FROM debit WHERE id = ? AND phase = ?", (debit, OVER)).fetchone()
            if row is None or not row_is_noted(database, chain, row):  # begun again, or changed, in the meantime
                continue
            outcome = "done" if row["state"] == DebitState.SETTLED else "none"
            database.execute("DELETE FROM debit WHERE id = ?", (debit,))
            database.execute(
                "UPDATE known SET archive = ?, outcome = ? WHERE key_mark = ?", (archive, outcome, row["key_mark"])
            )
            known = database.execute("SELECT * FROM known WHERE key_mark = ?", (row["key_mark"],)).fetchone()
            note_step(database, chain, debit, archived_digest(chain, known))


def _free_name(path: Path) -> Path:
    stamp, number = time.strftime("%Y%m%d-%H%M%S"), 0
    while (found := path.with_name(f"{path.stem}-archive-{stamp}{f'-{number}' if number else ''}.sqlite")).exists():
        number += 1
    return found


def _discard(target: Path, archive: SqliteFile | None) -> None:
    if archive is None:
        return
    archive.close()
    with suppress(OSError):
        target.unlink()


def _sync_folder(folder: Path) -> None:
    """Write a new name in a folder to disk."""
    with suppress(OSError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
