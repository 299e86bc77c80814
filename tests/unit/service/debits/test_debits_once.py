"""Exactly once beyond one journal: the card's own record is asked, and every word is compared with it."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.gate.policy import DialectRule
from service.gate.scopes import Scope
from simulators.card.base import AnyCard
from simulators.sam.hsm_driver_steps import debit_step_1_to_2
from tests.unit.cardio.debits.debits import DEBIT
from tests.unit.service.bridge import FIRST
from tests.unit.service.debits.debit_desk import CARD, CITY, DONE, HISTORICAL, LATER, PAGE, PAY, Desk, pulled, refused

UNTOUCHED, MOVED = (12, 3150, 20600), (13, 3160, 20620)
PROOF, READ_RECORD = bytes.fromhex("805A"), bytes.fromhex("00B2")
OTHER_TERMINAL = bytes.fromhex("410100813475")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.bridge.stop()


@pytest.fixture
def second(tmp_path: Path, desk: Desk) -> Iterator[Desk]:
    """Another desk, with a journal of its own; the card goes from one to the other."""
    folder = tmp_path / "second"
    folder.mkdir()
    made = Desk(folder)
    made.card = desk.card
    made.put(desk.card)
    yield made
    made.bridge.stop()


def details(desk: Desk) -> list[bytes]:
    """The card's own records, the newest first."""
    found: list[bytes] = desk.card.applications[4].by_id[0xEF08].records
    return found


# -- the card's own record -------------------------------------------------------------------------


def test_an_order_that_stands_on_the_card_is_not_taken_at_the_next_desk(desk: Desk, second: Desk) -> None:
    assert desk.call().json()["pOutInfo"] == DONE
    again = second.call()
    assert refused(again) == (409, "debit-on-card") and again.json()["driver_code"] == -204
    assert "2015-11-18 18:50:01" in again.json()["detail"] and "000000009999" in again.json()["detail"]
    told = {"time": "20151118185001", "terminal_number": "000000009999", "transaction_number": 13}
    assert again.json()["card_record"] == told
    assert refused(second.call(key="another")) == (409, "debit-on-card")
    assert second.debits == 0 and desk.totals == MOVED
    assert second.bridge.client.get("/v1/debits").json()["debits"] == []
    later = second.call(key="later", pPayInfo=LATER)
    assert later.status_code == 200 and later.json()["debit"]["card_record"] == "clear", "another time is another order"


def test_the_first_step_is_refused_as_the_whole_debit_is(desk: Desk, second: Desk) -> None:
    text = desk.call("iDoDebit_HSM_Step1").json()["pOutInfo"]
    answer = debit_step_1_to_2(text, HISTORICAL, CITY)
    assert desk.call("iDoDebit_HSM_Step2", pKey=answer).json()["pOutInfo"] == DONE
    for function in ("iDoDebit_HSM_Step1", "iDoDebit"):
        assert refused(second.call(function)) == (409, "debit-on-card")
    assert second.debits == 0 and desk.totals == MOVED


