"""What all tests share; and the rule that a skip is a failure: what cannot run here does not count as passed."""

from __future__ import annotations

import gc
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from cardio.filesystem.capabilities import CapabilityCache
from tests.isolation import ISOLATED, isolate_worker

for _name in [name for name in os.environ if name.startswith("PYTHON")]:
    # What this machine tells its Pythons (PYTHONUNBUFFERED, PYTHONIOENCODING …) no user has: the programs that tests
    # start see what a user's shell gives them.
    del os.environ[_name]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs the tests in the background has them, and all they start, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("cardio", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cardio")

TODAY = date(2026, 11, 22)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") and os.environ.get(ISOLATED):
        isolate_worker()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests on one worker, and those of the package: there is one machine to install it in. They come
    first, for they take longest."""
    for item in items:
        is_packaging = "packaging" in item.path.parts
        item.add_marker(pytest.mark.xdist_group("packaging" if is_packaging else item.path.name))
    items.sort(key=lambda item: "packaging" not in item.path.parts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):  # type: ignore[attr-defined]
        report.outcome = "failed"  # type: ignore[attr-defined]
        report.longrepr = f"skipped, and a skip is a failure here: {call.excinfo}"  # type: ignore[attr-defined]
    return report


_finished = itertools.count(1)
_TESTS_BETWEEN = 50


def pytest_runtest_logfinish() -> None:
    """Take what is alive now out of the collector's sight, every so many tests.

    FastAPI's routers remember each application that they were ever part of. A bridge has one; the tests start two
    thousand in one process, and looking through all of them stops the event loop for seconds.
    """
    if next(_finished) % _TESTS_BETWEEN == 0:
        gc.collect()
        gc.freeze()


@pytest.fixture
def store(tmp_path: Path) -> CapabilityCache:
    """Learnt capabilities in a file of this test's own."""
    return CapabilityCache(tmp_path / "manners.json")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the cache or the token of the user who runs it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


Hex = Callable[[str], bytes]
