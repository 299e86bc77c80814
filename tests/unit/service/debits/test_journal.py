"""The journal of debits: which step may follow which, what is unique, what a crash leaves, and who has the file."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cardio.debits.errors import JournalStepError, NumberUsedError, SameSecondError
from cardio.debits.transaction import DebitIntent, DebitResult, DebitState, result_of
from cardio.errors import CardChangedError
from service.debits.errors import (
    DebitInFlightError,
    IdempotencyKeyReusedError,
    JournalUnavailableError,
    NoSuchDebitError,
)
from service.debits.journal import Journal
from service.debits.journal_file.entry import JournalEntry
from service.debits.schema import JOURNAL_FILE

S = DebitState
WAY = [S.NEW, S.PREPARED, S.INITIALISED, S.ARMED, S.SENT, S.COMMITTED, S.DELIVERED, S.SETTLED]
CARD, OTHER = b"370200D156000005000000130", b"370200D156000005000000990"
TO: dict[DebitState, list[DebitState]] = {
    **{state: WAY[1 : WAY.index(state) + 1] for state in WAY},
    S.ABORTED: [S.ABORTED],
    S.UNKNOWN: [*WAY[1:5], S.UNKNOWN],
    S.MANUAL: [*WAY[1:5], S.UNKNOWN, S.MANUAL],
}
"""How a debit comes to each state."""
# By hand, from the picture at the head of cardio/debits/transaction.py.
ALLOWED = {
    ("new", "prepared"), ("new", "aborted"), ("prepared", "initialised"), ("prepared", "aborted"),
    ("initialised", "armed"), ("initialised", "aborted"), ("armed", "sent"), ("armed", "aborted"),
    ("sent", "committed"), ("sent", "unknown"), ("sent", "aborted"), ("unknown", "committed"), ("unknown", "aborted"),
    ("unknown", "manual"), ("manual", "committed"), ("manual", "aborted"), ("committed", "delivered"),
    ("committed", "settled"), ("delivered", "settled"),
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "debits.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    made = Journal(path)
    yield made
    made.close()


def intent(number: int = 12, time: str = "20151118185001", terminal: str = "000000009999") -> DebitIntent:
    return DebitIntent(
        personal_account_amount=0, self_paid_amount=10, pooled_fund_amount=20, time=time, terminal_number=terminal,
        transaction_number=number, key="DPK1", key_version=1, algorithm_number=0, challenge="A1B2C3D4",
        personal_account_balance=28000, self_paid_total=3150, pooled_fund_total=20600, payment_year="2026",
        terminal_transaction_number="0000000C",
    )  # fmt: skip


def result() -> DebitResult:
    return result_of(intent(), None, "counter")


def bring(entry: JournalEntry, to: DebitState, card: bytes = CARD, given: DebitIntent | None = None) -> JournalEntry:
    """A debit that has gone all the way to a state."""
    entry.release()
    for state in TO[to]:
        if state is S.PREPARED:
            entry.bind_card(card)
        entry.transition(
            state,
            intent=given or intent() if state is S.INITIALISED else None,
            result=result() if state is S.COMMITTED else None,
        )
    return entry


@pytest.mark.parametrize("before", list(S))
@pytest.mark.parametrize("after", list(S))
def test_only_the_steps_of_the_picture(journal: Journal, before: DebitState, after: DebitState) -> None:
    entry = bring(journal.claim("local", "k", "x"), before)
    assert entry.state is before
    given = result() if after is S.COMMITTED else None
    if (before.value, after.value) in ALLOWED:
        entry.transition(after, result=given)
        assert entry.state is after
    else:
        with pytest.raises(JournalStepError):
            entry.transition(after, result=given)
        assert entry.state is before


def test_what_is_done_waits_until_it_is_booked(journal: Journal) -> None:
    entry = bring(journal.claim("local", "k", "x"), S.SENT)
    assert entry.record().result is None and journal.record(entry.id).outcome == "unknown"
    entry.transition(S.COMMITTED, result=result())
    assert entry.record().result == result() and [one.id for one in journal.list_debits(None)] == [entry.id]
    entry.transition(S.DELIVERED)
    assert [one.outcome for one in journal.list_debits(None)] == ["done"]
    for _ in range(2):
        journal.settle(entry.id)
    assert journal.list_debits(None) == [] and journal.counts() == {S.SETTLED: 1}
    other = bring(journal.claim("local", "l", "x"), S.ARMED, OTHER)
    with pytest.raises(JournalStepError):
        journal.settle(other.id)


def test_a_key_is_one_debit(journal: Journal) -> None:
    first = journal.claim("local", "k", "x")
    with pytest.raises(DebitInFlightError):
        journal.claim("local", "k", "x")
    with pytest.raises(IdempotencyKeyReusedError):
        journal.claim("local", "k", "y")
    assert journal.claim("https://his.example", "k", "y").id != first.id, "keys of different owners are different"
    first.release()
    assert journal.claim("local", "k", "x").id == first.id


@pytest.mark.parametrize("state", [S.NEW, S.PREPARED, S.INITIALISED, S.ARMED])
def test_what_was_not_sent_may_begin_anew_and_its_old_thread_takes_no_step(journal: Journal, state: DebitState) -> None:
    old = bring(journal.claim("local", "k", "x"), state)
    again = journal.claim("local", "k", "x")
    assert (again.id, again.state, again.intent) == (old.id, S.NEW, None)
    for step in (S.PREPARED, S.ARMED, S.SENT):
        with pytest.raises(JournalStepError):
            old.transition(step)
    assert bring(again, S.COMMITTED).state is S.COMMITTED


@pytest.mark.parametrize("state", [S.SENT, S.UNKNOWN, S.MANUAL, S.COMMITTED, S.DELIVERED, S.SETTLED])
def test_what_was_sent_never_begins_anew(journal: Journal, state: DebitState) -> None:
    bring(journal.claim("local", "k", "x"), state)
    assert journal.claim("local", "k", "x").state is state


def test_what_was_not_sent_may_ask_for_something_else_by_its_key(journal: Journal) -> None:
    bring(journal.claim("local", "k", "x"), S.ARMED).transition(S.ABORTED)
    assert bring(journal.claim("local", "k", "y"), S.SENT).state is S.SENT
    for what in ("x", "z"):
        with pytest.raises(IdempotencyKeyReusedError):
            journal.claim("local", "k", what)


def test_what_nobody_knows_is_listed_first_and_then_the_newest(journal: Journal) -> None:
    ways = [S.COMMITTED, S.UNKNOWN, S.DELIVERED, S.MANUAL, S.SETTLED]
    ids = {}
    for number, state in enumerate(ways):
        given = intent(20 + number, f"201511181851{number:02}")
        ids[state] = bring(journal.claim("local", state, "x"), state, given=given).id
    assert [one.id for one in journal.list_debits(None)] == [
        ids[s] for s in (S.MANUAL, S.UNKNOWN, S.DELIVERED, S.COMMITTED)
    ]
    assert [one.id for one in journal.list_debits(None, limit=1)] == [ids[S.MANUAL]]
    assert len(journal.list_debits(None, all_states=True)) == 5


def test_what_the_card_refused_does_not_begin_anew(journal: Journal) -> None:
    bring(journal.claim("local", "k", "x"), S.SENT).transition(S.ABORTED)
    assert journal.claim("local", "k", "x").state is S.ABORTED
    unsent = bring(journal.claim("local", "l", "x"), S.ARMED, OTHER)
    unsent.transition(S.ABORTED)
    assert journal.claim("local", "l", "x").state is S.NEW


def test_a_card_has_one_debit_of_a_number_and_of_a_second(journal: Journal) -> None:
    bring(journal.claim("local", "first", "x"), S.UNKNOWN)
    for name, given, error in (
        ("number", intent(time="20151118185002"), NumberUsedError),
        ("time", intent(13), SameSecondError),
    ):
        other = journal.claim("local", name, "x")
        other.bind_card(CARD)
        other.transition(S.PREPARED)
        with pytest.raises(error):
            other.transition(S.INITIALISED, intent=given)
        assert other.state is S.PREPARED
    bring(journal.claim("local", "another card", "x"), S.SENT, OTHER)
    bring(journal.claim("local", "another terminal", "x"), S.SENT, given=intent(terminal="000000008888"))


def test_a_debit_that_was_begun_and_left_makes_way(journal: Journal) -> None:
    left = bring(journal.claim("local", "first", "x"), S.INITIALISED)
    bring(journal.claim("local", "second", "x"), S.COMMITTED)
    assert left.state is S.ABORTED and journal.record(left.id).reason == "superseded"
    with pytest.raises(JournalStepError):
        left.transition(S.ARMED)


def test_a_debit_is_its_cards(journal: Journal) -> None:
    entry = bring(journal.claim("local", "k", "x"), S.UNKNOWN)
    entry.bind_card(CARD)
    with pytest.raises(CardChangedError):
        entry.bind_card(OTHER)
    found = journal.claim_unresolved(CARD)
    assert found is not None and found.id == entry.id and journal.claim_unresolved(OTHER) is None
    with pytest.raises(DebitInFlightError):
        journal.claim_unresolved(CARD)


@pytest.mark.parametrize("state", list(S))
def test_what_a_crash_leaves(path: Path, state: DebitState) -> None:
    journal = Journal(path)
    entry = bring(journal.claim("local", "k", "x"), state)
    journal.close()
    again = Journal(path)
    found = again.record(entry.id)
    unsent = state in WAY[:4]
    assert found.state is (S.ABORTED if unsent else S.UNKNOWN if state is S.SENT else state)
    assert found.reason == ("crash" if unsent or state is S.SENT else "")
    assert len(again.list_debits(None)) == (state in (S.SENT, S.UNKNOWN, S.MANUAL, S.COMMITTED, S.DELIVERED))
    taken = again.claim("local", "k", "x")
    assert taken.state is (S.NEW if unsent or state is S.ABORTED else found.state)
    again.close()


def test_a_person_decides_what_nobody_knows(journal: Journal) -> None:
    for name, done in (("a", True), ("b", False)):
        entry = bring(journal.claim("local", name, "x"), S.MANUAL, name.encode())
        journal.resolve(entry.id, done=done)
        shown = journal.record(entry.id)
        assert (shown.outcome, shown.state) == (("done", S.COMMITTED) if done else ("none", S.ABORTED))
        assert shown.result is None or shown.result.known_by == "person"
    with pytest.raises(NoSuchDebitError):
        journal.resolve("nobody", done=True)
    for state in (S.NEW, S.ARMED, S.SETTLED, S.ABORTED):
        entry = bring(journal.claim("local", state.value, "x"), state, state.value.encode())
        with pytest.raises(JournalStepError):
            journal.resolve(entry.id, done=True)
    with pytest.raises(DebitInFlightError):
        found = journal.claim_existing("local", "settled")
        assert found is not None
        journal.resolve(found.id, done=True)


def test_a_step_that_is_refused_ends_nobody_elses(journal: Journal) -> None:
    live = bring(journal.claim("local", "first", "x"), S.INITIALISED)
    stale = bring(journal.claim("local", "second", "x"), S.NEW)
    stale.bind_card(CARD)
    with pytest.raises(JournalStepError):
        stale.transition(S.INITIALISED, intent=intent(13))
    assert live.state is S.INITIALISED


def test_who_thinks_nothing_was_sent_does_not_write_over_what_was(journal: Journal) -> None:
    """It read ARMED; meanwhile the card's thread has told the card. Only the card's refusal, and it knows, aborts."""
    entry = bring(journal.claim("local", "k", "x"), S.SENT)
    with pytest.raises(JournalStepError):
        entry.transition(S.ABORTED, reason="cut off", unsent=True)
    assert entry.state is S.SENT
    entry.transition(S.ABORTED, reason="the card refused")
    assert journal.record(entry.id).state is S.ABORTED


def test_a_doubt_stays(journal: Journal) -> None:
    entry = bring(journal.claim("local", "k", "x"), S.SENT)
    assert not entry.doubted
    entry.transition(S.UNKNOWN, doubted=True)
    assert entry.doubted and journal.claim("local", "k", "x").doubted


def test_lists_are_the_owners(journal: Journal) -> None:
    mine = bring(journal.claim("https://his.example", "a", "x"), S.COMMITTED)
    done = bring(journal.claim("https://his.example", "b", "x"), S.SETTLED, OTHER)
    theirs = bring(journal.claim("local", "c", "x"), S.UNKNOWN, b"third")
    assert [one.id for one in journal.list_debits("https://his.example")] == [mine.id]
    assert [one.id for one in journal.list_debits("https://his.example", all_states=True)] == [done.id, mine.id]
    assert [one.id for one in journal.list_debits(None)] == [theirs.id, mine.id], "unknown outcomes first"


def test_the_file_is_its_owners_and_one_process_has_it(journal: Journal, path: Path) -> None:
    for one in path.parent.glob("debits.*"):
        assert stat.S_IMODE(one.stat().st_mode) == 0o600, one
    with pytest.raises(JournalUnavailableError):
        Journal(path)
    program = f"from pathlib import Path; from service.debits.journal import Journal; Journal(Path({str(path)!r}))"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path.cwd())
    assert other.returncode != 0 and "JournalUnavailableError" in other.stderr


def test_it_is_synchronous_and_says_so_when_it_cannot_be(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(path)
    database = journal._file._database  # the connection: what is asked is how it runs
    modes = {name: database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert modes == {"journal_mode": "wal", "synchronous": 2}
    journal.close()
    unheard_of = replace(JOURNAL_FILE, pragmas={"journal_mode": "wal", "synchronous": 7})
    monkeypatch.setattr("service.debits.journal.JOURNAL_FILE", unheard_of)
    with pytest.raises(JournalUnavailableError):
        Journal(path)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, None])
def test_files_that_are_no_journal(path: Path, content: bytes | None) -> None:
    if content is None:
        path.mkdir()
    else:
        path.touch(0o600)
        path.write_bytes(content)
    if content == b"":
        Journal(path).close()
    else:
        with pytest.raises(JournalUnavailableError):
            Journal(path)


def test_a_newer_versions_journal_is_left_alone(path: Path) -> None:
    Journal(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(JournalUnavailableError) as caught:
        Journal(path)
    assert "newer" in caught.value.detail_en


VERSION_1 = """
CREATE TABLE debit (
  id TEXT PRIMARY KEY, owner TEXT NOT NULL, idempotency_key TEXT NOT NULL, asked TEXT NOT NULL,
  attempt INTEGER NOT NULL DEFAULT 1, state TEXT NOT NULL, sent INTEGER NOT NULL DEFAULT 0,
  doubted INTEGER NOT NULL DEFAULT 0, card TEXT, number INTEGER, terminal TEXT, time TEXT, intent TEXT, result TEXT,
  reason TEXT NOT NULL DEFAULT '', created TEXT NOT NULL, changed TEXT NOT NULL, UNIQUE (owner, idempotency_key)
) STRICT;
CREATE UNIQUE INDEX debit_once_by_number ON debit (card, number, terminal) WHERE state <> 'aborted';
CREATE UNIQUE INDEX debit_once_by_time ON debit (card, terminal, time) WHERE state <> 'aborted';
CREATE INDEX debit_by_state ON debit (state);
CREATE TABLE key_mark (id INTEGER PRIMARY KEY CHECK (id = 1), mark TEXT NOT NULL) STRICT;
PRAGMA user_version = 1;
"""
"""The journal's file as it was before it knew what was handed over."""


