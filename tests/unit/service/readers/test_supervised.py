"""Nothing dies unseen: every background task meets an error that was not planned for, is counted, and works again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from cardio.card.session import CardSession
from cardio.errors import ReaderTimeoutError
from cardio.readers.base import Emit, Reader, Watch
from cardio.readers.supervision import Pauses, Supervisor
from cardio.readers.worker import Worker
from service.app import SiteOptions
from service.cli.doctor_checks import bridge_findings
from service.readers.sam_monitor import SamWatch
from service.readers.step_session import StepSession
from service.readers.work_queue import WorkQueue
from service.security import SecurityContext
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader, SoftwareReaders
from tests.conftest import TODAY
from tests.pcsc import wait_until
from tests.unit.service.bridge import FIRST, TOKEN, Bridge

PERSONAL = "测试甲 119900197708090027"
"""What an error message may carry, and no log or answer may show."""


class Unplanned(Exception):
    def __init__(self) -> None:
        super().__init__(PERSONAL)


@pytest.fixture(autouse=True)
def short_pauses(mocker: MockerFixture) -> None:
    mocker.patch("cardio.readers.supervision.FIRST_PAUSE", 0.05)


class BrokenSource:
    """A source of readers that fails where it is told to, and works when ``broken`` is empty."""

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.readers_behind = SoftwareReaders([SoftwareReader("Counter X", find_persona("adult").card())])

    def _fail_in(self, name: str) -> None:
        if name in self.broken:
            raise Unplanned()

    def readers(self) -> Sequence[Reader]:
        self._fail_in("readers")
        return self.readers_behind.readers()

    def reader(self, name: str) -> Reader | None:
        self._fail_in("reader")
        return self.readers_behind.reader(name)

    def watch(self, emit: Emit) -> Watch:
        self._fail_in("watch")
        return self.readers_behind.watch(emit)


Make = Callable[..., Bridge]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Bridge] = []

    def start(*personas: str, **settings: Any) -> Bridge:
        made.append(Bridge(*personas, **settings))
        return made[-1]

    yield start
    for bridge in made:
        bridge.stop()


def tasks_of(bridge: Bridge) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = bridge.client.get("/v1/status").json()["tasks"]
    return listed


@pytest.mark.parametrize("where", ["reader", "watch"])
def test_a_source_that_fails_leaves_the_others_alone_and_is_tried_again(
    make: Make, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = BrokenSource(where)
    bridge = make("adult", sources=[source])
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").json()["simulated"]
    wait_until(lambda: bool(tasks_of(bridge)), "it is counted")
    (task,) = tasks_of(bridge)
    assert (task["task"], task["error"], task["down"]) == ("watch-0-BrokenSource", "Unplanned", True)
    assert "test_supervised.py" in task["place"]
    refused = bridge.client.get("/readyz")
    assert (refused.status_code, refused.json()["code"]) == (503, "task-down")
    figures = bridge.client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    assert "cardio_tasks_down 1.0" in figures and "cardio_task_failures" in figures
    source.broken.clear()
    wait_until(lambda: bridge.client.get("/readyz").status_code == 200, "it works again")
    assert bridge.client.get("/v1/readers/Counter X/card").status_code == 200
    assert not tasks_of(bridge)[0]["down"]
    assert PERSONAL not in caplog.text and "Unplanned at" in caplog.text


def test_a_watch_that_fails_after_it_has_begun_to_tell_leaves_nothing_behind(make: Make) -> None:
    class HalfWatch(BrokenSource):
        told: Emit | None = None

        def watch(self, emit: Emit) -> Watch:
            if "watch" in self.broken:
                self.told = emit
                self.readers_behind.watch(emit)
            return super().watch(emit)

    source = HalfWatch("watch")
    bridge = make("adult", sources=[source])

    def listed() -> list[str]:
        return [one["name"] for one in bridge.client.get("/v1/readers").json()["readers"]]

    wait_until(lambda: listed() == [FIRST], "no reader is listed that nothing watches")
    source.broken.clear()
    wait_until(lambda: bridge.client.get("/readyz").status_code == 200, "it works again")
    wait_until(lambda: "Counter X" in listed(), "it has told what is there")
    kinds: list[str] = []
    bridge.app.state.bridge.running.hub.on_published.append(lambda kind, data: kinds.append(kind))
    reader = source.readers_behind.reader("Counter X")
    assert isinstance(reader, SoftwareReader)
    reader.remove()
    reader.insert(find_persona("child").card())

    def events_since() -> list[str]:
        """What was told from the removal on: the card that was in before may be told late."""
        return kinds[kinds.index("card-removed") :] if "card-removed" in kinds else []

    wait_until(lambda: "card-inserted" in events_since(), "the event is published")
    assert bridge.client.get("/v1/readers/Counter X/card").status_code == 200
    assert events_since().count("card-inserted") == 1, "and told once"


def test_a_source_that_fails_at_a_removal_shows_no_ghost(make: Make) -> None:
    source = BrokenSource()
    bridge = make("adult", sources=[source])
    reader = source.readers_behind.reader("Counter X")
    assert reader is not None
    source.broken.add("watch")
    bridge.app.state.bridge.running.registry._managed["Counter X"].handle = None  # the next event cannot be taken
    reader.remove()
    wait_until(lambda: [one["name"] for one in bridge.client.get("/v1/readers").json()["readers"]] == [FIRST], "gone")
    source.broken.clear()
    wait_until(lambda: bridge.client.get("/readyz").status_code == 200, "it works again")
    listed = bridge.client.get("/v1/readers").json()["readers"]
    assert {one["name"]: one["status"] for one in listed} == {FIRST: "card", "Counter X": "empty"}


def test_doctor_says_which_task_fails(make: Make, mocker: MockerFixture, tmp_path: Path) -> None:
    bridge = make("adult", sources=[BrokenSource("watch")])
    token = tmp_path / "config" / "cardio" / "token"
    token.parent.mkdir(parents=True)
    token.write_text(TOKEN)
    token.chmod(0o600)
    mocker.patch.dict("os.environ", {"CARDIO_BRIDGE_PORT": str(bridge.port)})
    found = [finding for finding in bridge_findings() if finding.check == "task"]
    assert [finding.state for finding in found] == ["bad"] and "watch-0-BrokenSource" in found[0].found


def test_reading_at_once(make: Make, mocker: MockerFixture) -> None:
    mocker.patch("cardio.card.social_security_card.SocialSecurityCard.read", side_effect=Unplanned())
    bridge = make("adult", site_options=SiteOptions(auto_read=True))
    wait_until(lambda: [task["task"] for task in tasks_of(bridge)] == ["auto-read"], "it is counted")
    assert bridge.client.get("/readyz").status_code == 200, "one reading failed; the next card is read"


def test_looking_after_the_sam(make: Make, mocker: MockerFixture) -> None:
    looks = mocker.patch.object(SamWatch, "check", autospec=True, side_effect=[Unplanned(), None])
    mocker.patch("service.readers.sam_monitor.SECONDS", 3600)
    bridge = make("adult", security=SecurityContext(sam_places=("psam:Slot 2",)))
    wait_until(lambda: looks.call_count == 2, "it looks again")
    assert [task["task"] for task in tasks_of(bridge)] == ["sam-watch"]


def test_writing_the_audit_log(make: Make, mocker: MockerFixture, tmp_path: Path) -> None:
    bridge = make("adult", audit=tmp_path / "audit.sqlite")
    broken = mocker.patch.object(bridge.audit, "_write", side_effect=Unplanned())
    bridge.client.get(f"/v1/readers/{FIRST}/card")
    wait_until(lambda: broken.called, "an entry meets it")
    mocker.stop(broken)
    wait_until(lambda: [task["task"] for task in tasks_of(bridge)] == ["audit-log"], "it is counted")
    bridge.client.get(f"/v1/readers/{FIRST}/card")
    assert bridge.audit.flush(), "the next entries are written"


def test_what_escapes_on_the_event_loop(make: Make) -> None:
    supervisor = Supervisor()
    bridge = make("adult", supervisor=supervisor)

    def fail() -> None:
        raise Unplanned()

    bridge.app.state.bridge.running.loop.call_soon_threadsafe(fail)
    wait_until(lambda: [one.task for one in supervisor.failures] == ["event-loop"], "it is counted")


def test_keeping_a_held_card_alive(mocker: MockerFixture) -> None:
    supervisor = Supervisor()
    reader = SoftwareReader("R", find_persona("adult").card())
    with CardSession(reader, keep_alive_seconds=0.01, supervisor=supervisor) as session:
        kept = mocker.patch.object(session._connection, "keep_alive", side_effect=[Unplanned(), *[None] * 1000])
        wait_until(lambda: kept.call_count > 3, "it goes on keeping the card")
        assert [failure.task for failure in supervisor.failures] == ["card-session"]
        assert session.run(lambda card: card.read(today=TODAY)).holder is not None


def test_work_that_was_given_up_and_fails_later() -> None:
    supervisor = Supervisor()
    until = threading.Event()

    def fail() -> None:
        until.wait(10)
        raise Unplanned()

    with Worker(supervisor) as worker:
        with pytest.raises(ReaderTimeoutError):
            worker.run_within(0.01, fail)
        until.set()
        wait_until(lambda: [one.task for one in supervisor.failures] == ["card-worker"], "it is counted")
        assert worker.run_within(5, lambda: "well") == "well"


def test_letting_a_card_go(mocker: MockerFixture, store: Any) -> None:
    supervisor = Supervisor()
    reader = SoftwareReader("R")
    before = StepSession(reader, store, mocker.Mock())
    mocker.patch.object(before, "finish", side_effect=Unplanned())
    StepSession(reader, store, mocker.Mock(), before, supervisor)
    wait_until(lambda: [one.task for one in supervisor.failures] == ["card-let-go"], "it is counted")


def test_the_last_work_of_a_reader() -> None:
    supervisor = Supervisor()

    def fail() -> None:
        raise Unplanned()

    async def run() -> None:
        WorkQueue("R", asyncio.get_running_loop().create_future(), supervisor).close(fail)

    asyncio.run(run())
    wait_until(lambda: [one.task for one in supervisor.failures] == ["reader-queue"], "it is counted")


def test_a_thread_that_nothing_else_watches(capfd: pytest.CaptureFixture[str]) -> None:
    supervisor, before = Supervisor(), threading.excepthook
    supervisor.watch_threads()
    try:

        def fail() -> None:
            raise Unplanned()

        thread = threading.Thread(target=fail, name="of-a-library")
        thread.start()
        thread.join()
    finally:
        threading.excepthook = before
    assert [one.task for one in supervisor.failures] == ["thread-of-a-library"]
    assert PERSONAL not in capfd.readouterr().err


def test_pauses_grow_and_are_short_again_after_a_long_run(mocker: MockerFixture) -> None:
    mocker.patch("cardio.readers.supervision.FIRST_PAUSE", 0.2)
    now = [0.0]
    pauses = Pauses(clock=lambda: now[0])
    assert [pauses.next() for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    pauses.begin()
    now[0] += 60
    assert pauses.next() == 0.2


def test_two_sources_never_answer_for_each_others_readers(make: Make) -> None:
    """A source that claims every name, as PC/SC's does; and a reader whose name both have."""

    class ClaimsAll:
        def __init__(self) -> None:
            self.behind = SoftwareReaders([SoftwareReader(FIRST, find_persona("field").card())])
            for reader in self.behind._readers:
                reader.simulated = False

        def readers(self) -> Sequence[Reader]:
            return self.behind.readers()

        def reader(self, name: str) -> Reader:
            return self.behind.reader(name) or SoftwareReader(name)

        def watch(self, emit: Emit) -> Watch:
            return self.behind.watch(lambda event: emit(event.model_copy(update={"simulated": False})))

    bridge = make("adult", "third-generation", sources=[ClaimsAll()])
    listed = {one["name"]: one["simulated"] for one in bridge.client.get("/v1/readers").json()["readers"]}
    assert listed == {FIRST: False, f"{FIRST} (2)": True, "Simulated Reader 01": True}
    for name, simulated in listed.items():
        reading = bridge.client.get(f"/v1/readers/{name}/card").json()
        assert (reading["reader"], reading["simulated"]) == (name, simulated)
