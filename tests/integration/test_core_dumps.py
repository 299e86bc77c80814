"""What crashes leaves nothing of its memory on a disk: the bridge, and a command that waits for a PIN."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.bridges import CARDIO, NAME, served
from tests.pcsc import wait_until


@pytest.fixture(autouse=True)
def dumps_are_on() -> None:
    """As on a developer's machine: without this the limit would be nothing of ours."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    assert hard != 0, "the tests themselves may dump no core: nothing can be seen here"
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def state_of(pid: int) -> tuple[str, int]:
    """The limit for core dumps, and which parts of the memory go into one."""
    limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    (limit,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    parts = Path(f"/proc/{pid}/coredump_filter").read_text(encoding="ascii")
    return " ".join(limit.removeprefix("Max core file size").split()[:2]), int(parts, 16)


def test_a_process_that_forbids_nothing_would_be_dumped() -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        limit, parts = state_of(process.pid)
        assert not limit.startswith("0 ") and parts != 0
        process.kill()


def test_the_bridge_is_not_dumped(tmp_path: Path) -> None:
    with served(tmp_path, "--no-pcsc", "--simulate") as bridge:
        assert state_of(bridge.process.pid) == ("0 0", 0)


def test_a_command_that_waits_for_a_pin_is_not_dumped(tmp_path: Path) -> None:
    command = [str(CARDIO), "pin", "verify", "--pin-stdin", "--reader", "sim:adult"]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        wait_until(lambda: state_of(process.pid) == ("0 0", 0), "it may not be dumped")
        process.send_signal(signal.SIGABRT)
        assert process.wait(60) == -signal.SIGABRT
    assert not list(tmp_path.glob("core*"))


def test_a_bridge_that_crashes_in_native_code_says_where_and_no_more(tmp_path: Path) -> None:
    """A reader's driver can end the process; without this nothing would tell which."""
    with served(tmp_path, "--no-pcsc", "--simulate", "adult") as bridge:
        bridge.client.get("/v1/readers/Simulated%20Reader%2000/card").raise_for_status()
        bridge.process.send_signal(signal.SIGSEGV)
        assert bridge.process.wait(10) == -signal.SIGSEGV
        assert bridge.written.startswith("Fatal Python error: Segmentation fault")
        assert "server.py" in bridge.written and bridge.token not in bridge.written and NAME not in bridge.written
