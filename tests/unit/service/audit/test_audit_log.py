"""The audit log as a file: what is written, in which chain, by several writers at once, and by one that is killed."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.audit.errors import AuditUnavailableError
from service.audit.log import AuditLog
from service.audit.schema import AuditEntry
from tests.unit.service.audit.audit_files import ENTRIES, KEY, entry, found, verified, write_log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "audit.sqlite"
    write_log(made)
    return made


def test_as_it_was_written_nothing_is_found(path: Path) -> None:
    result = verified(path)
    assert (result.entries, result.findings) == (ENTRIES, ())
    log = AuditLog(path)
    assert [one.entry for one in log.entries()] == [entry(number) for number in range(1, ENTRIES + 1)]
    assert [one.number for one in log.entries(last=2)] == [11, 12]
    assert [one.number for one in log.entries(card="07" * 8)] == [7]
    log.close()


def test_the_chain_is_what_the_documentation_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both computed with openssl, as docs/audit.md has it."""
    monkeypatch.setattr("service.storage.secret_file.secrets.token_urlsafe", lambda size: KEY)
    log = AuditLog(tmp_path / "audit.sqlite")
    log.append(AuditEntry("2026-11-27T08:00:00.000+00:00", "local", "local", "bridge-started", target="0.1.0"))
    chain = "71116aa0848f53593ba93fbc9c2255b143c2be563df1a1f44b140e89b89dacbc"
    assert str(log.verify().anchor) == f"1:{chain}"
    assert chain in (Path(__file__).parents[4] / "docs" / "audit.md").read_text(encoding="utf-8")
    assert log.chain.mark(bytes.fromhex("3132")) == "b3605ecfe29e1b4b"
    log.close()


def test_a_new_one_is_whole(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.sqlite")
    result = log.verify()
    assert (result.entries, result.findings, str(result.anchor)) == (0, (), "0:")
    assert log.verify("0:").findings == ()
    log.append(entry(1))
    assert log.verify("0:").findings == ()
    log.close()


def test_entries_are_only_added(path: Path) -> None:
    database = sqlite3.connect(path)
    for statement in ("DELETE FROM entry", "UPDATE entry SET outcome = 'ok'", "DELETE FROM entry WHERE number = 12"):
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            database.execute(statement)
    database.close()


def test_the_file_is_its_owners(path: Path) -> None:
    log = AuditLog(path)
    log.append(entry(13))
    for one in path.parent.glob("audit.*"):
        assert stat.S_IMODE(one.stat().st_mode) == 0o600, one
    log.close()


APPEND = """
import sys
from pathlib import Path
from service.audit.log import AuditEntry, AuditLog
from service.audit.errors import AuditUnavailableError
log = AuditLog(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    while True:
        try:
            log.append(AuditEntry("now", "local", "local", f"{sys.argv[3]} {number}"))
            break
        except AuditUnavailableError:
            pass  # the other one is writing
    print(number, flush=True)
"""


@pytest.fixture
def writers(path: Path) -> Iterator[Callable[[int, str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(entries: int, name: str) -> subprocess.Popen[str]:
        program = [sys.executable, "-c", APPEND, str(path), str(entries), name]
        started.append(subprocess.Popen(program, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def test_several_bridges_write_one_chain(path: Path, writers: Callable[[int, str], subprocess.Popen[str]]) -> None:
    both = [writers(100, name) for name in "ab"]
    for one in both:
        one.communicate(timeout=60)
        assert one.returncode == 0
    assert verified(path).entries == ENTRIES + 200 and found(path) == []


def test_a_bridge_that_is_killed_leaves_a_whole_log(
    path: Path, writers: Callable[[int, str], subprocess.Popen[str]]
) -> None:
    for name in "abcde":
        writer = writers(100_000, name)
        assert writer.stdout is not None
        for _ in range(20):
            told = int(writer.stdout.readline())
        writer.kill()
        writer.wait()
        told = max([told, *(int(line) for line in writer.stdout if line.endswith("\n"))])
        log = AuditLog(path)
        kept = [one.entry.action for one in log.entries()]
        assert log.verify().findings == ()
        assert f"{name} {told}" in kept, "what it had written is there"
        log.close()


def test_whoever_reads_holds_up_nobody_who_writes(path: Path) -> None:
    reading, writing = AuditLog(path), AuditLog(path)
    with reading._file.snapshot() as database:  # as `verify` does, in the middle of it
        database.execute("SELECT * FROM entry").fetchone()
        began = time.monotonic()
        assert writing.append(entry(13)) == 13
        assert time.monotonic() - began < 5
    assert reading.verify().entries == 13
    reading.close()
    writing.close()


def test_whoever_only_reads_changes_nothing(path: Path) -> None:
    """Not even by its being opened: it may be evidence, or on read-only ground."""
    log = AuditLog(path)
    log.append(entry(13))
    files = {one.name: one.read_bytes() for one in path.parent.iterdir() if not one.name.endswith("-shm")}
    reading = AuditLog(path, read_only=True)
    assert reading.verify().entries == len(list(reading.entries())) == 13
    with pytest.raises(AuditUnavailableError):
        reading.append(entry(14))
    reading.close()
    assert {one.name: one.read_bytes() for one in path.parent.iterdir() if not one.name.endswith("-shm")} == files
    log.close()
    before = sorted((one.name, one.read_bytes()) for one in path.parent.iterdir())
    archived = AuditLog(path, read_only=True)
    assert archived.verify().findings == ()
    archived.close()
    assert sorted((one.name, one.read_bytes()) for one in path.parent.iterdir()) == before


def test_a_long_log_is_listed_page_by_page(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the wanted part begins or ends with a page; and what comes in meanwhile is listed, too."""
    monkeypatch.setattr("service.audit.log._PAGE", 4)
    log = AuditLog(path)
    for last in range(ENTRIES + 3):
        assert [one.number for one in log.entries(last=last)] == list(range(1, ENTRIES + 1))[-last or ENTRIES :]
    assert [one.number for one in log.entries(card="07" * 8, last=5)] == [7]
    assert list(log.entries(card="99" * 8)) == []
    listed = log.entries()
    first = [next(listed).number for _ in range(5)]
    assert log.append(entry(13)) == ENTRIES + 1
    assert first + [one.number for one in listed] == list(range(1, ENTRIES + 2))
    log.close()