def test_a_journal_that_was_lost_or_put_back_debits_nothing_twice(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.call().json()["pOutInfo"] == DONE
    desk.bridge.stop()
    for name in ("debits.sqlite", "debits.sqlite-wal", "debits.sqlite-shm", "debits.key"):
        (tmp_path / name).unlink(missing_ok=True)
    again = Desk(tmp_path)
    try:
        again.card = desk.card
        again.put(desk.card)
        assert refused(again.call()) == (503, "journal-unavailable"), "no new one begins where one was"
        again.bridge.client.post("/v1/journal/restored").raise_for_status()
        assert refused(again.call()) == (409, "debit-on-card"), "a person has said so: now the card guards"
        assert again.debits == 0 and desk.totals == MOVED
    finally:
        again.bridge.stop()


def test_what_this_journal_knows_is_said_before_what_the_card_says(desk: Desk) -> None:
    assert desk.call().json()["pOutInfo"] == DONE
    assert desk.call().json()["pOutInfo"] == DONE
    assert refused(desk.call(key="clicked twice")) == (409, "debit-same-second")
    assert desk.debits == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"terminal": OTHER_TERMINAL}, "debit-on-card"),
        ({"number": b"\x12\x34"}, "debit-on-card"),
        ({"amounts": bytes.fromhex("000000000000000B00000014")}, "debit-same-second"),
        ({"terminal": OTHER_TERMINAL, "amounts": bytes.fromhex("000000000000000B00000014")}, "debit-same-second"),
        ({"time": bytes(7)}, "debit-record-unclear"),
        ({"time": b"\xff" * 7}, "debit-record-unclear"),
        ({"time": bytes.fromhex("20151318185001")}, "debit-record-unclear"),
        ({"time": b"\xff" * 7, "amounts": b"\xff" * 12}, "debit-record-unclear"),
        ({"time": bytes(7), "amounts": bytes(12)}, "debit-record-unclear"),
        ({"type": b"\x00"}, "debit-on-card"),
    ],
)
def test_a_record_that_is_this_orders_or_may_be(desk: Desk, second: Desk, change: dict[str, bytes], code: str) -> None:
    assert desk.call().json()["pOutInfo"] == DONE
    details(desk)[0] = changed(details(desk)[0], change)
    assert refused(second.call()) == (409, code)
    assert second.debits == 0


@pytest.mark.parametrize(
    "change",
    [
        {"time": bytes.fromhex("20151118185002")},
        {"time": bytes(7), "amounts": bytes.fromhex("000000000000000B00000015")},
        {"type": b"1"},
        {"number": b"\xff" * 2, "type": b"\xff", "terminal": b"\xff" * 6, "time": b"\xff" * 7, "amounts": b"\xff" * 12},
    ],
)
def test_a_record_that_is_plainly_anothers(desk: Desk, change: dict[str, bytes]) -> None:
    """Another time with the same amounts; no time and other amounts; money that was put in; a blank record."""
    ours = bytes.fromhex("000C320000000099992015111818500100000000" + "0000000A00000014")
    details(desk).insert(0, changed(ours, change))
    assert desk.call().status_code == 200


def changed(record: bytes, change: dict[str, bytes]) -> bytes:
    places = {"number": 0, "type": 2, "terminal": 3, "time": 9, "amounts": 16}
    for name, value in change.items():
        record = record[: places[name]] + value + record[places[name] + len(value) :]
    return record


@pytest.mark.parametrize("answer", ["6581", "6281", "short"])
def test_a_record_that_cannot_be_read_does_not_count_as_absent(desk: Desk, second: Desk, answer: str) -> None:
    assert desk.call().json()["pOutInfo"] == DONE

    def damaged(card: AnyCard, command: bytes) -> bytes:
        told = card.transmit(command)
        if not (command[:2] == READ_RECORD and command[2] == 1 and command[3] >> 3 == 8):
            return told
        return told[:20] + b"\x90\x00" if answer == "short" else told[:28] * (answer == "6281") + bytes.fromhex(answer)

    details(desk)[0] = changed(details(desk)[0], {"time": bytes.fromhex("20151118190000")})
    second.put(desk.card, damaged)
    assert refused(second.call()) == (409, "debit-record-unclear")
    assert second.debits == 0


def test_two_newer_records_of_a_terminal_whose_clock_is_wrong_hide_nothing_behind_one(desk: Desk, second: Desk) -> None:
    """One record that is old by its own time may be the work of a wrong clock: the one before it is looked at too."""
    assert desk.call().json()["pOutInfo"] == DONE
    wrong_clock = {"time": bytes.fromhex("20080101000000"), "amounts": bytes.fromhex("000000000000000100000001")}
    details(desk).insert(0, changed(details(desk)[0], wrong_clock))
    assert refused(second.call()) == (409, "debit-on-card")


