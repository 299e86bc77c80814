"""A machine of these tests' own: this one's root file system under a layer that is thrown away, with systemd running.

What a Debian package does, it does to a whole machine: files below /, a user, units. So the package is installed for
real, where it can be looked at and purged, and nothing of it reaches the machine that runs the tests.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.pcsc import wait_until

# basic.target: sockets and D-Bus, but none of the services that the machine of the tests happens to have.
# The cgroup hierarchy is the one that Debian 12 has by itself. What root has at home is hidden, other Pythons included.
_START = """
mount -t tmpfs tmpfs "$1" && mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t tmpfs tmpfs /run
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec systemd-nspawn --quiet --directory "$1/root" --machine cardio-test --register=no --keep-unit --private-network \\
  --link-journal=no --console=pipe --resolv-conf=off --timezone=off --tmpfs=/root --bind-ro="$2:/package" \\
  --boot systemd.unit=basic.target systemd.show_status=false
"""
_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG=C.UTF-8",
    "HOME=/root",
    "DEBIAN_FRONTEND=noninteractive",
)


@dataclass(slots=True)
class Machine:
    """A machine that runs; commands are run on it."""

    leader: int
    """Its first process, seen from here."""

    def command(self, *words: str, user: str | None = None) -> list[str]:
        """How to run a command there from here."""
        enter = ["nsenter", "--target", str(self.leader), "--all", "--root", "--wdns=/", "env", "-i", *_ENVIRONMENT]
        if user is not None:
            number = self.run("id", "-u", user).strip()
            enter += ["setpriv", f"--reuid={number}", f"--regid={number}", "--init-groups", "env"]
            enter += [f"HOME=/home/{user}", f"XDG_RUNTIME_DIR=/run/user/{number}"]
        return [*enter, *words]

    def run(self, *words: str, user: str | None = None) -> str:
        """What a command prints there; it must succeed."""
        done = self.attempt(*words, user=user)
        assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def attempt(self, *words: str, user: str | None = None) -> subprocess.CompletedProcess[str]:
        """The same for a command that may fail."""
        return subprocess.run(self.command(*words, user=user), capture_output=True, text=True, check=False, timeout=60)

    def succeeds(self, *words: str, user: str | None = None) -> bool:
        return self.attempt(*words, user=user).returncode == 0

    def install(self) -> None:
        """Installs the package as an administrator who has the file does; also over the same package."""
        self.run("sh", "-c", "dpkg --install /package/cardio_*.deb")

    def files(self) -> set[str]:
        """All paths where a package may leave something. dpkg's lists and the logs are a machine's memory of it."""
        found = self.run("find", "/etc", "/opt", "/usr", "/var", "/home", "/srv", "-xdev", "!", "-type", "s")
        memory = ("/var/lib/dpkg", "/var/cache/debconf", "/var/log", "/var/lib/systemd", "/var/lib/polkit-1")
        # passwd and its like leave a copy of themselves, by whichever program they are changed.
        return {path for path in found.splitlines() if not path.startswith(memory) and not path.endswith("-")}

    def answers(self, path: str) -> str | None:
        """What a bridge on the usual port answers there, or nothing when none does."""
        done = self.attempt("curl", "--silent", "--fail", f"http://127.0.0.1:12340{path}")
        return done.stdout if done.returncode == 0 else None


@contextmanager
def started(folder: Path, package: Path) -> Iterator[Machine]:
    """A machine that has booted; it is gone afterwards. Needs root."""
    assert shutil.which("systemd-nspawn"), "systemd-nspawn is missing: scripts/setup.sh test installs it"
    root = folder / "machine"
    root.mkdir()
    with (folder / "console").open("wb") as console:
        process = subprocess.Popen(
            ["unshare", "--mount", "--", "sh", "-ec", _START, "machine", str(root), str(package.parent)],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
        try:
            wait_until(lambda: _is_up(process, folder / "console"), "the machine has booted", 30)
            yield Machine(_first_processes(process)[0])
        finally:
            # The end of the first process is that of all on its machine; the end of systemd-nspawn alone is not.
            for first in _first_processes(process):
                os.kill(first, signal.SIGKILL)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _first_processes(process: subprocess.Popen[bytes]) -> list[int]:
    """The machine's systemd, once it is there; before it systemd-nspawn has other children."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    listed = children.read_text().split() if children.exists() else []
    return [int(child) for child in listed if _name(child) == "systemd"]


def _name(process: str) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:  # it has ended meanwhile
        return ""


def _is_up(process: subprocess.Popen[bytes], console: Path) -> bool:
    assert process.poll() is None, console.read_text(errors="replace")
    states = [Machine(first).attempt("systemctl", "is-system-running") for first in _first_processes(process)]
    # "degraded" is up too: what else this machine has may fail there.
    return any(state.stdout.strip() in ("running", "degraded") for state in states)
