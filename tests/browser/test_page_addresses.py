"""The bridge's own pages at an address of each run's own, and what other programs left at the addresses before."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import Elsewhere, at, closed_port

pytestmark = pytest.mark.browser
ALONE = {"CARDIO_BRIDGE_OWN_PAGE_ADDRESS": "false"}


class Lingering(ThreadingHTTPServer):
    """A stranger that leaves the port and keeps the connections that browsers have to it."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        self.served: list[str] = []
        served = self.served

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                served.append(self.path)
                page = b"<!doctype html><title>squat</title>"
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, format: str, *args: object) -> None: ...

        super().__init__(("0.0.0.0", port), Handler)


@contextmanager
def a_stranger_that_lingers(port: int) -> Iterator[tuple[list[str], threading.Event]]:
    """What it has served; it leaves the port, but not its connections, when the event is set."""
    server = Lingering(port)
    leaves = threading.Event()

    def run() -> None:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        leaves.wait()
        server.shutdown()
        server.socket.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield server.served, leaves
    finally:
        leaves.set()
        thread.join()


def test_a_link_does_not_use_a_connection_that_was_left_to_a_stranger(page: Page) -> None:
    port = closed_port()
    with a_stranger_that_lingers(port) as (served, leaves):
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page).to_have_title("squat")
        page.evaluate("Promise.all([1, 2, 3, 4].map((n) => fetch('/' + n).then((one) => one.text())))")
        leaves.set()
        bridge = Served("adult", port=str(port))
        before = len(served)
        try:
            page.goto(bridge.link)
            expect(page.locator("article").first.locator(".name")).to_have_text("测＊＊")
            assert page.title() != "squat"
            assert [path for path in served[before:] if path != "/v1/pages/forget"] == []
        finally:
            bridge.stop()


