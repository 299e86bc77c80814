"""What an attack on the debits tried at the bridge: callers cut off at the wrong moment, cards that never answer, keys
and steps mixed up, a journal that fails or loses its key."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from cardio.debits.transaction import DebitState as S
from cardio.security.sam.key_file import SoftSam
from service.debits.journal import Journal
from service.debits.journal_file.entry import JournalEntry
from service.gate.scopes import Scope
from service.readers.managed_reader import ManagedReader as BridgeDesk
from simulators.card.base import AnyCard
from simulators.personas.persona import find_persona
from simulators.sam.hsm_driver_steps import debit_step_1_to_2
from tests.unit.cardio.debits.debits import DEBIT
from tests.unit.service.bridge import FIRST, SECOND
from tests.unit.service.debits.debit_desk import CARD, CITY, DONE, HISTORICAL, LATER, PAGE, PAY, Desk, pulled, refused

INITIALIZE, PROOF = bytes.fromhex("B028"), bytes.fromhex("805A")
SETTLING = (Scope.BASIC, Scope.PIN, Scope.SETTLE)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.bridge.stop()


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations may take two seconds, so that a card that never answers is found out soon."""
    real = BridgeDesk.run

    async def run(self: BridgeDesk, *given: Any, **more: Any) -> Any:
        return await real(self, *given, **(more | {"seconds": 2.0}))

    monkeypatch.setattr(BridgeDesk, "run", run)


@contextmanager
def hangs(desk: Desk, told: bytes) -> Iterator[threading.Event]:
    """The card does what one command says, and never answers; the event: it was told."""
    begun, ever = threading.Event(), threading.Event()

    def hang(card: AnyCard, command: bytes) -> bytes:
        answer = card.transmit(command)
        if command[:2] == told:
            begun.set()
            ever.wait(30)
        return answer

    desk.put(desk.card, hang)
    try:
        yield begun
    finally:
        ever.set()


def ask_and_be_cut_off(client: httpx.Client, seconds: float = 8.0) -> None:
    asked = {"reader": SECOND, "pCardInfo": CARD, "pPayInfo": PAY, "pin": "123456"}
    with suppress(httpx.HTTPError):
        client.post("/v1/driver/iDoDebit", json=asked, headers={"Idempotency-Key": "k"}, timeout=seconds)


def in_the_end(desk: Desk, client: httpx.Client | None = None) -> httpx.Response:
    """The same key, as soon as no call works on it any more."""
    for _ in range(200):
        answer = desk.call(client=client)
        if answer.status_code != 409 or answer.json()["code"] != "debit-in-flight":
            break
        time.sleep(0.02)
    return answer


# -- whichever call is cut off, the key is released -------------------------------------------------------


def test_a_card_that_hangs_before_the_debit(desk: Desk, in_a_hurry: None) -> None:
    with hangs(desk, INITIALIZE):
        assert desk.call().status_code >= 400 and desk.debits == 0
        desk.put(desk.card)
        assert desk.call().json()["pOutInfo"] == DONE
    assert desk.debits == 1


def test_a_card_that_hangs_while_it_is_asked_what_became_of_it(desk: Desk, in_a_hurry: None) -> None:
    desk.put(desk.card, pulled(desk.reader, done=True))
    assert desk.call().status_code == 202
    with hangs(desk, PROOF):
        assert desk.debit_of(desk.call())[:3] == (202, -202, "unknown")
        desk.put(desk.card)
        assert in_the_end(desk).json()["pOutInfo"] == DONE
    assert desk.debits == 1


@pytest.mark.parametrize("revoked", [True, False])
def test_nobody_waits_any_more_for_a_card_that_hangs_in_the_debit(desk: Desk, in_a_hurry: None, revoked: bool) -> None:
    page, grant = desk.bridge.pair(PAGE, *SETTLING)
    with hangs(desk, DEBIT) as begun:
        asking = threading.Thread(target=ask_and_be_cut_off, args=(page, 8.0 if revoked else 0.4))
        asking.start()
        assert begun.wait(5)
        if revoked:
            assert desk.bridge.client.delete(f"/v1/grants/{grant}").status_code < 300
            page, _ = desk.bridge.pair(PAGE, *SETTLING)
        asking.join(10)
        while not desk.bridge.app.state.bridge.running.debits._place.opened.counts().get(S.UNKNOWN):  # its time is over
            time.sleep(0.02)
        desk.put(desk.card)
        assert in_the_end(desk, page).json()["pOutInfo"] == DONE
    assert desk.debits == 1


