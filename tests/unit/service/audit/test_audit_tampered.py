"""The audit log in an attacker's hands: what was changed, dropped, moved, cut off or planted afterwards is named."""

from __future__ import annotations

import sqlite3
from dataclasses import fields
from pathlib import Path

import pytest

from cardio.errors import UsageError
from service.audit.chain import TamperFinding, TamperKind
from service.audit.errors import AuditUnavailableError
from service.audit.log import AuditLog
from service.audit.schema import AuditEntry
from tests.unit.service.audit.audit_files import ENTRIES, entry, found, tamper, verified, write_log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "audit.sqlite"
    write_log(made)
    return made


WORDS = ["2026-11-27T08:00:07", "https://his07", "grant07", "card07", "DF07", "读卡器07", "session07", "07" * 8,
         "outcome07", "request07"]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_a_flipped_bit_names_the_entry(path: Path, word: str, bit: int) -> None:
    content = bytearray(path.read_bytes())
    # The card's mark stands in the index too; the entry itself stands at the end of the file's page of entries.
    at = content.index(word.encode() if word != "07" * 8 else b"session07") + (9 if word == "07" * 8 else 0)
    content[at] ^= bit
    path.write_bytes(content)
    assert found(path) == [("changed", 7, 7)]


def test_no_flipped_byte_goes_unseen(path: Path) -> None:
    """Wherever it is: what is told afterwards is what was written, or something is found, or it is no log any more."""
    content = path.read_bytes()
    assert not path.with_name("audit.sqlite-wal").exists(), "all of it is in the file"
    written = [entry(number) for number in range(1, ENTRIES + 1)]
    seen = 0
    for at in range(0, len(content), 13):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :])
        try:
            log = AuditLog(path)
            try:
                findings = log.verify().findings
                told = written if findings else [one.entry for one in log.entries()]
            finally:
                log.close()
        except AuditUnavailableError:
            seen += 1
            continue
        assert findings or told == written, at
        seen += bool(findings)
    assert seen > 50, "some of them matter"


@pytest.mark.parametrize("gone", [1, 6, 11])
def test_a_dropped_entry_is_named(path: Path, gone: int) -> None:
    tamper(path, "DELETE FROM entry WHERE number = :number", number=gone)
    assert found(path) == [("missing", gone, gone), ("unproven", gone + 1, gone + 1)]


def test_behind_a_gap_nothing_is_taken_on_trust(path: Path) -> None:
    tamper(path, "DELETE FROM entry WHERE number = 6", "UPDATE entry SET origin = 'local' WHERE number = 7")
    assert found(path) == [("missing", 6, 6), ("unproven", 7, 7)]
    tamper(path, "DELETE FROM entry WHERE number IN (2, 4, 9, 11)", "UPDATE entry SET card = ''")
    assert {number for _, first, last in found(path) for number in range(first, last + 1)} == set(range(1, 13))


def test_a_cut_off_end_is_named_and_stays_so(path: Path) -> None:
    tamper(path, "DELETE FROM entry WHERE number > 9")
    assert found(path) == [("missing", 10, 12)]
    log = AuditLog(path)
    assert log.append(entry(14)) == 14
    log.close()
    # 13 is the bridge's own: it saw that the end was not as it had left it.
    assert found(path) == [("missing", 10, 12), ("broken-before", 13, 13)]


def test_an_end_cut_off_with_its_head_is_named_once_the_bridge_goes_on(path: Path) -> None:
    tamper(
        path,
        "DELETE FROM entry WHERE number > 9",
        "UPDATE head SET number = 9, chain = (SELECT chain FROM entry WHERE number = 9)",
    )
    assert found(path) == [("head-changed", 9, 9)]
    log = AuditLog(path)
    log.append(entry(11))
    log.close()
    assert found(path) == [("broken-before", 10, 10)]


