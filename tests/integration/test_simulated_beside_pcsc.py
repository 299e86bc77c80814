"""PC/SC runs beside simulated readers, as on every developer's desk: each source answers for its own readers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.integration.bridge_faults import ADULT
from tests.integration.bridges import NAME, BridgeProcess, served
from tests.pcsc import Daemon, Slot, wait_until

pytestmark = pytest.mark.pcsc
SIMULATED = "Simulated Reader 00"


@pytest.fixture
def beside(slot: Slot, tmp_path: Path) -> Iterator[BridgeProcess]:
    with served(tmp_path, "--simulate", "adult", "third-closed") as bridge:
        yield bridge


@pytest.fixture
def page() -> Iterator[Page]:
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium.new_page()
        chromium.close()


def test_both_are_read_and_each_is_called_what_it_is(beside: BridgeProcess, slot: Slot) -> None:
    slot.insert(ADULT.card())
    for name, simulated in ((slot.reader.name, False), (SIMULATED, True)):
        beside.reads(name)
        assert beside.card(name).json()["simulated"] is simulated
    listed = {one["name"]: one["simulated"] for one in beside.client.get("/v1/readers").json()["readers"]}
    assert listed[SIMULATED] and not listed[slot.reader.name]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_pcsc_ends_and_comes_back_and_simulated_cards_stay(
    beside: BridgeProcess, daemon: Daemon, slot: Slot, how: int
) -> None:
    daemon.stop(how)
    wait_until(lambda: beside.client.get("/v1/status").json()["pcsc"] == "down", "it says that PC/SC is down")
    beside.reads(SIMULATED)
    daemon.start()
    slot.insert(ADULT.card())
    beside.reads(slot.reader.name)
    beside.reads(SIMULATED)


def test_the_page_reads_the_simulated_cards(beside: BridgeProcess, slot: Slot, page: Page, tmp_path: Path) -> None:
    slot.insert(ADULT.card())
    asked = beside.client.post("/v1/pages/ticket", json={}).json()
    page.goto(f"{asked['origin']}/#ticket={asked['ticket']}")
    holder = page.locator("section, article, li").filter(has_text=SIMULATED).last
    expect(holder).to_contain_text("测＊＊")
    assert NAME not in page.content(), "masked until it is shown"
    expect(page.get_by_text("reader-gone")).to_have_count(0)
