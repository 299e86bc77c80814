"""Listening sockets of the bridge, on this machine's loopback addresses and on those that a site has asked for."""

from __future__ import annotations

import errno
import os
import random
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from cardio.errors import ConfigurationError
from service.gate.page_addresses import SHARED, PageAddresses
from service.gate.tcp_table import has_connections, listeners
from service.ports.reservation import is_supported

_TAKEN = frozenset({errno.EADDRINUSE, 10048})
"""The second is Windows' WSAEADDRINUSE."""
_USUAL_OPTION: int = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
"""On Windows SO_REUSEADDR would take a port that another program listens on, and share its callers at random."""
_TRIES = 5
_PAUSE = (0.02, 0.25)
"""The shortest and the longest time in seconds between two tries."""


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
        if is_supported():
            return _sole_listener(family, host, port)
        return _listener(family, host, port, _USUAL_OPTION)
    except OSError as refusal:
        if family == socket.AF_INET6 and refusal.errno not in _TAKEN:
            raise
        raise ConfigurationError(
            f"端口 {host}:{port} 无法使用：{refusal.strerror}。可能已有一个 cardio 在运行，或另一位用户尚未注销；"
            "也可用 --port 换一个端口",
            f"cannot listen on {host}:{port}: {refusal.strerror}. Is cardio running already? "
            "Is another user still logged in? Or choose another --port",
        ) from refusal


def _sole_listener(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    """Return a socket that listens beside this user's reservation, and beside no other listener.

    It has ``SO_REUSEPORT`` alone, unless connections of an earlier program at the port have not ended. With
    ``SO_REUSEADDR`` the kernel would also let it in beside another user's socket that is bound and listens later. The
    kernel would share callers among all listeners of one user, so there must be no other.

    Raises:
        OSError: the address is taken.
    """
    for _ in range(_TRIES):
        if port and listeners(host, port):
            break
        listener = _beside_own_user(family, host, port)
        own = os.fstat(listener.fileno()).st_ino
        found = {one.inode for one in listeners(host, listener.getsockname()[1])}
        if found == {own}:
            return listener
        listener.close()
        if own not in found:  # this system does not show who listens
            return _listener(family, host, port, _USUAL_OPTION)
        # Another bridge of this user has started at the same moment, and gives way as well.
        time.sleep(random.uniform(*_PAUSE))  # noqa: S311 - no secret
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _beside_own_user(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    try:
        return _listener(family, host, port, socket.SO_REUSEPORT)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not has_connections(port):
            raise
    return _listener(family, host, port, socket.SO_REUSEPORT, socket.SO_REUSEADDR)


def _listener(family: socket.AddressFamily, host: str, port: int, *options: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off for accepted connections. Without it, each answer in
    # two parts waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        for option in options:
            listener.setsockopt(socket.SOL_SOCKET, option, 1)
        listener.bind((host, port))
        # Already listening when the address is shown: a quick caller waits a moment and is not refused.
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
