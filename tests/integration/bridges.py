"""The bridge over real PC/SC for the tests: in this process, or as `cardio serve` in one of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from cardio.filesystem.capabilities import CapabilityCache
from cardio.models.readers import ReaderStatus
from cardio.readers.base import ReaderSource
from cardio.readers.pcsc import PcscSource
from service.app import SiteOptions, create_app
from service.gate.policy import Access
from service.gate.rate_limits import Rate
from service.gate.scopes import Scope
from service.ports.binding import bind_loopback
from service.server import BridgeServer
from simulators.card.base import AnyCard
from tests.pcsc import DRIVER, PORTS, wait_until

FIRST_PORT, SECOND_PORT = PORTS
CARDIO = Path(sys.executable).with_name("cardio")
TOKEN = "T" * 43
NAME = "测试甲"
"""Of the persona `adult`."""
RECOVERY_SECONDS = 10.0
_PATIENCE = 30.0
_UNLIMITED = {
    "CARDIO_BRIDGE_LIMITS__REQUESTS_PER_SECOND": "10000",
    "CARDIO_BRIDGE_LIMITS__BURST": "10000",
    "CARDIO_BRIDGE_READERS__MEMORY_SECONDS": "0",
}
"""Tests look more often than people do, and each reading is one of the card."""
_PAD = Path(__file__).parents[1] / "pinpad" / "ifdshim.c"
_QUICK = """
#include <stdlib.h>
#include <unistd.h>
#define getenv(name) BEHIND
#define IFDHGetCapabilities capabilities_behind
#include SHIM
#undef IFDHGetCapabilities
static RESPONSECODE look_soon(DWORD slot, int timeout) { (void)slot; (void)timeout; usleep(20000); return IFD_SUCCESS; }
RESPONSECODE IFDHGetCapabilities(DWORD slot, DWORD tag, PDWORD length, PUCHAR value)
{
    void *function = (void *)look_soon;
    if (tag != TAG_IFD_POLLING_THREAD_WITH_TIMEOUT)
        return capabilities_behind(slot, tag, length, value);
    memcpy(value, &function, *length = sizeof function);
    return IFD_SUCCESS;
}
"""
"""vpcd has its cards looked for every 400 ms; readers with an interrupt line tell them at once, as this driver does."""


def quicken(configuration: Path) -> None:
    """Puts a driver before vpcd's, in a configuration that `configure` made, by which cards are seen within 20 ms."""
    folder = configuration.parent
    source = folder / "quick.c"
    source.write_text(_QUICK)
    for letter in "AB":
        library, behind = folder / f"libifdvpcd-{letter}.so", folder / f"behind-{letter}.so"
        shutil.move(library, behind)
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-O2", "-I/usr/include/PCSC", f'-DBEHIND="{behind}"', f'-DSHIM="{_PAD}"',
             source, "-o", library, "-ldl"],
            check=True,
        )  # fmt: skip


def configure_named(folder: Path, readers: Sequence[tuple[str | bytes, int]]) -> Path:
    """A configuration for pcscd with readers of these names and ports, in this order. A name may be bytes."""
    configuration = folder / "reader.conf.d"
    configuration.mkdir(parents=True)
    for number, (name, port) in enumerate(readers):
        library = folder / f"libifdvpcd-{number}.so"
        shutil.copy(DRIVER.resolve(), library)
        rest = f"DEVICENAME /dev/null:{port:#06X}\nLIBPATH {library}\nCHANNELID {port:#06X}\n"
        raw = name if isinstance(name, bytes) else name.encode()
        (configuration / f"{number}").write_bytes(b'FRIENDLYNAME "' + raw + b'"\n' + rest.encode())
    return configuration


def refused(answer: httpx.Response, status: int, code: str, *hresults: str | None) -> dict[str, Any]:
    """An answer that says no: with this status and code, with words for the clerk, with one of these PC/SC numbers."""
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert re.search("[\u4e00-\u9fff]", problem["remedy"]) and problem["remedy_en"] and problem["detail"]
    assert not hresults or problem["hresult"] in hresults, problem
    return problem


class Asker:
    """What tests ask a bridge."""

    client: httpx.Client

    def card(self, reader: str, session: str | None = None) -> httpx.Response:
        """The plain reading of a card; with a session, of that card only."""
        headers = {} if session is None else {"Cardio-Card-Session": session}
        return self.client.get(f"/v1/readers/{quote(reader, safe='')}/card", headers=headers)

    def driver(self, function: str, session: str | None = None, **arguments: Any) -> httpx.Response:
        headers = {} if session is None else {"Cardio-Card-Session": session}
        return self.client.post(f"/v1/driver/{function}", json=arguments, headers=headers)

    def info(self, reader: str) -> dict[str, Any] | None:
        listed: list[dict[str, Any]] = self.client.get("/v1/readers").json()["readers"]
        return next((one for one in listed if one["name"] == reader), None)

    def status(self, reader: str) -> str | None:
        info = self.info(reader)
        return None if info is None else info["status"]

    def wait_for(self, reader: str, status: ReaderStatus) -> None:
        wait_until(lambda: self.status(reader) == status, f"the bridge sees that {reader} is {status}")

    def is_ready(self) -> bool:
        return self.client.get("/readyz").status_code == 200

    def reads(self, reader: str, name: str = NAME) -> None:
        """A plain reading succeeds within ten seconds from now, and without a new start."""
        started = time.monotonic()
        answers: list[httpx.Response] = []

        def succeeds() -> bool:
            answers[:] = [self.card(reader)]
            return answers[0].status_code == 200

        wait_until(succeeds, f"{reader} reads again", RECOVERY_SECONDS)
        took = time.monotonic() - started
        assert took < RECOVERY_SECONDS, f"{reader} reads again after {took:.1f} s"
        assert answers[0].json()["holder"]["name"] == name

    def answers(self) -> bool:
        try:
            return self.client.get("/livez").status_code == 200
        except httpx.TransportError:
            return False


