"""Background work that meets what was not planned for: it goes on, the status says so, and what was held is let go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from cardio.card.runner import on_card
from cardio.card.session import CardSession
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardGarbledError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.readers.supervision import Supervisor
from cardio.readers.worker import Worker
from cardio.security.credentials import Credentials
from service.audit.log import AuditLog
from service.gate.scopes import Scope
from service.readers.sam_monitor import SamWatch
from service.readers.work_queue import WorkQueue
from service.security import SecurityContext
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.pcsc import wait_until
from tests.unit.service.bridge import FIRST, SECOND, TOKEN, Bridge

PERSONAL = "测试甲 119900197708090027"


class Unplanned(Exception):
    def __init__(self) -> None:
        super().__init__(PERSONAL)


@pytest.fixture(autouse=True)
def short_pauses(mocker: MockerFixture) -> None:
    mocker.patch("cardio.readers.supervision.FIRST_PAUSE", 0.05)


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    made = Bridge("adult", "third-closed", scopes=frozenset(Scope), audit=tmp_path / "audit.sqlite")
    yield made
    made.stop()


def is_free(reader: SoftwareReader) -> bool:
    """Whether another program gets the card at once."""
    got = threading.Event()

    def take() -> None:
        reader.connect().close()
        got.set()

    threading.Thread(target=take, daemon=True).start()
    return got.wait(5)


def read_on(reader: SoftwareReader) -> None:
    on_card(reader, lambda card: card.read(), capabilities=CapabilityCache(None))


def hold(reader: SoftwareReader) -> None:
    CardSession(reader, capabilities=CapabilityCache(None)).close()


# -- cards -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", [read_on, hold])
@pytest.mark.parametrize("error", [Unplanned, CardGarbledError])
def test_a_card_that_cannot_be_begun_with_is_let_go(
    mocker: MockerFixture, use: Callable[[SoftwareReader], None], error: type[Exception]
) -> None:
    reader = SoftwareReader("r", find_persona("adult").card())
    broken = mocker.patch("cardio.card.social_security_card.family_of", side_effect=error())
    with pytest.raises(error):
        use(reader)
    mocker.stop(broken)
    assert is_free(reader)


@pytest.mark.parametrize("held", [False, True])
def test_a_sam_that_cannot_be_closed_keeps_no_card(mocker: MockerFixture, held: bool) -> None:
    reader = SoftwareReader("r", find_persona("adult").card())
    mocker.patch("cardio.security.authenticator.CardAuthenticator.close", side_effect=Unplanned())
    with pytest.raises(Unplanned):
        if held:
            CardSession(reader, capabilities=CapabilityCache(None), credentials=Credentials()).close()
        else:
            on_card(reader, lambda card: card.read(), capabilities=CapabilityCache(None), credentials=Credentials())
    assert is_free(reader)


def test_a_held_card_whose_time_is_over_is_let_go_whatever_fails(mocker: MockerFixture) -> None:
    supervisor, reader = Supervisor(), SoftwareReader("r", find_persona("adult").card())
    mocker.patch("cardio.security.authenticator.CardAuthenticator.close", side_effect=Unplanned())
    CardSession(
        reader, capabilities=CapabilityCache(None), credentials=Credentials(), seconds=0.1, keep_alive_seconds=0.01,
        supervisor=supervisor,
    )  # fmt: skip
    wait_until(lambda: [one.task for one in supervisor.failures] == ["card-session"], "it is counted")
    assert is_free(reader)
    wait_until(lambda: not supervisor.failed_tasks, "nothing waits to start again: the session has ended")


def test_a_held_card_that_fails_again_and_again_is_let_go_when_its_time_is_over(mocker: MockerFixture) -> None:
    supervisor, reader = Supervisor(), SoftwareReader("r", find_persona("adult").card())
    session = CardSession(
        reader, capabilities=CapabilityCache(None), seconds=0.4, keep_alive_seconds=0.01, supervisor=supervisor
    )
    mocker.patch.object(session._connection, "keep_alive", side_effect=Unplanned())
    wait_until(lambda: session.ended, "its time is over")
    assert is_free(reader) and not supervisor.failed_tasks
    assert [one.task for one in supervisor.failures] == ["card-session"]


def test_a_first_step_that_fails_holds_nothing(bridge: Bridge, mocker: MockerFixture) -> None:
    broken = mocker.patch("service.readers.step_session.HsmSteps", side_effect=Unplanned())
    assert bridge.client.post("/v1/driver/iReadCardBas_HSM_Step1", json={"reader": SECOND}).json()["code"] == "internal"
    mocker.stop(broken)
    reader = bridge.readers.reader(SECOND)
    assert reader is not None and is_free(reader)
    other = bridge.caller(bridge.client.post("/v1/grants", json={"name": "p", "scopes": ["basic"]}).json()["token"])
    assert other.get(f"/v1/readers/{SECOND}/card").status_code == 200


def test_a_desk_that_cannot_let_go_keeps_no_other_from_it(bridge: Bridge, mocker: MockerFixture) -> None:
    made = bridge.client.post("/v1/grants", json={"name": "p", "scopes": ["basic"]}).json()
    program = bridge.caller(made["token"])
    assert program.post("/v1/driver/iReadCardBas_HSM_Step1", json={"reader": SECOND}).status_code == 200
    desks = bridge.app.state.bridge.running.registry
    mocker.patch.object(desks.managed(FIRST), "release_held", side_effect=Unplanned())
    bridge.client.delete(f"/v1/grants/{made['grant']}").raise_for_status()
    wait_until(lambda: desks.managed(SECOND).holding.owner is None, "the other desk has let go")
    wait_until(lambda: "card-let-go" in tasks(bridge), "it is counted")


# -- threads and tasks -------------------------------------------------------------------------------


def tasks(bridge: Bridge) -> dict[str, dict[str, Any]]:
    return {one["task"]: one for one in bridge.client.get("/v1/status").json()["tasks"]}


def state(bridge: Bridge) -> str:
    found: str = bridge.client.get("/v1/status").json()["audit"]
    return found


def test_the_audit_log_fails_in_its_own_error_path(
    bridge: Bridge, mocker: MockerFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disk that fails, and a file that cannot even be closed: what is missing stands in the log afterwards."""
    monkeypatch.setattr("service.audit.recorder._REST_SECONDS", 0.0)
    assert state(bridge) == "on"
    appends = mocker.patch.object(AuditLog, "append", side_effect=OSError(5, "Input/output error"))
    closes = mocker.patch.object(AuditLog, "close", side_effect=Unplanned())
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200, "no reading is hindered"
    wait_until(lambda: "audit-log" in tasks(bridge), "it is counted")
    assert state(bridge) == "failing" and bridge.audit.lost >= 1
    mocker.stop(appends)
    mocker.stop(closes)
    wait_until(lambda: not tasks(bridge)["audit-log"]["down"], "it runs again")
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200
    assert bridge.audit.flush()
    wait_until(lambda: state(bridge) == "on", "what is noted is written")
    log = AuditLog(tmp_path / "audit.sqlite", read_only=True)
    try:
        actions = [one.entry.action for one in log.entries()]
    finally:
        log.close()
    assert "audit-entries-lost" in actions and actions[-1].startswith("GET ")


