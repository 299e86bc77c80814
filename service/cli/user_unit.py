"""The systemd user unit ``cardio`` that the Debian package installs: whether it is there, and starting it."""

from __future__ import annotations

import shutil
import subprocess

_UNIT = "cardio.service"
_SECONDS = 15
_STARTING_OR_RUNNING = frozenset({"active", "activating", "reloading"})


class UserUnit:
    """The unit in the service manager of the user who runs this program."""

    def is_installed(self) -> bool:
        """Tell whether the user's service manager knows the unit."""
        return self._show("LoadState") == "loaded"

    def is_running(self) -> bool:
        """Tell whether it runs, is starting, or waits for its next start."""
        return self._show("ActiveState") in _STARTING_OR_RUNNING

    def start(self) -> bool:
        """Start it; tell whether its program was started. It may still be some seconds from being ready."""
        return _systemctl("start", _UNIT) is not None and self.is_running()

    @staticmethod
    def _show(wanted: str) -> str:
        return (_systemctl("show", "--property", wanted, "--value", _UNIT) or "").strip()


def _systemctl(*words: str) -> str | None:
    """Return what the user's service manager says; None where it says no, or there is none."""
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
