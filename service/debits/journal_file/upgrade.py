"""The upgrade of a journal of version 2.

Debits that are over are thinned. The chain begins with the present rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from service.audit.chain import Chain
from service.debits.journal_file.steps import begin_chain, key_mark, note_step, row_digest
from service.debits.journal_file.thinning import thin_settled

_ROWS_AT_ONCE = 1000


def upgrade_to_3(database: sqlite3.Connection, script: str, chain: Chain) -> None:
    """Upgrade inside the transaction; afterwards every row has its key's hash, and a step."""
    for statement in _statements(script):
        database.execute(statement)
    begin_chain(database, chain)
    after = 0
    while rows := database.execute(
        "SELECT rowid AS place, * FROM debit WHERE rowid > ? ORDER BY rowid LIMIT ?", (after, _ROWS_AT_ONCE)
    ).fetchall():
        for row in rows:
            mark = key_mark(chain, row["owner"], row["idempotency_key"])
            database.execute("UPDATE debit SET key_mark = ? WHERE id = ?", (mark, row["id"]))
            database.execute("INSERT INTO known (key_mark, debit) VALUES (?, ?)", (mark, row["id"]))
            if row["state"] == "settled":
                thin_settled(database, row["id"])
            stands = database.execute("SELECT * FROM debit WHERE id = ?", (row["id"],)).fetchone()
            note_step(database, chain, row["id"], row_digest(chain, stands))
        after = rows[-1]["place"]


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one: `executescript` would end the transaction of the upgrade."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
