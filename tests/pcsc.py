"""Real pcscd with vpcd readers: for the integration tests and the measurements.

Four slots: two drivers with two slots each. Each driver needs its own copy of the library, which keeps one
table of slots per copy.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from cardio.errors import CardioError
from cardio.models.readers import ReaderStatus
from cardio.readers import scard
from cardio.readers.pcsc import PcscReader, PcscSource
from simulators.card.base import AnyCard
from simulators.readers.vpcd import VpcdLink

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
RUN = Path("/run/pcscd")
PORTS = (35963, 35973)
PAD_PORT = 35983


def wait_until(
    condition: Callable[[], bool], what: str, seconds: float = 10.0, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Waits for a condition, never for a fixed time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        sleep(0.005)


@dataclass(slots=True)
class Daemon:
    """The pcscd of these tests."""

    configuration: Path
    log: IO[bytes]
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    """What the drivers are told beside the configuration."""

    def start(self, *, readers: int = 2 * len(PORTS)) -> None:
        assert self.process is None
        self.process = subprocess.Popen(
            ["pcscd", "--foreground", "--info", "-c", str(self.configuration)],
            stdout=self.log,
            stderr=self.log,
            env={**os.environ, **self.environment},
        )
        wait_until(lambda: self._has_readers(readers), "pcscd has its virtual readers")

    @staticmethod
    def _has_readers(count: int) -> bool:
        try:
            return len(PcscSource().readers()) == count
        except CardioError:
            return False

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None


@dataclass(slots=True)
class Slot:
    """One slot of a virtual reader."""

    reader: PcscReader
    port: int
    link: VpcdLink | None = None

    def insert(self, card: AnyCard, expect: ReaderStatus = ReaderStatus.CARD) -> None:
        self.link = VpcdLink(card, port=self.port)
        self.link.insert()
        self.wait_for(expect)

    def pull(self) -> None:
        """Takes the card out without waiting for PC/SC to notice."""
        if self.link is not None:
            self.link.remove()
            self.link = None

    def remove(self) -> None:
        self.pull()
        self.wait_for(ReaderStatus.EMPTY)

    def settle(self) -> None:
        """Uses the card once, so that pcscd keeps it powered for a while.

        A card that no program uses is powered down 400 ms after it came, and in that moment vpcd hides a swap from
        pcscd: it takes the next card in while it lets the last one go.
        """
        self.reader.connect().close()

    def wait_until_let_go(self) -> None:
        """Waits until pcscd has done with a program that was killed.

        It resets that program's card, and a card that is pulled in this very moment leaves the reader's state wrong
        until the next one comes (pcsc-lite 1.9.9, SCardDisconnect).
        """
        wait_until(lambda: not self._in_use(), f"no program holds {self.reader.name}")

    def _in_use(self) -> bool:
        context = scard.Context()
        try:
            states = context.status_change(0, [(self.reader.name, scard.STATE_UNAWARE)])
        finally:
            context.release()
        return any(state.flags & scard.STATE_IN_USE for state in states or ())

    def wait_for(self, status: ReaderStatus) -> None:
        wait_until(lambda: self.reader.info().status is status, f"{self.reader.name} is {status}")


def configure(folder: Path) -> Path:
    """A configuration for pcscd with our readers only."""
    configuration = folder / "reader.conf.d"
    configuration.mkdir()
    for letter, port in zip("AB", PORTS, strict=True):
        library = folder / f"libifdvpcd-{letter}.so"
        shutil.copy(DRIVER.resolve(), library)
        (configuration / f"vpcd-{letter}").write_text(
            f'FRIENDLYNAME "Counter {letter}"\nDEVICENAME /dev/null:{port:#06X}\n'
            f"LIBPATH {library}\nCHANNELID {port:#06X}\n"
        )
    return configuration


def configure_pad(folder: Path, library: Path) -> tuple[Path, dict[str, str]]:
    """A configuration with one reader that has a PIN pad, and what its driver is told: whom to pass commands to."""
    configuration = folder / "reader.conf.d"
    configuration.mkdir()
    behind = folder / "libifdvpcd-pad.so"
    shutil.copy(DRIVER.resolve(), behind)
    (configuration / "pad").write_text(
        f'FRIENDLYNAME "Counter P"\nDEVICENAME /dev/null:{PAD_PORT:#06X}\n'
        f"LIBPATH {library}\nCHANNELID {PAD_PORT:#06X}\n"
    )
    return configuration, {"VPCD_LIB": str(behind)}


def find_slots() -> list[Slot]:
    """All slots, found by name: their order is not that of the files."""
    names = [reader.name for reader in PcscSource().readers()]
    found = []
    for letter, port in zip("AB", PORTS, strict=True):
        of_driver = sorted(name for name in names if f"Counter {letter}" in name)
        found += [Slot(PcscReader(name), port + offset) for offset, name in enumerate(of_driver)]
    return found


def open_handles() -> int:
    return len(os.listdir("/proc/self/fd"))
