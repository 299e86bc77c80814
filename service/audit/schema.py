"""What an entry of the audit log is, and the file that entries stand in."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, fields
from functools import cache

from service.audit.errors import AuditUnavailableError
from service.storage.sqlite import DatabaseSpec

BROKEN = "audit-log-broken"
"""The action of an entry that says: what stands before it was not as the bridge had left it."""

AUDIT_FILE = DatabaseSpec(
    name="审计日志",
    name_en="audit log",
    unavailable=AuditUnavailableError,
    version=1,
    # Several bridges of one user share the file: whoever comes second finds everything made.
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
    # In order on the disk, but not forced onto it at every entry: a clerk does not wait for the disk. What the process
    # has written outlives its end by any signal; only a power cut can take the last moments.
    pragmas={"locking_mode": "normal", "journal_mode": "wal", "synchronous": 1},
    wait_seconds=0.25,
)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done.

    The card appears only as a keyed hash, which needs the card and the log's key to match.
    """

    time: str
    """ISO 8601, UTC."""
    origin: str
    """The page's origin, or ``local``."""
    grant: str
    action: str
    """The route with its method, the driver function, or what the bridge did by itself."""
    target: str = ""
    """The files, or the grant or debit that it was about."""
    reader: str = ""
    card_session: str = ""
    card: str = ""
    """The card's mark (`Chain.mark`); empty where it never said who it is."""
    outcome: str = "ok"
    """``ok``; ``ok not-possible declined`` and the like where there is a SAM, and the card was not proved genuine; or
    the code of the error."""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class NumberedEntry:
    number: int
    entry: AuditEntry


_COLUMNS = ("number", *(field.name for field in fields(AuditEntry)), "chain")
# Names in full: where somebody has damaged them, nothing else is taken for them.
SELECT_ENTRIES = f"SELECT {', '.join(_COLUMNS)} FROM entry"  # noqa: S608 - names of ours
INSERT_ENTRY = f"INSERT INTO entry ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - as above
SELECT_HEAD = "SELECT number, chain, seal FROM head"
REPLACE_HEAD = "INSERT OR REPLACE INTO head (id, number, chain, seal) VALUES (1, ?, ?, ?)"
_SELECT_SCHEMA = "SELECT name, type, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


def schema_is_ours(database: sqlite3.Connection) -> bool:
    """Return whether nothing in the file is made otherwise than it should be, or was put beside it: a trigger of
    somebody else's would run at every entry. The guards against changes may be missing (`guards_are_there`).
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
