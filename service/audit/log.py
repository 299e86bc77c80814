"""The audit log: the actions of callers with cards, one entry each, in a chain that reveals later changes.

Entries are only ever added (`service.audit.chain` ties them together). Cards are recorded as keyed hashes, holders not
at all. A person that has the key file too, or puts an older copy back, is only detected by an anchor that is kept
elsewhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.audit.chain import (
    FIRST,
    MOST_ENTRIES,
    Anchor,
    Chain,
    ChainVerifier,
    Progress,
    TamperFinding,
    TamperKind,
    in_ranges,
    text_of,
    with_progress,
)
from service.audit.errors import AuditUnavailableError
from service.audit.schema import (
    AUDIT_FILE,
    BROKEN,
    INSERT_ENTRY,
    REPLACE_HEAD,
    SELECT_ENTRIES,
    SELECT_HEAD,
    AuditEntry,
    NumberedEntry,
    guards_are_there,
    schema_is_ours,
)
from service.storage.secret_file import load_token
from service.storage.sqlite import SqliteFile

_PAGE = 1000
"""Entries that are read in one go."""
_BEFORE_ALL = -(1 << 63)
"""A number that stands before every entry's, also in a damaged log."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `AuditLog.verify`."""

    entries: int
    anchor: Anchor
    findings: tuple[TamperFinding, ...]


