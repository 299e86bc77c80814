"""The chain of the journal's steps.

After each change of a debit it gets a keyed hash of the new row, tied to the step before (`service.audit.chain`). So a
row that was changed, removed, inserted or put back from outside is detected.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Mapping
from typing import Any

from service.audit.chain import FIRST, Anchor, Chain, text_of

Row = sqlite3.Row | Mapping[str, Any]
DERIVED = frozenset({"phase", "place", "noted", "named"})
"""The columns of a row that are computed from others."""
SELECT_HEAD = "SELECT number, chain, seal FROM head"
_REPLACE_HEAD = "INSERT OR REPLACE INTO head (id, number, chain, seal) VALUES (1, ?, ?, ?)"
_LATEST = "SELECT digest FROM step WHERE debit = ? ORDER BY number DESC LIMIT 1"
NOTED = "(SELECT digest FROM step WHERE step.debit = debit.id ORDER BY number DESC LIMIT 1) AS noted"
"""The column with the hash that the journal has noted last of a row; `matches_last_hash` takes it."""
_EARLIER = "SELECT 1 FROM step WHERE debit = ? AND digest = ? LIMIT 1"
_DIGEST_LENGTH = 32


def key_mark(chain: Chain, owner: str, idempotency_key: str) -> str:
    """Return the permanent mark of a debit's key: the keyed hash of the key and its owner."""
    return chain.content({"owner": owner, "key": idempotency_key})[:_DIGEST_LENGTH]


def row_digest(chain: Chain, row: Row) -> str:
    return chain.content({name: row[name] for name in row.keys() if name not in DERIVED})[:_DIGEST_LENGTH]


def archived_digest(chain: Chain, known: Row) -> str:
    """Return the hash of the data that are kept of an archived debit."""
    kept = {name: known[name] for name in ("key_mark", "debit", "archive", "outcome")}
    return chain.content({"archived": kept})[:_DIGEST_LENGTH]


def begin_chain(database: sqlite3.Connection, chain: Chain) -> None:
    database.execute(_REPLACE_HEAD, (0, FIRST, chain.seal(0, FIRST)))


def read_head(database: sqlite3.Connection, chain: Chain) -> Anchor | None:
    """Return the end of the chain; None if it is missing or its seal is wrong."""
    head = database.execute(SELECT_HEAD).fetchone()
    if head is None:
        return None
    number, end, seal = head
    good = hmac.compare_digest(text_of(seal).encode("utf-8", "replace"), chain.seal(number, end).encode())
    return Anchor(number, end) if good else None


def hash_at(database: sqlite3.Connection, number: int) -> str | None:
    """Return the hash of a step; None if there is no such step."""
    found = database.execute("SELECT chain FROM step WHERE number = ?", (number,)).fetchone()
    return None if found is None else text_of(found[0])


def note_step(database: sqlite3.Connection, chain: Chain, debit_id: str, digest: str) -> Anchor:
    """Add a step.

    Raises:
        ValueError: the end of the chain is not as it was written.
    """
    end = read_head(database, chain)
    if end is None:
        raise ValueError("the chain's end")
    number = end.number + 1
    added = Anchor(number, chain.hash(end.chain, number, (debit_id, digest)))
    database.execute(
        "INSERT INTO step (number, debit, digest, chain) VALUES (?, ?, ?, ?)",
        (number, debit_id, digest, added.chain),
    )
    database.execute(_REPLACE_HEAD, (number, added.chain, chain.seal(number, added.chain)))
    return added


def latest_digest(database: sqlite3.Connection, debit_id: str) -> str | None:
    try:
        found = database.execute(_LATEST, (debit_id,)).fetchone()
    except UnicodeEncodeError:  # an id that is no text is none of ours
        return None
    return None if found is None else text_of(found[0])


def is_archived(database: sqlite3.Connection, chain: Chain, known: Row) -> bool:
    """Return True if the last step of a debit is that it was archived, as ``known`` says."""
    return latest_digest(database, known["debit"]) == archived_digest(chain, known)


def row_is_noted(database: sqlite3.Connection, chain: Chain, row: Row) -> bool:
    """Return True if a debit's row is as the journal itself has left it."""
    return matches_last_hash(chain, row, latest_digest(database, row["id"]))


def matches_last_hash(chain: Chain, row: Row, noted: object) -> bool:
    """Return True if a debit's row has the hash that the journal has noted last of it; None if there is none."""
    return noted is not None and text_of(noted) == row_digest(chain, row)


def matches_earlier_hash(database: sqlite3.Connection, debit_id: str, digest: str) -> bool:
    """Return True if a debit's row had this hash before."""
    return database.execute(_EARLIER, (debit_id, digest)).fetchone() is not None
