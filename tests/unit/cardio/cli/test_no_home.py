"""The command for a user whose home cannot be written, is no folder, or does not exist."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CARDIO = Path(sys.executable).with_name("cardio")
NO_USER = 54321
"""An id without a line in /etc/passwd, as containers have them."""


@pytest.fixture(params=["read-only", "a-file", "nowhere", "none"])
def homeless(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """What is put before a command, and the environment that it gets."""
    surroundings = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    # Root writes where it likes: it is told to do without that right.
    plain = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    match request.param:
        case "read-only":
            home = tmp_path / "home"
            home.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
            yield plain, surroundings | {"HOME": str(home)}
        case "a-file":
            (tmp_path / "file").write_text("")
            yield plain, surroundings | {"HOME": str(tmp_path / "file")}
        case "nowhere":
            yield plain, surroundings | {"HOME": "/proc/nowhere"}
        case "none" if os.getuid() == 0:
            # It may look into every folder, as this Python may stand in root's own.
            rights = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
            yield ["setpriv", f"--reuid={NO_USER}", f"--regid={NO_USER}", "--clear-groups", *rights], surroundings
        case _:
            # Who is not root cannot become another user; in a user namespace of its own it is one without a name.
            yield ["unshare", "--user"], surroundings


def cardio(homeless: tuple[list[str], dict[str, str]], *arguments: str) -> subprocess.CompletedProcess[str]:
    before, surroundings = homeless
    return subprocess.run(
        [*before, CARDIO, *arguments], capture_output=True, text=True, timeout=60, env=surroundings, check=False
    )


def test_cards_are_read_all_the_same(homeless: tuple[list[str], dict[str, str]]) -> None:
    done = cardio(homeless, "read", "--reader", "sim:adult")
    assert (done.returncode, "测试甲" in done.stdout) == (0, True)


def test_a_doctor_says_that_nothing_can_be_kept(homeless: tuple[list[str], dict[str, str]]) -> None:
    done = cardio(homeless, "doctor", "--reader", "sim:adult")
    assert done.returncode == 0 and "不可写" in done.stdout and "XDG_CACHE_HOME" in done.stdout


def test_a_bridge_says_what_it_cannot_make_and_where_it_could(homeless: tuple[list[str], dict[str, str]]) -> None:
    done = cardio(homeless, "serve", "--simulate", "--no-pcsc", "--port", "0")
    assert done.returncode == 78 and done.stdout == ""
    assert "令牌文件" in done.stderr and "无法创建" in done.stderr and "--token-file" in done.stderr
