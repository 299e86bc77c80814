"""The dialects' sockets: one message, one reply, in order, as long as the caller stays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from cardio.driver.basic_info import BasicLayout
from cardio.errors import CardioError, UsageError
from cardio.readers.supervision import Supervisor
from service.driver.calls import DriverService
from service.driver.conversation import Conversation, Ended, LoopPulse, TooLate
from service.driver.dialect import Dialect, DialectRequest
from service.driver.dialect_calls import DialectCalls
from service.driver.open_sockets import OpenSocket, OpenSockets
from service.driver.registry import dialects
from service.gate.connection import send_with_receipt
from service.gate.context import RequestContext, context_of
from service.gate.errors import TooManySocketsError
from service.gate.rate_limits import RateLimit
from service.gate.receipt import AnswerReceipt
from service.gate.scopes import Caller
from service.http.errors import InternalError, RetryLaterError
from service.http.problem import problem_response
from service.http.request_state import CALLER
from service.readers.registry import ReaderRegistry

LOST = "cardio.lost"
"""The ASGI extension by which the server reports that a socket's connection is gone: an event."""
GAVE_WAY, BUSY, TOO_LATE = 4429, 4429, 4408
"""The codes that sockets are closed with, after HTTP's own 429 and 408."""
_GAVE_WAY = "idle; gave way to a newer socket of this caller"
_BUSY = "too many sockets are in use; close some"
_TOO_LATE = "the answer came too late for its caller"
_LEFT_FOR_GOOD = 1001
"""The code that a page's socket is closed with when the page is left (RFC 6455 §7.4.1)."""
_LINGERING_SECONDS = 5.0
_REJOIN_SECONDS = 15.0
"""The time for which a card stays held for a caller without a socket: some callers open a socket for each step."""


@dataclass(frozen=True, slots=True)
class DialectHost:
    """The parts of the bridge that its dialects need."""

    driver: DriverService
    registry: ReaderRegistry
    supervisor: Supervisor
    pulse: LoopPulse
    rate: RateLimit
    most_connections: int
    """The limit for the connections of all callers together."""


def dialect_router(layout: BasicLayout, host: Callable[[], DialectHost]) -> APIRouter:
    """Return the router of the sockets.

    Args:
        layout: the layout of the basic information that this site's callers expect.
        host: returns the parts of the bridge when it runs.
    """
    router = APIRouter(prefix="/dialects", tags=["dialects"])
    callers = DialectCallers(layout, host)
    for name, kind in dialects().items():
        router.add_api_websocket_route(f"/{name}", callers.endpoint(kind))
    return router


class DialectCallers:
    """The server for all callers of the dialects. A step belongs to its caller, not to the caller's socket."""

    def __init__(self, layout: BasicLayout, host: Callable[[], DialectHost]) -> None:
        self._layout = layout
        self._host = host
        self._open = OpenSockets()
        self._fits_server = False
        self._spoken: dict[str, Dialect] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def endpoint(self, kind: type[Dialect]) -> Callable[[WebSocket], Awaitable[None]]:
        """Return the function that serves the sockets of one dialect."""

        async def serve(socket: WebSocket) -> None:
            await self._serve(socket, kind)

        return serve

    async def _serve(self, socket: WebSocket, kind: type[Dialect]) -> None:
        if not self._fits_server:
            self._open.reduce_to(self._host().most_connections)
            self._fits_server = True
        caller: Caller = getattr(socket.state, CALLER)
        owner = f"{caller.grant}#{kind.name}"
        try:
            place = self._open.open(owner)
        except TooManySocketsError as error:
            await self._turn_away(socket, owner, kind(), error)
            return
        code = _LEFT_FOR_GOOD
        try:
            await socket.accept()
            dialect = self._spoken.setdefault(owner, kind())
            context = replace(context_of(socket, caller), grant=owner)
            code = await self._talk(socket, place, dialect, context)
        finally:
            self._open.remove(place)
            self._leave(socket, owner, code)
            if place.close_requested.is_set():
                await _until_lost(socket)
                self._open.closed(owner)

    async def _talk(self, socket: WebSocket, place: OpenSocket, dialect: Dialect, context: RequestContext) -> int:
        """Exchange messages until one side ends the socket; return the code of the close."""

        left = asyncio.Event()

        async def receive() -> str | None:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                left.set()
                raise Ended(message.get("code", 1006))
            text: str | None = message.get("text")
            return text

        answers = _Answers(socket, self._host(), dialect, context, self._layout, left)
        if dialect.greeting is not None:
            await answers.send(dialect.greeting)
        conversation = Conversation(
            answers, receive, answers.send, dialect.patience, self._host().pulse,
            on_busy=lambda busy: self._open.use(place, busy),
        )  # fmt: skip
        talking = asyncio.ensure_future(conversation.run())
        close_requested = asyncio.ensure_future(place.close_requested.wait())
        try:
            await asyncio.wait({talking, close_requested}, return_when=asyncio.FIRST_COMPLETED)
            if not talking.done():
                await _close(socket, GAVE_WAY, _GAVE_WAY)
                return GAVE_WAY
            await talking
        except Ended as ended:
            return ended.code
        except TooLate:
            await _close(socket, TOO_LATE, _TOO_LATE)
            return TOO_LATE
        except asyncio.CancelledError:  # the grant was revoked: a call that has begun under it still gets its answer
            talking.cancel()
            await asyncio.wait({talking})
            if answers.last_word is not None:
                with suppress(RuntimeError, WebSocketDisconnect):  # the caller has gone meanwhile
                    await socket.send_text(answers.last_word)
            raise
        finally:
            talking.cancel()
            close_requested.cancel()
            answers.receipt.conclude(handed_over=False)  # for an answer that was not sent
        return _LEFT_FOR_GOOD

    async def _turn_away(self, socket: WebSocket, owner: str, dialect: Dialect, error: TooManySocketsError) -> None:
        """Refuse a socket with an error in the dialect's own form, which a page can read.

        A page sees nothing of a refused handshake.
        """
        if not self._open.closing(owner):
            await socket.send_denial_response(problem_response(error, None))
            return
        try:
            await socket.accept()
            with suppress(RuntimeError, WebSocketDisconnect):
                await socket.send_text(dialect.failed(None, error))
            await _close(socket, BUSY, _BUSY)
            await _until_lost(socket)
        finally:
            self._open.closed(owner)

    def _leave(self, socket: WebSocket, owner: str, code: int) -> None:
        """Release the card that is held for a caller whose last socket this was.

        It is released at once if the page was left, else after `_REJOIN_SECONDS`.

        No call waits for the release: a card that does not answer would keep the socket from being closed.
        """
        if self._open.of(owner):
            return
        registry = self._host().registry
        if code == _LEFT_FOR_GOOD:
            self._let_go_soon(registry, owner)
            return
        loop = asyncio.get_running_loop()
        loop.call_later(_REJOIN_SECONDS, lambda: self._let_go_soon(registry, owner))

    def _let_go_soon(self, registry: ReaderRegistry, owner: str) -> None:
        if not self._open.of(owner):
            leaving = asyncio.ensure_future(self._release_readers(registry, owner))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    async def _release_readers(self, registry: ReaderRegistry, owner: str) -> None:
        self._spoken.pop(owner, None)
        # All readers at once: none waits for another's slow card, and a reader that has gone does no harm.
        await asyncio.gather(*(registry.release_held(managed, owner) for managed in registry.all()))


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):  # the caller has gone meanwhile
        await socket.close(code, reason)


