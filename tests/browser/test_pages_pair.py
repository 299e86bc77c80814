"""The pairing page: who asks, in large letters; what is allowed; and the way out."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import Elsewhere, SdkDesk, at
from tests.pcsc import wait_until

IS_ABOUT_PAGES = True

pytestmark = pytest.mark.browser


def test_nobody_asks_and_nobody_is_let_in(page: Page, served: Served) -> None:
    page.goto(at(served, "/pair"))
    expect(page.locator("main")).to_contain_text("没有网页在请求配对")
    expect(page.locator("main")).to_contain_text("还没有授权任何网页或程序")


def test_a_request_appears_by_itself_and_says_who_it_is(desk: SdkDesk, elsewhere: Elsewhere) -> None:
    desk.own.goto(at(desk.served, "/pair"))
    expect(desk.own.locator("main")).to_contain_text("没有网页在请求配对")
    code = desk.ask("basic", "files")
    request = desk.own.locator(".pairing")
    expect(request.locator(".origin")).to_have_text(elsewhere.address)
    expect(request.locator(".pairing-code")).to_have_text(code)
    expect(request).to_contain_text("门诊收费")
    expect(desk.own.locator("[data-voice]")).to_contain_text(elsewhere.address)
    sizes = request.evaluate(
        """card => ['.origin', '.asks'].map((one) => parseFloat(getComputedStyle(card.querySelector(one)).fontSize))"""
    )
    assert sizes[0] > 2 * sizes[1], "the origin is what a person decides by"


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bridge is started with every scope that a page can have."""
    monkeypatch.setenv("CARDIO_BRIDGE_SCOPES", "basic,files,pin,write,settle")


def test_nothing_is_granted_that_the_bridge_was_not_started_with(desk: SdkDesk) -> None:
    desk.ask("basic", "pin")
    desk.own.goto(at(desk.served, "/pair"))
    request = desk.own.locator(".pairing")
    expect(request.get_by_label("使用持卡人密码")).to_be_disabled()
    expect(request).to_contain_text("启动时未放行此权限")
    request.get_by_role("button", name="允许").click()
    expect(desk.own.locator(".grant")).to_contain_text("读取基本信息")
    assert desk.page.evaluate("pairing")["granted"]["scopes"] == ["basic"]


def test_what_is_risky_is_ticked_by_hand_only(everything: None, desk: SdkDesk) -> None:
    desk.ask("basic", "files", "pin", "write", "settle")
    desk.own.goto(at(desk.served, "/pair"))
    request = desk.own.locator(".pairing")
    for scope, ticked in (
        ("读取基本信息", True),
        ("读取卡内全部文件", True),
        ("使用持卡人密码", False),
        ("修改卡内数据", False),
        ("扣款结算", False),
    ):
        expect(request.get_by_label(scope)).to_be_checked(checked=ticked)
    expect(request.locator(".scope.risky")).to_have_count(3)
    expect(request.locator(".scope.risky").first).to_contain_text("卡就会被锁定")
    request.get_by_label("读取卡内全部文件").uncheck()
    request.get_by_label("使用持卡人密码").check()
    request.get_by_role("button", name="允许").click()
    granted = desk.own.locator(".grant")
    expect(granted).to_contain_text("读取基本信息、使用持卡人密码")
    assert desk.page.evaluate("pairing")["granted"]["scopes"] == ["basic", "pin"]


def test_nothing_ticked_is_nothing_to_allow(desk: SdkDesk) -> None:
    desk.ask("basic")
    desk.own.goto(at(desk.served, "/pair"))
    request = desk.own.locator(".pairing")
    request.get_by_label("读取基本信息").uncheck()
    expect(request.get_by_role("button", name="允许")).to_be_disabled()


def test_revoking_takes_two_presses_and_a_double_one_revokes_nothing(desk: SdkDesk, elsewhere: Elsewhere) -> None:
    desk.pair("basic")
    grant = desk.own.locator(".grant")
    expect(grant).to_contain_text(elsewhere.address)
    revoke = desk.own.get_by_role("button", name=f"撤销 {elsewhere.address}")
    revoke.focus()
    desk.own.keyboard.press("Enter")
    expect(desk.own.get_by_role("button", name="取消")).to_be_focused()
    desk.own.keyboard.press("Enter")
    expect(revoke).to_be_focused()
    expect(grant).to_have_count(1)
    desk.own.keyboard.press("Enter")
    desk.own.get_by_role("button", name="确认撤销").click()
    expect(grant).to_have_count(0)
    expect(desk.own.locator("#granted")).to_be_focused()