def test_an_entry_that_is_lost_to_what_was_not_planned_for_is_counted(bridge: Bridge, mocker: MockerFixture) -> None:
    broken = mocker.patch.object(bridge.audit, "_write", side_effect=Unplanned())
    bridge.client.get(f"/v1/readers/{FIRST}/card")
    wait_until(lambda: bridge.audit.lost == 1, "it is missing")
    assert state(bridge) == "failing"
    mocker.stop(broken)
    bridge.client.get(f"/v1/readers/{FIRST}/card")
    wait_until(lambda: bridge.audit.lost == 0, "the gap stands in the log")


def test_what_is_not_known_of_the_sam_is_not_told_as_it_was(mocker: MockerFixture) -> None:
    looks = 0

    async def look(self: SamWatch) -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise Unplanned()
        self._note("psam", up=True)

    mocker.patch.object(SamWatch, "check", look)
    mocker.patch("service.readers.sam_monitor.SECONDS", 0.05)
    bridge = Bridge("adult", security=SecurityContext(sam_places=("psam:Slot 2",)))
    try:
        wait_until(lambda: "sam-watch" in tasks(bridge), "it is counted")
        assert bridge.client.get("/v1/status").json()["psam"]["state"] == "unknown"
    finally:
        bridge.stop()


def test_work_whose_caller_was_cut_off_and_that_fails_is_counted() -> None:
    supervisor = Supervisor()
    begun, free = threading.Event(), threading.Event()

    def fail(worker: Worker) -> None:
        begun.set()
        free.wait(10)
        raise Unplanned()

    async def run() -> None:
        line = WorkQueue("r", asyncio.get_running_loop().create_future(), supervisor)
        call = asyncio.ensure_future(line.submit(fail))
        assert await asyncio.to_thread(begun.wait, 5)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        free.set()
        while not supervisor.failures:
            await asyncio.sleep(0.01)
        line.close()

    asyncio.run(asyncio.wait_for(run(), 10))
    assert [one.task for one in supervisor.failures] == ["reader-queue"]


def test_no_word_of_it_is_in_the_log(bridge: Bridge, mocker: MockerFixture, caplog: pytest.LogCaptureFixture) -> None:
    broken = mocker.patch.object(SocialSecurityCard, "read", side_effect=Unplanned())
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").json()["code"] == "internal"
    mocker.stop(broken)
    assert PERSONAL not in caplog.text and TOKEN not in caplog.text
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200