@pytest.mark.parametrize("revoked", [True, False])
def test_cut_off_while_the_journal_still_writes(desk: Desk, monkeypatch: pytest.MonkeyPatch, revoked: bool) -> None:
    page, grant = desk.bridge.pair(PAGE, *SETTLING)
    real, busy, free = Journal._claim, threading.Event(), threading.Event()

    def slowly(self: Journal, *given: str) -> tuple[str, int]:
        if not busy.is_set():
            busy.set()
            assert free.wait(5)  # the disk is busy until the caller is cut off
        return real(self, *given)

    monkeypatch.setattr(Journal, "_claim", slowly)
    asking = threading.Thread(target=ask_and_be_cut_off, args=(page, 8.0 if revoked else 0.3))
    asking.start()
    assert busy.wait(5)
    if revoked:
        assert desk.bridge.client.delete(f"/v1/grants/{grant}").status_code < 300
        page, _ = desk.bridge.pair(PAGE, *SETTLING)
    asking.join(10)
    free.set()
    assert in_the_end(desk, page).json()["pOutInfo"] == DONE and desk.debits == 1


# -- what is done is told as done --------------------------------------------------------------------


def test_done_and_not_to_be_noted_as_delivered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tried = JournalEntry.transition, threading.Event()
    journal = desk.bridge.app.state.bridge.running.debits._place

    def move(self: JournalEntry, to: S, **more: Any) -> None:
        if to is S.DELIVERED:
            journal.opened._file._database.execute("PRAGMA query_only = 1")  # as a disk that is full
        try:
            real(self, to, **more)
        finally:
            if to is S.DELIVERED:
                tried.set()

    monkeypatch.setattr(JournalEntry, "transition", move)
    assert desk.call().json()["pOutInfo"] == DONE
    assert tried.wait(5), "it is noted after the answer was sent"
    journal.opened._file._database.execute("PRAGMA query_only = 0")
    assert [one["state"] for one in desk.bridge.client.get("/v1/debits").json()["debits"]] == ["committed"]


@pytest.mark.parametrize("how", ["closed", "read only"])
def test_a_journal_that_fails_after_the_debit_leaves_it_unknown(desk: Desk, how: str) -> None:
    def fault(card: AnyCard, command: bytes) -> bytes:
        if command[:2] == DEBIT:
            database = desk.bridge.app.state.bridge.running.debits._place.opened._file._database
            if how == "closed":
                database.close()
            else:
                database.execute("PRAGMA query_only = 1")
        return card.transmit(command)

    desk.put(desk.card, fault)
    answer = desk.call()
    assert answer.status_code == 202 and answer.json()["return"] == -202


@pytest.mark.parametrize("error", [RuntimeError, RecursionError, KeyError])
def test_a_fault_of_our_own_after_the_debit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fails(*_: object) -> None:
        raise error("x")

    with monkeypatch.context() as while_it_lasts:
        while_it_lasts.setattr(SoftSam, "check_purchase", fails)
        assert desk.call().status_code in (200, 202)
    assert in_the_end(desk).json()["pOutInfo"] == DONE and desk.debits == 1


def test_an_answer_that_cannot_be_fetched_is_not_charged_twice(desk: Desk) -> None:
    waits = False

    def fault(card: AnyCard, command: bytes) -> bytes:
        nonlocal waits
        if waits and command[1] == 0xC0:
            waits = False
            return b"\x6d\x00"
        waits = waits or command[:2] == DEBIT
        return card.transmit(command)

    desk.put(desk.card, fault)
    assert desk.call().json()["debit"]["result"]["known_by"] == "proof"
    assert desk.debits == 1 and desk.totals[0] == 13


def test_what_a_person_decides_on_stands_in_the_way_of_more(desk: Desk) -> None:
    """A wrong MAC2: no call may charge that card again before a person has looked, by whatever key."""
    debited = False

    def forged(card: AnyCard, command: bytes) -> bytes:
        nonlocal debited
        if command[:2] == PROOF:
            return b"\x6d\x00"
        answer = card.transmit(command)
        if debited and command[1] == 0xC0 and len(answer) == 10:
            answer = answer[:4] + bytes(4) + answer[8:]
        debited = command[:2] == DEBIT
        return answer

    desk.put(desk.card, forged)
    assert refused(desk.call()) == (409, "wrong-mac2")
    desk.put(desk.card)
    assert refused(desk.call(key="another", pPayInfo=LATER)) == (409, "debit-open")
    assert desk.debits == 1 and desk.totals[0] == 13
    debit = desk.bridge.client.get("/v1/debits").json()["debits"][0]
    assert debit["state"] == "manual"
    decided = desk.bridge.client.post(f"/v1/debits/{debit['id']}/resolution", json={"outcome": "done"})
    assert decided.status_code == 200
    assert desk.call(key="another", pPayInfo=LATER).status_code == 200 and desk.totals[0] == 14


