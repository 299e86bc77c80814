"""The systemd user unit ``cardio`` that the Debian package installs: its state, and its start."""

from __future__ import annotations

import shutil
import subprocess

_UNIT = "cardio.service"
_SECONDS = 15
_STARTING_OR_RUNNING = frozenset({"active", "activating", "reloading"})


class UserUnit:
    """The unit in the service manager of the user that runs this program."""

    def is_installed(self) -> bool:
        """Return True if the user's service manager knows the unit."""
        return self._show("LoadState") == "loaded"

    def is_running(self) -> bool:
        """Return True if the unit runs, is starting, or waits for its next start."""
        return self._show("ActiveState") in _STARTING_OR_RUNNING

    def start(self) -> bool:
        """Start the unit; return True if its program was started. It may need some more seconds to become ready."""
        return _systemctl("start", _UNIT) is not None and self.is_running()

    @staticmethod
    def _show(wanted: str) -> str:
        return (_systemctl("show", "--property", wanted, "--value", _UNIT) or "").strip()


def user_manager_has_display() -> bool:
    """Return True if a desktop session has told the user's service manager its display."""
    names = {line.partition("=")[0] for line in (_systemctl("show-environment") or "").splitlines()}
    return not names.isdisjoint(("DISPLAY", "WAYLAND_DISPLAY"))


def _systemctl(*words: str) -> str | None:
    """Return the answer of the user's service manager; None if it refuses, or there is none."""
    program = shutil.which("systemctl")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            [program, "--user", *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
