"""Listening sockets of the bridge, on this machine's loopback addresses and on those that a site has asked for."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from cardio.errors import ConfigurationError
from service.gate.page_addresses import SHARED, PageAddresses
from service.gate.tcp_table import listeners
from service.ports.reservation import allow_the_same_user, is_supported

_TAKEN = frozenset({errno.EADDRINUSE, 10048})
"""The second is Windows' WSAEADDRINUSE."""


def bind_loopback(port: int) -> list[socket.socket]:
    """Return listening sockets on 127.0.0.1 and, if the machine has it, ::1; port 0 picks a free one.

    Raises:
        ConfigurationError: the port is taken.
    """
    first = _bind(socket.AF_INET, "127.0.0.1", port)
    sockets = [first]
    if socket.has_ipv6:
        try:
            sockets.append(_bind(socket.AF_INET6, "::1", first.getsockname()[1]))
        except ConfigurationError:
            if port:
                first.close()
                raise
        except OSError:
            pass
    return sockets


def bind_network(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """Return listening sockets on the other addresses that a site has asked for.

    Raises:
        ConfigurationError: an address or its port cannot be used.
    """
    return [_bind(socket.AF_INET6 if ":" in address else socket.AF_INET, address, port) for address in addresses]


def bind_pages(wanted: PageAddresses) -> tuple[PageAddresses, list[socket.socket]]:
    """Return the addresses of the bridge's own pages that could be taken, and their listening sockets.

    A system that listens on 127.0.0.1 alone (macOS) has the pages there.
    """
    taken: dict[str, socket.socket] = {}
    for address in (wanted.current, *wanted.earlier):
        with suppress(ConfigurationError, OSError):
            taken[address] = _bind(socket.AF_INET, address, wanted.port)
    current = wanted.current if wanted.current in taken else SHARED
    earlier = tuple(one for one in wanted.earlier if one in taken)
    return replace(wanted, current=current, earlier=earlier), list(taken.values())


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    try:
        return _listening(family, host, port, beside_reservation=False)
    except OSError as error:
        refusal = error
    # It may be this user's own reservation that has the port. A program that listens has it for itself.
    if is_supported() and refusal.errno == errno.EADDRINUSE and not listeners(host, port):
        try:
            listener = _listening(family, host, port, beside_reservation=True)
        except OSError as error:
            refusal = error
        else:
            # Another bridge of this user may have started at the same moment: the kernel would give callers to both.
            if {one.inode for one in listeners(host, port)} <= {os.fstat(listener.fileno()).st_ino}:
                return listener
            listener.close()
    if family == socket.AF_INET6 and refusal.errno not in _TAKEN:
        raise refusal
    raise ConfigurationError(
        f"端口 {host}:{port} 无法使用：{refusal.strerror}。可能已有一个 cardio 在运行，或用 --port 换一个端口",
        f"cannot listen on {host}:{port}: {refusal.strerror}. Is cardio running already? Or choose another --port",
    ) from refusal


def _listening(family: socket.AddressFamily, host: str, port: int, *, beside_reservation: bool) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off for accepted connections. Without it, each answer in
    # two parts waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            # There SO_REUSEADDR would take a port that another program listens on, and share its callers at random.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if beside_reservation:
            allow_the_same_user(listener)
        listener.bind((host, port))
        if is_supported():  # a reservation that comes later, and one that is started anew, find room beside the bridge
            allow_the_same_user(listener)
        # Already listening when the address is shown: a quick caller waits a moment and is not refused.
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
