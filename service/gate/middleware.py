"""The gate: ASGI middleware that authenticates every HTTP and WebSocket request before it reaches a route.

FastAPI's own middleware will not do: its CORS layer still runs the handler for a hostile simple request and
lets WebSockets through, and its host check ignores the port.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Protocol
from uuid import uuid4

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cardio.errors import CardioError
from service.gate import cors
from service.gate.connection import CONNECTION, CallerConnection
from service.gate.errors import TooManySocketsError
from service.gate.page_headers import page_headers
from service.gate.peers import PEER
from service.gate.policy import Access, Admission
from service.gate.rate_limits import BODY_LIMIT, BODY_SECONDS
from service.gate.receipt import RECEIPT, AnswerReceipt
from service.http.errors import BodyTooLargeError, InternalError, NoTokenError, SlowBodyError
from service.http.problem import problem_response
from service.http.request_state import CALLER, REQUEST_ID

_log = logging.getLogger("cardio.service")
_STALLED_SECONDS = 10.0
"""How long a client that does not read may hold up a stream before it is let go."""
_REVOKED = 4401
_NO_WORKER = (b"clear-site-data", b'"cache", "storage"')
"""Sent where a browser looks for a service worker that is not the bridge's: another program had the port before."""
_WORKER_WANTED = (b"service-worker", b"script")
"""What a browser itself sends when it asks for the script of a service worker (Service Workers, W3C)."""


class Observer(Protocol):
    """Learns of every request when it has ended; of none what was read."""

    def request_ended(self, scope: Scope, status: int, seconds: float) -> None: ...

    def refused(self, code: str) -> None: ...


