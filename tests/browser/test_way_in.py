"""The way in for a clerk: `cardio open`, then tabs, bookmarks, pasted links, a closed browser, a restarted bridge."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import ARGUMENTS, CARDIO, CHROMIUM, Served
from tests.browser.elsewhere import Elsewhere, at, closed_port, found_in, simulate
from tests.integration.users import OTHER, doing
from tests.pcsc import wait_until

pytestmark = pytest.mark.browser
STORED = "() => JSON.stringify({ ...localStorage, ...sessionStorage })"
KIOSK = "/kiosk?reader=Simulated%20Reader%2000"
PASTE = "link => { location.href = link; }"


class Desktop:
    """A clerk's desktop: what `cardio open` starts as the browser notes the link."""

    def __init__(self, folder: Path, served: Served) -> None:
        self._noted = folder / "link"
        program = folder / "browser"
        program.write_text(
            f'#!/bin/sh\nprintf %s "$1" >"{self._noted}.new" && mv "{self._noted}.new" "{self._noted}"\n'
        )
        program.chmod(0o755)
        self._environment = os.environ | {"BROWSER": str(program)}
        self._served = served

    def click(self, *words: str) -> str:
        """What the icon runs; gives the link that the browser was started with."""
        self._noted.unlink(missing_ok=True)
        done = subprocess.run(
            [CARDIO, "open", "--address", self._served.address, *words],
            env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        link = self._noted.read_text()
        assert link.partition("#")[2] not in done.stdout + done.stderr
        return link


@pytest.fixture
def desktop(tmp_path: Path, served: Served) -> Desktop:
    return Desktop(tmp_path, served)


@pytest.fixture
def context(page: Page) -> BrowserContext:
    return page.context


def expect_card(page: Page) -> None:
    expect(page.locator("article").first.locator(".name")).to_have_text("测＊＊")
    assert page.get_by_role("alert").count() == 0


def expect_no_access(page: Page) -> None:
    expect(page.get_by_role("alert")).to_contain_text("本页尚未授权")
    expect(page.get_by_role("alert")).to_contain_text("请从桌面图标“读卡台”打开")


def status_of(address: str, token: str) -> int:
    request = urllib.request.Request(f"{address}/v1/readers", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_click_read_close_click_again(browser: Browser, desktop: Desktop, tmp_path: Path) -> None:
    """Nothing is typed: the icon, the card; the browser is closed; the icon, the card; and from then a bookmark too."""
    profile = tmp_path / "profile"

    def start() -> BrowserContext:
        kind = browser.browser_type
        return kind.launch_persistent_context(profile, executable_path=CHROMIUM, args=ARGUMENTS)

    for _ in range(2):
        window = start()
        page = window.new_page()
        page.goto(desktop.click())
        expect_card(page)
        window.close()
    window = start()
    page = window.new_page()
    page.goto(f"{desktop._served.address}/")
    expect_card(page)
    window.close()


def test_the_link_leaves_no_trace(page: Page, served: Served, desktop: Desktop) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.extend([request.url, request.headers.get("referer", "")]))
    page.goto("about:blank")
    link = desktop.click()
    ticket = link.partition("#ticket=")[2]
    page.goto(link)
    expect_card(page)
    assert page.url == f"{served.pages}/"
    assert page.evaluate("[location.href, document.referrer, history.length].join(' ')") == f"{served.pages}/  2"
    stored = page.evaluate(STORED)
    assert ticket not in stored and served.token not in stored and ticket not in page.content()
    assert not [url for url in asked if ticket in url or served.token in url]
    page.get_by_role("link", name="开发台").click()
    page.go_back()
    assert page.url == f"{served.pages}/"
    expect_card(page)


def test_tabs_bookmarks_and_reloads_need_no_link(page: Page, served: Served, desktop: Desktop) -> None:
    page.goto(desktop.click())
    expect_card(page)
    page.reload()
    expect_card(page)
    tab = page.context.new_page()
    tab.goto(served.address)
    expect_card(tab)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="开发台").click(modifiers=["Control"])
    expect(opened.value.locator(".reader-list label")).to_have_count(2)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="配对与授权").click(modifiers=["Shift"])
    expect(opened.value.locator("#granted")).to_be_visible()
    page.close()
    tab.close()
    late = opened.value.context.new_page()
    late.goto(served.address + KIOSK)
    expect(late.locator(".name")).to_have_text("测＊甲")


