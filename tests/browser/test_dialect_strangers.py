"""No page of a real browser gets in at a dialect's port by the ways that programs and shells have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from service.gate.policy import DialectRule
from service.gate.scopes import DEFAULT_SCOPES, Scope
from tests.browser.conftest import Served
from tests.browser.elsewhere import Elsewhere, at, closed_port
from tests.unit.service.bridge import Bridge

pytestmark = pytest.mark.browser
TRY = """(address) => new Promise((resolve) => {
    const socket = new WebSocket(address);
    socket.onopen = () => socket.send('{"function":"iReadCardBas","iType":3}');
    socket.onmessage = (event) => resolve(event.data);
    socket.onclose = () => resolve('refused');
})"""
IN_A_FRAME = """([address, kind]) => new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.sandbox = 'allow-scripts';
    const script = `const socket = new WebSocket(${JSON.stringify(address)});
        socket.onopen = () => parent.postMessage('open', '*');
        socket.onclose = () => parent.postMessage('refused', '*');`;
    const text = '<script>' + script + '</' + 'script>';
    if (kind === 'srcdoc') frame.srcdoc = text; else frame.src = 'data:text/html,' + encodeURIComponent(text);
    addEventListener('message', (event) => resolve([event.origin, event.data]));
    document.body.append(frame);
})"""


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge(
        "adult", dialects=[DialectRule("json", programs=True, scopes=DEFAULT_SCOPES)], scopes=frozenset(Scope)
    )
    yield made
    made.stop()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def address(bridge: Bridge, path: str = "/") -> str:
    return f"ws://127.0.0.1:{bridge.dialect_ports['json']}{path}"


def test_what_the_gate_tells_browsers_by_is_in_every_handshake(tab: Page, elsewhere: Elsewhere) -> None:
    tab.goto(elsewhere.address)
    tab.evaluate(TRY, elsewhere.address.replace("http", "ws") + "/socket")
    (headers,) = [headers for _, path, headers in elsewhere.asked if path == "/socket"]
    assert "accept-language" in headers and headers["user-agent"].startswith("Mozilla/")


def test_a_page_of_this_machine_is_no_program(tab: Page, bridge: Bridge, elsewhere: Elsewhere) -> None:
    tab.goto(elsewhere.address)
    assert tab.evaluate(TRY, address(bridge)) == "refused"


@pytest.mark.parametrize("kind", ["srcdoc", "data"])
def test_a_frame_without_an_origin_is_no_shell(tab: Page, bridge: Bridge, elsewhere: Elsewhere, kind: str) -> None:
    tab.goto(elsewhere.address)
    assert tab.evaluate(IN_A_FRAME, [address(bridge), kind]) == ["null", "refused"]


def test_the_dialects_own_port_serves_no_page_and_is_no_origin(tab: Page, bridge: Bridge) -> None:
    """A browser shows what the port answers as text. Whatever ran in its place would be refused."""
    answer: Any = tab.goto(address(bridge).replace("ws", "http"))
    assert answer.status == 404 and "html" not in answer.headers["content-type"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert tab.evaluate("location.origin") == address(bridge)[:-1].replace("ws", "http")
    assert tab.evaluate("document.scripts.length") == 0
    client = tab.context.new_cdp_session(tab)
    client.send("Page.setBypassCSP", {"enabled": True})
    tab.reload()
    assert tab.evaluate(TRY, address(bridge)) == "refused"
    refused = bridge.client.get("/v1/pairing").json()["refused"]
    assert [one["origin"] for one in refused] == [address(bridge)[:-1].replace("ws", "http")], "it came to the gate"


def test_a_page_from_a_disk_is_let_in_by_a_programs_token_only(tab: Page, bridge: Bridge, tmp_path: Path) -> None:
    (tmp_path / "his.html").write_text("<!doctype html><title>HIS</title>", encoding="utf-8")
    tab.goto((tmp_path / "his.html").as_uri())
    assert tab.evaluate(TRY, address(bridge)) == "refused"
    assert tab.evaluate(TRY, address(bridge, "/guessed")) == "refused"
    token = bridge.client.post("/v1/grants", json={"name": "HIS", "scopes": ["basic"]}).json()["token"]
    assert json.loads(tab.evaluate(TRY, address(bridge, f"/{token}")))["success"] == "1"


def test_the_pairing_page_says_what_lets_a_refused_caller_in(
    tab: Page, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = closed_port()
    for name, value in (("JSON", "true"), ("JSON_PORT", str(port))):
        monkeypatch.setenv(f"CARDIO_BRIDGE_DIALECTS__{name}", value)
    served = Served("adult")
    try:
        (tmp_path / "his.html").write_text("<!doctype html><title>HIS</title>", encoding="utf-8")
        tab.goto((tmp_path / "his.html").as_uri())
        assert tab.evaluate(TRY, f"ws://127.0.0.1:{port}/") == "refused"
        tab.goto(at(served, "/pair"))
        expect(tab.locator(".refused .origin")).to_have_text(re.compile("null|file://"))
        expect(tab.locator(".refused")).to_contain_text("cardio pair add")
        expect(tab.locator("main")).to_contain_text("没有网页在请求配对")
    finally:
        served.stop()
