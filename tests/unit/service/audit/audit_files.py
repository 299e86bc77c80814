"""Audit logs in a file, a bridge's too, and what an attacker does to them: for the tests of the log."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from service.audit.log import AuditLog, Verification
from service.audit.schema import AuditEntry
from tests.unit.service.bridge import Bridge

ENTRIES = 12
KEY = "A test's key, which nobody else has. 1234567"
"""What the documentation computes with; other tests take a log's own key."""


def entry(number: int) -> AuditEntry:
    """Each word stands in this entry only, so that its place in the file can be found."""
    return AuditEntry(
        time=f"2026-11-27T08:00:{number:02}.000+00:00", origin=f"https://his{number:02}.example",
        grant=f"grant{number:02}", action=f"GET /v1/readers/{{reader}}/card{number:02}", target=f"DF{number:02}/EF06",
        reader=f"读卡器{number:02}", card_session=f"session{number:02}", card=f"{number:02}" * 8,
        outcome=f"outcome{number:02}", request_id=f"request{number:02}",
    )  # fmt: skip


def verified(path: Path, anchor: str | None = None) -> Verification:
    log = AuditLog(path)
    try:
        return log.verify(anchor)
    finally:
        log.close()


def found(path: Path, anchor: str | None = None) -> list[tuple[str, int, int]]:
    return [(one.problem.value, one.first, one.last) for one in verified(path, anchor).findings]


def tamper(path: Path, *statements: str, number: int = 0) -> None:
    """Change the file as a user who may write it: triggers are no hindrance, and are there again afterwards."""
    with sqlite3.connect(path) as database:
        guards = database.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement, {"number": number})
        for _, again in guards:
            database.execute(again)
    database.close()


def write_log(path: Path) -> None:
    """A log of twelve entries, closed."""
    log = AuditLog(path)
    for number in range(1, ENTRIES + 1):
        assert log.append(entry(number)) == number
    log.close()


def entries(bridge: Bridge) -> list[AuditEntry]:
    """All of them; the log is whole."""
    assert bridge.audit_file is not None and bridge.audit.flush()
    log = AuditLog(bridge.audit_file)
    try:
        assert log.verify().findings == ()
        return [one.entry for one in log.entries()]
    finally:
        log.close()


def state_of(bridge: Bridge) -> str:
    """How the log is, once what was noted has been tried."""
    assert bridge.audit.flush()
    state: str = bridge.client.get("/v1/status").json()["audit"]
    return state
