"""Which program listens on a port of this machine, as far as the system tells this user.

Linux tells by ``/proc`` (proc(5)), Windows by ``GetExtendedTcpTable`` (`service.gate.windows_peers`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from service.gate.socket_diagnosis import DiagnosisUnavailableError, SocketDiagnosis
from service.gate.tcp_table import connections

_PROC = Path("/proc")
_LOCAL, _STATE, _USER, _INODE = 1, 3, 7, 9
_LISTEN = "0A"
_SOCKET = re.compile(r"socket:\[([0-9]+)\]")
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class PortHolder:
    """The program that listens on a port, as far as the system tells this user."""

    pid: int | None
    program: str
    """Its name; empty where it is another user's and the system does not tell."""
    user: str = ""

    @property
    def words(self) -> str:
        """For people: ``vendor.exe (PID 4711)``."""
        if self.pid is None:
            return f"PID ?, {self.user}" if self.user else ""
        return f"{self.program or '?'} (PID {self.pid})"


def port_holder(port: int) -> PortHolder | None:
    """The program that listens on a port of this machine; None where there is none, or the system does not tell."""
    if sys.platform == "win32":
        from service.gate.windows_peers import port_holder_on_windows

        return port_holder_on_windows(port)
    if not sys.platform.startswith("linux"):
        return None
    found = [row for row in connections() if row[_STATE] == _LISTEN and int(row[_LOCAL].rpartition(":")[2], 16) == port]
    if not found:
        return None
    inodes = {row[_INODE] for row in found}
    pid = next((pid for pid, inode in _sockets() if inode in inodes), None)
    if pid is None:
        return PortHolder(None, "", _user_name(int(found[0][_USER])))
    return PortHolder(pid, _program(pid), _user_name(int(found[0][_USER])))


def has_strange_connections(port: int) -> bool | None:
    """Return True if another process still has connections of a port that this process listens on now.

    Such a process listened there before. A browser may go on asking it over a connection that it kept.

    Returns:
        None where the system does not tell.
    """
    if not sys.platform.startswith("linux"):
        return None
    diagnosis = SocketDiagnosis()
    try:
        if not diagnosis.is_available():
            return None
        connected = diagnosis.connected_at(port)
    except DiagnosisUnavailableError:
        return None
    own = set(_sockets_of(_PROC / "self"))
    return any(one.inode not in own for one in connected)


def _sockets() -> Iterator[tuple[int, str]]:
    """Processes and the inodes of their sockets, of those processes that this user may look into."""
    for process in filter(str.isdecimal, os.listdir(_PROC)):
        for inode in _sockets_of(_PROC / process):
            yield int(process), str(inode)


def _sockets_of(process: Path) -> Iterator[int]:
    with suppress(OSError):  # another user's, or it has just ended
        for name in os.listdir(process / "fd"):
            with suppress(OSError):
                if (found := _SOCKET.fullmatch(os.readlink(process / "fd" / name))) is not None:
                    yield int(found[1])


def _program(pid: int) -> str:
    try:
        name = (_PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "".join(one for one in name if one.isprintable())[:_LONGEST_NAME]


def _user_name(number: int) -> str:
    if sys.platform == "win32":
        return ""
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
