"""The definition of an entry of the audit log, and of the file that holds the entries."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, fields
from functools import cache

from service.audit.errors import AuditUnavailableError
from service.storage.sqlite import DatabaseSpec

BROKEN = "audit-log-broken"
"""The action of an entry that says: the entries before it were not as the bridge had left them."""

AUDIT_FILE = DatabaseSpec(
    name="审计日志",
    name_en="audit log",
    unavailable=AuditUnavailableError,
    version=1,
    # Several bridges of one user share the file: the second finds everything made.
    schema="""
CREATE TABLE IF NOT EXISTS entry (
  number INTEGER PRIMARY KEY,
  time TEXT NOT NULL,
  origin TEXT NOT NULL,
  grant TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  reader TEXT NOT NULL,
  card_session TEXT NOT NULL,
  card TEXT NOT NULL,
  outcome TEXT NOT NULL,
  request_id TEXT NOT NULL,
  chain TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS head (
  id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, chain TEXT NOT NULL, seal TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS entry_stays BEFORE DELETE ON entry
  BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER IF NOT EXISTS entry_stays_as_it_is BEFORE UPDATE ON entry
  BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
""",
    # Written in order, but not forced onto the disk at every entry: a clerk does not wait for the disk. What the
    # process has written outlives its end by any signal; only a power cut can lose the last moments.
    pragmas={"locking_mode": "normal", "journal_mode": "wal", "synchronous": 1},
    wait_seconds=0.25,
)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One recorded action."""

    time: str
    """The time in ISO 8601, UTC."""
    origin: str
    """The page's origin, or ``local``."""
    grant: str
    action: str
    """The route with its method, the driver function, or the name of an action of the bridge itself."""
    target: str = ""
    """The object of the action: the files, the grant or the debit."""
    reader: str = ""
    card_session: str = ""
    card: str = ""
    """The card's mark (`Chain.mark`); empty if the card never gave its identity."""
    outcome: str = "ok"
    """The outcome: ``ok``, or the code of the error.

    If there is a SAM and the card was not proved genuine, it is ``ok not-possible declined`` or the like.
    """
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class NumberedEntry:
    number: int
    entry: AuditEntry


_COLUMNS = ("number", *(field.name for field in fields(AuditEntry)), "chain")
# Names in full: if the table was damaged, no other column is read in place of one.
SELECT_ENTRIES = f"SELECT {', '.join(_COLUMNS)} FROM entry"  # noqa: S608 - names of ours
INSERT_ENTRY = f"INSERT INTO entry ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - as above
SELECT_HEAD = "SELECT number, chain, seal FROM head"
REPLACE_HEAD = "INSERT OR REPLACE INTO head (id, number, chain, seal) VALUES (1, ?, ?, ?)"
_SELECT_SCHEMA = "SELECT name, type, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


def schema_is_ours(database: sqlite3.Connection) -> bool:
    """Return True if the file has nothing but our tables and triggers, in their right form.

    A foreign trigger would run at every entry. The guards against changes may be missing (`guards_are_there`).
    """
    found, ours = dict(_schema(database)), _ours()
    return found.items() <= ours.items() and all(ours[name][0] == "trigger" for name in ours.keys() - found.keys())


def guards_are_there(database: sqlite3.Connection) -> bool:
    return dict(_schema(database)).keys() == _ours().keys()


def _schema(database: sqlite3.Connection) -> list[tuple[str, tuple[object, ...]]]:
    return [(name, tuple(rest)) for name, *rest in database.execute(_SELECT_SCHEMA)]


@cache
def _ours() -> dict[str, tuple[object, ...]]:
    database = sqlite3.connect(":memory:")
    try:
        database.executescript(AUDIT_FILE.schema)
        return dict(_schema(database))
    finally:
        database.close()
