"""The gate: ASGI middleware that authenticates every HTTP and WebSocket request before it reaches a route.

FastAPI's own middleware does not suffice: its CORS layer still runs the handler for a hostile simple request and lets
WebSockets through, and its host check ignores the port.
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
"""The time that a client that does not read may delay a stream before the gate ends it."""
_REVOKED = 4401
_NO_WORKER = (b"clear-site-data", b'"cache", "storage"')
"""The header that is sent where a browser looks for a service worker that is not the bridge's.

Another program had the port before.
"""
_WORKER_WANTED = (b"service-worker", b"script")
"""The header that a browser sends when it asks for the script of a service worker (Service Workers, W3C)."""


class Observer(Protocol):
    """A listener for every request that has ended; it never gets the contents of a card."""

    def request_ended(self, scope: Scope, status: int, seconds: float) -> None: ...

    def refused(self, code: str) -> None: ...


class Gate:
    """The ASGI layer of the gate."""

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
        # Some servers keep header names as they came over the socket.
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
                self._access.rate.count_request(passed.rate_limit_key)
                if connection is not None:
                    work.enter_context(connection.working(passed.caller.grant))
                if passed.path is not None:
                    # Remove also what the caller wrote there: it can be a program's token.
                    scope["path"], scope["raw_path"], scope["query_string"] = passed.path, passed.path.encode(), b""
                if scope["type"] == "http":
                    receive = await _with_whole_body(scope, receive)
                    self._access.recheck_grant(passed)
            except CardioError as error:
                await self._refuse(error, scope, receive, answer)
                return
            except (
                Exception
            ) as error:  # any error: a gate that fails stays shut, and what a stranger sent is not logged
                _log.error("the gate failed: %s", type(error).__name__)
                await self._refuse(InternalError(), scope, receive, answer)
                return
            scope["state"][CALLER] = replace(passed.caller, simulated_only=self._access.simulated_only)
            await self._run(passed, scope, receive, answer)

    async def _run(self, passed: Admission, scope: Scope, receive: Receive, answer: _Answer) -> None:
        """Run the application as a task of its own, which a revocation can end at any moment."""
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
                        # A call that began under a grant that was then revoked still gets an answer.
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
        """Return the answer to a preflight of a page that may send its request, else None.

        A preflight never has a token.
        """
        if scope["type"] != "http" or scope["method"] != "OPTIONS" or error.status not in (401, 403):
            return None
        origin = self._access.reading_origin(scope)
        if origin is None or b"access-control-request-method" not in dict(scope["headers"]):
            return None
        response = Response(status_code=204)
        known = self._access.may_learn_admission(scope, origin)
        response.raw_headers += cors.preflight_headers(origin, scope["headers"], known=known)
        return response


async def _call(app: ASGIApp, scope: Scope, receive: Receive, answer: _Answer) -> None:
    """Call the application and log an exception only by its type.

    The server would log the whole exception, and with it data that was read from a card.
    """
    try:
        await app(scope, receive, answer.send)
    except Exception as error:  # any error: a request's has been answered and logged, a socket's has not
        if scope["type"] == "websocket":
            _log.error("a socket failed: %s", type(error).__name__)


class _Answer:
    """The answer that is sent back, with the bridge's headers and, where a page may read it, CORS headers.

    Its time is limited.
    """

    def __init__(self, scope: Scope, send: Send, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self.request_id = uuid4().hex
        self.receipt = AnswerReceipt()
        state = scope.setdefault("state", {})
        state |= {REQUEST_ID: self.request_id, RECEIPT: self.receipt}
        self._connection: CallerConnection | None = state.get(CONNECTION)
        self.status = 0
        self.foreign_origin: str | None = None
        self.task: asyncio.Task[None] | None = None
        """The task that is cancelled when the client does not read."""
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
                self.receipt.conclude(handed_over=there and self._connection.is_drained)
        except TimeoutError:
            # The client does not read: stop waiting for it and send nothing more.
            self.stalled = True
            self.task.cancel()
            await asyncio.Event().wait()

    async def cut(self, code: int) -> None:
        """End an answer that has begun: a socket by a close message with the reason, a stream by breaking it off."""
        self.receipt.conclude(handed_over=False)
        if self._socket_open:
            with suppress(Exception):  # any error: the connection may have gone already
                await self._send({"type": "websocket.close", "code": code, "reason": "revoked"})
        elif self.status:
            with suppress(Exception):  # the same reason
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})


async def _with_whole_body(scope: Scope, receive: Receive) -> Receive:
    """Receive the whole body before a route runs, so that its size and its speed are checked in one place.

    Raises:
        BodyTooLargeError: the body is longer than `BODY_LIMIT`, or its length is no number.
        SlowBodyError: the body takes longer than `BODY_SECONDS`.
    """
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > BODY_LIMIT:
        raise BodyTooLargeError()
    if length == b"0" and b"transfer-encoding" not in headers:
        return receive
    try:
        body, gone = await asyncio.wait_for(_receive_body(receive), BODY_SECONDS)
    except TimeoutError:
        raise SlowBodyError() from None
    reported = False

    async def receive_again() -> Message:
        nonlocal reported
        if reported:
            return {"type": "http.disconnect"} if gone else await receive()
        reported = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


async def _receive_body(receive: Receive) -> tuple[bytes, bool]:
    """Return the body, and True if the client has gone before its end.

    Raises:
        BodyTooLargeError: the body is longer than `BODY_LIMIT`.
    """
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
