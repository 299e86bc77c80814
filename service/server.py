"""Serving the bridge on this machine's loopback addresses, and stopping when told."""

from __future__ import annotations

import asyncio
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from cardio.errors import ConfigurationError
from service.app import gated
from service.gate import HEADER_LIMIT, GateRules

_STOP_SECONDS = 1


def bind_loopback(port: int) -> list[socket.socket]:
    """Listening sockets on 127.0.0.1 and, where the machine has it, ::1; port 0 picks a free one.

    Raises:
        ConfigurationError: the port is taken.
    """
    first = _bind(socket.AF_INET, "127.0.0.1", port)
    sockets = [first]
    if socket.has_ipv6:
        try:
            sockets.append(_bind(socket.AF_INET6, "::1", first.getsockname()[1]))
        except ConfigurationError:
            if port:
                raise
        except OSError:
            pass
    return sockets


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Already listening when the address is shown: who is quick waits a moment and is not refused.
        listener.listen()
    except OSError as error:
        listener.close()
        if family == socket.AF_INET6 and error.errno not in (98, 10048):
            raise
        raise ConfigurationError(
            f"端口 {host}:{port} 无法使用：{error.strerror}。可能已有一个 cardio 在运行，或用 --port 换一个端口",
            f"cannot listen on {host}:{port}: {error.strerror}. Is cardio running already? Or choose another --port",
        ) from error
    return listener


class BridgeServer(uvicorn.Server):
    """uvicorn, but event streams end when it is told to stop; by itself it would wait for them."""

    def __init__(self, app: FastAPI, rules: GateRules) -> None:
        super().__init__(
            uvicorn.Config(
                gated(app, rules),
                log_level="error",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_STOP_SECONDS,
                h11_max_incomplete_event_size=HEADER_LIMIT,
                ws="none",
                http="h11",
            )
        )
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.stop()
        super().handle_exit(sig, frame)

    def stop(self) -> None:
        """Stops the server; may be called from any thread."""
        self.should_exit = True
        loop: asyncio.AbstractEventLoop | None = getattr(self._app.state, "loop", None)
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._app.state.hub.close)
            loop.call_soon_threadsafe(self._app.state.desks.stop)