SMALL = "000000000000000100000001"


@pytest.mark.parametrize("start", [0, 3])
def test_a_card_that_does_not_have_its_newest_record_first(desk: Desk, second: Desk, start: int) -> None:
    """Oldest first, or in the order of its memory: what is old there says nothing of what comes after it."""
    old = [bytes.fromhex(f"{at:04X}32{OTHER_TERMINAL.hex()}2010111818{at:02}00{SMALL}") for at in range(1, 9)]
    details(desk)[:] = reversed(old)
    assert desk.call().json()["pOutInfo"] == DONE
    in_order = details(desk)[::-1]
    details(desk)[:] = in_order[start:] + in_order[:start]
    assert refused(second.call()) == (409, "debit-on-card")
    assert second.debits == 0 and desk.totals == MOVED


@pytest.mark.parametrize("records", [1, 2, 3, 10])
def test_an_order_that_a_card_with_few_records_has_let_go(desk: Desk, second: Desk, records: int) -> None:
    """It has counted more debits than it shows, and all that it shows are later ones."""
    details(desk).clear()
    assert desk.call().json()["pOutInfo"] == DONE
    details(desk)[:] = [
        bytes.fromhex(f"{13 + at:04X}32{OTHER_TERMINAL.hex()}201511181850{1 + at:02}{SMALL}")
        for at in range(records, 0, -1)
    ]
    assert refused(second.call()) == (409, "debit-not-checkable")
    assert second.debits == 0
    assert second.call(key="now", pPayInfo="0.1|0.2|20151118185100|").status_code == 200


def test_a_card_that_shows_all_its_debits_has_let_none_go(desk: Desk) -> None:
    purse = desk.card.purse
    assert purse is not None
    purse.offline_counter = 1
    details(desk)[:] = [bytes.fromhex(f"000132{OTHER_TERMINAL.hex()}20151118185002{SMALL}")]
    assert desk.call().json()["debit"]["card_record"] == "clear"


def test_a_card_whose_file_has_no_debit_though_it_has_counted_some(desk: Desk) -> None:
    details(desk)[:] = [bytes.fromhex(f"000131{OTHER_TERMINAL.hex()}20151118185002{SMALL}")]
    assert desk.call().json()["debit"]["card_record"] == "not-kept"


def filled(desk: Desk, *times: str) -> None:
    """Thirty details, all of one terminal, at these times and the seconds before the last of them."""
    made = [bytes.fromhex(f"{40 - at:04X}32{OTHER_TERMINAL.hex()}{time}") for at, time in enumerate(times)]
    details(desk)[:] = [record + bytes.fromhex("000000000000000100000001") for record in made]


def test_a_card_whose_details_are_full_of_one_terminal(desk: Desk) -> None:
    filled(desk, *(f"201511181849{second:02}" for second in range(59, 29, -1)))
    assert desk.call().json()["pOutInfo"].startswith("12|"), "an order of now would be among them"


@pytest.mark.parametrize("time", ["20151118184928", "20151118204000"])
def test_an_order_that_may_have_been_pushed_out_is_not_guessed_at(desk: Desk, time: str) -> None:
    """Older than everything that the card still shows, or of a time that is yet to come."""
    filled(desk, *(f"201511181849{second:02}" for second in range(59, 29, -1)))
    answer = desk.call(pPayInfo=f"0.1|0.2|{time}|")
    assert refused(answer) == (409, "debit-not-checkable") and answer.json()["driver_code"] == -205
    assert desk.debits == 0
    assert desk.call(key="now").status_code == 200