async def _until_lost(socket: WebSocket) -> None:
    """Wait until a socket that this side has closed is gone; the server gives the other side a moment for it."""
    lost: asyncio.Event | None = socket.scope["extensions"].get(LOST)
    if lost is not None:
        with suppress(TimeoutError):
            await asyncio.wait_for(lost.wait(), _LINGERING_SECONDS)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


@dataclass(slots=True)
class _Answers:
    """The answers to the messages of one socket."""

    socket: WebSocket
    host: DialectHost
    dialect: Dialect
    context: RequestContext
    layout: BasicLayout
    left: asyncio.Event
    """An event that is set when the caller has closed the socket."""
    receipt: AnswerReceipt = field(default_factory=AnswerReceipt)
    """The receipt of the answer that is being made, or was sent last."""
    last_word: str | None = None
    """The reply to a call that was cut off while it spent or changed something."""

    async def answer(self, message: str | None, seconds: float | None) -> str:
        self.receipt = AnswerReceipt()
        # A question to the clerk ends when its caller leaves.
        gone = asyncio.ensure_future(_wait(self.left))
        context = replace(self.context, receipt=self.receipt, gone=gone)
        try:
            return await self._answer(message, seconds, context)
        finally:
            gone.cancel()

    async def _answer(self, message: str | None, seconds: float | None, context: RequestContext) -> str:
        request: DialectRequest | None = None
        try:
            if message is None:
                raise UsageError("应为文本消息", "a text message is wanted")
            await self._wait_for_a_turn(seconds)
            request = self.dialect.parse(message)
            calls = DialectCalls(self.host.driver, context, self.layout, seconds)
            own = await self.dialect.own_function(request, calls)
            if own is not None:
                return own
            done = await calls.call(request.function, request.arguments)
            return self.dialect.done(request, done.output, done.proof)
        except asyncio.CancelledError:
            if self.receipt.unknown is not None:
                self.last_word = self.dialect.failed(request, self.receipt.unknown)
            raise
        except CardioError as error:
            return self.dialect.failed(request, error)
        except Exception as error:  # any error: each request gets its reply, and card data stay out of the log
            self.host.supervisor.note("dialects", error)
            self.receipt.conclude(handed_over=False)  # the caller gets an error, not the result
            return self.dialect.failed(request, InternalError())

    async def send(self, reply: str) -> None:
        """Send a reply, and conclude its receipt."""
        with self.receipt as receipt, suppress(RuntimeError, WebSocketDisconnect):  # the caller has gone meanwhile
            await send_with_receipt(self.socket, reply, receipt)

    async def _wait_for_a_turn(self, seconds: float | None) -> None:
        """Wait until the caller's rate limit allows one more message.

        Raises:
            RetryLaterError: the caller has asked so often that its turn would come too late.
        """
        try:
            self.host.rate.count_request(self.context.caller.grant)
        except RetryLaterError as error:
            if seconds is not None and error.retry_after > seconds:
                raise
            await asyncio.sleep(error.retry_after)

    def failed(self, message: str | None, error: CardioError) -> str:
        # A call that was cut off while it spent or changed something gets that error; it is not merely late.
        unknown, self.receipt.unknown = self.receipt.unknown, None
        error = unknown or error
        self.receipt.conclude(handed_over=False)  # the caller gets an error, not the result
        request: DialectRequest | None = None
        with suppress(CardioError):
            request = None if message is None else self.dialect.parse(message)
        return self.dialect.failed(request, error)
