"""The system user at the other end of a TCP connection of this machine, and the users whose browsers are believed.

An ``Origin`` proves something only if a browser has written it; another user's program writes any Origin. So the system
is asked for the user before an Origin counts. A socket belongs to the user whose process made it, even after it was
passed to another process: a user that passes a connection on is responsible for it. So one question for each connection
is enough. It is asked when the connection is accepted, before its other end can have gone.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from service.gate.socket_diagnosis import CONNECTED, DiagnosisUnavailableError, SocketDiagnosis
from service.gate.tcp_table import as_kernel_writes, listeners, sockets

ROOT = 0
_FIRST_PERSON = 1000
"""The first number of a person.

Below it are root and the users of services (Debian Policy 9.2.2). There is no last number: users of a directory have
numbers of any size (SSSD's begin at 200,000).
"""
_OF_SERVICES = range(61_184, 65_520)
"""The numbers that systemd gives to services while they run (``DynamicUser=``)."""
PEER = "peer"
"""The key of the peer in a request's state."""
Ends = tuple[str, int]
_OVERFLOW = Path("/proc/sys/kernel/overflowuid")
_USUAL_OVERFLOW = 65_534
_MEMBER_SECONDS = 60.0
"""The time for which the answer about a user's group membership stays valid."""
_GROUP_SECONDS = 5.0
"""The time that the bridge waits for the system to tell a user's groups: the system may ask a server for them."""
_MOST_REMEMBERED = 1024


def is_person(user: int) -> bool:
    """Return True if the number of a system user is a person's, False for root and for users of services."""
    return user >= _FIRST_PERSON and user not in _OF_SERVICES


class PeerLookup:
    """The lookup of the user at the other end of a connection, for any thread."""

    def __init__(self) -> None:
        self._kernel: SocketDiagnosis | None = None
        if sys.platform.startswith("linux"):
            kernel = SocketDiagnosis()
            self._kernel = kernel if kernel.is_available() else None
        self._overflow = _overflow_user()

    @property
    def is_quick(self) -> bool:
        """Return True if the kernel answers one question at once. Otherwise a table is read, which may take time."""
        return self._kernel is not None

    def user_of(self, client: Ends, server: Ends) -> int | None:
        """Return the user whose program has the other end of a connection that came to ``server`` from ``client``.

        Returns:
            None if the system does not tell: the other end is on another machine, or has gone, or belongs to a user
                that this process's user namespace does not know. Only Linux tells.
        """
        if self._kernel is not None:
            try:
                # Seen from the other end: its local address is our client's address.
                found = self._kernel.find(client, server)
            except DiagnosisUnavailableError:
                return self._user_in_table(client, server)
            return self._known(found.user) if found is not None and found.is_connected else None
        return self._user_in_table(client, server) if sys.platform.startswith("linux") else None

    def _user_in_table(self, client: Ends, server: Ends) -> int | None:
        try:
            ends = [
                (as_kernel_writes(*client, mapped=mapped), as_kernel_writes(*server, mapped=mapped))
                for mapped in (False, True)
            ]
        except OSError:  # an address with a zone belongs to another machine
            return None
        for one in sockets(client[1]):
            if (one.local, one.remote) in ends:
                is_connected = one.state in CONNECTED and one.inode != 0
                return self._known(one.user) if is_connected else None
        return None

    def _known(self, user: int) -> int | None:
        """Return the user, or None for the overflow number, which stands for all users of other user namespaces."""
        return None if user == self._overflow else user


def _overflow_user() -> int:
    try:
        return int(_OVERFLOW.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return _USUAL_OVERFLOW


def listening_user(host: str, port: int) -> int | None:
    """Return the system user whose program listens at an address of this machine; None if the system does not tell."""
    return next((one.user for one in listeners(host, port)), None)


@dataclass(frozen=True, slots=True)
class BelievedUsers:
    """The users whose browsers are believed, beside the user that runs the bridge: the administrator's setting."""

    users: frozenset[str] = frozenset()
    """Names or numbers of users."""
    groups: frozenset[str] = frozenset()
    """Names or numbers of groups; a user is believed if the primary or a supplementary group is one of them."""
    everybody: bool = False
    """True to believe all users, also where the system does not identify them."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection."""

    user: int | None = None
    """The system user; None if the system does not tell."""
    is_believed: bool = False
    """True if the origin that it names may have been written by the browser of a user of this desk."""


class Peers:
    """The lookup of the other end's user, and the decision whether that user is believed."""

    def __init__(
        self,
        believed: BelievedUsers | None = None,
        lookup: PeerLookup | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._believed = believed or BelievedUsers()
        self._lookup = lookup or PeerLookup()
        self._clock = clock
        self._own = os.getuid() if hasattr(os, "getuid") else None
        # A thread of its own: if the system asks a server for a user's groups, other work does not wait for that.
        self._groups = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cardio-groups")
        self._members: dict[int, tuple[float, bool]] = {}
        self._asked: dict[int, asyncio.Future[bool]] = {}
        """The questions in progress, one for each user.

        All connections of a user wait for one question, so that other users do not wait for many.
        """

    @property
    def answers_at_once(self) -> bool:
        """Return True if `user_at_once` can tell the user."""
        return self._lookup.is_quick

    def user_at_once(self, client: Ends | None, server: Ends | None) -> int | None:
        """Return the user at the other end without waiting; None if the system does not tell at once."""
        if client is None or server is None or not self._lookup.is_quick:
            return None
        return self._lookup.user_of(client, server)

    def is_known_as_believed(self, user: int | None) -> bool:
        """Return True if this user is believed, as far as that is known without a question for groups."""
        if user is None:
            return self._believed.everybody
        if user == self._own or self._believed.everybody or str(user) in self._believed.users:
            return True
        until, member = self._members.get(user, (0.0, False))
        return member and self._clock() < until

    async def identify(self, client: Ends | None, server: Ends | None, user: int | None) -> Peer:
        """Return the user at the other end, and whether that user is believed.

        Args:
            client: address and port of the other end.
            server: address and port of this end.
            user: the user, if `user_at_once` has told it.
        """
        if client is None or server is None:
            return Peer(None, self._believed.everybody)
        if sys.platform == "win32":
            from service.gate.windows_peers import is_same_user_on_windows

            same = await asyncio.to_thread(is_same_user_on_windows, client, server)
            return Peer(None, same or self._believed.everybody)
        if user is None and not self._lookup.is_quick:
            user = await asyncio.to_thread(self._lookup.user_of, client, server)
        return Peer(user, await self._is_believed(user))

    async def _is_believed(self, user: int | None) -> bool:
        if self.is_known_as_believed(user):
            return True
        if user is None or not (self._believed.users or self._believed.groups):
            return False
        until, member = self._members.get(user, (0.0, False))
        if self._clock() < until:
            return member
        asked = self._asked.get(user)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = self._asked[user] = loop.run_in_executor(self._groups, is_named, user, self._believed)
            asked.add_done_callback(lambda answer: self._note(user, answer))
        try:
            return await asyncio.wait_for(asyncio.shield(asked), _GROUP_SECONDS)
        except TimeoutError:
            return False

    def _note(self, user: int, answer: asyncio.Future[bool]) -> None:
        """Remember the system's answer, even if it came too late for the callers that asked."""
        del self._asked[user]
        if answer.cancelled() or answer.exception() is not None:
            return
        while len(self._members) >= _MOST_REMEMBERED:
            del self._members[next(iter(self._members))]
        self._members[user] = (self._clock() + _MEMBER_SECONDS, answer.result())

    def close(self) -> None:
        self._groups.shutdown(wait=False, cancel_futures=True)


def is_named(user: int, believed: BelievedUsers) -> bool:
    """Return True if the settings name a system user, or one of the user's groups. The call may wait for a server.

    A number without an account has no groups.
    """
    import grp
    import pwd

    if str(user) in believed.users:
        return True
    try:
        account = pwd.getpwuid(user)
        groups = set(os.getgrouplist(account.pw_name, account.pw_gid))
    except (KeyError, OSError):
        return False
    if account.pw_name in believed.users:
        return True
    for named in believed.groups:
        try:
            number = int(named) if named.isdecimal() else grp.getgrnam(named).gr_gid
        except KeyError:  # no such group exists now
            continue
        if number in groups:
            return True
    return False
