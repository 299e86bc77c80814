"""Debits whose callers had left before the answer was sent: the next debit on that card waits until its caller, or a
person, has seen the result. Over HTTP, a dialect's socket and the HSM steps, on real sockets."""

from __future__ import annotations

import json
import socket as sockets
import struct
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection

import service.routes.driver
from cardio.debits.transaction import DebitState as S
from service.debits.journal import Journal
from service.debits.journal_file.entry import JournalEntry
from service.gate.policy import DialectRule
from service.gate.scopes import Scope
from simulators.card.base import AnyCard
from simulators.personas.persona import find_persona
from simulators.sam.hsm_driver_steps import debit_step_1_to_2
from tests.pcsc import wait_until
from tests.unit.cardio.debits.debits import DEBIT
from tests.unit.service.bridge import AUTH, FIRST, SECOND
from tests.unit.service.debits.debit_desk import CARD, CITY, DONE, HISTORICAL, LATER, PAGE, PAY, Desk, pulled, refused

SETTLING = frozenset({Scope.BASIC, Scope.PIN, Scope.SETTLE})
HELD = (409, "debit-undelivered")
TITLE = "上一笔扣款已成功，但结果未送达"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    rules = [DialectRule(name, programs=True, scopes=SETTLING) for name in ("json", "decard")]
    made = Desk(tmp_path, dialects=rules)
    yield made
    made.bridge.stop()


class SlowCard:
    """The card of a desk, which answers DEBIT only when it is let: time enough for a caller to leave."""

    def __init__(self, desk: Desk, *, pulled_then: bool = False) -> None:
        self.begun, self._answers = threading.Event(), threading.Event()

        def slow(card: AnyCard, command: bytes) -> bytes:
            if command[:2] != DEBIT:
                return card.transmit(command)
            self.begun.set()
            assert self._answers.wait(10)
            answer = card.transmit(command)
            if pulled_then:
                desk.reader.remove()
                return b""
            return answer

        desk.put(desk.card, slow)

    def answer(self) -> None:
        self._answers.set()


# -- callers that leave -----------------------------------------------------------------------------


def asked(function: str = "iDoDebit", key: str = "k", then: str = "Connection: keep-alive", **given: Any) -> bytes:
    """A call as its bytes."""
    wanted = {"reader": SECOND, "pCardInfo": CARD, "pPayInfo": PAY, "pin": "123456"} | given
    body = json.dumps({name: value for name, value in wanted.items() if value is not None}).encode()
    head = [
        f"POST /v1/driver/{function} HTTP/1.1", "Host: 127.0.0.1:PORT", AUTH, "Content-Type: application/json",
        f"Idempotency-Key: {key}", f"Content-Length: {len(body)}", then, "", "",
    ]  # fmt: skip
    return "\r\n".join(head).encode() + body


def closes(line: sockets.socket) -> None:
    line.close()


def resets(line: sockets.socket) -> None:
    line.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def half_closes(line: sockets.socket) -> None:
    line.shutdown(sockets.SHUT_WR)


def closes_behind_another_request(line: sockets.socket) -> None:
    """The server reads no further before it has answered, and so does not come to the end of what was sent."""
    line.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    line.close()


LEAVING: list[Callable[[sockets.socket], None]] = [closes, resets, half_closes, closes_behind_another_request]


def leave(desk: Desk, card: SlowCard, how: Callable[[sockets.socket], None] = closes, **call: Any) -> None:
    """Asks for a debit over a socket, and leaves while the card works on it; then the card answers."""
    with sockets.create_connection(("127.0.0.1", desk.bridge.port), timeout=5) as line:
        line.sendall(asked(**call).replace(b"PORT", str(desk.bridge.port).encode()))
        assert card.begun.wait(5)
        how(line)
        card.answer()
        # The next at this reader: it comes when the first is over.
        desk.bridge.client.get(f"/v1/readers/{SECOND}/card").raise_for_status()


def looked_at(desk: Desk, client: httpx.Client | None = None) -> list[dict[str, Any]]:
    """The journal's list, as a monitor sees it."""
    listed = (client or desk.bridge.client).get("/v1/debits", params={"peek": True, "all": True}).json()
    debits: list[dict[str, Any]] = listed["debits"]
    return debits


