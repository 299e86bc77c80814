"""The delivery state of a debit's result in the journal, and the callers that are being answered now."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from cardio.debits.record import DebitRecord
from service.debits.journal_file.file import JournalFile
from service.debits.journal_file.rows import record_of_row


class AnswersUnderWay:
    """The debits whose callers are being answered at present. May be used from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._counts: Counter[str] = Counter()

    def begin(self, debit_id: str) -> None:
        """Note that a call for this debit will be answered."""
        with self._changed:
            self._counts[debit_id] += 1

    def end(self, debit_id: str) -> None:
        """Note that one such call was answered, or its caller has gone."""
        with self._changed:
            self._counts[debit_id] -= 1
            self._counts += Counter()  # drops the counts that are zero
            self._changed.notify_all()

    def wait(self, debit_id: str, seconds: float) -> None:
        """Wait until no caller is being answered about this debit, but not longer than the time limit in seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._counts[debit_id], seconds)


class DeliveryRecords:
    """The part of the journal's table that says whether a debit's result is known to its caller or to a person."""

    def __init__(self, file: JournalFile, card_mark: Callable[[bytes], str]) -> None:
        """Use a journal's file.

        Args:
            file: the journal's file.
            card_mark: the keyed hash by which the journal knows a card.
        """
        self._file = file
        self._card_mark = card_mark

    def undelivered_on(self, card: bytes) -> DebitRecord | None:
        """Return the oldest debit on this card that is done and whose result neither its caller nor a person has seen.

        Raises:
            JournalUnavailableError: the journal cannot be read.
            JournalTamperedError: the record was changed from outside.
        """
        query = (
            "SELECT * FROM debit WHERE card = ? AND state = 'committed' AND acknowledged IS NULL"
            " ORDER BY created, rowid LIMIT 1"
        )
        with self._file.transaction() as database:
            row = database.execute(query, (self._card_mark(card),)).fetchone()
            if row is not None:
                self._file.require_noted(database, row)
        return None if row is None else record_of_row(dict(row))

    def count_undelivered(self) -> int:
        """Return the number of debits that are done while their result was not delivered."""
        query = "SELECT count(*) FROM debit WHERE state = 'committed' AND acknowledged IS NULL"
        with self._file.reading() as database:
            (count,) = database.execute(query).fetchone()
        return int(count)

    def note_reported_unknown(self, debit_id: str) -> None:
        """Record that the caller of a debit was told that its outcome is unknown.

        Raises:
            JournalUnavailableError: the journal cannot be written.
        """
        with self._file.transaction() as database:
            database.execute("UPDATE debit SET told_unknown = 1 WHERE id = ?", (debit_id,))

    def acknowledge(self, debit_id: str) -> bool:
        """Record that the caller has the result, or that a person has checked it; only the first time counts.

        Returns:
            False if there is no such debit, or it is not done.

        Raises:
            JournalUnavailableError: the journal cannot be written.
            JournalTamperedError: the record was changed from outside.
        """
        with self._file.transaction() as database:
            row = database.execute("SELECT * FROM debit WHERE id = ?", (debit_id,)).fetchone()
            if row is not None:
                self._file.require_noted(database, row)
            done = database.execute(
                "UPDATE debit SET acknowledged = coalesce(acknowledged, ?)"
                " WHERE id = ? AND state IN ('committed', 'delivered', 'settled')",
                (datetime.now(UTC).isoformat(), debit_id),
            )
        return done.rowcount == 1