def test_a_journal_of_the_version_before_is_kept(path: Path) -> None:
    key = "K" * 43
    path.with_suffix(".key").touch(0o600)
    path.with_suffix(".key").write_text(key)
    card = hmac.new(hashlib.sha256(key.encode()).digest(), CARD, hashlib.sha256).hexdigest()
    then, changed = "2026-11-25T10:30:00+00:00", "2026-11-25T10:31:00+00:00"
    rows = [
        (state.value, state.value if reason == "" else reason, state.value, card, number, reason, then, changed)
        for number, (state, reason) in enumerate(
            [
                (S.DELIVERED, ""),
                (S.COMMITTED, ""),
                (S.COMMITTED, "person"),
                (S.SETTLED, ""),
                (S.ABORTED, ""),
                (S.UNKNOWN, ""),
            ]
        )
    ]
    path.touch(0o600)
    with sqlite3.connect(path) as database:
        database.executescript(VERSION_1)
        for state, name, asked, mark, number, reason, created, at in rows:
            database.execute(
                "INSERT INTO debit (id, owner, idempotency_key, asked, state, card, number, terminal, time, reason,"
                " created, changed) VALUES (?, 'local', ?, ?, ?, ?, ?, '000000009999', ?, ?, ?, ?)",
                (name, name, asked, state, mark, number, f"2026112510300{number}", reason, created, at),
            )
    database.close()
    for _ in range(2):
        journal = Journal(path)
        listed = {one.id: one for one in journal.list_debits(None, all_states=True)}
        assert {name: one.state for name, one in listed.items()} == {
            "delivered": S.DELIVERED, "committed": S.COMMITTED, "person": S.COMMITTED, "settled": S.SETTLED,
            "aborted": S.ABORTED, "unknown": S.UNKNOWN,
        }  # fmt: skip
        assert {one.changed.isoformat() for one in listed.values()} == {changed}
        assert [one.id for one in listed.values() if one.undelivered] == ["committed"], "that was not even sent"
        assert [one.id for one in listed.values() if one.handed_over] == [], "no time was noted"
        held = journal.delivery.undelivered_on(CARD)
        assert held is not None and held.id == "committed" and journal.delivery.undelivered_on(OTHER) is None
        journal.close()


