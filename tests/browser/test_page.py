"""The page in real Chromium, by what a person sees and presses."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import found_in

IS_ABOUT_PAGES = True

pytestmark = pytest.mark.browser


def desk(page: Page, number: int) -> Locator:
    return page.locator(f"article[data-reader='Simulated Reader 0{number}']")


def test_a_card_is_read_by_itself_and_masked_until_asked(page: Page, served: Served) -> None:
    page.goto(served.link)
    first = desk(page, 0)
    expect(first.locator(".name")).to_have_text("测＊＊")
    expect(first).not_to_contain_text("119900197708090027")
    # Masked is masked: not hidden by style only.
    assert not found_in(page, "测试甲", "119900197708090027")
    first.get_by_role("button", name="显示").click()
    expect(first.locator(".name")).to_have_text("测试甲")
    expect(first).to_contain_text("119900197708090027")
    expect(first).to_contain_text("山东省青岛市")
    first.get_by_role("button", name="隐藏").click()
    expect(first.locator(".name")).to_have_text("测＊＊")


def test_what_is_said_of_an_item_is_masked_with_it(page: Page) -> None:
    served = Served("field")
    try:
        page.goto(served.link)
        first = desk(page, 0)
        expect(first).to_contain_text("有 2 项异常")
        assert not found_in(page, "19700230")
        first.get_by_role("button", name="显示").click()
        expect(first).to_contain_text("日期 19700230 不存在")
    finally:
        served.stop()


def test_the_token_leaves_the_address_and_a_reload_keeps_the_page(page: Page, served: Served) -> None:
    page.goto(served.link)
    expect(desk(page, 0).locator(".name")).to_be_visible()
    assert page.url == f"{served.pages}/"
    page.reload()
    expect(desk(page, 0).locator(".name")).to_be_visible()


def test_cards_come_and_go_without_reloading(page: Page, served: Served) -> None:
    page.goto(served.link)
    page.evaluate("window.stillHere = true")
    first = desk(page, 0)
    first.get_by_role("button", name="显示").click()
    expect(first.locator(".name")).to_have_text("测试甲")
    first.get_by_role("button", name="拔卡").click()
    expect(first).to_contain_text("请插入社会保障卡")
    assert not found_in(page, "测试甲")
    first.get_by_label("测试卡样例").select_option("child")
    first.get_by_role("button", name="插卡").click()
    expect(first.locator(".name")).to_have_text("测＊＊")
    first.get_by_role("button", name="显示").click()
    expect(first.locator(".name")).to_have_text("测小小")
    assert page.evaluate("window.stillHere")


@pytest.mark.parametrize(
    ("fault", "title", "remedy"),
    [
        ("mute", "卡片没有应答", "芯片面朝上"),
        ("bank-card", "这不是社会保障卡", "请换用社会保障卡"),
        ("garbage", "卡", "重新插卡"),
        ("blocked", "已被锁定", "发卡机构"),
    ],
)
def test_an_error_says_what_happened_and_what_to_do(
    page: Page, served: Served, fault: str, title: str, remedy: str
) -> None:
    page.goto(served.link)
    first = desk(page, 0)
    first.get_by_label("故障").select_option(fault)
    first.get_by_role("button", name="插卡").click()
    problem = first.get_by_role("alert")
    expect(problem.get_by_role("heading")).to_contain_text(title)
    expect(problem).to_contain_text("处理：")
    if fault != "garbage":
        expect(problem).to_contain_text(remedy)
    first.get_by_label("故障").select_option("")
    first.get_by_role("button", name="插卡").click()
    expect(first.locator(".name")).to_be_visible()


def test_a_closed_card_shows_the_card_and_says_what_is_closed(page: Page, served: Served) -> None:
    page.goto(served.link)
    second = desk(page, 1)
    expect(second).to_contain_text("持卡人信息需授权读取")
    expect(second).to_contain_text("PSAM")
    expect(second).to_contain_text("江苏省无锡市")


def test_english_is_complete(page: Page, served: Served) -> None:
    page.goto(served.link)
    page.get_by_role("button", name="English").click()
    first = desk(page, 0)
    first.get_by_role("button", name="Show").click()
    first.get_by_label("Fault").select_option("mute")
    expect(first).to_contain_text("Date of birth")
    page.get_by_role("button", name="中文").wait_for()
    left = page.locator("main").inner_text()
    # Only what is a proper name on the card itself stays Chinese.
    rest = re.sub("测试甲|山东省青岛市|江苏省无锡市", "", left)
    assert not re.search("[\u4e00-\u9fff：。、]", rest), re.findall("[\u4e00-\u9fff：。、]+", rest)
    first.get_by_role("button", name="Insert").click()
    expect(first.get_by_role("alert")).to_contain_text("The card does not answer")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_both_languages_have_the_same_words(page: Page, served: Served) -> None:
    page.goto(served.link)
    words = page.evaluate("import('/static/i18n/index.js').then((module) => module.words)")
    assert words["zh"].keys() == words["en"].keys()
    assert all(words["zh"].values()) and all(words["en"].values())


def test_vendored_modules_are_what_their_list_says() -> None:
    vendor = Path(__file__).parents[2] / "service" / "web" / "vendor"
    listed = re.findall(
        r"^\| `(\w+\.js)` .* `([0-9a-f]{64})` \|$", (vendor / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert {name for name, _ in listed} == {path.name for path in vendor.glob("*.js")}
    for name, digest in listed:
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest


def test_without_the_token_the_page_says_how_to_get_in(page: Page, served: Served) -> None:
    page.goto(served.address)
    expect(page.get_by_role("alert")).to_contain_text("本页尚未授权")
    expect(page.get_by_role("alert")).to_contain_text("请从桌面图标“读卡台”打开；没有图标请联系信息科")
    page.goto(f"{served.address}/#token=wrong")
    page.wait_for_url(f"{served.pages}/")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("本页尚未授权")
    assert page.locator("article").count() == 0


def test_when_the_service_stops_nothing_personal_stays_and_it_comes_back(page: Page) -> None:
    first = Served("adult")
    page.goto(first.link)
    desk(page, 0).get_by_role("button", name="显示").click()
    expect(desk(page, 0).locator(".name")).to_have_text("测试甲")
    first.stop()
    expect(page.get_by_role("alert")).to_contain_text("读卡服务没有应答")
    assert not found_in(page, "测试甲")


def test_a_bridge_that_was_killed_and_started_again_asks_for_the_icon(page: Page) -> None:
    """What was kept in the page could have been read by another program at the port meanwhile: it counts no more."""
    first = Served("adult")
    page.goto(first.link)
    expect(desk(page, 0).locator(".name")).to_be_visible()
    first.process.kill()
    first.process.communicate()
    expect(page.get_by_role("alert")).to_contain_text("读卡服务没有应答")
    again = Served("child", port=first.address.rpartition(":")[2])
    try:
        expect(page.get_by_role("alert")).to_contain_text("本页尚未授权")
        assert not found_in(page, "测")
        page.evaluate("link => { location.href = link; }", again.link)
        expect(desk(page, 0).locator(".name")).to_have_text("测＊＊")
        assert page.get_by_role("alert").count() == 0
    finally:
        again.stop()


def test_a_page_from_elsewhere_gets_nothing(browser: Browser, served: Served) -> None:
    """A hostile origin with the right token: the request is refused, and the script sees no answer."""
    other = Served("adult")
    context = browser.new_context()
    page = context.new_page()
    try:
        page.goto(f"{other.address}/livez")
        token = served.token
        outcome = page.evaluate(
            """async ([address, token]) => {
                const tries = [
                    () => fetch(address + '/v1/readers', {headers: {Authorization: 'Bearer ' + token}}),
                    () => fetch(address + '/v1/readers', {mode: 'no-cors'}),
                    () => fetch(address + '/livez'),
                ];
                const results = [];
                for (const one of tries) {
                    try { const r = await one(); results.push(r.type + ':' + (await r.text()).length); }
                    catch (error) { results.push('blocked'); }
                }
                return results;
            }""",
            [served.address, token],
        )
        assert outcome[0] == "blocked" and outcome[2] == "blocked"
        assert outcome[1] in ("blocked", "opaque:0")
    finally:
        context.close()
        other.stop()


def test_it_works_by_keyboard_alone(page: Page, served: Served) -> None:
    page.goto(served.link)
    expect(desk(page, 0).locator(".name")).to_have_text("测＊＊")
    show = desk(page, 0).get_by_role("button", name="显示")
    for _ in range(20):
        page.keyboard.press("Tab")
        if show.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(desk(page, 0).locator(".name")).to_have_text("测试甲")
    # The pressed button keeps the focus although the page was drawn anew.
    page.keyboard.press("Enter")
    expect(desk(page, 0).locator(".name")).to_have_text("测＊＊")


def test_markup_on_a_card_stays_text(page: Page, tmp_path: Path) -> None:
    persona = tmp_path / "markup.toml"
    adult = Path(__file__).parents[2] / "simulators" / "personas" / "adult.toml"
    text = adult.read_text(encoding="utf-8").replace('name = "测试甲"', 'name = "<img src=x onerror=a()>"')
    persona.write_text(text, encoding="utf-8")
    hostile = Served(str(persona))
    try:
        page.goto(hostile.link)
        desk(page, 0).get_by_role("button", name="显示").click()
        expect(desk(page, 0).locator(".name")).to_have_text("<img src=x onerror=a()>")
        assert page.locator("article img").count() == 0
    finally:
        hostile.stop()
