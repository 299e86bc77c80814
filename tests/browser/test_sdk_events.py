"""The SDK's subscriptions: by stream and by socket, connected again by themselves, and leases."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import Elsewhere, SdkDesk, at, find

IS_ABOUT_PAGES = True

pytestmark = pytest.mark.browser

SUBSCRIBE = """window.events = []; window.states = [];
window.subscription = bridge.subscribe({
    transport: '%s', readings: %s,
    onEvent: (event) => events.push(event), onState: (state) => states.push(state),
});"""
LIVE = "window.subscription.state === 'live' && window.events.length > 0"


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_events_come_as_they_happen(desk: SdkDesk, transport: str) -> None:
    desk.pair()
    desk.value(SUBSCRIBE % (transport, "false"))
    desk.page.wait_for_function(LIVE)
    first = desk.page.evaluate("events[0]")
    assert first["type"] == "cardio.state" and len(first["data"]["readers"]) == 2 and first["specversion"] == "1.0"
    desk.put_in("child")
    desk.value("await bridge.read('Simulated Reader 00')")
    desk.page.wait_for_function("events.some((event) => event.type === 'cardio.read-finished')")
    kinds = desk.page.evaluate("events.map((event) => event.type)")
    for kind in ("cardio.card-removed", "cardio.card-inserted", "cardio.card-read", "cardio.read-finished"):
        assert kind in kinds
    assert desk.page.evaluate("events.every((event) => !event.data.reading)"), "this page did not ask for readings"
    assert desk.page.evaluate("states") == ["connecting", "live"]
    desk.value("subscription.close()")
    desk.page.wait_for_function("subscription.state === 'closed'")


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_readings_come_to_those_who_ask(desk: SdkDesk, transport: str) -> None:
    desk.pair()
    desk.value(SUBSCRIBE % (transport, "true"))
    desk.page.wait_for_function(LIVE)
    desk.put_in("child")
    desk.page.wait_for_function("events.some((event) => event.type === 'cardio.card-inserted')")
    desk.value("await bridge.read('Simulated Reader 00')")
    desk.page.wait_for_function("events.some((event) => event.type === 'cardio.read-finished' && event.data.reading)")
    name = "events.find((event) => event.data.reading).data.reading.holder.name"
    assert desk.page.evaluate(name) == "测小小"


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_what_was_missed_comes_first(desk: SdkDesk, transport: str) -> None:
    desk.pair()
    desk.value(SUBSCRIBE % (transport, "false"))
    desk.page.wait_for_function(LIVE)
    desk.value("window.last = subscription.last; subscription.close()")
    desk.put_in("child")
    desk.value("await bridge.read('Simulated Reader 00')")
    desk.value(
        "window.events = []; window.subscription = bridge.subscribe({"
        f" after: last, transport: '{transport}', onEvent: (event) => events.push(event) }});"
    )
    desk.page.wait_for_function("events.some((event) => event.type === 'cardio.read-finished')")
    assert desk.page.evaluate("events[0].type") == "cardio.card-removed"


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_a_bridge_that_comes_back_is_followed_again(browser: Browser, elsewhere: Elsewhere, transport: str) -> None:
    first = Served("adult")
    desk = SdkDesk(browser, first, elsewhere)
    try:
        desk.pair()
        desk.value(SUBSCRIBE % (transport, "false"))
        desk.page.wait_for_function(LIVE)
        first.process.kill()
        first.process.communicate()
        desk.page.wait_for_function("subscription.state === 'lost'")
        assert desk.page.evaluate("subscription.error === null || subscription.error.state !== 'imposter'")
        again = Served("child", port=first.address.rpartition(":")[2])
        try:
            desk.page.wait_for_function("subscription.state === 'live'", timeout=15_000)
            desk.page.wait_for_function("events.filter((event) => event.type === 'cardio.state').length === 2")
            assert desk.value("return (await bridge.read()).holder.name") == "测小小"
        finally:
            again.stop()
    finally:
        desk.close()


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_revoking_ends_it_for_good(desk: SdkDesk, transport: str) -> None:
    desk.pair()
    desk.value(SUBSCRIBE % (transport, "false"))
    desk.page.wait_for_function(LIVE)
    desk.revoke()
    desk.page.wait_for_function("subscription.state === 'ended'", timeout=3_000)
    assert desk.page.evaluate("subscription.error.state") == "revoked"


def test_a_mistake_in_the_page_ends_no_stream(browser: Browser, served: Served, elsewhere: Elsewhere) -> None:
    desk = SdkDesk(browser, served, elsewhere)
    desk.pair()
    desk.value(
        """window.heard = 0;
        window.subscription = bridge.subscribe({ onEvent() { heard += 1; throw new Error('the page is wrong'); } });"""
    )
    desk.page.wait_for_function("heard === 1")
    desk.put_in("child")
    desk.page.wait_for_function("heard >= 3")
    desk.context.close()
    assert set(desk.errors) == {"the page is wrong"}


def test_closing_the_bridge_ends_everything(desk: SdkDesk) -> None:
    desk.pair()
    desk.value(SUBSCRIBE % ("sse", "false"))
    desk.page.wait_for_function(LIVE)
    desk.value("bridge.close()")
    desk.page.wait_for_function("subscription.state === 'closed'")
    assert desk.run("return await bridge.readers()")["state"] == "aborted"


def test_a_lease_keeps_others_out_and_passes_on(browser: Browser, desk: SdkDesk) -> None:
    other = Elsewhere()
    desk.pair()
    rival = SdkDesk(browser, desk.served, other)
    try:
        rival.pair()
        name = "'Simulated Reader 00'"
        desk.value(f"window.lease = await bridge.lease({name}, {{ seconds: 60, purpose: '挂号' }})")
        refused = rival.run(f"return await bridge.read({name})")
        assert refused["state"] == "reader-busy" and refused["lease"]["purpose"] == "挂号"
        assert desk.value(f"return (await bridge.read({name}, {{ lease }})).holder.name") == "测试甲"
        desk.own.goto(at(desk.served, "/"))
        expect(desk.own.locator("article").first.locator(".lease")).to_contain_text("门诊收费")
        expect(desk.own.locator("article").first.locator(".lease")).to_contain_text("挂号")
        expect(desk.own.locator("article").first.get_by_role("alert")).to_have_count(0)
        assert desk.value("return (await lease.renew()).seconds_left") > 50
        desk.value("await lease.release()")
        expect(desk.own.locator("article").first.locator(".lease")).to_have_count(0)
        expect(desk.own.locator("article").first.locator(".name")).to_have_text("测＊＊")
        assert rival.value(f"return (await bridge.read({name})).holder.name") == "测试甲"
        assert desk.run("await lease.renew()")["state"] == "refused"
    finally:
        rival.close()
        other.stop()


def test_who_asks_for_a_lease_gets_it_when_the_owner_is_silent(browser: Browser, desk: SdkDesk) -> None:
    other = Elsewhere()
    desk.pair()
    rival = SdkDesk(browser, desk.served, other)
    try:
        rival.pair()
        ask = "return (await bridge.lease('Simulated Reader 00', { purpose: '收费', takeOver: true })).owner"
        desk.value(SUBSCRIBE % ("sse", "false"))
        desk.value("window.lease = await bridge.lease('Simulated Reader 00')")
        assert "门诊收费" in rival.value(ask)
        assert desk.page.evaluate("events.some((event) => event.type === 'cardio.lease-asked')")
        # An owner who is there says no, and the asker learns who has it.
        desk.value(
            """window.lease = await bridge.lease('Simulated Reader 00', { takeOver: true });
            window.keeper = bridge.subscribe({
                onEvent: (event) => { if (event.type === 'cardio.lease-asked') lease.renew(); },
            });"""
        )
        desk.page.wait_for_function("keeper.state === 'live'")
        refused = rival.run(ask)
        assert refused["state"] == "reader-busy" and refused["code"] == "reader-leased"
    finally:
        rival.close()
        other.stop()


def test_one_page_with_several_ports_finds_its_own_bridge(desk: SdkDesk) -> None:
    other = Served("adult")
    try:
        desk.pair()
        ports = [int(one.address.rpartition(":")[2]) for one in (other, desk.served)]
        # The first is a bridge too, but the settings are the same here: it knows the page as well.
        assert find(desk.page, f"{{ ports: {ports} }}")["paired"] is True
        assert find(desk.page, f"{{ ports: [9, {ports[1]}] }}")["port"] == ports[1]
    finally:
        other.stop()
