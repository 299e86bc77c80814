"""Sockets that pages leave open: idle ones give way, other tabs and other callers go on, no caller takes the bridge."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from service.driver import open_sockets, sockets
from service.driver.open_sockets import MOST_IN_ALL, MOST_OF_CALLER, OpenSocket, OpenSockets
from service.gate.errors import TooManySocketsError
from service.gate.policy import DialectRule
from service.gate.rate_limits import Rate
from service.gate.scopes import DEFAULT_SCOPES, Scope
from simulators.sam.hsm_driver_steps import read_step_1_to_2
from tests.pcsc import wait_until
from tests.unit.service.bridge import FIRST, Bridge

PAGE, HOSTILE, OTHER = "https://his.example", "https://hostile.example", "https://other.example"
READ = '{"function":"iReadCardBas","iType":3}'


def made(*personas: str, rate: Rate | None = None) -> Bridge:
    rules = [DialectRule(name, programs=True, scopes=DEFAULT_SCOPES) for name in ("json", "decard")]
    trusted = dict.fromkeys((PAGE, HOSTILE, OTHER), DEFAULT_SCOPES)
    return Bridge(*personas, dialects=rules, trusted=trusted, scopes=frozenset(Scope), rate=rate)


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    bridge = made("adult")
    yield bridge
    bridge.stop()


def opened(bridge: Bridge, origin: str | None = PAGE, dialect: str = "json") -> ClientConnection:
    return bridge.socket("/", port=bridge.dialect_ports[dialect], origin=origin)


def call(connection: ClientConnection, message: str = READ) -> dict[str, Any]:
    connection.send(message)
    reply: dict[str, Any] = json.loads(connection.recv(20))
    return reply


def test_a_hundred_leaked_sockets_and_the_first_ones_are_told_why(bridge: Bridge) -> None:
    leaked = []
    for _ in range(100):
        leaked.append(opened(bridge))
        assert call(leaked[-1])["success"] == "1"
    for gone in leaked[: 100 - MOST_OF_CALLER]:
        with pytest.raises(ConnectionClosed) as closed:
            gone.recv(20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4429 and "idle" in closed.value.rcvd.reason
    for kept in leaked[100 - MOST_OF_CALLER :]:
        assert call(kept)["success"] == "1", "the newest are all alive"


def test_a_tab_that_is_used_again_and_again_outlives_a_page_that_leaks(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_sockets, "_STEADY_SECONDS", 0.0)
    tab, fresh = opened(bridge), opened(bridge)
    assert call(tab)["success"] == "1" and call(tab)["success"] == "1"
    for _ in range(2 * MOST_OF_CALLER):
        assert call(opened(bridge))["success"] == "1"
    assert call(tab)["success"] == "1", "the page that closes nothing loses its own sockets"
    assert call(fresh)["success"] == "1", "as does one that waits for its first use"


def test_who_has_many_takes_no_place_of_others(bridge: Bridge) -> None:
    for _ in range(2 * MOST_OF_CALLER):
        opened(bridge, HOSTILE)
    others = [opened(bridge, OTHER) for _ in range(MOST_OF_CALLER)]
    mine = opened(bridge)
    assert call(mine)["success"] == "1" and call(others[0])["success"] == "1"
    assert call(opened(bridge, None))["success"] == "1", "a program too"
    assert bridge.client.get("/v1/status").status_code == 200
    wait_until(lambda: bridge.access.live.all_streams <= MOST_IN_ALL, "not more than there may be")


def test_clients_that_never_answer_a_close_take_no_place(bridge: Bridge) -> None:
    """Raw sockets that read nothing: they are gone after a moment, whatever they do."""
    port = bridge.dialect_ports["json"]
    key = base64.b64encode(b"0123456789abcdef").decode()
    head = (
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nOrigin: {HOSTILE}\r\n\r\n"
    ).encode()
    lines = []
    try:
        for _ in range(300):
            lines.append(socket.create_connection(("127.0.0.1", port), timeout=20))
            lines[-1].sendall(head)
        wait_until(lambda: bridge.client.get("/v1/status").status_code == 200, "the bridge answers", 20)
        assert call(opened(bridge))["success"] == "1"
        wait_until(lambda: bridge.access.live.streams(f"trusted {HOSTILE}") <= MOST_OF_CALLER, "the rest is gone", 20)
        wait_until(lambda: len(bridge.server.server_state.connections) <= MOST_IN_ALL, "and its lines too", 20)
    finally:
        for line in lines:
            line.close()


def test_where_all_are_in_use_the_dialect_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page cannot read why a handshake was refused: the socket opens, says it in the dialect's form, and closes."""
    hang, asked = threading.Event(), threading.Event()
    monkeypatch.setattr(sockets, "OpenSockets", partial(OpenSockets, of_caller=2))
    small = made("adult")
    first: Any = small.readers.reader(FIRST)
    card = first.card
    transmit = card.transmit

    def wait(command: bytes) -> bytes:
        asked.set()
        hang.wait(30)
        answer: bytes = transmit(command)
        return answer

    monkeypatch.setattr(card, "transmit", wait)
    try:
        for dialect, message in (("json", READ), ("decard", '{"func":"iReadCardBas","in":["3"]}')):
            busy = [opened(small, dialect=dialect) for _ in range(2)]
            for one in busy:
                one.send(message)
            assert asked.wait(20)
            wait_until(lambda: _busy(small) >= 2, "both are in use", 20)
            turned_away = opened(small, dialect=dialect)
            reply = json.loads(turned_away.recv(20))
            words = reply.get("pOutInfo") or reply["out"][0]
            assert reply.get("success", reply.get("result")) == "-11" and "连接过多" in words
            with pytest.raises(ConnectionClosed) as closed:
                turned_away.recv(20)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4429
            hang.set()
            for one in busy:
                assert one.recv(20)
            hang.clear()
            asked.clear()
    finally:
        hang.set()
        small.stop()


