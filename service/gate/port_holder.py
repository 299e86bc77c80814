"""The program that listens on a port of this machine, as far as the system tells this user.

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

from service.gate.tcp_table import sockets

_PROC = Path("/proc")
_SOCKET = re.compile(r"socket:\[([0-9]+)\]")
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class PortHolder:
    """The program that listens on a port, as far as the system tells this user."""

    pid: int | None
    program: str
    """The name of the program; empty if it is another user's and the system does not tell."""
    user: str = ""

    @property
    def words(self) -> str:
        """Return a description for people: ``vendor.exe (PID 4711)``."""
        if self.pid is None:
            return f"PID ?, {self.user}" if self.user else ""
        return f"{self.program or '?'} (PID {self.pid})"


def port_holder(port: int) -> PortHolder | None:
    """Return the program that listens on a port of this machine; None if there is none, or the system does not tell."""
    if sys.platform == "win32":
        from service.gate.windows_peers import port_holder_on_windows

        return port_holder_on_windows(port)
    if not sys.platform.startswith("linux"):
        return None
    found = [one for one in sockets(port) if one.listens and one.port == port]
    if not found:
        return None
    inodes, user = {one.inode for one in found}, user_name(found[0].user)
    pid = next((pid for pid, inode in _open_sockets() if inode in inodes), None)
    return PortHolder(pid, "" if pid is None else _program(pid), user)


def _open_sockets() -> Iterator[tuple[int, int]]:
    """Yield the processes that this user may look into, with the inodes of their sockets."""
    for process in filter(str.isdecimal, os.listdir(_PROC)):
        folder = _PROC / process / "fd"
        with suppress(OSError):  # another user's, or it has just ended
            for name in os.listdir(folder):
                with suppress(OSError):
                    if (found := _SOCKET.fullmatch(os.readlink(folder / name))) is not None:
                        yield int(process), int(found[1])


def _program(pid: int) -> str:
    try:
        name = (_PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "".join(one for one in name if one.isprintable())[:_LONGEST_NAME]


def user_name(number: int) -> str:
    """Return the name of a system user; the number as text if it has no account, empty on Windows."""
    if sys.platform == "win32":
        return ""
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