def test_swapped_entries_are_named(path: Path) -> None:
    """With all that they say, and with the hashes staying where they were."""
    swap = [
        f"UPDATE entry SET {column} = (SELECT {column} FROM kept WHERE number = 13 - entry.number)"  # noqa: S608 - names of ours
        " WHERE number IN (4, 9)"
        for column in (field.name for field in fields(AuditEntry))
    ]
    tamper(path, "CREATE TEMP TABLE kept AS SELECT * FROM entry", *swap)
    assert found(path) == [("changed", 4, 4), ("changed", 9, 9)]


def test_entries_that_change_their_numbers_are_named(path: Path) -> None:
    tamper(
        path,
        "UPDATE entry SET number = -1 WHERE number = 4",
        "UPDATE entry SET number = 4 WHERE number = 9",
        "UPDATE entry SET number = 9 WHERE number = -1",
    )
    assert {number for problem, first, last in found(path) for number in range(first, last + 1)} >= {4, 9}


def test_an_entry_of_somebody_elses_is_named(path: Path) -> None:
    tamper(path, "INSERT INTO entry VALUES (13, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x')")
    assert found(path) == [("changed", 13, 13), ("head-changed", 13, 13)]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM head", ("head-missing", 12, 12)),
        ("UPDATE head SET number = 13", ("head-changed", 12, 12)),
        ("UPDATE head SET seal = 'x'", ("head-changed", 12, 12)),
    ],
)
def test_the_head_is_sealed(path: Path, statement: str, problem: tuple[str, int, int]) -> None:
    tamper(path, statement)
    assert found(path) == [problem]
    log = AuditLog(path)
    assert log.append(entry(14)) == 14
    log.close()
    assert found(path) == [("broken-before", 13, 13)]


def test_a_log_that_was_emptied_is_no_new_one(path: Path) -> None:
    tamper(path, "DELETE FROM entry", "DELETE FROM head")
    assert found(path) == [("head-missing", 0, 0)]
    log = AuditLog(path)
    log.append(entry(2))
    log.close()
    assert found(path) == [("broken-before", 1, 1)]


@pytest.mark.parametrize("gone", [["audit.sqlite"], ["audit.sqlite", "audit.sqlite-wal", "audit.sqlite-shm"]])
def test_without_its_file_it_is_no_new_one(path: Path, gone: list[str]) -> None:
    for name in gone:
        path.with_name(name).unlink(missing_ok=True)
    log = AuditLog(path)
    assert log.verify().findings == (TamperFinding(TamperKind.HEAD_MISSING, 0, 0),)
    assert log.append(entry(2)) == 2
    log.close()
    assert found(path) == [("broken-before", 1, 1)]


def test_an_end_that_was_cut_off_under_a_running_bridge_with_a_head_of_before(path: Path) -> None:
    """Old heads stand in the write-ahead log: with one of them the log would be whole by itself."""
    log = AuditLog(path)
    with sqlite3.connect(path) as database:
        head = database.execute("SELECT number, chain, seal FROM head").fetchone()
    database.close()
    for number in (13, 14, 15):
        log.append(entry(number))
    tamper(path, "DELETE FROM entry WHERE number > 12")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE head SET number = ?, chain = ?, seal = ?", head)
    database.close()
    assert found(path) == [], "by itself it is whole"
    assert log.append(entry(17)) == 17
    log.close()
    assert found(path) == [("missing", 13, 15), ("broken-before", 16, 16)]


PLANTED = [
    "CREATE TRIGGER a BEFORE INSERT ON entry WHEN NEW.origin LIKE '%his13%' BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TRIGGER a AFTER INSERT ON entry BEGIN UPDATE entry SET outcome = 'x' WHERE number = NEW.number; END",
    "CREATE TRIGGER a BEFORE INSERT ON head BEGIN SELECT RAISE(IGNORE); END",
    "CREATE VIEW a AS SELECT * FROM entry",
    "CREATE TABLE a (b)",
    "CREATE UNIQUE INDEX a ON entry (action)",
    "ALTER TABLE entry ADD COLUMN more TEXT",
    "ALTER TABLE head RENAME TO headless",
]