def test_the_focus_goes_on_where_a_request_was(desk: SdkDesk) -> None:
    desk.ask("basic")
    desk.own.goto(at(desk.served, "/pair"))
    desk.own.get_by_role("button", name="拒绝").focus()
    desk.own.keyboard.press("Enter")
    expect(desk.own.locator("#waiting")).to_be_focused()


def test_a_stranger_cannot_open_the_pairing_page_in_a_frame(desk: SdkDesk) -> None:
    desk.page.evaluate(
        """address => new Promise((resolve) => {
            const frame = Object.assign(document.createElement('iframe'), { src: address, onload: resolve });
            document.body.append(frame);
        })""",
        f"{desk.served.address}/pair",
    )
    desk.page.wait_for_function("frames.length === 1")
    wait_until(
        lambda: desk.page.frames[1].url.startswith("chrome-error://"),
        "the frame is refused",
        sleep=lambda seconds: desk.page.wait_for_timeout(1000 * seconds),
    )


def test_without_the_owners_token_nobody_is_listed(page: Page, served: Served) -> None:
    page.goto(f"{served.address}/pair")
    expect(page.get_by_role("alert")).to_contain_text("请从桌面图标“读卡台”打开")
    expect(page.locator(".pairing, .grant")).to_have_count(0)


def test_it_speaks_english(everything: None, desk: SdkDesk) -> None:
    desk.ask("basic", "pin")
    desk.own.goto(at(desk.served, "/pair"))
    desk.own.get_by_role("button", name="English").click()
    request = desk.own.locator(".pairing")
    expect(request).to_contain_text("The page must show the same code")
    expect(request).to_contain_text("A few wrong ones block the card")
    request.get_by_role("button", name="Deny").click()
    expect(desk.own.locator("main")).to_contain_text("No page asks to be paired")