def test_a_link_that_is_pasted_into_the_page_is_taken(page: Page, served: Served, desktop: Desktop) -> None:
    page.goto(served.address)
    expect_no_access(page)
    page.evaluate(PASTE, desktop.click())
    expect_card(page)
    assert page.url == f"{served.pages}/"


def test_a_link_that_is_pasted_into_a_page_that_works_disturbs_nothing(
    page: Page, served: Served, desktop: Desktop
) -> None:
    page.goto(desktop.click())
    expect_card(page)
    page.locator("article").first.get_by_role("button", name="显示").click()
    before = page.evaluate(STORED)
    link = desktop.click()
    with page.expect_response("**/v1/pages/session") as answered:
        page.evaluate(PASTE, link)
    assert answered.value.status == 200
    assert page.url == f"{served.pages}/" and page.evaluate(STORED) == before
    expect(page.locator("article").first.locator(".name")).to_have_text("测试甲")
    # An old link, pasted by mistake, takes nothing away either.
    with page.expect_response("**/v1/hello?*grant=link-*") as answered:
        page.evaluate(PASTE, link)
    assert answered.value.json()["proof"] is None
    expect(page.locator("article").first.locator(".name")).to_have_text("测试甲")
    assert page.get_by_role("alert").count() == 0


def test_a_link_that_was_used_says_so(browser: Browser, page: Page, desktop: Desktop) -> None:
    link = desktop.click()
    page.goto(link)
    expect_card(page)
    other = browser.new_context()
    try:
        thief = other.new_page()
        thief.goto(link)
        expect(thief.get_by_role("alert")).to_contain_text("此链接已经用过，或已过期")
        expect(thief.get_by_role("alert")).to_contain_text("请重新点击桌面图标“读卡台”")
        assert thief.locator("article").count() == 0 and thief.url.endswith("/")
    finally:
        other.close()


def test_two_tabs_that_open_one_link_both_come_in(context: BrowserContext, page: Page, desktop: Desktop) -> None:
    link = desktop.click()
    tabs = [page, context.new_page(), context.new_page()]
    for tab in tabs:
        tab.evaluate("link => { location.href = link; }", link)
    for tab in tabs:
        expect_card(tab)


def test_a_tab_that_was_left_without_access_comes_in_with_the_next_one(
    page: Page, served: Served, desktop: Desktop
) -> None:
    page.goto(served.address)
    expect_no_access(page)
    page.context.new_page().goto(desktop.click())
    expect_card(page)


def test_a_bridge_that_was_started_anew_knows_no_page(page: Page, tmp_path: Path) -> None:
    """Neither the page's token nor a link that was not used; every open tab comes back with one click on the icon."""
    first = Served("adult", port=str(closed_port()))
    page.goto(first.link)
    expect_card(page)
    token = json.loads(page.evaluate("localStorage.getItem('cardio-session')"))["token"]
    unused = first.link
    assert status_of(first.address, token) == 200
    first.stop()
    expect(page.get_by_role("alert")).to_contain_text("读卡服务没有应答")
    second = Served("adult", port=first.address.rpartition(":")[2])
    try:
        expect_no_access(page)
        assert not found_in(page, "测")
        assert status_of(first.address, token) == 401 and token not in page.evaluate(STORED)
        tab = page.context.new_page()
        tab.goto(unused)
        expect(tab.get_by_role("alert")).to_contain_text("此链接已经用过，或已过期")
        page.context.new_page().goto(Desktop(tmp_path, second).click())
        expect_card(page)
        expect_card(tab)
        assert {urlsplit(one.url).hostname for one in (page, tab)} == {urlsplit(second.pages).hostname}
    finally:
        second.stop()


def test_a_session_that_is_ended_by_hand_ends_every_tab(page: Page, served: Served, desktop: Desktop) -> None:
    page.goto(desktop.click())
    tab = page.context.new_page()
    tab.goto(f"{served.address}/developer")
    expect(tab.locator(".reader-list label")).to_have_count(2)
    grant = json.loads(page.evaluate("localStorage.getItem('cardio-session')"))["grant"]
    subprocess.run([CARDIO, "pair", "revoke", grant, "--address", served.address], check=True, capture_output=True)
    expect_no_access(page)
    expect_no_access(tab)
    expect(tab.locator(".reader-list")).not_to_contain_text("没有读卡器")


@pytest.mark.parametrize("path", ["/", "/developer", "/pair", "/kiosk"])
def test_without_access_nothing_is_said_of_readers(page: Page, served: Served, path: str) -> None:
    page.goto(f"{served.address}{path}")
    expect_no_access(page)
    assert not found_in(page, "没有读卡器", "连接线", "no-reader")
    if path != "/kiosk":
        page.get_by_role("button", name="English").click()
        expect(page.get_by_role("alert")).to_contain_text("Open it with the desktop icon")


