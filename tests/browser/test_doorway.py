"""The addresses that people type and bookmark: a doorway is kept there, which tells of a stranger that has the port."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import at, closed_port
from tests.browser.squatter import Squatter, expect_imposter
from tests.pcsc import wait_until

pytestmark = pytest.mark.browser
TYPED = ("127.0.0.1", "localhost")
WORKERS = "navigator.serviceWorker.getRegistrations().then((all) => all.length)"


def expect_card(page: Page) -> None:
    expect(page.locator("article").first.locator(".name")).to_have_text("测＊＊")


def click_icon(page: Page, port: int) -> None:
    """One run of the bridge, and its link opened in this browser."""
    bridge = Served("adult", port=str(port))
    try:
        page.goto(bridge.link)
        expect_card(page)
        assert page.url == f"{bridge.pages}/"
    finally:
        bridge.stop()


@pytest.mark.parametrize("forgets", [False, True], ids=["a-page", "a-page-that-clears"])
@pytest.mark.parametrize("runs", [1, 2])
def test_a_stranger_at_the_typed_address_is_told_where_the_icon_was_clicked_once(
    page: Page, squatter: Callable[..., Squatter], runs: int, forgets: bool
) -> None:
    port = closed_port()
    for _ in range(runs):
        click_icon(page, port)
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


def test_a_stranger_is_told_where_the_address_was_typed_before(page: Page, squatter: Callable[..., Squatter]) -> None:
    port = closed_port()
    bridge = Served("adult", port=str(port))
    for host in TYPED:
        page.goto(f"http://{host}:{port}/developer?x=1")
        expect(page).to_have_url(f"{bridge.pages}/developer?x=1")
    bridge.stop()
    squatter(port)
    for host in TYPED:
        page.goto(f"http://{host}:{port}/developer")
        expect_imposter(page)


def test_while_nothing_answers_the_doorway_says_so_and_leads_on_later(page: Page) -> None:
    port = closed_port()
    click_icon(page, port)
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
    click_icon(page, port)
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
    click_icon(page, port)
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
    click_icon(page, port)
    squatter(port)
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.get_by_role("alert")).to_contain_text("What answers on this computer is not the card service")
    page.get_by_role("button", name="中文").click()
    expect_imposter(page)


def test_a_page_passes_the_doorways_once_in_a_run(page: Page) -> None:
    bridge = Served("adult")
    seen: list[str] = []
    page.context.on("request", lambda one: seen.append(one.url) if one.is_navigation_request() else None)
    try:
        for _ in range(2):
            page.goto(at(bridge, "/kiosk?reader=Simulated%20Reader%2000"))
            expect(page.locator(".name")).to_be_visible()
            page.goto(bridge.link)
            expect_card(page)
        passed = [one for one in seen if not one.startswith(bridge.pages)]
        host = bridge.address.removeprefix("http://127.0.0.1")
        path = "/kiosk?reader=Simulated%20Reader%2000"
        assert passed == [f"http://127.0.0.1{host}{path}", f"http://localhost{host}{path}"]
    finally:
        bridge.stop()
