"""Rows of the journal changed from outside: each is named, and none is believed where it matters."""

# ruff: noqa: S608 - statements of the tests, with names and ids of the tests

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cardio.debits.record import DebitList
from cardio.debits.transaction import DebitState
from service.debits.errors import DebitArchivedError, JournalTamperedError, JournalUnavailableError
from service.debits.journal import Journal
from tests.unit.service.debits.journal_files import S, debit, edit
from tests.unit.service.debits.test_journal import CARD, OTHER, bring, intent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "debits.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    made = Journal(path)
    yield made
    made.close()


def found(journal: Journal) -> set[tuple[str, str]]:
    verified = journal.verify()
    return {(one.problem.value, one.debit) for one in verified.rows} | {
        (one.problem.value, f"{one.first}-{one.last}") for one in verified.chain
    }


COLUMNS = {
    "owner": "'https://other.example'", "idempotency_key": "'other'", "key_mark": "'0'", "asked": "'0'",
    "decided": "'none'", "compared": "'agrees'",
    "attempt": "7", "state": "'aborted'", "sent": "0", "doubted": "1", "card": "'0'", "number": "99",
    "terminal": "'000000000001'", "time": "'20200101000000'", 
    "intent": "replace(intent, '_amount\":10', '_amount\":1')",
    "result": "NULL", "reason": "'person'", "created": "'2020-01-01T00:00:00+00:00'",
    "changed": "'2020-01-01T00:00:00+00:00'", "told_unknown": "1", "handed_over": "'2020-01-01T00:00:00+00:00'",
    "acknowledged": "'2020-01-01T00:00:00+00:00'", "thinned": "'2020-01-01T00:00:00+00:00'",
}  # fmt: skip
"""Every column of its own but the id, and what it is made to say."""


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_column_is_named_and_its_key_is_refused(journal: Journal, path: Path, column: str) -> None:
    changed, other = debit(journal, "k", S.COMMITTED), debit(journal, "l", S.COMMITTED)
    assert found(journal) == set()
    edit(path, f"UPDATE debit SET {column} = {COLUMNS[column]} WHERE id = '{changed}'")
    assert {name for problem, name in found(journal)} == {changed}
    for look in (
        lambda: journal.claim("local", "k", "x"), lambda: journal.claim_existing("local", "k"),
        lambda: journal.record(changed), lambda: journal.entry(changed), lambda: journal.settle(changed),
        lambda: journal.delivery.acknowledge(changed),
    ):  # fmt: skip
        with pytest.raises(JournalTamperedError):
            look()
    assert {one.id: one.tampered for one in journal.list_debits(None, all_states=True)} == {changed: True, other: False}
    assert journal.claim("local", "l", "x").id == other


def test_every_column_is_tried(journal: Journal) -> None:
    with journal._file.reading() as database:
        names = {row["name"] for row in database.execute("PRAGMA table_info(debit)")}
    assert names == COLUMNS.keys() | {"id"}


def test_a_doubt_that_is_hidden_still_holds_up_its_card(journal: Journal, path: Path) -> None:
    hidden = debit(journal, "k", S.UNKNOWN)
    edit(path, f"UPDATE debit SET state = 'aborted', reason = '' WHERE id = '{hidden}'")
    with pytest.raises(JournalTamperedError):
        journal.claim_unresolved(CARD)
    assert journal.claim_unresolved(OTHER) is None


def test_a_result_that_was_not_delivered_cannot_be_made_so(journal: Journal, path: Path) -> None:
    held = debit(journal, "k", S.COMMITTED)
    edit(path, f"UPDATE debit SET reason = 'x' WHERE id = '{held}'")
    with pytest.raises(JournalTamperedError):
        journal.delivery.undelivered_on(CARD)


def test_a_removed_row_is_named_and_its_key_debits_nothing(journal: Journal, path: Path) -> None:
    gone = debit(journal, "k")
    edit(path, f"DELETE FROM debit WHERE id = '{gone}'")
    assert found(journal) == {("removed", gone)}
    for look in (lambda: journal.claim("local", "k", "x"), lambda: journal.record(gone)):
        with pytest.raises(JournalTamperedError):
            look()
    edit(path, f"DELETE FROM known WHERE debit = '{gone}'")
    assert found(journal) == {("removed", gone)}


