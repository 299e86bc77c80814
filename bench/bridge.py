"""The bridge: the time that it adds to a reading, eight readers at once, stopping, idling, and memory.

`GET …/card` is measured against the same reading by the library, in turn in one run, over pcscd and vpcd (target: 3 ms
more at p50). It is called by Python's own http.client, which adds little time of its own, and also by httpx, as the
bridge's client for programs does. Other measurements: eight readers at once against one; SIGTERM with open streams and
sockets (target: 2 s); the service's share of a core while four readers are watched and no caller asks (target: 1 %);
the growth of memory over 10,000 readings.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from multiprocessing import Process
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from websockets.sync.client import connect

from bench.pcsc import be_the_card
from cardio.card.runner import read_card
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.registry import LayoutChoice
from cardio.models.readers import ReaderStatus
from cardio.readers.worker import Worker
from simulators.card.base import AnyCard
from simulators.card.faults import FaultyCard
from simulators.personas.persona import find_persona
from tests.pcsc import Daemon, Slot, configure, find_slots
from tests.unit.service.bridge import Bridge

ADDED_MILLISECONDS, STOP_SECONDS, IDLE_SHARE = 3.0, 2.0, 0.01
_TURNS, _READS, _IDLE_SECONDS = 200, 10_000, 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


class _Served:
    """The process of `cardio serve`."""

    def __init__(self, folder: Path, *more: str) -> None:
        environment = os.environ | {
            "XDG_CONFIG_HOME": str(folder / "config"), "XDG_CACHE_HOME": str(folder / "cache"),
            "CARDIO_BRIDGE_LIMITS__REQUESTS_PER_SECOND": "100000", "CARDIO_BRIDGE_LIMITS__BURST": "100000",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("cardio"), "serve", "--port", "0", "--json", *more],
            stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert self.process.stdout is not None
        started = json.loads(self.process.stdout.readline())
        self.address: str = started["address"]
        self.token = Path(started["token_file"]).read_text(encoding="ascii").strip()
        self._headers = {"Authorization": f"Bearer {self.token}"}
        self.client = httpx.Client(base_url=self.address, headers=self._headers, timeout=30, trust_env=False)
        self._plain = HTTPConnection("127.0.0.1", int(self.address.rpartition(":")[2]), timeout=30)

    def read(self, reader: str) -> None:
        answer = self.client.get(f"/v1/readers/{quote(reader)}/card?fresh=true")
        assert answer.status_code == 200, answer.text

    def read_plainly(self, reader: str) -> None:
        """Read as `read`, with less of the client's own time."""
        self._plain.request("GET", f"/v1/readers/{quote(reader)}/card?fresh=true", headers=self._headers)
        answer = self._plain.getresponse()
        body = answer.read()
        assert answer.status == 200, body

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def stop(self) -> float:
        """Stop the process; return the seconds from SIGTERM to the end."""
        self.client.close()
        self._plain.close()
        started = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        return time.perf_counter() - started


