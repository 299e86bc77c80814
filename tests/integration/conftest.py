"""The pcscd of these tests, in the private /run that scripts/isolated.sh gives; its readers; and a bridge over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cardio.models.readers import ReaderStatus
from tests.integration.bridges import BridgeHere, configure_named
from tests.pcsc import RUN, Daemon, Slot, configure, find_slots


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    if RUN.exists() and any(RUN.iterdir()):
        pytest.fail("a pcscd has this machine's /run already: run the tests by scripts/isolated.sh (make test does)")
    folder = tmp_path_factory.mktemp("pcsc")
    with (folder / "pcscd.log").open("wb") as log:
        made = Daemon(configure(folder), log)
        made.start()
        yield made
        made.stop()


@pytest.fixture(scope="session")
def slots(daemon: Daemon) -> list[Slot]:
    return find_slots()


@pytest.fixture
def slot(daemon: Daemon, slots: list[Slot]) -> Iterator[Slot]:
    """The first slot, empty before and after."""
    if daemon.process is None:
        daemon.start()
    slots[0].remove()
    yield slots[0]
    if daemon.process is not None:
        slots[0].remove()


@pytest.fixture(scope="module")
def whole_bridge(daemon: Daemon) -> Iterator[BridgeHere]:
    with BridgeHere() as made:
        yield made


@pytest.fixture
def bridge(whole_bridge: BridgeHere, slot: Slot) -> BridgeHere:
    """The one bridge, which knows that the first slot is empty."""
    whole_bridge.wait_for(slot.reader.name, ReaderStatus.EMPTY)
    return whole_bridge


@pytest.fixture
def every(bridge: BridgeHere, slots: list[Slot]) -> Iterator[list[Slot]]:
    """All four slots; whatever is in them afterwards is taken out."""
    yield slots
    for one in slots:
        one.remove()


@pytest.fixture
def arranged(daemon: Daemon, slot: Slot, tmp_path: Path) -> Iterator[Callable[[list[tuple[str | bytes, int]]], None]]:
    """Starts pcscd anew with other readers; two slots each."""
    ordinary = daemon.configuration

    def arrange(readers: list[tuple[str | bytes, int]]) -> None:
        daemon.stop()
        daemon.configuration = configure_named(tmp_path / str(time.monotonic_ns()), readers)
        daemon.start(readers=2 * len(readers))

    yield arrange
    daemon.stop()
    daemon.configuration = ordinary
    daemon.start()
