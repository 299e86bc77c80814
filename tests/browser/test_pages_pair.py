"""The pairing page: who asks, in letters nobody misses; what is allowed; and the way out."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import Elsewhere, SdkDesk, at

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
    assert desk.page.frames[1].url.startswith("chrome-error://")


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
