"""The check of a whole journal, a backup or an archive: its chain of steps, and each debit against its last step."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from service.audit.chain import (
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
from service.debits.journal_file.steps import SELECT_HEAD, is_archived, matches_earlier_hash, row_digest
from service.debits.schema import structure_is_ours

_STEPS = "SELECT number, debit, digest, chain FROM step ORDER BY number"
_WHOLE = "SELECT (SELECT count(*) FROM step) + (SELECT count(*) FROM debit)"
_ROWS = (
    "SELECT *, (SELECT digest FROM step WHERE step.debit = debit.id ORDER BY number DESC LIMIT 1) AS noted,"
    " (SELECT known.debit FROM known WHERE known.key_mark = debit.key_mark AND archive IS NULL) AS named"
    " FROM debit ORDER BY rowid"
)
_WITHOUT_ROW = (
    "SELECT DISTINCT debit FROM step WHERE debit <> '' AND NOT EXISTS (SELECT 1 FROM debit WHERE id = step.debit)"
)


class RowProblem(StrEnum):
    CHANGED = "changed"
    OLDER_STATE = "older-state"
    """An earlier state of the row was put back."""
    INSERTED = "inserted"
    REMOVED = "removed"
    KEY_CHANGED = "key-changed"
    """The debit's key no longer names it, or names another debit."""


@dataclass(frozen=True, slots=True)
class RowFinding:
    """A debit that is not as the journal has left it."""

    problem: RowProblem
    debit: str


@dataclass(frozen=True, slots=True)
class JournalVerification:
    debits: int
    steps: int
    anchor: Anchor
    chain: tuple[TamperFinding, ...]
    rows: tuple[RowFinding, ...]

    @property
    def is_whole(self) -> bool:
        return not self.chain and not self.rows


def verify_journal(
    database: sqlite3.Connection, chain: Chain, anchor: str | None = None, progress: Progress | None = None
) -> JournalVerification:
    """Check everything that one snapshot of a journal holds.

    Args:
        database: the snapshot.
        chain: the journal's chain.
        anchor: the end of the chain in an earlier verification.
        progress: told how far the check is; a journal of many years takes a minute.

    Raises:
        UsageError: ``anchor`` is no anchor.
        sqlite3.Error: the file cannot be read.
    """
    verifier = ChainVerifier(chain, None if anchor is None else Anchor.parse(anchor))
    if not structure_is_ours(database):
        verifier.add_finding(TamperKind.SCHEMA_CHANGED, 0)
    (whole,) = database.execute(_WHOLE).fetchone()
    for number, *values in with_progress(database.execute(_STEPS), progress, whole):
        verifier.check(number, values)
    verifier.end(database.execute(SELECT_HEAD).fetchone())
    rows: list[RowFinding] = []
    debits = 0
    for row in with_progress(database.execute(_ROWS), progress, whole, before=verifier.entries):
        debits += 1
        if (problem := _row_problem(database, chain, row)) is not None:
            rows.append(RowFinding(problem, text_of(row["id"])))
    for (debit,) in database.execute(_WITHOUT_ROW).fetchall():
        if not _is_archived(database, chain, debit):
            rows.append(RowFinding(RowProblem.REMOVED, text_of(debit)))
    return JournalVerification(
        debits,
        verifier.entries,
        Anchor(verifier.number, verifier.last),
        tuple(in_ranges(verifier.findings)),
        tuple(rows),
    )


def _row_problem(database: sqlite3.Connection, chain: Chain, row: sqlite3.Row) -> RowProblem | None:
    if row["noted"] is None:
        return RowProblem.INSERTED
    digest = row_digest(chain, row)
    if digest != row["noted"]:
        return RowProblem.OLDER_STATE if matches_earlier_hash(database, row["id"], digest) else RowProblem.CHANGED
    return None if row["named"] == row["id"] else RowProblem.KEY_CHANGED


def _is_archived(database: sqlite3.Connection, chain: Chain, debit: str) -> bool:
    try:
        known = database.execute("SELECT * FROM known WHERE debit = ? AND archive IS NOT NULL", (debit,)).fetchone()
    except UnicodeEncodeError:  # no text, so no id of ours
        return False
    return known is not None and is_archived(database, chain, known)
