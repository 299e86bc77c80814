"""The kiosk: what a holder sees, for how long, and what is never shown."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import at, found_in, simulate, wait_held

IS_ABOUT_PAGES = True

pytestmark = pytest.mark.browser


@pytest.fixture
def served(served: Served) -> Served:
    """With a card in its first reader only: between two cards a kiosk takes none."""
    simulate(served, "DELETE", number=1)
    return served


def test_two_cards_that_lay_there_before_are_not_chosen_between(page: Page, served: Served) -> None:
    simulate(served, "PUT", {"persona": "child", "fault": None}, number=1)
    page.goto(at(served, "/kiosk"))
    expect(page.get_by_role("alert")).to_contain_text("有多张社会保障卡")
    assert not found_in(page, "测＊甲", "测＊小")
    simulate(served, "DELETE", number=1)
    expect(page.locator(".name")).to_have_text("测＊甲")


def test_another_kind_of_card_beside_gives_way(page: Page, served: Served) -> None:
    simulate(served, "PUT", {"persona": "child", "fault": "bank-card"}, number=1)
    page.goto(at(served, "/kiosk"))
    expect(page.locator(".name")).to_have_text("测＊甲")


def test_a_holder_sees_little_and_is_told_to_take_the_card(page: Page, served: Served) -> None:
    page.goto(at(served, "/kiosk"))
    expect(page.locator(".name")).to_have_text("测＊甲")
    expect(page.locator(".number")).to_have_text(re.compile("^119＊+27$"))
    expect(page.locator("main")).to_contain_text("有效期至 2036-05-20")
    expect(page.locator("main")).to_contain_text("请取走您的卡")
    assert not found_in(page, "测试甲", "119900197708090027", "1977")
    assert page.url == f"{served.pages}/kiosk"


def test_there_is_nothing_to_press_but_the_language(page: Page, served: Served) -> None:
    page.goto(at(served, "/kiosk"))
    expect(page.locator(".name")).to_be_visible()
    assert page.locator("button, a, input, select, textarea").count() == 1
    page.get_by_role("button", name="English").click()
    expect(page.locator("main")).to_contain_text("Please take your card")
    assert not re.search("[\u4e00-\u9fff]", page.locator("main").inner_text().replace("测＊甲", ""))


def test_pulling_the_card_clears_the_screen(page: Page, served: Served) -> None:
    page.goto(at(served, "/kiosk"))
    expect(page.locator(".name")).to_be_visible()
    simulate(served, "DELETE")
    expect(page.locator("main")).to_contain_text("请插入社会保障卡")
    assert not found_in(page, "测") and "119" not in page.locator("main").inner_text()
    simulate(served, "PUT", {"persona": "child", "fault": None})
    expect(page.locator(".name")).to_have_text("测＊小")


def test_after_half_a_minute_it_is_cleared_though_the_card_stays(page: Page, served: Served) -> None:
    page.clock.install()
    page.goto(at(served, "/kiosk"))
    expect(page.locator("main")).to_contain_text("请取走您的卡")
    page.clock.fast_forward(20_000)
    expect(page.locator(".name")).to_have_text("测＊甲")
    expect(page.locator(".countdown")).to_have_text(re.compile("^([1-9]|10) 秒后自动清屏$"))
    page.clock.fast_forward(11_000)
    expect(page.locator(".name")).to_have_count(0)
    expect(page.locator("main")).to_contain_text("请取走您的卡")
    assert not found_in(page, "测＊甲")


def test_a_reading_that_never_ends_is_cleared_too(page: Page, served: Served) -> None:
    page.clock.install()
    held: list[Route] = []

    def hold(route: Route) -> None:
        route.fetch()
        held.append(route)

    page.route("**/v1/readers/*/card", hold)
    page.goto(at(served, "/kiosk"))
    expect(page.locator(".name")).to_have_text("测＊甲")
    expect(page.locator("main")).to_contain_text("请不要取出卡片")
    wait_held(page, held)
    page.clock.fast_forward(31_000)
    expect(page.locator(".name")).to_have_count(0)
    assert not found_in(page, "测＊甲")
    held[0].abort()


def test_it_follows_the_reader_that_a_card_is_put_into(page: Page, served: Served) -> None:
    page.goto(at(served, "/kiosk"))
    expect(page.locator(".name")).to_have_text("测＊甲")
    simulate(served, "PUT", {"persona": "child", "fault": None}, number=1)
    expect(page.locator(".name")).to_have_text("测＊小")


def test_a_kiosk_can_be_tied_to_one_reader(page: Page, served: Served) -> None:
    simulate(served, "PUT", {"persona": "third-closed", "fault": None}, number=1)
    page.goto(at(served, "/kiosk?reader=Simulated%20Reader%2001"))
    expect(page.locator("main")).to_contain_text("卡片已读取")
    simulate(served, "PUT", {"persona": "child", "fault": None})
    page.wait_for_timeout(500)
    expect(page.locator(".name")).to_have_text("卡片已读取")


def test_what_fails_is_said_in_large_letters(page: Page, served: Served) -> None:
    page.goto(at(served, "/kiosk"))
    expect(page.locator(".name")).to_be_visible()
    simulate(served, "PUT", {"persona": "adult", "fault": "mute"})
    expect(page.get_by_role("alert")).to_contain_text("卡片没有应答")
    expect(page.get_by_role("alert")).to_contain_text("芯片面朝上")


def test_a_service_that_stops_leaves_nothing_behind(page: Page) -> None:
    served = Served("adult")
    page.goto(at(served, "/kiosk"))
    expect(page.locator(".name")).to_be_visible()
    served.stop()
    expect(page.get_by_role("alert")).to_contain_text("读卡服务没有应答")
    assert not found_in(page, "测＊甲")