class AuditLog:
    """The file and its key. May be used from any thread, and by several processes of one user."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the file, or make it.

        Args:
            path: the file; the key file is beside it, with ``.key``.
            read_only: True if file and key exist and must stay unchanged.

        Raises:
            AuditUnavailableError: the file cannot be used.
            ConfigurationError: the key file is not as it should be.
        """
        key = path.with_suffix(".key")
        self._file = SqliteFile(path, AUDIT_FILE, read_only=read_only)
        self._left: Anchor | None = None
        """The last entry that this process has written."""
        self._schema: int | None = None
        """The version of the schema that was checked and found right."""
        try:
            if read_only:
                self.chain = Chain(load_token(key))
                return
            with self._file.transaction() as database:
                # A log without a head is new only if its key is new too. Otherwise it was emptied.
                new = not key.exists()
                self.chain = Chain(load_token(key))
                if new and schema_is_ours(database) and database.execute(SELECT_HEAD).fetchone() is None:
                    database.execute(REPLACE_HEAD, (0, FIRST, self.chain.seal(0, FIRST)))
        except BaseException:  # any error, also an interruption: do not leave the file open
            self._file.close()
            raise

    @property
    def is_in_place(self) -> bool:
        """Return True if the file at the path is the one that this process writes."""
        return self._file.is_in_place

    def append(self, entry: AuditEntry) -> int:
        """Add an entry; return its number.

        Raises:
            AuditUnavailableError: the entry could not be written.
        """
        try:
            with self._file.transaction() as database:
                self._check_schema(database)
                written = self._append(database, entry)
        except sqlite3.IntegrityError as error:
            raise AuditUnavailableError("审计日志的内容已损坏", "the audit log is damaged") from error
        self._left = written
        return written.number

    def _append(self, database: sqlite3.Connection, entry: AuditEntry) -> Anchor:
        last = database.execute(
            "SELECT number, chain FROM entry WHERE number < ? ORDER BY number DESC LIMIT 1", (MOST_ENTRIES - 2,)
        ).fetchone()
        end = Anchor(0, FIRST) if last is None else Anchor(max(0, last[0]), text_of(last[1]))
        problems = list(self.chain.check_head(database.execute(SELECT_HEAD).fetchone(), end.number, end.chain))
        if problems or not self._is_as_left(database):
            # Otherwise the new head would hide that entries were cut off. A number is never used twice.
            gone = [one.last for one in problems if one.problem is TamperKind.MISSING]
            left = 0 if self._left is None else self._left.number
            end = Anchor(max(end.number, left, *gone), end.chain)
            end = self._add(database, end, AuditEntry(now(), "local", "local", BROKEN))
        return self._add(database, end, entry)

    def _add(self, database: sqlite3.Connection, end: Anchor, entry: AuditEntry) -> Anchor:
        values = [value.encode("utf-8", "replace").decode() for value in astuple(entry)]
        added = Anchor(end.number + 1, self.chain.hash(end.chain, end.number + 1, values))
        database.execute(INSERT_ENTRY, (added.number, *values, added.chain))
        database.execute(REPLACE_HEAD, (added.number, added.chain, self.chain.seal(added.number, added.chain)))
        return added

    def _is_as_left(self, database: sqlite3.Connection) -> bool:
        """Return True if the last entry of this process is unchanged; other processes may have written since."""
        if self._left is None:
            return True
        found = database.execute("SELECT chain FROM entry WHERE number = ?", (self._left.number,)).fetchone()
        return found is not None and text_of(found[0]) == self._left.chain

    def _check_schema(self, database: sqlite3.Connection) -> None:
        """Check that the file has only our tables and triggers.

        Raises:
            AuditUnavailableError: the file's structure was changed from outside.
        """
        version = database.execute("PRAGMA schema_version").fetchone()[0]
        if version != self._schema:
            if not schema_is_ours(database):
                raise AuditUnavailableError("审计日志的结构被改动", "the structure of the audit log was changed")
            self._schema = version

    def entries(self, *, last: int | None = None, card: str | None = None) -> Iterator[NumberedEntry]:
        """Return the entries in their order, a page of them in memory.

        Args:
            last: only the last so many; None for all.
            card: only those of one card, by its mark.

        Raises:
            AuditUnavailableError: the file cannot be read, or is no audit log any more.
        """
        return self._entries_after(self._number_before(last, card), card)

    def _entries_after(self, number: int, card: str | None) -> Iterator[NumberedEntry]:
        while True:
            with self._file.snapshot() as database:
                self._check_schema(database)
                rows = database.execute(
                    f"{SELECT_ENTRIES} WHERE number > ?1 AND (?2 IS NULL OR card = ?2) ORDER BY number LIMIT ?3",
                    (number, card, _PAGE),
                ).fetchall()
            for row in rows:
                yield NumberedEntry(row[0], AuditEntry(*map(text_of, row[1:-1])))
            if len(rows) < _PAGE:
                return
            number = rows[-1][0]

    def _number_before(self, last: int | None, card: str | None) -> int:
        """Return the number of an entry that stands before the last so many, and after all others."""
        with self._file.snapshot() as database:
            self._check_schema(database)
            if last is None:
                return _BEFORE_ALL
            if last == 0:
                found = database.execute("SELECT max(number) FROM entry").fetchone()
                return _BEFORE_ALL if found[0] is None else int(found[0])
            found = database.execute(
                "SELECT number FROM entry WHERE ?1 IS NULL OR card = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2",
                (card, last - 1),
            ).fetchone()
        return _BEFORE_ALL if found is None else int(found[0]) - 1

    def verify(self, anchor: str | None = None, progress: Progress | None = None) -> Verification:
        """Check every entry against its hash, and the end against the head.

        Args:
            anchor: the end of the log in an earlier verification.
            progress: told how far the check is; a long log takes some ten seconds.

        Raises:
            UsageError: ``anchor`` is no anchor.
            AuditUnavailableError: the file cannot be read at all.
        """
        verifier = ChainVerifier(self.chain, None if anchor is None else Anchor.parse(anchor), notes_break=_notes_break)
        with self._file.snapshot() as database:
            if schema_is_ours(database):
                if not guards_are_there(database):
                    verifier.add_finding(TamperKind.SCHEMA_CHANGED, 0)
                (whole,) = database.execute("SELECT max(number) FROM entry").fetchone()
                rows = database.execute(f"{SELECT_ENTRIES} ORDER BY number")
                for number, *values in with_progress(rows, progress, whole):
                    verifier.check(number, values)
                verifier.end(database.execute(SELECT_HEAD).fetchone())
            else:  # the contents cannot be trusted
                verifier.add_finding(TamperKind.SCHEMA_CHANGED, 0)
        return Verification(
            verifier.entries, Anchor(verifier.number, verifier.last), tuple(in_ranges(verifier.findings))
        )

    def close(self) -> None:
        self._file.close()


def _notes_break(texts: Sequence[str]) -> bool:
    return AuditEntry(*texts).action == BROKEN


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
