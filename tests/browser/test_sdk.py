"""The browser SDK on a page of another origin: let in by a person only; then reading."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import TRY, Elsewhere, SdkDesk, at, fake_bridge, find

IS_ABOUT_PAGES = True

pytestmark = pytest.mark.browser


# -- who is let in ------------------------------------------------------------------------------------


def test_before_pairing_nothing_can_be_read(desk: SdkDesk) -> None:
    found = find(desk.page, f"{{ address: '{desk.served.address}' }}")
    assert found["paired"] is False and found["revoked"] is False
    for call in ("bridge.readers()", "bridge.read()", "bridge.read('Simulated Reader 00')", "bridge.me()"):
        refused = desk.run(f"return await {call}")
        assert refused["state"] == "not-paired" and refused["remedy"] == "请先配对。" and refused["remedy_en"]
    around = desk.page.evaluate(
        """async (address) => {
            try { return (await fetch(address + '/v1/readers')).status; } catch { return 'no answer'; }
        }""",
        desk.served.address,
    )
    assert around == "no answer"


def test_a_person_lets_the_page_in_and_it_stays_in(desk: SdkDesk, elsewhere: Elsewhere) -> None:
    code = desk.ask("basic", "files")
    assert len(code.replace(" ", "")) == 6
    desk.own.goto(at(desk.served, "/pair"))
    expect(desk.own.locator(".pairing .origin")).to_have_text(elsewhere.address)
    expect(desk.own.locator(".pairing-code")).to_have_text(code)
    assert desk.page.evaluate("asked.confirm") == f"{desk.served.address}/pair"
    granted = desk.answer("允许")["granted"]
    assert granted["scopes"] == ["basic", "files"]
    reading = desk.value("return await bridge.read('Simulated Reader 00')")
    assert reading["holder"]["name"] == "测试甲" and reading["card_session"]
    desk.page.reload()
    assert find(desk.page, f"{{ address: '{desk.served.address}' }}")["paired"] is True
    assert desk.value("return (await bridge.me()).scopes") == ["basic", "files"]


def test_what_was_not_granted_is_refused(desk: SdkDesk) -> None:
    desk.pair("basic")
    refused = desk.run("return await bridge.files('Simulated Reader 00')")
    assert refused["state"] == "refused" and refused["code"] == "no-scope"
    assert desk.run("return await bridge.request('/v1/grants')")["state"] == "refused"


def test_a_person_refuses(desk: SdkDesk) -> None:
    desk.ask()
    outcome = desk.answer("拒绝")
    assert outcome == {"state": "pairing-denied", "title": "配对被拒绝"}
    assert desk.run("return await bridge.read()")["state"] == "not-paired"


def test_pairing_can_be_called_off(desk: SdkDesk) -> None:
    find(desk.page, f"{{ address: '{desk.served.address}' }}")
    outcome = desk.run(
        """const controller = new AbortController();
        return await bridge.pair({ scopes: ['basic'], signal: controller.signal, onCode: () => controller.abort() });"""
    )
    assert outcome["state"] == "aborted"


def test_revoking_ends_the_stream_at_once(desk: SdkDesk) -> None:
    desk.pair()
    desk.page.evaluate(
        """window.states = [];
        window.subscription = bridge.subscribe({
            onEvent() {}, onState: (state, error) => states.push([state, error && error.state]),
        })"""
    )
    desk.page.wait_for_function("subscription.state === 'live'")
    desk.revoke()
    desk.page.wait_for_function("subscription.state === 'ended'", timeout=3_000)
    assert desk.page.evaluate("states.at(-1)") == ["ended", "revoked"]
    assert desk.run("return await bridge.readers()")["state"] == "revoked"
    desk.page.reload()
    found = find(desk.page, f"{{ address: '{desk.served.address}' }}")
    assert found["paired"] is False and found["revoked"] is True
    refused = desk.run("return await bridge.readers()")
    assert refused["state"] == "revoked" and refused["remedy"] == "请重新配对。"


def test_a_revoked_page_may_ask_again(desk: SdkDesk) -> None:
    desk.pair()
    desk.revoke()
    expect(desk.own.locator(".grant")).to_have_count(0)
    assert desk.run("return await bridge.readers()")["state"] == "revoked"
    desk.page.evaluate("window.asked = null")
    desk.pair()
    assert desk.value("return (await bridge.readers()).readers.length") == 2


def test_a_page_forgets_its_grant(desk: SdkDesk) -> None:
    desk.pair()
    desk.value("await bridge.forget()")
    assert find(desk.page, f"{{ address: '{desk.served.address}' }}")["paired"] is False


def test_an_origin_that_the_administrator_lists_needs_no_person(
    browser: Browser, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = f'[{{"origin": "{elsewhere.address}", "scopes": ["basic"]}}]'
    monkeypatch.setenv("CARDIO_BRIDGE_TRUSTED_ORIGINS", listed)
    served = Served("adult")
    desk = SdkDesk(browser, served, elsewhere)
    try:
        find(desk.page, f"{{ address: '{served.address}' }}")
        assert desk.value(
            "let code = null; const { scopes } = await bridge.pair({ scopes: ['basic'], onCode: () => { code = 1; } });"
            "return [scopes, code, (await bridge.read()).holder.name]"
        ) == [["basic"], None, "测试甲"]
    finally:
        desk.close()
        served.stop()


# -- reading ------------------------------------------------------------------------------------------


def test_every_reading_has_its_method(browser: Browser, elsewhere: Elsewhere) -> None:
    served = Served("whole")
    desk = SdkDesk(browser, served, elsewhere)
    try:
        desk.pair("basic", "files")
        assert desk.value("return (await bridge.read(null, { supplement: false })).holder.residence") is None
        assert "测试路" in desk.value("return (await bridge.read()).holder.residence")
        assert desk.value("return await bridge.nhsa1101()")["mdtrt_cert_type"] == "03"
        assert desk.value("return (await bridge.files()).applications.length") > 3
        assert desk.value("return (await bridge.file(null, 'SSSE/EF06')).records.length") > 0
        assert desk.value("const photo = await bridge.photo(); return [photo.type, photo.size > 1000]")[1] is True
        assert desk.value("return Object.keys((await bridge.insurance()).sections).length") > 0
        assert desk.value("return Object.keys((await bridge.employment()).sections).length") > 0
        assert desk.value("return (await bridge.verify()).checks.length") > 5
        driven = desk.value("return await bridge.driver('iReadCardBas', { iType: 3 })")
        assert driven["return"] == 0 and "|119900197708090027|" in driven["pOutInfo"]
        assert desk.value("return (await bridge.status()).simulated") is True
    finally:
        desk.close()
        served.stop()


def test_another_card_is_noticed(desk: SdkDesk) -> None:
    desk.pair()
    desk.value("window.session = (await bridge.read('Simulated Reader 00')).card_session")
    desk.put_in("child")
    changed = desk.run("return await bridge.read('Simulated Reader 00', { session })")
    assert changed["state"] == "card-changed" and changed["driver_code"] == -22
    desk.pull()
    gone = desk.run("return await bridge.read('Simulated Reader 00')")
    assert gone["state"] == "no-card" and gone["title"] == "读卡器中没有卡" and isinstance(gone["driver_code"], int)


def test_of_two_cards_none_is_guessed(desk: SdkDesk) -> None:
    desk.pair()
    refused = desk.run("return await bridge.read()")
    assert (refused["state"], refused["code"]) == ("refused", "which-reader")
    desk.pull(1)
    desk.page.wait_for_function("bridge.readers().then(({ readers }) => readers[1].status === 'empty')")
    assert desk.value("return (await bridge.read()).holder.name") == "测试甲"
    desk.pull()
    desk.page.wait_for_function("bridge.readers().then(({ readers }) => readers[0].status === 'empty')")
    assert desk.run("return await bridge.read()")["state"] == "no-card"
    assert desk.run("return await bridge.read('nowhere')")["state"] == "no-reader"


def test_a_failing_card_says_why_in_both_languages(desk: SdkDesk) -> None:
    desk.pair()
    desk.put_in("adult", fault="mute")
    error = desk.run("return await bridge.read('Simulated Reader 00')")
    assert (error["state"], error["code"]) == ("card-error", "card-mute")
    assert "芯片面朝上" in error["remedy"] and "chip up" in error["remedy_en"]
    driven = desk.run("return await bridge.driver('iReadCardBas', { reader: 'Simulated Reader 00' })")
    assert driven["driver_code"] == -4


def test_the_example_page_works_as_it_is(desk: SdkDesk, elsewhere: Elsewhere) -> None:
    port = desk.served.address.rpartition(":")[2]
    desk.page.goto(f"{elsewhere.address}/sdk/example/index.html?port={port}")
    desk.page.get_by_role("button", name="申请配对").click()
    expect(desk.page.locator("#code")).to_have_text(re.compile(r"^\d{3} \d{3}$"))
    code = desk.page.locator("#code").inner_text()
    desk.own.goto(at(desk.served, "/pair"))
    expect(desk.own.locator(".pairing-code")).to_have_text(code)
    desk.own.get_by_role("button", name="允许").click()
    expect(desk.page.locator("#status")).to_have_text("已连接，请插卡")
    desk.pull(1)
    desk.put_in("child")
    expect(desk.page.locator("#card")).to_contain_text("测小小")
    desk.pull()
    expect(desk.page.locator("#card")).to_be_empty()
    desk.page.get_by_role("button", name="读卡").click()
    expect(desk.page.get_by_role("alert")).to_be_visible()
    desk.revoke()
    expect(desk.page.get_by_role("alert")).to_contain_text("请重新配对")


def test_without_a_reader(browser: Browser, elsewhere: Elsewhere) -> None:
    bare = Elsewhere(fake_bridge({"/v1/readers": {"readers": [], "problems": []}}))
    context = browser.new_context()
    page = context.new_page()
    try:
        page.goto(elsewhere.address)
        page.evaluate("localStorage.setItem('cardio-bridge', JSON.stringify({ grant: 'g', token: 'the-token' }))")
        assert find(page, f"{{ address: '{bare.address}' }}")["paired"] is True
        assert page.evaluate(TRY, "return await bridge.read()")["state"] == "no-reader"
    finally:
        context.close()
        bare.stop()
