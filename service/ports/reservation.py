"""The reservation of the bridge's ports for the user that runs it, while no bridge listens there.

A reservation is a bound socket that does not listen: callers are refused as at a free port. It has ``SO_REUSEPORT``, so
Linux lets another socket with that option bind the same address if both have the same effective user, and refuses every
other user, whatever options that user's program sets (socket(7)). The bridge is that other socket.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterable

from service.gate.errors import PortHeldError
from service.gate.port_holder import user_name
from service.gate.tcp_table import TcpSocket, has_connections, listeners

ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


def is_supported() -> bool:
    """Return True if this system keeps a reserved port from other users: Linux does."""
    return sys.platform.startswith("linux")


class PortReservations:
    """The reserved ports of one user, at each loopback address that the machine has."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, str], socket.socket] = {}

    def reserve(self, wanted: Iterable[int]) -> set[int]:
        """Reserve the ports that are not reserved yet, and give back the others.

        Args:
            wanted: the numbers of the ports.

        Returns:
            The ports that another socket has at one of the addresses.
        """
        chosen = set(wanted)
        for port, address in [one for one in self._held if one[0] not in chosen]:
            self._held.pop((port, address)).close()
        refused = set()
        for port in chosen:
            for family, address in ADDRESSES:
                if (port, address) not in self._held and not self._reserve(family, address, port):
                    refused.add(port)
        return refused

    def descriptors(self) -> list[int]:
        """Return the file descriptors of the reserved sockets, for a process that inherits them."""
        return [one.fileno() for one in self._held.values()]

    def close(self) -> None:
        """Give back all ports, unless another process has inherited them."""
        self.reserve(())

    def _reserve(self, family: socket.AddressFamily, address: str, port: int) -> bool:
        """Reserve a port at an address; return False if it is taken there."""
        try:
            one = socket.socket(family, socket.SOCK_STREAM)
        except OSError:  # a kernel without IPv6
            return True
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind((address, port))
        except OSError as error:
            one.close()
            return error.errno == errno.EADDRNOTAVAIL  # a machine without ::1
        self._held[port, address] = one
        return True


def is_denied_to_us(port: int) -> bool:
    """Return True if this user cannot bind a port, though nothing of this user's own is in the way."""
    reservations = PortReservations()
    try:
        is_refused = bool(reservations.reserve({port}))
        return is_refused and not has_own_listener(port, os.getuid()) and not has_connections(port)
    finally:
        reservations.close()


def other_user_at(port: int, own_user: int) -> int | None:
    """Return another user whose program listens at one of the bridge's addresses; None if there is none."""
    return next((one.user for one in _listeners_at(port) if one.user != own_user), None)


def has_own_listener(port: int, own_user: int) -> bool:
    """Return True if a program of this user listens at one of the bridge's addresses."""
    return any(one.user == own_user for one in _listeners_at(port))


def _listeners_at(port: int) -> list[TcpSocket]:
    return [one for _, address in ADDRESSES for one in listeners(address, port)]


def port_held(port: int, user: int | None) -> PortHeldError:
    """Return the error for a port that another program has.

    Args:
        port: the port.
        user: the user of that program; None if the system does not tell.
    """
    whose, whose_en = "其他用户", "another user"
    if user is not None:
        whose, whose_en = f"用户 {user_name(user)} ", f"the user {user_name(user)}"
    place = f"http://127.0.0.1:{port}"
    return PortHeldError(
        f"端口 {port} 由{whose}的程序占用：浏览器打开 {place} 看到的不是您的读卡服务",
        f"a program of {whose_en} has port {port}: what a browser shows at {place} is not your card service",
    )