def _cpu_seconds(process: subprocess.Popen[Any]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _idle(served: _Served) -> None:
    """Measure the idle bridge beside a bare uvicorn, because on some machines waking up costs more than the work."""
    bare = "import uvicorn; uvicorn.run(lambda *_: None, port=0, log_level='critical', lifespan='off')"
    with subprocess.Popen([sys.executable, "-c", bare]) as peer:
        time.sleep(3)
        both: list[subprocess.Popen[Any]] = [served.process, peer]
        before, started = [_cpu_seconds(one) for one in both], time.perf_counter()
        time.sleep(_IDLE_SECONDS)
        took = time.perf_counter() - started
        share, its = ((_cpu_seconds(one) - at) / took for one, at in zip(both, before, strict=True))
        peer.kill()
    print(
        f"idle with 4 readers over 60 s: {share:.3%} of a core, {share / IDLE_SHARE:.2f} of the limit; "
        f"a bare uvicorn {its:.3%}, ratio {share / its:.2f}"
    )


@contextmanager
def _cards(slots: list[Slot], seconds: float) -> Iterator[None]:
    persona = find_persona("adult")
    cards = [Process(target=be_the_card, args=(persona, slot.port, seconds), daemon=True) for slot in slots]
    for card in cards:
        card.start()
    for slot in slots:
        slot.wait_for(ReaderStatus.CARD)
    try:
        yield
    finally:
        for card in cards:
            card.kill()
            card.join()
        for slot in slots:
            slot.wait_for(ReaderStatus.EMPTY)


def _added(served: _Served, slot: Slot, folder: Path, seconds: float, turns: int) -> None:
    store, layouts = CapabilityCache(folder / "manners.json"), LayoutChoice.installed()
    name = slot.reader.name
    with Worker() as worker:
        ways: dict[str, Callable[[], object]] = {
            "library": lambda: read_card(slot.reader, capabilities=store, layouts=layouts, worker=worker),
            "http.client": lambda: served.read_plainly(name),
            "httpx": lambda: served.read(name),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(turns + 5):
            for way, read in ways.items():
                started = time.perf_counter()
                read()
                if number >= 5:  # by then the card's family is known
                    times[way].append((time.perf_counter() - started) * 1000)
    library = statistics.median(times["library"])
    print(f"card of {seconds * 1000:.0f} ms   library p50 {library:6.2f} ms")
    for way in ("http.client", "httpx"):
        took = statistics.median(times[way])
        added = statistics.median(ours - its for ours, its in zip(times[way], times["library"], strict=True))
        print(
            f"    by {way:<11} p50 {took:6.2f} ms   ratio {took / library:.2f}   "
            f"added p50 {added:.2f} ms, {added / ADDED_MILLISECONDS:.2f} of the target"
        )


def _eight_at_once() -> None:
    """Measure software cards that take 5 ms a command, in one process with the bridge.

    Their threads share the bridge's interpreter.
    """

    def take_time(card: AnyCard, command: bytes) -> bytes:
        time.sleep(0.005)
        return card.transmit(command)

    bridge = Bridge(*["adult"] * 8)
    names = [reader.name for reader in bridge.readers.readers()]
    for name in names:
        reader = bridge.readers.reader(name)
        assert reader is not None
        reader.insert(FaultyCard(find_persona("adult").card(), take_time))

    def read(name: str, times: int) -> None:
        with httpx.Client(base_url=bridge.address, headers=bridge.client.headers, timeout=30) as client:
            for _ in range(times):
                assert client.get(f"/v1/readers/{name}/card").status_code == 200

    read(names[0], 5)
    started = time.perf_counter()
    read(names[0], 20)
    one = time.perf_counter() - started
    threads = [threading.Thread(target=read, args=(name, 20)) for name in names]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eight = time.perf_counter() - started
    bridge.stop()
    print(f"20 readings at one reader {one:.2f} s   at eight readers at once {eight:.2f} s   ratio {eight / one:.2f}")


def _stopping(folder: Path) -> None:
    served = _Served(folder, "--no-pcsc", "--simulate", "adult")
    headers = {"Authorization": f"Bearer {served.token}"}
    place = served.address.replace("http", "ws") + "/v1/ws"
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connect(place, additional_headers=headers, proxy=None)).recv(5)
        for _ in range(3):
            stream = stack.enter_context(served.client.stream("GET", "/v1/events"))
            next(stream.iter_lines())
        took = _terminated(served)
    print(f"SIGTERM with 3 sockets and 3 streams open: {took:.2f} s, {took / STOP_SECONDS:.2f} of the limit")


def _terminated(served: _Served) -> float:
    started = time.perf_counter()
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(20)
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as name, (Path(name) / "log").open("wb") as log:
        folder = Path(name)
        daemon = Daemon(configure(folder), log)
        daemon.start()
        slots = find_slots()
        served = _Served(folder)
        for seconds, turns in ((0.0, _TURNS), (0.005, _TURNS // 4)):
            with _cards(slots[:1], seconds):
                _added(served, slots[0], folder, seconds, turns)
        with _cards(slots, 0.0):
            for slot in slots:
                served.read(slot.reader.name)
            _idle(served)
            start = served.resident_mib()
            for number in range(_READS):
                served.read(slots[0].reader.name)
                if number == _READS // 10:
                    settled = served.resident_mib()
            end = served.resident_mib()
            print(
                f"memory: {start:.1f} MiB, after 1,000 readings {settled:.1f}, after 10,000 {end:.1f}   "
                f"ratio of the last two {end / settled:.3f}"
            )
        served.stop()
        daemon.stop()
        _eight_at_once()
        _stopping(folder)
