"""A journal of version 2, as the bridge wrote it before its steps were chained."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from pathlib import Path

import pytest

from service.debits.errors import JournalTamperedError
from service.debits.journal import Journal
from service.debits.provider import JournalProvider
from tests.unit.service.debits.journal_files import S, edit
from tests.unit.service.debits.test_journal import CARD, VERSION_1, bring, intent, result

KEY = "K" * 43
STATES = ("new", "prepared", "initialised", "armed", "sent", "unknown", "manual", "committed", "delivered", "settled",
          "aborted")  # fmt: skip
# By hand from the released version: what 1 had, and what 2 added.
VERSION_2 = (
    VERSION_1.replace("PRAGMA user_version = 1", "PRAGMA user_version = 2")
    + """
ALTER TABLE debit ADD COLUMN told_unknown INTEGER NOT NULL DEFAULT 0;
ALTER TABLE debit ADD COLUMN handed_over TEXT;
ALTER TABLE debit ADD COLUMN acknowledged TEXT;
"""
)


def old_journal(path: Path, script: str, rows: int = len(STATES)) -> None:
    """Write a file of an older version: one debit in each state, with what the bridge of then wrote."""
    for one, text in ((path.with_suffix(".key"), KEY + "\n"), (path, "")):
        one.touch(0o600)
        one.write_text(text)
    key = hashlib.sha256(KEY.encode()).digest()

    def hashed(value: bytes) -> str:
        return hmac.new(key, value, hashlib.sha256).hexdigest()

    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = wal")
        database.executescript(script)
        database.execute("INSERT INTO key_mark VALUES (1, ?)", (hashed(b"cardio journal of debits"),))
        for number in range(rows):
            state = STATES[number % len(STATES)]
            asked = intent(number, f"2026112510{number // 60 % 60:02}{number % 60:02}")
            database.execute(
                "INSERT INTO debit (id, owner, idempotency_key, asked, state, sent, card, number, terminal, time,"
                " intent, result, created, changed) VALUES (?, 'local', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    f"{number:016x}", f"ORDER-{number}", hashed(b"x"), state, state not in STATES[:4], hashed(CARD),
                    number, asked.terminal_number, asked.time, asked.model_dump_json(),
                    result().model_dump_json() if state in STATES[7:10] else None,
                    "2026-11-25T10:30:00+00:00", "2026-11-25T10:31:00+00:00",
                ),
            )  # fmt: skip
    database.close()


@pytest.mark.parametrize("script", [VERSION_1, VERSION_2])
def test_an_older_journal_is_taken_over_and_chained(tmp_path: Path, script: str) -> None:
    path = tmp_path / "debits.sqlite"
    old_journal(path, script)
    place = JournalProvider(path)
    journal = place.open()
    assert place.blocking_error() is None, "it is no copy: it never had a mark"
    verified = journal.verify()
    assert verified.is_whole and verified.debits == len(STATES)
    listed = {one.id: one for one in journal.list_debits(None, all_states=True)}
    for number, state in enumerate(STATES):
        shown = listed[f"{number:016x}"]
        expected = "aborted" if number < 4 else "unknown" if state == "sent" else state
        assert (shown.state, shown.tampered) == (expected, False)
        key = "" if state == "settled" else f"ORDER-{number}"
        assert shown.idempotency_key == key and (shown.thinned is not None) == (state == "settled")
        taken = journal.claim("local", f"ORDER-{number}", "x")
        assert taken.id == shown.id, "every key is still known"
        taken.release()
    settled = listed[f"{STATES.index('settled'):016x}"]
    assert settled.result == result() and settled.self_paid_amount == 10
    place.close()
    place = JournalProvider(path)
    assert place.blocking_error() is None and place.open().verify().is_whole
    changed = f"{STATES.index('manual'):016x}"
    edit(path, f"UPDATE debit SET state = 'aborted' WHERE id = '{changed}'")  # noqa: S608 - an id of the test's
    with pytest.raises(JournalTamperedError):
        place.open().record(changed)
    assert bring(place.open().claim("local", "new", "x"), S.COMMITTED, given=intent(900)).state is S.COMMITTED
    place.close()
    content = path.read_bytes()
    assert f"ORDER-{STATES.index('settled')}".encode() not in content


def test_an_upgrade_that_is_cut_off_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "debits.sqlite"
    old_journal(path, VERSION_2)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("service.debits.journal_file.upgrade.note_step", dies)
        with pytest.raises(KeyboardInterrupt):
            Journal(path)
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == 2
        assert [row[1] for row in database.execute("PRAGMA table_info(debit)")][-1] == "acknowledged"
    database.close()
    journal = Journal(path)
    assert journal.verify().is_whole and journal.restored is None
    journal.close()
