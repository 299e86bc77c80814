"""The Linux kernel's table of TCP sockets (proc_pid_net(5)), in its state at the time of reading."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_LEAST_COLUMNS = 10
_LISTENS = 0x0A
_ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """One row: a socket of this machine's kernel."""

    local: str
    """Its address and port, as the kernel writes them (`as_kernel_writes`)."""
    remote: str
    state: int
    """The number of its state (include/net/tcp_states.h)."""
    user: int
    """The number of the user whose process made it."""
    inode: int
    """0 if no process has it open any more."""

    @property
    def port(self) -> int:
        """Return its local port."""
        return int(self.local.rpartition(":")[2], 16)

    @property
    def listens(self) -> bool:
        return self.state == _LISTENS


def sockets(port: int) -> Iterator[TcpSocket]:
    """Yield the rows of both tables with this port at either end; none on systems other than Linux.

    A machine may have thousands of sockets, so the other rows are not split.
    """
    text = f":{port:04X} "
    for table in _TABLES:
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            if text in line and len(columns := line.split()) >= _LEAST_COLUMNS:
                yield TcpSocket(columns[1], columns[2], int(columns[3], 16), int(columns[7]), int(columns[9]))


def as_kernel_writes(host: str, port: int, *, mapped: bool = False) -> str:
    """Return an address and a port in the form of the table.

    Args:
        host: an IPv4 or IPv6 address.
        port: the port.
        mapped: True to write an IPv4 address as an IPv6 socket has it (::ffff:127.0.0.1).

    Raises:
        OSError: ``host`` is no address.
    """
    if mapped and ":" not in host:
        host = f"::ffff:{host}"
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    words = [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4)]
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def listeners(host: str, port: int) -> list[TcpSocket]:
    """Return the sockets that listen at an address of this machine, or at all of its addresses.

    Args:
        host: an IPv4 or IPv6 address; a name other than ``localhost`` has no listeners.
        port: the port.
    """
    address = "127.0.0.1" if host == "localhost" else host
    try:
        wanted = {
            as_kernel_writes(one, port, mapped=mapped) for one in (address, *_ALL_ADDRESSES) for mapped in (False, True)
        }
    except OSError:
        return []
    return [one for one in sockets(port) if one.listens and one.local in wanted]


def has_connections(port: int) -> bool:
    """Return True if connections of a local port have not ended yet; those in TIME_WAIT count (RFC 9293 §3.3.2)."""
    return any(one.port == port and not one.listens for one in sockets(port))
