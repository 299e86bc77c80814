"""The gate by raw requests over a real socket: who does not belong reaches no route and no card."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.filesystem.capabilities import CapabilityCache
from service.app import create_app
from service.gate.policy import Access
from service.http.errors import GateError
from service.ports.binding import bind_loopback
from service.server import BridgeServer
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader, SoftwareReaders
from tests.pcsc import wait_until

TOKEN = "T" * 43


class Bridge:
    """A bridge on a real socket, counting what reaches its card."""

    def __init__(self) -> None:
        card = find_persona("adult").card()
        self.commands = 0
        transmit = card.transmit

        def count(command: bytes) -> bytes:
            self.commands += 1
            return transmit(command)

        card.transmit = count  # type: ignore[method-assign]
        self.reader = SoftwareReader("Reader One", card)
        self.sockets = bind_loopback(0)
        self.port = self.sockets[0].getsockname()[1]
        self.app = create_app([SoftwareReaders([self.reader])], capabilities=CapabilityCache(None))
        self.server = BridgeServer(self.app, Access.for_port(self.port, TOKEN))
        self.thread = threading.Thread(target=lambda: self.server.run(sockets=self.sockets), daemon=True)
        self.thread.start()
        wait_until(lambda: self.server.started, "the bridge has started")

    def ask(self, *lines: str, body: bytes = b"", host: str = "127.0.0.1") -> tuple[int, str]:
        """Sends a raw request and gives the status and all of the answer."""
        with socket.create_connection((host, self.port), timeout=5) as line:
            line.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body)
            answer = b""
            while part := line.recv(65536):
                answer += part
        text = answer.decode("utf-8", "replace")
        return int(text.split(" ", 2)[1]) if text else 0, text


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    made = Bridge()
    yield made
    made.server.stop()
    made.thread.join(5)
    assert not made.thread.is_alive()


CARD = "GET /v1/readers/Reader%20One/card HTTP/1.1"
AUTH = f"Authorization: Bearer {TOKEN}"


def test_who_belongs_gets_the_card(bridge: Bridge) -> None:
    for host in (f"127.0.0.1:{bridge.port}", f"localhost:{bridge.port}", f"[::1]:{bridge.port}"):
        status, text = bridge.ask(CARD, f"Host: {host}", AUTH)
        assert status == 200 and "测试甲" in text
    status, _ = bridge.ask(CARD, f"Host: 127.0.0.1:{bridge.port}", f"Origin: http://127.0.0.1:{bridge.port}", AUTH)
    assert status == 200


def test_a_gate_that_fails_stays_shut_and_says_so_in_words(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("what a stranger sent")

    before = bridge.commands
    monkeypatch.setattr(Access, "check", fail)
    status, text = bridge.ask(CARD, f"Host: 127.0.0.1:{bridge.port}", AUTH)
    assert status == 500 and '"code":"internal"' in text and bridge.commands == before
    assert "the gate failed: ValueError" in caplog.text and "what a stranger sent" not in caplog.text


def test_it_listens_on_the_loopback_addresses_only(bridge: Bridge) -> None:
    assert {one.getsockname()[0] for one in bridge.sockets} <= {"127.0.0.1", "::1"}


HOSTS = [
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1.:{port}",
    "localhost.:{port}",
    "LOCALHOST:{port}",
    "user@127.0.0.1:{port}",
    "127.0.0.1.evil:{port}",
    "evil:{port}",
    "0.0.0.0:{port}",
    "127.1:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "::1:{port}",
    "",
    "127.0.0.1:0{port}",
]


@pytest.mark.parametrize("host", HOSTS)
def test_any_other_host_is_refused_before_the_card(bridge: Bridge, host: str) -> None:
    before = bridge.commands
    status, text = bridge.ask(CARD, f"Host: {host.format(port=bridge.port)}", AUTH)
    assert status in (400, 421) and "测试" not in text
    assert bridge.commands == before


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Host: 127.0.0.1:{port}", "Host: 127.0.0.1:{port}"],
        ["Host: 127.0.0.1:{port}", "Host: evil"],
    ],
)
def test_no_host_or_two_are_refused(bridge: Bridge, lines: list[str]) -> None:
    before = bridge.commands
    status, _ = bridge.ask(CARD, *(line.format(port=bridge.port) for line in lines), AUTH)
    assert status in (400, 421) and bridge.commands == before


def test_an_absolute_target_is_refused(bridge: Bridge) -> None:
    before = bridge.commands
    target = "GET http://evil/v1/readers/Reader%20One/card HTTP/1.1"
    status, _ = bridge.ask(target, f"Host: 127.0.0.1:{bridge.port}", AUTH)
    assert status == 421 and bridge.commands == before


ORIGINS = [
    "null",
    "http://evil",
    "https://127.0.0.1:{port}",
    "http://127.0.0.1",
    "http://127.0.0.1:{port}.evil",
    "http://127.0.0.1:{port}/",
    "http://evil.127.0.0.1:{port}",
    "HTTP://127.0.0.1:{port}",
    "http://127.0.0.1:1",
    "",
    "file://",
]


@pytest.mark.parametrize("origin", ORIGINS)
def test_any_other_origin_is_refused_even_with_the_token(bridge: Bridge, origin: str) -> None:
    before = bridge.commands
    status, text = bridge.ask(
        CARD, f"Host: 127.0.0.1:{bridge.port}", f"Origin: {origin.format(port=bridge.port)}", AUTH
    )
    assert status == 403 and "测试" not in text and bridge.commands == before
    assert "access-control-allow-origin" not in text.lower()


@given(st.text(st.characters(max_codepoint=0xFF, min_codepoint=0x20), max_size=30))
def test_no_neighbour_of_our_origin_is_ours(addition: str) -> None:
    rules = Access.for_port(12340, TOKEN)
    for origin in (f"http://127.0.0.1:12340{addition}", f"{addition}http://127.0.0.1:12340", addition):
        if origin in rules.own_origins:
            continue
        scope = {
            "type": "http",
            "path": "/livez",
            "method": "GET",
            "server": ("127.0.0.1", 12340),
            "raw_path": b"/livez",
            "headers": [(b"host", b"127.0.0.1:12340"), (b"origin", origin.encode("latin-1"))],
        }
        with pytest.raises(GateError):
            rules.check(scope)


@pytest.mark.parametrize(
    "authorization",
    [
        [],
        ["Authorization: Bearer"],
        ["Authorization: Bearer wrong"],
        [f"Authorization: Bearer {TOKEN}x"],
        [f"Authorization: Bearer {TOKEN[:-1]}"],
        [f"Authorization: Basic {TOKEN}"],
        [f"Authorization: {TOKEN}"],
        [f"Cookie: token={TOKEN}"],
        [AUTH, AUTH],
    ],
)
def test_without_the_token_nothing_of_v1_is_reached(bridge: Bridge, authorization: list[str]) -> None:
    before = bridge.commands
    for path in ("/v1/readers", "/v1/readers/Reader%20One/card", "/v1/events", "/v1/nothing", "//v1/readers", "/v2"):
        status, text = bridge.ask(f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{bridge.port}", *authorization)
        assert status == 401 and "no-token" in text
        assert "www-authenticate: bearer" in text.lower()
    assert bridge.commands == before


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
def test_simple_requests_of_hostile_pages_reach_nothing(bridge: Bridge, method: str) -> None:
    """Forms, beacons, images and preflights: without a token, from another origin."""
    before = bridge.commands
    for content in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        status, text = bridge.ask(
            f"{method} /v1/readers/Reader%20One/card HTTP/1.1",
            f"Host: 127.0.0.1:{bridge.port}",
            "Origin: https://hospital.example",
            f"Content-Type: {content}",
            "Content-Length: 3",
            body=b"a=b",
        )
        assert status == 403 and "access-control" not in text.lower()
    assert bridge.commands == before


def test_a_websocket_is_refused_before_it_is_accepted(bridge: Bridge) -> None:
    status, _ = bridge.ask(
        "GET /v1/ws HTTP/1.1",
        f"Host: 127.0.0.1:{bridge.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )
    assert status in (401, 403)


def test_what_is_open_says_nothing_of_anybody(bridge: Bridge) -> None:
    for path in ("/", "/livez", "/readyz", "/openapi.json", "/static/i18n/index.js"):
        status, text = bridge.ask(f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{bridge.port}")
        assert status == 200
        assert "content-security-policy: default-src 'none'" in text and TOKEN not in text
    status, _ = bridge.ask("GET /static/../app.py HTTP/1.1", f"Host: 127.0.0.1:{bridge.port}")
    assert status == 404


def test_large_headers_are_refused(bridge: Bridge) -> None:
    status, _ = bridge.ask(CARD, f"Host: 127.0.0.1:{bridge.port}", "X: " + "a" * 20_000, AUTH)
    assert status in (400, 431)