def test_a_kiosk_has_a_token_that_opens_nothing_else(page: Page, served: Served, desktop: Desktop) -> None:
    page.goto(desktop.click("kiosk?reader=Simulated Reader 00"))
    expect(page.locator(".name")).to_have_text("测＊甲")
    assert page.url == f"{served.pages}/kiosk?reader=Simulated%20Reader%2000"
    page.goto(served.address)
    expect_no_access(page)
    token = json.loads(page.evaluate("localStorage.getItem('cardio-kiosk-session')"))["token"]
    request = urllib.request.Request(f"{served.address}/v1/me", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["scopes"] == ["basic"]


def test_the_link_that_serve_shows_counts_once_and_says_how_to_get_the_next(page: Page, served: Served) -> None:
    page.goto(served.printed)
    expect_card(page)
    assert served.token not in served.printed


def test_a_link_with_the_owners_token_opens_nothing_and_is_kept_nowhere(page: Page, served: Served) -> None:
    """It would be in the browser's command line, in a history, in the hands of who listens at the port."""
    sent: list[str] = []
    page.on("request", lambda request: sent.extend([*request.headers.values(), request.post_data or "", request.url]))
    page.goto(f"{served.address}/#token={served.token}")
    expect_no_access(page)
    assert page.url == f"{served.pages}/"
    assert served.token not in page.evaluate(STORED) and served.token not in page.content()
    assert not [one for one in sent if served.token in one]
    page.reload()
    expect_no_access(page)


def test_where_the_browser_stores_nothing_the_link_opens_its_own_tab(
    page: Page, served: Served, desktop: Desktop
) -> None:
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('', 'SecurityError'); } });"
    )
    page.goto(desktop.click())
    expect_card(page)
    simulate(served, "PUT", {"persona": "child", "fault": None}, number=1)
    expect(page.locator("article").nth(1).locator(".name")).to_have_text("测＊＊")
    page.reload()
    expect_no_access(page)


def test_another_sites_page_spends_no_ticket(
    page: Page, served: Served, elsewhere: Elsewhere, desktop: Desktop
) -> None:
    link = desktop.click()
    ticket = link.partition("#ticket=")[2]
    page.goto(elsewhere.address)
    told: list[Any] = page.evaluate(
        """async ([address, ticket]) => {
            const body = JSON.stringify({ ticket });
            const tries = [
                { method: 'POST', body, headers: { 'Content-Type': 'application/json' } },
                { method: 'POST', body, mode: 'no-cors' },
                { method: 'POST', body, mode: 'no-cors', credentials: 'include', referrer: '' },
            ];
            const told = [];
            for (const one of tries) {
                try {
                    const answer = await fetch(address + '/v1/pages/session', one);
                    told.push(answer.type + (await answer.text()).length);
                } catch { told.push('blocked'); }
            }
            navigator.sendBeacon(address + '/v1/pages/session', body);
            const frame = Object.assign(document.createElement('iframe'), { src: address + '/#ticket=' + ticket });
            const loaded = new Promise((resolve) => { frame.onload = resolve; });
            document.body.append(frame);
            await loaded;
            return told;
        }""",
        [served.address, ticket],
    )
    assert set(told) <= {"blocked", "opaque0"}
    page.goto(link)
    expect_card(page)


@pytest.fixture
def squatter() -> Iterator[Callable[[int], Elsewhere]]:
    """Another program at the bridge's port; its page sends what it finds in the browser to its own server."""
    made: list[Elsewhere] = []

    def start(port: int) -> Elsewhere:
        made.append(Elsewhere(port=port))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def test_what_a_squatter_finds_in_the_browser_is_worth_nothing(
    page: Page, squatter: Callable[[int], Elsewhere]
) -> None:
    """The bridge is down, another program has its port, and the open tab is reloaded from it."""
    port = closed_port()
    first = Served("adult", port=str(port))
    page.goto(first.link)
    expect_card(page)
    first.stop()
    expect(page.get_by_role("alert")).to_contain_text("读卡服务没有应答")
    strange = squatter(port)
    page.goto(first.pages)
    found = page.evaluate(STORED)
    assert first.token not in found
    token = json.loads(json.loads(found)["cardio-session"])["token"] if "cardio-session" in found else ""
    strange.stop()
    second = Served("adult", port=str(port))
    try:
        wait_until(lambda: status_of(second.address, second.token) == 200, "the bridge is back")
        assert status_of(second.address, token or "x") == 401
    finally:
        second.stop()


