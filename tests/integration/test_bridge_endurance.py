"""The bridge over weeks, in two minutes: PC/SC goes and comes back, cards come and go, and nothing is left behind.

The readers are those of `bridges.quicken`, which tell of their cards at once: with vpcd's own look every 400 ms a
thousand cards would take a quarter of an hour.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from cardio.models.readers import ReaderStatus
from simulators.personas.persona import find_persona
from simulators.readers.vpcd import VpcdLink
from tests.integration.bridges import BridgeProcess, Events, client_for, in_parallel, quicken, served
from tests.pcsc import Daemon, Slot, configure, find_slots, wait_until

pytestmark = pytest.mark.pcsc
ADULT = find_persona("adult")
RESTARTS, CARDS, READ_EVERY = 50, 1000, 10
REFUSALS = {"pcsc-unavailable", "reader-not-found", "reader-gone", "no-card", "card-removed", "queue-full"}
"""What may be said while PC/SC is away, the readers not back yet, or the cards not in."""
SPARE_THREADS = 3
"""As many as programs that ask at once: the framework keeps a thread for each, for some seconds."""


@pytest.fixture
def quick(daemon: Daemon, tmp_path: Path) -> Iterator[list[Slot]]:
    """Four slots that tell at once."""
    ordinary = daemon.configuration
    daemon.stop()
    daemon.configuration = configure(tmp_path)
    quicken(daemon.configuration)
    daemon.start()
    found = find_slots()
    yield found
    for slot in found:
        slot.pull()
    daemon.stop()
    daemon.configuration = ordinary
    daemon.start()


@pytest.fixture
def bridge(quick: list[Slot], tmp_path: Path) -> Iterator[BridgeProcess]:
    folder = tmp_path / "bridge"
    folder.mkdir()
    with served(folder) as made:
        for slot in quick:
            slot.insert(ADULT.card())
        yield made


class Load:
    """A program that reads all four slots, again and again, whatever the answers."""

    def __init__(self, bridge: BridgeProcess, names: list[str]) -> None:
        self._client = client_for(bridge.address, bridge.token)
        self._names = names
        self._done = threading.Event()
        self.read = 0
        self.refused: Counter[str] = Counter()
        self.lost: list[str] = []
        """Calls without an answer."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._client:
            while not self._done.is_set():
                for name in self._names:
                    self._ask(name)

    def _ask(self, name: str) -> None:
        try:
            answer = self._client.get(f"/v1/readers/{name}/card")
        except httpx.HTTPError as error:
            self.lost.append(repr(error))
            return
        if answer.status_code == 200:
            self.read += 1
        else:
            self.refused[answer.json()["code"]] += 1

    def wait_for_more(self) -> None:
        """Until it has read every slot once more, and is on its way with the next."""
        wanted = self.read + len(self._names)
        wait_until(lambda: self.read >= wanted, "it reads")

    def stop(self) -> None:
        self._done.set()
        self._thread.join()


@contextmanager
def loaded(bridge: BridgeProcess, names: list[str]) -> Iterator[list[Load]]:
    """Three programs; each begins with another slot."""
    loads = [Load(bridge, names[number:] + names[:number]) for number in range(3)]
    try:
        yield loads
    finally:
        for one in loads:
            one.stop()


def level(bridge: BridgeProcess) -> tuple[int, int]:
    return bridge.threads, bridge.handles


def test_pcsc_stopped_restarted_and_killed_fifty_times_under_load(
    bridge: BridgeProcess, daemon: Daemon, quick: list[Slot]
) -> None:
    names = [slot.reader.name for slot in quick]

    def all_read() -> None:
        in_parallel(*(partial(bridge.reads, name) for name in names))

    all_read()
    with loaded(bridge, names):
        pass
    threads, handles = level(bridge)
    with loaded(bridge, names) as loads:
        for number in range(RESTARTS):
            for one in loads:
                one.wait_for_more()
            daemon.stop((signal.SIGTERM, signal.SIGKILL)[number % 2])
            if number % 5 == 0:
                wait_until(lambda: not bridge.is_ready(), "the loss is noticed")
            for slot in quick:
                slot.pull()
            daemon.start()
            for slot in quick:
                slot.insert(ADULT.card())
            all_read()
    # Idle connections are closed after seven seconds.
    wait_until(lambda: bridge.handles <= handles, "its handles are as before")
    wait_until(lambda: bridge.threads <= threads + SPARE_THREADS, "its threads have ended")
    assert not [one.lost for one in loads if one.lost]
    assert set().union(*(one.refused for one in loads)) <= REFUSALS
    assert all(" WARNING request " in line for line in bridge.written.splitlines()), "refusals, and nothing else"


def test_a_thousand_cards(bridge: BridgeProcess, quick: list[Slot]) -> None:
    """Each is told of, and every tenth is read: as the person it belongs to."""
    people = (ADULT, find_persona("child"))

    def use(slot: Slot, events: Events) -> None:
        name = slot.reader.name
        for number in range(1, CARDS // len(quick) + 1):
            person = people[number % 2]
            with VpcdLink(person.card(), port=slot.port):
                events.wait_for("card-inserted", name, number)
                if number % READ_EVERY == 0:
                    answer = bridge.card(name)
                    assert answer.status_code == 200, answer.text
                    assert answer.json()["holder"]["name"] == person.files["SSSE/EF06"]["name"]
            events.wait_for("card-removed", name, number)

    for slot in quick:
        bridge.reads(slot.reader.name)
        slot.remove()
        bridge.wait_for(slot.reader.name, ReaderStatus.EMPTY)
    threads, handles = level(bridge)
    with Events(bridge.address, bridge.token) as events:
        in_parallel(*(partial(use, slot, events) for slot in quick))
        assert sum(events.count("card-inserted", slot.reader.name) for slot in quick) == CARDS
        assert sum(events.count("card-removed", slot.reader.name) for slot in quick) == CARDS
    # Idle connections are closed after seven seconds.
    wait_until(lambda: bridge.handles <= handles, "its handles are as before")
    wait_until(lambda: bridge.threads <= threads + SPARE_THREADS, "its threads have ended")
    assert bridge.written == ""
