"""The reservation of the bridge's ports for the user that runs it, while no bridge listens there.

A reservation is a bound socket that does not listen: callers are refused as at a free port. It has ``SO_REUSEPORT``, so
Linux lets another socket with that option bind the same address if both have the same effective user, and refuses every
other user, whatever options that user's program sets (socket(7)). The bridge is that other socket.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterable

from service.gate.errors import PortHeldError
from service.gate.peers import listening_user

ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


def is_supported() -> bool:
    """Return True if this system keeps a reserved port from other users: Linux does."""
    return sys.platform.startswith("linux")


def allow_the_same_user(one: socket.socket) -> None:
    """Let the user of a socket that is not bound yet bind its address beside it."""
    if sys.platform != "win32":
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


class PortReservations:
    """The reserved ports of one user, at each loopback address that the machine has."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, str], socket.socket] = {}

    def hold(self, wanted: Iterable[int]) -> set[int]:
        """Reserve the ports that are not reserved yet, and give back the others.

        Args:
            wanted: the numbers of the ports.

        Returns:
            The ports that another socket has at one of the addresses.
        """
        chosen = set(wanted)
        for port, address in [one for one in self._held if one[0] not in chosen]:
            self._held.pop((port, address)).close()
        missing = set()
        for port in chosen:
            for family, address in ADDRESSES:
                if (port, address) not in self._held and not self._reserve(family, address, port):
                    missing.add(port)
        return missing

    def close(self) -> None:
        """Give back all ports."""
        self.hold(())

    def _reserve(self, family: socket.AddressFamily, address: str, port: int) -> bool:
        """Reserve a port at an address; return False if it is taken there."""
        try:
            one = socket.socket(family, socket.SOCK_STREAM)
        except OSError:  # a kernel without IPv6
            return True
        try:
            allow_the_same_user(one)
            one.bind((address, port))
        except OSError as error:
            one.close()
            return error.errno == errno.EADDRNOTAVAIL  # a machine without ::1
        self._held[port, address] = one
        return True


def stranger_at(port: int, own_user: int) -> int | None:
    """Return another user whose program listens at one of the bridge's addresses; None if there is none."""
    users = (listening_user(address, port) for _, address in ADDRESSES)
    return next((user for user in users if user not in (None, own_user)), None)


def port_held(port: int, user: int) -> PortHeldError:
    """Return the error for a port that another user's program has."""
    name = _name_of(user)
    return PortHeldError(
        f"端口 {port} 由用户 {name} 的程序占用：浏览器打开 http://127.0.0.1:{port} 看到的不是读卡服务",
        f"a program of the user {name} listens on port {port}: "
        f"what a browser shows at http://127.0.0.1:{port} is not the card service",
    )


def _name_of(user: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(user).pw_name
    except (ImportError, KeyError):
        return str(user)