def test_what_reached_nobody_is_held_until_it_is_known(journal: Journal) -> None:
    def held() -> list[str]:
        found = journal.delivery.undelivered_on(CARD)
        return [] if found is None else [found.idempotency_key]

    way = [("a", 1), ("b", 2), ("c", 3), ("d", 4)]
    entries = {
        name: bring(journal.claim("local", name, "x"), S.COMMITTED, given=intent(20 + second, f"2015111818510{second}"))
        for name, second in way
    }
    assert held() == ["a"] and journal.delivery.count_undelivered() == 4, "the oldest first"
    at = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)
    entries["a"].transition(S.DELIVERED, at=at)
    shown = entries["a"].record()
    assert (shown.handed_over, shown.changed, shown.acknowledged, held()) == (at, at, None, ["b"])
    assert journal.delivery.acknowledge(entries["b"].id) and held() == ["c"]
    assert entries["b"].record().state is S.COMMITTED and entries["b"].record().acknowledged is not None
    journal.settle(entries["c"].id)
    assert held() == ["d"]
    entries["d"].transition(S.DELIVERED)
    assert held() == [] and journal.delivery.count_undelivered() == 0


@pytest.mark.parametrize("state", list(S))
def test_only_what_is_done_is_acknowledged_and_the_first_time_counts(journal: Journal, state: DebitState) -> None:
    entry = bring(journal.claim("local", "k", "x"), state)
    done = state in (S.COMMITTED, S.DELIVERED, S.SETTLED)
    assert journal.delivery.acknowledge(entry.id) is done
    first = entry.record().acknowledged
    journal.delivery.acknowledge(entry.id)
    assert entry.record().acknowledged == first and (first is not None) is done and entry.state is state
    assert not journal.delivery.acknowledge("nobody")


