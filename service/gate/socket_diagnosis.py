"""Asks the Linux kernel for one TCP socket of this machine, by sock_diag(7): who owns it, and what state it is in.

``/proc/net/tcp`` has the same data, but it is read whole, row by row while it changes, and is missing under
``ProcSubset=pid``. The kernel answers one question before the call that asks it returns, so this never waits.
"""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLM_F_REQUEST = 1
_HEADER = struct.Struct("=IHHII")
"""Length, type, flags, sequence, port: ``struct nlmsghdr``."""
_REQUEST = struct.Struct("=BBBxI")
"""Family, protocol, extensions, states: the head of ``struct inet_diag_req_v2``."""
_PORTS = struct.Struct(">HH")
_REST = struct.Struct("=III")
"""Interface and cookie; all ones in the cookie ask for no special socket."""
_OWNER = struct.Struct("=II")
"""User and inode, the last members of ``struct inet_diag_msg``."""
_ANY = 0xFFFFFFFF
_STATE_AT = _HEADER.size + 1
_OWNER_AT = _HEADER.size + 4 + 48 + 12
_ENOENT = 2
CONNECTED = frozenset({1, 4, 5, 8, 9, 11})
"""States of a connection: established, FIN-WAIT-1 and -2, CLOSE-WAIT, LAST-ACK, CLOSING (``net/tcp_states.h``)."""
_LONGEST_ANSWER = 8192


class DiagnosisUnavailableError(OSError):
    """The kernel does not answer questions about sockets here."""


@dataclass(frozen=True, slots=True)
class SocketOwner:
    """The kernel's data about a socket."""

    user: int
    """The user's number in the user namespace of this process; the overflow number for a user that is not mapped."""
    inode: int
    """The socket's inode; 0 if no process has the socket any more.

    The user is then root's number, whatever user it was.
    """
    state: int

    @property
    def is_connected(self) -> bool:
        """Return True if it is one end of a connection that a process has open; its other half may be shut."""
        return self.state in CONNECTED and self.inode != 0


class SocketDiagnosis:
    """The connection to the kernel, for any thread.

    It is kept open, so that it works when no more files can be opened.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._sequence = 0

    def find(self, local: tuple[str, int], remote: tuple[str, int]) -> SocketOwner | None:
        """Return the socket with these two ends; None if there is none, or an address is not of this machine.

        An IPv6 socket that speaks IPv4 (::ffff:127.0.0.1) is found by its IPv4 ends. If no connection has these ends,
        the result may be a socket that listens at ``local``: check `SocketOwner.is_connected`.

        Args:
            local: address and port of the socket's own end.
            remote: address and port of the other end.

        Raises:
            DiagnosisUnavailableError: the kernel does not answer.
        """
        family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
        try:
            ends = [socket.inet_pton(family, host).ljust(16, b"\0") for host, _ in (local, remote)]
        except OSError:  # an address with a zone belongs to another machine
            return None
        body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _ANY)
        body += _PORTS.pack(local[1], remote[1]) + b"".join(ends) + _REST.pack(0, _ANY, _ANY)
        with self._lock:
            try:
                answer = self._ask(body)
            except (OSError, struct.error) as error:
                self._close()
                raise DiagnosisUnavailableError(*error.args) from error
        return answer

    def is_available(self) -> bool:
        """Return True if the kernel finds an existing socket: without its module it denies all sockets (ENOENT)."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            try:
                listener.bind(("127.0.0.1", 0))
                listener.listen(1)
                return self.find(listener.getsockname(), ("0.0.0.0", 0)) is not None  # noqa: S104 - looked for
            except OSError:
                return False

    def _ask(self, body: bytes) -> SocketOwner | None:
        if self._line is None:
            kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self._line = socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG)
        self._sequence = (self._sequence + 1) & _ANY
        self._line.sendto(
            _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, self._sequence, 0) + body,
            (0, 0),
        )
        while True:
            answer, sender = self._line.recvfrom(_LONGEST_ANSWER)
            _, kind_of_answer, _, sequence, _ = _HEADER.unpack_from(answer)
            if sender[0] == 0 and sequence == self._sequence:  # the kernel's, and not an older question's
                break
        if kind_of_answer == _NLMSG_ERROR:
            (code,) = struct.unpack_from("=i", answer, _HEADER.size)
            if -code == _ENOENT:
                return None
            raise OSError(-code, "sock_diag")
        user, inode = _OWNER.unpack_from(answer, _OWNER_AT)
        return SocketOwner(user, inode, answer[_STATE_AT])

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
