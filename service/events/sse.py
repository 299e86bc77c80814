"""Server-Sent Events as an answer (HTML standard §9.2), which releases its subscription as soon as it ends.

FastAPI's own class leaves its generator, and so the subscription in it, to the garbage collector when a client stalls.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.events.hub import RESYNC, TYPE_PREFIX

KEEP_ALIVE_SECONDS = 15.0
_KEEP_ALIVE = b": keep-alive\n\n"


class EventStream(Response):
    """The answer that sends payloads until they end, or the client has gone."""

    media_type = "text/event-stream"

    def __init__(self, payloads: AsyncGenerator[dict[str, Any], None]) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._payloads = payloads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            for task in (sending, leaving):
                with suppress(asyncio.CancelledError):
                    await task

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(_frames(self._payloads)) as frames:
            async for frame in frames:
                await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _frames(payloads: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[bytes, None]:
    """Yield each payload as a frame, and a comment from time to time, so that a dead connection is noticed."""
    async with aclosing(payloads):
        waiting: asyncio.Future[dict[str, Any]] | None = None
        try:
            while True:
                waiting = waiting or asyncio.ensure_future(anext(payloads))
                done, _ = await asyncio.wait({waiting}, timeout=KEEP_ALIVE_SECONDS)
                if not done:
                    yield _KEEP_ALIVE
                    continue
                finished, waiting = waiting, None
                try:
                    payload = finished.result()
                except StopAsyncIteration:
                    return
                yield frame_of(payload)
        finally:
            if waiting is not None:
                waiting.cancel()
                with suppress(asyncio.CancelledError, StopAsyncIteration):
                    await waiting


def frame_of(payload: dict[str, Any]) -> bytes:
    """Return the frame of one event: its kind, its id, and the whole event as data.

    `resync` has no id, so that a client that connects again gets the present state first.
    """
    kind = payload["type"].removeprefix(TYPE_PREFIX)
    name = "" if kind == RESYNC else f"id: {payload['id']}\n"
    return f"event: {kind}\n{name}data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()


@asynccontextmanager
async def leaving(receive: Receive) -> AsyncIterator[asyncio.Future[None]]:
    """Yield a future that is done when the client of a request whose body was read has left."""
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        yield gone
    finally:
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
