"""``cardio audit``: what people see of the log, while the bridge runs and after an attacker has changed the file."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.audit.chain import TamperKind
from service.cli.audit import _PROBLEMS
from tests.unit.service.bridge import FIRST, SECOND, Bridge
from tests.warm_cardio import warm_command


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Path]:
    """A log of three entries, and the bridge goes on."""
    path = tmp_path / "audit.sqlite"
    bridge = Bridge("adult", "whole", audit=path)
    for reader in (FIRST, SECOND):
        bridge.client.get(f"/v1/readers/{reader}/card").raise_for_status()
    assert bridge.audit.flush()
    yield path
    bridge.stop()


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [warm_command(), "audit", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder), **environment},
    )


def test_the_command_lists_while_the_bridge_runs(written: Path, tmp_path: Path) -> None:
    listed = command(tmp_path, "--file", str(written), "--last", "2", "--json")
    told = json.loads(listed.stdout)["entries"]
    assert [(one["number"], one["reader"], one["outcome"]) for one in told] == [(2, FIRST, "ok"), (3, SECOND, "ok")]
    mine = command(tmp_path, "--file", str(written), "--this-card", "--reader", "sim:whole", "--json")
    assert [one["reader"] for one in json.loads(mine.stdout)["entries"]] == [SECOND]
    people = command(tmp_path, "--file", str(written), "--card", told[0]["card"])
    assert FIRST in people.stdout and SECOND not in people.stdout and "bridge-started" not in people.stdout


def test_the_command_verifies(written: Path, tmp_path: Path) -> None:
    whole = command(tmp_path, "verify", "--file", str(written))
    assert whole.returncode == 0 and "全部完好" in whole.stdout and "3:" in whole.stdout
    document = json.loads(command(tmp_path, "verify", "--file", str(written), "--json").stdout)
    assert (document["entries"], document["findings"]) == (3, [])
    against = command(tmp_path, "verify", "--file", str(written), "--anchor", document["anchor"])
    assert against.returncode == 0
    touched = command(tmp_path, "verify", "--file", str(written), "--anchor", "9" + document["anchor"])
    assert touched.returncode == 1 and "第 4 至 93 条：缺失" in touched.stdout, touched.stdout


def test_the_command_shows_what_stands_in_a_damaged_log(written: Path, tmp_path: Path) -> None:
    other = sqlite3.connect(written, isolation_level=None)
    guards = other.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    other.execute("DROP TRIGGER entry_stays_as_it_is")
    for name, value in (("time", "9999-12-31T23:59:59-14:00"), ("reader", "one\n99  forged \x1b[2J\u202e")):
        other.execute(f"UPDATE entry SET {name} = ? WHERE number = 2", (value,))  # noqa: S608 - ours
    other.execute(dict(guards)["entry_stays_as_it_is"])
    other.close()
    for last_ones in ("5", "99999999999999999999", "-1"):
        listed = command(tmp_path, "--file", str(written), "--last", last_ones)
        assert listed.returncode == 0 and "Traceback" not in listed.stderr
    listed = command(tmp_path, "--file", str(written))
    assert len(listed.stdout.splitlines()) == 4 and r"one\u000a99  forged \u001b[2J\u202e" in listed.stdout
    touched = command(tmp_path, "verify", "--file", str(written))
    assert touched.returncode == 1 and "第 2 条：内容被改动" in touched.stdout


def test_every_problem_has_its_words() -> None:
    assert set(_PROBLEMS) == {one.value for one in TamperKind}
    assert all(zh and en for zh, en in _PROBLEMS.values())


def test_the_command_makes_no_log(tmp_path: Path) -> None:
    for environment in ({}, {"CARDIO_BRIDGE_AUDIT": "false"}):
        done = command(tmp_path, "verify", **environment)
        assert done.returncode == 78 and "Traceback" not in done.stderr, done.stderr
    assert list(tmp_path.rglob("audit*")) == []