# -- over HTTP --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", LEAVING)
def test_a_result_that_reached_nobody_stops_the_next_debit(desk: Desk, how: Callable[[sockets.socket], None]) -> None:
    """A till gives up after its time-out, and the clerk charges again by another key and at another second."""
    leave(desk, SlowCard(desk), how)
    for key in ("k2", "k3", "k2"):
        told = desk.call(key=key, pPayInfo=LATER)
        assert refused(told) == HELD, "as often as it is asked, by whatever key"
        assert told.json()["driver_code"] == -203
        assert told.json()["title"] == TITLE and told.json()["debit"] == looked_at(desk)[-1]["id"]
        assert told.json()["detail"] == "交易时间 2015-11-18 18:50:01，金额 0.30 元"
    assert desk.debits == 1 and desk.totals == (13, 3160, 20620)
    first = looked_at(desk)[-1]
    assert (first["state"], first["undelivered"], first["handed_over"]) == ("committed", True, None)
    found = desk.call()
    assert found.json()["pOutInfo"] == DONE, "its caller asks again by its key"
    first = looked_at(desk)[-1]
    assert (first["state"], first["undelivered"]) == ("delivered", False) and first["handed_over"]
    assert desk.call(key="k2", pPayInfo=LATER).status_code == 200 and desk.debits == 2


@pytest.mark.parametrize("pay", ["99.00|0|20160101000000|", "0.1|0.20|20151118185002|"])
def test_any_next_debit_on_that_card_waits_and_no_other_cards(desk: Desk, pay: str) -> None:
    leave(desk, SlowCard(desk))
    desk.now = datetime.strptime(pay.split("|")[2], "%Y%m%d%H%M%S")
    assert refused(desk.call(key="x", pPayInfo=pay)) == HELD
    assert refused(desk.call("iDoDebit_HSM_Step1", key="y", pPayInfo=pay)) == HELD
    found = desk.bridge.readers.reader(FIRST)
    assert found is not None
    found.remove()
    issuer = find_persona("personalised").files["SSSE/EF05"]["identification_code"]
    desk.put(find_persona("personalised").card())
    assert desk.call(key="other", pCardInfo=f"{issuer}||", pPayInfo=pay).status_code == 200, "another card"
    found.insert(desk.card)
    wait_until(lambda: looks(desk, FIRST) is not None, "the bridge sees the card in its other reader")
    assert refused(desk.call(key="z", pPayInfo=pay, reader=FIRST)) == HELD, "the card, not the reader"
    assert desk.totals[0] == 13


def looks(desk: Desk, reader: str) -> str | None:
    readers = desk.bridge.client.get("/v1/readers").json()["readers"]
    session: str | None = next(one["card_session"] for one in readers if one["name"] == reader)
    return session


def test_a_stranger_waits_too_and_hears_neither_amount_nor_time(desk: Desk) -> None:
    leave(desk, SlowCard(desk))
    page, _ = desk.bridge.pair(PAGE, *SETTLING)
    told = desk.call(key="k", client=page, pPayInfo=LATER)
    assert refused(told) == HELD and "debit" not in told.json()
    assert "0.30" not in told.text and "2015" not in told.text
    debit = looked_at(desk)[-1]["id"]
    assert page.get("/v1/debits").json()["debits"] == []
    assert refused(page.get(f"/v1/debits/{debit}")) == (404, "no-such-debit")
    assert refused(page.post(f"/v1/debits/{debit}/acknowledged")) == (404, "no-such-debit")
    assert refused(desk.call(key="k", client=page, pPayInfo=LATER)) == HELD, "nothing of that was seen by its caller"
    assert desk.call().json()["pOutInfo"] == DONE
    assert desk.call(key="k", client=page, pPayInfo=LATER).status_code == 200


SEEN: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "lists it": lambda client, debit: client.get("/v1/debits"),
    "asks for it": lambda client, debit: client.get(f"/v1/debits/{debit}"),
    "has it": lambda client, debit: client.post(f"/v1/debits/{debit}/acknowledged"),
    "has booked it": lambda client, debit: client.post(f"/v1/debits/{debit}/settled"),
}
LOOKED: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "looks at the list": lambda client, debit: client.get("/v1/debits", params={"peek": True}),
    "looks at it": lambda client, debit: client.get(f"/v1/debits/{debit}", params={"peek": True}),
    "looks at figures": lambda client, debit: client.get("/metrics"),
}