# -- keys and steps mixed up -------------------------------------------------------------------------


def test_two_readers_wait_for_their_second_steps(desk: Desk) -> None:
    issuer = str(find_persona("adult").files["SSSE/EF05"]["identification_code"])
    first = desk.call("iDoDebit_HSM_Step1", key="a", reader=FIRST, pCardInfo=f"{issuer}||").json()["pOutInfo"]
    second = desk.call("iDoDebit_HSM_Step1", key="b").json()["pOutInfo"]
    answer = debit_step_1_to_2(first, "0081544C928684370200000001", issuer[:6])
    done = desk.call("iDoDebit_HSM_Step2", key="a", reader=FIRST, pKey=answer)
    assert done.status_code == 200, done.text
    done = desk.call("iDoDebit_HSM_Step2", key="b", pKey=debit_step_1_to_2(second, HISTORICAL, CITY))
    assert done.json()["pOutInfo"] == DONE and desk.debits == 1


def test_the_key_of_another_debit_at_the_second_step_is_told(desk: Desk) -> None:
    """Its answer was lost, so it is asked for again; what waits meanwhile goes on waiting."""
    text = desk.call("iDoDebit_HSM_Step1", key="z").json()["pOutInfo"]
    answer = debit_step_1_to_2(text, HISTORICAL, CITY)
    assert desk.call("iDoDebit_HSM_Step2", key="z", pKey=answer).json()["pOutInfo"] == DONE
    later = desk.call("iDoDebit_HSM_Step1", key="a", pPayInfo=LATER).json()["pOutInfo"]
    assert desk.call("iDoDebit_HSM_Step2", key="z", pKey=answer).json()["pOutInfo"] == DONE
    answer = debit_step_1_to_2(later, HISTORICAL, CITY)
    assert desk.call("iDoDebit_HSM_Step2", key="a", pKey=answer).status_code == 200
    assert desk.debits == 2 and desk.totals[0] == 14


def test_another_page_hears_neither_amount_nor_time(desk: Desk) -> None:
    mine, _ = desk.bridge.pair(PAGE, *SETTLING)
    other, _ = desk.bridge.pair("https://other.example", *SETTLING)
    for asking in (other, mine):
        desk.put(desk.card, pulled(desk.reader, done=True))
        paying = f"0.1|0.20|2015111818500{3 + (asking is mine)}|"
        assert desk.call(client=mine, key=paying, pPayInfo=paying).status_code == 202
        desk.put(desk.card)
        answer = desk.call(client=asking, key=f"next {paying}", pPayInfo=LATER)
        assert refused(answer) == (409, "debit-open")
        assert ("0.30" in answer.json()["detail"]) is (asking is mine)
        assert ("2015" in answer.text) is (asking is mine)
        assert desk.call(client=mine, key=paying, pPayInfo=paying).status_code == 200, (
            "told by another's refusal is untold"
        )


# -- the journal's files -----------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["missing", "another"])
def test_without_its_key_the_journal_knows_no_card_and_says_so(tmp_path: Path, lost: str) -> None:
    desk = Desk(tmp_path)
    desk.put(desk.card, pulled(desk.reader, done=True))
    assert desk.call().status_code == 202
    desk.bridge.stop()
    key = tmp_path / "debits.key"
    kept = key.read_text()
    key.unlink()
    if lost == "another":
        key.touch(0o600)
        key.write_text("another" * 8)
    again = Desk(tmp_path)
    try:
        again.card = desk.card
        again.put(desk.card)
        for name in ("k", "another"):
            assert refused(again.call(key=name)) == (503, "journal-key-lost")
        assert again.debits == 0
        key.write_text(kept)
        key.chmod(0o600)
        assert again.call().json()["pOutInfo"] == DONE and again.debits == 0
    finally:
        again.bridge.stop()


class SickDatabase:
    """An I/O error in a COMMIT and in its ROLLBACK."""

    def __init__(self, real: sqlite3.Connection) -> None:
        self._real = real
        self._sick = True

    def execute(self, text: str, *values: Any) -> sqlite3.Cursor:
        if self._sick and text in ("COMMIT", "ROLLBACK"):
            self._sick = text == "COMMIT"
            raise sqlite3.OperationalError("disk I/O error")
        return self._real.execute(text, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_a_rollback_that_fails_is_the_journals_end(desk: Desk) -> None:
    """All later changes would be in one transaction that is never committed."""
    assert desk.bridge.client.get("/v1/debits").status_code == 200
    file = desk.bridge.app.state.bridge.running.debits._place.opened._file
    file._database = SickDatabase(file._database)
    for _ in range(2):
        assert refused(desk.call()) == (503, "journal-unavailable")
    assert desk.debits == 0 and desk.totals[0] == 12
