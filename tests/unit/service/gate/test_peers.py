"""Who is at the other end of a connection: by the kernel's answer, by its table, and by a user's groups."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.gate.peers import BelievedUsers, Peer, PeerLookup, Peers, listening_user
from service.gate.socket_diagnosis import DiagnosisUnavailableError, SocketDiagnosis

CLIENT, SERVER = ("127.0.0.1", 40000), ("127.0.0.1", 12340)
OTHER = 54321
"""A number without an account."""


@contextmanager
def connection(host: str, by: str | None = None) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a real one; ``by`` is the address that the client connects to."""
    by = by or host
    with (
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener,
        socket.socket(socket.AF_INET6 if ":" in by else socket.AF_INET) as client,
    ):
        client.connect((by, listener.getsockname()[1]))
        with listener.accept()[0] as accepted:
            yield client, accepted


def user_of(lookup: PeerLookup, accepted: socket.socket) -> int | None:
    return lookup.user_of(accepted.getpeername()[:2], accepted.getsockname()[:2])


@pytest.fixture(params=["kernel", "table"])
def lookup(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> PeerLookup:
    """Both ways of asking: the second where the kernel answers no questions about sockets."""
    if request.param == "table":
        monkeypatch.setattr("service.gate.peers.SocketDiagnosis.is_available", lambda kernel: False)
    made = PeerLookup()
    assert made.is_quick is (request.param == "kernel")
    return made


@pytest.mark.parametrize(("host", "by"), [("127.0.0.1", None), ("::1", None), ("127.0.0.1", "::ffff:127.0.0.1")])
def test_an_open_end_is_its_users(lookup: PeerLookup, host: str, by: str | None) -> None:
    with connection(host, by) as (client, accepted):
        assert user_of(lookup, accepted) == os.getuid()
        client.shutdown(socket.SHUT_WR)
        assert user_of(lookup, accepted) == os.getuid(), "half of it is shut, and its process has it open"


@pytest.mark.parametrize(("host", "by"), [("127.0.0.1", None), ("::1", None), ("127.0.0.1", "::ffff:127.0.0.1")])
def test_a_closed_end_is_nobodys(lookup: PeerLookup, host: str, by: str | None) -> None:
    """Here the kernel would say 0, which is root's number too."""
    with connection(host, by) as (client, accepted):
        client.close()
        assert user_of(lookup, accepted) is None
        ends = accepted.getpeername()[:2], accepted.getsockname()[:2]
        accepted.close()
        assert lookup.user_of(*ends) is None, "TIME-WAIT"


def test_a_socket_that_listens_at_the_clients_address_is_not_the_client(lookup: PeerLookup) -> None:
    """Asked for a connection that is gone, the kernel gives what listens at that address: another program's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert lookup.user_of(listener.getsockname(), ("127.0.0.1", 1)) is None


@pytest.mark.parametrize("host", ["10.255.0.1", "fe80::1%lo", "his.example", "", "::ffff:1.2.3.4"])
def test_another_machines_end_is_nobodys(lookup: PeerLookup, host: str) -> None:
    assert lookup.user_of((host, 1), SERVER) is None


def test_the_ends_are_not_taken_for_each_other(lookup: PeerLookup) -> None:
    with connection("127.0.0.1") as (_, accepted):
        host, port = accepted.getpeername()[:2]
        assert lookup.user_of(("127.0.0.2", port), accepted.getsockname()[:2]) is None
        assert lookup.user_of((host, port), (host, port)) is None


def test_what_the_kernel_does_not_answer_is_read_from_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    lookup = PeerLookup()

    def fails(kernel: SocketDiagnosis, body: bytes) -> None:
        raise OSError(1, "not permitted")

    with connection("127.0.0.1") as (_, accepted):
        monkeypatch.setattr(SocketDiagnosis, "_ask", fails)
        with pytest.raises(DiagnosisUnavailableError):
            SocketDiagnosis().find(CLIENT, SERVER)
        assert user_of(lookup, accepted) == os.getuid()


_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
_ROW = "   0: {ends} {state} 00000000:00000000 00:00000000 00000000 {user:>5}        0 {inode} 1\n"
_PLAIN = "0100007F:9C40 0100007F:3034"
_MAPPED = "0000000000000000FFFF00000100007F:9C40 0000000000000000FFFF00000100007F:3034"


@pytest.mark.parametrize(
    ("ends", "state", "user", "inode", "told"),
    [
        (_PLAIN, "01", 2002, 7, 2002), (_MAPPED, "01", 2002, 7, 2002), (_PLAIN, "05", 2002, 7, 2002),
        (_PLAIN, "08", 2002, 7, 2002), (_PLAIN, "01", 0, 7, 0), (_PLAIN, "05", 0, 0, None), (_PLAIN, "06", 0, 0, None),
        (_PLAIN, "02", 2002, 7, None), (_PLAIN, "0A", 2002, 7, None), (_PLAIN, "01", 65534, 7, None),
    ],
)  # fmt: skip
def test_the_table_by_hand(
    ends: str, state: str, user: int, inode: int, told: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a little-endian kernel writes 127.0.0.1 and ::ffff:127.0.0.1, ports 40000 and 12340."""
    table = tmp_path / "tcp"
    table.write_text(_HEAD + "cut\n" + _ROW.format(ends=ends, state=state, user=user, inode=inode))
    monkeypatch.setattr("service.gate.tcp_table._TABLES", (table,))
    monkeypatch.setattr("service.gate.peers.SocketDiagnosis.is_available", lambda kernel: False)
    assert PeerLookup().user_of(CLIENT, SERVER) == told


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"])
def test_who_listens_is_told_however_it_listens(host: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.bind((host, 0))
        listener.listen()
        asked = "::1" if host == "::1" else "127.0.0.1"
        assert listening_user(asked, listener.getsockname()[1]) == os.getuid()


# -- whose browsers are believed ---------------------------------------------------------------------


class Playing(PeerLookup):
    """Says who it is."""

    def __init__(self, user: int | None) -> None:
        super().__init__()
        self._user = user

    def user_of(self, client: tuple[str, int], server: tuple[str, int]) -> int | None:
        return self._user


async def identified(believed: BelievedUsers, user: int | None) -> Peer:
    peers = Peers(believed, Playing(user))
    try:
        return await peers.identify(CLIENT, SERVER, peers.user_at_once(CLIENT, SERVER))
    finally:
        peers.close()


@pytest.mark.parametrize(
    ("believed", "user", "is_believed"),
    [
        (BelievedUsers(), os.getuid(), True),
        (BelievedUsers(), OTHER, False),
        (BelievedUsers(), None, False),
        (BelievedUsers(users=frozenset({str(OTHER)})), OTHER, True),
        (BelievedUsers(users=frozenset({str(OTHER)})), None, False),
        (BelievedUsers(users=frozenset({"daemon"})), 1, True),
        (BelievedUsers(users=frozenset({"daemon"})), 2, False),
        (BelievedUsers(groups=frozenset({"daemon"})), 1, True),
        (BelievedUsers(groups=frozenset({"1"})), 1, True),
        (BelievedUsers(groups=frozenset({"no-such-group"})), 1, False),
        (BelievedUsers(groups=frozenset({str(OTHER)})), OTHER, False),
        (BelievedUsers(everybody=True), OTHER, True),
        (BelievedUsers(everybody=True), None, True),
    ],
)
def test_who_is_believed(believed: BelievedUsers, user: int | None, is_believed: bool) -> None:
    assert asyncio.run(identified(believed, user)) == Peer(user, is_believed)


def test_a_group_that_is_not_told_in_time_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may ask a server that is away; neither the event loop nor the bridge's own user waits for it."""
    asked, away = threading.Event(), threading.Event()

    def hangs(user: int, believed: BelievedUsers) -> bool:
        asked.set()
        away.wait()
        return True

    monkeypatch.setattr("service.gate.peers.is_named", hangs)
    monkeypatch.setattr("service.gate.peers._GROUP_SECONDS", 0.2)

    async def work() -> None:
        peers = Peers(BelievedUsers(groups=frozenset({"clerks"})), Playing(OTHER))
        slow = asyncio.ensure_future(peers.identify(CLIENT, SERVER, OTHER))
        await asyncio.to_thread(asked.wait)
        assert (await peers.identify(CLIENT, SERVER, os.getuid())).is_believed
        assert not slow.done(), "it is being asked yet"
        assert await slow == Peer(OTHER, is_believed=False)
        peers.close()

    try:
        asyncio.run(work())
    finally:
        away.set()


def test_a_user_is_asked_for_once_however_many_of_its_connections_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system asks a slow server, another user's many connections would keep the clerk's question waiting."""
    asked, answers = list[int](), threading.Event()

    def slow(user: int, believed: BelievedUsers) -> bool:
        asked.append(user)
        answers.wait()
        return user == OTHER

    monkeypatch.setattr("service.gate.peers.is_named", slow)

    async def work() -> None:
        peers = Peers(BelievedUsers(groups=frozenset({"clerks"})), Playing(OTHER))
        stranger = [asyncio.ensure_future(peers.identify(CLIENT, SERVER, OTHER + 1)) for _ in range(30)]
        stranger[0].cancel()  # whose connection has gone: the others wait on
        clerk = asyncio.ensure_future(peers.identify(CLIENT, SERVER, OTHER))
        await asyncio.sleep(0)
        answers.set()
        assert (await clerk).is_believed
        assert [one.is_believed for one in await asyncio.gather(*stranger[1:])] == [False] * 29
        assert asked == [OTHER + 1, OTHER]
        peers.close()

    try:
        asyncio.run(work())
    finally:
        answers.set()


def test_a_member_is_asked_for_once_and_again_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, False])
    monkeypatch.setattr("service.gate.peers.is_named", lambda user, believed: next(answers))
    now = [1000.0]

    async def work() -> None:
        peers = Peers(BelievedUsers(groups=frozenset({"clerks"})), Playing(OTHER), clock=lambda: now[0])
        for seconds, member in ((0, True), (59, True), (2, False), (1, False)):
            now[0] += seconds
            assert (await peers.identify(CLIENT, SERVER, OTHER)).is_believed is member
            assert peers.is_known_as_believed(OTHER) is member
        peers.close()

    asyncio.run(work())
