"""Keys are spared from process to process: the command and the bridge, again and again, over real pcscd."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from cardio.models.readers import ReaderStatus
from tests.integration.bridges import CARDIO, served
from tests.pcsc import Slot
from tests.unit.wrong_keys import ALL, CountingCard, key_file_right_for

pytestmark = pytest.mark.pcsc


@pytest.fixture
def surroundings(tmp_path: Path) -> Mapping[str, str]:
    """The settings of a laboratory, and a cache, both of one user."""
    for name in ("config", "cache"):
        (tmp_path / name).mkdir()
    (tmp_path / "config" / "cardio").mkdir()
    (tmp_path / "config" / "cardio" / "security.toml").write_text("laboratory = true\n", encoding="utf-8")
    return os.environ | {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def read(slot: Slot, keys: Path, surroundings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CARDIO), "read", "--reader", slot.reader.name, "--sam", f"soft:{keys}"],
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_runs_of_the_command_cost_one_try_and_say_that_the_key_was_refused(
    slot: Slot, tmp_path: Path, surroundings: Mapping[str, str]
) -> None:
    card = CountingCard(tmp_path / "card.json")
    slot.insert(card)
    bad = key_file_right_for(tmp_path / "bad.toml", "IRK")
    first = read(slot, bad, surroundings)
    assert first.returncode == 1 and "还剩 2 次" in first.stdout + first.stderr, first
    for _ in range(4):
        again = read(slot, bad, surroundings)
        assert again.returncode == 1 and "未再次尝试" in again.stdout + again.stderr, again
    assert card.tries == {"RKSSSE": 2}
    good = key_file_right_for(tmp_path / "good.toml", *ALL)
    done = read(slot, good, surroundings)
    assert done.returncode == 0 and "测试壬" in done.stdout
    assert card.tries == {}


def test_the_command_and_the_bridge_share_what_they_know(
    slot: Slot, tmp_path: Path, surroundings: Mapping[str, str]
) -> None:
    card = CountingCard(tmp_path / "card.json")
    slot.insert(card)
    bad = key_file_right_for(tmp_path / "bad.toml", "IRK")
    for _ in range(3):
        with served(tmp_path, "--sam", f"soft:{bad}", environment=surroundings) as bridge:
            bridge.wait_for(slot.reader.name, ReaderStatus.CARD)
            assert bridge.card(slot.reader.name).json()["holder"] is None
    assert read(slot, bad, surroundings).returncode == 1
    assert card.tries == {"RKSSSE": 2}


def test_a_command_that_is_killed_while_the_card_compares_the_key_leaves_a_try(
    slot: Slot, tmp_path: Path, surroundings: Mapping[str, str]
) -> None:
    killed: list[int] = []

    class Killing(CountingCard):
        """Takes the key, and ends the program that presented it before its answer can come."""

        def transmit(self, command: bytes) -> bytes:
            answer = super().transmit(command)
            if command[:2] == b"\x00\x82":
                os.kill(running[0].pid, signal.SIGKILL)
                killed.append(running[0].wait())
            return answer

    card = Killing(tmp_path / "card.json")
    slot.insert(card)
    bad = key_file_right_for(tmp_path / "bad.toml", "IRK")
    command = [str(CARDIO), "read", "--reader", slot.reader.name, "--sam", f"soft:{bad}"]
    running: list[subprocess.Popen[bytes]] = []
    for _ in range(4):
        running[:] = [subprocess.Popen(command, env=surroundings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
        running[0].wait(60)
        slot.wait_until_let_go()
    assert len(killed) == 2 and set(killed) == {-signal.SIGKILL}
    assert card.tries == {"RKSSSE": 1}
