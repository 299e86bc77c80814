"""Another user of this machine, as a program of its own: raw requests, sockets that are held. Standard library only.

It is given to the system's own Python as text, for that user may reach no file of ours.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import sys
import time
from collections.abc import Callable


def main() -> None:
    asked = json.loads(sys.argv[1])
    works: dict[str, Callable[..., object]] = {
        "ask": ask,
        "many": many,
        "hold": hold,
        "squat": squat,
        "bind": bind,
        "keep": keep,
    }
    print(json.dumps(works[asked.pop("do")](**asked)))


def opened(host: str, port: int) -> socket.socket:
    """A connection; ``::ffff:127.0.0.1`` is made by an IPv6 socket that speaks IPv4."""
    line = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    line.settimeout(20)
    line.connect((host, port))
    return line


def ask(host: str, port: int, head: list[str], body: str = "", then: str = "") -> list[object]:
    """Send one request; gives status and answer. ``then`` says what is done with the line before the answer is read."""
    with opened(host, port) as line:
        line.sendall("\r\n".join([*head, f"Content-Length: {len(body.encode())}", "", body]).encode())
        if then == "shut":
            line.shutdown(socket.SHUT_WR)
        elif then == "close":
            return [0, ""]
        elif then == "reset":
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return [0, ""]
        answer = b""
        try:
            while part := line.recv(65536):
                answer += part
                if b" 101 " in answer.partition(b"\r\n")[0]:
                    break
        except TimeoutError:
            pass
    text = answer.decode("utf-8", "replace")
    return [int(text.split(" ", 2)[1]) if " " in text else 0, text]


def many(count: int, **one: object) -> int:
    for _ in range(count):
        ask(**one)  # type: ignore[arg-type] # as given
    return count


def hold(places: list[list[object]], count: int, first: str = "", seconds: float = 0.0) -> int:
    """Keep so many connections at each place, until standard input ends; those that are closed are made anew.

    Args:
        first: what is sent on each; a half of a head, or nothing.
        seconds: all of them are made anew after so long.
    """
    import select

    held: list[tuple[socket.socket, float, list[object]]] = []
    said = False
    while True:
        for place in places:
            while sum(one[2] is place for one in held) < count:
                try:
                    line = opened(str(place[0]), int(str(place[1])))
                    if first:
                        line.sendall(first.encode())
                except OSError:
                    break
                held.append((line, time.monotonic(), place))
        if not said:
            print("held", flush=True)
            said = True
        ready, _, _ = select.select([sys.stdin], [], [], 0.1)
        if ready:
            return len(held)
        watched = select.poll()
        for line, _, _ in held:
            watched.register(line, select.POLLIN | select.POLLHUP)
        gone = {number for number, _ in watched.poll(0)}
        now = time.monotonic()
        for one in list(held):
            if one[0].fileno() in gone or (seconds and now - one[1] > seconds):
                one[0].close()
                held.remove(one)


def bind(port: int, seconds: float = 0.0) -> list[str]:
    """Try to listen in the bridge's place, at its addresses and at all, with each way to share a port.

    Args:
        port: the bridge's port.
        seconds: the time for which this is tried again and again; 0 for once.

    Returns:
        The ways that succeeded; with ``seconds`` after the first success.
    """
    if seconds:
        print("begins", flush=True)
    shared = (socket.SO_REUSEADDR, socket.SO_REUSEPORT)
    ends = time.monotonic() + seconds
    while True:
        found = []
        for host in ("127.0.0.1", "0.0.0.0", "::1", "::"):
            for options in ((), shared[:1], shared[1:], shared):
                with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
                    for option in options:
                        listener.setsockopt(socket.SOL_SOCKET, option, 1)
                    try:
                        listener.bind((host, port))
                        listener.listen()
                    except OSError:
                        continue
                    found.append(f"{host} {options}")
        if found or time.monotonic() > ends:
            return found


def keep(port: int) -> str:
    """Have the bridge's place without listening there, until standard input ends."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", port))
        print("kept", flush=True)
        sys.stdin.read(1)
    return "kept"


WORKER = (
    b"addEventListener('install', () => skipWaiting()); addEventListener('activate', () => clients.claim());"
    b"addEventListener('fetch', (event) => { if (event.request.mode === 'navigate') event.respondWith(new Response("
    b"'<title>squat</title>', { headers: { 'Content-Type': 'text/html' } })); });"
)


def squat(port: int, lasting: bool = False) -> list[str]:
    """Listen in the bridge's place until standard input ends; gives what was sent there.

    Args:
        lasting: its page stays in the browser, as a service worker and in the cache.
    """
    import select

    told: list[str] = []
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("", port))  # whatever address of the loopback the bridge had
        listener.listen(32)
        print("listens", flush=True)
        page = (
            b"<!doctype html><title>squat</title><script>const found = JSON.stringify([location.href, "
            b"{...localStorage}, {...sessionStorage}]); fetch('/found', {method: 'POST', body: found})</script>"
        )
        lasts = b"<script>navigator.serviceWorker.register('/worker.js')</script>"
        while True:
            ready, _, _ = select.select([sys.stdin, listener], [], [])
            if sys.stdin in ready:
                return told
            line, _ = listener.accept()
            with line:
                line.settimeout(2)
                try:
                    told.append(line.recv(65536).decode("latin-1"))
                    if "content-length" in told[-1].lower() and told[-1].endswith("\r\n\r\n"):
                        told[-1] += line.recv(65536).decode("latin-1")
                    is_worker = told[-1].startswith("GET /worker.js")
                    body = WORKER if is_worker else page + lasts if lasting else page
                    kind = b"text/javascript" if is_worker else b"text/html"
                    keep = b"max-age=31536000, immutable" if lasting else b"no-store"
                    line.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nConnection: close\r\nCache-Control: %s\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (kind, keep, len(body), body)
                    )
                except OSError:
                    pass


def handshake(host: str, port: int, path: str, *headers: str) -> list[str]:
    """The head of a WebSocket's handshake."""
    key = base64.b64encode(b"0123456789abcdef").decode()
    return [
        f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *headers,
    ]  # fmt: skip


if __name__ == "__main__":
    main()