def test_at_the_shared_address_such_a_connection_gets_the_link(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why each run has its own address: the test above can fail."""
    for name, value in ALONE.items():
        monkeypatch.setenv(name, value)
    port = closed_port()
    with a_stranger_that_lingers(port) as (served, leaves):
        page.goto(f"http://127.0.0.1:{port}/")
        page.evaluate("Promise.all([1, 2, 3, 4].map((n) => fetch('/' + n).then((one) => one.text())))")
        leaves.set()
        bridge = Served("adult", port=str(port))
        before = len(served)
        try:
            assert bridge.pages == bridge.address
            page.goto("about:blank")
            page.goto(bridge.link)
            expect(page).to_have_title("squat")
            assert "/" in served[before:]
        finally:
            bridge.stop()


def test_a_page_of_an_earlier_run_follows_only_the_bridge_that_gave_it(page: Page) -> None:
    port = closed_port()
    first = Served("adult", port=str(port))
    page.goto(first.link)
    expect(page.locator("article").first.locator(".name")).to_have_text("测＊＊")
    first.stop()
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> bool:
        asked.append(urlsplit(request.path).path)
        hello = {"service": "cardio", "version": "1", "instance": "1", "proof": None}
        moved = {"origin": f"http://127.0.0.1:{port}", "proof": "00" * 32}
        body = json.dumps(moved if asked[-1] == "/v1/pages/moved" else hello).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
        return True

    stranger = Elsewhere(answer, host="0.0.0.0", port=port)
    try:
        expect(page.get_by_role("alert")).to_contain_text("本机端口上的程序不是读卡服务")
        assert "/v1/pages/moved" in asked and page.url == f"{first.pages}/"
    finally:
        stranger.stop()


LEARN = """async (address) => {
    const told = [];
    document.addEventListener('securitypolicyviolation', (event) => told.push(event.blockedURI));
    const policy = Object.assign(document.createElement('meta'), { httpEquiv: 'Content-Security-Policy' });
    policy.content = `frame-src ${address}; form-action ${address}; img-src ${address}; connect-src ${address}`;
    document.head.append(policy);
    const frame = Object.assign(document.createElement('iframe'), { src: address });
    document.body.append(frame);
    const image = new Image();
    image.src = address;
    for (const redirect of ['follow', 'manual', 'error']) {
        for (const mode of ['cors', 'no-cors']) {
            await fetch(address, { redirect, mode }).then((one) => told.push(one.url), () => null);
        }
    }
    await new Promise((resolve) => setTimeout(resolve, 1500));
    return told.concat(performance.getEntries().map(({ name }) => name));
}"""


def test_another_site_does_not_learn_the_address(page: Page, elsewhere: Elsewhere) -> None:
    """It would be one mark of this desk for all sites. A redirect told it, by the site's own policy."""
    bridge = Served("adult")
    try:
        page.goto(bridge.link)
        expect(page.locator("article").first.locator(".name")).to_have_text("测＊＊")
        page.goto(elsewhere.address)
        told = page.evaluate(LEARN, f"{bridge.address}/")
        host = urlsplit(bridge.pages).hostname or ""
        assert host != "127.0.0.1" and told and not [one for one in told if host in one]
    finally:
        bridge.stop()


def test_a_tab_stays_where_the_browser_keeps_its_page_until_the_icon_was_clicked(page: Page) -> None:
    """At the new address the browser keeps nothing yet, and a reload would show whatever has the port."""
    port = closed_port()
    first = Served("adult", port=str(port))
    page.goto(first.link)
    expect(page.locator("article").first.locator(".name")).to_have_text("测＊＊")
    first.stop()
    for _ in range(2):  # twice: an update in the night, and a start in the morning
        bridge = Served("adult", port=str(port))
        expect(page.get_by_role("alert")).to_contain_text("本页尚未授权")
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("本页尚未授权")
        assert page.url == f"{first.pages}/"
        bridge.stop()
    stranger = Elsewhere(lambda request: False, host="0.0.0.0", port=port)
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("本机端口上的程序不是读卡服务")
    stranger.stop()
    bridge = Served("adult", port=str(port))
    try:
        page.context.new_page().goto(bridge.link)
        expect(page.locator("article").first.locator(".name")).to_have_text("测＊＊")
        assert page.url == f"{bridge.pages}/"
    finally:
        bridge.stop()


def test_the_tab_of_yesterday_comes_back_with_one_click(page: Page) -> None:
    """Not only the last run's: a desk is started several times a day when it is set up."""
    port = closed_port()
    runs: list[str] = []
    for _ in range(3):
        bridge = Served("adult", port=str(port))
        tab = page if not runs else page.context.new_page()
        tab.goto(at(bridge, "/developer"))
        expect(tab.locator(".reader-list label").first).to_be_visible()
        runs.append(bridge.pages)
        bridge.stop()
    assert len(set(runs)) == 3
    bridge = Served("adult", port=str(port))
    try:
        page.context.new_page().goto(bridge.link)
        for tab in page.context.pages[:-1]:
            expect(tab.locator(".reader-list label").first).to_be_visible()
            assert tab.url == f"{bridge.pages}/developer"
    finally:
        bridge.stop()


def test_where_the_settings_want_one_address_pages_are_there(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ALONE.items():
        monkeypatch.setenv(name, value)
    bridge = Served("adult")
    try:
        assert bridge.pages == bridge.address
        page.goto(bridge.link)
        expect(page.locator("article").first.locator(".name")).to_have_text("测＊＊")
        answer = page.request.get(f"{bridge.address}/developer", max_redirects=0)
        assert answer.status == 200
        assert json.loads(page.evaluate("localStorage.getItem('cardio-session')"))["recall"]
    finally:
        bridge.stop()


def test_the_language_that_was_chosen_stays_over_runs_and_a_kiosks_does_not(page: Page) -> None:
    first = Served("adult")
    try:
        page.goto(at(first, "/kiosk"))
        expect(page.locator(".name")).to_be_visible()
        page.get_by_role("button", name="English").click()
        page.goto(at(first, "/developer"))
        expect(page.locator(".reader-list label").first).to_be_visible()
        assert page.evaluate("document.documentElement.lang") == "en", "it is one browser's own storage"
    finally:
        first.stop()
    second = Served("adult")
    try:
        page.goto(second.link)
        expect(page.get_by_role("heading", name="社会保障卡读卡台")).to_be_visible()
        with page.expect_response("**/v1/pages/language") as kept:
            page.get_by_role("button", name="English").click()
        assert kept.value.status == 204
    finally:
        second.stop()
    third = Served("adult")
    try:
        page.goto(third.link)
        expect(page.locator("article").first.locator(".name")).to_be_visible()
        assert page.evaluate("document.documentElement.lang") == "en"
    finally:
        third.stop()
