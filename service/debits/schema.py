"""The tables of the journal of debits. The journal is on disk before anything is done, and is used by one process."""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import Any

from service.debits.errors import JournalUnavailableError
from service.storage.sqlite import DatabaseSpec

_PHASE = """
  CASE WHEN state IN ('new', 'prepared', 'initialised', 'armed') THEN 0
       WHEN state IN ('sent', 'unknown', 'manual') THEN 1
       WHEN state IN ('committed', 'delivered') THEN 2 ELSE 3 END"""
BEGUN, IN_DOUBT, UNBOOKED, OVER = range(4)
"""The phases of a debit, by which lists select."""

_CHAIN_TABLES = """
CREATE TABLE step (number INTEGER PRIMARY KEY, debit TEXT NOT NULL, digest TEXT NOT NULL, chain TEXT NOT NULL) STRICT;
CREATE INDEX step_by_debit ON step (debit);
CREATE TABLE head (
  id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, chain TEXT NOT NULL, seal TEXT NOT NULL
) STRICT;
CREATE TABLE known (key_mark TEXT PRIMARY KEY, debit TEXT NOT NULL, archive TEXT, outcome TEXT) STRICT, WITHOUT ROWID;
CREATE INDEX known_by_debit ON known (debit);
CREATE INDEX debit_by_phase ON debit (phase, created);
CREATE INDEX debit_by_owner ON debit (owner, phase, created);
CREATE INDEX debit_by_card ON debit (card);
CREATE INDEX debit_undelivered ON debit (card, created) WHERE state = 'committed' AND acknowledged IS NULL;
"""
"""The tables ``step``, ``head`` and ``known``.

``step`` and ``head`` are the chain. ``known`` has every key that ever named a debit, as a keyed hash, also of archived
debits.
"""

# Earlier decisions of persons are also compared when their card comes back.
UPGRADE_TO_3 = f"""
ALTER TABLE debit ADD COLUMN decided TEXT;
ALTER TABLE debit ADD COLUMN compared TEXT;
UPDATE debit SET decided = CASE state WHEN 'aborted' THEN 'none' ELSE 'done' END
  WHERE (state = 'aborted' AND reason = 'person') OR result LIKE '%"known_by":"person"%';
ALTER TABLE debit ADD COLUMN key_mark TEXT;
ALTER TABLE debit ADD COLUMN thinned TEXT;
ALTER TABLE debit ADD COLUMN phase INTEGER GENERATED ALWAYS AS ({_PHASE}) VIRTUAL;
{_CHAIN_TABLES}"""  # noqa: S608 - statements of ours

JOURNAL_FILE = DatabaseSpec(
    name="扣款记录",
    name_en="journal of debits",
    unavailable=JournalUnavailableError,
    version=3,
    schema=f"""
CREATE TABLE debit (
  id TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  asked TEXT NOT NULL,
  attempt INTEGER NOT NULL DEFAULT 1,
  state TEXT NOT NULL,
  sent INTEGER NOT NULL DEFAULT 0,
  doubted INTEGER NOT NULL DEFAULT 0,
  card TEXT,
  number INTEGER,
  terminal TEXT,
  time TEXT,
  intent TEXT,
  result TEXT,
  reason TEXT NOT NULL DEFAULT '',
  created TEXT NOT NULL,
  changed TEXT NOT NULL,
  told_unknown INTEGER NOT NULL DEFAULT 0,
  handed_over TEXT,
  acknowledged TEXT,
  decided TEXT,
  compared TEXT,
  key_mark TEXT,
  thinned TEXT,
  phase INTEGER GENERATED ALWAYS AS ({_PHASE}) VIRTUAL,
  UNIQUE (owner, idempotency_key)
) STRICT;
CREATE UNIQUE INDEX debit_once_by_number ON debit (card, number, terminal) WHERE state <> 'aborted';
CREATE UNIQUE INDEX debit_once_by_time ON debit (card, terminal, time) WHERE state <> 'aborted';
CREATE INDEX debit_by_state ON debit (state);
CREATE TABLE key_mark (id INTEGER PRIMARY KEY CHECK (id = 1), mark TEXT NOT NULL) STRICT;
{_CHAIN_TABLES}""",
    upgrades={
        # `delivered` stays, although it was written before the answer was sent. `committed` was not even sent, unless a
        # person decided it.
        1: """
ALTER TABLE debit ADD COLUMN told_unknown INTEGER NOT NULL DEFAULT 0;
ALTER TABLE debit ADD COLUMN handed_over TEXT;
ALTER TABLE debit ADD COLUMN acknowledged TEXT;
UPDATE debit SET acknowledged = changed WHERE state = 'committed' AND reason = 'person';
""",
        # With the journal's key (`service.debits.journal_file.upgrade`): the chain begins with the present rows.
        2: UPGRADE_TO_3,
    },
    # Reads use connections beside the writer, so SQLite's own exclusive lock is not taken: `ProcessLock` keeps other
    # bridges away. `JournalFile` empties the write-ahead log, and so knows how the database was left.
    pragmas={
        "locking_mode": "normal",
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "wal_autocheckpoint": 0,
        "temp_store": 2,
    },
)

BACKUP_TABLE = "backup"
"""The table that only a backup has: the key, and the time of the backup."""
_NAMES = "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


_INDEXES = """
SELECT debit_index.name, debit_index."unique", debit_index.partial, part.seqno, part.name
  FROM pragma_index_list('debit') AS debit_index, pragma_index_info(debit_index.name) AS part"""


def structure_is_ours(database: sqlite3.Connection) -> bool:
    """Return True if the file has exactly our tables and indexes.

    A trigger of another program would run at every step. An index that is no longer unique would accept rows that it
    must reject.
    """
    return _structure(database) == _our_structure()


def _structure(database: sqlite3.Connection) -> frozenset[tuple[Any, ...]]:
    found = {tuple(row) for row in database.execute(_NAMES)} - {("table", BACKUP_TABLE)}
    (made,) = database.execute("SELECT max(sql) FROM sqlite_schema WHERE type = 'table' AND name = 'debit'").fetchone()
    phases = ("phases", _PHASE in str(made))
    return frozenset({*found, *(tuple(row) for row in database.execute(_INDEXES)), phases})


@cache
def _our_structure() -> frozenset[tuple[Any, ...]]:
    database = sqlite3.connect(":memory:")
    try:
        database.executescript(JOURNAL_FILE.schema)
        return _structure(database)
    finally:
        database.close()
