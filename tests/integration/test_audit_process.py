"""The audit log of bridges as processes: where it is, two of them at once, and one that is killed while it reads."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import httpx
import pytest

from service.audit.log import AuditLog
from service.audit.schema import NumberedEntry
from tests.integration.bridges import BridgeProcess, served
from tests.pcsc import wait_until

pytestmark = pytest.mark.pcsc
SIMULATED = ("--no-pcsc", "--simulate", "adult")
READER = "/v1/readers/Simulated Reader 00/card"


def log_of(folder: Path) -> list[NumberedEntry]:
    """All entries; the log is whole."""
    log = AuditLog(folder / "config" / "cardio" / "audit.sqlite")
    try:
        assert log.verify().findings == ()
        return list(log.entries())
    finally:
        log.close()


def is_private(path: Path) -> bool:
    """No other user may read it; or it was a file for a moment, which has got its last name since."""
    try:
        return path.stat().st_mode & 0o077 == 0
    except FileNotFoundError:
        return True


def read(bridge: BridgeProcess, told: list[str]) -> None:
    """Reads until the bridge is no more; keeps the requests that were answered."""
    try:
        while True:
            answer = bridge.client.get(READER)
            if answer.status_code == 200:
                told.append(answer.headers["X-Request-Id"])
    except httpx.TransportError:
        return


def test_it_is_beside_the_token_and_its_owners(tmp_path: Path) -> None:
    with served(tmp_path, *SIMULATED) as bridge:
        bridge.client.get(READER).raise_for_status()
        home = tmp_path / "config" / "cardio"
        mine = {"audit.key", "audit.sqlite", "token"}  # the log is made after the answer, by a thread of its own
        wait_until(lambda: mine <= {one.name for one in home.iterdir()}, "the log, its key and the token are there")
        assert all(is_private(one) for one in home.iterdir())
    assert [one.entry.action for one in log_of(tmp_path)] == [
        "bridge-started", "GET /v1/readers/{reader}/card", "bridge-stopped",
    ]  # fmt: skip


def test_two_bridges_of_one_user_write_one_log(tmp_path: Path) -> None:
    with served(tmp_path, *SIMULATED) as one, served(tmp_path, *SIMULATED) as other:
        for _ in range(20):
            for bridge in (one, other):
                bridge.client.get(READER).raise_for_status()
    entries = log_of(tmp_path)
    assert [one.number for one in entries] == list(range(1, 45))
    assert {one.entry.outcome for one in entries} == {"ok"}


def test_what_was_answered_is_in_the_log_when_the_bridge_is_killed(tmp_path: Path) -> None:
    """But for the last few: an entry is written just after its answer."""
    told: list[str] = []
    with served(tmp_path, *SIMULATED) as bridge:
        reading = threading.Thread(target=read, args=(bridge, told))
        reading.start()
        while len(told) < 100 and reading.is_alive():
            reading.join(0.01)
        bridge.process.send_signal(signal.SIGKILL)
        bridge.process.wait(10)
        reading.join(10)
    assert set(told[:-20]) <= {one.entry.request_id for one in log_of(tmp_path)}
    with served(tmp_path, *SIMULATED) as bridge:
        bridge.client.get(READER).raise_for_status()
    assert [one.entry.action for one in log_of(tmp_path)][-3::2] == ["bridge-started", "bridge-stopped"]
