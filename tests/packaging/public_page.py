"""A web page from a public address that asks this machine for something; run by test_policies.py.

    python -m tests.packaging.public_page POLICIES HOST…

Prints, for each host, what its page was answered by a server on 127.0.0.1, or null when the browser forbade it. It must
be run in mount and network namespaces of its own: the "public" address is on its loopback device, and the policies that
it installs are in a /etc/chromium of its own. POLICIES is a folder that is laid there, and may be empty.
"""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, Error, sync_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM

PUBLIC = "203.0.113.7"
"""From the addresses that RFC 5737 keeps for documentation: public to the browser, and assigned to no site."""
_ASK = "url => fetch(url).then(answer => answer.text())"


class _Greeting(BaseHTTPRequestHandler):
    """Lets every origin read its answer, so that nothing but the browser's own rule can be in the way."""

    def do_GET(self) -> None:
        body = b"reached"
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def _serve(address: str, port: int, certificate: Path | None = None) -> int:
    server = ThreadingHTTPServer((address, port), _Greeting)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def _certificate(folder: Path) -> Path:
    made = folder / "page.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=page", "-days", "2"]
    subprocess.run([*request, "-keyout", str(made), "-out", str(folder / "c")], check=True, capture_output=True)
    made.write_bytes(made.read_bytes() + (folder / "c").read_bytes())
    return made


def _prepare(policies: Path) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{PUBLIC}/32", "dev", "lo"], check=True)
    settings = Path("/etc/chromium")
    settings.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(settings)], check=True)
    shutil.copytree(policies, settings / "policies" / "managed")


def _answer(browser: Browser, host: str, port: int) -> str | None:
    page = browser.new_page()
    page.goto(f"https://{host}/")
    try:
        return str(page.evaluate(_ASK, f"http://127.0.0.1:{port}/"))
    except Error:
        return None
    finally:
        page.close()


def main(policies: Path, hosts: list[str]) -> None:
    _prepare(policies)
    with tempfile.TemporaryDirectory() as folder:
        _serve(PUBLIC, 443, _certificate(Path(folder)))
        port = _serve("127.0.0.1", 0)
        arguments = [
            *ARGUMENTS,
            f"--host-resolver-rules=MAP *.example-hospital.cn {PUBLIC}",
            "--ignore-certificate-errors",
        ]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            print(json.dumps({host: _answer(browser, host, port) for host in hosts}))
            browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
