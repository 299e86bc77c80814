"""A SAM that card after card has refused: the counter's page says so, and a person lets it go on there."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.security.key_memory import KeyMemory, Presenter
from cardio.security.sam.base import CardKey
from cardio.security.sam.diversification import DiversificationFactors
from cardio.security.sam.key_file import SoftSam
from tests.browser.conftest import Served
from tests.unit.wrong_keys import ALL, key_file_right_for

IS_ABOUT_PAGES = True

pytestmark = pytest.mark.browser


def test_the_page_says_it_and_a_person_lets_it_go_on(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = key_file_right_for(tmp_path / "keys.toml", *ALL)
    monkeypatch.setenv("CARDIO_SAM", f"soft:{keys}")
    memory = KeyMemory.of_store(CapabilityCache.in_cache(simulated=True), simulated=True)
    key = layout_of(3).key("RKSSSE")
    assert memory is not None and key is not None
    sam = SoftSam.load(keys).identity(CardKey.of(key, "SM4", DiversificationFactors(bytes(8), "320200")))
    presenter = Presenter(sam, f"soft:{keys}", "320200", "SM4", lambda key: None, lambda key, city, algorithm: None)
    for number in range(3):
        memory.refused(bytes((number,)), "RKSSSE", presenter, 2, proved=True)
    served = Served("third-closed")
    try:
        page.goto(served.link)
        card = page.locator("article")
        expect(card).to_contain_text("连续 3 张卡片拒绝了密钥 RKSSSE")
        card.get_by_role("button", name="密钥无误，恢复使用", exact=True).click()
        card.get_by_role("button", name="取消").click()
        assert memory.stopped_sams()
        card.get_by_role("button", name="密钥无误，恢复使用", exact=True).click()
        card.get_by_role("button", name="信息科已确认密钥无误，恢复使用").click()
        expect(card.locator(".name")).to_have_text("测＊＊")
        expect(card).not_to_contain_text("拒绝了密钥")
        assert memory.stopped_sams() == ()
    finally:
        served.stop()
