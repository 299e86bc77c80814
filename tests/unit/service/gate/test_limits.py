"""Limits at limit and limit + 1, bursts, clients that never read or never finish; honest clients meanwhile."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from service.gate.errors import TooManyRequestsError
from service.gate.rate_limits import BODY_LIMIT, FRAME_LIMIT, SOCKET_LIMIT, Rate, RateLimit
from service.gate.scopes import Scope
from tests.pcsc import wait_until
from tests.unit.service.bridge import AUTH, FIRST, FIRST_COUNTS, Bridge


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge(scopes=frozenset(Scope), site_options=FIRST_COUNTS)
    yield made
    made.stop()


def test_a_body_of_64_kib_and_one_byte_more(bridge: Bridge) -> None:
    place = "/v1/driver/iReadCardBas"
    json = {"Content-Type": "application/json"}
    largest = bridge.client.post(place, content=b'{"iType":3}'.ljust(BODY_LIMIT), headers=json)
    assert largest.status_code == 200
    larger = bridge.client.post(place, content=b'{"iType":3}'.ljust(BODY_LIMIT + 1), headers=json)
    assert (larger.status_code, larger.json()["code"]) == (413, "body-too-large")

    def chunks() -> Iterator[bytes]:
        yield b'{"iType":3}'
        for _ in range(5):
            yield b" " * 16384

    chunked = bridge.client.post(place, content=chunks(), headers=json)
    assert (chunked.status_code, chunked.json()["code"]) == (413, "body-too-large")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 30_000 + b"]" * 30_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"null",
        b"3",
        b'"text"',
        b"[]",
        b'{"iType": 1e999}',
        b'{"iType": "x"}',
        b'{"iType": null}',
        b'{"iType": 99999999999999999999999}',
        b'{"unknown": 1}',
        b'{"pFileAddr": 3}',
        b'{"reader": {}}',
        b"",
    ],
)
def test_bodies_that_make_no_sense_are_malformed_and_nothing_worse(bridge: Bridge, body: bytes) -> None:
    before = bridge.commands
    for place in ("/v1/driver/iReadCard", f"/v1/readers/{FIRST}/card/verification", f"/v1/readers/{FIRST}/lease"):
        answer = bridge.client.post(place, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, (place, answer.text)
        assert answer.json()["code"] == "usage" and "Traceback" not in answer.text
    assert bridge.commands == before


def test_a_body_that_never_ends_is_given_up(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.gate.middleware.BODY_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", bridge.port), timeout=5) as line:
        head = f"POST /v1/driver/iReadCardBas HTTP/1.1\r\nHost: 127.0.0.1:{bridge.port}\r\n{AUTH}\r\n"
        line.sendall((head + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{").encode())
        assert b" 408 " in line.recv(4096)


def test_a_frame_of_64_kib_and_one_byte_more(bridge: Bridge) -> None:
    headers = {"Authorization": bridge.client.headers["authorization"]}
    one = bridge.socket(headers=headers)
    one.recv(5)
    one.send("x" * FRAME_LIMIT)
    one.ping().wait(5)
    one.send("x" * (FRAME_LIMIT + 1))
    with pytest.raises(ConnectionClosed) as closed:
        one.recv(5)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


def test_eight_sockets_and_one_more(bridge: Bridge) -> None:
    headers = {"Authorization": bridge.client.headers["authorization"]}
    opened = [bridge.socket(headers=headers) for _ in range(SOCKET_LIMIT)]
    with pytest.raises(InvalidStatus) as refused:
        bridge.socket(headers=headers)
    assert refused.value.response.status_code == 429
    stream = bridge.client.get("/v1/events")
    assert (stream.status_code, stream.json()["code"]) == (429, "too-many-sockets")
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200, "calls are no sockets"
    opened[0].close()
    wait_until(lambda: bridge.access.live.streams("local") == SOCKET_LIMIT - 1, "one has closed")
    bridge.socket(headers=headers)


def test_a_burst_is_slowed_down_and_an_honest_page_is_not() -> None:
    bridge = Bridge(rate=Rate(per_second=0.5, burst=40))
    try:
        noisy, _ = bridge.pair("https://noisy.example", Scope.BASIC)
        honest, _ = bridge.pair("https://his.example", Scope.BASIC)
        statuses = [noisy.get("/v1/readers").status_code for _ in range(100)]
        assert statuses.count(429) > 40 and statuses[:30] == [200] * 30
        refused = noisy.get("/v1/readers")
        assert refused.json()["code"] == "too-many-requests" and refused.json()["retry_after"] >= 1
        started = time.monotonic()
        assert honest.get(f"/v1/readers/{FIRST}/card").status_code == 200
        assert time.monotonic() - started < 1
    finally:
        bridge.stop()


def test_the_bucket_fills_again() -> None:
    now = [0.0]
    limit = RateLimit(Rate(per_second=2, burst=3), clock=lambda: now[0])
    for _ in range(3):
        limit.count_request("a")
    with pytest.raises(TooManyRequestsError):
        limit.count_request("a")
    limit.count_request("b")
    now[0] = 0.5
    limit.count_request("a")
    with pytest.raises(TooManyRequestsError):
        limit.count_request("a")


def test_a_client_that_never_reads_is_let_go(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its buffers fill, it is dropped; clients that read get every event, and no client waits."""
    monkeypatch.setattr("service.gate.middleware._STALLED_SECONDS", 0.3)
    line = socket.create_connection(("127.0.0.1", bridge.port), timeout=5)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.sendall(f"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{bridge.port}\r\n{AUTH}\r\n\r\n".encode())
    wait_until(lambda: bridge.app.state.bridge.running.hub.subscribers == 1, "it is subscribed")
    hub, loop = bridge.app.state.bridge.running.hub, bridge.app.state.bridge.running.loop
    large = {"padding": "x" * 50_000}

    async def publish() -> None:
        hub.publish("noise", large)

    end = time.monotonic() + 20
    while bridge.access.live.streams("local") and time.monotonic() < end:
        asyncio.run_coroutine_threadsafe(publish(), loop).result(5)
    assert bridge.access.live.streams("local") == 0
    wait_until(lambda: hub.subscribers == 0, "it is subscribed no more")
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200
    line.close()