class Gate:
    """The ASGI layer."""

    def __init__(self, app: ASGIApp, access: Access, observer: Observer) -> None:
        self._app = app
        self._access = access
        self._observer = observer
        self._headers = {
            at_own: tuple(
                (name.encode(), value.encode()) for name, value in page_headers(access.pages, at_own=at_own).items()
            )
            for at_own in (True, False)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        # Some servers leave names as they came over a socket.
        scope["headers"] = [(name.lower(), value) for name, value in scope["headers"]]
        strange_worker = _WORKER_WANTED in scope["headers"] and not self._access.is_of_keeper(scope)
        headers = self._headers[self._access.is_at_own_pages(scope)]
        answer = _Answer(scope, send, (*headers, *((_NO_WORKER,) if strange_worker else ())))
        started = time.monotonic()
        try:
            with answer.receipt:
                await self._pass(scope, receive, answer)
        finally:
            self._observer.request_ended(scope, answer.status, time.monotonic() - started)

    async def _pass(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        connection: CallerConnection | None = scope["state"].get(CONNECTION)
        with ExitStack() as work:
            try:
                if connection is not None:
                    scope["state"][PEER] = await connection.identify(self._access.peers)
                passed = self._access.check(scope)
                answer.foreign_origin = passed.foreign_origin
                self._access.rate.spend(passed.rate_limit_key)
                if connection is not None:
                    work.enter_context(connection.working(passed.caller.grant))
                if passed.path is not None:
                    # Also what the caller wrote there: it can be a program's token.
                    scope["path"], scope["raw_path"], scope["query_string"] = passed.path, passed.path.encode(), b""
                if scope["type"] == "http":
                    receive = await _with_whole_body(scope, receive)
                    self._access.recheck_grant(passed)
            except CardioError as error:
                await self._refuse(error, scope, receive, answer)
                return
            except (
                Exception
            ) as error:  # whatever it is: a gate that fails stays shut, and what a stranger sent is not logged
                _log.error("the gate failed: %s", type(error).__name__)
                await self._refuse(InternalError(), scope, receive, answer)
                return
            scope["state"][CALLER] = replace(passed.caller, simulated_only=self._access.simulated_only)
            await self._run(passed, scope, receive, answer)

    async def _run(self, passed: Admission, scope: Scope, receive: Receive, answer: _Answer) -> None:
        """Runs the application, as a task of its own that a revocation can end at any moment."""
        task = asyncio.ensure_future(_call(self._app, scope, receive, answer))
        answer.task = task
        try:
            with self._access.live.call(passed.caller.grant, task, stream=passed.stream, limited=passed.path is None):
                try:
                    await asyncio.shield(task)
                except asyncio.CancelledError:
                    if not task.cancelled():
                        raise  # the server itself ends this call
                    if not answer.status:
                        # What was begun under a grant that is no more is told all the same.
                        await self._refuse(answer.receipt.unknown or NoTokenError(), scope, receive, answer)
                    elif not answer.stalled:
                        await answer.cut(_REVOKED)
        except TooManySocketsError as error:
            task.cancel()
            await self._refuse(error, scope, receive, answer)
        finally:
            if not task.done():
                task.cancel()

    async def _refuse(self, error: CardioError, scope: Scope, receive: Receive, answer: _Answer) -> None:
        answer.receipt.conclude(handed_over=False)  # what is sent from here on is not the route's answer
        preflight = self._preflight(error, scope)
        if preflight is not None:
            await preflight(scope, receive, answer.send)
            return
        self._observer.refused(error.code)
        answer.foreign_origin = self._access.reading_origin(scope)
        response = problem_response(error, answer.request_id)
        if scope["type"] == "http":
            await response(scope, receive, answer.send)
        elif "websocket.http.response" in scope.get("extensions", {}):
            await answer.send(
                {
                    "type": "websocket.http.response.start",
                    "status": error.status,
                    "headers": response.raw_headers,
                }
            )
            await answer.send({"type": "websocket.http.response.body", "body": response.body})
        else:
            # Closing before accepting answers the handshake with 403: the socket never opens.
            await answer.send({"type": "websocket.close", "code": 1008})

    def _preflight(self, error: CardioError, scope: Scope) -> Response | None:
        """The answer to a browser that asks whether a page may send its request: it brings no token by nature."""
        if scope["type"] != "http" or scope["method"] != "OPTIONS" or error.status not in (401, 403):
            return None
        origin = self._access.reading_origin(scope)
        if origin is None or b"access-control-request-method" not in dict(scope["headers"]):
            return None
        response = Response(status_code=204)
        known = self._access.is_told_as_known(scope, origin)
        response.raw_headers += cors.preflight_headers(origin, scope["headers"], known=known)
        return response


async def _call(app: ASGIApp, scope: Scope, receive: Receive, answer: _Answer) -> None:
    """The server underneath would print an exception whole, and what was read from a card with it."""
    try:
        await app(scope, receive, answer.send)
    except Exception as error:  # whatever it is: a request's has been answered and logged, a socket's has not
        if scope["type"] == "websocket":
            _log.error("a socket failed: %s", type(error).__name__)


class _Answer:
    """What is sent back: with our headers, with CORS headers where a page may read it, and not for ever."""

    def __init__(self, scope: Scope, send: Send, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self.request_id = uuid4().hex
        self.receipt = AnswerReceipt()
        state = scope.setdefault("state", {})
        state |= {REQUEST_ID: self.request_id, RECEIPT: self.receipt}
        self._connection: CallerConnection | None = state.get(CONNECTION)
        self.status = 0
        self.foreign_origin: str | None = None
        self.task: asyncio.Task[None] | None = None
        """What is ended when the client does not read."""
        self.stalled = False
        self._send = send
        self._headers = headers
        self._socket_open = False

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            more = cors.answer_headers(self.foreign_origin) if self.foreign_origin is not None else []
            own = {name for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(header for header in self._headers if header[0] not in own),
                *more,
                (b"x-request-id", self.request_id.encode()),
            ]
        elif kind == "websocket.accept":
            self.status, self._socket_open = 101, True
        elif kind == "websocket.close":
            self.status, self._socket_open = self.status or 403, False
        if self.task is None:
            await self._send(message)
            return
        last = kind == "http.response.body" and not message.get("more_body", False) and self.receipt.awaited
        there = last and self._connection is not None and self._connection.is_open
        try:
            async with asyncio.timeout(_STALLED_SECONDS):
                await self._send(message)
            if last and self._connection is not None:
                self.receipt.conclude(handed_over=there and self._connection.has_taken_all)
        except TimeoutError:
            # The client does not read: nobody waits for it any more, and nothing more is said to it.
            self.stalled = True
            self.task.cancel()
            await asyncio.Event().wait()

    async def cut(self, code: int) -> None:
        """Ends what has begun: a socket by a close that says why, a stream by breaking it off."""
        self.receipt.conclude(handed_over=False)
        if self._socket_open:
            with suppress(Exception):  # whatever it is: the line may have gone already
                await self._send({"type": "websocket.close", "code": code, "reason": "revoked"})
        elif self.status:
            with suppress(Exception):  # as above
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})


async def _with_whole_body(scope: Scope, receive: Receive) -> Receive:
    """Takes the body before anybody works on it, so that its size and its slowness are judged in one place.

    Raises:
        BodyTooLargeError, SlowBodyError
    """
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > BODY_LIMIT:
        raise BodyTooLargeError()
    if length == b"0" and b"transfer-encoding" not in headers:
        return receive
    try:
        body, gone = await asyncio.wait_for(_take_body(receive), BODY_SECONDS)
    except TimeoutError:
        raise SlowBodyError() from None
    told = False

    async def receive_again() -> Message:
        nonlocal told
        if told:
            return {"type": "http.disconnect"} if gone else await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


async def _take_body(receive: Receive) -> tuple[bytes, bool]:
    """The body, and whether the client has gone before its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body), True
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT:
            raise BodyTooLargeError()
        if not message.get("more_body", False):
            return bytes(body), False