def ask(served: Served, origin: str, name: str = "", *scopes: str) -> dict[str, Any]:
    """A page of another site asks to be let in."""
    request = urllib.request.Request(
        f"{served.address}/v1/pairing",
        data=json.dumps({"name": name, "scopes": list(scopes or ("basic", "files"))}).encode(),
        headers={"Origin": origin, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        begun: dict[str, Any] = json.load(answer)
        return begun


@pytest.fixture
def his_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "bridge.toml"
    settings.write_text('[[trusted_origins]]\norigin = "https://his.example-hospital.cn"\nname = "示例医院 HIS"\n')
    monkeypatch.setenv("CARDIO_BRIDGE_FILE", str(settings))


WEIGHTS = """card => Object.fromEntries(['.whose', '.rest', '.own-name bdi'].map((one) => {
    const style = getComputedStyle(card.querySelector(one));
    return [one, [Number(style.fontWeight), parseFloat(style.fontSize), style.color]];
}))"""


def test_whose_site_it_is_stands_out_of_a_name_that_is_meant_to_deceive(
    his_is_trusted: None, served: Served, page: Page
) -> None:
    origin = "https://his.example-hospital.cn.a.login.evil.com"
    ask(served, origin, "示例医院 HIS")
    page.goto(at(served, "/pair"))
    card = page.locator(".pairing")
    expect(card.locator(".origin")).to_have_text(origin)
    expect(card.locator(".whose")).to_have_text("evil.com")
    weights = card.evaluate(WEIGHTS)
    assert weights[".whose"][0] >= 700 > weights[".rest"][0]
    assert weights[".whose"][1] >= 1.8 * weights[".rest"][1] and weights[".whose"][1] > 2 * weights[".own-name bdi"][1]
    assert weights[".whose"][2] != weights[".rest"][2]
    expect(card.locator(".remark")).to_have_count(1)
    expect(card.locator(".remark")).to_contain_text("https://his.example-hospital.cn（示例医院 HIS）")
    expect(card.locator(".remark")).to_contain_text("evil.com 的网页，是另一个网站")
    # The site's own word stands below its address, and is said to be its own.
    expect(card.locator(".own-name")).to_contain_text("网站自称：示例医院 HIS")
    above = card.evaluate(
        "card => ['.whose', '.remark', '.own-name'].map((one) => card.querySelector(one).getBoundingClientRect().top)"
    )
    assert above == sorted(above)


@pytest.mark.parametrize("width", [1024, 420])
def test_the_end_of_a_long_name_is_seen(served: Served, page: Page, width: int) -> None:
    long = f"https://{'.'.join(['his-example-hospital-cn'] * 8)}.evil-site.com.cn:8443"
    ask(served, long)
    page.set_viewport_size({"width": width, "height": 768})
    page.goto(at(served, "/pair"))
    whose = page.locator(".whose")
    expect(whose).to_have_text("evil-site.com.cn")
    seen = whose.evaluate(
        """whose => {
            const box = whose.getBoundingClientRect(), lines = whose.getClientRects().length;
            const inside = [box.left >= 0, box.right <= innerWidth, box.bottom <= innerHeight];
            return [...inside, lines, getComputedStyle(whose).textOverflow];
        }"""
    )
    assert seen == [True, True, True, 1, "clip"], "it is in the window, in one piece"
    expect(page.locator(".origin")).to_have_text(long)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_names_in_other_letters_are_shown_in_both_forms(his_is_trusted: None, served: Served, page: Page) -> None:
    label = f"xn--{'еxample-hospital'.encode('punycode').decode()}"  # the first letter is Cyrillic
    ask(served, f"https://his.{label}.cn", "\u202e\u2066收费\u0301\u0301\u0301\u0301 🏥 ＨＩＳ" + "长" * 90)
    page.goto(at(served, "/pair"))
    card = page.locator(".pairing")
    expect(card.locator(".origin")).to_have_text(f"https://his.{label}.cn")
    expect(card.locator(".readable")).to_have_text("网址原文：his.еxample-hospital.cn")
    codes = [one.get_attribute("data-code") for one in card.locator(".remark").all()]
    assert codes == ["confusable", "mixed-scripts"]
    expect(card).to_contain_text("西里尔字母、拉丁字母")
    name = card.locator(".own-name bdi").inner_text()
    assert name.startswith("收费\u0301\u0301 🏥 ＨＩＳ") and len(name) == 40 and "\u202e" not in name


def test_plain_http_is_said(served: Served, page: Page) -> None:
    ask(served, "http://10.1.2.3:8080")
    page.goto(at(served, "/pair"))
    expect(page.locator(".remark.mild")).to_contain_text("不是 https")
    page.get_by_role("button", name="English").click()
    expect(page.locator(".remark.mild")).to_contain_text("not https")


def test_a_card_that_slips_under_the_pointer_is_not_pressed(served: Served, page: Page) -> None:
    ask(served, "https://first.com")
    ask(served, "https://second.com")
    page.goto(at(served, "/pair"))
    expect(page.locator(".pairing").first.get_by_role("button", name="允许")).to_be_enabled()
    # The first one goes, and the second moves to where it stood. A pointer presses at the moment that this is drawn.
    page.evaluate(
        """() => new MutationObserver((changes, observer) => {
            const buttons = document.querySelectorAll('.pairing button.main');
            if (buttons.length !== 1) return;
            observer.disconnect();
            buttons[0].dispatchEvent(new MouseEvent('click', { bubbles: true, detail: 1 }));
            document.documentElement.dataset.pressed = 'yes';
        }).observe(document.body, { childList: true, subtree: true })"""
    )
    listed = urllib.request.Request(f"{served.address}/v1/pairing", headers={"Authorization": f"Bearer {served.token}"})
    with urllib.request.urlopen(listed) as answer:
        request = json.load(answer)["requests"][0]["request"]
    deny = urllib.request.Request(f"{served.address}/v1/pairing/{request}/deny", method="POST", headers=listed.headers)
    urllib.request.urlopen(deny).close()
    expect(page.locator("html[data-pressed]")).to_have_count(1)
    expect(page.locator(".whose")).to_have_text("second.com")
    button = page.locator(".pairing").get_by_role("button", name="允许")
    expect(button).to_be_enabled()
    expect(page.locator(".grant")).to_have_count(0)
    button.click()
    expect(page.locator(".grant")).to_contain_text("second.com")


def test_among_very_many_a_request_is_found_by_its_code(served: Served, page: Page) -> None:
    for number in range(40):
        ask(served, f"https://a.evil{number}.com")
    code = ask(served, "https://honest.com")["code"]
    for number in range(40, 80):
        ask(served, f"https://a.evil{number}.com")
    page.goto(at(served, "/pair"))
    expect(page.locator(".pairing")).to_have_count(16)
    expect(page.locator(".find")).to_contain_text("另有 65 个请求没有列出")
    page.get_by_label("按配对码查找").fill(code)
    page.get_by_role("button", name="查找").click()
    expect(page.locator(".pairing").first.locator(".whose")).to_have_text("honest.com")
    page.locator(".pairing").first.get_by_role("button", name="允许").click()
    expect(page.locator(".grant .whose")).to_have_text("honest.com")
