"""The Linux kernel's table of TCP sockets (proc_pid_net(5)), as it stands while it is read."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_LEAST_COLUMNS = 10


def connections() -> Iterator[list[str]]:
    """The rows of both tables, split into columns; nothing on other systems than Linux."""
    for table in _TABLES:
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            columns = line.split()
            if len(columns) >= _LEAST_COLUMNS:
                yield columns


def as_kernel_writes(host: str, port: int, *, mapped: bool = False) -> str:
    """An address and a port as they stand in the table.

    Args:
        mapped: as an IPv6 socket has an IPv4 address (::ffff:127.0.0.1).

    Raises:
        OSError: it is no address.
    """
    if mapped and ":" not in host:
        host = f"::ffff:{host}"
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    words = [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4)]
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