@pytest.mark.parametrize("how", SEEN)
def test_its_caller_sees_it(desk: Desk, how: str) -> None:
    leave(desk, SlowCard(desk))
    debit = looked_at(desk)[-1]["id"]
    SEEN[how](desk.bridge.client, debit).raise_for_status()
    assert not looked_at(desk)[-1]["undelivered"]
    assert desk.call(key="k2", pPayInfo=LATER).status_code == 200


@pytest.mark.parametrize("how", LOOKED)
def test_a_look_is_nobodys_answer(desk: Desk, how: str) -> None:
    leave(desk, SlowCard(desk))
    LOOKED[how](desk.bridge.client, looked_at(desk)[-1]["id"]).raise_for_status()
    assert refused(desk.call(key="k2", pPayInfo=LATER)) == HELD


@pytest.mark.parametrize("how", [*SEEN, *LOOKED])
def test_a_person_frees_the_card_only_by_saying_so(desk: Desk, how: str) -> None:
    """The owner's lists have every page's debits: one that was shown somewhere has not been looked at."""
    page, _ = desk.bridge.pair(PAGE, *SETTLING)
    card = SlowCard(desk)
    token = page.headers["Authorization"].removeprefix("Bearer ")
    with sockets.create_connection(("127.0.0.1", desk.bridge.port), timeout=5) as line:
        call = asked().replace(b"PORT", str(desk.bridge.port).encode())
        line.sendall(call.replace(AUTH.encode(), f"Authorization: Bearer {token}\r\nOrigin: {PAGE}".encode()))
        assert card.begun.wait(5)
    card.answer()
    assert refused(desk.call(key="k2", client=page, pPayInfo=LATER)) == HELD
    debit = looked_at(desk)[-1]["id"]
    (SEEN | LOOKED)[how](desk.bridge.client, debit).raise_for_status()
    frees = how in ("has it", "has booked it")
    after = desk.call(key="k2", client=page, pPayInfo=LATER)
    assert after.status_code == 200 if frees else refused(after) == HELD


def test_a_list_that_reached_nobody_is_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(desk, SlowCard(desk))
    listed, begun, go_on = Journal.list_debits, threading.Event(), threading.Event()

    def slowly(self: Journal, *given: Any, **more: Any) -> Any:
        begun.set()
        assert go_on.wait(5)
        return listed(self, *given, **more)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Journal, "list_debits", slowly)
        with sockets.create_connection(("127.0.0.1", desk.bridge.port), timeout=5) as line:
            line.sendall(f"GET /v1/debits HTTP/1.1\r\nHost: 127.0.0.1:{desk.bridge.port}\r\n{AUTH}\r\n\r\n".encode())
            assert begun.wait(5)
        go_on.set()
    assert refused(desk.call(key="k2", pPayInfo=LATER)) == HELD


@pytest.mark.parametrize("then", ["Connection: keep-alive", "Connection: close"])
def test_a_caller_that_stays_has_it(desk: Desk, then: str) -> None:
    """Whether or not the connection ends with the answer, and however soon the next debit comes."""
    with sockets.create_connection(("127.0.0.1", desk.bridge.port), timeout=5) as line:
        line.sendall(asked(then=then).replace(b"PORT", str(desk.bridge.port).encode()))
        answer = line.recv(65536)
        while DONE.encode() not in answer:
            answer += line.recv(65536)
    assert b'"state":"delivered"' in answer
    assert desk.call(key="k2", pPayInfo=LATER).status_code == 200


def test_who_comes_back_for_it_has_it(desk: Desk) -> None:
    """Written is not read: that its caller knows is only sure when it asks for the same debit, or says so."""
    first = desk.call().json()["debit"]
    assert first["handed_over"] == first["changed"] and first["acknowledged"] is None
    for _ in range(3):
        assert desk.call().json()["debit"] == first, "the same answer as often as it is asked for"
    second = looked_at(desk)[-1]
    assert second["acknowledged"] > second["handed_over"] and second["state"] == "delivered"


