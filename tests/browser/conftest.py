"""Real Chromium, and a bridge in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.elsewhere import Elsewhere, SdkDesk, at
from tests.browser.squatter import Squatter
from tests.warm_cardio import warm_command

CHROMIUM = "/usr/bin/chromium"
HEADLESS_SHELL = "chromium-headless-shell"
"""Chromium's engine without the browser around it, of the same version. A page takes half the time in it."""
CARDIO = Path(sys.executable).with_name("cardio")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

_PATIENCE_MILLISECONDS = 15_000
"""What a page shall show may take so long on a machine that is busy; Playwright's own 5 seconds are few."""


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Chromium; without its window where a module is about pages and not about what browsers keep and refuse."""
    expect.set_options(timeout=_PATIENCE_MILLISECONDS)
    is_about_pages = getattr(request.module, "IS_ABOUT_PAGES", False)
    program = (which(HEADLESS_SHELL) if is_about_pages else None) or CHROMIUM
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield chromium
        chromium.close()


class Served:
    """`cardio serve --simulate` as a user starts it, in a process of its own."""

    def __init__(self, *personas: str, port: str = "0", source: Path | None = None) -> None:
        """Args: ``source``: the folder of another copy of the service's code."""
        self.process = subprocess.Popen(
            [
                warm_command() if source is None else CARDIO,
                "serve",
                "--no-pcsc",
                "--port",
                port,
                "--json",
                "--simulate",
                *personas,
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=None if source is None else {**os.environ, "PYTHONPATH": str(source)},
        )
        assert self.process.stdout is not None
        started = json.loads(self.process.stdout.readline())
        self.address: str = started["address"]
        self.printed: str = started["page"]
        """The link that a person is shown at the start; it counts once."""
        self.pages: str = self.printed.partition("/#")[0]
        """The origin of the bridge's own pages in this run."""
        self.token = Path(started["token_file"]).read_text(encoding="ascii").strip()

    @property
    def link(self) -> str:
        """A fresh link to the counter, as `cardio open` makes one each time."""
        return at(self, "/")

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=10)


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served("adult", "third-closed")
    yield made
    made.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails its test on any script error."""
    context = browser.new_context()
    made = context.new_page()
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    yield made
    context.close()
    assert errors == []


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bridges that tests start keep their tokens and grants to themselves."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """A hospital's web server."""
    made = Elsewhere()
    yield made
    made.stop()


@pytest.fixture
def desk(browser: Browser, served: Served, elsewhere: Elsewhere) -> Iterator[SdkDesk]:
    """A hospital's page with the SDK beside the bridge's own pages."""
    made = SdkDesk(browser, served, elsewhere)
    yield made
    made.close()


@pytest.fixture
def squatter() -> Iterator[Callable[..., Squatter]]:
    made: list[Squatter] = []

    def start(port: int, **habits: bool) -> Squatter:
        made.append(Squatter(port, **habits))
        return made[-1]

    yield start
    for one in made:
        one.stop()
