"""The pictures in the documents, taken of the real pages in a real browser: ``make screenshots``.

The cards are software cards, the people on them are invented. The machine needs Chromium and a Chinese font.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

IMAGES = Path(__file__).parent.parent / "docs" / "images"
_CHROMIUM = "/usr/bin/chromium"
_SIZE: ViewportSize = {"width": 1180, "height": 760}


def main() -> None:
    """Take each picture in the language of the edition that shows it."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        for language in ("zh", "en"):
            with _bridge() as link:
                page = browser.new_page(viewport=_SIZE)
                page.goto(link)
                page.locator("article .name").first.wait_for()
                if language == "en":
                    page.get_by_role("button", name="English").click()
                _capture(page, f"counter-{language}.png")
                page.close()
        browser.close()


def _capture(page: Page, name: str) -> None:
    page.wait_for_timeout(500)
    page.screenshot(path=IMAGES / name, animations="disabled")
    print(IMAGES / name)


@contextmanager
def _bridge() -> Iterator[str]:
    """Run a demonstration with settings of its own, and yield the link to its counter."""
    cardio = Path(sys.executable).with_name("cardio")
    with tempfile.TemporaryDirectory(prefix="cardio-screenshots-") as folder:
        process = subprocess.Popen(
            [
                str(cardio),
                "serve",
                "--demo",
                "--no-pcsc",
                "--port",
                "0",
                "--json",
                "--simulate",
                "adult",
                "third-generation",
                "rare-name",
            ],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": folder},
        )
        try:
            yield json.loads(next(iter(process.stdout or ())))["page"]
        finally:
            process.terminate()
            process.communicate(timeout=20)


if __name__ == "__main__":
    main()
