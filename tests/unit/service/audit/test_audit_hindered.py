"""A bridge whose audit log cannot be written, or is taken away: no caller is hindered, and the operator is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.audit.log import AuditLog
from service.audit.recorder import LOST
from service.gate.scopes import Scope
from tests.pcsc import wait_until
from tests.unit.service.audit.audit_files import entries, state_of
from tests.unit.service.bridge import FIRST, Bridge

CARD = "/v1/readers/{reader}/card"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.sqlite"


@pytest.fixture
def bridge(path: Path) -> Iterator[Bridge]:
    made = Bridge("adult", scopes=frozenset(Scope), audit=path)
    yield made
    made.stop()


def test_a_log_that_cannot_be_written_hinders_nobody_and_says_so(path: Path) -> None:
    path.mkdir()
    bridge = Bridge("adult", scopes=frozenset(Scope), audit=path)
    try:
        for _ in range(3):
            assert bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200
        assert state_of(bridge) == "failing"
        assert "cardio_audit_entries_lost 4.0" in bridge.client.get("/metrics").text  # with its own start
        path.rmdir()
        wait_until(lambda: read_and_look(bridge) == "on", "it is written again")
    finally:
        bridge.stop()
    lost, *rest = entries(bridge)
    assert lost.action == LOST and int(lost.target) >= 4
    assert [one.action for one in rest] == [f"GET {CARD}", "bridge-stopped"]


def read_and_look(bridge: Bridge) -> str:
    bridge.client.get(f"/v1/readers/{FIRST}/card").raise_for_status()
    return state_of(bridge)


def test_what_could_not_be_written_is_told_even_at_the_end(path: Path) -> None:
    bridge = Bridge("adult", audit=path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200
    assert state_of(bridge) == "failing"
    other.execute("ROLLBACK")
    other.close()
    bridge.stop()
    assert [(one.action, one.target) for one in entries(bridge)[1:]] == [(LOST, "1"), ("bridge-stopped", "")]


@pytest.mark.parametrize("names", [("",), ("-wal", "-shm"), ("", "-wal", "-shm")], ids=["file", "log", "all"])
def test_a_file_that_is_taken_away_is_missed_at_the_next_entry(
    bridge: Bridge, path: Path, names: tuple[str, ...]
) -> None:
    bridge.client.get(f"/v1/readers/{FIRST}/card")
    assert state_of(bridge) == "on"
    for name in names:
        path.with_name(path.name + name).unlink()
    bridge.client.get(f"/v1/readers/{FIRST}/card").raise_for_status()
    assert state_of(bridge) == "on"
    log = AuditLog(path)
    actions = [one.entry.action for one in log.entries()]
    findings = [one.problem.value for one in log.verify().findings]
    log.close()
    if "" in names:
        assert (actions, findings) == (["audit-log-broken", f"GET {CARD}"], ["broken-before"])
    else:  # what stood in the write-ahead log was held by the bridge, and is in the file now
        assert (actions, findings) == (["bridge-started", f"GET {CARD}", f"GET {CARD}"], [])


def test_a_bridge_goes_on_when_the_file_is_mended(bridge: Bridge, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TRIGGER planted BEFORE INSERT ON entry BEGIN SELECT RAISE(IGNORE); END")
    bridge.client.get(f"/v1/readers/{FIRST}/card").raise_for_status()
    assert state_of(bridge) == "failing"
    other.execute("DROP TRIGGER planted")
    other.close()
    wait_until(lambda: read_and_look(bridge) == "on", "it is written again")
