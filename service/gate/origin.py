"""What an Origin header may look like, and which system user is at the other end of a connection."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

_HOST = r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?"
_WEB = re.compile(rf"(https?)://({_HOST}|\[[0-9a-f:.]{{2,45}}\])(:[1-9][0-9]{{0,4}})?")
_SHELL = re.compile(r"([a-z][a-z0-9+.-]{1,30})://([a-z0-9._~-]{0,253})(:[1-9][0-9]{0,4})?")
"""A program that shows pages of its own gives them a scheme of its own: ``app://his``, ``capacitor://localhost``."""
_OF_BROWSERS = frozenset(
    {
        "http", "https", "ws", "wss", "ftp", "ftps", "file", "data", "blob", "about", "javascript", "filesystem",
        "view-source",
    }
)  # fmt: skip
"""Schemes that browsers know: what comes with one of these may be any page's."""
DEFAULT_PORTS = {"http": "80", "https": "443"}
NULL_ORIGINS = frozenset({"null", "file://"})
"""What browsers send for pages from a disk, for sandboxed frames and for much else: any page can have it."""
ROOT = 0
PERSONS = range(1000, 60_000)
"""Numbers of system users who are persons (Debian Policy 9.2.2); below are root and the users of services."""
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL_COLUMN, _REMOTE_COLUMN, _STATE_COLUMN, _USER_COLUMN = 1, 2, 3, 7
_LISTENS = "0A"


def is_origin(text: str) -> bool:
    """Whether it is an origin as browsers write it (RFC 6454 §6.2): of the web, or of a program with its own scheme.

    Never ``null``, never ``file://``, never a path.
    """
    found = _WEB.fullmatch(text)
    if found is None:
        shell = _SHELL.fullmatch(text)
        return shell is not None and shell[1] not in _OF_BROWSERS and _is_port(shell[3])
    # A browser leaves the scheme's own port out: written out it is not what a browser sends.
    return _is_port(found[4]) and found[4] != f":{DEFAULT_PORTS[found[1]]}"


def _is_port(written: str | None) -> bool:
    return written is None or int(written[1:]) <= 65535


def _as_kernel_writes(host: str, port: int) -> str:
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    words = [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4)]
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def is_same_user(client: tuple[str, int], server: tuple[str, int]) -> bool:
    """Whether the program at the other end of a loopback connection is run by the user who runs this service.

    Linux and Windows tell; elsewhere nobody is taken for the same user.
    """
    if sys.platform == "win32":
        from service.gate.windows_peers import is_same_user_on_windows

        return is_same_user_on_windows(client, server)
    user = peer_user(client, server)
    return user is not None and user == os.getuid()


def peer_user(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """Tell which system user runs the program at the other end of a loopback connection.

    Returns:
        None where the system does not tell: only Linux does, and only of this machine's own connections.
    """
    try:
        wanted = [_as_kernel_writes(*client), _as_kernel_writes(*server)]
    except OSError:  # an address with a zone, of another machine
        return None
    for columns in _connections():
        # Seen from the other end: its local address is our client's. Ports alone name one connection a family.
        if [columns[_LOCAL_COLUMN], columns[_REMOTE_COLUMN]] == wanted:
            return int(columns[_USER_COLUMN])
    return None


def is_other_person(client: tuple[str, int], server: tuple[str, int]) -> bool:
    """Tell whether the program at the other end of a loopback connection is not run by the person whose bridge this is.

    An Origin proves something only where a browser writes it, and another user's program writes what it likes. A bridge
    that is a service of the machine serves everybody's browser; root, and where the system does not tell, are let pass.
    """
    if sys.platform == "win32":
        return False
    own = os.getuid()
    return own in PERSONS and peer_user(client, server) not in (None, own, ROOT)


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
        except (OSError, UnicodeDecodeError):
            continue
        yield from (line.split() for line in lines)
