"""What an Origin header may look like, and which system user is at the other end of a connection."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

_ORIGIN = re.compile(r"https?://([a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(:[1-9][0-9]{0,4})?")
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL_COLUMN, _REMOTE_COLUMN, _STATE_COLUMN, _USER_COLUMN = 1, 2, 3, 7
_LISTENS = "0A"


def is_origin(text: str) -> bool:
    """Whether it is an origin of the web as browsers write it (RFC 6454 §6.2): never ``null``, never a path."""
    found = _ORIGIN.fullmatch(text)
    if found is None or int((found[3] or ":1")[1:]) > 65535:
        return False
    # A browser leaves the scheme's own port out: written out it is not what a browser sends.
    return not (text.startswith("http://") and found[3] == ":80") and not (
        text.startswith("https://") and found[3] == ":443"
    )


def _as_kernel_writes(host: str, port: int) -> str:
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    words = [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4)]
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def is_same_user(client: tuple[str, int], server: tuple[str, int]) -> bool:
    """Whether the program at the other end of a loopback connection is run by the user who runs this service.

    Only Linux tells; elsewhere nobody is taken for the same user.
    """
    return peer_user(client, server) == os.getuid()


def peer_user(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """Tell which system user runs the program at the other end of a loopback connection.

    Returns:
        None where the system does not tell: only Linux does, and only of this machine's own connections.
    """
    wanted = [_as_kernel_writes(*client), _as_kernel_writes(*server)]
    for columns in _connections():
        # Seen from the other end: its local address is our client's. Ports alone name one connection a family.
        if [columns[_LOCAL_COLUMN], columns[_REMOTE_COLUMN]] == wanted:
            return int(columns[_USER_COLUMN])
    return None


def listening_user(host: str, port: int) -> int | None:
    """Tell which system user's program listens at an address of this machine; None where the system does not tell."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
    wanted = {_as_kernel_writes(one, port) for one in (str(address), "0.0.0.0", "::")}  # noqa: S104 - compared, not bound
    for columns in _connections():
        if columns[_STATE_COLUMN] == _LISTENS and columns[_LOCAL_COLUMN] in wanted:
            return int(columns[_USER_COLUMN])
    return None


def _connections() -> Iterator[list[str]]:
    """The kernel's table of TCP sockets, a row in columns; nothing on other systems than Linux."""
    for table in _TABLES:
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        yield from (line.split() for line in lines)