def test_what_came_to_nothing_cannot_be_acknowledged(desk: Desk) -> None:
    desk.put(desk.card, pulled(desk.reader, done=False))
    debit = desk.call().json()["debit"]["id"]
    assert refused(desk.bridge.client.post(f"/v1/debits/{debit}/acknowledged")) == (409, "debit-step")
    assert looked_at(desk)[-1]["outcome"] == "unknown"


# -- what is not the answer -------------------------------------------------------------------------


def test_an_answer_that_fails_is_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = service.routes.driver.DriverAnswered

    def fails(**given: Any) -> Any:
        if given.get("debit") is not None:
            raise RuntimeError("x")
        return made(**given)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("service.routes.driver.DriverAnswered", fails)
        assert refused(desk.call()) == (500, "internal")
    assert refused(desk.call(key="k2", pPayInfo=LATER)) == HELD
    assert desk.call().json()["pOutInfo"] == DONE


def test_a_page_that_is_revoked_meanwhile_has_nothing(desk: Desk) -> None:
    page, grant = desk.bridge.pair(PAGE, *SETTLING)
    card = SlowCard(desk)
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(desk.call(client=page)))
    asking.start()
    assert card.begun.wait(5)
    assert desk.bridge.client.delete(f"/v1/grants/{grant}").status_code < 300
    asking.join(5)
    card.answer()
    # It learns that it does not know, and nothing of what the card did afterwards.
    assert refused(answers[0]) == (202, "debit-unknown") and not {"pOutInfo", "debit"} & answers[0].json().keys()
    page, _ = desk.bridge.pair(PAGE, *SETTLING)
    wait_until(lambda: looked_at(desk)[-1]["state"] == "committed", "the debit is over")
    assert refused(desk.call(key="k2", client=page, pPayInfo=LATER)) == HELD
    assert desk.call(client=page).json()["pOutInfo"] == DONE


