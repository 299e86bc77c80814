"""What persons have decided of debits that no card told of, and what the card said of it when it was back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from service.database_file import DatabaseFile
from service.debit_answers import Compared

CONTRADICTED = "contradicted"
"""The reason of a debit that wants a person again."""


class DecisionRecords:
    """The part of the journal that keeps each decision until the same card was asked. May be used from any thread."""

    def __init__(self, file: DatabaseFile, card_mark: Callable[[bytes], str]) -> None:
        """Args: ``card_mark``: the keyed hash by which the journal knows a card."""
        self._file = file
        self._card_mark = card_mark

    def note(self, database: sqlite3.Connection, debit_id: str, outcome: str) -> None:
        """Note a decision, in the transaction that carries it out. One after a contradiction is not compared again."""
        database.execute(
            "INSERT INTO decision (debit, outcome, decided) VALUES (?, ?, ?)"
            " ON CONFLICT (debit) DO UPDATE SET outcome = excluded.outcome, decided = excluded.decided",
            (debit_id, outcome, _now()),
        )

    def to_compare(self, card: bytes) -> list[tuple[str, str]]:
        """Return the debits on this card whose decision was not compared yet, each with ``done`` or ``none``.

        Raises:
            JournalUnavailableError: the journal cannot be read.
        """
        query = (
            "SELECT debit, outcome FROM decision JOIN debit ON debit.id = decision.debit"
            " WHERE debit.card = ? AND compared IS NULL ORDER BY decided"
        )
        with self._file.transaction() as database:
            rows = database.execute(query, (self._card_mark(card),)).fetchall()
        return [(row["debit"], row["outcome"]) for row in rows]

    def conclude(self, debit_id: str, found: Compared) -> None:
        """Note what the card says. A contradiction makes the debit one that wants a person again.

        Raises:
            JournalUnavailableError: it cannot be written.
        """
        with self._file.transaction() as database:
            database.execute(
                "UPDATE decision SET compared = ?, compared_at = ? WHERE debit = ?", (found, _now(), debit_id)
            )
            if found == "contradicts":
                # Where another debit of this very time stands in the journal meanwhile, the decision alone is marked.
                with suppress(sqlite3.IntegrityError):
                    database.execute(
                        "UPDATE debit SET state = 'manual', reason = ?, result = NULL, acknowledged = NULL, changed = ?"
                        " WHERE id = ?",
                        (CONTRADICTED, _now(), debit_id),
                    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
