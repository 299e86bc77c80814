"""Reading all of a fully personalised 2.0 card: commands and bytes against the least possible (target: 1.1), and times.

The least possible reads each file at once by SFI, 256 bytes an answer, with the right length at the first attempt.
Decoding is measured against the time that the bytes take on the wire at TA1=95 (target: below 5%).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from datetime import date
from multiprocessing import Process
from pathlib import Path

from bench.pcsc import be_the_card
from cardio.apdu.channel import Channel, Counts, TransmissionProtocol
from cardio.apdu.timing import t0_characters, t0_seconds
from cardio.card.files import file_content
from cardio.card.runner import on_card
from cardio.filesystem.capabilities import CapabilityCache, FamilyCapabilities
from cardio.filesystem.card_file_system import CardFileSystem
from cardio.models.readers import ReaderStatus
from cardio.readers.worker import Worker
from simulators.card.files import CardFile
from simulators.card.software_card import SoftwareCard
from simulators.personas.persona import Persona, find_persona
from tests.pcsc import Daemon, configure, find_slots

TARGET, DECODING_TARGET = 1.1, 0.05
_SELECT_NAME, _SELECT_FILE, _ANSWER = 15, 2, 256
_TODAY = date(2026, 11, 22)


class _InProcess:
    protocol = TransmissionProtocol.T0

    def __init__(self, card: SoftwareCard) -> None:
        self.transmit = card.transmit


def _ours(persona: Persona) -> tuple[Counts, CardFileSystem]:
    """Return the counts of the second card of a kind: the properties of its family are learned from the first card."""
    capabilities = FamilyCapabilities(learnt_on=_TODAY, issuers_on=_TODAY)
    for _ in range(2):
        channel = Channel(_InProcess(persona.card()))
        file_system = CardFileSystem(capabilities)
        channel.run(file_system.open())
        for file in file_system.layout.readable_files():
            channel.run(file_system.read(file.path, probe_optional=True))
    return channel.counts, file_system


def _least(persona: Persona) -> Counts:
    exchanges = [(_SELECT_NAME, 0)]
    for application in persona.card().applications:
        if application.id != "SSSE":
            exchanges.append((_SELECT_FILE, 0))
        for file in application.by_id.values():
            left = _size(file)
            while left > 0:
                exchanges.append((0, min(left, _ANSWER)))
                left -= _ANSWER
    return Counts(len(exchanges), sum(t0_characters(out, back) for out, back in exchanges), 0)


def _size(file: CardFile) -> int:
    return len(file.content) + sum(map(len, file.records))


def main() -> None:
    whole = find_persona("whole")
    (ours, file_system), least = _ours(whole), _least(whole)
    print(f"{'':12}{'commands':>9}{'chars':>8}{'9600 baud':>12}{'TA1=95':>10}{'refused':>9}")
    for name, counts in (("ours", ours), ("least", least)):
        slow, fast = (t0_seconds(counts.characters, ta1) for ta1 in (0x11, 0x95))
        print(f"{name:12}{counts.commands:9}{counts.characters:8}{slow:10.1f} s{fast * 1000:7.0f} ms{counts.refused:9}")
    print(
        f"ratio: commands {ours.commands / least.commands:.2f}, characters {ours.characters / least.characters:.2f} "
        f"(target {TARGET})"
    )
    times = []
    for _ in range(50):
        started = time.perf_counter()
        for reading in file_system.contents.files.values():
            file_content(file_system.layout, reading)
        times.append(time.perf_counter() - started)
    decoding, wire = statistics.median(times), t0_seconds(ours.characters, 0x95)
    print(
        f"decoding {decoding * 1000:.1f} ms of {wire * 1000:.0f} ms on the wire at TA1=95: {decoding / wire:.1%} "
        f"(target below {DECODING_TARGET:.0%})"
    )
    _over_pcsc(whole)


def _over_pcsc(persona: Persona) -> None:
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log, Worker() as worker:
        daemon = Daemon(configure(Path(folder)), log)
        daemon.start()
        slot = find_slots()[0]
        card = Process(target=be_the_card, args=(persona, slot.port, 0.0), daemon=True)
        card.start()
        slot.wait_for(ReaderStatus.CARD)
        store = CapabilityCache(Path(folder) / "manners.json")
        times = []
        for _ in range(11):
            started = time.perf_counter()
            on_card(slot.reader, lambda one: one.dump(), capabilities=store, worker=worker)
            times.append(time.perf_counter() - started)
        print(f"over pcscd and vpcd: first {times[0] * 1000:.0f} ms, then {statistics.median(times[1:]) * 1000:.0f} ms")
        card.kill()
        card.join()
        daemon.stop()
