"""A bridge on a real socket with software readers, that counts what reaches its handlers and its cards."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import uvicorn.server
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from cardio.filesystem.capabilities import CapabilityCache
from cardio.readers.base import ReaderSource
from cardio.readers.card_choice import ReaderPolicy
from cardio.readers.supervision import Supervisor
from service.app import SiteOptions, create_app
from service.audit.recorder import AuditRecorder
from service.debits.provider import JournalProvider
from service.driver.listening import DialectPorts
from service.gate.page_addresses import SHARED, PageAddresses
from service.gate.policy import Access, DialectRule
from service.gate.rate_limits import Rate
from service.gate.scopes import DEFAULT_SCOPES, Scope
from service.ports.binding import bind_loopback, bind_pages
from service.readers.simulated import SimulatedReaders
from service.security import SecurityContext
from service.server import BridgeServer
from tests.pcsc import wait_until

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain http: httpx loads all certificates of the system for each client otherwise."""


class _Quick:
    """asyncio for uvicorn: a server that stops waits a tenth of a second for its connections, in two thousand tests."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.005))


vars(uvicorn.server)["asyncio"] = _Quick()
TOKEN = "T" * 43
AUTH = f"Authorization: Bearer {TOKEN}"
FIRST, SECOND = "Simulated Reader 00", "Simulated Reader 01"
FIRST_COUNTS = SiteOptions(reader_policy=ReaderPolicy(use=(FIRST,)))
"""A desk whose calls that name no reader mean the first; between two cards there would be no choice."""


def events_in(stream: httpx.Response) -> Iterator[dict[str, Any]]:
    """The events of an open event stream."""
    return (json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:"))


class Bridge:
    """Started when it is made; ``hits`` are requests that came past the gate, ``commands`` are APDUs at cards."""

    def __init__(
        self,
        *personas: str,
        scopes: frozenset[Scope] = DEFAULT_SCOPES,
        security: SecurityContext | None = None,
        file: Path | None = None,
        trusted: Mapping[str, frozenset[Scope]] | None = None,
        dialects: Sequence[DialectRule] = (),
        rate: Rate | None = None,
        site_options: SiteOptions | None = None,
        simulate: bool = True,
        journal: Path | None = None,
        audit: Path | None = None,
        dialect_ports: DialectPorts | None = None,
        sources: Sequence[ReaderSource] = (),
        supervisor: Supervisor | None = None,
        page_address: str = SHARED,
        earlier_page_addresses: Sequence[str] = (),
    ) -> None:
        """Args: ``sources`` come before the simulated readers."""
        self._clients: list[httpx.Client] = []
        self._sockets: list[ClientConnection] = []
        self.commands = 0
        self.hits: list[str] = []
        self.readers = SimulatedReaders(list(personas) or ["adult", "third-closed"])
        for reader in self.readers.readers():
            self._count(reader)
        sockets = bind_loopback(0)
        self.port = sockets[0].getsockname()[1]
        self.dialect_ports: dict[str, int] = {}
        rules = {}
        for rule in dialects:
            bound = bind_loopback(0)
            self.dialect_ports[rule.name] = bound[0].getsockname()[1]
            rules[self.dialect_ports[rule.name]] = rule
            sockets += bound
        pages = PageAddresses(self.port, current=page_address, earlier=tuple(earlier_page_addresses))
        if pages.is_own:
            pages, bound = bind_pages(pages)
            sockets += bound
        self.access = Access.for_port(
            self.port, TOKEN, pages=pages, scopes=scopes, file=file, trusted=trusted, dialects=rules,
            rate=rate or Rate(10_000, 10_000),
        )  # fmt: skip
        self.audit, self.audit_file = AuditRecorder(audit), audit
        self.app = create_app(
            [*sources, self.readers],
            capabilities=CapabilityCache(None),
            simulated=self.readers if simulate else None,
            security=security,
            site_options=site_options,
            journal=JournalProvider(journal),
            audit=self.audit,
            dialect_ports=dialect_ports,
            supervisor=supervisor,
        )
        self.app.middleware_stack = None
        self.app.add_middleware(_Counting, hits=self.hits)
        self.server = BridgeServer(self.app, self.access)
        self.thread = threading.Thread(target=lambda: self.server.run(sockets=sockets), daemon=True)
        self.thread.start()
        wait_until(lambda: self.server.started, "the bridge has started")
        assert self.audit.flush(), "its start is in the log, or could not be written"
        self.address = f"http://127.0.0.1:{self.port}"
        self.client = self.caller(TOKEN)

    def _count(self, reader: Any) -> None:
        card = reader.card
        transmit = card.transmit

        def counted(command: bytes) -> bytes:
            self.commands += 1
            answer: bytes = transmit(command)
            return answer

        card.transmit = counted

    def caller(self, token: str | None, origin: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        made = httpx.Client(
            base_url=self.address,
            headers=headers | ({"Origin": origin} if origin else {}),
            timeout=10,
            trust_env=False,
            verify=NO_TLS,
        )
        self._clients.append(made)
        return made

    def pair(self, origin: str, *scopes: Scope) -> tuple[httpx.Client, str]:
        """A page of an origin that a person has let in: its client, and its grant."""
        asked = self.caller(None, origin).post("/v1/pairing", json={"name": "页面", "scopes": list(scopes)}).json()
        self.client.post(f"/v1/pairing/{asked['request']}/approve", json={"scopes": list(scopes)}).raise_for_status()
        outcome = self.caller(asked["secret"], origin).get(f"/v1/pairing/{asked['request']}").json()
        return self.caller(outcome["token"], origin), outcome["grant"]

    def raw(
        self,
        *lines: str,
        body: bytes = b"",
        host: str = "127.0.0.1",
        port: int | None = None,
        then: str = "Connection: close",
    ) -> tuple[int, str]:
        """Sends a raw request and gives the status and all of the answer."""
        with socket.create_connection((host, port or self.port), timeout=5) as line:
            line.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body)
            answer = b""
            while part := line.recv(65536):
                answer += part
        text = answer.decode("utf-8", "replace")
        return int(text.split(" ", 2)[1]) if text else 0, text

    def socket(
        self,
        path: str = "/v1/ws",
        *,
        port: int | None = None,
        origin: str | None = None,
        headers: Any = None,
        protocols: Sequence[str] = (),
    ) -> ClientConnection:
        """An open WebSocket. Raises: InvalidStatus: it was refused."""
        opening = connect(
            f"ws://127.0.0.1:{port or self.port}{path}", origin=Origin(origin) if origin is not None else None,
            additional_headers=headers, subprotocols=[Subprotocol(one) for one in protocols] or None, proxy=None,
            open_timeout=5, close_timeout=2,
        )  # fmt: skip
        connection = opening.__enter__()
        self._sockets.append(connection)
        return connection

    def stop(self) -> None:
        for connection in self._sockets:
            connection.close()
        for client in self._clients:
            client.close()
        self.server.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()


class _Counting:
    """Inside the gate: whatever comes here has been let in."""

    def __init__(self, app: Any, hits: list[str]) -> None:
        self._app = app
        self._hits = hits

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self._hits.append(scope["path"])
        await self._app(scope, receive, send)
