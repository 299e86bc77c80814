"""The audit log: an entry against a bare SQLite row in the same mode, verifying against hashing alone, and listing.

The memory that `cardio audit` takes for a long list against a short one has a target: 1.2 times.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from service.audit.log import AuditLog, now
from service.audit.schema import AuditEntry

_ENTRIES = 2_000
_LISTED = int(os.environ.get("CARDIO_BENCH_ROWS", "100000"))
_ENTRY = AuditEntry(
    time=now(), origin="https://his.example", grant="0123456789ab", action="GET /v1/readers/{reader}/card",
    reader="ACS ACR39U ICC Reader 00 00", card_session="0123456789abcdef", card="0123456789abcdef",
    request_id="0123456789abcdef0123456789abcdef",
)  # fmt: skip


def _microseconds(one: Callable[[], object]) -> float:
    times = []
    for _ in range(_ENTRIES):
        started = time.perf_counter()
        one()
        times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times)


def _peak_of_list(path: Path, last: int) -> int:
    """Kilobytes that `cardio audit` takes at most."""
    command = [
        str(Path(sys.executable).with_name("cardio")),
        "audit",
        "--file",
        str(path),
        "--last",
        str(last),
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
        bare.executescript("PRAGMA journal_mode = wal; PRAGMA synchronous = 1; CREATE TABLE row (text TEXT);")
        row = _microseconds(lambda: bare.execute("INSERT INTO row VALUES (?)", (str(_ENTRY),)))
        bare.close()
        log = AuditLog(folder / "audit.sqlite")
        entry = _microseconds(lambda: log.append(_ENTRY))
        print(f"an entry p50 {entry:.0f} us   a bare row {row:.0f} us   ratio {entry / row:.2f}")
        started = time.perf_counter()
        verified = log.verify()
        took = time.perf_counter() - started
        assert verified.entries == _ENTRIES and not verified.findings
        text = str(_ENTRY).encode()
        started = time.perf_counter()
        for _ in range(_ENTRIES):
            hmac.digest(b"k" * 32, text, "sha256")
        hashing = time.perf_counter() - started
        log.close()
        print(f"verifying {_ENTRIES / took:,.0f} entries a second   {took / hashing:.1f} times the hashing alone")
        log = AuditLog(folder / "audit.sqlite")
        for _ in range(_LISTED - _ENTRIES):
            log.append(_ENTRY)
        log.close()
        short, long = (_peak_of_list(folder / "audit.sqlite", last) for last in (50, _LISTED))
        print(f"listing {_LISTED:,} entries takes {long / 1024:.0f} MiB   {long / short:.2f} times as much as 50")