@pytest.mark.parametrize("how", ["no-file", "closed", "unreadable"])
@pytest.mark.parametrize("required", [True, False])
def test_a_card_whose_own_record_cannot_be_asked(tmp_path: Path, how: str, required: bool) -> None:
    answers = {"no-file": "6A82", "closed": "6982", "unreadable": "6985"}
    desk = Desk(tmp_path, limits={"record_required": required})

    def mute(card: AnyCard, command: bytes) -> bytes:
        of_file = command[:2] == READ_RECORD and command[3] >> 3 == 8
        selected = command[:2] == b"\x00\xa4" and command[5:7] == b"\xef\x08"
        return bytes.fromhex(answers[how]) if of_file or selected else card.transmit(command)

    try:
        desk.put(desk.card, mute)
        answer = desk.call()
        if required:
            assert refused(answer) == (409, "debit-record-unreadable") and desk.debits == 0
        else:
            assert answer.json()["pOutInfo"] == DONE and answer.json()["debit"]["card_record"] == how
    finally:
        desk.bridge.stop()


def test_a_card_that_keeps_no_details(desk: Desk) -> None:
    """Its file is empty, though it has counted twelve debits."""
    details(desk).clear()
    assert desk.call().json()["debit"]["card_record"] == "not-kept"


def test_the_dialects_code(tmp_path: Path, desk: Desk) -> None:
    assert desk.call().json()["pOutInfo"] == DONE
    scopes = frozenset({Scope.BASIC, Scope.PIN, Scope.SETTLE})
    folder = tmp_path / "dialect"
    folder.mkdir()
    rules = [DialectRule("json", programs=True, scopes=scopes)]
    second = Desk(folder, dialects=rules, trusted={PAGE: scopes})
    try:
        second.card = desk.card
        second.put(desk.card)
        second.bridge.readers.remove(FIRST)
        socket = second.bridge.socket("/", port=second.bridge.dialect_ports["json"], origin=PAGE)

        def ask(pay: str) -> dict[str, str]:
            told = {"function": "iDoDebit", "iType": 3, "pCardInfo": CARD, "pPayInfo": pay, "pin": "123456"}
            socket.send(json.dumps(told | {"idempotencyKey": "k"}))
            reply: dict[str, str] = json.loads(socket.recv(10))
            return reply

        refused_by_card = ask(PAY)
        assert refused_by_card["success"] == "-204" and "请勿重复收费" in refused_by_card["pOutInfo"]
        assert ask("0.1|0.2|99991231235959|")["success"] == "-23"
        assert second.debits == 0
    finally:
        second.bridge.stop()


# -- a word against the card ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["6985", "6700", "6982", "6A80", "6D00", "6E00", "6881", "9302", "9303", "9401", "9403"]
)
@pytest.mark.parametrize("done", [True, False])
def test_a_refusal_is_believed_only_of_a_card_that_has_not_moved(desk: Desk, word: str, done: bool) -> None:
    def refuses(card: AnyCard, command: bytes) -> bytes:
        if command[:2] != DEBIT:
            return card.transmit(command)
        if done:
            card.transmit(command)
        return bytes.fromhex(word)

    desk.put(desk.card, refuses)
    answer = desk.call()
    if done:
        assert answer.json()["pOutInfo"] == DONE and answer.json()["debit"]["result"]["known_by"] == "proof"
        assert desk.totals == MOVED
    else:
        assert answer.status_code >= 400 and answer.json()["driver_code"] == -int(word, 16), "as the card has said it"
        assert refused(desk.call()) == (409, "debit-not-done")
        assert desk.totals == UNTOUCHED
    assert desk.debits == 1


def test_a_refusal_of_a_card_that_cannot_be_asked_afterwards_is_unknown(desk: Desk) -> None:
    gone = False

    def refuses(card: AnyCard, command: bytes) -> bytes:
        nonlocal gone
        if command[:2] == DEBIT:
            card.transmit(command)
            gone = True
            return b"\x69\x85"
        return b"\x69\x01" if gone else card.transmit(command)

    desk.put(desk.card, refuses)
    assert desk.debit_of(desk.call()) == (202, -202, "unknown", "unknown")
    desk.put(desk.card)
    assert desk.call().json()["pOutInfo"] == DONE and desk.debits == 1


