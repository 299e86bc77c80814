"""Two system users at one machine: numbers without an account, or accounts that only the test's own processes see."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration import stranger
from tests.integration.bridges import CARDIO, BridgeProcess, served

CLERK, OTHER = 2001, 2002
_PYTHON = "/usr/bin/python3"
"""The system's own: another user need not be able to reach the one that runs the tests."""
_SOURCE = Path(stranger.__file__).read_text(encoding="utf-8")
# The bridge's user may look into every folder, as its Python may stand in root's own; what it may write is its own.
_RIGHTS = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--bounding-set=-all,+dac_read_search")


def as_user(user: int, *more: str) -> list[str]:
    """What is put before a command so that it is run by a user."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *more]


def bridge_of(user: int, *before: str) -> list[str]:
    """`cardio` as run by a user."""
    return [*before, *as_user(user, *_RIGHTS), str(CARDIO)]


@contextmanager
def home_of(user: int) -> Iterator[Path]:
    """A folder of a user's own, in a place that everybody may enter."""
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)  # noqa: S103 - as it says
        folder = Path(made)
        for name in ("config", "cache"):
            (folder / name).mkdir()
            os.chown(folder / name, user, user)
        yield folder


@contextmanager
def bridge_run_by(
    user: int, folder: Path, settings: str, *, before: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[BridgeProcess]:
    """`cardio serve` of a user, with a simulated reader, until the end of the block."""
    file = folder / "bridge.toml"
    file.write_text(settings, encoding="utf-8")
    file.chmod(0o644)
    surroundings = {"CARDIO_BRIDGE_FILE": str(file), "HOME": str(folder)} | dict(environment or {})
    program = bridge_of(user, *before)
    with served(folder, "--no-pcsc", "--simulate", "adult", environment=surroundings, program=program) as bridge:
        yield bridge


def does(user: int, asked: Mapping[str, Any], *before: str) -> Any:
    """Have a user's program do something; gives what it has told."""
    done = subprocess.run(
        [*as_user(user), *before, _PYTHON, "-I", "-c", _SOURCE, json.dumps(asked)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Doing:
    """A user's program that goes on until it is told to end."""

    def __init__(self, user: int, asked: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [*as_user(user), _PYTHON, "-I", "-c", _SOURCE, json.dumps(asked)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.began = self._process.stdout.readline().strip()

    def end(self) -> Any:
        told, _ = self._process.communicate("end\n", timeout=30)
        return json.loads(told)


@contextmanager
def doing(user: int, asked: Mapping[str, Any]) -> Iterator[Doing]:
    """A user's program that goes on until the end of the block."""
    work = Doing(user, asked)
    try:
        yield work
    finally:
        if work._process.poll() is None:
            work._process.kill()
            work._process.communicate()
