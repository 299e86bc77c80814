"""The system's view of a caller's connection. An answer counts as handed over only if the caller was still connected.

Bytes that were written are not yet bytes that were read. TCP reports that the other end has closed, or that it refused
the bytes (RFC 9293 §3.5.3, §3.6). TCP reports nothing about the program behind the connection.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.websockets import WebSocket

from service.gate.connection_places import ConnectionPlaces, Place
from service.gate.peers import Ends, Peer, Peers
from service.gate.receipt import AnswerReceipt

CONNECTION = "connection"
"""The key of the connection in a request's state."""
_CLOSED = getattr(select, "POLLRDHUP", 0)
"""The poll event for "the other end sends nothing more".

Linux reports it even while unread bytes wait. On other systems asyncio must read the bytes first.
"""
_INPUT = getattr(select, "POLLIN", 0)
_HANG_UP = getattr(select, "POLLHUP", 0) | getattr(select, "POLLERR", 0)
_MOST_TURNS = 64


class CallerConnection:
    """One caller's connection, for HTTP and WebSocket alike."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._peer: Peer | None = None
        self._user: int | None = None
        self._place: Place | None = None
        self._places: ConnectionPlaces | None = None

    def claim_place(self, places: ConnectionPlaces, peers: Peers) -> bool:
        """Look up the caller's system user and take one of that user's places.

        Returns:
            False if there is no place for this connection.
        """
        self._user = peers.user_at_once(*self._ends())
        # Where the system cannot tell the user at once, every connection counts as a believed user's.
        is_own = peers.is_known_as_believed(self._user) or not peers.answers_at_once
        self._places, self._place = places, places.open(self, self._user, is_own=is_own)
        return self._place is not None

    async def identify(self, peers: Peers) -> Peer:
        """Return the other end of the connection; the system is asked once for each connection."""
        if self._peer is None:
            client, server = self._ends()
            self._peer = await peers.identify(client, server, self._user)
            if self._place is not None and self._peer.is_believed:
                self._place.is_own = True
        return self._peer

    @contextmanager
    def working(self, grant: str) -> Iterator[None]:
        """Count a request while it is processed, and note the grant of its token.

        Args:
            grant: the id of the token's grant; empty if the request brought no token.
        """
        if self._place is None or self._places is None:
            yield
            return
        if grant:
            self._places.admit(self._place, grant)
        self._place.calls += 1
        try:
            yield
        finally:
            self._place.calls -= 1

    def release_place(self) -> None:
        """Free the place of this connection after the connection was lost."""
        if self._place is not None and self._places is not None:
            self._places.closed(self._place)

    def close_now(self) -> None:
        """Close the connection at once, even while requests are processed."""
        self._transport.abort()

    def _ends(self) -> tuple[Ends | None, Ends | None]:
        """Return the addresses of client and server."""
        client, server = self._transport.get_extra_info("peername"), self._transport.get_extra_info("sockname")
        if not (isinstance(client, tuple) and isinstance(server, tuple)):
            return None, None
        return (client[0], client[1]), (server[0], server[1])

    @property
    def is_open(self) -> bool:
        """Return True if the caller has closed neither the connection nor its own half of it."""
        if self._transport.is_closing():
            return False
        return not self._events() & (_CLOSED | _HANG_UP)

    @property
    def is_drained(self) -> bool:
        """Return True if all written bytes have left this process and the other end has not refused them."""
        if self._transport.get_write_buffer_size():
            return False
        return not self._events() & _HANG_UP

    async def catch_up(self) -> None:
        """Let the server read what the caller has sent so far.

        A WebSocket is closed by one message among others, and the server stops reading while one message waits.
        """
        reading = self._transport.is_reading()
        self._transport.resume_reading()
        for _ in range(_MOST_TURNS):
            if self._transport.is_closing() or not self._events() & _INPUT:
                break
            await asyncio.sleep(0)
        if not reading:
            self._transport.pause_reading()

    def _events(self) -> int:
        """Return the events that poll(2) reports for the socket now."""
        if not hasattr(select, "poll"):  # Windows: asyncio's own state is the only source
            return 0
        socket = self._transport.get_extra_info("socket")
        if socket is None or socket.fileno() < 0:
            return _HANG_UP
        poll = select.poll()
        poll.register(socket.fileno(), _INPUT | _CLOSED)
        found = poll.poll(0)
        return found[0][1] if found else 0


async def send_with_receipt(socket: WebSocket, text: str, receipt: AnswerReceipt) -> None:
    """Send one answer over a WebSocket and conclude its receipt.

    The answer counts as handed over if the caller has not begun to close the connection.

    Raises:
        WebSocketDisconnect: the caller has gone.
        RuntimeError: the caller has gone.
    """
    connection: CallerConnection | None = getattr(socket.state, CONNECTION, None)
    there = connection is not None and receipt.awaited
    if connection is not None and there:
        await connection.catch_up()
        there = connection.is_open
    await socket.send_text(text)
    receipt.conclude(handed_over=there and connection is not None and connection.is_drained)