def test_a_key_that_is_forgotten_is_named_and_refused(journal: Journal, path: Path) -> None:
    kept = debit(journal, "k")
    edit(path, "DELETE FROM known")
    assert found(journal) == {("key-changed", kept)}
    with pytest.raises(JournalTamperedError):
        journal.claim("local", "k", "x")


def test_a_key_that_is_led_elsewhere_is_named_and_refused(journal: Journal, path: Path) -> None:
    first, second = debit(journal, "k"), debit(journal, "l")
    edit(path, f"UPDATE known SET debit = '{second}' WHERE debit = '{first}'")
    assert found(journal) == {("key-changed", first)}
    with pytest.raises(JournalTamperedError):
        journal.claim("local", "k", "x")


def test_an_inserted_row_is_named(journal: Journal, path: Path) -> None:
    real = debit(journal, "k")
    names = "owner, asked, state, sent, intent, result, created, changed, key_mark"
    edit(
        path,
        f"INSERT INTO debit (id, idempotency_key, {names}) SELECT 'feedfacefeedface', 'forged', {names} FROM debit"
        f" WHERE id = '{real}'",
    )
    assert found(journal) == {("inserted", "feedfacefeedface")}
    with pytest.raises(JournalTamperedError):
        journal.record("feedfacefeedface")


def test_rows_that_change_places_are_both_named(journal: Journal, path: Path) -> None:
    first, second = debit(journal, "k"), debit(journal, "l")
    edit(
        path,
        f"UPDATE debit SET id = 'x' WHERE id = '{first}'",
        f"UPDATE debit SET id = '{first}' WHERE id = '{second}'",
        f"UPDATE debit SET id = '{second}' WHERE id = 'x'",
    )
    assert {name for _, name in found(journal)} == {first, second}


def test_an_earlier_state_that_is_put_back_is_told_as_such(journal: Journal, path: Path) -> None:
    """An attacker needs no key for it: the row was once just like that."""
    number = debit(journal, "k", S.SENT)
    edit(path, "CREATE TABLE then_ AS SELECT * FROM debit")
    journal.entry(number).transition(S.ABORTED)
    edit(
        path,
        *(
            f"UPDATE debit SET {name} = (SELECT {name} FROM then_)"
            for name in ("state", "reason", "changed", "acknowledged")
        ),
        "DROP TABLE then_",
    )
    assert found(journal) == {("older-state", number)}
    with pytest.raises(JournalTamperedError):
        journal.claim("local", "k", "x")


def test_steps_that_are_changed_removed_or_cut_off_are_named(journal: Journal, path: Path) -> None:
    debit(journal, "k", S.COMMITTED)
    last = journal.verify().steps
    edit(path, "UPDATE step SET digest = '0' WHERE number = 2")
    assert ("changed", "2-2") in found(journal)
    edit(path, "DELETE FROM step WHERE number = 3")
    assert {("missing", "3-3"), ("unproven", "4-4")} <= found(journal)
    edit(path, f"DELETE FROM step WHERE number = {last}")
    assert ("missing", f"{last}-{last}") in found(journal)


def test_the_end_of_the_chain_cannot_be_moved_back(journal: Journal, path: Path) -> None:
    debit(journal, "k", S.SENT)
    edit(path, "UPDATE head SET number = 1, chain = (SELECT chain FROM step WHERE number = 1)")
    assert any(problem == "head-changed" for problem, _ in found(journal))
    with pytest.raises(JournalUnavailableError):
        journal.claim("local", "l", "x")


def test_an_anchor_noted_elsewhere_finds_a_whole_file_that_is_older(journal: Journal) -> None:
    debit(journal, "k")
    anchor = str(journal.verify().anchor)
    assert journal.verify(anchor).is_whole
    debit(journal, "l")
    assert journal.verify(anchor).is_whole
    number, _, chain = anchor.partition(":")
    assert not journal.verify(f"{int(number) + 1000}:{chain}").is_whole
    assert not journal.verify(f"{number}:{'0' * 64}").is_whole


