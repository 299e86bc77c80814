"""Questions to the clerk: a driver call waits for consent or a PIN that only the bridge's own page can give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection

import service.questions.book
import service.questions.clerk
from cardio.debits.limits import DebitLimits
from service.app import SiteOptions
from service.gate.policy import DialectRule
from service.gate.scopes import PAGE_SCOPES, Scope
from service.security import SecurityContext
from tests.pcsc import wait_until
from tests.unit.cardio.debits.debits import Ready, moment, soft_sam
from tests.unit.service.bridge import FIRST, SECOND, Bridge, events_in
from tests.unit.service.clerk_page import ClerkPage

RIGHT, WRONG, OTHER, NEW = "123456", "999999", "888888", "246802"
PAGE = "http://his.example:8080"
WHOLE = "370200D15600000500000013FFFFFFFF|A00000011|"
INFO = "370200D15600000500000001FFFFFFFF|A00000011|"
CAN = frozenset({Scope.BASIC, Scope.FILES, Scope.PIN})


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    rules = [DialectRule(name, programs=True, scopes=CAN) for name in ("json", "decard")]
    security = SecurityContext(sam=Ready(soft_sam(tmp_path)))
    made = Bridge(
        "adult", "personalised", dialects=rules, trusted={PAGE: CAN}, scopes=frozenset(Scope), security=security
    )
    yield made
    made.stop()


@pytest.fixture
def clerk(bridge: Bridge) -> Iterator[ClerkPage]:
    made = ClerkPage(bridge)
    yield made
    made.close()


def call(bridge: Bridge, function: str, **arguments: object) -> httpx.Response:
    body = {"reader": FIRST, **arguments}
    return bridge.client.post(f"/v1/driver/{function}", json=body, timeout=30)


def spend_two_tries(bridge: Bridge) -> None:
    for wrong in (WRONG, OTHER):
        answer = bridge.client.post(f"/v1/readers/{FIRST}/card/pin/verify", json={"pin": wrong})
        assert answer.json()["code"] == "wrong-pin"


def tries(bridge: Bridge) -> int:
    left: int = bridge.client.get(f"/v1/readers/{FIRST}/card/pin").json()["tries_left"]
    return left


def session(bridge: Bridge, number: int = 0) -> str | None:
    found: str | None = bridge.client.get("/v1/readers").json()["readers"][number]["card_session"]
    return found


# -- consent to the last try --------------------------------------------------------------------


def test_a_call_waits_for_consent_and_goes_on(bridge: Bridge, clerk: ClerkPage) -> None:
    spend_two_tries(bridge)
    waiting = clerk.begin(lambda: call(bridge, "iVerifyPIN", pin=RIGHT))
    question = clerk.question()
    assert (question["kind"], question["reader"], question["function"]) == ("last-try", FIRST, "iVerifyPIN")
    assert question["wants"] == [] and 0 < question["seconds_left"] <= 60 and not waiting.done()
    assert clerk.answer(question).status_code == 204
    assert waiting.result(10).json()["return"] == 0
    assert clerk.questions() == [] and clerk.outcome(question) == "yes" and tries(bridge) == 3


def test_a_clerk_who_says_no(bridge: Bridge, clerk: ClerkPage) -> None:
    spend_two_tries(bridge)
    waiting = clerk.begin(lambda: call(bridge, "iVerifyPIN", pin=RIGHT))
    question = clerk.question()
    clerk.answer(question, "no")
    problem = waiting.result(10).json()
    assert (problem["code"], problem["driver_code"]) == ("last-try-declined", -31)
    assert clerk.outcome(question) == "no" and tries(bridge) == 1
    assert clerk.answer(question).json()["code"] == "question-gone", "one answer counts"


def test_a_consent_is_for_one_try(bridge: Bridge, clerk: ClerkPage) -> None:
    spend_two_tries(bridge)
    waiting = clerk.begin(lambda: call(bridge, "iVerifyPIN", pin="777777"))
    clerk.answer(clerk.question())
    problem = waiting.result(10).json()
    assert (problem["code"], problem["driver_code"]) == ("pin-blocked", -52)


def test_a_question_dies_with_its_card(bridge: Bridge, clerk: ClerkPage) -> None:
    spend_two_tries(bridge)
    waiting = clerk.begin(lambda: call(bridge, "iVerifyPIN", pin=RIGHT))
    question = clerk.question()
    bridge.readers.remove(FIRST)
    assert waiting.result(10).json()["driver_code"] == -22
    assert clerk.outcome(question) == "card-gone"


def test_a_question_dies_with_its_caller(bridge: Bridge, clerk: ClerkPage) -> None:
    spend_two_tries(bridge)
    with pytest.raises(httpx.ReadTimeout):
        bridge.client.post("/v1/driver/iVerifyPIN", json={"reader": FIRST, "pin": RIGHT}, timeout=0.7)
    gone = [one["data"] for one in clerk.events if one["type"] == "cardio.question-asked"]
    assert clerk.outcome(gone[0]) == "caller-gone"


def test_a_question_dies_with_the_grant_of_its_caller(bridge: Bridge, clerk: ClerkPage) -> None:
    spend_two_tries(bridge)
    page, grant = bridge.pair("http://other.example", Scope.BASIC, Scope.PIN)
    waiting = clerk.begin(lambda: page.post("/v1/driver/iVerifyPIN", json={"reader": FIRST, "pin": RIGHT}, timeout=30))
    question = clerk.question()
    assert question["caller"] == "页面 (http://other.example)"
    bridge.client.delete(f"/v1/grants/{grant}")
    assert waiting.result(10).status_code == 401
    assert clerk.outcome(question) == "caller-gone"


def test_where_no_page_is_open_the_call_says_where_to_open_it(bridge: Bridge) -> None:
    spend_two_tries(bridge)
    problem = call(bridge, "iVerifyPIN", pin=RIGHT).json()
    assert (problem["code"], problem["driver_code"]) == ("last-try", -51)
    assert f"{bridge.address}/" in problem["remedy"] and "accept" not in problem["remedy_en"]
    # The page that is opened then shows the question, and the consent counts for the next call.
    listed = bridge.client.get("/v1/questions").json()["questions"]
    assert [one["kind"] for one in listed] == ["last-try"]
    again = call(bridge, "iVerifyPIN", pin=RIGHT).json()
    assert again["code"] == "last-try", "asking again is no consent"
    assert len(bridge.client.get("/v1/questions").json()["questions"]) == 1
    bridge.client.post(f"/v1/questions/{listed[0]['question']}/answer", json={"answer": "yes"})
    assert call(bridge, "iVerifyPIN", pin=RIGHT).json()["return"] == 0


def test_a_consent_is_for_its_caller_and_its_card(bridge: Bridge) -> None:
    spend_two_tries(bridge)
    call(bridge, "iVerifyPIN", pin=RIGHT)
    listed = bridge.client.get("/v1/questions").json()["questions"]
    bridge.client.post(f"/v1/questions/{listed[0]['question']}/answer", json={"answer": "yes"})
    page, _ = bridge.pair("http://other.example", Scope.BASIC, Scope.PIN)
    other = page.post("/v1/driver/iVerifyPIN", json={"reader": FIRST, "pin": RIGHT})
    assert other.json()["code"] == "last-try"
    bridge.readers.remove(FIRST)
    wait_until(lambda: session(bridge) is None, "the card is out")
    bridge.readers.reinsert(FIRST)
    wait_until(lambda: session(bridge) is not None, "the same card is in again")
    assert call(bridge, "iVerifyPIN", pin=RIGHT).json()["code"] == "last-try", "the card was out meanwhile"


def test_a_consent_after_a_minute_is_none(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    spend_two_tries(bridge)
    call(bridge, "iVerifyPIN", pin=RIGHT)
    monkeypatch.setattr(service.questions.book, "ANSWER_SECONDS", -1.0)  # as if it had passed since
    listed = bridge.client.get("/v1/questions").json()["questions"]
    bridge.client.post(f"/v1/questions/{listed[0]['question']}/answer", json={"answer": "yes"})
    assert call(bridge, "iVerifyPIN", pin=RIGHT).json()["code"] == "last-try"


def test_who_does_not_answer(bridge: Bridge, clerk: ClerkPage, monkeypatch: pytest.MonkeyPatch) -> None:
    spend_two_tries(bridge)
    monkeypatch.setattr(service.questions.clerk, "ANSWER_SECONDS", 0.2)
    problem = call(bridge, "iVerifyPIN", pin=RIGHT).json()
    assert (problem["code"], problem["driver_code"]) == ("last-try-unanswered", -32)
    assert f"{bridge.address}/" in problem["remedy"] and tries(bridge) == 1
    clerk.answer(clerk.question())  # it stands for a minute all the same
    assert call(bridge, "iVerifyPIN", pin=RIGHT).json()["return"] == 0


def test_a_bridge_that_stops_waits_for_no_clerk(bridge: Bridge, clerk: ClerkPage) -> None:
    waiting = clerk.begin(lambda: call(bridge, "iVerifyPIN"))
    clerk.question()
    bridge.server.stop()
    bridge.thread.join(8)
    assert not bridge.thread.is_alive()
    assert waiting.result(10).json()["code"] == "stopping"


# -- a PIN where there is no key pad ------------------------------------------------------------


def test_the_pin_is_entered_at_the_page(bridge: Bridge, clerk: ClerkPage) -> None:
    waiting = clerk.begin(lambda: call(bridge, "iVerifyPIN"))
    question = clerk.question()
    assert (question["kind"], question["wants"]) == ("pin", ["pin"])
    for nonsense in ({}, {"pin": "12"}, {"pin": "12a456"}, {"pin": ""}):
        refused = clerk.answer(question, **nonsense)
        assert refused.status_code in (400, 422), refused.text
    assert not waiting.done(), "it stays open"
    assert clerk.answer(question, pin=RIGHT).status_code == 204
    assert waiting.result(10).json()["return"] == 0


def test_a_wrong_pin_at_the_page_is_not_asked_for_again(bridge: Bridge, clerk: ClerkPage) -> None:
    waiting = clerk.begin(lambda: call(bridge, "iVerifyPIN"))
    clerk.answer(clerk.question(), pin=WRONG)
    problem = waiting.result(10).json()
    assert (problem["code"], problem["driver_code"]) == ("wrong-pin", -51) and "2" in problem["detail"]
    assert clerk.questions() == [] and tries(bridge) == 2


def test_the_pin_and_then_consent(bridge: Bridge, clerk: ClerkPage) -> None:
    spend_two_tries(bridge)
    waiting = clerk.begin(lambda: call(bridge, "iVerifyPIN"))
    clerk.answer(clerk.question(), pin=RIGHT)
    question = clerk.question()
    assert question["kind"] == "last-try"
    clerk.answer(question)
    assert waiting.result(10).json()["return"] == 0


def test_a_new_pin_is_entered_twice(bridge: Bridge, clerk: ClerkPage) -> None:
    waiting = clerk.begin(lambda: call(bridge, "iChangePIN"))
    question = clerk.question()
    assert question["wants"] == ["pin", "new_pin"]
    differ = clerk.answer(question, pin=RIGHT, new_pin=NEW, new_pin_again="246803")
    assert (differ.status_code, differ.json()["driver_code"]) == (422, -34)
    assert clerk.answer(question, pin=RIGHT, new_pin=NEW, new_pin_again=NEW).status_code == 204
    assert waiting.result(10).json()["return"] == 0
    assert call(bridge, "iVerifyPIN", pin=NEW).json()["return"] == 0


def test_a_pin_is_set_anew(bridge: Bridge, clerk: ClerkPage) -> None:
    waiting = clerk.begin(lambda: call(bridge, "iReloadPIN", pCardInfo=INFO))
    question = clerk.question()
    assert (question["kind"], question["wants"]) == ("pin", ["new_pin"])
    clerk.answer(question, new_pin=NEW, new_pin_again=NEW)
    assert waiting.result(10).json()["return"] == 0
    assert call(bridge, "iVerifyPIN", pin=NEW).json()["return"] == 0
    wrong_card = call(bridge, "iReloadPIN", pCardInfo="370200D15600000500000002FFFFFFFF|")
    assert wrong_card.json()["driver_code"] == -22, "no question is asked about another card"


def test_a_pin_is_set_anew_in_steps(bridge: Bridge, clerk: ClerkPage) -> None:
    waiting = clerk.begin(lambda: call(bridge, "iReloadPIN_HSM_Step1", pCardInfo=INFO))
    clerk.answer(clerk.question(), new_pin=NEW, new_pin_again=NEW)
    answer = waiting.result(10).json()
    assert answer["return"] == 0 and answer["pOutInfo"].count("|") == 4


def test_cancelled_at_the_page(bridge: Bridge, clerk: ClerkPage) -> None:
    waiting = clerk.begin(lambda: call(bridge, "iReloadPIN", pCardInfo=INFO))
    clerk.answer(clerk.question(), "no")
    assert waiting.result(10).json()["driver_code"] == -31


def test_nothing_entered_in_time(bridge: Bridge, clerk: ClerkPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.questions.clerk, "ANSWER_SECONDS", 0.2)
    answer = call(bridge, "iVerifyPIN")
    assert (answer.status_code, answer.json()["driver_code"]) == (408, -32)
    assert clerk.questions() == [], "what is entered later goes to no call"


def test_without_a_page_there_is_no_place_to_enter_it(bridge: Bridge) -> None:
    for function in ("iVerifyPIN", "iChangePIN"):
        problem = call(bridge, function).json()
        assert problem["driver_code"] == -13 and f"{bridge.address}/" in problem["remedy"]
    problem = call(bridge, "iReloadPIN", pCardInfo=INFO).json()
    assert problem["driver_code"] == -13 and f"{bridge.address}/" in problem["remedy"]
    assert bridge.client.get("/v1/questions").json()["questions"] == []


def test_a_page_that_is_closed_is_waited_for_no_more(bridge: Bridge) -> None:
    with bridge.client.stream("GET", "/v1/events?questions=true") as stream:
        events = events_in(stream)
        assert next(events)["type"] == "cardio.state"
        assert bridge.app.state.bridge.running.questions.has_clerk
    wait_until(lambda: not bridge.app.state.bridge.running.questions.has_clerk, "no clerk is there")
    assert call(bridge, "iVerifyPIN").json()["code"] == "no-pin-pad"


def test_a_page_may_follow_over_a_websocket(bridge: Bridge) -> None:
    for client, counts in ((bridge.client, True), (bridge.pair("http://other.example", Scope.BASIC)[0], False)):
        ticket = client.post("/v1/ws/ticket").json()["ticket"]
        origin = client.headers.get("Origin")
        path = "/v1/ws?questions=true"
        socket = bridge.socket(path, origin=origin, protocols=["cardio.v1", f"ticket.{ticket}"])
        assert json.loads(socket.recv(5))["type"] == "cardio.state"
        assert bridge.app.state.bridge.running.questions.has_clerk is counts
        socket.close()
        wait_until(lambda: not bridge.app.state.bridge.running.questions.has_clerk, "no clerk is there")


def test_one_entry_at_a_reader(bridge: Bridge, clerk: ClerkPage) -> None:
    first = clerk.begin(lambda: call(bridge, "iVerifyPIN"))
    question = clerk.question()
    assert call(bridge, "iVerifyPIN").json()["code"] == "reader-busy"
    elsewhere = clerk.begin(lambda: call(bridge, "iVerifyPIN", reader=SECOND))
    wait_until(lambda: len(clerk.questions()) == 2, "another reader has its own")
    for one in clerk.questions():
        clerk.answer(one, "no")
    assert first.result(10).json()["driver_code"] == elsewhere.result(10).json()["driver_code"] == -31
    assert question["reader"] == FIRST


# -- who may answer -----------------------------------------------------------------------------


def test_only_the_bridges_own_pages_see_and_answer_questions(bridge: Bridge, clerk: ClerkPage) -> None:
    page, _ = bridge.pair("http://other.example", *PAGE_SCOPES)
    program = bridge.client.post("/v1/grants", json={"name": "x", "scopes": ["basic", "pin", "files", "write"]}).json()
    waiting = clerk.begin(lambda: call(bridge, "iVerifyPIN"))
    question = clerk.question()
    for stranger in (page, bridge.caller(program["token"])):
        assert stranger.get("/v1/questions").status_code == 403
        answer = stranger.post(f"/v1/questions/{question['question']}/answer", json={"answer": "yes", "pin": RIGHT})
        assert answer.status_code == 403
        before = bridge.app.state.bridge.running.hub.clerks
        with stranger.stream("GET", "/v1/events?questions=true") as stream:
            events = events_in(stream)
            assert next(events)["type"] == "cardio.state"
            assert bridge.app.state.bridge.running.hub.clerks == before, "it is no place where a clerk answers"
    assert not waiting.done()
    clerk.answer(question, "no")


def test_a_debit_that_stops_at_the_last_try_asks_for_the_next_one(tmp_path: Path) -> None:
    security = SecurityContext(sam=Ready(soft_sam(tmp_path)))
    site_options = SiteOptions(debit_limits=DebitLimits(years_ahead=50))
    bridge = Bridge(
        "whole", scopes=frozenset(Scope), security=security, journal=tmp_path / "debits.db", site_options=site_options
    )
    try:
        spend_two_tries(bridge)
        body = {"reader": FIRST, "pCardInfo": WHOLE, "pPayInfo": f"0.1|0.2|{moment()}|", "pin": RIGHT}

        def debit(key: str) -> dict[str, Any]:
            headers = {"Idempotency-Key": key}
            found: dict[str, Any] = bridge.client.post("/v1/driver/iDoDebit", json=body, headers=headers).json()
            return found

        refused = debit("first")
        assert (refused["code"], refused["driver_code"]) == ("last-try", -51)
        assert f"{bridge.address}/" in refused["remedy"]
        listed = bridge.client.get("/v1/questions").json()["questions"]
        assert [(one["kind"], one["function"]) for one in listed] == [("last-try", "iDoDebit")]
        bridge.client.post(f"/v1/questions/{listed[0]['question']}/answer", json={"answer": "yes"})
        assert debit("second")["return"] == 0
    finally:
        bridge.stop()


# -- the dialects -------------------------------------------------------------------------------


def dialect(bridge: Bridge, name: str) -> ClientConnection:
    """A socket of a dialect, whose callers name no reader: so there is one card."""
    bridge.readers.remove(SECOND)
    wait_until(lambda: session(bridge, 1) is None, "the other card is out")
    return bridge.socket("/", port=bridge.dialect_ports[name], origin=PAGE)


def test_a_dialects_call_waits_too(bridge: Bridge, clerk: ClerkPage) -> None:
    spend_two_tries(bridge)
    socket = dialect(bridge, "json")
    socket.send(json.dumps({"function": "iVerifyPIN", "iType": 3}))
    clerk.answer(clerk.question(), pin=RIGHT)
    clerk.answer(clerk.question())
    assert json.loads(socket.recv(10)) == {"functionName": "iVerifyPIN", "success": "1", "pOutInfo": ""}


@pytest.mark.parametrize(("answer", "code"), [("no", "-31"), (None, "-32")])
def test_a_dialects_reply_has_the_national_code(
    bridge: Bridge, clerk: ClerkPage, monkeypatch: pytest.MonkeyPatch, answer: str | None, code: str
) -> None:
    spend_two_tries(bridge)
    if answer is None:
        monkeypatch.setattr(service.questions.clerk, "ANSWER_SECONDS", 0.3)
    socket = dialect(bridge, "json")
    socket.send(json.dumps({"function": "iVerifyPIN", "iType": 3, "pin": RIGHT}))
    if answer is not None:
        clerk.answer(clerk.question(), answer)
    reply = json.loads(socket.recv(10))
    assert reply["success"] == code and "|" not in reply["pOutInfo"]
    assert "accept" not in reply["pOutInfo"] and "Try" not in reply["pOutInfo"]


def test_decards_caller_is_answered_before_it_gives_up(
    bridge: Bridge, clerk: ClerkPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its ten seconds some are kept for the work after the answer; here all of them, so it does not wait at all."""
    spend_two_tries(bridge)
    monkeypatch.setattr(service.questions.clerk, "_WORK_SECONDS", 10.0)
    socket = dialect(bridge, "decard")
    socket.send(json.dumps({"func": "iVerifyPIN", "in": ["3"]}))
    reply = json.loads(socket.recv(10))
    assert reply["result"] == "-32" and f"{bridge.address}/" in reply["out"][0]


def test_without_a_page_a_dialect_says_where_to_go(bridge: Bridge) -> None:
    spend_two_tries(bridge)
    socket = dialect(bridge, "json")
    socket.send(json.dumps({"function": "iVerifyPIN", "iType": 3, "pin": RIGHT}))
    reply = json.loads(socket.recv(10))
    assert reply["success"] == "-51" and f"{bridge.address}/" in reply["pOutInfo"]
    assert "accept" not in reply["pOutInfo"]
    socket.send(json.dumps({"function": "iReloadPIN", "iType": 3, "pCardInfo": INFO}))
    reply = json.loads(socket.recv(10))
    assert reply["success"] == "-13" and f"{bridge.address}/" in reply["pOutInfo"] and "newPin" not in reply["pOutInfo"]


def test_a_question_dies_with_its_socket(bridge: Bridge, clerk: ClerkPage) -> None:
    socket = dialect(bridge, "json")
    socket.send(json.dumps({"function": "iVerifyPIN", "iType": 3}))
    question = clerk.question()
    socket.close()
    assert clerk.outcome(question) == "caller-gone"
