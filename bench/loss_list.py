"""Verifications against a loss list: the effect of a million lines on other callers of the bridge.

`GET /livez` is called all the time while verifications go on: with a list of ten lines, while a list of a million is
read for the first time, and when it is kept. All is measured in one run, so that the ratios do not depend on the
machine. The memory of the list is measured too.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cardio.identity.loss_list import LossList
from service.security import SecurityContext
from tests.unit.service.bridge import FIRST, TOKEN, Bridge

_LINES, _SECONDS = 1_000_000, 3.0


def _list_of(path: Path, lines: int) -> Path:
    with path.open("w", encoding="ascii") as stream:
        stream.write(f"# updated = {datetime.now(UTC).isoformat(timespec='seconds')}\n")
        stream.writelines(f"990200D156000005{number:08X}\n" for number in range(lines))
    return path


@contextmanager
def _verifying(bridge: Bridge) -> Iterator[threading.Event]:
    """Verify one card after another in a thread; yield an event that is set when the first verification has ended."""
    first, over = threading.Event(), threading.Event()

    def verify() -> None:
        client = bridge.caller(TOKEN)
        client.timeout = 60
        while not over.is_set():
            client.post(f"/v1/readers/{FIRST}/card/verification", json={}).raise_for_status()
            first.set()

    verifying = threading.Thread(target=verify)
    verifying.start()
    try:
        yield first
    finally:
        over.set()
        verifying.join()


def _latencies(bridge: Bridge, until: threading.Event | None) -> list[float]:
    """Return the milliseconds of `GET /livez`, until an event is set, or for a fixed time."""
    client, found, ends = bridge.caller(TOKEN), [], time.monotonic() + _SECONDS
    while (time.monotonic() < ends) if until is None else not until.is_set():
        started = time.perf_counter()
        client.get("/livez").raise_for_status()
        found.append((time.perf_counter() - started) * 1000)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        few, many = _list_of(Path(folder) / "few", 10), _list_of(Path(folder) / "many", _LINES)
        time.sleep(1.5)  # a file that was changed a moment ago is not kept yet
        bridges = {name: Bridge("adult", security=SecurityContext(loss_list_file=path)) for name, path in
                   (("few", few), ("many", many))}  # fmt: skip
        found: dict[str, list[float]] = {}
        with _verifying(bridges["few"]):
            found["ten lines"] = _latencies(bridges["few"], None)
        with _verifying(bridges["many"]) as first:
            found["a million, while they are read"] = _latencies(bridges["many"], first)
            found["a million, kept"] = _latencies(bridges["many"], None)
        for bridge in bridges.values():
            bridge.stop()
        base = statistics.median(found["ten lines"])
        for name, times in found.items():
            print(
                f"{name:<32} /livez p50 {statistics.median(times):6.2f} ms   worst {max(times):7.2f} ms   "
                f"of {len(times)}   ratio of p50 {statistics.median(times) / base:.2f}"
            )
        tracemalloc.start()
        listed = LossList.load(many)
        size, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        print(f"memory: {size / listed.entries:.1f} bytes a line kept, {peak / listed.entries:.0f} while it is read")
