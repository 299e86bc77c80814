"""Our reading over pcscd and vpcd against a bare loop of C calls that sends the same commands (target: 1.15).

Ours includes parts that the loop leaves out: memory of the card's family, decoding, the typed answer, a thread that can
be abandoned. Thread, memory and layouts are kept from reading to reading, as the bridge does. With a card that answers
at once these parts are most of the time; with a card that takes 5 ms a command, as real cards do, they are not.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from itertools import product
from multiprocessing import Process
from pathlib import Path

from smartcard import scard as raw

from cardio.apdu.trace import TraceLog
from cardio.card.runner import read_card
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.registry import LayoutChoice
from cardio.models.readers import ReaderStatus
from cardio.readers.worker import Worker
from simulators.card.base import AnyCard
from simulators.card.faults import FaultyCard
from simulators.personas.persona import Persona, find_persona
from simulators.readers.vpcd import VpcdLink
from tests.pcsc import Daemon, Slot, configure, find_slots

TARGET = 1.15
_PAIRS = {0.0: 300, 0.005: 40}
"""The number of measurements, by the seconds that the card takes for a command."""


def _bare(reader: str, commands: list[bytes]) -> None:
    """Do what any program must do: context, connection, transaction, the commands, and back."""
    _, context = raw.SCardEstablishContext(raw.SCARD_SCOPE_USER)
    _, card, protocol = raw.SCardConnect(context, reader, raw.SCARD_SHARE_SHARED, raw.SCARD_PROTOCOL_ANY)
    pci = raw.SCARD_PCI_T1 if protocol == raw.SCARD_PROTOCOL_T1 else raw.SCARD_PCI_T0
    raw.SCardBeginTransaction(card)
    raw.SCardStatus(card)
    for command in commands:
        result, _ = raw.SCardTransmit(card, pci, list(command))
        assert result == 0
    raw.SCardEndTransaction(card, raw.SCARD_LEAVE_CARD)
    raw.SCardDisconnect(card, raw.SCARD_LEAVE_CARD)
    raw.SCardReleaseContext(context)


def _measure(slot: Slot, store: CapabilityCache, pairs: int) -> tuple[float, float, float, int]:
    """Return the medians of ours and of the bare loop in ms, the median of the ratios, and the number of commands.

    The ratios are computed pair by pair.
    """
    read_card(slot.reader, capabilities=store)
    trace = TraceLog()
    read_card(slot.reader, capabilities=store, trace=trace)
    commands = [exchange.command for exchange in trace.exchanges]
    ours, bare, ratios = [], [], []
    layouts = LayoutChoice.installed()
    with Worker() as worker:
        for _ in range(pairs):
            started = time.perf_counter()
            _bare(slot.reader.name, commands)
            middle = time.perf_counter()
            read_card(slot.reader, capabilities=store, layouts=layouts, worker=worker)
            ended = time.perf_counter()
            bare.append((middle - started) * 1000)
            ours.append((ended - middle) * 1000)
            ratios.append((ended - middle) / (middle - started))
    return statistics.median(ours), statistics.median(bare), statistics.median(ratios), len(commands)


def be_the_card(persona: Persona, port: int, seconds: float) -> None:
    """Run the card in a process of its own: a card does not share its reader's interpreter."""

    def take_time(card: AnyCard, command: bytes) -> bytes:
        time.sleep(seconds)
        return card.transmit(command)

    card = FaultyCard(persona.card(), take_time) if seconds else persona.card()
    with VpcdLink(card, port=port) as link:
        link.wait()


def main() -> None:
    adult = find_persona("adult")
    by_number = adult.quirks.model_copy(update={"record_modes": frozenset({0, 4})})
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        daemon = Daemon(configure(Path(folder)), log)
        daemon.start()
        slot = find_slots()[0]
        kinds = (("all at once", adult), ("by SFI", adult.model_copy(update={"quirks": by_number})))
        for (seconds, pairs), (name, persona) in product(_PAIRS.items(), kinds):
            card = Process(target=be_the_card, args=(persona, slot.port, seconds), daemon=True)
            card.start()
            slot.wait_for(ReaderStatus.CARD)
            store = CapabilityCache(Path(folder) / f"{name}.json")
            ours, bare, ratio, commands = _measure(slot, store, pairs)
            print(
                f"card of {seconds * 1000:.0f} ms   {name:12} {commands:3} commands   ours {ours:6.2f} ms   "
                f"bare {bare:6.2f} ms   ratio {ratio:.2f} (target {TARGET})"
            )
            card.kill()
            card.join()
            slot.wait_for(ReaderStatus.EMPTY)
        daemon.stop()
