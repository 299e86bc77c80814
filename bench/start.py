"""The start time of a command, whole process: ``cardio read`` against importing its dependencies.

The two are started in turn, so that a busy machine slows both. The dependencies are pydantic, construct, pyscard's
module and the ciphers: an answer needs all of them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

_CARDIO = Path(sys.executable).with_name("cardio")
_DEPENDENCIES = "import pydantic, construct, smartcard.scard, cryptography.hazmat.primitives.ciphers"
_COMMANDS = {
    "importing the dependencies": [sys.executable, "-c", _DEPENDENCIES],
    "cardio --version": [str(_CARDIO), "--version"],
    "cardio --help": [str(_CARDIO), "--help"],
    "cardio read --reader sim:adult --json": [str(_CARDIO), "read", "--reader", "sim:adult", "--json"],
}
_ROUNDS = 15


def main() -> None:
    """Print the median of each command, and its ratio to the dependencies'. The limit for ``cardio read`` is 2."""
    taken: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _ in range(_ROUNDS):
        for name, command in _COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            taken[name].append(time.perf_counter() - started)
    least = statistics.median(taken["importing the dependencies"])
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"{name:40} {1000 * median:6.0f} ms   {median / least:4.2f} times")
