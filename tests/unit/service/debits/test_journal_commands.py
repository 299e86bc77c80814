"""The journal's file on the console and over HTTP: verify, back up, put back, archive; beside a running bridge, and
without one."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.cli.doctor_checks import bridge_findings
from service.debits.provider import JournalProvider
from service.gate.scopes import Scope
from service.routes.journal import _content
from tests.unit.service.debits.debit_desk import LATER, Desk, refused, write_owners_token
from tests.unit.service.debits.journal_files import S, debit, edit
from tests.warm_cardio import warm_command


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    write_owners_token()
    yield made
    made.bridge.stop()


@pytest.fixture
def journal(desk: Desk) -> Path:
    return desk.folder / "debits.sqlite"


def run(journal: Path, *arguments: str, address: str | None = None) -> subprocess.CompletedProcess[str]:
    """Without an address where no bridge runs: no program has the port."""
    environment = {"CARDIO_BRIDGE_DEBITS_FILE": str(journal), "CARDIO_BRIDGE": address or "http://127.0.0.1:9"}
    return subprocess.run(
        [warm_command(), "debits", *arguments], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_a_backup_of_a_running_bridge_is_whole(desk: Desk, journal: Path, tmp_path: Path) -> None:
    """Each debit that was done before it is in it, with what SQLite has not yet brought into the database."""
    assert desk.call().status_code == 200
    backup = tmp_path / "usb" / "backup.sqlite"
    backup.parent.mkdir()
    made = run(journal, "backup", str(backup), address=desk.bridge.address)
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600 and "锚点 anchor" in made.stdout
    assert [one.name for one in backup.parent.iterdir()] == ["backup.sqlite"]
    assert [one for one in journal.parent.glob(".debits.sqlite.backup*")] == [], "nothing stays behind"
    content = backup.read_bytes()
    again = run(journal, "backup", str(backup), address=desk.bridge.address)
    assert again.returncode == 2 and "不会覆盖" in again.stderr and backup.read_bytes() == content
    (kept,) = json.loads(run(journal, "list", "--file", str(backup), "--all", "--json").stdout)["debits"]
    assert kept["idempotency_key"] == "k" and kept["outcome"] == "done"
    shown = run(journal, "show", kept["id"], "--file", str(backup))
    assert shown.returncode == 0 and "AC0B188C" in shown.stdout
    assert desk.call(key="k").status_code == 200 and desk.debits == 1


def test_a_caller_who_leaves_before_the_first_byte_leaves_no_backup_behind(tmp_path: Path) -> None:
    """There is a key in it."""
    left = tmp_path / "backup"
    left.write_bytes(b"SQLite")
    content, size = _content(left)
    assert not left.exists() and size == 6
    assert b"".join(content) == b"SQLite"


def test_a_backup_is_the_owners(desk: Desk) -> None:
    page, _ = desk.bridge.pair("https://his.example", Scope.SETTLE, Scope.BASIC)
    assert refused(page.get("/v1/journal"))[0] == 403
    for what in ("backup", "restored", "archive"):
        assert refused(page.post(f"/v1/journal/{what}", json={"before": "2026-01-01"}))[0] == 403


def test_a_disk_that_is_full_leaves_no_backup(desk: Desk, journal: Path, tmp_path: Path) -> None:
    """The system's own limit for a file stands for the disk's: what does not fit is refused in the same way."""
    desk.call()
    program = f"""
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.dont_write_bytecode = True  # a module's cache that is cut off would break every later start
from cardio.cli.main import run
sys.argv = ["cardio", "debits", "backup", {str(tmp_path / "backup.sqlite")!r}]
run()
"""
    made = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "CARDIO_BRIDGE_DEBITS_FILE": str(journal), "CARDIO_BRIDGE": desk.bridge.address},
    )  # fmt: skip
    assert made.returncode != 0 and "无法写入" in made.stderr and "Traceback" not in made.stderr
    assert not (tmp_path / "backup.sqlite").exists()


@pytest.mark.parametrize("where", ["missing/backup.sqlite", "link"])
def test_a_backup_goes_nowhere_else(desk: Desk, journal: Path, tmp_path: Path, where: str) -> None:
    if where == "link":
        (tmp_path / "link").symlink_to(tmp_path / "target")
    made = run(journal, "backup", str(tmp_path / where), address=desk.bridge.address)
    assert made.returncode != 0 and made.stderr and not (tmp_path / "target").exists()


def test_yesterdays_backup_is_put_back_and_nothing_is_taken_before_a_person_has_said_so(
    desk: Desk, journal: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.sqlite"
    assert desk.call(key="early").status_code == 200
    assert run(journal, "backup", str(backup), address=desk.bridge.address).returncode == 0
    assert desk.call(key="late", pPayInfo=LATER).status_code == 200
    desk.bridge.stop()
    there = run(journal, "restore", str(backup))
    assert there.returncode == 2 and "移走" in there.stderr, "what is there is not written over"
    for one in journal.parent.glob("debits.*"):
        one.unlink()
    back = run(journal, "restore", str(backup))
    assert back.returncode == 0 and "cardio debits restored" in back.stdout, back.stderr
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in journal.parent.glob("debits.*"))
    second = Desk(desk.folder)
    second.card = desk.card
    second.put(desk.card)
    try:
        for key in ("late", "new"):
            answer = second.call(key=key, pPayInfo=LATER)
            assert refused(answer) == (503, "journal-restored") and second.debits == 0
        assert second.call(key="early").status_code == 200, "what it has is still told"
        assert refused(second.bridge.client.get("/readyz")) == (503, "journal-restored")
        asked = run(journal, "restored", address=second.bridge.address)
        assert asked.returncode == 2 and "--yes" in asked.stderr and "较早的副本" in asked.stderr
        said = run(journal, "restored", "--yes", address=second.bridge.address)
        assert said.returncode == 0, said.stderr
        assert second.bridge.client.get("/readyz").status_code == 200
        assert second.call(key="new", pPayInfo="0.1|0.20|20151118185003|").status_code == 200
    finally:
        second.bridge.stop()


def test_a_lost_journal_is_told_and_begun_anew_by_a_person_only(
    desk: Desk, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARDIO_BRIDGE_PORT", str(desk.bridge.port))
    monkeypatch.setenv("CARDIO_BRIDGE_SCOPES", "basic,settle")
    assert desk.call().status_code == 200
    aside = desk.folder / "aside"
    aside.mkdir()
    for one in journal.parent.glob("debits.*"):
        shutil.move(one, aside)
    for _ in range(2):
        assert refused(desk.call(key="new", pPayInfo=LATER)) == (503, "journal-unavailable") and desk.debits == 1
    problem = desk.bridge.client.get("/readyz").json()
    assert (problem["status"], problem["code"]) == (503, "journal-unavailable") and "移走" in problem["detail"]
    finding = next(one for one in bridge_findings() if one.check == "debits")
    assert finding.state == "bad" and finding.remedy.startswith("未扣款")
    for one in aside.iterdir():
        shutil.move(one, journal.parent)
    assert desk.bridge.client.get("/readyz").status_code == 200
    assert desk.call().status_code == 200 and desk.debits == 1
    for one in journal.parent.glob("debits.*"):
        shutil.move(one, aside)
    assert run(journal, "restored", "--yes", address=desk.bridge.address).returncode == 0
    assert desk.bridge.client.get("/readyz").status_code == 200
    assert desk.call(key="new", pPayInfo=LATER).status_code == 200


def test_verify_names_what_was_changed_while_the_bridge_runs(desk: Desk, journal: Path) -> None:
    debit_id = desk.call().json()["debit"]["id"]
    good = run(journal, "verify")
    assert good.returncode == 0 and "全部完好" in good.stdout and "all as they were written: 1 debits" in good.stdout
    edit(journal, "UPDATE debit SET state = 'aborted', sent = 1")
    bad = run(journal, "verify")
    assert bad.returncode == 1 and f"消费 {debit_id}：记录被改动" in bad.stdout
    assert f"debit {debit_id}: was changed from outside" in bad.stdout
    findings = json.loads(run(journal, "verify", "--json").stdout)["findings"]
    assert findings == [{"problem": "changed", "debit": debit_id}]
    answer = desk.call()
    assert refused(answer) == (409, "journal-tampered") and answer.json()["debit"] == debit_id and desk.debits == 1
    assert "CHANGED FROM OUTSIDE" in run(journal, "list", "--all", address=desk.bridge.address).stdout
    decided = run(journal, "resolve", debit_id, "--outcome", "done", "--yes", address=desk.bridge.address)
    assert decided.returncode == 0 and run(journal, "verify").returncode == 0


def test_verify_looks_at_other_files_and_says_what_is_none(tmp_path: Path, desk: Desk, journal: Path) -> None:
    backup = tmp_path / "backup.sqlite"
    desk.call()
    assert run(journal, "backup", str(backup), address=desk.bridge.address).returncode == 0
    assert run(journal, "verify", "--file", str(backup)).returncode == 0
    edit(backup, "DELETE FROM debit")
    changed = run(journal, "verify", "--file", str(backup))
    assert changed.returncode == 1 and "记录被删除" in changed.stdout
    for name, content in (("missing", None), ("text", b"no database" * 1000), ("empty", b"")):
        path = tmp_path / name
        if content is not None:
            path.touch(0o600)
            path.write_bytes(content)
        for command in (("verify", "--file", str(path)), ("restore", str(path)), ("list", "--file", str(path))):
            said = run(tmp_path / "elsewhere" / "debits.sqlite", *command)
            assert said.returncode in (2, 78) and "Traceback" not in said.stderr and said.stderr, (name, command)


@pytest.mark.parametrize("left", ["-wal", "-shm", "-journal"])
def test_a_backup_is_not_put_beside_another_ones_log(tmp_path: Path, left: str) -> None:
    """SQLite would write what stands in it into the backup."""
    path, backup = tmp_path / "desk" / "debits.sqlite", tmp_path / "backup.sqlite"
    place = JournalProvider(path)
    debit(place.open(), "k")
    shutil.move(place.open().write_backup(), backup)
    for number in range(40):
        debit(place.open(), f"later {number}")
    place.open().abandon()
    log = path.with_name("debits.sqlite-wal").read_bytes()
    shutil.rmtree(path.parent)
    path.parent.mkdir(mode=0o700)
    beside = path.with_name(path.name + left)
    beside.touch(0o600)
    beside.write_bytes(log)
    refused = run(path, "restore", str(backup))
    assert refused.returncode and beside.name[-4:] in refused.stdout + refused.stderr and not path.exists()
    assert beside.read_bytes() == log
    beside.unlink()
    assert run(path, "restore", str(backup)).returncode == 0
    assert run(path, "verify").returncode == 0


def test_what_stands_in_a_changed_record_moves_no_cursor(tmp_path: Path) -> None:
    path = tmp_path / "desk" / "debits.sqlite"
    place = JournalProvider(path)
    changed = debit(place.open(), "k")
    place.close()
    edit(path, "UPDATE debit SET owner = char(27) || '[2J' || char(8238) || char(10), reason = char(27) || '[31m'")
    for command in (["list"], ["show", changed]):
        told = run(path, *command, "--file", str(path)).stdout
        assert "\\u001b[2J\\u202e\\u000a" in told and not {"\x1b", "\u202e"} & set(told)


def test_a_backup_that_has_lost_its_key_says_so(tmp_path: Path) -> None:
    path, backup = tmp_path / "desk" / "debits.sqlite", tmp_path / "backup.sqlite"
    place = JournalProvider(path)
    debit(place.open(), "k")
    shutil.move(place.open().write_backup(), backup)
    place.close()
    edit(backup, "DELETE FROM backup")
    for command in ("verify", "list"):
        told = run(path, command, "--file", str(backup))
        assert "journal-key-lost" in told.stderr + told.stdout and "Traceback" not in told.stderr


def test_a_backup_without_a_bridge(tmp_path: Path) -> None:
    path = tmp_path / "alone" / "debits.sqlite"
    place = JournalProvider(path, tmp_path / "cache" / "cardio")
    debit(place.open(), "k")
    busy = run(path, "backup", str(tmp_path / "busy.sqlite"))
    assert busy.returncode == 78 and "另一个程序" in busy.stderr and not (tmp_path / "busy.sqlite").exists()
    place.close()
    made = run(path, "backup", str(tmp_path / "backup.sqlite"), "--json")
    assert made.returncode == 0 and json.loads(made.stdout)["debits"] == 1, made.stderr
    with sqlite3.connect(tmp_path / "backup.sqlite") as database:
        assert (
            database.execute("SELECT secret FROM backup").fetchone()[0] == path.with_suffix(".key").read_text().strip()
        )
    database.close()


def test_what_is_over_goes_into_an_archive_and_its_keys_stay_known(tmp_path: Path) -> None:
    path = tmp_path / "alone" / "debits.sqlite"
    place = JournalProvider(path, tmp_path / "cache" / "cardio")
    journal = place.open()
    states = (S.SETTLED, S.ABORTED, S.COMMITTED, S.UNKNOWN, S.DELIVERED)
    ids = {state: debit(journal, state.value, state) for state in states}
    place.close()
    early = run(path, "archive", "--before", "2020-01-01")
    assert early.returncode == 0 and "没有可归档" in early.stdout and not list(path.parent.glob("*archive*"))
    later = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert run(path, "archive", "--before", later).returncode == 2
    for wrong in ("", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00"):
        assert run(path, "archive", "--before", wrong).returncode in (0, 2)
    now = datetime.now(UTC).isoformat()
    made = json.loads(run(path, "archive", "--before", now, "--json").stdout)
    assert (made["debits"], made["left_out"]) == (2, 0)
    archive = Path(made["file"])
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    listed = json.loads(run(path, "list", "--file", str(archive), "--all", "--json").stdout)["debits"]
    assert {one["id"] for one in listed} == {ids[S.SETTLED], ids[S.ABORTED]}
    assert run(path, "verify", "--file", str(archive)).returncode == 0 and run(path, "verify").returncode == 0
    place = JournalProvider(path, tmp_path / "cache" / "cardio")
    journal = place.open()
    assert {one.id for one in journal.list_debits(None, all_states=True)} == set(ids.values()) - {
        one["id"] for one in listed
    }
    for state, outcome in ((S.SETTLED, "done"), (S.ABORTED, "none")):
        with pytest.raises(Exception, match=archive.name) as known:
            journal.claim("local", state.value, "x")
        assert known.value.code == "debit-archived" and known.value.members["outcome"] == outcome  # type: ignore[attr-defined]
    debit(journal, "another", number=500)
    place.close()
    edit(path, "UPDATE known SET archive = NULL WHERE archive IS NOT NULL")
    assert run(path, "verify").returncode == 1
    edit(archive, "UPDATE debit SET state = 'aborted' WHERE state = 'settled'")
    assert run(path, "verify", "--file", str(archive)).returncode == 1


def test_what_was_changed_from_outside_is_not_archived(tmp_path: Path) -> None:
    path = tmp_path / "debits.sqlite"
    place = JournalProvider(path)
    journal = place.open()
    kept, changed = debit(journal, "k", S.SETTLED), debit(journal, "l", S.SETTLED)
    edit(path, f"UPDATE debit SET reason = 'x' WHERE id = '{changed}'")  # noqa: S608 - an id of the test's
    made = journal.archive(datetime.now(UTC))
    assert (made.debits, made.left_out) == (1, 1)
    assert [one.id for one in journal.list_debits(None, all_states=True)] == [changed] != [kept]
    assert [one.debit for one in journal.verify().rows] == [changed]
    place.close()


def test_the_archive_over_http(desk: Desk) -> None:
    debit_id = desk.call().json()["debit"]["id"]
    desk.bridge.client.post(f"/v1/debits/{debit_id}/settled").raise_for_status()
    before = (datetime.now(UTC) - timedelta(seconds=0)).isoformat()
    made = desk.bridge.client.post("/v1/journal/archive", json={"before": before}).json()
    assert made["debits"] == 1 and Path(made["file"]).is_file()
    answer = desk.call()
    assert refused(answer) == (409, "debit-archived") and desk.debits == 1
    assert refused(desk.bridge.client.get(f"/v1/debits/{debit_id}")) == (409, "debit-archived")
    for wrong in ("9999-12-31T23:59:59", "yesterday", "0001-01-01T00:00:00+14:00"):
        assert desk.bridge.client.post("/v1/journal/archive", json={"before": wrong}).status_code in (200, 400, 422)
