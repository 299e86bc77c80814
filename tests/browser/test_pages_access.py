"""All four pages for everybody: by axe, by keyboard, at 1024×768 and at double size, offline, in forced colours."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import SdkDesk, at, simulate
from tests.browser.test_pages_pair import ask

IS_ABOUT_PAGES = True

pytestmark = pytest.mark.browser
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
PAGES = ["/", "/kiosk", "/developer", "/pair"]
TAB_ROUND = """() => {
    const active = document.activeElement;
    if (active === document.body || active === null) return null;
    const style = getComputedStyle(active);
    const box = active.getBoundingClientRect();
    window.visited = [...(window.visited ?? []), active];
    return { name: active.id || active.getAttribute('aria-label') || active.innerText.slice(0, 30) || active.tagName,
        outline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
        seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight };
}"""
UNVISITED = """() => {
    const all = 'a[href], button:not(:disabled), input:not([type=radio]), input:checked, select, textarea, summary';
    return [...document.querySelectorAll(all)]
        .filter((one) => one.checkVisibility() && one.tabIndex >= 0 && !visited.includes(one))
        .map((one) => one.outerHTML);
}"""
CLIPPED = """() => {
    const out = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) out.push(`the page is ${root.scrollWidth} wide, not ${root.clientWidth}`);
    for (const one of document.querySelectorAll('button, a, select, input, textarea, summary, p, dd, td, h1, h2, h3')) {
        if (!one.checkVisibility() || one.closest('.unseen, .skip, thead')) continue;
        const box = one.getBoundingClientRect();
        const outside = box.width && (box.left < -1 || box.right > innerWidth + 1);
        const cut = one.matches('button, a') && one.scrollWidth > one.clientWidth + 1;
        if (outside || cut) out.push(`${outside ? 'outside' : 'cut'}: ${one.outerHTML.slice(0, 100)}`);
    }
    return out;
}"""


def violations(page: Page) -> list[str]:
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {one['help']} {[node['html'][:160] for node in one['nodes']]}" for one in found["violations"]
    ]


def show(page: Page, state: str, served: Served) -> None:
    """Brings a page to one of its main states."""
    match state:
        case "counter masked":
            page.goto(served.link)
            expect(page.locator(".name").first).to_be_visible()
        case "counter shown":
            page.goto(served.link)
            page.get_by_role("button", name="显示").click()
            page.get_by_role("button", name="照片").click()
            expect(page.get_by_role("img", name="持卡人照片")).to_be_visible()
        case "counter empty and failing":
            simulate(served, "DELETE")
            simulate(served, "PUT", {"persona": "adult", "fault": "mute"}, number=1)
            page.goto(served.link)
            expect(page.get_by_role("alert")).to_be_visible()
        case "counter without token":
            page.goto(served.address)
            expect(page.get_by_role("alert")).to_be_visible()
        case "kiosk read":
            simulate(served, "DELETE", number=1)
            page.goto(at(served, "/kiosk"))
            expect(page.locator(".name")).to_be_visible()
        case "kiosk empty":
            simulate(served, "DELETE")
            page.goto(at(served, "/kiosk?reader=Simulated%20Reader%2000"))
            expect(page.locator("main")).to_contain_text("请插入")
        case "kiosk failing":
            simulate(served, "PUT", {"persona": "adult", "fault": "mute"})
            page.goto(at(served, "/kiosk"))
            expect(page.get_by_role("alert")).to_be_visible()
        case "developer files":
            page.goto(at(served, "/developer"))
            page.get_by_role("button", name="读取文件树").click()
            page.locator(".tree li", has_text="DF03").get_by_role("button", name="EF07").click()
            expect(page.locator(".items")).to_be_visible()
        case "developer commands":
            page.goto(at(served, "/developer"))
            page.get_by_role("button", name="读取文件树").click()
            expect(page.locator(".tree")).to_be_visible()
            page.get_by_role("tab", name="指令").click()
            expect(page.locator(".trace")).to_be_visible()
        case "developer driver":
            page.goto(at(served, "/developer"))
            page.get_by_role("tab", name="驱动函数").click()
            page.get_by_role("button", name="调用").click()
            expect(page.locator(".result")).to_be_visible()
            page.locator(".codes summary").click()
        case "developer events":
            page.goto(at(served, "/developer"))
            page.get_by_role("tab", name="事件").click()
            page.locator("summary").first.click()
            expect(page.locator("pre").first).to_be_visible()
        case _:
            page.goto(at(served, "/pair"))
            expect(page.locator("#granted")).to_be_visible()
    page.wait_for_timeout(100)


STATES = [
    "counter masked",
    "counter shown",
    "counter empty and failing",
    "counter without token",
    "kiosk read",
    "kiosk empty",
    "kiosk failing",
    "developer files",
    "developer commands",
    "developer driver",
    "developer events",
    "pairing empty",
]


@pytest.fixture
def full(request: pytest.FixtureRequest) -> Served:
    made = Served("whole", "third-closed")
    request.addfinalizer(made.stop)
    return made


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_clean_by_axe_and_fits(page: Page, full: Served, state: str) -> None:
    """At 1024×768, and at 200 %, where the same window is 512 wide; in both languages."""
    page.set_viewport_size({"width": 1024, "height": 768})
    show(page, state, full)
    assert violations(page) == []
    assert page.evaluate(CLIPPED) == []
    page.set_viewport_size({"width": 512, "height": 384})
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("button", name="中文")).to_be_visible()
    assert page.evaluate(CLIPPED) == []
    assert violations(page) == []


def test_a_request_and_a_grant_are_clean_and_fit(desk: SdkDesk) -> None:
    desk.pair("basic")
    desk.page.evaluate("window.asked = null")
    desk.ask("basic", "files", "pin", "write", "settle")
    desk.own.set_viewport_size({"width": 1024, "height": 768})
    desk.own.goto(at(desk.served, "/pair"))
    expect(desk.own.locator(".pairing")).to_be_visible()
    assert violations(desk.own) == [] and desk.own.evaluate(CLIPPED) == []
    desk.own.set_viewport_size({"width": 512, "height": 384})
    desk.own.get_by_role("button", name="撤销").click()
    assert violations(desk.own) == [] and desk.own.evaluate(CLIPPED) == []


def test_warnings_about_a_site_are_clean_and_fit(page: Page, full: Served) -> None:
    ask(full, "https://" + ".".join(["his-example-hospital-cn"] * 7) + ".evil-site-with-a-rather-long-name.com.cn:8443")
    ask(full, "http://10.1.2.3:8080", "长" * 40)
    ask(full, "https://xn--80ak6aa92e.com", "x" * 40)
    page.set_viewport_size({"width": 1024, "height": 768})
    page.goto(at(full, "/pair"))
    expect(page.locator(".pairing")).to_have_count(3)
    expect(page.get_by_role("button", name="允许").first).to_be_enabled()
    assert violations(page) == [] and page.evaluate(CLIPPED) == []
    page.set_viewport_size({"width": 512, "height": 384})
    assert violations(page) == [] and page.evaluate(CLIPPED) == []


@pytest.mark.parametrize("state", ["counter shown", "kiosk read", "developer files", "developer driver"])
def test_the_tab_key_reaches_everything_and_leaves_again(page: Page, full: Served, state: str) -> None:
    show(page, state, full)
    page.evaluate("() => { window.visited = []; }")
    page.locator("a, button").first.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    for _ in range(150):
        at_now = page.evaluate(TAB_ROUND)
        if at_now is None or page.evaluate("() => visited.indexOf(visited[visited.length - 1]) < visited.length - 1"):
            break
        assert at_now["outline"] and at_now["seen"], at_now
        page.keyboard.press("Tab")
    else:
        pytest.fail("the Tab key never came round")
    assert page.evaluate(UNVISITED) == []


@pytest.mark.parametrize("path", PAGES)
def test_nothing_comes_from_outside(page: Page, full: Served, path: str) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(at(full, path))
    expect(page.locator("main")).to_contain_text("卡" if path != "/pair" else "授权")
    page.wait_for_timeout(500)
    port = full.address.rpartition(":")[2]
    left = tuple(f"http://{host}:{port}/v1/pages/forget" for host in ("127.0.0.1", "localhost"))
    assert asked and all(url.startswith((full.pages, "blob:", *left)) for url in asked), asked
    assert [one for one in complaints if "Content Security Policy" in one and "[::1]" not in one] == []


def test_less_motion_for_those_who_ask(browser: Browser, full: Served) -> None:
    simulate(full, "DELETE")
    context = browser.new_context(reduced_motion="reduce")
    try:
        page = context.new_page()
        page.goto(at(full, "/kiosk?reader=Simulated%20Reader%2000"))
        expect(page.locator("main")).to_contain_text("请插入")
        names = "() => document.getAnimations().length"
        assert page.evaluate(names) == 0
    finally:
        context.close()


def test_forced_colours_keep_states_apart(browser: Browser, full: Served) -> None:
    simulate(full, "DELETE", number=1)
    context = browser.new_context(forced_colors="active")
    try:
        page = context.new_page()
        page.goto(full.link)
        expect(page.locator("article").nth(1)).to_contain_text("无卡")
        expect(page.locator(".name").first).to_be_visible()
        fills = page.evaluate(
            "() => [...document.querySelectorAll('article .dot')].map((dot) => getComputedStyle(dot).backgroundColor)"
        )
        assert fills[0] != fills[1]
        widths = page.evaluate(
            "() => [...document.querySelectorAll('button')].map((one) => parseFloat(getComputedStyle(one).borderWidth))"
        )
        assert all(width >= 1 for width in widths)
    finally:
        context.close()
