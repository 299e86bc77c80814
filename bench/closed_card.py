"""A basic reading of a closed third-generation card by each kind of SAM, against the same card left open.

Commands and bytes are exact. Times are medians over pcscd and vpcd, with the PSAM card in the second slot, and the HSM
over HTTP on this machine. Cards and HSM answer without delay here, so the result is our own cost and that of the
connections.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing import Process
from pathlib import Path

from cardio.apdu.trace import TraceLog
from cardio.card.runner import read_card
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.models.readers import ReaderStatus
from cardio.models.reading import CardReading
from cardio.readers.worker import Worker
from cardio.security.credentials import Credentials
from cardio.security.sam.base import Sam, SamSource
from cardio.security.sam.hsm import HsmClient
from cardio.security.sam.hsm_http import HttpHsmTransport
from cardio.security.sam.key_file import KeyFile, SoftSam
from cardio.security.sam.psam import PsamCard, PsamSettings
from simulators.card.quirks import CardQuirks
from simulators.crypto.published_keys import key_file
from simulators.personas.persona import Persona, find_persona
from simulators.readers.vpcd import VpcdLink
from simulators.sam.hsm import SoftwareHsm
from simulators.sam.psam import SoftwarePsam
from tests.pcsc import Daemon, Slot, configure, find_slots

_READINGS = 100


class _Source:
    """A SAM that is opened again for each reading, as the bridge does."""

    def __init__(self, make: Callable[[TraceLog], Sam]) -> None:
        self._make = make
        self.trace = TraceLog()

    def open(self) -> Sam:
        return self._make(self.trace)


def _be_the_card(persona: Persona | None, port: int) -> None:
    card = SoftwarePsam(algorithms=("3DES", "SM4")) if persona is None else persona.card()
    with VpcdLink(card, port=port) as link:
        link.wait()


def _soft() -> Sam:
    import tomllib

    return SoftSam(KeyFile.model_validate(tomllib.loads(key_file(layout_of(3).keys))))


def main() -> None:
    closed = find_persona("third-closed")
    free = closed.model_copy(update={"quirks": CardQuirks(open_files=frozenset({"SSSE/EF06"}))})
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log, SoftwareHsm() as hsm:
        daemon = Daemon(configure(Path(folder)), log)
        daemon.start()
        slot, second = find_slots()[:2]
        psam = Process(target=_be_the_card, args=(None, second.port), daemon=True)
        psam.start()
        second.wait_for(ReaderStatus.CARD)
        client = HsmClient(HttpHsmTransport(hsm.url))
        soft = _soft()
        ways: dict[str, tuple[Persona, _Source | None]] = {
            "free": (free, None),
            "soft SAM": (closed, _Source(lambda trace: soft)),
            "PSAM over vpcd": (
                closed,
                _Source(lambda trace: PsamCard.connect(second.reader, PsamSettings(levels=3), trace=trace)),
            ),
            "HSM over HTTP": (closed, _Source(lambda trace: client)),
        }
        baseline = 0.0
        for name, (persona, source) in ways.items():
            card = Process(target=_be_the_card, args=(persona, slot.port), daemon=True)
            card.start()
            slot.wait_for(ReaderStatus.CARD)
            baseline = _measure(name, slot, source, Path(folder), baseline) or baseline
            card.kill()
            card.join()
            slot.wait_for(ReaderStatus.EMPTY)
        psam.kill()
        daemon.stop()


def _measure(name: str, slot: Slot, source: _Source | None, folder: Path, baseline: float) -> float:
    store = CapabilityCache(folder / f"{name}.json")
    sam: SamSource | None = source
    credentials = None if source is None else Credentials(sam=sam, laboratory=True)
    trace = TraceLog()

    def read(trace: TraceLog | None = None) -> CardReading:
        return read_card(
            slot.reader, supplement=False, capabilities=store, credentials=credentials, worker=worker, trace=trace
        )

    with Worker() as worker:
        reading = read()
        assert reading.holder is not None
        if source is not None:
            source.trace.exchanges.clear()
        read(trace)
        beside = [] if source is None else list(source.trace.exchanges)
        times = []
        for _ in range(_READINGS):
            started = time.perf_counter()
            read()
            times.append((time.perf_counter() - started) * 1000)
    median = statistics.median(times)
    sent = sum(len(one.command) + len(one.response) for one in trace.exchanges)
    psam_bytes = sum(len(one.command) + len(one.response) for one in beside)
    ratio = "" if not baseline else f"   {median / baseline:.2f} of the free reading, + {median - baseline:.2f} ms"
    print(
        f"{name:16} card {len(trace.exchanges):2} commands {sent:4} bytes   PSAM {len(beside):2} commands "
        f"{psam_bytes:4} bytes   p50 {median:6.2f} ms{ratio}"
    )
    return 0.0 if baseline else median