def test_a_person_who_decides_has_seen_it(journal: Journal) -> None:
    entry = bring(journal.claim("local", "k", "x"), S.MANUAL)
    journal.resolve(entry.id, done=True)
    assert entry.record().acknowledged is not None and journal.delivery.undelivered_on(CARD) is None


def test_who_is_being_answered_is_waited_for(journal: Journal) -> None:
    under_way, waited = journal.under_way, threading.Event()
    for _ in range(2):
        under_way.begin("k")

    def wait() -> None:
        under_way.wait("k", 60)
        waited.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    under_way.wait("another", 60)
    under_way.end("k")
    under_way.wait("k", 0.01)
    assert not waited.is_set(), "one of two answers is still under way"
    under_way.end("k")
    assert waited.wait(5)
    waiting.join(5)


def test_a_full_disk_takes_no_step(journal: Journal) -> None:
    entry = bring(journal.claim("local", "k", "x"), S.ARMED)
    database = journal._file._database  # SQLite's own limit stands for the disk's
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalUnavailableError):
        entry.transition(S.SENT, reason="x" * 100_000)
    database.execute("PRAGMA max_page_count = 100000")
    assert entry.state is S.ARMED
    entry.transition(S.SENT)


def test_many_threads_take_one_key(journal: Journal) -> None:
    taken, refused = [], []

    def take() -> None:
        try:
            taken.append(journal.claim("local", "k", "x"))
        except DebitInFlightError:
            refused.append(1)

    threads = [threading.Thread(target=take) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), len(refused)) == (1, 49)


