"""Set-up on machines that lack what it wants: what it says, whom it asks, and that it goes on without what is optional.

apt-get, sudo, dpkg-query and Python are played here: the real ones would change the machine of the tests.
"""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cardio.readers.absence import BUILD_PACKAGES
from tests.pcsc import wait_until

SCRIPT = Path(__file__).parents[2] / "scripts" / "setup.sh"
TOOLS = (
    "bash",
    "env",
    "cat",
    "tr",
    "tail",
    "sed",
    "grep",
    "mktemp",
    "dirname",
    "rm",
    "cp",
    "touch",
    "mkdir",
    "sleep",
    "awk",
)
READERS = "pcscd libccid libpcsclite1"
PYTHON = """#!/bin/sh
case "$*" in
  *Python.h*) exit 1 ;;
  *ensurepip*) [ ! -e "$BIN/no-venv" ] ;;
  *"-m venv"*) mkdir -p .venv/bin && cp "$BIN/python3" .venv/bin/python ;;
  *install*readers.txt*) echo "no compiler"; [ ! -e "$BIN/no-compiler" ] ;;
esac
"""


class Machine:
    """A folder with the project's set-up in it, and the only programs that it finds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "cardio"
        (self.folder / "scripts").mkdir(parents=True)
        shutil.copy(SCRIPT, self.folder / "scripts")
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (self.bin / tool).symlink_to(found)
        self.called = folder / "called"
        self.called.touch()
        self.has("python3", PYTHON)
        self.has("dpkg-query", "#!/bin/sh\nexit 1\n")
        self.has("apt-get", f'#!/bin/sh\necho "apt-get $*" >> {self.called}\n')
        self.has("id", "#!/bin/sh\necho 1000\n")
        self.environment = {"PATH": str(self.bin), "BIN": str(self.bin), "TMPDIR": str(folder), "LANG": "C.UTF-8"}

    def has(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def has_sudo(self, *, password: bool) -> None:
        """One that wants a password first says no to ``sudo -n`` until ``sudo -v`` was called."""
        known = "" if password else f"touch {self.called}.known\n"
        self.has(
            "sudo",
            f'#!/bin/sh\n{known}echo "sudo $*" >> {self.called}\n'
            f'case "$1" in\n-v) touch {self.called}.known ;;\n-n) [ -e {self.called}.known ] ;;\nesac\n',
        )

    @property
    def calls(self) -> list[str]:
        return self.called.read_text().splitlines()

    def set_up(self, purpose: str = "run") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "scripts/setup.sh", purpose],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    def set_up_at_a_terminal(self, answer: str) -> str:
        """What a person sees who answers the one question."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            ["bash", "scripts/setup.sh", "run"], cwd=self.folder, env=self.environment,
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        seen, answered = b"", False
        with suppress(OSError):  # what a terminal says whose other end is closed
            while part := os.read(ours, 4096):
                seen += part
                if b"[Y/n]" in seen and not answered:
                    answered = True
                    os.write(ours, answer.encode())
        os.close(ours)
        assert process.wait(60) == 0 and answered
        return seen.decode()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    yield Machine(tmp_path)


def test_what_is_optional_is_called_so_first_and_the_line_to_paste_is_one(machine: Machine) -> None:
    done = machine.set_up()
    assert done.returncode == 0 and (machine.folder / ".venv" / ".run-ready").exists()
    lines = done.stdout.splitlines()
    named = next(line for line in lines if BUILD_PACKAGES in line)
    assert "optional" in named.split("Debian packages")[0]
    assert f"cardio setup:   sudo apt-get install --no-install-recommends {BUILD_PACKAGES} {READERS}" in lines
    assert "minute" in lines[0] and "MB" in lines[0], "size and time are told before anything is done"


def test_the_way_back_names_every_package(machine: Machine) -> None:
    """Done to the letter it must not end at the next missing package."""
    (machine.bin / "no-compiler").touch()
    done = machine.set_up()
    assert done.returncode == 0
    way = next(line for line in done.stdout.splitlines() if "make clean setup" in line)
    assert f"sudo apt-get install --no-install-recommends {BUILD_PACKAGES} {READERS} && make clean setup" in way
    assert "no compiler" in (machine.folder / ".venv" / "pyscard-build.log").read_text()


def test_a_venv_that_was_left_half_made_is_made_again(machine: Machine) -> None:
    """Stopped by Ctrl-C at that moment, it was never whole again."""
    half = machine.folder / ".venv" / "bin" / "python"
    half.parent.mkdir(parents=True)
    half.write_text('#!/bin/sh\necho "No module named pip"; exit 1\n')
    half.chmod(0o755)
    done = machine.set_up()
    assert done.returncode == 0 and (machine.folder / ".venv" / ".run-ready").exists(), done.stdout


def test_nothing_goes_on_that_was_stopped(machine: Machine) -> None:
    """Ctrl-C ends what it has begun, before it says that it has stopped."""
    begun = machine.folder / "begun"
    machine.has(
        "python3", f'{PYTHON}case "$*" in *install*) echo $$ >{begun}.new; mv {begun}.new {begun}; sleep 60 ;; esac\n'
    )
    (machine.bin / "mv").symlink_to(shutil.which("mv") or "")
    process = subprocess.Popen(
        ["bash", "scripts/setup.sh", "run"], cwd=machine.folder, env=machine.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(begun.exists, "packages are being installed")
    pip = Path("/proc") / begun.read_text().strip()
    asleep = [Path("/proc") / one for one in (pip / "task" / pip.name / "children").read_text().split()]
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 130 and "stopped; begin again at any time" in said
    wait_until(lambda: not any(one.exists() for one in (pip, *asleep)), "all of it has ended")


def test_what_is_needed_stops_it_with_the_line_to_paste(machine: Machine) -> None:
    (machine.bin / "no-venv").touch()
    done = machine.set_up()
    assert done.returncode == 1 and not (machine.folder / ".venv").exists()
    assert "sudo apt-get install --no-install-recommends python3-venv" in done.stdout


def test_the_tests_cannot_do_without_theirs(machine: Machine) -> None:
    done = machine.set_up("test")
    assert done.returncode == 1 and "required" in done.stdout
    line = next(line for line in done.stdout.splitlines() if "sudo apt-get install" in line)
    assert {"pcscd", "libccid", "vsmartcard-vpcd", "chromium", "locales", "python3-dev"} <= set(line.split())


def test_without_a_terminal_nobody_is_asked_for_a_password(machine: Machine) -> None:
    machine.has_sudo(password=True)
    done = machine.set_up()
    assert done.returncode == 0 and "sudo apt-get install" in done.stdout
    assert machine.calls == ["sudo -n true"]


def test_sudo_without_a_password_installs(machine: Machine) -> None:
    machine.has_sudo(password=False)
    assert machine.set_up().returncode == 0
    assert any(call.startswith("sudo -n env") and READERS in call for call in machine.calls)


def test_at_a_terminal_the_password_is_asked_for(machine: Machine) -> None:
    machine.has_sudo(password=True)
    seen = machine.set_up_at_a_terminal("\n")
    assert "现在用 sudo 安装吗" in seen and "sudo -v" in machine.calls
    assert any(call.startswith("sudo -n env") and READERS in call for call in machine.calls)


def test_who_says_no_goes_on_without(machine: Machine) -> None:
    machine.has_sudo(password=True)
    seen = machine.set_up_at_a_terminal("n\n")
    assert "sudo -v" not in machine.calls and "sudo apt-get install" in seen and "ready" in seen