@pytest.mark.parametrize("statement", PLANTED)
def test_what_somebody_has_planted_does_not_run_and_is_named(path: Path, statement: str) -> None:
    running = AuditLog(path)
    running.append(entry(13))
    tamper(path, statement)
    assert found(path) == [("schema-changed", 0, 0)]
    for log in (running, AuditLog(path)):
        with pytest.raises(AuditUnavailableError, match="structure"):
            log.append(entry(14))
        with pytest.raises(AuditUnavailableError, match="structure"):
            log.entries()
        log.close()


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE entry (number, time, origin, grant, action, target, reader, card_session, card, outcome,"
        " request_id, chain)",
        "CREATE VIEW entry AS WITH RECURSIVE n(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM n) SELECT number,"
        " '' AS time, '' AS origin, '' AS grant, '' AS action, '' AS target, '' AS reader, '' AS card_session,"
        " '' AS card, '' AS outcome, '' AS request_id, '' AS chain FROM n",
    ],
    ids=["untyped", "endless"],
)
def test_another_table_in_its_place(path: Path, table: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE entry")
        database.execute(table)
    database.close()
    assert found(path) == [("schema-changed", 0, 0)]
    log = AuditLog(path)
    with pytest.raises(AuditUnavailableError):
        log.append(entry(13))
    log.close()


def test_dropped_guards_are_named_and_hinder_nothing(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("DROP TRIGGER entry_stays")
    database.close()
    log = AuditLog(path)
    log.append(entry(13))
    log.close()
    assert found(path) == [("schema-changed", 0, 0)]


@pytest.mark.parametrize("number", [2**53, 2**63 - 1, 0, -5, -(2**63)])
def test_absurd_numbers_are_named_and_hinder_nothing(path: Path, number: int) -> None:
    row = "'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'"
    tamper(path, f"INSERT INTO entry VALUES (:number, {row})", number=number)  # noqa: S608 - ours
    assert ("moved", number, number) in found(path)
    log = AuditLog(path)
    assert log.append(entry(13)) == 13
    log.close()


def test_a_place_that_is_taken_is_an_error_of_ours(path: Path) -> None:
    row = "'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'"
    tamper(path, f"INSERT INTO entry VALUES ({2**53 - 2}, {row})", f"INSERT INTO entry VALUES ({2**53 - 3}, {row})")  # noqa: S608 - ours
    log = AuditLog(path)
    with pytest.raises(AuditUnavailableError):
        log.append(entry(13))
    log.close()


def test_an_anchor_shows_that_an_older_copy_was_put_back(path: Path) -> None:
    older = path.read_bytes()
    log = AuditLog(path)
    log.append(entry(13))
    anchor = str(log.verify().anchor)
    assert log.verify(anchor).findings == ()
    log.close()
    for one in path.parent.glob("audit.sqlite*"):
        one.unlink()
    path.write_bytes(older)
    path.chmod(0o600)
    assert found(path) == [], "by itself it is whole"
    assert found(path, anchor) == [("missing", 13, 13)]
    log = AuditLog(path)
    log.append(entry(14))
    log.close()
    assert found(path, anchor) == [("other-than-noted", 13, 13)]


@pytest.mark.parametrize("anchor", ["", "12", ":aa", "x:aa", "-1:aa", "9" * 30 + ":aa"])
def test_what_is_no_anchor(path: Path, anchor: str) -> None:
    with pytest.raises(UsageError):
        verified(path, anchor)


def test_with_another_key_nothing_fits(path: Path) -> None:
    path.with_suffix(".key").write_text("another key, forty characters and more....")
    assert verified(path).findings == (
        TamperFinding(TamperKind.CHANGED, 1, ENTRIES),
        TamperFinding(TamperKind.HEAD_CHANGED, ENTRIES, ENTRIES),
    )