def test_a_journal_that_is_closed_takes_no_step(journal: Journal, path: Path) -> None:
    """As when the service stops while a card's thread is still at work: what is on disk is what is known."""
    entry = bring(journal.claim("local", "k", "x"), S.SENT)
    journal.close()
    for work in (
        lambda: entry.transition(S.COMMITTED, result=result()),
        lambda: entry.state,
        lambda: journal.list_debits(None),
    ):
        with pytest.raises(JournalUnavailableError):
            work()
    again = Journal(path)
    assert again.record(entry.id).state is S.UNKNOWN
    again.close()


def test_decisions_of_the_version_before_are_compared_too(path: Path) -> None:
    journal = Journal(path)
    entries = {}
    for number, name in enumerate(("none", "done", "told")):
        found = bring(journal.claim("local", name, "x"), S.MANUAL, given=intent(30 + number, f"2015111818520{number}"))
        entries[name] = found.id
        if name != "told":
            journal.resolve(found.id, done=name == "done")
        found.release()
    journal.settle(entries["done"])
    assert [journal.record(one).compared for one in entries.values()] == [None, None, None]
    journal.close()
    with sqlite3.connect(path) as database:  # as the version before has left it, which had no mark either
        for table in ("step", "head", "known"):
            database.execute(f"DROP TABLE {table}")
        for index in ("by_phase", "by_owner", "by_card", "undelivered"):
            database.execute(f"DROP INDEX debit_{index}")
        for column in ("phase", "thinned", "key_mark", "decided", "compared"):
            database.execute(f"ALTER TABLE debit DROP COLUMN {column}")
        database.execute("PRAGMA user_version = 2")
    database.close()
    path.with_name(".debits.sqlite.mark").unlink()
    again = Journal(path)
    assert sorted(again.decisions.to_compare(CARD)) == sorted([(entries["none"], "none"), (entries["done"], "done")])
    assert again.decisions.to_compare(OTHER) == []
    again.decisions.conclude(entries["none"], "agrees")
    again.decisions.conclude(entries["done"], "contradicts")
    assert again.decisions.to_compare(CARD) == []
    shown = again.record(entries["done"])
    assert (shown.state, shown.reason, shown.compared, shown.result) == (S.MANUAL, "contradicted", "contradicts", None)
    assert {one.idempotency_key for one in again.list_debits(None)} == {"done", "told"}, "it wants a person again"
    again.resolve(entries["done"], done=False)
    assert again.record(entries["done"]).outcome == "none" and again.decisions.to_compare(CARD) == []
    again.close()
