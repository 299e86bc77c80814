"""Pages of other origins: a hospital's web server, its page with the SDK, and strangers at a bridge's port."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Page, expect

from tests.pcsc import wait_until

SDK = Path(__file__).parents[2] / "service" / "web" / "sdk"
BLANK = "<!doctype html><html lang=zh-CN><title>门诊收费</title><p>门诊收费"
START = """async ([address, scopes]) => {
    const sdk = await import('/sdk/cardio-bridge.js');
    window.bridge = await sdk.CardioBridge.find({ address });
    window.pairing = bridge.pair({ name: '门诊收费', scopes, onCode: (asked) => { window.asked = asked; } })
        .then((granted) => ({ granted }), (error) => ({ state: error.state, title: error.title }));
}"""
TRY = """async (body) => {
    const work = new Function('bridge', `return (async () => { ${body} })()`);
    try { return { value: await work(window.bridge) }; }
    catch (error) {
        const { state, reason, code, title, title_en, remedy, remedy_en, driver_code, lease } = error;
        return { state, reason, code, title, title_en, remedy, remedy_en, driver_code, lease };
    }
}"""


class Bridge(Protocol):
    """A bridge as `conftest.Served` starts it."""

    address: str
    token: str


class _Server(ThreadingHTTPServer):
    allow_reuse_port = True
    """A bridge's connections that have just ended (TIME_WAIT) let only such a socket have its port."""


class Elsewhere:
    """A web server: a hospital's page with the SDK, or a stranger at a bridge's port. Keeps what it was asked."""

    def __init__(
        self,
        answer: Callable[[BaseHTTPRequestHandler], bool] | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Args: ``answer`` answers a request and returns true, or leaves it; ``headers`` go with every page."""
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        seen, more = self.asked, dict(headers or {})

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
                if answer is not None and answer(self):
                    return
                if self.path.startswith("/sdk/"):
                    file = SDK / self.path.removeprefix("/sdk/").partition("?")[0]
                    kind = {".js": "text/javascript", ".html": "text/html", ".css": "text/css"}[file.suffix]
                    self.give(file.read_bytes(), kind)
                elif self.path == "/":
                    self.give(BLANK.encode(), "text/html; charset=utf-8")
                else:
                    self.send_error(404)

            do_POST = do_PUT = do_DELETE = do_OPTIONS = do_GET

            def give(self, body: bytes, kind: str, status: int = 200) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                for name, value in more.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None: ...

        self._server = _Server((host, port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def fake_bridge(answers: Mapping[str, Any], *, proof: str | None = None) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Answers like a bridge that knows the token `the-token` of the grant `g`, unless another ``proof`` is given."""

    def answer(request: BaseHTTPRequestHandler) -> bool:
        parts = urlsplit(request.path)
        if request.command == "OPTIONS":
            give(request, {}, 204)
        elif parts.path == "/v1/hello":
            given = {name: values[0] for name, values in parse_qs(parts.query).items()}
            port = request.headers["Host"].rpartition(":")[2]
            message = f"cardio-hello|{given.get('nonce')}|{port}".encode()
            own = hmac.new(hashlib.sha256(b"the-token").digest(), message, hashlib.sha256).hexdigest()
            told = own if given.get("grant") == "g" else None
            hello = {"service": "cardio", "version": "0", "instance": "0", "origin": None, "proof": proof or told}
            give(request, hello)
        elif parts.path in answers:
            give(request, answers[parts.path])
        else:
            return False
        return True

    def give(request: BaseHTTPRequestHandler, document: Any, status: int = 200) -> None:
        body = b"" if status == 204 else json.dumps(document).encode()
        request.send_response(status)
        request.send_header("Access-Control-Allow-Origin", "*")
        request.send_header("Access-Control-Allow-Headers", "*, authorization")
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def at(served: Bridge, path: str) -> str:
    """A fresh link to a page of the bridge."""
    request = urllib.request.Request(
        f"{served.address}/v1/pages/ticket",
        data=json.dumps({"page": path.partition("?")[0], "seconds": 600}).encode(),
        headers={"Authorization": f"Bearer {served.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        asked = json.load(answer)
        return f"{asked['origin']}{path}#ticket={asked['ticket']}"


def simulate(
    served: Bridge, method: str, body: dict[str, Any] | None = None, *, number: int = 0, path: str = "card"
) -> None:
    """A card in a simulated reader is changed, pulled or turned over, by no page."""
    request = urllib.request.Request(
        f"{served.address}/v1/simulator/readers/Simulated%20Reader%20{number:02}/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {served.token}",
            "Content-Type": "application/json",
        },
    )
    urllib.request.urlopen(request).close()


class SdkDesk:
    """A hospital's page beside the bridge's own, in one browser."""

    def __init__(self, browser: Browser, served: Bridge, elsewhere: Elsewhere) -> None:
        self.context = browser.new_context()
        self.served = served
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(elsewhere.address)
        self.own = self.context.new_page()

    def close(self) -> None:
        self.context.close()
        assert self.errors == []

    def ask(self, *scopes: str) -> str:
        """The page asks to be let in; gives the code that it shows."""
        self.page.evaluate(START, [self.served.address, list(scopes or ("basic", "files"))])
        self.page.wait_for_function("window.asked")
        return str(self.page.evaluate("asked.code"))

    def answer(self, button: str) -> Any:
        """The person presses a button on the bridge's own page."""
        self.own.goto(at(self.served, "/pair"))
        self.own.get_by_role("button", name=button, exact=True).click()
        expect(self.own.locator(".pairing")).to_have_count(0)
        return self.page.evaluate("pairing")

    def pair(self, *scopes: str) -> None:
        self.ask(*scopes)
        assert self.answer("允许")["granted"]["grant"]

    def revoke(self) -> None:
        self.own.get_by_role("button", name="撤销").click()
        self.own.get_by_role("button", name="确认撤销").click()

    def put_in(self, persona: str, number: int = 0, fault: str | None = None) -> None:
        simulate(self.served, "PUT", {"persona": persona, "fault": fault}, number=number)

    def pull(self, number: int = 0) -> None:
        simulate(self.served, "DELETE", number=number)

    def run(self, body: str) -> Any:
        """What the page's script gives, or what it throws."""
        return self.page.evaluate(TRY, body)

    def value(self, body: str) -> Any:
        outcome = self.run(body)
        assert "value" in outcome, outcome
        return outcome["value"]


def found_in(page: Page, *words: str) -> list[str]:
    """Which of these stand anywhere in the page. (pytest would compare a word with a whole page for minutes.)"""
    content = page.content()
    return [word for word in words if word in content]


def wait_held(page: Page, held: Sequence[object]) -> None:
    """Waits until a request of the page is held back; the page's own messages come in meanwhile."""
    wait_until(lambda: bool(held), "the page has asked", sleep=lambda seconds: page.wait_for_timeout(1000 * seconds))


def find(page: Page, options: str) -> Any:
    """How `find` ends, from a fresh import."""
    return page.evaluate(
        """async (options) => {
            const { CardioBridge } = await import('/sdk/cardio-bridge.js');
            try {
                window.bridge = await CardioBridge.find(new Function(`return ${options}`)());
                return { paired: bridge.paired, revoked: bridge.revoked, port: bridge.port };
            } catch (error) {
                const { name, state, reason, title, title_en, remedy, remedy_en } = error;
                return { name, state, reason, title, title_en, remedy, remedy_en };
            }
        }""",
        options,
    )


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
