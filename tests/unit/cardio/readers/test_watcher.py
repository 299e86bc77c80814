"""The watcher against a PC/SC that misbehaves on demand (the real one is in tests/integration)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from queue import SimpleQueue

import pytest
from pytest_mock import MockerFixture

from cardio.errors import CardioError
from cardio.models.readers import EventKind, ReaderEvent
from cardio.readers import scard
from cardio.readers.supervision import Supervisor
from cardio.readers.watcher import PcscWatch

ATR = bytes.fromhex("3B6D00000081544C928684370200000001")
Answer = Callable[[Sequence[tuple[str, int]]], list[scard.ReaderState] | None]


class Script:
    """A PC/SC that answers as written, then waits until it is cancelled."""

    def __init__(self, *contexts: list[Answer] | int, readers: Sequence[str] = ("R",)) -> None:
        self.contexts = list(contexts)
        self.names = list(readers)
        self.done = threading.Event()
        self.cancelled = threading.Event()
        self.released = 0

    def open(self) -> ScriptedContext:
        if not self.contexts:
            self.done.set()
            return ScriptedContext(self, [])
        step = self.contexts.pop(0)
        if isinstance(step, int):
            raise scard.error_for(step)
        return ScriptedContext(self, step)


class ScriptedContext:
    def __init__(self, script: Script, answers: list[Answer]) -> None:
        self._script = script
        self._answers = answers

    def readers(self) -> list[str]:
        return list(self._script.names)

    def status_change(self, milliseconds: int, known: Sequence[tuple[str, int]]) -> list[scard.ReaderState] | None:
        if self._answers:
            return self._answers.pop(0)(known)
        if self._script.contexts:
            raise scard.error_for(scard.E_SERVICE_STOPPED)
        self._script.done.set()
        self._script.cancelled.wait(10)
        return None

    def cancel(self) -> None:
        self._script.cancelled.set()

    def release(self) -> None:
        self._script.released += 1


def state(flags: int, counter: int, atr: bytes = b"", name: str = "R") -> Answer:
    return lambda known: [scard.ReaderState(name, flags | scard.STATE_CHANGED | counter << 16, atr)]


EMPTY, PRESENT, MUTE = scard.STATE_EMPTY, scard.STATE_PRESENT, scard.STATE_PRESENT | scard.STATE_MUTE


def events_of(
    mocker: MockerFixture, script: Script, supervisor: Supervisor | None = None
) -> list[tuple[str, str | None]]:
    mocker.patch.object(scard, "Context", script.open)
    mocker.patch("cardio.readers.supervision.FIRST_PAUSE", 0.001)
    mocker.patch("cardio.readers.supervision.LONGEST_PAUSE", 0.01)
    events: SimpleQueue[ReaderEvent] = SimpleQueue()
    watch = PcscWatch(events.put, clock=lambda: datetime(2026, 11, 22, tzinfo=UTC), supervisor=supervisor)
    assert script.done.wait(10)
    watch.stop()
    got = []
    while not events.empty():
        event = events.get()
        got.append((event.kind.value, event.reader))
    return got


START = [("service-up", None), ("reader-added", "R")]


def test_cards_come_and_go(mocker: MockerFixture) -> None:
    script = Script([state(EMPTY, 0), state(PRESENT, 1, ATR), state(EMPTY, 2)])
    assert events_of(mocker, script) == [*START, ("card-inserted", "R"), ("card-removed", "R")]
    assert script.released == 1


def test_a_swap_that_shows_only_in_the_counter_is_two_events(mocker: MockerFixture) -> None:
    script = Script([state(PRESENT, 1, ATR), state(PRESENT, 3, ATR)])
    assert events_of(mocker, script) == [*START, ("card-inserted", "R"), ("card-removed", "R"), ("card-inserted", "R")]


def test_another_programs_use_of_the_card_is_no_event(mocker: MockerFixture) -> None:
    script = Script([state(PRESENT, 1, ATR), state(PRESENT | scard.STATE_IN_USE, 1, ATR), state(PRESENT, 1, ATR)])
    assert events_of(mocker, script) == [*START, ("card-inserted", "R")]


def test_a_mute_card_and_one_that_wakes_up(mocker: MockerFixture) -> None:
    script = Script([state(MUTE, 1), state(PRESENT, 1, ATR)])
    assert events_of(mocker, script) == [*START, ("card-mute", "R"), ("card-inserted", "R")]


@pytest.mark.parametrize("code", sorted(scard.SERVICE_LOST))
def test_a_service_that_goes_takes_its_cards_and_readers_along_and_is_waited_for(
    mocker: MockerFixture, code: int
) -> None:
    def fail(known: object) -> list[scard.ReaderState]:
        raise scard.error_for(code)

    script = Script([state(PRESENT, 1, ATR), fail], code, code, [state(PRESENT, 1, ATR)])
    assert events_of(mocker, script) == [
        *START,
        ("card-inserted", "R"),
        ("card-removed", "R"),
        ("reader-removed", "R"),
        ("service-down", None),
        ("service-up", None),
        ("reader-added", "R"),
        ("card-inserted", "R"),
    ]


def test_a_service_that_is_not_there_at_first(mocker: MockerFixture) -> None:
    script = Script(scard.E_NO_SERVICE, scard.E_NO_SERVICE, [state(EMPTY, 0)])
    assert events_of(mocker, script) == [("service-down", None), *START]


def test_an_error_that_has_no_name_is_told_once_however_long_it_lasts(mocker: MockerFixture) -> None:
    def fail(known: object) -> list[scard.ReaderState]:
        raise scard.error_for(0x80100099)

    failing: list[list[Answer] | int] = [[fail] for _ in range(20)]
    script = Script(*failing, [state(EMPTY, 0)])
    assert events_of(mocker, script) == [("service-down", None), *START]


@pytest.mark.parametrize("fault", [SystemError("pyscard"), UnicodeDecodeError("utf-8", b"x", 0, 1, ""), MemoryError()])
def test_a_fault_that_no_one_planned_for_ends_one_round_and_not_the_thread(
    mocker: MockerFixture, fault: Exception
) -> None:
    def fail(known: object) -> list[scard.ReaderState]:
        raise fault

    script = Script([state(PRESENT, 1, ATR), fail], [state(PRESENT, 1, ATR)])
    supervisor = Supervisor()
    assert events_of(mocker, script, supervisor) == [
        *START,
        ("card-inserted", "R"),
        ("card-removed", "R"),
        ("reader-removed", "R"),
        ("service-down", None),
        *START,
        ("card-inserted", "R"),
    ]
    (failure,) = supervisor.failures
    assert (failure.task, failure.failures, failure.error) == ("pcsc-watch", 1, type(fault).__name__)
    assert "test_watcher.py" in failure.place and failure.place.endswith("in fail")
    assert not supervisor.failed_tasks, "it runs again"


def test_a_listener_that_fails_is_told_all_anew(mocker: MockerFixture) -> None:
    mocker.patch("cardio.readers.supervision.FIRST_PAUSE", 0.001)
    script = Script([state(PRESENT, 1, ATR)], [state(PRESENT, 1, ATR)])
    mocker.patch.object(scard, "Context", script.open)
    events: SimpleQueue[ReaderEvent] = SimpleQueue()
    failing = True

    def listen(event: ReaderEvent) -> None:
        nonlocal failing
        events.put(event)
        if failing and event.kind is EventKind.CARD_INSERTED:
            failing = False
            raise KeyError("of a listener")

    watch = PcscWatch(listen, supervisor=(supervisor := Supervisor()))
    assert script.done.wait(10)
    watch.stop()
    kinds = [events.get().kind.value for _ in range(events.qsize())]
    assert kinds[-3:] == ["service-up", "reader-added", "card-inserted"]
    assert [failure.error for failure in supervisor.failures] == ["KeyError"]


def test_a_reader_that_comes_and_goes_fifty_times(mocker: MockerFixture) -> None:
    script = Script([], readers=[])

    def turn(known: object) -> list[scard.ReaderState]:
        script.names = [] if script.names else ["R"]
        return []

    script.contexts = [[turn] * 101]
    kinds = [kind for kind, _ in events_of(mocker, script)]
    assert kinds == ["service-up", *["reader-added", "reader-removed"] * 50, "reader-added"]


def test_a_reader_that_is_unplugged_and_one_that_comes(mocker: MockerFixture) -> None:
    script = Script([], readers=["R"])

    def unplug(known: object) -> list[scard.ReaderState]:
        script.names = ["S"]
        return []

    script.contexts = [[state(PRESENT, 1, ATR), unplug, state(EMPTY, 0, name="S")]]
    assert events_of(mocker, script) == [
        *START,
        ("card-inserted", "R"),
        ("card-removed", "R"),
        ("reader-removed", "R"),
        ("reader-added", "S"),
    ]


def test_a_reader_that_goes_between_the_list_and_the_question_takes_no_other_along(mocker: MockerFixture) -> None:
    """pcsc-lite answers a question about a reader that has just gone with SCARD_E_UNKNOWN_READER."""
    script = Script([], readers=["R", "S"])

    def unplug(known: object) -> list[scard.ReaderState]:
        script.names = ["R"]
        raise scard.error_for(scard.E_UNKNOWN_READER)

    script.contexts = [[state(PRESENT, 1, ATR), unplug, state(PRESENT, 1, ATR)]]
    assert events_of(mocker, script) == [*START, ("reader-added", "S"), ("card-inserted", "R"), ("reader-removed", "S")]


def test_a_reader_that_is_listed_and_unknown_for_ever_is_a_service_that_is_down(mocker: MockerFixture) -> None:
    def fail(known: object) -> list[scard.ReaderState]:
        raise scard.error_for(scard.E_UNKNOWN_READER)

    script = Script([state(EMPTY, 0), *[fail] * 10], [state(EMPTY, 0)])
    assert events_of(mocker, script) == [*START, ("reader-removed", "R"), ("service-down", None), *START]


def test_twenty_changes_a_second_are_twenty_changes(mocker: MockerFixture) -> None:
    """A loose contact."""
    flicker = [state(PRESENT if counter % 2 else EMPTY, counter, ATR) for counter in range(1, 21)]
    kinds = [kind for kind, _ in events_of(mocker, Script(flicker))[2:]]
    assert kinds == ["card-inserted", "card-removed"] * 10


def test_each_question_names_the_state_that_was_told_last(mocker: MockerFixture) -> None:
    asked: list[list[tuple[str, int]]] = []

    def note(answer: Answer) -> Answer:
        def noted(known: Sequence[tuple[str, int]]) -> list[scard.ReaderState] | None:
            asked.append(list(known))
            return answer(known)

        return noted

    events_of(mocker, Script([note(state(PRESENT, 1, ATR)), note(state(EMPTY, 2))]))
    assert asked == [
        [("R", 0), (scard.PNP_NOTIFICATION, 1 << 16)],
        [("R", PRESENT | 1 << 16), (scard.PNP_NOTIFICATION, 1 << 16)],
    ]


def test_without_pyscard_the_error_says_what_to_install(mocker: MockerFixture) -> None:
    mocker.patch.dict("sys.modules", {"smartcard": None})
    scard._library.cache_clear()
    with pytest.raises(CardioError, match="pyscard"):
        scard.Context()
    scard._library.cache_clear()


def test_kinds_are_all_used() -> None:
    assert len(EventKind) == 7