# -- whose debit it was --------------------------------------------------------------------------------


def silent(card: AnyCard, command: bytes) -> bytes:
    """Neither the proof nor the details are to be had."""
    if command[:2] == PROOF:
        return b"\x6d\x00"
    of_file = command[:2] == READ_RECORD and command[3] >> 3 == 8
    selected = command[:2] == b"\x00\xa4" and command[5:7] == b"\xef\x08"
    return b"\x69\x85" if of_file or selected else card.transmit(command)


@pytest.fixture
def any_challenge(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card whose challenge never changes would give two like debits one MAC2. To be asked for before the desks."""
    monkeypatch.setattr("tests.unit.service.debits.debit_desk.known_random", os.urandom)


@pytest.mark.parametrize("details_speak", [True, False])
def test_the_number_alone_does_not_say_whose_debit_it_was(
    any_challenge: None, desk: Desk, second: Desk, details_speak: bool
) -> None:
    """Not done here, then the same amounts are debited at the other desk: not both book it."""
    desk.put(desk.card, pulled(desk.reader, done=False))
    assert desk.call().status_code == 202
    with_other_terminal(second)
    second.put(desk.card, None if details_speak else silent)
    assert second.call(key="theirs", pPayInfo="0.1|0.20|20151118190000|").status_code == 200
    desk.put(desk.card, None if details_speak else silent)
    assert refused(desk.call()) == (409, "debit-manual")
    assert desk.debits == 1 and desk.totals == MOVED


def with_other_terminal(desk: Desk) -> None:
    sam = desk.bridge.app.state.bridge.security.sam._sam
    sam._file = sam._file.model_copy(update={"terminal_number": OTHER_TERMINAL.hex()})


# -- what a person has decided ---------------------------------------------------------------------------


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("said", ["done", "none"])
def test_a_persons_word_is_compared_when_the_card_is_back(desk: Desk, done: bool, said: str) -> None:
    desk.put(desk.card, pulled(desk.reader, done=done))
    debit = desk.call().json()["debit"]["id"]
    resolution, client = f"/v1/debits/{debit}/resolution", desk.bridge.client
    assert client.post(resolution, json={"outcome": said}).json()["outcome"] == said
    desk.put(desk.card)
    for _ in range(2):
        answer = desk.call(key="next", pPayInfo=LATER)
        if (said == "done") == done:
            break
        assert refused(answer) == (409, "debit-contradicted") and answer.json()["debit"] == debit
        assert answer.json()["driver_code"] == -206
        assert desk.debits == 1, "it holds the card until a person has looked"
    shown = client.get(f"/v1/debits/{debit}").json()
    if (said == "done") == done:
        assert answer.status_code == 200 and shown["outcome"] == said and shown["compared"] == "agrees"
        return
    assert (shown["outcome"], shown["state"], shown["reason"]) == ("unknown", "manual", "contradicted")
    assert shown["compared"] == "contradicts" and client.get("/v1/debits").json()["debits"][0]["id"] == debit
    decided = client.post(resolution, json={"outcome": said}).json()
    assert decided["outcome"] == said, "a person has looked, and it stays so"
    assert desk.call(key="next", pPayInfo=LATER).status_code == 200
    again = client.post(resolution, json={"outcome": "none"})
    assert refused(again) == (409, "debit-step")


def test_a_person_who_looks_again_may_say_otherwise(desk: Desk) -> None:
    desk.put(desk.card, pulled(desk.reader, done=True))
    debit = desk.call().json()["debit"]["id"]
    resolution, client = f"/v1/debits/{debit}/resolution", desk.bridge.client
    client.post(resolution, json={"outcome": "none"}).raise_for_status()
    desk.put(desk.card)
    assert refused(desk.call(key="next", pPayInfo=LATER)) == (409, "debit-contradicted")
    assert client.post(resolution, json={"outcome": "done"}).json()["result"]["known_by"] == "person"
    assert desk.call().json()["pOutInfo"].startswith("12|000000009999|20151118185001|")
    assert desk.call(key="next", pPayInfo=LATER).status_code == 200


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("said", ["done", "none"])
def test_a_persons_word_is_compared_with_the_number_where_nothing_else_speaks(
    any_challenge: None, desk: Desk, done: bool, said: str
) -> None:
    """The number does not prove whose debit it was; that it is against a person's word is reason to look again."""

    def pulled_and_silent(card: AnyCard, command: bytes) -> bytes:
        return pulled(desk.reader, done=done)(card, command) if command[:2] == DEBIT else silent(card, command)

    desk.put(desk.card, pulled_and_silent)
    debit = desk.call().json()["debit"]["id"]
    resolution, client = f"/v1/debits/{debit}/resolution", desk.bridge.client
    client.post(resolution, json={"outcome": said}).raise_for_status()
    desk.put(desk.card, silent)
    answer = desk.call(key="next", pPayInfo=LATER)
    if (said == "done") != done:
        assert refused(answer) == (409, "debit-contradicted") and desk.debits == 1
        client.post(resolution, json={"outcome": said}).raise_for_status()
        answer = desk.call(key="next", pPayInfo=LATER)
    assert answer.status_code == 200


def test_another_caller_hears_nothing_of_whose_word_it_was(desk: Desk) -> None:
    page, _ = desk.bridge.pair(PAGE, Scope.BASIC, Scope.PIN, Scope.SETTLE)
    desk.put(desk.card, pulled(desk.reader, done=True))
    debit = desk.call().json()["debit"]["id"]
    desk.bridge.client.post(f"/v1/debits/{debit}/resolution", json={"outcome": "none"}).raise_for_status()
    desk.put(desk.card)
    answer = desk.call(client=page, key="next", pPayInfo=LATER)
    assert refused(answer) == (409, "debit-contradicted") and debit not in answer.text and "2015" not in answer.text


# -- money's limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "time",
    ["99991231235959", "00010101000000", "20151117185059", "20151119185101", "20161118185001", "20141118185001"],
)
@pytest.mark.parametrize("function", ["iDoDebit", "iDoDebit_HSM_Step1"])
def test_a_time_that_is_not_about_now_is_not_sent(desk: Desk, time: str, function: str) -> None:
    before = desk.bridge.commands
    answer = desk.call(function, pPayInfo=f"0.01|0.01|{time}|")
    assert refused(answer) == (400, "debit-time") and answer.json()["driver_code"] == -23
    assert desk.bridge.commands == before, "nothing was sent to the card"
    assert desk.call().json()["pOutInfo"] == DONE, "by the same key, with the right time"


