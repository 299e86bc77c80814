"""Debits in a real browser: a hospital's page by the SDK, and the developer's page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import Elsewhere, SdkDesk, at, simulate
from tests.unit.cardio.debits.debits import ANY_YEAR, moment, soft_sam

IS_ABOUT_PAGES = True

pytestmark = pytest.mark.browser
CARD = "370200D15600000500000013FFFFFFFF|A00000011|"
TIME = moment()
DONE = f"12|000000009999|{TIME}|0.00|0.10|0.20|0000000C|"


@pytest.fixture
def till(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A bridge that may debit: test keys, and the scope."""
    soft_sam(tmp_path)
    monkeypatch.setenv("CARDIO_SAM", f"soft:{tmp_path / 'keys.toml'}")
    monkeypatch.setenv("CARDIO_BRIDGE_SCOPES", "basic,files,pin,settle")
    for name, value in ANY_YEAR.items():
        monkeypatch.setenv(name, value)
    made = Served("whole", "adult")
    yield made
    made.stop()


def test_a_hospitals_page_debits_once(browser: Browser, till: Served, elsewhere: Elsewhere) -> None:
    desk = SdkDesk(browser, till, elsewhere)
    try:
        desk.ask("basic", "pin", "settle")
        desk.own.goto(at(till, "/pair"))
        for risky in ("pin", "settle"):  # never ticked beforehand
            desk.own.locator(f"input[id$='-{risky}']").check()
        desk.own.get_by_role("button", name="允许", exact=True).click()
        expect(desk.own.locator(".pairing")).to_have_count(0)
        assert desk.page.evaluate("pairing")["granted"]["scopes"] == ["basic", "pin", "settle"]
        call = f"""return await bridge.driver("iDoDebit", {{ reader: "Simulated Reader 00", pCardInfo: "%s",
            pPayInfo: "0.1|0.2|{TIME}|", pin: "123456" }}, {{ idempotencyKey: "%s" }})"""
        first = desk.value(call % (CARD, "k"))
        assert (first["return"], first["debit"]["outcome"]) == (0, "done") and first["pOutInfo"].startswith(DONE)
        assert first["debit"]["origin"] == elsewhere.address
        simulate(till, "DELETE")
        assert desk.value(call % (CARD, "k"))["pOutInfo"] == first["pOutInfo"], "without the card, and not again"
        refused = desk.run(call % (CARD, "another"))
        assert refused["state"] == "no-card"
        without = desk.run(call % (CARD, ""))
        assert without["code"] == "no-idempotency-key"
    finally:
        desk.close()


def test_the_developers_page_debits(page: Page, till: Served) -> None:
    page.goto(at(till, "/developer"))
    page.get_by_role("tab", name="驱动函数").click()
    driver = page.get_by_role("tabpanel")
    driver.get_by_label("函数").select_option("iDoDebit")
    given = driver.get_by_label("参数（JSON）")
    assert "idempotencyKey" in given.input_value() and "0.10|0.20|20" in given.input_value()
    given.fill(given.input_value().replace("卡识别码|卡号|", CARD).replace('"pin": ""', '"pin": "123456"'))
    for _ in range(2):
        driver.get_by_role("button", name="调用").click()
        expect(driver.locator(".result")).to_contain_text("返回 0")
        expect(driver.locator(".result")).to_contain_text("|0.10|0.20|0000000C|")


def test_the_developers_page_loses_a_debit_and_finds_it(page: Page, till: Served) -> None:
    """What a clerk meets when a card is pulled too early, played on the software card: unknown, put back, done."""
    page.goto(at(till, "/developer"))
    driver = page.get_by_role("tabpanel")
    simulate(till, "PUT", {"persona": "whole", "fault": "lost-debit"})
    page.get_by_role("tab", name="驱动函数").click()
    driver.get_by_label("函数").select_option("iDoDebit")
    given = driver.get_by_label("参数（JSON）")
    given.fill(given.input_value().replace("卡识别码|卡号|", CARD).replace('"pin": ""', '"pin": "123456"'))
    driver.get_by_role("button", name="调用").click()
    expect(driver.locator(".result")).to_contain_text("返回 -202")
    page.get_by_role("button", name="重新插入原卡").first.click()
    driver.get_by_role("button", name="调用").click()
    expect(driver.locator(".result")).to_contain_text("返回 0")
    expect(driver.locator(".result")).to_contain_text('"known_by": "proof"')
