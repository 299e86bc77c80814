"""Ten minutes at a restless desk, in simulated time: readers come, go and change their names, other tokens lie beside,
cards are swapped below the reader's poll, a source of readers fails. No holder is read under another card's session, no
thread ends, nothing is left behind.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cardio.card.runner import read_card
from cardio.filesystem.capabilities import CapabilityCache
from cardio.models.readers import EventKind
from cardio.readers.base import Emit, Reader, Watch
from cardio.readers.supervision import Supervisor
from service.gate.scopes import Scope
from simulators.card.faults import with_fault
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from simulators.sam.psam import SoftwarePsam
from tests.pcsc import open_handles, wait_until
from tests.unit.service.bridge import Bridge

SECONDS = 600.0
PEOPLE = ("adult", "child", "long-name", "rare-name", "foreigner", "first-generation")
MOST_READERS = 4
MOST_ACTS_WITHOUT_WATCH = 30


class RestlessSource:
    """Readers that can be plugged in, pulled out and renamed; it fails once where it is told to."""

    def __init__(self) -> None:
        self.slots: dict[str, SoftwareReader] = {}
        self.fails = False
        self._emit: Emit | None = None
        self._lock = threading.RLock()

    def readers(self) -> Sequence[Reader]:
        return list(self.slots.values())

    def reader(self, name: str) -> Reader | None:
        if self.fails:
            self.fails = False
            raise RuntimeError("the driver of a reader has a fault")
        return self.slots.get(name)

    def watch(self, emit: Emit) -> Watch:
        with self._lock:
            self._emit = emit
            for slot in self.slots.values():
                slot.listen(emit)
        return self

    def stop(self) -> None:
        with self._lock:
            for slot in self.slots.values():
                if self._emit in slot._listeners:
                    slot.stop_listening(self._emit)
            self._emit = None

    def plug(self, slot: SoftwareReader) -> None:
        with self._lock:
            self.slots[slot.name] = slot
            if self._emit is not None:
                slot.listen(self._emit)

    def unplug(self, name: str) -> SoftwareReader:
        with self._lock:
            slot = self.slots.pop(name)
            slot.remove()
            if self._emit is not None:
                slot.stop_listening(self._emit)
                gone = slot._event(EventKind.READER_REMOVED, b"")
                self._emit(gone)
            return slot


class Desk:
    """The desk, the hands of its people, and what they must never see."""

    def __init__(self, bridge: Bridge, source: RestlessSource, chance: random.Random) -> None:
        self.bridge, self.source, self.chance = bridge, source, chance
        self.person_of: dict[str, str] = {}
        """Whose number was given under a session."""
        self.answers: dict[str, int] = {}
        self.named = 0
        self.known: list[tuple[str, str]] = []

    def act(self) -> None:
        """One thing that hands do, or a program."""
        hands: list[Callable[[], None]] = [
            self.put,
            self.put,
            self.pull,
            self.swap_unseen,
            self.plug,
            self.unplug,
            self.fail,
        ]
        programs: list[Callable[[], None]] = [self.read, self.read_named, self.read_named, self.call]
        self.chance.choice(hands if self.chance.random() < 0.3 else programs)()

    def has_met_little(self) -> bool:
        """Return True while too few cards were read, or too few swaps refused, for the run to show anything."""
        return self.answers.get("ok", 0) <= 20 or self.answers.get("card-changed", 0) <= 10

    def put(self) -> None:
        if (slot := self._slot()) is not None:
            slot.insert(self._card())

    def pull(self) -> None:
        if (slot := self._slot()) is not None:
            slot.remove()

    def swap_unseen(self) -> None:
        slot = self._slot()
        if slot is not None and slot._card is not None:
            card = self._card()
            card.reset()
            slot._card = card

    def plug(self) -> None:
        if len(self.source.slots) < MOST_READERS:
            self.named += 1
            self.source.plug(SoftwareReader(f"德卡T10 {self.named:04}"))

    def unplug(self) -> None:
        if self.source.slots and self.chance.random() < 0.5:
            slot = self.source.unplug(self.chance.choice(sorted(self.source.slots)))
            if self.chance.random() < 0.5:  # in another port it has another name
                self.named += 1
                slot.name = f"{slot.name.split()[0]} {self.named:04}"
                self.source.plug(slot)

    def fail(self) -> None:
        if self.chance.random() < 0.1:
            self.source.fails = True

    def read(self) -> None:
        full = [name for name, slot in sorted(self.source.slots.items()) if slot._card is not None]
        slot = self.source.slots[self.chance.choice(full)] if full else self._slot()
        if slot is not None:
            self._take(slot.name, self.bridge.client.get(f"/v1/readers/{slot.name}/card?supplement=false"))

    def read_named(self) -> None:
        there = [
            (name, session)
            for name, session in self.known
            if name in self.source.slots and self.source.slots[name]._card is not None
        ]
        if there:
            name, session = self.chance.choice(there[-4:])
            headers = {"Cardio-Card-Session": session}
            answer = self.bridge.client.get(f"/v1/readers/{name}/card?supplement=false", headers=headers)
            if answer.status_code == 200:
                assert answer.headers["Cardio-Card-Session"] == session
            self._take(name, answer)

    def call(self) -> None:
        answer = self.bridge.client.post("/v1/driver/iReadCardBas", json={})
        number = answer.json()["fields"]["social_security_number"] if answer.status_code == 200 else None
        self._note(answer, number)

    def _take(self, name: str, answer: Any) -> None:
        holder = answer.json().get("holder") if answer.status_code == 200 else None
        session = self._note(answer, holder["social_security_number"] if holder else None)
        if session is not None:
            self.known.append((name, session))

    def _note(self, answer: Any, number: str | None) -> str | None:
        outcome = "ok" if answer.status_code == 200 else answer.json()["code"]
        self.answers[outcome] = self.answers.get(outcome, 0) + 1
        assert answer.status_code < 500 or outcome in ("card-mute", "no-reader", "task-down"), answer.text
        session: str | None = answer.headers.get("Cardio-Card-Session")
        if session is None or number is None:
            return None
        assert self.person_of.setdefault(session, number) == number, "another person under a session"
        return session

    def _slot(self) -> SoftwareReader | None:
        names = sorted(self.source.slots)
        return self.source.slots[self.chance.choice(names)] if names else None

    def _card(self) -> Any:
        kind = self.chance.random()
        card = find_persona(self.chance.choice(PEOPLE)).card()
        if kind < 0.7:
            return card
        return SoftwarePsam() if kind < 0.8 else with_fault(card, "bank-card" if kind < 0.95 else "mute")


def _own_threads() -> int:
    """Threads but those of asyncio's pool, which keeps a few for good."""
    return sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_minutes_at_a_restless_desk(seed: int) -> None:
    chance = random.Random(seed)
    source, supervisor = RestlessSource(), Supervisor()
    for number in range(2):
        source.plug(SoftwareReader(f"Counter {number}"))
    bridge = Bridge("adult", scopes=frozenset(Scope), sources=[source], supervisor=supervisor)
    try:
        bridge.client.get("/v1/readers/Simulated Reader 00/card")  # its threads are there now
        bridge.readers.remove("Simulated Reader 00")
        threads, handles = _own_threads(), open_handles()
        desk, now = Desk(bridge, source, chance), 0.0
        blind = 0
        while now < SECONDS:
            desk.act()
            now += chance.uniform(0.1, 1.5)  # simulated: nothing waits
            # A task that has failed is started again after real seconds. A desk that goes on meanwhile for all of its
            # ten minutes sees no card any more.
            blind = blind + 1 if supervisor.failed_tasks else 0
            if blind > MOST_ACTS_WITHOUT_WATCH:
                wait_until(lambda: not supervisor.failed_tasks, "every task runs", 15)
        assert not desk.has_met_little(), desk.answers
        for name in sorted(source.slots):
            source.unplug(name)
        wait_until(lambda: not supervisor.failed_tasks, "every task runs", 15)
        assert {failure.error for failure in supervisor.failures} <= {"RuntimeError"}, supervisor.failures
        wait_until(lambda: _own_threads() <= threads, "no thread is left behind", 15)
        wait_until(lambda: open_handles() <= handles + 1, "no handle is left behind", 15)
        source.plug(SoftwareReader("Counter Z", find_persona("adult").card()))
        wait_until(lambda: bridge.client.get("/v1/readers/Counter Z/card").status_code == 200, "and it reads")
    finally:
        bridge.stop()


def test_the_people_of_this_desk_can_be_told_apart() -> None:
    numbers = set()
    for person in PEOPLE:
        holder = read_card(SoftwareReader("R", find_persona(person).card()), capabilities=CapabilityCache(None)).holder
        assert holder is not None
        numbers.add(holder.social_security_number)
    assert len(numbers) == len(PEOPLE)