@pytest.mark.parametrize(
    "put_in",
    [
        "CREATE TRIGGER t AFTER UPDATE ON debit BEGIN UPDATE debit SET state = 'aborted' WHERE id = new.id; END",
        "CREATE VIEW v AS SELECT * FROM debit",
        "CREATE TABLE t (a)",
        "DROP INDEX debit_once_by_number",
    ],
)
def test_a_structure_that_is_not_ours_is_named_and_not_opened(path: Path, put_in: str) -> None:
    journal = Journal(path)
    edit(path, put_in)
    assert found(journal) == {("schema-changed", "0-0")}
    journal.close()
    with pytest.raises(JournalUnavailableError):
        Journal(path)


@pytest.mark.parametrize(
    "statements",
    [
        ("DROP INDEX debit_once_by_time", "CREATE INDEX debit_once_by_time ON debit (card, terminal, time)"),
        ("DROP INDEX debit_once_by_number", "CREATE UNIQUE INDEX debit_once_by_number ON debit (id, number, terminal)"),
        ("DROP INDEX debit_undelivered", "CREATE INDEX debit_undelivered ON debit (card, created)"),
        ("ALTER TABLE debit RENAME TO other", "CREATE TABLE debit AS SELECT * FROM other", "DROP TABLE other"),
    ],
)
def test_a_structure_that_only_looks_like_ours_is_named_and_not_opened(path: Path, statements: tuple[str, ...]) -> None:
    journal = Journal(path)
    debit(journal, "k")
    journal.close()
    edit(path, *statements)
    with pytest.raises(JournalUnavailableError):
        Journal(path)


@pytest.mark.parametrize("done", [True, False])
def test_a_person_decides_what_was_changed(journal: Journal, path: Path, done: bool) -> None:
    """After that it says so, and its key and card are free again."""
    changed = debit(journal, "k", S.UNKNOWN)
    edit(path, f"UPDATE debit SET state = 'settled' WHERE id = '{changed}'")
    journal.resolve(changed, done=done)
    shown = journal.record(changed)
    assert (shown.outcome, shown.reason, shown.tampered) == ("done" if done else "none", "person", False)
    assert found(journal) == set()
    assert journal.claim_unresolved(CARD) is None
    assert journal.claim("local", "k", "x").state is (S.COMMITTED if done else S.ABORTED)


@pytest.mark.parametrize("state", ["new", "armed", "sent"])
def test_a_record_made_to_look_begun_stops_no_other_debit(path: Path, state: str) -> None:
    """What a start sets right is what the journal itself has left; that one is a person's to decide."""
    journal = Journal(path)
    settled, left = debit(journal, "k", S.SETTLED), debit(journal, "l", S.SENT)
    journal.close()
    edit(path, f"UPDATE debit SET state = '{state}' WHERE id = '{settled}'")
    journal = Journal(path)
    assert journal.record(left).state is S.UNKNOWN
    assert journal.claim("local", "m", "x").state is S.NEW
    with pytest.raises(JournalTamperedError):
        journal.claim("local", "k", "x")
    with pytest.raises(JournalTamperedError):
        journal.claim_unresolved(CARD)
    journal.resolve(settled, done=True)
    shown = journal.record(settled)
    assert (shown.outcome, shown.reason, shown.self_paid_amount, shown.tampered) == ("done", "person", 10, False)
    assert found(journal) == set()
    journal.close()


@pytest.mark.parametrize("state", [S.UNKNOWN, S.COMMITTED, S.SETTLED, S.ABORTED])
def test_a_debit_that_is_said_to_be_archived_and_is_not(journal: Journal, path: Path, state: DebitState) -> None:
    said = debit(journal, "k", state)
    edit(path, f"UPDATE known SET archive = 'debits-archive-1.sqlite', outcome = 'none' WHERE debit = '{said}'")
    assert found(journal) == {("key-changed", said)}
    for _ in range(2):  # with its row, and without
        with pytest.raises(JournalTamperedError):
            journal.claim("local", "k", "x")
        edit(path, f"DELETE FROM debit WHERE id = '{said}'")
    with pytest.raises(JournalTamperedError):
        journal.record(said)


@pytest.mark.parametrize("column", ["archive", "outcome"])
def test_what_became_of_an_archived_debit_cannot_be_changed(journal: Journal, path: Path, column: str) -> None:
    debit(journal, "k", S.SETTLED)
    journal.archive(datetime.now(UTC))
    with pytest.raises(DebitArchivedError):
        journal.claim("local", "k", "x")
    edit(path, f"UPDATE known SET {column} = 'none'")
    with pytest.raises(JournalTamperedError):
        journal.claim("local", "k", "x")


