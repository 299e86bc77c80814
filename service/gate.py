"""The gate: nobody reaches a route who does not belong. One ASGI layer for HTTP and WebSocket alike.

FastAPI's own middleware will not do: its CORS layer still runs the handler for a hostile simple request and
lets WebSockets through, and its host check ignores the port.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cardio.errors import CardioError
from cardio.model import Problem
from service.scopes import DEFAULT_SCOPES, Caller
from service.scopes import Scope as GrantedScope

OPEN_PATHS = frozenset({"/", "/livez", "/readyz", "/openapi.json"})
OPEN_PREFIX = "/static/"
REQUEST_ID, CALLER = "request_id", "caller"
_LOCAL = "local"
"""Stands for the origin of a program, which sends none."""
HEADER_LIMIT = 8 * 1024
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)


class GateError(CardioError):
    """The caller is not let in."""

    code = "not-let-in"


class WrongHostError(GateError):
    code = "wrong-host"
    title = "请求的主机名不是本服务"
    title_en = "The Host of the request is not this service"
    remedy = "请使用启动时显示的地址（http://127.0.0.1:端口）。"
    remedy_en = "Use the address that was shown at the start (http://127.0.0.1:PORT)."
    status = 421


class WrongOriginError(GateError):
    code = "wrong-origin"
    title = "该网页无权使用本服务"
    title_en = "This page may not use the service"
    remedy = "请从本服务自己的页面访问，或请管理员登记该网页的来源。"
    remedy_en = "Use the service's own page, or ask the administrator to register the page's origin."
    status = 403


class NoTokenError(GateError):
    code = "no-token"
    title = "缺少访问令牌或令牌不正确"
    title_en = "The access token is missing or wrong"
    remedy = "请用启动时显示的链接打开页面，或在请求中带上令牌。"
    remedy_en = "Open the page by the link that was shown at the start, or send the token with the request."
    status = 401


class TooLargeError(GateError):
    code = "headers-too-large"
    title = "请求头过大"
    title_en = "The request's headers are too large"
    remedy = "请减少请求头后重试。"
    remedy_en = "Send fewer or shorter headers."
    status = 431


@dataclass(frozen=True, slots=True)
class GateRules:
    """Who is let in."""

    hosts: frozenset[str]
    origins: frozenset[str]
    token: str
    scopes: frozenset[GrantedScope] = DEFAULT_SCOPES
    """What the token grants."""

    @classmethod
    def for_port(
        cls,
        port: int,
        token: str,
        more_origins: Iterable[str] = (),
        scopes: frozenset[GrantedScope] = DEFAULT_SCOPES,
    ) -> GateRules:
        """The rules of a bridge on this machine's loopback addresses."""
        hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"})
        return cls(hosts, frozenset(f"http://{host}" for host in hosts) | frozenset(more_origins), token, scopes)

    def check(self, scope: Scope) -> Caller:
        """Who asks. Raises GateError unless the request may go on."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if sum(len(name) + len(value) for name, value in headers) > HEADER_LIMIT:
            raise TooLargeError()
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0].decode("latin-1") not in self.hosts or not _origin_form(scope):
            raise WrongHostError()
        origins = [value for name, value in headers if name == b"origin"]
        if origins and (len(origins) != 1 or origins[0].decode("latin-1") not in self.origins):
            raise WrongOriginError()
        caller = Caller(origins[0].decode("latin-1") if origins else _LOCAL, self.scopes)
        path: str = scope["path"]
        if scope["type"] == "http" and (path in OPEN_PATHS or path.startswith(OPEN_PREFIX)):
            return caller
        tokens = [value for name, value in headers if name == b"authorization"]
        if len(tokens) != 1 or not self._is_token(tokens[0]):
            raise NoTokenError()
        return caller

    def _is_token(self, authorization: bytes) -> bool:
        scheme, _, given = authorization.partition(b" ")
        return scheme.lower() == b"bearer" and secrets.compare_digest(given.strip(), self.token.encode())


def _origin_form(scope: Scope) -> bool:
    """Whether the target is a plain path; an absolute-form target names a host of its own."""
    return bytes(scope.get("raw_path") or b"/").startswith(b"/") and str(scope["path"]).startswith("/")


class Gate:
    """The ASGI layer."""

    def __init__(self, app: ASGIApp, rules: GateRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = uuid4().hex
        scope.setdefault("state", {})[REQUEST_ID] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            scope["state"][CALLER] = self._rules.check(scope)
        except GateError as error:
            await self._refuse(error, request_id, scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    async def _refuse(self, error: GateError, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # Closing before accepting answers the handshake with 403: the socket never opens.
            await send({"type": "websocket.close", "code": 1008})
            return
        await problem_response(error, request_id)(scope, receive, send)


def problem_response(error: CardioError, request_id: str | None) -> Response:
    """An error as RFC 9457 has it."""
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, NoTokenError) else {}
    return JSONResponse(
        Problem.of(error, request_id).document(),
        status_code=error.status,
        media_type="application/problem+json",
        headers=headers,
    )
