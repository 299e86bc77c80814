"""A reading over the bridge against what an integrator would write instead: FastAPI and a loop of PC/SC calls.

The peer has one route, which connects to the card, sends the commands of a reading as they are, and answers with a
document of the same length; nothing is decoded, checked, limited or noted. Both are asked by one program in turn, over
kept connections, with real pcscd and vpcd. Targets: 1.5 for a reading of the card, 1.2 where the bridge has its
reading already.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPConnection
from multiprocessing import Process
from pathlib import Path
from urllib.parse import quote

from bench.pcsc import be_the_card
from cardio.apdu.trace import TraceLog
from cardio.card.runner import read_card
from cardio.filesystem.capabilities import CapabilityCache
from cardio.models.readers import ReaderStatus
from simulators.personas.persona import find_persona
from tests.pcsc import Daemon, Slot, configure, find_slots

FRESH_TARGET, MEMORY_TARGET = 1.5, 1.2
_TURNS = {0.0: 300, 0.005: 60}
"""How often each is asked, by the seconds that the card takes for a command."""
_PEER = """
import sys, json
import fastapi, uvicorn
from smartcard import scard as raw
reader, commands, text = json.loads(sys.argv[1])
commands = [bytes.fromhex(one) for one in commands]
app = fastapi.FastAPI()

@app.get("/card")
def card():
    _, context = raw.SCardEstablishContext(raw.SCARD_SCOPE_USER)
    _, handle, protocol = raw.SCardConnect(context, reader, raw.SCARD_SHARE_SHARED, raw.SCARD_PROTOCOL_ANY)
    pci = raw.SCARD_PCI_T1 if protocol == raw.SCARD_PROTOCOL_T1 else raw.SCARD_PCI_T0
    raw.SCardBeginTransaction(handle)
    for command in commands:
        assert raw.SCardTransmit(handle, pci, list(command))[0] == 0
    raw.SCardEndTransaction(handle, raw.SCARD_LEAVE_CARD)
    raw.SCardDisconnect(handle, raw.SCARD_LEAVE_CARD)
    raw.SCardReleaseContext(context)
    return {"text": text}

uvicorn.run(app, port=int(sys.argv[2]), log_level="critical")
"""


def _asker(port: int, path: str, headers: dict[str, str]) -> Callable[[], bytes]:
    line = HTTPConnection("127.0.0.1", port, timeout=30)

    def ask() -> bytes:
        line.request("GET", path, headers=headers)
        answer = line.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return body

    return ask


def _measure(slot: Slot, folder: Path, turns: int) -> dict[str, float]:
    """Return the median time of each way in ms."""
    store, trace = CapabilityCache(folder / "manners.json"), TraceLog()
    read_card(slot.reader, capabilities=store)
    reading = read_card(slot.reader, capabilities=store, trace=trace)
    commands = [exchange.command.hex() for exchange in trace.exchanges]
    peer_port = 18_080
    arguments = json.dumps([slot.reader.name, commands, "x" * len(reading.model_dump_json())])
    environment = os.environ | {
        "XDG_CONFIG_HOME": str(folder / "config"), "XDG_CACHE_HOME": str(folder / "cache"),
        "CARDIO_BRIDGE_LIMITS__REQUESTS_PER_SECOND": "100000", "CARDIO_BRIDGE_LIMITS__BURST": "100000",
    }  # fmt: skip
    cardio = str(Path(sys.executable).with_name("cardio"))
    with (
        subprocess.Popen([sys.executable, "-c", _PEER, arguments, str(peer_port)]) as peer,
        subprocess.Popen(
            [cardio, "serve", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True, env=environment
        ) as bridge,
    ):
        assert bridge.stdout is not None
        started = json.loads(bridge.stdout.readline())
        token = Path(started["token_file"]).read_text(encoding="ascii").strip()
        port, card = int(started["address"].rpartition(":")[2]), f"/v1/readers/{quote(slot.reader.name)}/card"
        owner = {"Authorization": f"Bearer {token}"}
        time.sleep(2)
        ways = {
            "peer": _asker(peer_port, "/card", {}),
            "fresh": _asker(port, f"{card}?fresh=true", owner),
            "memory": _asker(port, card, owner),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(turns + 20):
            for name, ask in ways.items():
                before = time.perf_counter()
                ask()
                if turn >= 20:
                    taken[name].append((time.perf_counter() - before) * 1000)
        peer.terminate()
        bridge.terminate()
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    """Print the medians, and their ratios to the peer's."""
    adult = find_persona("adult")
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        daemon = Daemon(configure(Path(folder)), log)
        daemon.start()
        slot = find_slots()[0]
        for seconds, turns in _TURNS.items():
            card = Process(target=be_the_card, args=(adult, slot.port, seconds), daemon=True)
            card.start()
            slot.wait_for(ReaderStatus.CARD)
            found = _measure(slot, Path(folder), turns)
            print(
                f"card of {seconds * 1000:.0f} ms   peer {found['peer']:6.2f} ms   "
                f"fresh {found['fresh']:6.2f} ms, {found['fresh'] / found['peer']:.2f} times (target {FRESH_TARGET})   "
                f"from memory {found['memory']:6.2f} ms, {found['memory'] / found['peer']:.2f} times "
                f"(target {MEMORY_TARGET})"
            )
            card.kill()
            card.join()
            slot.wait_for(ReaderStatus.EMPTY)
        daemon.stop()