def test_a_caller_that_goes_in_mid_answer_harms_nobody(bridge: Bridge) -> None:
    bridge.readers.insert(FIRST, "adult", "slow")
    for _ in range(3):
        line = socket.create_connection(("127.0.0.1", bridge.port), timeout=5)
        path = "/v1/readers/Simulated%20Reader%2000/card"
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{bridge.port}\r\n{AUTH}\r\n\r\n".encode())
        line.close()
    bridge.readers.insert(FIRST, "child", None)
    wait_until(
        lambda: bridge.client.get(f"/v1/readers/{FIRST}/card").json().get("holder", {}).get("name") == "测小小", "read"
    )


def test_it_stops_within_two_seconds_with_streams_and_sockets_open() -> None:
    bridge = Bridge()
    headers = {"Authorization": bridge.client.headers["authorization"]}
    sockets = [bridge.socket(headers=headers) for _ in range(3)]
    for one in sockets:
        one.recv(5)
    with bridge.client.stream("GET", "/v1/events") as stream:
        next(stream.iter_lines())
        started = time.monotonic()
        bridge.server.stop()
        bridge.thread.join(5)
        assert not bridge.thread.is_alive() and time.monotonic() - started < 2
    bridge.stop()


def test_answers_do_not_wait_for_acknowledgements(bridge: Bridge) -> None:
    """Nagle's algorithm and a client's delayed acknowledgement cost 40 ms an answer where this is missed."""
    assert bridge.client.get("/v1/readers").status_code == 200
    lines = [one.transport for one in bridge.server.server_state.connections]
    assert lines
    for line in lines:
        assert line.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
