"""``cardio keys``, and what commands say of a card that refuses keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cardio.filesystem.capabilities import CapabilityCache
from cardio.security.key_memory import KeyMemory, Presenter
from tests.unit.cardio.cli.test_card_commands import run
from tests.unit.wrong_keys import ALL, key_file_right_for

PRESENTER = Presenter(
    b"sam", "soft:/etc/cardio/keys.toml", "320200", "SM4", lambda key: b"k", lambda key, city, algorithm: b"s"
)
CARD = b"320200D15600000500000009FFFFFFFF"
"""What the persona third-closed says that it is."""


@pytest.fixture
def memory() -> KeyMemory:
    """That of real cards."""
    made = KeyMemory.of_store(CapabilityCache.in_cache())
    assert made is not None
    return made


def stop(memory: KeyMemory) -> None:
    for number in range(3):
        memory.refused(bytes((number,)), "RKSSSE", PRESENTER, 2, proved=True)


def test_where_nothing_is_stopped_it_says_so_and_makes_no_file(
    memory: KeyMemory,
) -> None:
    for action in ("status", "resume"):
        done = run("keys", action)
        assert done.returncode == 0 and "没有停止使用" in done.stdout
    assert memory.path is not None and not memory.path.exists()


def test_a_stopped_sam_is_shown_and_let_go_on(memory: KeyMemory) -> None:
    stop(memory)
    shown = run("keys", "status")
    assert shown.returncode == 69
    assert "soft:/etc/cardio/keys.toml" in shown.stdout and "RKSSSE" in shown.stdout and "keys resume" in shown.stderr
    (stopped,) = json.loads(run("keys", "status", "--json").stdout)["stopped"]
    assert (stopped["key"], stopped["cards"], stopped["proved"]) == ("RKSSSE", 3, True)
    assert run("keys", "resume").returncode == 0 and memory.stopped_sams() == ()
    assert memory.card_notes(b"\x00", "RKSSSE", PRESENTER, proved=True).refusals != ()


def test_doctor_names_it(memory: KeyMemory) -> None:
    stop(memory)
    assert "连续 3 张卡片拒绝了密钥 RKSSSE" in run("doctor").stdout


def test_a_memory_that_cannot_be_used_is_an_error(memory: KeyMemory) -> None:
    assert memory.path is not None
    memory.check()
    memory.path.write_bytes(b"rubbish" * 1000)
    for action in ("status", "resume"):
        done = run("keys", action, "--json")
        assert done.returncode == 69 and json.loads(done.stdout)["error"]["code"] == "key-memory", done.stdout
    assert str(memory.path) in run("doctor").stdout


def test_a_reading_whose_key_is_refused_is_no_success(tmp_path: Path) -> None:
    bad = key_file_right_for(tmp_path / "bad.toml", "IRK")
    read = ["read", "--reader", "sim:third-closed", "--sam", f"soft:{bad}"]
    done = run(*read)
    assert done.returncode == 1 and "还剩 2 次" in done.stderr
    for command in (read, [*read, "--json"], ["insurance", *read[1:]]):
        done = run(*command)
        assert done.returncode == 1, command
        assert "key-already-refused" in done.stdout or "未再次尝试" in done.stderr, command
    good = key_file_right_for(tmp_path / "good.toml", *ALL)
    assert run(*read[:-1], f"soft:{good}").returncode == 0


def test_the_card_in_the_reader_is_forgotten(tmp_path: Path) -> None:
    bad = key_file_right_for(tmp_path / "bad.toml", "IRK")
    run("read", "--reader", "sim:third-closed", "--sam", f"soft:{bad}")
    memory = KeyMemory.of_store(CapabilityCache.in_cache(simulated=True), simulated=True)
    assert memory is not None
    assert json.loads(run("keys", "forget", "--reader", "sim:adult", "--json").stdout) == {"forgotten": 0}
    assert json.loads(run("keys", "forget", "--reader", "sim:third-closed", "--json").stdout) == {"forgotten": 1}
    assert memory.forget(CARD) == 0


def test_where_nothing_can_be_noted_reading_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no-folder").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no-folder"))
    good = key_file_right_for(tmp_path / "good.toml", *ALL)
    done = run("read", "--reader", "sim:third-closed", "--sam", f"soft:{good}")
    assert done.returncode == 69 and "XDG_CACHE_HOME" in done.stderr