def test_another_users_program_at_the_port_gets_nothing_of_lasting_value(browser: Browser) -> None:
    """A second user has the port while the bridge is down: a tab is reloaded, a late link and a kiosk's are opened.

    The browser keeps no pages, as one does where the clerk forbids service workers. What the stranger's page finds is
    read from the second user's own program, and tried at the bridge that comes back.
    """
    context = browser.new_context(service_workers="block")
    try:
        _reload_from_a_stranger(context.new_page())
    finally:
        context.close()


def _reload_from_a_stranger(page: Page) -> None:
    port = closed_port()
    first = Served("adult", port=str(port))
    page.goto(first.link)
    expect_card(page)
    late, kiosk = at(first, "/"), at(first, KIOSK)
    first.stop()
    expect(page.get_by_role("alert")).to_contain_text("读卡服务没有应答")
    with doing(OTHER, {"do": "squat", "port": port}) as squatter:
        assert squatter.began == "listens"
        # The page that was loaded from the bridge tells that it speaks to something else, by itself.
        expect(page.get_by_role("alert")).to_contain_text("本机端口上的程序不是读卡服务")
        for place in (first.pages, late, kiosk):
            tab = page.context.new_page()
            with tab.expect_response("**/found"):
                tab.goto(place)
            tab.close()
        seen = squatter.end()
    found = [one for one in seen if one.startswith("POST /found")]
    assert len(found) == 3 and any("#ticket=" in one for one in found), "it sees what the browser has"
    assert not [one for one in seen if first.token in one]
    second = Served("adult", port=str(port))
    try:
        wait_until(lambda: status_of(second.address, second.token) == 200, "the bridge is back")
        for secret in {word for one in seen for word in re.findall(r"[A-Za-z0-9_-]{40,}", one)}:
            assert status_of(second.address, secret) == 401
            asked = urllib.request.Request(
                f"{second.address}/v1/pages/session", json.dumps({"ticket": secret}).encode(),
                {"Content-Type": "application/json", "Origin": second.pages},
            )  # fmt: skip
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(asked)
    finally:
        second.stop()


def test_what_a_squatter_leaves_in_the_browser_does_not_stay(page: Page) -> None:
    """A service worker, which serves pages of its own from the browser, and pages in the cache that last for a year.

    The link that is opened next is at an address where none of it is, and has the browser forget it.
    """
    port = closed_port()
    address = f"http://127.0.0.1:{port}"
    with doing(OTHER, {"do": "squat", "port": port, "lasting": True}) as squatter:
        assert squatter.began == "listens"
        page.goto(address)
        page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        page.goto(f"{address}/developer")
        expect(page).to_have_title("squat")
        assert page.evaluate("navigator.serviceWorker.controller !== null")
        squatter.end()
    bridge = Served("adult", port=str(port))
    try:
        tab = page.context.new_page()
        link = bridge.link
        with tab.expect_response(f"{address}/v1/pages/forget") as forgotten:
            tab.goto(link)
        assert tab.title() != "squat" and tab.evaluate("location.origin") == bridge.pages
        expect_card(tab)
        assert forgotten.value.status == 204
        forgotten.value.finished()
        for path in ("/", "/developer", "/pair", "/kiosk"):
            tab.goto(address + path)
            tab.wait_for_url(bridge.pages + path)
            assert tab.title() != "squat"
    finally:
        bridge.stop()


def test_links_to_every_page_lead_there(page: Page, served: Served) -> None:
    for path, sign in (("/developer", ".reader-list label"), ("/pair", "#granted"), (KIOSK, ".name")):
        page.goto(at(served, path))
        expect(page.locator(sign).first).to_be_visible()
        assert page.url == served.pages + path


def test_many_tabs_work_and_one_too_many_says_so(page: Page, served: Served, desktop: Desktop) -> None:
    """Each click opens another tab. A browser has six connections to a server, which six event streams would fill."""
    tabs = [page, *(page.context.new_page() for _ in range(7))]
    for tab in tabs:
        tab.goto(desktop.click() if tab is page else served.address)
        expect_card(tab)
    one_more = page.context.new_page()
    one_more.goto(served.address)
    expect(one_more.get_by_role("alert")).to_contain_text("打开的读卡页面过多")
    tabs.pop().close()
    expect_card(one_more)
