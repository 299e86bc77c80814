"""The removal of data of a settled debit that are not needed any more.

They are the card's balances and totals, and the order's number.

Amounts, time, terminal, numbers, TAC and MAC2 stay in its result: they are what was booked. A debit that a person has
decided keeps its intent, because the card may come back and contradict.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

THINNED = "thinned:"
"""The prefix of the keyed hash that replaces a key in clear."""
_THIN = (
    "UPDATE debit SET intent = NULL, idempotency_key = ? || key_mark, thinned = ?"
    " WHERE id = ? AND state = 'settled' AND thinned IS NULL"
    " AND key_mark IS NOT NULL"
    " AND CASE WHEN json_valid(result) THEN json_extract(result, '$.known_by') <> 'person' ELSE 0 END"
)


def thin_settled(database: sqlite3.Connection, debit_id: str) -> None:
    """Thin one debit, if it is settled and no question about it can follow."""
    database.execute(_THIN, (THINNED, datetime.now(UTC).isoformat(), debit_id))
