"""No caller takes the bridge from others: not by noise, not by asking for pairing, not by impersonation."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.gate.peers import PeerLookup
from service.gate.rate_limits import Rate
from service.gate.scopes import DEFAULT_SCOPES, Scope
from service.sites.site import site_of
from tests.pcsc import wait_until
from tests.unit.service.bridge import FIRST, Bridge


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge(scopes=frozenset(Scope))
    yield made
    made.stop()


def test_noise_without_a_token_costs_the_owner_nothing() -> None:
    bridge = Bridge(rate=Rate(per_second=0.5, burst=20))
    try:
        for _ in range(60):
            bridge.raw("GET /livez HTTP/1.1", f"Host: 127.0.0.1:{bridge.port}", "Sec-Fetch-Site: cross-site")
        assert [bridge.client.get("/v1/readers").status_code for _ in range(10)] == [200] * 10
    finally:
        bridge.stop()


def test_one_site_cannot_fill_the_list_of_requests(bridge: Bridge) -> None:
    for number in range(80):
        bridge.caller(None, "https://evil.example").post("/v1/pairing", json={"name": "x", "scopes": ["basic"]})
        host = f"https://a{number}.evil.example:{8000 + number}"
        bridge.caller(None, host).post("/v1/pairing", json={"name": "x", "scopes": ["basic"]})
    waiting = bridge.client.get("/v1/pairing").json()["requests"]
    assert len(waiting) == 2
    honest = bridge.caller(None, "https://his.example").post("/v1/pairing", json={"name": "x", "scopes": ["basic"]})
    assert honest.status_code == 202
    bridge.client.post(f"/v1/pairing/{waiting[0]['request']}/deny")
    again = bridge.caller(None, "https://b.evil.example:9999").post(
        "/v1/pairing", json={"name": "x", "scopes": ["basic"]}
    )
    assert again.status_code == 429, "who was denied does not come back by another door"


def test_a_site_is_told_without_what_costs_nothing() -> None:
    assert site_of("https://a.b.evil.example:8443") == site_of("http://evil.example") == "evil.example"
    assert site_of("https://x.hospital.com.cn") == "hospital.com.cn" != site_of("https://y.other.com.cn")
    assert site_of("http://10.0.0.1:80800"[:-1]) == "10.0.0.1" and site_of("http://[::1]:8080") == "::1"
    assert site_of("http://his") == "his"


def test_a_program_counts_as_itself_whatever_origin_it_brings(bridge: Bridge) -> None:
    made = bridge.client.post("/v1/grants", json={"name": "p", "scopes": ["basic", "pin"]}).json()
    for origin in (bridge.address, f"http://localhost:{bridge.port}", None):
        assert bridge.caller(made["token"], origin).get("/v1/me").json()["origin"] == f"program {made['grant']}"
    ticket = bridge.caller(made["token"]).post("/v1/ws/ticket").json()["ticket"]
    assert bridge.socket(protocols=["cardio.v1", f"ticket.{ticket}"]).recv(5)


def test_nobody_grants_more_than_the_bridge_was_started_with() -> None:
    bridge = Bridge(scopes=DEFAULT_SCOPES)
    try:
        asked = bridge.caller(None, "https://his.example").post(
            "/v1/pairing", json={"name": "x", "scopes": ["basic", "pin"]}
        )
        place = f"/v1/pairing/{asked.json()['request']}/approve"
        refused = bridge.client.post(place, json={"scopes": ["basic", "pin"]})
        assert (refused.status_code, refused.json()["code"]) == (400, "usage") and "pin" in refused.json()["detail"]
        assert bridge.client.post(place, json={"scopes": ["basic"]}).status_code == 200
    finally:
        bridge.stop()


def test_pages_of_a_trusted_origin_leave_no_heap_of_grants() -> None:
    trusted = "https://his.example"
    bridge = Bridge(trusted={trusted: frozenset({Scope.BASIC})})
    try:
        for _ in range(25):
            assert (
                bridge.caller(None, trusted).post("/v1/pairing", json={"name": "x", "scopes": ["basic"]}).status_code
                == 202
            )
        assert len(bridge.access.grants.of_origin(trusted)) == 16
    finally:
        bridge.stop()


def test_a_page_gets_no_proof_but_its_own(bridge: Bridge) -> None:
    page, grant = bridge.pair("https://his.example", Scope.BASIC)
    nonce = {"nonce": "ab" * 16}
    assert page.get("/v1/hello", params=nonce | {"grant": grant}).json()["proof"]
    assert page.get("/v1/hello", params=nonce | {"grant": "local"}).json()["proof"] is None
    assert (
        bridge.caller(None, "https://evil.example").get("/v1/hello", params=nonce | {"grant": "local"}).json()["proof"]
        is None
    )


def test_a_connection_is_told_by_whole_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same ports in the other family are another connection, perhaps another user's."""
    mine, strangers = os.getuid(), os.getuid() + 1
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
    row = "   0: {} {} 01 00000000:00000000 00:00000000 00000000 {:>5}        0 1\n"
    four, six = tmp_path / "tcp", tmp_path / "tcp6"
    # By hand, as a little-endian kernel writes 127.0.0.1 and ::1, ports 40000 and 12342.
    four.write_text(head + row.format("0100007F:9C40", "0100007F:3036", mine))
    loopback = "00000000000000000000000001000000"
    six.write_text(head + row.format(f"{loopback}:9C40", f"{loopback}:3036", strangers))
    monkeypatch.setattr("service.gate.tcp_table._TABLES", (four, six))
    monkeypatch.setattr("service.gate.peers.SocketDiagnosis.is_available", lambda kernel: False)
    lookup = PeerLookup()
    assert lookup.user_of(("127.0.0.1", 40000), ("127.0.0.1", 12342)) == mine
    assert lookup.user_of(("::1", 40000), ("::1", 12342)) == strangers
    assert lookup.user_of(("127.0.0.1", 40001), ("127.0.0.1", 12342)) is None


def test_who_connects_and_asks_nothing_is_let_go(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.server._HEAD_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", bridge.port), timeout=5) as silent:
        assert silent.recv(1) == b""
    with socket.create_connection(("127.0.0.1", bridge.port), timeout=5) as slow:
        slow.sendall(f"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:{bridge.port}\r\n".encode())
        assert slow.recv(1) == b""
    # An event stream is no such silence.
    with bridge.client.stream("GET", "/v1/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        with socket.create_connection(("127.0.0.1", bridge.port), timeout=5) as another:
            assert another.recv(1) == b""
        bridge.readers.insert(FIRST, "child", None)
        wait_until(lambda: any("card-inserted" in line for line in lines), "the stream lives")


def test_a_field_that_nobody_knows_is_not_said_again(bridge: Bridge) -> None:
    answer = bridge.client.post(f"/v1/readers/{FIRST}/card/pin/verify", json={"731946": "pin"})
    assert answer.status_code == 400 and "731946" not in answer.text
