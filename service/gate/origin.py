"""What an Origin header may look like, and which system user is at the other end of a connection."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path

_ORIGIN = re.compile(r"https?://([a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(:[1-9][0-9]{0,4})?")
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL_COLUMN, _REMOTE_COLUMN, _USER_COLUMN = 1, 2, 7


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
    wanted = [_as_kernel_writes(*client), _as_kernel_writes(*server)]
    for table in _TABLES:
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            # Seen from the other end: its local address is our client's. Ports alone name one connection a family.
            if [columns[_LOCAL_COLUMN], columns[_REMOTE_COLUMN]] == wanted:
                return int(columns[_USER_COLUMN]) == os.getuid()
    return False
