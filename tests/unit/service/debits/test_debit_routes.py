"""Debits over HTTP and the JSON dialect: one key, one debit; what is not known is said; a card is debited once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.gate.policy import DialectRule
from service.gate.scopes import Scope
from simulators.card.base import AnyCard
from simulators.personas.persona import find_persona
from simulators.sam.hsm_driver_steps import debit_step_1_to_2
from tests.unit.cardio.debits.debits import DEBIT
from tests.unit.service.bridge import FIRST, SECOND
from tests.unit.service.debits.debit_desk import CARD, CITY, DONE, HISTORICAL, LATER, PAGE, PAY, Desk, pulled, refused

NO_ORDERS = (
    "", "0.1|0.2|", "0.1|0.2|2015|", "0|0|20151118185001|", "-1|2|20151118185001|", "0.101|0|20151118185001|",
    "1e3|0|20151118185001|", "42949672.96|0|20151118185001|", "0.1|0.2|20151318185001|", "１|0|20151118185001|",
    "0.1|0.2|20151118185001|x|",
)  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.bridge.stop()


def test_one_key_is_one_debit_however_often_it_is_asked(desk: Desk) -> None:
    first = desk.call()
    assert first.status_code == 200 and first.json()["pOutInfo"] == DONE and first.json()["return"] == 0
    assert first.headers["cardio-card-session"] and first.json()["debit"]["outcome"] == "done"
    for _ in range(3):
        assert desk.call().json()["pOutInfo"] == DONE
    desk.reader.remove()
    assert desk.call().json()["pOutInfo"] == DONE, "what is done is told without the card"
    assert desk.call(reader="unplugged").json()["pOutInfo"] == DONE, "and without its reader"
    assert desk.debits == 1 and desk.totals == (13, 3160, 20620)


def test_keys_that_are_none_and_orders_that_are_none(desk: Desk) -> None:
    for key in (None, "", "x" * 201):
        assert desk.call(key=key).status_code == 400
    assert refused(desk.call(key=None)) == (400, "no-idempotency-key")
    for pay in NO_ORDERS:
        answer = desk.call(pPayInfo=pay)
        assert answer.status_code == 400 and answer.json()["driver_code"] == -23, pay
    assert refused(desk.call(pCardInfo="370200D15600000500000014FFFFFFFF||")) == (409, "card-changed")
    assert desk.call(pCardInfo="").json()["driver_code"] == -23
    assert desk.debits == 0 and desk.bridge.client.get("/v1/debits").json() == {"debits": [], "more": False}
    other = "370200D15600000500000014FFFFFFFF||"
    assert refused(desk.call(pCardInfo=other, key="l")) == refused(desk.call(pCardInfo=other, key="l"))
    assert desk.call(key="l").json()["pOutInfo"] == DONE, "no card was told by this key, so it may be put right"


def test_another_order_by_the_same_key(desk: Desk) -> None:
    assert desk.call().status_code == 200
    assert refused(desk.call(pPayInfo=LATER)) == (422, "other-order")
    assert refused(desk.call("iDoDebit_HSM_Step1", pPayInfo=LATER)) == (422, "other-order")
    for same in ("0.10|0.2|20151118185001", " 0.1|0.20|20151118185001| "):
        assert desk.call(pPayInfo=same, pCardInfo=CARD.lower()).json()["pOutInfo"] == DONE, (
            "the same order, written anew"
        )
    page, _ = desk.bridge.pair(PAGE, *(scope for scope in Scope if scope not in (Scope.MANAGE, Scope.METRICS)))
    other = desk.call(client=page, pPayInfo=LATER)
    assert other.status_code == 200 and other.json()["debit"]["origin"] == PAGE, "a page's keys are its own"
    assert desk.debits == 2


def test_a_wrong_pin_is_an_attempt_and_the_key_stays_good(desk: Desk) -> None:
    wrong = desk.call(pin="654321")
    assert (wrong.status_code, wrong.json()["driver_code"]) == (422, -51)
    assert refused(desk.call(pin=None)) == (422, "no-pin-pad")
    desk.reader.remove()
    assert refused(desk.call()) == (404, "no-card")
    desk.put(desk.card)
    assert desk.call().json()["pOutInfo"] == DONE and desk.debits == 1


def test_the_right_to_settle_and_to_pass_a_pin(desk: Desk) -> None:
    for scopes in ((Scope.BASIC, Scope.FILES, Scope.PIN, Scope.WRITE), (Scope.SETTLE,)):
        page, _ = desk.bridge.pair(f"https://a{len(scopes)}.example", *scopes)
        assert refused(desk.call(client=page)) == (403, "no-scope")
    assert desk.debits == 0


@pytest.mark.parametrize("done", [True, False])
def test_an_unknown_outcome_is_said_and_found_out(desk: Desk, done: bool) -> None:
    desk.put(desk.card, pulled(desk.reader, done=done))
    lost = desk.call()
    assert desk.debit_of(lost) == (202, -202, "unknown", "unknown") and "请勿另行收费" in lost.json()["pOutInfo"]
    assert desk.debit_of(desk.call()) == (202, -202, "unknown", "unknown"), (
        "no card: it stays unknown, and is no failure"
    )
    desk.put(find_persona("adult").card())
    other = desk.call()
    assert desk.debit_of(other)[:3] == (202, -202, "unknown")
    desk.put(desk.card)
    found = desk.call()
    if done:
        assert found.json()["pOutInfo"] == DONE and found.json()["debit"]["result"]["known_by"] == "proof"
        assert desk.totals == (13, 3160, 20620)
    else:
        assert refused(found) == (409, "debit-not-done") == refused(desk.call())
        assert desk.totals == (12, 3150, 20600)
        assert desk.call(key="another").json()["pOutInfo"] == DONE
    assert desk.debits == (1 if done else 2)


@pytest.mark.parametrize("done", [True, False])
def test_another_debit_waits_until_the_first_is_cleared_up(desk: Desk, done: bool) -> None:
    """A page that lost its key asks by another: the first is found out and told, nothing is taken."""
    desk.put(desk.card, pulled(desk.reader, done=done))
    desk.call()
    desk.put(desk.card)
    told = desk.call(key="another", pPayInfo=LATER)
    assert refused(told) == (409, "debit-open")
    assert ("已扣款" if done else "未扣款") in told.json()["detail"] and "0.30" in told.json()["detail"]
    assert desk.debits == 1
    assert desk.call(key="another", pPayInfo=LATER).status_code == 200 and desk.debits == 2
    first = desk.call()
    assert first.json()["pOutInfo"] == DONE if done else refused(first) == (409, "debit-not-done")
    assert desk.debits == 2


def test_who_asks_meanwhile_is_told_to_wait(desk: Desk) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(card: AnyCard, command: bytes) -> bytes:
        if command[:2] == DEBIT:
            begun.set()
            assert go_on.wait(5)
        return card.transmit(command)

    desk.put(desk.card, slow)
    answers: list[httpx.Response] = []
    caller = threading.Thread(target=lambda: answers.append(desk.call()))
    caller.start()
    assert begun.wait(5)
    assert refused(desk.call(client=desk.bridge.caller("T" * 43))) == (409, "debit-in-flight")
    go_on.set()
    caller.join(5)
    assert answers[0].json()["pOutInfo"] == DONE and desk.debits == 1


def test_a_caller_that_is_gone_finds_its_debit_done(desk: Desk) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(card: AnyCard, command: bytes) -> bytes:
        if command[:2] == DEBIT:
            begun.set()
            go_on.wait(5)
        return card.transmit(command)

    desk.put(desk.card, slow)
    with httpx.Client(base_url=desk.bridge.address, headers=desk.bridge.client.headers, trust_env=False) as client:
        leaving = threading.Thread(target=_impatient, args=(client,))
        leaving.start()
        assert begun.wait(5)
        leaving.join(5)
    assert refused(desk.call()) == (409, "debit-in-flight"), "the card's thread still has it"
    go_on.set()
    for _ in range(200):
        answer = desk.call()
        if answer.status_code == 200:
            break
        time.sleep(0.01)
    assert answer.json()["pOutInfo"] == DONE and desk.debits == 1


def _impatient(client: httpx.Client) -> None:
    asked = {"reader": SECOND, "pCardInfo": CARD, "pPayInfo": PAY, "pin": "123456"}
    with pytest.raises(httpx.TimeoutException):
        client.post("/v1/driver/iDoDebit", json=asked, headers={"Idempotency-Key": "k"}, timeout=0.3)


def test_a_hundred_calls_at_once_debit_once(desk: Desk) -> None:
    answers: list[int] = []

    def ask() -> None:
        with httpx.Client(
            base_url=desk.bridge.address, headers=desk.bridge.client.headers, timeout=60, trust_env=False
        ) as client:
            answer = desk.call(client=client)
            answers.append(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert desk.debits == 1 and 200 in answers and set(answers) <= {200, 409, 429}
    assert desk.totals == (13, 3160, 20620) and desk.call().json()["pOutInfo"] == DONE


# -- in steps, with an HSM of the caller's own ---------------------------------------------------


def test_a_debit_in_two_steps(desk: Desk) -> None:
    step = desk.call("iDoDebit_HSM_Step1")
    text = "01|000001|A1B2C3D4|000C|0000000A00000014|32|000000009999|20151118185001|"
    assert step.json()["pOutInfo"] == text and step.json()["debit"]["state"] == "initialised"
    answer = debit_step_1_to_2(text, HISTORICAL, CITY)
    assert answer == "0000000C|20151118185001|42AA92B7|"
    done = desk.call("iDoDebit_HSM_Step2", pKey=answer, key=None)
    assert done.json()["pOutInfo"] == DONE and done.json()["debit"]["result"]["known_by"] == "card"
    assert refused(desk.call("iDoDebit_HSM_Step2", pKey=answer, key=None)) == (409, "step-order")
    desk.bridge.readers.remove(FIRST)
    for function in ("iDoDebit", "iDoDebit_HSM_Step1", "iDoDebit_HSM_Step2"):
        assert desk.call(function, pKey=answer).json()["pOutInfo"] == DONE, (
            "its key gives the result, whichever function is called"
        )
    assert desk.debits == 1 and desk.totals == (13, 3160, 20620)


@pytest.mark.parametrize(
    ("pkey", "code"),
    [
        ("", -42),
        ("0000000C|20151118185001|42AA92|", -42),
        ("0000000D|20151118185001|42AA92B7|", -23),
        ("0000000C|20151118185002|42AA92B7|", -23),
        ("0000000C|20151118185001|42AA92B8|", -0x9302),
    ],
)
def test_second_steps_that_are_none(desk: Desk, pkey: str, code: int) -> None:
    desk.call("iDoDebit_HSM_Step1")
    answer = desk.call("iDoDebit_HSM_Step2", pKey=pkey)
    assert answer.status_code >= 400 and answer.json()["driver_code"] == code
    assert desk.totals == (12, 3150, 20600)
    sent = code == -0x9302
    again = desk.call("iDoDebit_HSM_Step1")
    assert refused(again) == (409, "debit-not-done") if sent else again.status_code == 200


def test_steps_that_are_left_stand_in_nobodys_way(desk: Desk) -> None:
    text = desk.call("iDoDebit_HSM_Step1").json()["pOutInfo"]
    assert desk.call("iDoDebit_HSM_Step1").status_code == 200, "the first step again"
    assert desk.bridge.client.get(f"/v1/readers/{SECOND}/card").status_code == 200, "the caller begins something else"
    late = desk.call("iDoDebit_HSM_Step2", pKey=debit_step_1_to_2(text, HISTORICAL, CITY))
    assert refused(late) == (409, "step-order")
    assert desk.call(key="another").json()["pOutInfo"] == DONE
    assert desk.debits == 1


def test_a_second_step_by_another_key_is_another_debits(desk: Desk) -> None:
    text = desk.call("iDoDebit_HSM_Step1").json()["pOutInfo"]
    answer = debit_step_1_to_2(text, HISTORICAL, CITY)
    assert refused(desk.call("iDoDebit_HSM_Step2", pKey=answer, key="other")) == (409, "step-order")
    assert desk.debits == 0
    assert desk.call("iDoDebit_HSM_Step2", pKey=answer, key="k").json()["pOutInfo"] == DONE


@pytest.mark.parametrize("done", [True, False])
def test_a_second_step_without_an_answer(desk: Desk, done: bool) -> None:
    desk.put(desk.card, pulled(desk.reader, done=done))
    text = desk.call("iDoDebit_HSM_Step1").json()["pOutInfo"]
    answer = debit_step_1_to_2(text, HISTORICAL, CITY)
    assert desk.debit_of(desk.call("iDoDebit_HSM_Step2", pKey=answer, key=None))[:3] == (202, -202, "unknown")
    desk.put(desk.card)
    found = desk.call("iDoDebit_HSM_Step2", pKey=answer, pin="123456")
    assert found.json()["pOutInfo"] == DONE if done else refused(found) == (409, "debit-not-done")
    assert desk.debits == 1


# -- who books them ------------------------------------------------------------------------------


def test_debits_are_listed_and_booked(desk: Desk) -> None:
    desk.call()
    listed = desk.bridge.client.get("/v1/debits").json()["debits"]
    assert [(one["state"], one["idempotency_key"]) for one in listed] == [("delivered", "k")]
    place = f"/v1/debits/{listed[0]['id']}"
    page, _ = desk.bridge.pair(PAGE, Scope.SETTLE)
    assert page.get("/v1/debits").json() == {"debits": [], "more": False}
    assert refused(page.get(place)) == refused(page.post(f"{place}/settled")) == (404, "no-such-debit")
    assert refused(page.post(f"{place}/resolution", json={"outcome": "none"})) == (403, "no-scope")
    for _ in range(2):
        assert desk.bridge.client.post(f"{place}/settled").json()["state"] == "settled"
    assert desk.bridge.client.get("/v1/debits").json() == {"debits": [], "more": False}
    assert len(desk.bridge.client.get("/v1/debits", params={"all": True}).json()["debits"]) == 1
    assert desk.call().json()["pOutInfo"] == DONE, "and still it is not done twice"
    assert refused(desk.bridge.client.post(f"{place}/resolution", json={"outcome": "none"})) == (409, "debit-step")


@pytest.mark.parametrize("outcome", ["done", "none"])
def test_a_person_clears_up_what_no_card_tells(desk: Desk, outcome: str) -> None:
    desk.put(desk.card, pulled(desk.reader, done=False))
    debit = desk.call().json()["debit"]["id"]
    decided = desk.bridge.client.post(f"/v1/debits/{debit}/resolution", json={"outcome": outcome}).json()
    assert decided["outcome"] == outcome
    again = desk.call()
    assert again.json()["debit"]["result"]["known_by"] == "person" if outcome == "done" else again.status_code == 409
    assert desk.debits == 1


def test_without_a_journal_there_is_no_debit(tmp_path: Path) -> None:
    folder = tmp_path / "debits.sqlite"
    folder.mkdir()
    desk = Desk(tmp_path)
    try:
        answer = desk.call()
        assert refused(answer) == (503, "journal-unavailable") and answer.json()["driver_code"] == -13
        assert desk.bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200, "readings go on"
        assert desk.debits == 0
        folder.rmdir()
        assert desk.call().json()["pOutInfo"] == DONE, "the next call tries again"
    finally:
        desk.bridge.stop()


def test_a_bridge_that_starts_again_knows_what_was_open(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.put(desk.card, pulled(desk.reader, done=True))
    assert desk.call().status_code == 202
    desk.bridge.stop()
    again = Desk(tmp_path)
    try:
        assert [one["state"] for one in again.bridge.client.get("/v1/debits").json()["debits"]] == ["unknown"]
        again.card = desk.card
        again.put(desk.card)
        assert again.call().json()["pOutInfo"] == DONE and again.debits == 0
    finally:
        again.bridge.stop()


def test_the_json_dialect_names_its_debits(tmp_path: Path) -> None:
    scopes = frozenset({Scope.BASIC, Scope.PIN, Scope.SETTLE})
    desk = Desk(tmp_path, dialects=[DialectRule("json", programs=True, scopes=scopes)], trusted={PAGE: scopes})
    try:
        desk.bridge.readers.remove(FIRST)
        socket = desk.bridge.socket("/", port=desk.bridge.dialect_ports["json"], origin=PAGE)

        def ask(**given: Any) -> dict[str, str]:
            told = {"function": "iDoDebit", "iType": 3, "pCardInfo": CARD, "pPayInfo": PAY, "pin": "123456"} | given
            socket.send(json.dumps(told))
            reply: dict[str, str] = json.loads(socket.recv(5))
            return reply

        assert ask()["success"] == "-14"
        for _ in range(2):
            assert ask(idempotencyKey="k") == {"functionName": "iDoDebit", "success": "1", "pOutInfo": DONE}
        desk.put(desk.card, pulled(desk.reader, done=True))
        lost = ask(idempotencyKey="l", pPayInfo=LATER)
        assert lost["success"] == "-202" and lost["pOutInfo"].startswith("消费结果未知")
        assert desk.debits == 2
    finally:
        desk.bridge.stop()
