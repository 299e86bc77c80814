"""The time from PC/SC's report of an insertion or removal to the client of the events (target: p95 within 20 ms)."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

import httpx

from simulators.personas.persona import find_persona
from simulators.readers.vpcd import VpcdLink
from tests.pcsc import Daemon, configure, find_slots

TARGET_MILLISECONDS = 20.0
_CARDS = 40


def _follow(address: str, token: str, delays: SimpleQueue[float | None]) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with (
        httpx.Client(base_url=address, headers=headers, timeout=60) as client,
        client.stream("GET", "/v1/events") as stream,
    ):
        kind = ""
        for line in stream.iter_lines():
            arrived = datetime.now(UTC)
            if line.startswith("event: "):
                kind = line[7:]
                if kind == "state":
                    delays.put(None)
            elif line.startswith("data: ") and kind in ("card-inserted", "card-removed"):
                reported = datetime.fromisoformat(json.loads(line[6:])["time"])
                delays.put((arrived - reported).total_seconds() * 1000)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        daemon = Daemon(configure(Path(folder)), log)
        daemon.start()
        slot = find_slots()[0]
        bridge = subprocess.Popen(
            [Path(sys.executable).with_name("cardio"), "serve", "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert bridge.stdout is not None
        started = json.loads(bridge.stdout.readline())
        token = Path(started["token_file"]).read_text(encoding="ascii").strip()
        delays: SimpleQueue[float | None] = SimpleQueue()
        threading.Thread(target=_follow, args=(started["address"], token, delays), daemon=True).start()
        assert delays.get(timeout=20) is None
        measured = []
        for _ in range(_CARDS):
            link = VpcdLink(find_persona("adult").card(), port=slot.port)
            link.insert()
            measured.append(delays.get(timeout=10) or 0.0)
            link.remove()
            measured.append(delays.get(timeout=10) or 0.0)
        bridge.terminate()
        bridge.wait(10)
        daemon.stop()
    measured.sort()
    p50, p95 = statistics.median(measured), measured[int(len(measured) * 0.95)]
    print(
        f"{len(measured)} events   p50 {p50:.2f} ms   p95 {p95:.2f} ms   "
        f"p95 is {p95 / TARGET_MILLISECONDS:.2f} of the target   (PC/SC's own 0 to 400 ms poll comes before)"
    )
