"""The keeper: a small process that a bridge without a unit leaves behind, so that its ports stay its user's.

Where the package's units run, ``cardio reserve`` reserves the ports. A person who starts ``cardio serve`` in a terminal
has no such unit. The keeper inherits reserved sockets and holds them until the user logs out. A user has one keeper.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cardio.config.private_file import prepare_private, read_private, write_private
from service.ports import keeper_process
from service.ports.reservation import PortReservations

_WHAT, _WHAT_EN = "端口保留记录", "record of reserved ports"
_LIMIT = 10_000
_START_TIME = 19
"""The column of a process's start after its name in /proc/PID/stat (proc_pid_stat(5), field 22)."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """A keeper that runs."""

    process: int
    started: str
    """The start in clock ticks since the system's: another process that gets the same number has another."""
    ports: frozenset[int]


def keep_ports(record: Path, ports: Iterable[int]) -> Keeper | None:
    """Let a keeper hold these ports, besides those that a keeper holds already.

    Args:
        record: the file that says which process is the keeper.
        ports: the numbers of the ports.

    Returns:
        The keeper that holds them; None if another user's program has one of them.

    Raises:
        ConfigurationError: the record is no private file.
        OSError: it cannot be written, or no process can be started.
    """
    with _sole_writer(record):
        before = running_keeper(record)
        wanted = frozenset(ports) | (frozenset() if before is None else before.ports)
        if before is not None and before.ports == wanted:
            return before
        reservations = PortReservations()
        try:
            refused = reservations.reserve(wanted)
            if not refused.isdisjoint(ports):
                return None
            keeper = _started(reservations.descriptors(), wanted - refused)
        finally:
            reservations.close()
        document = {"process": keeper.process, "started": keeper.started, "ports": sorted(keeper.ports)}
        try:
            write_private(record, json.dumps(document))
        except OSError:  # a full disk: no later bridge would find this keeper, and `cardio reserve --end` neither
            _end(keeper)
            raise
        if before is not None:
            _end(before)
        return keeper


def end_keeper(record: Path) -> Keeper | None:
    """End the keeper, which gives back its ports; return it, or None if there is none.

    Raises:
        ConfigurationError: the record is no private file.
    """
    keeper = running_keeper(record)
    if keeper is not None:
        _end(keeper)
    return keeper


def running_keeper(record: Path) -> Keeper | None:
    """Return the keeper of a record; None if it has ended, or if there was none.

    Raises:
        ConfigurationError: the record is no private file.
    """
    if not record.exists():
        return None
    try:
        document = json.loads(read_private(record, _WHAT, _WHAT_EN, limit=_LIMIT))
        keeper = Keeper(int(document["process"]), str(document["started"]), frozenset(map(int, document["ports"])))
    except (ValueError, TypeError, KeyError):  # a damaged record: a keeper of then goes on until the log-out
        return None
    return keeper if _start_of(keeper.process) == keeper.started else None


def _started(descriptors: Iterable[int], ports: frozenset[int]) -> Keeper:
    for one in descriptors:
        os.set_inheritable(one, True)
    # Not by `subprocess`: that module waits for its children, and warns of one that outlives it.
    process = os.posix_spawn(
        sys.executable,
        # Isolated and by its place: nothing of the present folder is imported (`python -m` would look there first).
        [sys.executable, "-IS", keeper_process.__file__, os.environ.get("XDG_RUNTIME_DIR", "")],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)],
        setsid=True,
    )
    return Keeper(process, _start_of(process) or "", ports)


def _start_of(process: int) -> str | None:
    """Return the start of a process; None if it does not run."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    columns = state.rpartition(")")[2].split()
    return None if columns[0] == "Z" else columns[_START_TIME]


def _end(keeper: Keeper) -> None:
    with suppress(ProcessLookupError):
        os.kill(keeper.process, signal.SIGTERM)


@contextmanager
def _sole_writer(record: Path) -> Iterator[None]:
    """Let two bridges of one user that start at once make one keeper."""
    import fcntl

    lock = record.with_suffix(".lock")
    prepare_private(lock, _WHAT, _WHAT_EN)
    with lock.open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
