"""What is known of a caller's connection when an answer is sent, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from service.gate.connection import CallerConnection
from service.gate.receipt import AnswerReceipt


class Server(asyncio.Protocol):
    """The end of the bridge; ``told`` is what it has read."""

    def __init__(self) -> None:
        self.made: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()
        self.told = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.made.set_result(transport)

    def data_received(self, data: bytes) -> None:
        self.told += data


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[sockets.socket, asyncio.Transport, Server]]:
    """A caller's socket, and the other end of it."""
    server = Server()
    listening = await asyncio.get_running_loop().create_server(lambda: server, "127.0.0.1", 0)
    with sockets.create_connection(listening.sockets[0].getsockname()) as caller:
        transport = await server.made
        yield caller, transport, server
        transport.abort()
    listening.close()
    await listening.wait_closed()


def _reset(caller: sockets.socket) -> None:
    caller.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    caller.close()


def _close_with_more(caller: sockets.socket) -> None:
    caller.sendall(b"more")
    caller.close()


ENDS: list[Callable[[sockets.socket], None]] = [
    lambda caller: caller.close(),
    lambda caller: caller.shutdown(sockets.SHUT_WR),
    _reset,
    _close_with_more,
]


@pytest.mark.parametrize("reading", [True, False])
@pytest.mark.parametrize("end", ENDS, ids=["closed", "half closed", "reset", "closed behind unread bytes"])
def test_a_connection_that_was_closed_is_not_open(end: Callable[[sockets.socket], None], reading: bool) -> None:
    """At once, before the server has read it, and also while it reads nothing."""

    async def run() -> None:
        async with connected() as (caller, transport, _):
            connection = CallerConnection(transport)
            if not reading:
                transport.pause_reading()
            assert connection.is_open and connection.is_drained
            caller.sendall(b"a request")
            assert connection.is_open, "what is unread is no end"
            end(caller)
            assert not connection.is_open

    asyncio.run(run())


def test_a_connection_that_this_side_closed_is_not_open() -> None:
    async def run() -> None:
        async with connected() as (_, transport, _):
            connection = CallerConnection(transport)
            transport.write(b"the answer")
            transport.close()
            known = (connection.is_open, connection.is_drained)
            assert known == (False, True), "what was written before is taken"
            await asyncio.sleep(0)
            known = (connection.is_open, connection.is_drained)
            assert known == (False, False), "of a socket that is gone nothing is known"

    asyncio.run(run())


def test_bytes_that_wait_in_this_process_are_not_taken() -> None:
    async def run() -> None:
        async with connected() as (_, transport, _):
            connection = CallerConnection(transport)
            while not transport.get_write_buffer_size():
                transport.write(b"x" * 1_000_000)
            assert connection.is_open and not connection.is_drained

    asyncio.run(run())


def test_bytes_that_the_other_end_refused_are_not_taken() -> None:
    async def run() -> None:
        async with connected() as (caller, transport, _):
            connection = CallerConnection(transport)
            caller.close()
            transport.write(b"too late")  # TCP answers it by a reset
            assert not connection.is_drained

    asyncio.run(run())


@pytest.mark.parametrize("reading", [True, False])
def test_it_catches_up_with_what_was_sent(reading: bool) -> None:
    async def run() -> None:
        async with connected() as (caller, transport, server):
            connection = CallerConnection(transport)
            if not reading:
                transport.pause_reading()
            caller.sendall(b"sent before")
            await connection.catch_up()
            assert server.told == b"sent before" and transport.is_reading() is reading
            caller.close()
            await connection.catch_up()
            assert transport.is_closing()

    asyncio.run(run())


@pytest.mark.parametrize("says_so", [True, False])
def test_beneath_tls(tmp_path: Path, says_so: bool) -> None:
    """A caller that leaves, with TLS's own word for it or without one."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=desk.example", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(certificate, key)
    theirs = ssl.create_default_context(cafile=str(certificate))
    theirs.check_hostname = False

    def call(address: tuple[str, int]) -> ssl.SSLSocket:
        return theirs.wrap_socket(sockets.create_connection(address, timeout=5))

    async def run() -> None:
        server = Server()
        listening = await asyncio.get_running_loop().create_server(lambda: server, "127.0.0.1", 0, ssl=ours)
        caller = await asyncio.to_thread(call, listening.sockets[0].getsockname())
        transport = await server.made
        connection = CallerConnection(transport)
        transport.write(b"the answer")
        assert connection.is_open and connection.is_drained
        assert await asyncio.to_thread(caller.recv, 100) == b"the answer"
        assert connection.is_open
        if says_so:
            caller.setblocking(False)
            with contextlib.suppress(ssl.SSLError):  # it does not wait for the other end's word
                caller.unwrap()
        caller.close()
        assert not connection.is_open
        transport.abort()
        listening.close()
        await listening.wait_closed()

    asyncio.run(run())


def test_a_receipt_says_one_thing_once() -> None:
    said: list[tuple[str, bool]] = []
    with AnswerReceipt() as receipt:
        assert not receipt.awaited
        receipt.on_conclusion(lambda handed_over: said.append(("first", handed_over)))
        assert receipt.awaited and said == []
        receipt.conclude(handed_over=True)
        receipt.conclude(handed_over=False)
    receipt.on_conclusion(lambda handed_over: said.append(("late", handed_over)))
    assert said == [("first", True), ("late", True)]


def test_an_answer_that_was_never_sent_was_not_handed_over() -> None:
    said: list[bool] = []
    with contextlib.suppress(RuntimeError), AnswerReceipt() as receipt:
        receipt.on_conclusion(said.append)
        raise RuntimeError("x")
    assert said == [False]
