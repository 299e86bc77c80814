"""The watcher over real PC/SC: every change is told, and no stop of the service ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue

import pytest

from cardio.models.readers import EventKind, ReaderEvent, ReaderStatus
from cardio.readers.pcsc import PcscSource
from simulators.card.faults import with_fault
from simulators.personas.persona import find_persona
from tests.pcsc import Daemon, Slot, open_handles, wait_until

pytestmark = pytest.mark.pcsc
ADULT = find_persona("adult")


class Events:
    def __init__(self) -> None:
        self.queue: SimpleQueue[ReaderEvent] = SimpleQueue()
        self.watch = PcscSource().watch(self.queue.put)

    def next(self, kind: EventKind, reader: str | None = None, seconds: float = 10.0) -> ReaderEvent:
        """The next event of this kind at this reader; earlier ones of other kinds are passed over."""
        while True:
            try:
                event = self.queue.get(timeout=seconds)
            except Empty:
                raise AssertionError(f"no {kind} of {reader} within {seconds} s") from None
            if event.kind is kind and (reader is None or event.reader == reader):
                return event


@pytest.fixture
def events(slot: Slot) -> Iterator[Events]:
    made = Events()
    yield made
    made.watch.stop()


def test_what_is_there_is_told_first(slot: Slot) -> None:
    slot.insert(ADULT.card())
    events = Events()
    try:
        assert events.next(EventKind.SERVICE_UP).reader is None
        assert events.next(EventKind.CARD_INSERTED).reader == slot.reader.name
    finally:
        events.watch.stop()


def test_insertion_and_removal(slot: Slot, events: Events) -> None:
    events.next(EventKind.READER_ADDED, slot.reader.name)
    slot.insert(ADULT.card())
    inserted = events.next(EventKind.CARD_INSERTED, slot.reader.name)
    assert inserted.atr == ADULT.atr.hex().upper() and not inserted.simulated
    slot.remove()
    removed = events.next(EventKind.CARD_REMOVED, slot.reader.name)
    assert (removed.event_counter or 0) > (inserted.event_counter or 0)
    slot.insert(with_fault(ADULT.card(), "mute"), ReaderStatus.MUTE)
    assert events.next(EventKind.CARD_MUTE, slot.reader.name).atr is None


def test_a_quick_swap_is_two_events(slot: Slot, events: Events) -> None:
    slot.insert(ADULT.card())
    events.next(EventKind.CARD_INSERTED, slot.reader.name)
    slot.settle()
    slot.pull()
    slot.insert(find_persona("child").card())
    events.next(EventKind.CARD_REMOVED, slot.reader.name)
    assert events.next(EventKind.CARD_INSERTED, slot.reader.name).atr == find_persona("child").atr.hex().upper()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_the_service_goes_and_comes_back(how: int, daemon: Daemon, slot: Slot, events: Events) -> None:
    slot.insert(ADULT.card())
    events.next(EventKind.CARD_INSERTED, slot.reader.name)
    daemon.stop(how)
    events.next(EventKind.CARD_REMOVED, slot.reader.name)
    events.next(EventKind.READER_REMOVED, slot.reader.name)
    events.next(EventKind.SERVICE_DOWN)
    slot.pull()
    daemon.start()
    events.next(EventKind.SERVICE_UP)
    events.next(EventKind.READER_ADDED, slot.reader.name)
    slot.insert(ADULT.card())
    events.next(EventKind.CARD_INSERTED, slot.reader.name)


def test_restarts_leave_no_thread_and_no_handle_behind(daemon: Daemon, slot: Slot, events: Events) -> None:
    events.next(EventKind.READER_ADDED, slot.reader.name)
    threads = threading.active_count()
    handles = open_handles()
    for number in range(10):
        daemon.stop(signal.SIGKILL if number % 2 else signal.SIGTERM)
        events.next(EventKind.SERVICE_DOWN)
        daemon.start()
        events.next(EventKind.SERVICE_UP)
    events.next(EventKind.READER_ADDED, slot.reader.name)
    wait_until(lambda: threading.active_count() <= threads, "threads have ended")
    assert open_handles() <= handles + 1


def test_a_watch_stops_at_once(slot: Slot) -> None:
    events = Events()
    events.next(EventKind.READER_ADDED)
    before = threading.active_count()
    events.watch.stop()
    assert threading.active_count() == before - 1
