"""A stranger at a bridge's port that does all it can to be taken for the bridge."""

from __future__ import annotations

import hashlib
import hmac
import json
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.browser.elsewhere import Elsewhere
from tests.integration.stranger import WORKER

STRANGE = (
    b"<!doctype html><title>squat</title><script>fetch('/found', { method: 'POST', body: location.href });</script>"
)


class Squatter:
    """A program that has the bridge's port and does all it can to be taken for the bridge."""

    def __init__(self, port: int, *, forgets: bool = False, silent: bool = False) -> None:
        """
        Args:
            forgets: its answers have the browser forget all that it keeps for the port.
            silent: it says, as a bridge does that was started anew, that it knows no such grant.
        """
        self._silent = silent
        headers = {"Clear-Site-Data": '"cache", "cookies", "storage"'} if forgets else {}
        self._server = Elsewhere(self._answer, host="0.0.0.0", port=port, headers=headers)
        self.posted: list[str] = []
        """Where its own page, or a page of the bridge, has sent something."""
        self.token = "of-the-strangers-own"  # noqa: S105 - no bridge has given it
        self._headers = headers

    def _answer(self, request: BaseHTTPRequestHandler) -> bool:
        parts = urlsplit(request.path)
        if request.command == "POST":
            length = int(request.headers.get("Content-Length", "0"))
            self.posted.append(f"{parts.path} {request.rfile.read(length).decode()}")
        if parts.path == "/v1/hello":
            given = {name: values[0] for name, values in parse_qs(parts.query).items()}
            message = f"cardio-hello|{given.get('nonce')}|{self._server.port}".encode()
            proof = hmac.new(hashlib.sha256(self.token.encode()).digest(), message, hashlib.sha256).hexdigest()
            hello = {
                "service": "cardio",
                "version": "1",
                "instance": "1",
                "proof": proof if given and not self._silent else None,
            }
            self._give(request, json.dumps(hello).encode(), "application/json")
        elif parts.path == "/v1/pages/session":
            session = {"grant": "s", "token": self.token, "scopes": ["basic"], "keeper": "/page-keeper.js?0"}
            session["proof"] = "00" * 32
            self._give(request, json.dumps(session).encode(), "application/json")
        else:
            is_worker = request.headers.get("Service-Worker") == "script"
            self._give(request, WORKER if is_worker else STRANGE, "text/javascript" if is_worker else "text/html")
        return True

    def _give(self, request: BaseHTTPRequestHandler, body: bytes, kind: str) -> None:
        request.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **self._headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    def stop(self) -> None:
        self._server.stop()


def expect_imposter(page: Page) -> None:
    expect(page.get_by_role("alert").first).to_contain_text("本机端口上的程序不是读卡服务")
    assert page.title() != "squat"
