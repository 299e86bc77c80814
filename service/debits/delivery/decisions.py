"""The decisions of persons about debits with an unknown outcome. When the card is back, its own record is compared."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from cardio.debits.record import CONTRADICTED, Compared
from service.debits.journal_file.file import JournalFile

"""The reason of a debit that needs a decision again."""


class DecisionRecords:
    """The part of the journal's table with a person's decision, and the card's own record since.

    A decision after a contradiction is not compared again. May be used from any thread.
    """

    def __init__(self, file: JournalFile, card_mark: Callable[[bytes], str]) -> None:
        """Use a journal's file.

        Args:
            file: the journal's file.
            card_mark: the keyed hash by which the journal knows a card.
        """
        self._file = file
        self._card_mark = card_mark

    def to_compare(self, card: bytes) -> list[tuple[str, str]]:
        """Return the debits on this card whose decision was not compared yet, each with ``done`` or ``none``.

        Raises:
            JournalUnavailableError: the journal cannot be read.
        """
        query = (
            "SELECT id, decided FROM debit WHERE card = ? AND decided IS NOT NULL AND compared IS NULL ORDER BY changed"
        )
        with self._file.transaction() as database:
            rows = database.execute(query, (self._card_mark(card),)).fetchall()
        return [(row["id"], row["decided"]) for row in rows]

    def conclude(self, debit_id: str, found: Compared) -> None:
        """Record what the card says. A contradiction means that the debit needs a person's decision again.

        Raises:
            JournalUnavailableError: the journal cannot be written.
        """
        with self._file.transaction() as database:
            database.execute("UPDATE debit SET compared = ? WHERE id = ?", (found, debit_id))
            if found == "contradicts":
                # If the journal has another debit of exactly this time meanwhile, only the decision is marked.
                with suppress(sqlite3.IntegrityError):
                    database.execute(
                        "UPDATE debit SET state = 'manual', reason = ?, result = NULL, acknowledged = NULL, changed = ?"
                        " WHERE id = ?",
                        (CONTRADICTED, datetime.now(UTC).isoformat(), debit_id),
                    )
