"""The look-up of debits, beside the writer or in a file that no bridge uses."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from cardio.debits.record import DebitRecord
from cardio.debits.transaction import DebitState
from service.audit.chain import Chain
from service.debits.journal_file.rows import record_of_row
from service.debits.journal_file.steps import NOTED, matches_last_hash
from service.debits.schema import BEGUN, IN_DOUBT, OVER, UNBOOKED

_ALL = f"SELECT *, rowid AS place, {NOTED} FROM debit"  # noqa: S608 - fixed words
OF_PHASE = f"{_ALL} WHERE phase = ? ORDER BY created DESC, rowid DESC LIMIT ?"
OF_OWNER = f"{_ALL} WHERE owner = ? AND phase = ? ORDER BY created DESC, rowid DESC LIMIT ?"

_OF_ID = f"{_ALL} WHERE id = ?"


class JournalRecords:
    """The debits of one file."""

    def __init__(self, reading: Callable[[], AbstractContextManager[sqlite3.Connection]], chain: Chain) -> None:
        self._reading = reading
        self._chain = chain

    def list_debits(self, owner: str | None, *, all_states: bool = False, limit: int = 500) -> list[DebitRecord]:
        """Return the debits that still need work: unknown outcomes first, then the newest.

        Args:
            owner: the owner of the debits; None for all owners.
            all_states: True to include debits that are over.
            limit: the largest number of debits.

        Raises:
            JournalUnavailableError: the file cannot be read.
        """
        others = (BEGUN, UNBOOKED, OVER) if all_states else (UNBOOKED,)
        with self._reading() as database:
            rows = self._newest(database, owner, (IN_DOUBT,), limit)
            rows += self._newest(database, owner, others, limit - len(rows))
            return [self._shown(row) for row in rows]

    def _newest(
        self, database: sqlite3.Connection, owner: str | None, phases: Iterable[int], limit: int
    ) -> list[sqlite3.Row]:
        if limit <= 0:
            return []
        each = [
            database.execute(OF_PHASE, (phase, limit)).fetchall()
            if owner is None
            else database.execute(OF_OWNER, (owner, phase, limit)).fetchall()
            for phase in phases
        ]
        return list(heapq.merge(*each, key=lambda row: (row["created"], row["place"]), reverse=True))[:limit]

    def record(self, debit_id: str) -> DebitRecord | None:
        """Return one debit; None if there is none.

        Raises:
            JournalUnavailableError: the file cannot be read.
        """
        with self._reading() as database:
            row = database.execute(_OF_ID, (debit_id,)).fetchone()
            return None if row is None else self._shown(row)

    def counts(self) -> dict[DebitState, int]:
        """Return the number of debits in each state.

        Raises:
            JournalUnavailableError: the file cannot be read.
        """
        with self._reading() as database:
            rows = database.execute("SELECT state, count(*) AS n FROM debit GROUP BY state").fetchall()
        known = set(DebitState)
        return {DebitState(row["state"]): row["n"] for row in rows if row["state"] in known}

    def _shown(self, row: sqlite3.Row) -> DebitRecord:
        if matches_last_hash(self._chain, row, row["noted"]):
            return record_of_row(dict(row))
        values = {name: legible(value) for name, value in dict(row).items()}
        try:
            return record_of_row(values, tampered=True)
        except (ValueError, TypeError):
            return record_of_row(_cleared(values), tampered=True)


def legible(value: Any) -> Any:
    """Return a text with a replacement character for each part that is no valid text."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if isinstance(value, str) else value


def _cleared(row: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a row that can still be shown, although its columns may hold anything."""
    when = "1970-01-01T00:00:00+00:00"
    cleared = {
        "state": DebitState.MANUAL, "intent": None, "result": None, "created": when, "changed": when,
        "handed_over": None, "acknowledged": None, "thinned": None, "compared": None,
    }  # fmt: skip
    texts = {name: str(row[name] or "") for name in ("id", "owner", "idempotency_key", "reason")}
    return row | cleared | texts
