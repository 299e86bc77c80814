"""A journal stays quick however many debits it has: by its plans, and by who waits for whom."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from service.debits.journal import Journal
from service.debits.journal_file import verification
from service.debits.journal_file.archive import _ARE_OVER
from tests.unit.service.debits.journal_files import S, debit
from tests.unit.service.debits.test_journal import CARD, bring, intent


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "debits.sqlite")
    yield made
    made.close()


def traced(journal: Journal, do: object) -> list[str]:
    """The statements that something runs, as SQLite expands them."""
    assert callable(do)
    seen: list[str] = []
    connections = (journal._file._database, journal._file._readers._database)
    for connection in connections:
        connection.set_trace_callback(seen.append)
    do()
    for connection in connections:
        connection.set_trace_callback(None)
    return [one for one in seen if one.startswith(("SELECT", "UPDATE debit", "DELETE"))]


def plan(path: Path, statement: str, *values: object) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


@pytest.mark.parametrize("filled", [False, True])
def test_nothing_that_a_caller_waits_for_walks_or_sorts_the_debits(journal: Journal, filled: bool) -> None:
    """Neither by the plans of an empty file, nor by those that statistics would make."""
    first = debit(journal, "first", S.DELIVERED)
    if filled:
        for number in range(40):
            debit(journal, str(number), S.DELIVERED)
        journal._file._database.execute("ANALYZE")
    ready = bring(journal.claim("local", "now", "x"), S.ARMED, given=intent(900))
    work = {
        "all": lambda: journal.list_debits(None), "own": lambda: journal.list_debits("local"),
        "all states": lambda: journal.list_debits(None, all_states=True),
        "own, all states": lambda: journal.list_debits("local", all_states=True),
        "take": lambda: journal.claim("local", "t", "x"),
        "find": lambda: journal.claim_existing("local", "first"), "send": lambda: ready.transition(S.SENT),
        "commit": lambda: ready.transition(S.UNKNOWN), "open": lambda: journal.claim_unresolved(CARD),
        "undelivered": lambda: journal.delivery.undelivered_on(CARD), "shown": lambda: journal.record(first),
        "settle": lambda: journal.settle(first), "figure": journal.delivery.count_undelivered,
        "start": journal._recover_after_crash,
    }  # fmt: skip
    path = journal._path
    for name, do in work.items():
        statements = traced(journal, do)
        assert statements, name
        for statement in statements:
            if "touched" in statement or "FROM head" in statement or "sqlite_schema" in statement:
                continue
            for step in plan(path, statement):
                assert not step.startswith("SCAN"), (name, statement, step)
                # One card's own debits are few, and those of one phase begun, or left by a crash, too.
                assert "TEMP B-TREE" not in step or "card =" in statement, (name, statement, step)
    steps = plan(path, _ARE_OVER, 3, "2026", "", 0, 200)
    assert not [one for one in steps if one.startswith("SCAN") or "TEMP B-TREE" in one], "the archive's batches"


def test_a_list_waits_for_no_debit_and_no_debit_for_a_list(journal: Journal) -> None:
    listed = debit(journal, "k")
    read = threading.Event()
    with journal._file.transaction() as database:  # a debit is being written
        database.execute("SELECT 1")

        def look() -> None:
            journal.list_debits(None)
            journal.counts()
            read.set()

        looking = threading.Thread(target=look)
        looking.start()
        assert read.wait(10), "the list came while the writer had the file"
    looking.join(10)
    with journal._file.reading() as database:  # a list is being read
        (before,) = database.execute("SELECT count(*) FROM debit").fetchone()
        written = threading.Event()

        def send() -> None:
            debit_more(journal)
            written.set()

        sending = threading.Thread(target=send)
        sending.start()
        assert written.wait(10), "the debit was written while the reader had its snapshot"
        assert database.execute("SELECT count(*) FROM debit").fetchone()[0] == before
    sending.join(10)
    assert journal.record(listed).outcome == "done" and len(journal.list_debits(None)) == 2


def debit_more(journal: Journal) -> None:
    bring(journal.claim("local", "more", "x"), S.COMMITTED, given=intent(77, "20151118195001"))


def test_verifying_holds_up_no_debit(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    debit(journal, "k")
    inside, goes_on = threading.Event(), threading.Event()
    verify = verification.verify_journal

    def slow(*given: Any) -> verification.JournalVerification:
        inside.set()
        assert goes_on.wait(10)
        return verify(*given)

    monkeypatch.setattr("service.debits.journal.verify_journal", slow)
    found: list[bool] = []
    verifying = threading.Thread(target=lambda: found.append(journal.verify().is_whole))
    verifying.start()
    assert inside.wait(10)
    debit_more(journal)
    goes_on.set()
    verifying.join(10)
    assert found == [True]


def test_the_log_is_brought_into_the_database_while_it_runs(journal: Journal) -> None:
    log = journal._path.with_name("debits.sqlite-wal")
    for number in range(60):
        debit(journal, str(number), number=number)
    assert journal._path.stat().st_size > 50_000, "not everything waits in the log"
    assert log.stat().st_size < 16 << 20 and journal.is_in_place