def test_what_is_done_is_told_however_late_it_is_asked_for(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.call().json()["pOutInfo"] == DONE
    desk.now = desk.now.replace(year=2016)
    assert desk.call().json()["pOutInfo"] == DONE
    desk.bridge.stop()


@pytest.mark.parametrize("pay", ["100000.01|0|", "0.01|100000|", "42949672.95|0|", "50000.01|50000|"])
def test_a_lost_decimal_point_is_caught(desk: Desk, pay: str) -> None:
    before = desk.bridge.commands
    answer = desk.call(pPayInfo=f"{pay}20151118185001|")
    assert refused(answer) == (400, "debit-limit") and answer.json()["driver_code"] == -23
    assert desk.bridge.commands == before
    assert "100000.00" in answer.json()["detail"]
    assert desk.call(pPayInfo="100000|0|20151118185001|").status_code == 200


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Desk]:
    """With the years as they are usually."""
    made = Desk(tmp_path, limits={"years_back": 1})
    yield made
    made.bridge.stop()


@pytest.mark.parametrize("year", ["2013", "9999", "2012"])
def test_a_year_that_the_cards_totals_forbid(strict: Desk, year: str) -> None:
    desk = strict
    purse = desk.card.purse
    assert purse is not None
    purse.payment_year = year
    answer = desk.call()
    assert refused(answer) == (409, "debit-year") and desk.debits == 0
    assert (purse.payment_year, purse.self_paid_total) == (year, 3150)


