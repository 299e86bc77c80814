"""The Linux kernel's table of TCP sockets (proc_pid_net(5)), in its state at the time of reading."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_LEAST_COLUMNS = 10
_LOCAL, _STATE, _USER, _INODE = 1, 3, 7, 9
_LISTENS = "0A"
_ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


def connections(text: str) -> Iterator[list[str]]:
    """Yield the rows of both tables that contain a text, split into columns; none on systems other than Linux."""
    for table in _TABLES:
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            if text in line and len(columns := line.split()) >= _LEAST_COLUMNS:
                yield columns


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


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens."""

    user: int
    """The number of the user whose process made it."""
    inode: int


def listeners(host: str, port: int) -> list[Listener]:
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
    return [
        Listener(int(columns[_USER]), int(columns[_INODE]))
        for columns in connections(f":{port:04X} ")
        if columns[_STATE] == _LISTENS and columns[_LOCAL] in wanted
    ]


def has_connections(port: int) -> bool:
    """Return True if connections of a local port have not ended yet; those in TIME_WAIT count (RFC 9293 §3.3.2)."""
    ending = f":{port:04X}"
    return any(columns[_LOCAL].endswith(ending) and columns[_STATE] != _LISTENS for columns in connections(ending))
