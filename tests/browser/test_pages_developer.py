"""The developer's page: files, the conversation with the card, driver functions, software cards, events."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import at, found_in, simulate

IS_ABOUT_PAGES = True

pytestmark = pytest.mark.browser


@pytest.fixture
def served_whole(request: pytest.FixtureRequest) -> Served:
    made = Served("whole", "third-closed")
    request.addfinalizer(made.stop)
    return made


def panel(page: Page, tab: str) -> Locator:
    page.get_by_role("tab", name=tab).click()
    return page.get_by_role("tabpanel")


def test_a_file_is_shown_decoded_beside_its_bytes(page: Page, served_whole: Served) -> None:
    page.goto(at(served_whole, "/developer"))
    page.get_by_role("button", name="读取文件树").click()
    tree = page.locator(".tree")
    expect(tree).to_contain_text("社会保障系统环境")
    tree.locator("li", has_text="DF01").get_by_role("button", name="EF06").click()
    row = page.locator(".items tr", has_text="residence").first
    expect(row).to_contain_text("山东省青岛市市南区测试路 2 号 3 单元 401")
    expect(row).to_contain_text(re.compile("[0-9A-F]{60,}"))
    expect(page.locator(".items")).to_contain_text("370202")


def test_a_closed_file_says_what_opens_it(page: Page, served_whole: Served) -> None:
    page.goto(at(served_whole, "/developer"))
    page.get_by_role("radio", name="Simulated Reader 01").check()
    page.get_by_role("button", name="读取文件树").click()
    closed = page.locator(".tree .file.closed").first
    expect(closed).to_contain_text("6982")
    closed.click()
    expect(page.locator(".content .note").first).to_contain_text("PSAM")


def test_another_card_takes_what_was_shown_with_it(page: Page, served_whole: Served) -> None:
    page.goto(at(served_whole, "/developer"))
    page.get_by_role("button", name="读取文件树").click()
    page.locator(".tree").get_by_role("button", name="EF06").first.click()
    expect(page.locator(".items")).to_contain_text("测试甲")
    simulate(served_whole, "DELETE")
    expect(page.get_by_role("tabpanel")).to_contain_text("请插入社会保障卡")
    assert not found_in(page, "测试甲")


def test_the_commands_are_named(page: Page, served_whole: Served) -> None:
    page.goto(at(served_whole, "/developer"))
    page.get_by_role("button", name="读取文件树").click()
    expect(page.locator(".tree")).to_be_visible()
    trace = panel(page, "指令")
    expect(trace.locator("tbody tr").first).to_contain_text("选择文件")
    expect(trace.locator("tbody tr").first).to_contain_text("00A4")
    expect(trace).to_contain_text("9000 成功")
    page.get_by_role("button", name="English").click()
    expect(trace.locator("tbody tr").first).to_contain_text("SELECT")


def test_a_single_command_goes_to_a_software_card(page: Page, served_whole: Served) -> None:
    page.goto(at(served_whole, "/developer"))
    trace = panel(page, "指令")
    trace.get_by_label("发送单条指令").fill("00 84 00 00 08")
    trace.get_by_role("button", name="发送").click()
    expect(trace.locator(".answer")).to_contain_text("9000 成功")
    trace.get_by_label("发送单条指令").fill("00")
    page.keyboard.press("Enter")
    expect(trace.get_by_role("alert")).to_contain_text("参数不正确")


def test_software_cards_are_swapped_turned_over_and_made_to_fail(page: Page, served_whole: Served) -> None:
    page.goto(at(served_whole, "/developer"))
    reader = page.locator(".reader-list label", has_text="Simulated Reader 00")
    expect(reader).to_contain_text("有卡")
    before = reader.locator(".hex").inner_text()
    page.get_by_label("测试卡样例").select_option("first-generation")
    page.get_by_role("button", name="换卡").click()
    expect(reader.locator(".hex")).not_to_have_text(before)
    page.get_by_role("button", name="反向插入").click()
    expect(reader).to_contain_text("卡无应答")
    page.get_by_role("button", name="反向插入").click()
    expect(reader).to_contain_text("有卡")
    page.get_by_role("button", name="拔卡").click()
    expect(reader).to_contain_text("无卡")
    page.get_by_label("故障").select_option("mute")
    page.get_by_role("button", name="插卡").click()
    expect(reader).to_contain_text("卡无应答")


def test_a_driver_function_is_called(page: Page, served_whole: Served) -> None:
    page.goto(at(served_whole, "/developer"))
    driver = panel(page, "驱动函数")
    driver.get_by_label("函数").select_option("iReadCardBas")
    driver.get_by_role("button", name="调用").click()
    expect(driver.locator(".result")).to_contain_text("返回 0")
    expect(driver.locator(".result")).to_contain_text("|119900197708090027|")
    driver.get_by_label("参数（JSON）").fill("{ iType: 3")
    driver.get_by_role("button", name="调用").click()
    expect(driver.get_by_role("alert")).to_contain_text("参数不是 JSON")


def test_what_a_driver_function_refuses_has_its_code_and_remedy(page: Page, served_whole: Served) -> None:
    page.goto(at(served_whole, "/developer"))
    simulate(served_whole, "DELETE")
    driver = panel(page, "驱动函数")
    driver.get_by_role("button", name="调用").click()
    expect(driver.get_by_role("alert")).to_contain_text("请插入社会保障卡")
    expect(driver.get_by_role("alert")).to_contain_text(re.compile(r"返回码 -\d+"))
    driver.locator(".codes summary").click()
    expect(driver.get_by_role("table")).to_contain_text("-22")


def test_events_are_logged_and_hold_no_person(page: Page, served_whole: Served) -> None:
    page.goto(at(served_whole, "/developer"))
    log = panel(page, "事件")
    expect(log).to_contain_text("state")
    simulate(served_whole, "PUT", {"persona": "child", "fault": None})
    expect(log).to_contain_text("card-inserted")
    log.get_by_text("card-inserted").click()
    expect(log.locator("pre:visible")).to_contain_text('"card_session"')
    page.get_by_role("button", name="清空").click()
    expect(log).to_contain_text("还没有事件")


def test_tabs_by_keyboard(page: Page, served_whole: Served) -> None:
    page.goto(at(served_whole, "/developer"))
    first = page.get_by_role("tab", name="文件")
    first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="指令")).to_be_focused()
    expect(page.get_by_role("tabpanel")).to_contain_text("刷新")
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name="事件")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(first).to_be_focused()
    assert page.locator("[role=tab][tabindex='0']").count() == 1
