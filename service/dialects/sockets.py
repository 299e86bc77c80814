"""The dialects' sockets: one message, one reply, in order, for as long as the caller stays."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.types import Message

from cardio.driver import BasicLayout
from cardio.driver_functions import DriverArguments, find_function
from cardio.errors import CardioError, UsageError
from service.asking import Asking
from service.dependencies import asking_of
from service.desks import Desks
from service.dialects.decard_device import PREFIXES, device_answer
from service.dialects.decard_dialect import DecardDialect
from service.dialects.json_dialect import JsonDialect
from service.dialects.messages import Dialect, DialectRequest
from service.driver_calls import DriverCalls
from service.errors import InternalError, WaitError
from service.gate.connection import hand_over
from service.gate.layer import CALLER
from service.gate.receipt import AnswerReceipt
from service.scopes import Caller

DIALECTS: dict[str, tuple[int, Callable[[], Dialect]]] = {
    "json": (12342, JsonDialect),
    "decard": (50150, DecardDialect),
}
"""By name: the port that callers in the field have built in, and what speaks it."""


_PATIENCE: dict[type, float] = {DecardDialect: 9.0}
"""After so many seconds a dialect's callers have their answer: Decard's published client gives up after ten."""


def dialect_router(layout: BasicLayout) -> APIRouter:
    """The sockets; ``layout`` is that of the basic information that this site's callers expect."""
    router = APIRouter(prefix="/dialects", tags=["dialects"])
    for name, (_, make) in DIALECTS.items():
        router.add_api_websocket_route(f"/{name}", _endpoint(make, layout))
    return router


def _endpoint(make: Callable[[], Dialect], layout: BasicLayout) -> Callable[[WebSocket], object]:
    async def endpoint(socket: WebSocket) -> None:
        caller: Caller = getattr(socket.state, CALLER)
        await socket.accept()
        # Two sockets of one page are two callers: each has its own steps.
        asking = replace(asking_of(socket, caller), grant=f"{caller.grant}#{secrets.token_hex(4)}")
        try:
            with suppress(WebSocketDisconnect):
                await _serve(socket, make(), caller, asking, layout)
        finally:
            desks: Desks = socket.app.state.desks
            # At all of them at once: none waits for another's slow card, and none that has gone matters.
            await asyncio.gather(*(desk.end_held(asking.grant) for desk in desks.all()), return_exceptions=True)

    return endpoint


async def _serve(socket: WebSocket, dialect: Dialect, caller: Caller, asking: Asking, layout: BasicLayout) -> None:
    calls: DriverCalls = socket.app.state.driver
    rate = socket.app.state.access.rate
    incoming = asyncio.ensure_future(socket.receive())
    try:
        while True:
            message = await incoming
            if message["type"] == "websocket.disconnect":
                return
            # Read while this one is worked on: so a question to the clerk ends when its caller leaves.
            incoming = asyncio.ensure_future(socket.receive())
            try:
                rate.spend(caller.grant)
            except WaitError as error:
                await asyncio.sleep(error.retry_after)
            gone = asyncio.ensure_future(_left(incoming))
            try:
                with AnswerReceipt() as receipt:
                    asked = replace(asking, receipt=receipt, gone=gone)
                    reply = await _reply(message.get("text"), dialect, calls, caller, asked, layout)
                    with suppress(RuntimeError):  # the caller has gone meanwhile
                        await hand_over(socket, reply, receipt)
            finally:
                gone.cancel()
    finally:
        incoming.cancel()


async def _left(incoming: asyncio.Future[Message]) -> None:
    """Ends when the caller has left; never, where its next message is there already."""
    message = await asyncio.shield(incoming)
    if message["type"] != "websocket.disconnect":
        await asyncio.get_running_loop().create_future()


async def _reply(
    message: str | None, dialect: Dialect, calls: DriverCalls, caller: Caller, asking: Asking, layout: BasicLayout
) -> str:
    request: DialectRequest | None = None
    try:
        if message is None:
            raise UsageError("应为文本消息", "a text message is wanted")
        request = dialect.parse(message)
        if isinstance(dialect, DecardDialect) and request.function.startswith(PREFIXES):
            return await device_answer(request, calls, caller, asking)
        function = find_function(request.function)
        given = DriverArguments.from_mapping({"layout": layout, **request.arguments})
        seconds = _PATIENCE.get(type(dialect))
        output, _ = await calls.call(function, given, caller, asking, seconds=seconds)
        return dialect.done(request, output)
    except CardioError as error:
        return dialect.failed(request, error)
    except Exception:  # whatever it is: each request has its reply, and what was read stands in no log
        if asking.receipt is not None:
            asking.receipt.conclude(handed_over=False)  # what was done is not what the caller is told
        return dialect.failed(request, InternalError())
