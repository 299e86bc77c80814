"""Leaving out of a settled debit what nobody needs any more: the card's balances and totals, and the order's number.

Amounts, time, terminal, numbers, TAC and MAC2 stay in its result: they are what was booked. What a person decided keeps
its intent, for the card may come back and say otherwise.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

THINNED = "thinned:"
"""What stands before the keyed hash, in the place of a key in clear."""
_THIN = (
    "UPDATE debit SET intent = NULL, idempotency_key = ? || key_mark, thinned = ?"
    " WHERE id = ? AND state = 'settled' AND thinned IS NULL"
    " AND key_mark IS NOT NULL"
    " AND CASE WHEN json_valid(result) THEN json_extract(result, '$.known_by') <> 'person' ELSE 0 END"
)


def thin_settled(database: sqlite3.Connection, debit_id: str) -> None:
    """Thin one debit, if it is settled and nothing can be asked about it any more."""
    database.execute(_THIN, (THINNED, datetime.now(UTC).isoformat(), debit_id))
