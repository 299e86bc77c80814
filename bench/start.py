"""The start time of a command, whole process: ``cardio read`` against importing its dependencies.

They are started in turn, so that a busy machine slows all. The dependencies are pydantic, construct, pyscard's module
and the ciphers. The card is in a reader of PC/SC (pcscd and vpcd) and answers at once; a software card comes with the
simulator's modules, which a desk's reading does not load.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing import Process
from pathlib import Path

from bench.pcsc import be_the_card
from cardio.models.readers import ReaderStatus
from simulators.personas.persona import find_persona
from tests.pcsc import Daemon, configure, find_slots

_CARDIO = Path(sys.executable).with_name("cardio")
_DEPENDENCIES = "import pydantic, construct, smartcard.scard, cryptography.hazmat.primitives.ciphers"
_COMMANDS = {
    "importing the dependencies": [sys.executable, "-c", _DEPENDENCIES],
    "cardio --version": [str(_CARDIO), "--version"],
    "cardio --help": [str(_CARDIO), "--help"],
    "cardio read --json": [str(_CARDIO), "read", "--json"],
    "cardio read --reader sim:adult --json": [str(_CARDIO), "read", "--reader", "sim:adult", "--json"],
}
_ROUNDS = 15


def main() -> None:
    """Print the median of each command, and its ratio to the dependencies'. The limit for ``cardio read`` is 2."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        daemon = Daemon(configure(Path(folder)), log)
        daemon.start()
        slot = find_slots()[0]
        card = Process(target=be_the_card, args=(find_persona("adult"), slot.port, 0.0), daemon=True)
        card.start()
        slot.wait_for(ReaderStatus.CARD)
        taken = _measure()
        card.kill()
        card.join()
        daemon.stop()
    least = taken["importing the dependencies"]
    for name, seconds in taken.items():
        print(f"{name:40} {1000 * seconds:6.0f} ms   {seconds / least:4.2f} times")


def _measure() -> dict[str, float]:
    """Return the median time of each command in seconds."""
    taken: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _ in range(_ROUNDS):
        for name, command in _COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}