NO_TEXT = "CAST(x'ff1b5b324a' AS TEXT)"
ODD = {
    "compared": "'x'", "owner": NO_TEXT, "idempotency_key": NO_TEXT, "reason": NO_TEXT, "intent": NO_TEXT,
    "created": NO_TEXT, "changed": "'9999-99-99'", "terminal": NO_TEXT, "asked": NO_TEXT, "state": "'x'",
    "result": "'{}'", "thinned": "'x'", "id": NO_TEXT, "decided": NO_TEXT, "handed_over": NO_TEXT,
}  # fmt: skip


@pytest.mark.parametrize("column", ODD)
def test_whatever_stands_in_a_record_it_is_listed_and_stops_nothing_else(path: Path, column: str) -> None:
    journal = Journal(path)
    odd, other = debit(journal, "k"), debit(journal, "l")
    edit(path, f"UPDATE debit SET {column} = {ODD[column]} WHERE id = '{odd}'")
    for _ in range(2):
        listed = journal.list_debits(None, all_states=True)
        assert sorted(one.tampered for one in listed) == [False, True]
        DebitList(debits=tuple(listed), more=False).model_dump_json().encode()
        assert not journal.verify().is_whole
        assert journal.claim("local", "l", "x").id == other
        journal.close()
        journal = Journal(path)
    if column not in ("id", "intent"):
        journal.resolve(odd, done=True)
        DebitList(debits=tuple(journal.list_debits(None)), more=False).model_dump_json().encode()
    journal.close()


def test_a_person_decides_what_was_given_another_debits_number_and_time(journal: Journal, path: Path) -> None:
    right, changed = debit(journal, "k", S.COMMITTED), debit(journal, "l", S.ABORTED)
    places = ", ".join(f"{name} = (SELECT {name} FROM debit WHERE id = '{right}')" for name in CLASH)
    edit(path, f"UPDATE debit SET {places} WHERE id = '{changed}'")
    journal.resolve(changed, done=True)
    assert journal.record(changed).outcome == "done" and found(journal) == set()


CLASH = ("card", "number", "terminal", "time", "intent")


def test_what_a_person_cannot_tell_from_the_record_is_not_decided_by_it(journal: Journal, path: Path) -> None:
    changed = debit(journal, "k", S.UNKNOWN)
    edit(path, f"UPDATE debit SET intent = 'x' WHERE id = '{changed}'")
    with pytest.raises(JournalTamperedError):
        journal.resolve(changed, done=True)
    assert [one.tampered for one in journal.list_debits(None)] == [True], "and it can still be listed"
    journal.resolve(changed, done=False)
    assert journal.record(changed).outcome == "none"


@pytest.mark.parametrize("state", list(DebitState))
def test_every_legal_way_leaves_a_whole_chain(path: Path, state: DebitState) -> None:
    for _ in range(2):
        journal = Journal(path)
        entry = bring(journal.claim("local", "k", "x"), state) if _ == 0 else journal.claim("local", "l", "x")
        entry.release()
        journal.delivery.note_reported_unknown(entry.id)
        journal.delivery.acknowledge(entry.id)
        assert found(journal) == set()
        journal.close()


def test_what_is_settled_keeps_what_was_booked_and_no_more(journal: Journal, path: Path) -> None:
    settled = debit(journal, "ORDER-4711", S.DELIVERED, 31)
    before = journal.record(settled)
    journal.settle(settled)
    shown = journal.record(settled)
    assert shown.result == before.result and shown.idempotency_key == "" and shown.thinned is not None
    assert (shown.self_paid_amount, shown.pooled_fund_amount) == (10, 20)
    assert journal.claim("local", "ORDER-4711", "x").state is S.SETTLED, "its key is still known"
    journal.close()
    content = path.read_bytes()
    for gone in (b"ORDER-4711", b"28000", b"3150", b"20600", b"A1B2C3D4"):
        assert gone not in content, "balances, totals, challenge and order number, also in freed pages"


def test_what_a_person_decided_keeps_what_the_card_may_still_contradict(journal: Journal) -> None:
    entry = bring(journal.claim("local", "k", "x"), S.MANUAL, given=intent(40))
    journal.resolve(entry.id, done=True)
    journal.settle(entry.id)
    assert entry.intent == intent(40)