@pytest.mark.parametrize("year", ["0000", "2014", "2015", "2016"])
def test_a_year_beside_the_cards(strict: Desk, year: str) -> None:
    desk = strict
    purse = desk.card.purse
    assert purse is not None
    purse.payment_year = year
    assert desk.call().status_code == 200


# -- not sent is not unknown -------------------------------------------------------------------------------


def failing(desk: Desk, when: Callable[[str], bool]) -> Callable[[], None]:
    """From the first statement on that ``when`` says, the journal writes nothing; gives what mends it."""
    file = desk.bridge.app.state.bridge.running.debits._place.opened._file
    real, sick = file._database, [False]

    class Sick:
        def execute(self, text: str, *values: Any) -> sqlite3.Cursor:
            sick[0] |= when(text)
            if sick[0] and not text.startswith(("SELECT", "ROLLBACK")):
                raise sqlite3.OperationalError("database or disk is full")
            done: sqlite3.Cursor = real.execute(text, *values)
            return done

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    file._database = Sick()

    def mend() -> None:
        file._database = real

    return mend


@pytest.mark.parametrize(
    "at",
    ["SET card", "state = 'aborted', reason = 'superseded'", "COMMIT", "SET changed"],
)
@pytest.mark.parametrize("function", ["iDoDebit", "iDoDebit_HSM_Step1"])
def test_a_full_disk_before_it_is_sent_is_no_doubt(desk: Desk, at: str, function: str) -> None:
    assert desk.bridge.client.get("/v1/debits").status_code == 200
    mend = failing(desk, lambda text: at in text)
    answer = desk.call(function)
    assert refused(answer) == (503, "journal-unavailable"), answer.text
    assert desk.debits == 0
    mend()
    assert desk.call().json()["pOutInfo"] == DONE and desk.debits == 1


def test_a_journal_that_can_only_be_read_from_the_first_row_on(desk: Desk) -> None:
    """The row of the debit is there, and nothing more can be written: 503, nothing was sent."""
    assert desk.bridge.client.get("/v1/debits").status_code == 200
    inserted = [False]

    def when(text: str) -> bool:
        over, inserted[0] = inserted[0] and "BEGIN" in text, inserted[0] or "INSERT" in text
        return over

    mend = failing(desk, when)
    for _ in range(2):
        assert refused(desk.call()) == (503, "journal-unavailable")
    assert desk.debits == 0
    mend()
    assert desk.call().json()["pOutInfo"] == DONE and desk.debits == 1


def test_what_is_done_and_cannot_be_read_any_more_is_unknown(desk: Desk) -> None:
    """After the card was told, a journal that fails leaves a doubt, whatever part of the answer it fails in."""
    assert desk.bridge.client.get("/v1/debits").status_code == 200
    sent = [False]

    def told(card: AnyCard, command: bytes) -> bytes:
        sent[0] |= command[:2] == DEBIT
        return card.transmit(command)

    desk.put(desk.card, told)
    commits = [0]

    file = desk.bridge.app.state.bridge.running.debits._place.opened._file
    real = file._database

    class Sick:
        def execute(self, text: str, *values: Any) -> sqlite3.Cursor:
            if commits[0] and text != "ROLLBACK":
                raise sqlite3.OperationalError("disk I/O error")
            found: sqlite3.Cursor = real.execute(text, *values)
            commits[0] += sent[0] and text == "COMMIT"
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    file._database = Sick()
    answer = desk.call()
    assert answer.status_code == 202 and answer.json()["return"] == -202, answer.text
    assert refused(desk.call()) == (503, "journal-unavailable"), "asked again, it is not even known what was asked"
    file._database = real
    assert desk.call().json()["pOutInfo"] == DONE and desk.debits == 1