class BridgeHere(Asker):
    """The bridge in this process, on a socket of its own: its calls of PC/SC can be watched and spoiled."""

    def __init__(self, source: ReaderSource | None = None) -> None:
        sockets = bind_loopback(0)
        port = sockets[0].getsockname()[1]
        access = Access.for_port(port, TOKEN, scopes=frozenset(Scope), rate=Rate(10_000, 10_000))
        self.app = create_app(
            [source or PcscSource()], capabilities=CapabilityCache(None), site_options=SiteOptions(memory_seconds=0)
        )
        self._server = BridgeServer(self.app, access)
        self._thread = threading.Thread(target=lambda: self._server.run(sockets=sockets), daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, "the bridge has started")
        self.client = client_for(f"http://127.0.0.1:{port}", TOKEN)

    def stop(self) -> None:
        self.client.close()
        self._server.stop()
        self._thread.join(5)
        assert not self._thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class BridgeProcess(Asker):
    """`cardio serve`, as it is started at a counter."""

    def __init__(self, process: subprocess.Popen[str], started: Mapping[str, Any], log: Path) -> None:
        self.process = process
        self.log = log
        self.address: str = started["address"]
        self.token: str = Path(started["token_file"]).read_text(encoding="ascii").strip()
        self.dialects: dict[str, int] = started["dialects"]
        self.client = client_for(self.address, self.token)
        wait_until(self.answers, "the bridge answers")

    @property
    def written(self) -> str:
        """What it has written to standard error."""
        return self.log.read_text(encoding="utf-8")

    @property
    def has_crashed(self) -> bool:
        """True if it has ended and no test has waited for that."""
        return self.process.returncode is None and self.process.poll() is not None

    @property
    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    @property
    def handles(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def client_for(address: str, token: str | None) -> httpx.Client:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=address, headers=headers, timeout=_PATIENCE, trust_env=False)


def start(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    port: int = 0,
    program: Sequence[str] = (str(CARDIO),),
) -> tuple[subprocess.Popen[str], Path]:
    """Starts `cardio serve` with settings, token and cache in a folder; gives its process and where its log goes.

    Args: ``program`` stands in for the command, with a bridge that does not live as others do.
    """
    log = folder / "stderr"
    homes = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CONFIG", "CACHE")}
    command = [*program, "serve", "--port", str(port), "--json", *arguments]
    surroundings = os.environ | homes | _UNLIMITED | dict(environment or {})
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True, env=surroundings)
    return process, log


@contextmanager
def served(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = (str(CARDIO),),
) -> Iterator[BridgeProcess]:
    """`cardio serve` on a free port, until the end of the block."""
    process, log = start(folder, *arguments, environment=environment, program=program)
    try:
        assert process.stdout is not None
        bridge = BridgeProcess(process, json.loads(process.stdout.readline()), log)
        try:
            yield bridge
        finally:
            bridge.client.close()
            assert not bridge.has_crashed, f"the bridge ended by itself with {process.returncode}:\n{bridge.written}"
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


class Events:
    """The events of a bridge, followed on a thread of its own over a WebSocket."""

    def __init__(self, address: str, token: str) -> None:
        self._opening = connect(
            address.replace("http:", "ws:") + "/v1/ws",
            additional_headers={"Authorization": f"Bearer {token}"}, proxy=None, open_timeout=5, close_timeout=2,
        )  # fmt: skip
        self._counts: dict[tuple[str, str | None], int] = {}
        self._heard = threading.Condition()
        self._socket = self._opening.__enter__()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                event = json.loads(self._socket.recv())
                key = event["type"].removeprefix("cardio."), event.get("subject")
                with self._heard:
                    self._counts[key] = self._counts.get(key, 0) + 1
                    self._heard.notify_all()

    def count(self, kind: str, reader: str | None) -> int:
        """How many there were of this kind at this reader."""
        return self._counts.get((kind, reader), 0)

    def wait_for(self, kind: str, reader: str | None, count: int) -> None:
        """Until there have been so many of this kind at this reader."""
        with self._heard:
            came = self._heard.wait_for(lambda: self.count(kind, reader) >= count, RECOVERY_SECONDS)
        assert came, f"{self.count(kind, reader)} of {count} times {kind} at {reader}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._thread.join(5)
        assert not self._thread.is_alive()


class InCommand:
    """A fault: the card does not answer until it is told to, and says that it was asked."""

    def __init__(self) -> None:
        self.asked, self.told = threading.Event(), threading.Event()

    def __call__(self, card: AnyCard, command: bytes) -> bytes:
        self.asked.set()
        self.told.wait()
        return card.transmit(command)


def in_parallel(*work: Callable[[], Any]) -> list[Any]:
    """Does all of it at once; raises what the first of them raised."""
    results: list[Any] = [None] * len(work)
    raised: list[BaseException] = []

    def run(number: int) -> None:
        try:
            results[number] = work[number]()
        except BaseException as error:  # it is raised below, on the thread that waits
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
    return results