def test_the_next_waits_for_an_answer_that_is_under_way(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tills charge one card one after the other: the second does not come in before the first has its answer."""
    move, writing, go_on = JournalEntry.transition, threading.Event(), threading.Event()

    def slowly(self: JournalEntry, to: S, **more: Any) -> None:
        if to is S.DELIVERED:
            writing.set()
            assert go_on.wait(5)
        move(self, to, **more)

    monkeypatch.setattr(JournalEntry, "transition", slowly)
    card = SlowCard(desk)
    answers: dict[str, httpx.Response] = {}

    def ask(key: str, pay: str) -> None:
        with httpx.Client(base_url=desk.bridge.address, headers=desk.bridge.client.headers, trust_env=False) as client:
            answers[key] = desk.call(key=key, client=client, pPayInfo=pay)

    first = threading.Thread(target=ask, args=("k", PAY))
    first.start()
    assert card.begun.wait(5)
    second = threading.Thread(target=ask, args=("k2", LATER))
    second.start()
    card.answer()
    assert writing.wait(5)
    first.join(5)
    go_on.set()
    second.join(5)
    assert {key: answer.status_code for key, answer in answers.items()} == {"k": 200, "k2": 200}
    assert desk.debits == 2


def test_a_note_that_fails_unplanned_is_counted_and_holds_the_card(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says neither whose card it was nor what was taken, and no caller waits for it for ever."""

    def fails(*_: object) -> None:
        raise RuntimeError(CARD)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("service.debits.delivery.receipts.note", fails)
        assert desk.call().json()["pOutInfo"] == DONE
        assert refused(desk.call(key="k2", pPayInfo=LATER)) == HELD
    failures = desk.bridge.client.get("/v1/status").json()
    assert "debit-receipts" in json.dumps(failures) and CARD not in json.dumps(failures)
    assert desk.call().json()["pOutInfo"] == DONE
    assert desk.call(key="k2", pPayInfo=LATER).status_code == 200


def test_a_debit_that_fails_unplanned_while_its_caller_is_cut_off_is_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, grant = desk.bridge.pair(PAGE, *SETTLING)
    card = SlowCard(desk)
    asking = threading.Thread(target=lambda: desk.call(client=page))
    asking.start()
    assert card.begun.wait(5)
    assert desk.bridge.client.delete(f"/v1/grants/{grant}").status_code < 300
    asking.join(5)
    tried = threading.Event()

    def fails(*_: object, **more: object) -> None:
        tried.set()
        raise RuntimeError(CARD)

    monkeypatch.setattr("service.debits.service.error_for_debit", fails)
    monkeypatch.setattr("service.debits.service.ReportedOutcome.of", fails)
    card.answer()
    assert tried.wait(5)
    wait_until(lambda: desk.bridge.app.state.bridge.supervisor.failures, "it is counted")
    assert [one.task for one in desk.bridge.app.state.bridge.supervisor.failures] == ["debit"]


# -- unknown outcomes ------------------------------------------------------------------------------


@pytest.mark.parametrize("heard", [True, False])
def test_a_doubt_that_reached_nobody(desk: Desk, heard: bool) -> None:
    """Who was told that its debit is in doubt knows that it has to look, and is told what came of it. Who left before
    that has to be told by the debit's own key, or by a person."""
    if heard:
        desk.put(desk.card, pulled(desk.reader, done=True))
        assert desk.call().status_code == 202
    else:
        card = SlowCard(desk, pulled_then=True)
        with sockets.create_connection(("127.0.0.1", desk.bridge.port), timeout=5) as line:
            line.sendall(asked().replace(b"PORT", str(desk.bridge.port).encode()))
            assert card.begun.wait(5)
        card.answer()
        wait_until(lambda: looked_at(desk)[-1]["state"] == "unknown", "the debit is in doubt")
    desk.put(desk.card)
    told = desk.call(key="k2", pPayInfo=LATER)
    assert refused(told) == (409, "debit-open") and "已扣款" in told.json()["detail"]
    after = desk.call(key="k3", pPayInfo=LATER)
    if heard:
        assert after.status_code == 200
    else:
        assert refused(after) == HELD and desk.debits == 1
        assert desk.call().json()["pOutInfo"] == DONE
        assert desk.call(key="k3", pPayInfo=LATER).status_code == 200


def test_a_strangers_question_does_not_tell_its_caller(desk: Desk) -> None:
    desk.put(desk.card, pulled(desk.reader, done=True))
    assert desk.call().status_code == 202
    desk.put(desk.card)
    page, _ = desk.bridge.pair(PAGE, *SETTLING)
    assert refused(desk.call(client=page, pPayInfo=LATER)) == (409, "debit-open")
    assert refused(desk.call(client=page, pPayInfo=LATER)) == HELD
    assert refused(desk.call(key="k2", pPayInfo=LATER)) == HELD
    assert desk.call().json()["pOutInfo"] == DONE


# -- in steps ---------------------------------------------------------------------------------------


def test_a_second_step_whose_caller_had_left(desk: Desk) -> None:
    card = SlowCard(desk)
    text = desk.call("iDoDebit_HSM_Step1").json()["pOutInfo"]
    answer = debit_step_1_to_2(text, HISTORICAL, CITY)
    leave(desk, card, function="iDoDebit_HSM_Step2", pKey=answer, pin=None, pCardInfo=None, pPayInfo=None)
    for function in ("iDoDebit_HSM_Step1", "iDoDebit"):
        assert refused(desk.call(function, key="k2", pPayInfo=LATER)) == HELD
    assert desk.call("iDoDebit_HSM_Step2", pKey=answer).json()["pOutInfo"] == DONE
    text = desk.call("iDoDebit_HSM_Step1", key="k2", pPayInfo=LATER).json()["pOutInfo"]
    done = desk.call("iDoDebit_HSM_Step2", key="k2", pKey=debit_step_1_to_2(text, HISTORICAL, CITY))
    assert done.status_code == 200 and desk.debits == 2


# -- over a dialect's socket ------------------------------------------------------------------------


class DialectCaller:
    """A program that speaks the JSON dialect over one socket."""

    def __init__(self, desk: Desk) -> None:
        self.socket: ClientConnection = desk.bridge.socket("/", port=desk.bridge.dialect_ports["json"])

    def send(self, function: str = "iDoDebit", key: str = "k", **given: Any) -> None:
        told = {"pCardInfo": CARD, "pPayInfo": PAY, "pin": "123456"} | given
        self.socket.send(json.dumps({"function": function, "iType": 3, "idempotencyKey": key} | told))

    def ask(self, function: str = "iDoDebit", key: str = "k", **given: Any) -> dict[str, str]:
        self.send(function, key, **given)
        reply: dict[str, str] = json.loads(self.socket.recv(5))
        return reply

    def closes(self) -> None:
        self.socket.close()

    def breaks(self) -> None:
        self.socket.socket.shutdown(sockets.SHUT_RDWR)

    def closes_behind_another_message(self) -> None:
        """The server reads one message at a time, and so comes to the closing frame only after its answer."""
        self.socket.send('{"function":"iReadICCardNum"}')
        with self.socket.protocol_mutex:
            self.socket.protocol.send_close(1000)
            self.socket.socket.sendall(b"".join(self.socket.protocol.data_to_send()))


DIALECT_LEAVING = [DialectCaller.closes, DialectCaller.breaks, DialectCaller.closes_behind_another_message]


@pytest.mark.parametrize("how", DIALECT_LEAVING)
@pytest.mark.parametrize("steps", [False, True])
def test_a_dialects_caller_that_had_left(desk: Desk, how: Callable[[DialectCaller], None], steps: bool) -> None:
    desk.bridge.readers.remove(FIRST)
    card, caller = SlowCard(desk), DialectCaller(desk)
    if steps:
        text = caller.ask("iDoDebit_HSM_Step1")["pOutInfo"]
        caller.send("iDoDebit_HSM_Step2", pKey=debit_step_1_to_2(text, HISTORICAL, CITY))
    else:
        caller.send()
    assert card.begun.wait(5)
    how(caller)
    card.answer()
    again = DialectCaller(desk)
    for key in ("k2", "k3"):
        told = again.ask(key=key, pPayInfo=LATER)
        assert told["success"] == "-203"
        assert told["pOutInfo"].startswith(f"{TITLE}（交易时间 2015-11-18 18:50:01，金额 0.30 元）：请勿重复收费。")
    assert desk.debits == 1
    assert again.ask() == {"functionName": "iDoDebit", "success": "1", "pOutInfo": DONE}
    assert again.ask(key="k2", pPayInfo=LATER)["success"] == "1" and desk.debits == 2


def test_a_dialects_caller_that_stays_has_it(desk: Desk) -> None:
    desk.bridge.readers.remove(FIRST)
    caller = DialectCaller(desk)
    assert caller.ask()["success"] == "1"
    assert caller.ask(key="k2", pPayInfo=LATER)["success"] == "1"
    assert [one["state"] for one in looked_at(desk)] == ["delivered", "delivered"]


def test_an_answer_over_a_dialect_that_fails_is_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.bridge.readers.remove(FIRST)
    caller = DialectCaller(desk)

    def fails(*_: object) -> str:
        raise RuntimeError("x")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("service.driver.json_dialect.JsonDialect.done", fails)
        assert int(caller.ask()["success"]) < 0
    assert caller.ask(key="k2", pPayInfo=LATER)["success"] == "-203"
    assert caller.ask()["pOutInfo"] == DONE


def test_a_dialect_without_a_place_for_the_key_has_no_debits(desk: Desk) -> None:
    desk.bridge.readers.remove(FIRST)
    socket = desk.bridge.socket("/", port=desk.bridge.dialect_ports["decard"])
    for function in ("iDoDebit", "iDoDebit_HSM_Step1"):
        socket.send(json.dumps({"func": function, "in": ["3", CARD, PAY]}))
        assert json.loads(socket.recv(5))["result"] == "-14"
    assert desk.debits == 0


# -- after a restart --------------------------------------------------------------------------------


def test_a_bridge_that_starts_again_still_knows(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    leave(desk, SlowCard(desk))
    desk.bridge.stop()
    again = Desk(tmp_path)
    try:
        again.card = desk.card
        again.put(desk.card)
        assert refused(again.call(key="k2", pPayInfo=LATER)) == HELD
        assert again.call().json()["pOutInfo"] == DONE
        assert again.call(key="k2", pPayInfo=LATER).status_code == 200 and again.debits == 1
    finally:
        again.bridge.stop()
