"""The server of the bridge on this machine's loopback addresses, and its stop."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from cardio.config.private_file import check_tls_key
from service.driver.sockets import LOST
from service.gate.connection import CONNECTION, CallerConnection
from service.gate.connection_places import ConnectionLimits, ConnectionPlaces, available_descriptors
from service.gate.middleware import Gate
from service.gate.peers import Peers
from service.gate.policy import Access
from service.gate.rate_limits import FRAME_LIMIT, HEADER_LIMIT
from service.observability.logs import RequestLog
from service.settings import Network
from service.state import state_of

_log = logging.getLogger("cardio.service")

_STOP_SECONDS = 1
_HEAD_SECONDS = 10.0
_IDLE_SECONDS = 7
"""The time for which an unused connection stays open.

It is longer than the time for which httpx keeps a connection to use it again (5 s). With equal times, a program that
asks every five seconds would sometimes write into a connection that closes at that moment, and get no answer.
"""
_ACCEPTED_AT_ONCE = 4
"""The number of connections of a port that are accepted before other tasks get their turn: each is an open file."""
_WAITING_CONNECTIONS = 1024
"""The number of connections that may wait in the kernel until they are accepted."""
_HANDSHAKE_SECONDS = 5.0
_SECONDS_BETWEEN_NOTES = 60.0
_FULL_HOUSE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n"
    b"Content-Length: 19\r\nConnection: close\r\n\r\nService Unavailable"
)
_TICK_SECONDS = 1.0
_TICKS_BETWEEN_TRIES = 3
"""The number of ticks between two tries to open a dialect's port that another program has."""
_CLOSE_SECONDS = 1.0
"""The time that a socket that this side closes waits for the other side's close."""


class _Protocol(H11Protocol):
    """The HTTP protocol of uvicorn that also closes a connection without a request.

    uvicorn's own protocol waits for the head of a request without a limit.
    """

    _head: asyncio.TimerHandle | None = None
    _caller: CallerConnection | None = None

    def __init__(self, *arguments: Any, places: ConnectionPlaces, peers: Peers, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._places, self._peers = places, peers

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's own says so too
        super().connection_made(transport)
        self._caller = CallerConnection(transport)
        self.app_state = self.app_state | {CONNECTION: self._caller}
        if self._caller.claim_place(self._places, self._peers):
            self._watch()
            return
        transport.pause_reading()
        transport.write(_FULL_HOUSE)
        transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._caller is not None:
            self._caller.release_place()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def _watch(self) -> None:
        asks = self.conn.their_state is not h11.IDLE or self.transport.get_protocol() is not self
        if asks and self._head is not None:
            self._head.cancel()
            self._head = None
        elif not asks and self._head is None:
            self._head = self.loop.call_later(_HEAD_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self.conn.their_state is h11.IDLE and self.transport.get_protocol() is self:
            self.transport.close()


class _SocketProtocol(WebSocketsSansIOProtocol):
    """The WebSocket protocol of uvicorn that gives up sooner on a client that does not answer a close.

    So the client's place is free for another caller.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.close_timeout = _CLOSE_SECONDS
        self._lost = asyncio.Event()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # it has none if the handshake is malformed
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[LOST] = self._lost

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()
        caller: CallerConnection | None = self.app_state.get(CONNECTION)
        if caller is not None:
            caller.release_place()
        super().connection_lost(exc)


class BridgeServer(uvicorn.Server):
    """The server of uvicorn that also ends event streams when it is told to stop; uvicorn's own would wait for them."""

    def __init__(
        self, app: FastAPI, access: Access, network: Network | None = None, limits: ConnectionLimits | None = None
    ) -> None:
        """Prepare the server.

        Args:
            app: the application.
            access: the access for its gate.
            network: the other addresses of the site.
            limits: the limits on connections.

        Raises:
            ConfigurationError: other users may read the TLS key, or there is none.
        """
        self._state = state_of(app)
        self._state.gate = access
        self._places = ConnectionPlaces((limits or ConnectionLimits()).reduced_to(available_descriptors()))
        self._places.on_given_way = self._note_given_way
        self._noted_given_way = float("-inf")
        self._state.connection_places = self._places
        certificate, key = (None, None) if network is None else (network.certificate, network.key)
        if key is not None:
            check_tls_key(key)
        super().__init__(
            uvicorn.Config(
                Gate(app, access, RequestLog(self._state.metrics)),
                log_config=None,
                access_log=False,
                server_header=False,
                # `ConnectionPlaces` limits the number by user.
                limit_concurrency=None,
                # The system says who is at the other end, not a header.
                proxy_headers=False,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=_STOP_SECONDS,
                h11_max_incomplete_event_size=HEADER_LIMIT,
                ws=_SocketProtocol,
                ws_max_size=FRAME_LIMIT,
                ws_per_message_deflate=False,
                http=_Protocol,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
        )
        self._access = access
        self._told_to_stop = asyncio.Event()
        self._ticks = 0

    async def main_loop(self) -> None:
        """Run until the server is told to stop, and once a second set the date for answers.

        uvicorn's own loop checks ten times a second whether it must stop; this one waits for an event.
        """
        while not await self.on_tick(0):
            self._state.running.pulse.beat()
            await self._open_dialects()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told_to_stop.wait(), _TICK_SECONDS)

    async def _open_dialects(self) -> None:
        """Try from time to time the ports that another program had when the bridge was started."""
        ports = self._state.dialect_ports
        self._ticks += 1
        if ports.complete or self._ticks % _TICKS_BETWEEN_TRIES:
            return
        with self._state.supervisor.guard("dialect-ports"):  # the bridge goes on without this dialect
            for one in await asyncio.to_thread(ports.open):
                self._access.dialects[one.port] = one.rule
                for listener in one.sockets:
                    await self._serve_also(listener)
                _log.warning("the dialect %s listens on port %d now", one.rule.name, one.port)

    def _note_given_way(self, user: int | None) -> None:
        now = time.monotonic()
        if now - self._noted_given_way >= _SECONDS_BETWEEN_NOTES:
            self._noted_given_way = now
            _log.warning("too many connections; the oldest give way, one of user %s", "?" if user is None else user)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn, but without sockets: they are served here."""
        await super().startup(sockets=[])
        self.started = False  # uvicorn says that it has started, but nothing is served yet
        for listener in sockets or []:
            await self._serve_also(listener)
        self.started = True

    async def _serve_also(self, listener: socket.socket) -> None:
        """Serve a socket as `uvicorn.Server.startup` does with its own sockets."""
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            return _Protocol(
                self.config, self.server_state, self.lifespan.state, loop,
                places=self._places, peers=self._access.peers,
            )  # fmt: skip

        handshake = None if self.config.ssl is None else _HANDSHAKE_SECONDS
        self.servers.append(
            await loop.create_server(
                protocol, sock=listener, ssl=self.config.ssl, backlog=_ACCEPTED_AT_ONCE, ssl_handshake_timeout=handshake
            )
        )
        listener.listen(_WAITING_CONNECTIONS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        self._access.peers.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # First: an interrupt while the server is stopping counts as the second one, and ends it by force.
        super().handle_exit(sig, frame)
        self.stop()

    def stop(self) -> None:
        """Stop the server; may be called from any thread."""
        self.should_exit = True
        running = self._state.run
        if running is not None and not running.loop.is_closed():
            running.loop.call_soon_threadsafe(self._told_to_stop.set)
            running.loop.call_soon_threadsafe(running.hub.close)
            running.loop.call_soon_threadsafe(running.registry.stop)