def _busy(bridge: Bridge) -> int:
    """How many calls wait at the first reader or are being worked on there."""
    desks: Any = bridge.app.state.bridge.running.registry
    return int(desks.managed(FIRST)._line.waiting)


def test_which_one_gives_way() -> None:
    now = [0.0]
    places = OpenSockets(of_caller=4, in_all=6, clock=lambda: now[0])

    def used(socket: OpenSocket, *moments: float) -> None:
        for now[0] in moments:
            places.use(socket, True)
            places.use(socket, False)

    async def work() -> None:
        steady, unused, once, later = (places.open("page") for _ in range(4))
        used(once, 2.0)
        used(later, 3.0)
        used(steady, 1.0, 8.0)
        order = []
        for _ in range(3):
            places.open("page")
            order.append([one.close_requested.is_set() for one in (steady, unused, once, later)].count(True))
        assert (
            once.close_requested.is_set()
            and later.close_requested.is_set()
            and unused.close_requested.is_set()
            and not steady.close_requested.is_set()
        )
        assert order == [1, 2, 3] and places.of("page") == 4

    asyncio.run(work())


def test_nobody_gives_way_while_it_works_and_the_largest_gives_way_to_others() -> None:
    async def work() -> None:
        places = OpenSockets(of_caller=3, in_all=4)
        busy = [places.open("page") for _ in range(3)]
        for one in busy:
            places.use(one, True)
        with pytest.raises(TooManySocketsError):
            places.open("page")
        places.use(busy[1], False)
        newest = places.open("page")
        assert [one.close_requested.is_set() for one in busy] == [False, True, False]
        places.open("other")
        places.open("third")
        assert newest.close_requested.is_set() and places.all == 4, "of those who have most"

    asyncio.run(work())


def test_no_more_are_closed_at_once_than_may_linger() -> None:
    async def work() -> None:
        places = OpenSockets(of_caller=1)
        for _ in range(open_sockets.MOST_CLOSING_OF_CALLER + 1):
            places.open("page")
        with pytest.raises(TooManySocketsError):
            places.open("page")
        places.open("other")
        places.closed("page")
        places.open("page")

    asyncio.run(work())


# -- steps are the caller's --------------------------------------------------------------------------


@pytest.fixture
def closed_card() -> Iterator[Bridge]:
    bridge = made("third-closed")
    yield bridge
    bridge.stop()


STEP_1 = '{"function":"iReadCardBas_HSM_Step1","iType":3}'


def second_step(step_1: dict[str, Any]) -> str:
    return json.dumps({"function": "iReadCardBas_HSM_Step2", "pKey": read_step_1_to_2(step_1["pOutInfo"])})


def test_a_step_by_another_socket_of_the_same_caller_and_none_by_another_caller(closed_card: Bridge) -> None:
    first, second, stranger = opened(closed_card), opened(closed_card), opened(closed_card, OTHER)
    step = call(first, STEP_1)
    assert call(stranger, second_step(step))["success"] == "-14"
    assert call(stranger)["success"] == "-11", "it is held"
    done = call(second, second_step(step))
    assert done["success"] == "1" and "测试壬" in done["pOutInfo"]
    assert call(stranger)["success"] == "-2201", "and free again"


def test_the_same_origin_by_another_dialect_is_in_no_step(closed_card: Bridge) -> None:
    step = call(opened(closed_card), STEP_1)
    answer = read_step_1_to_2(step["pOutInfo"])
    message = json.dumps({"func": "iReadCardBas_HSM_Step2", "in": [answer]})
    assert call(opened(closed_card, dialect="decard"), message)["result"] == "-14"


def test_a_page_that_is_left_lets_the_card_go_at_once(closed_card: Bridge) -> None:
    page, other = opened(closed_card), opened(closed_card, OTHER)
    assert call(page, STEP_1)["success"] == "1"
    page.close(1001)  # as browsers do when a page is left
    wait_until(lambda: call(other)["success"] == "-2201", "the card is free", 5)


def test_a_socket_that_closes_between_two_steps_and_never_comes_back(
    closed_card: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_REJOIN_SECONDS", 0.1)
    page, other = opened(closed_card), opened(closed_card, OTHER)
    assert call(page, STEP_1)["success"] == "1"
    page.close()
    wait_until(lambda: call(other)["success"] == "-2201", "the card is free", 5)


def test_a_grant_that_is_revoked_between_two_steps_holds_nothing(closed_card: Bridge) -> None:
    rule = next(iter(closed_card.access.dialects.values()))
    asked, _ = closed_card.access.pairing.ask("https://new.example", rule.name, rule.scopes, source="dialect")
    grant = closed_card.access.pairing.approve(asked.id, {Scope.BASIC})
    page, other = opened(closed_card, "https://new.example"), opened(closed_card, OTHER)
    assert call(page, STEP_1)["success"] == "1"
    closed_card.client.delete(f"/v1/grants/{grant.id}")
    wait_until(lambda: call(other)["success"] == "-2201", "the card is free", 5)
