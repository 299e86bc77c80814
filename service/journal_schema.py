"""The file of the journal of debits: on the disk before anything is done, and held by one process."""

from __future__ import annotations

from service.database_file import FileKind
from service.errors import JournalUnavailableError

JOURNAL_FILE = FileKind(
    name="消费日志",
    name_en="journal of debits",
    unavailable=JournalUnavailableError,
    version=3,
    schema="""
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
  UNIQUE (owner, idempotency_key)
) STRICT;
CREATE UNIQUE INDEX debit_once_by_number ON debit (card, number, terminal) WHERE state <> 'aborted';
CREATE UNIQUE INDEX debit_once_by_time ON debit (card, terminal, time) WHERE state <> 'aborted';
CREATE INDEX debit_by_state ON debit (state);
CREATE TABLE key_mark (id INTEGER PRIMARY KEY CHECK (id = 1), mark TEXT NOT NULL) STRICT;
""",
    upgrades={
        # `delivered` stays, although it was written before the answer was sent. `committed` was not even sent, unless
        # a person decided it.
        1: """
ALTER TABLE debit ADD COLUMN told_unknown INTEGER NOT NULL DEFAULT 0;
ALTER TABLE debit ADD COLUMN handed_over TEXT;
ALTER TABLE debit ADD COLUMN acknowledged TEXT;
UPDATE debit SET acknowledged = changed WHERE state = 'committed' AND reason = 'person';
""",
        # What persons decided before is compared as well when its card comes back.
        2: """
ALTER TABLE debit ADD COLUMN decided TEXT;
ALTER TABLE debit ADD COLUMN compared TEXT;
UPDATE debit SET decided = CASE state WHEN 'aborted' THEN 'none' ELSE 'done' END
  WHERE (state = 'aborted' AND reason = 'person') OR result LIKE '%"known_by":"person"%';
""",
    },
    pragmas={"locking_mode": "exclusive", "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1},
)
