"""The addresses that people type and bookmark: a doorway is kept there, which tells of a stranger that has the port."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import closed_port
from tests.browser.squatter import Squatter, expect_imposter
from tests.pcsc import wait_until

pytestmark = pytest.mark.browser
TYPED = ("127.0.0.1", "localhost")
WORKERS = "navigator.serviceWorker.getRegistrations().then((all) => all.length)"


def expect_card(page: Page) -> None:
    expect(page.locator("article").first.locator(".name")).to_have_text("测＊＊")


def type_address(page: Page, bridge: Served) -> None:
    for host in TYPED:
        page.goto(f"{bridge.address.replace('127.0.0.1', host)}/developer?x=1")
        expect(page).to_have_url(f"{bridge.pages}/developer?x=1")


def typed_once(page: Page, port: int) -> None:
    """One run of the bridge, and its address typed in this browser."""
    bridge = Served("adult", port=str(port))
    try:
        type_address(page, bridge)
    finally:
        bridge.stop()


@pytest.mark.parametrize("forgets", [False, True], ids=["a-page", "a-page-that-clears"])
def test_a_stranger_is_told_where_the_address_was_typed_in_the_last_run(
    page: Page, squatter: Callable[..., Squatter], forgets: bool
) -> None:
    """And the icon was clicked afterwards, which has the browser forget what others have left there."""
    port = closed_port()
    for _ in range(2):
        bridge = Served("adult", port=str(port))
        type_address(page, bridge)
        page.goto(bridge.link)
        expect_card(page)
        bridge.stop()
    strange = squatter(port, forgets=forgets)
    for host in TYPED:
        for path in ("/", "/kiosk?reader=Simulated%20Reader%2000", "/developer"):
            for tab in (page, page.context.new_page()):
                tab.goto(f"http://{host}:{port}{path}")
                expect_imposter(tab)
                assert tab.url == f"http://{host}:{port}{path}"
    assert all(one.startswith("/v1/pages/moved ") for one in strange.posted)
    key = json.loads(page.evaluate("localStorage.getItem('cardio-doorway')"))["recall"]
    assert key not in "".join(strange.posted)
    strange.stop()
    bridge = Served("adult", port=str(port))
    try:
        page.context.new_page().goto(bridge.link)
        for tab in page.context.pages:
            expect(tab).to_have_url(re.compile(re.escape(bridge.pages)))
    finally:
        bridge.stop()


def test_while_nothing_answers_the_doorway_says_so_and_leads_on_later(page: Page) -> None:
    port = closed_port()
    typed_once(page, port)
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.get_by_role("alert")).to_contain_text("读卡服务没有应答")
    bridge = Served("adult", port=str(port))
    try:
        expect(page).to_have_url(f"{bridge.pages}/")
        expect(page.get_by_role("alert")).to_contain_text("本页尚未授权")
    finally:
        bridge.stop()


def test_what_a_stranger_left_at_the_typed_address_is_gone_after_a_click(
    page: Page, squatter: Callable[..., Squatter]
) -> None:
    """It comes first, in a browser that never saw the bridge, and leaves a worker."""
    port = closed_port()
    strange = squatter(port)
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page).to_have_title("squat")
    page.evaluate("navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready)")
    strange.stop()
    page.goto("about:blank")
    bridge = Served("adult", port=str(port))
    try:
        page.goto(bridge.link)
        expect_card(page)
        page.goto(f"http://127.0.0.1:{port}/")
        expect_card(page)
        assert page.url == f"{bridge.pages}/"
    finally:
        bridge.stop()
    squatter(port)
    page.goto(f"http://127.0.0.1:{port}/")
    expect_imposter(page)


def test_a_link_finds_its_pages_where_the_doorway_was(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting was changed: the pages are at the typed address now."""
    port = closed_port()
    typed_once(page, port)
    monkeypatch.setenv("CARDIO_BRIDGE_OWN_PAGE_ADDRESS", "false")
    bridge = Served("adult", port=str(port))
    try:
        page.goto(bridge.link)
        expect_card(page)
        assert page.url == f"http://127.0.0.1:{port}/"
    finally:
        bridge.stop()


def test_a_worker_that_the_browser_finds_at_a_strangers_port_does_not_stay(
    page: Page, squatter: Callable[..., Squatter]
) -> None:
    """Browsers look for a newer worker once a day, whatever they were told; here because their cache was emptied."""
    port = closed_port()
    typed_once(page, port)
    squatter(port)
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    page.goto(f"http://127.0.0.1:{port}/")
    expect_imposter(page)
    pause = page.wait_for_timeout
    wait_until(
        lambda: page.evaluate(WORKERS) == 0, "its worker is refused", sleep=lambda seconds: pause(1000 * seconds)
    )


def test_the_language_goes_along(page: Page, squatter: Callable[..., Squatter]) -> None:
    port = closed_port()
    bridge = Served("adult", port=str(port))
    page.goto(bridge.link)
    expect_card(page)
    with page.expect_response("**/v1/pages/language"):
        page.get_by_role("button", name="English").click()
    bridge.stop()
    typed_once(page, port)
    squatter(port)
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.get_by_role("alert")).to_contain_text("The program on this port is not the card service")
    page.get_by_role("button", name="中文").click()
    expect_imposter(page)


def test_a_link_goes_to_no_address_that_another_program_can_have_had(page: Page) -> None:
    bridge = Served("adult")
    seen: list[str] = []
    page.context.on("request", lambda one: seen.append(one.url) if one.is_navigation_request() else None)
    try:
        page.goto(bridge.link)
        expect_card(page)
        assert seen == [f"{bridge.pages}/"]
    finally:
        bridge.stop()


def test_a_tab_of_the_stranger_is_taken_over_before_the_doorway_has_its_key(
    page: Page, squatter: Callable[..., Squatter]
) -> None:
    """It runs at the address where the key is kept, and could read it."""
    port = closed_port()
    strange = squatter(port)
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page).to_have_title("squat")
    page.evaluate(
        "() => { const look = () => { if (localStorage.getItem('cardio-doorway')) localStorage.setItem('seen', 1); };"
        " setInterval(look, 1); }"
    )
    strange.stop()
    bridge = Served("adult", port=str(port))
    try:
        tab = page.context.new_page()
        tab.goto(f"http://127.0.0.1:{port}/")
        expect(tab).to_have_url(f"{bridge.pages}/")
        expect(page).to_have_url(f"{bridge.pages}/")
    finally:
        bridge.stop()
    tab.goto(f"http://127.0.0.1:{port}/")
    expect(tab.get_by_role("alert")).to_contain_text("读卡服务没有应答")
    assert tab.evaluate("localStorage.getItem('seen')") is None


def test_a_program_that_never_answers_is_told_of(page: Page) -> None:
    port = closed_port()
    typed_once(page, port)
    with socket.socket() as hanging:
        hanging.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        hanging.bind(("0.0.0.0", port))
        hanging.listen()
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("main")).to_contain_text("正在连接")
        expect(page.get_by_role("alert")).to_contain_text("读卡服务没有应答")
