"""The bridge's own pages while another program has its port: the browser keeps them, and they say what they find."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import Elsewhere, at, closed_port
from tests.browser.squatter import Squatter, expect_imposter
from tests.pcsc import wait_until

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
KIOSK = "/kiosk?reader=Simulated%20Reader%2000"
PLACES = ["/", KIOSK, "/developer", "/pair"]
IS_KEPT = "navigator.serviceWorker.ready.then(({ active }) => active.state === 'activated' || active.state)"


def open_and_keep(page: Page, bridge: Served) -> None:
    page.goto(bridge.link)
    expect(page.locator("article").first.locator(".name")).to_have_text("测＊＊")
    assert page.evaluate(IS_KEPT)


@pytest.mark.parametrize("forgets", [False, True], ids=["a-page", "a-page-that-clears"])
def test_a_tab_that_is_reloaded_tells_of_the_stranger(
    page: Page, squatter: Callable[..., Squatter], forgets: bool
) -> None:
    bridge = Served("adult", port=str(closed_port()))
    open_and_keep(page, bridge)
    late = [at(bridge, place) for place in PLACES]
    port = int(bridge.pages.rpartition(":")[2])
    bridge.stop()
    expect(page.get_by_role("alert")).to_contain_text("读卡服务没有应答")
    page.reload()
    # The browser's own page of an unreachable address tells a clerk nothing.
    expect(page.get_by_role("alert")).to_contain_text("读卡服务没有应答")
    strange = squatter(port, forgets=forgets)
    for _ in range(2):
        page.reload()
        expect_imposter(page)
    for place in PLACES[2:]:
        page.goto(bridge.pages + place)
        expect_imposter(page)
    for link in late:
        page.goto("about:blank")
        page.goto(link)
        expect_imposter(page)
    assert strange.posted == [], "neither its script has run, nor was a ticket sent to it"


def test_what_it_shows_at_other_addresses_is_shown_and_does_nothing(
    page: Page, squatter: Callable[..., Squatter]
) -> None:
    """Any site can send the browser to any address of the port."""
    bridge = Served("adult", port=str(closed_port()))
    open_and_keep(page, bridge)
    bridge.stop()
    strange = squatter(int(bridge.pages.rpartition(":")[2]), forgets=True)
    for place in ("/elsewhere", "/index.html", "/static/", "/static/page.html", "/v1/readers"):
        page.goto(bridge.pages + place)
        expect(page).to_have_title("squat")
        assert page.evaluate("self.origin") == "null"
    page.goto(bridge.pages)
    expect_imposter(page)
    assert strange.posted == []


@pytest.mark.parametrize("path", ["/", "/kiosk", "/elsewhere"])
def test_a_form_that_another_site_sends_here_is_not_sent(
    page: Page, squatter: Callable[..., Squatter], elsewhere: Elsewhere, path: str
) -> None:
    """A page of any site can send the browser here by POST, which passes over what is kept for GET."""
    bridge = Served("adult", port=str(closed_port()))
    open_and_keep(page, bridge)
    bridge.stop()
    strange = squatter(int(bridge.pages.rpartition(":")[2]), forgets=True)
    page.goto(elsewhere.address)
    page.evaluate(
        """address => {
            const form = Object.assign(document.createElement('form'), { method: 'post', action: address });
            document.body.append(form);
            form.submit();
        }""",
        bridge.pages + path,
    )
    page.wait_for_url(bridge.pages + path)
    expect_imposter(page)
    page.goto(bridge.pages)
    expect_imposter(page)
    assert strange.posted == []


def test_a_stranger_that_says_it_knows_no_such_page_is_told_from_a_bridge_that_was_started_anew(
    page: Page, squatter: Callable[..., Squatter]
) -> None:
    """The bridge proves in every later run that it gave the session; a stranger learns nothing from being asked."""
    bridge = Served("adult", port=str(closed_port()))
    open_and_keep(page, bridge)
    session = json.loads(page.evaluate("localStorage.getItem('cardio-session')"))
    late = at(bridge, "/")
    bridge.stop()
    strange = squatter(int(bridge.pages.rpartition(":")[2]), silent=True)
    for address in (bridge.pages, late):
        page.goto("about:blank")
        page.goto(address)
        expect_imposter(page)
    assert strange.posted and all(one.startswith("/v1/pages/moved ") for one in strange.posted)
    sent = "".join(strange.posted)
    assert session["token"] not in sent and session["recall"] not in sent and late.partition("#ticket=")[2] not in sent


def test_a_worker_that_the_browser_finds_at_a_strangers_port_does_not_stay(
    page: Page, squatter: Callable[..., Squatter]
) -> None:
    """Browsers look for a newer worker once a day, whatever they were told; here because their cache was emptied."""
    port = closed_port()
    bridge = Served("adult", port=str(port))
    open_and_keep(page, bridge)
    bridge.stop()
    strange = squatter(port)
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    page.reload()
    expect_imposter(page)
    registered = "navigator.serviceWorker.getRegistrations().then((all) => all.length)"
    wait_until(
        lambda: page.evaluate(registered) == 0,
        "its worker is refused",
        sleep=lambda seconds: page.wait_for_timeout(1000 * seconds),
    )
    strange.stop()
    bridge = Served("adult", port=str(port))
    try:
        tab = page.context.new_page()
        tab.goto(bridge.link)
        expect(tab.locator("article").first.locator(".name")).to_have_text("测＊＊")
        assert tab.evaluate(IS_KEPT)
    finally:
        bridge.stop()


def test_the_bridge_that_comes_back_is_opened_by_the_next_click(page: Page, squatter: Callable[..., Squatter]) -> None:
    port = closed_port()
    bridge = Served("adult", port=str(port))
    open_and_keep(page, bridge)
    bridge.stop()
    strange = squatter(port)
    page.reload()
    expect_imposter(page)
    strange.stop()
    bridge = Served("adult", port=str(port))
    try:
        page.context.new_page().goto(bridge.link)
        for tab in page.context.pages:
            expect(tab.locator("article").first.locator(".name")).to_have_text("测＊＊")
    finally:
        bridge.stop()


def test_the_pages_of_a_new_version_replace_those_that_were_kept(page: Page, tmp_path: Path) -> None:
    """The first click after an upgrade shows the new ones, and so does a tab that was open, once it is reloaded."""
    port = str(closed_port())
    old = Served("adult", port=port)
    open_and_keep(page, old)
    old.stop()
    newer = tmp_path / "newer"
    shutil.copytree(ROOT / "service", newer / "service", ignore=shutil.ignore_patterns("__pycache__"))
    words = newer / "service" / "web" / "i18n" / "common.js"
    words.write_text(words.read_text().replace("配对与授权", "配对及授权"))
    bridge = Served("adult", port=port, source=newer)
    try:
        for _ in range(2):
            tab = page.context.new_page()
            tab.goto(bridge.link)
            expect(tab.get_by_role("link", name="配对及授权")).to_be_visible()
            expect(tab.locator("article").first.locator(".name")).to_have_text("测＊＊")
        page.reload()
        expect(page.get_by_role("link", name="配对及授权")).to_be_visible()
    finally:
        bridge.stop()
