"""The pages of `make run`: everything can be seen, and a missing PC/SC service raises no alarm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import CARDIO

pytestmark = pytest.mark.browser


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The link that a demonstration shows on a machine where no PC/SC service runs."""
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(tmp_path / "nothing"))
    process = subprocess.Popen([CARDIO, "serve", "--demo", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())["page"]
    process.terminate()
    process.communicate(timeout=10)


def test_the_counter_reads_every_card_and_tells_the_forged_one(page: Page, link: str) -> None:
    page.goto(link)
    readers = page.locator("article[data-reader]")
    expect(readers).to_have_count(5)
    closed, forged = (page.locator(f"article[data-reader='Simulated Reader 0{number}']") for number in (3, 4))
    expect(closed.locator(".name")).to_have_text("测＊＊")
    expect(forged.get_by_role("alert")).to_contain_text("forged-card")
    # PC/SC is told beside the readers, and not as something that went wrong.
    expect(page.locator("main > .problem")).to_have_count(0)
    expect(page.locator("main > .aside")).to_contain_text("目前只有模拟读卡器")
    expect(page.locator("main > .aside")).to_contain_text("pcscd")


def test_the_developers_page_alarms_nobody_either(page: Page, link: str) -> None:
    page.goto(link.replace("/#", "/developer#"))
    expect(page.locator("main > .aside")).to_contain_text("目前只有模拟读卡器")
    expect(page.locator("main > .problem")).to_have_count(0)
