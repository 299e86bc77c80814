"""``cardio doctor``: finds out why reading does not work. Each check gives its finding and, if it is bad, the
remedy.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cardio.cli.command import DONE, Command, add_reader_argument
from cardio.cli.doctor.finding import Finding, plugin_findings
from cardio.cli.output import Output
from cardio.errors import CardioError, NotPermittedError

if TYPE_CHECKING:
    from cardio.readers.base import Reader


def _examine(wanted: str | None) -> Iterator[Finding]:
    import platform
    import sys

    python = f"{platform.python_version()} {sys.platform}"
    yield Finding("python", "ok", python, python)
    yield _cache()
    yield from _layouts()
    from cardio.cli.doctor.checks import clock_finding, disk_finding, key_findings, stopped_findings
    from cardio.cli.reader_selection import find_reader
    from cardio.filesystem.capabilities import CapabilityCache

    path = CapabilityCache.in_cache().path
    assert path is not None  # noqa: S101 - narrows a type: in_cache() always has a path
    yield disk_finding(path.parent)
    yield clock_finding()
    yield from plugin_findings()
    yield from key_findings()
    yield from stopped_findings()

    try:
        if wanted is None or ":" not in wanted:
            yield from _service()
        reader = find_reader(wanted)
    except NotPermittedError as error:
        yield Finding.of_error("polkit", error)
        return
    except CardioError as error:
        yield Finding.of_error("pcsc", error)
        return
    yield from _card(reader)


def _service() -> Iterator[Finding]:
    from cardio.readers.pcsc import PcscSource

    started = time.perf_counter()
    readers = PcscSource().readers()
    took = (time.perf_counter() - started) * 1000
    yield Finding("pcsc", "ok", f"服务已应答（{took:.1f} 毫秒）", f"the service answers ({took:.1f} ms)")
    for reader in readers:
        info = reader.info()
        yield Finding("reader", "ok", f"{info.name}：{info.status}", f"{info.name}: {info.status}")


def _cache() -> Finding:
    from cardio.filesystem.capabilities import CapabilityCache

    path = CapabilityCache.in_cache().path
    assert path is not None  # noqa: S101 - narrows a type: in_cache() always has a path
    kept = path.exists()
    zh = f"{path}（{'已有' if kept else '尚无'}记录，可随时删除）"
    return Finding("manners", "ok", zh, f"{path} ({'present' if kept else 'not yet there'}; may be deleted)")


def _layouts() -> Iterator[Finding]:
    """Check the user's own card structures: a wrong one would stop the reading of its region's cards."""
    from cardio.filesystem.layouts.loader import load_layout
    from cardio.filesystem.layouts.registry import Expansion, user_folder

    for path in sorted(user_folder().glob("*.toml")):
        try:
            for generation in Expansion.load(path).generations:
                layout = load_layout(path, generation=generation)
                yield Finding("layout", "ok", f"{path}：{layout.title}", f"{path}: {layout.title_en}")
        except CardioError as error:
            yield Finding.of_error("layout", error)


def _card(reader: Reader) -> Iterator[Finding]:
    from cardio.apdu.atr import Atr
    from cardio.apdu.timing import bits_per_second
    from cardio.apdu.trace import TraceLog
    from cardio.card.runner import read_card

    trace = TraceLog()
    try:
        started = time.perf_counter()
        reading = read_card(reader, trace=trace)
    except CardioError as error:
        yield Finding.of_error("card", error)
        return
    took = (time.perf_counter() - started) * 1000
    found = f"第 {reading.card.generation} 代卡，{len(trace.exchanges)} 条命令，{took:.0f} 毫秒"
    yield Finding(
        "card", "ok", found, f"generation {reading.card.generation}, {len(trace.exchanges)} commands, {took:.0f} ms"
    )
    try:
        ta1 = Atr.from_bytes(bytes.fromhex(reading.card.atr)).ta1
    except CardioError as error:
        yield Finding.of_error("atr", error)
        return
    rate = bits_per_second(ta1)
    speed = f"{rate:.0f} bit/s" if rate else "?"
    slow = rate is not None and rate < 20_000
    yield Finding(
        "speed",
        "note" if slow else "ok",
        f"卡片提供 {speed}（TA1={ta1:02X}）",
        f"the card offers {speed} (TA1={ta1:02X})",
        "卡片本身只支持低速，读一次约需四分之一秒，属正常。" if slow else "",
        "The card itself is slow: about a quarter of a second a reading is normal." if slow else "",
    )
    for unread in reading.unread:
        yield Finding(
            "unread", "note", f"{unread.file}：{unread.detail}", f"{unread.file}: {unread.detail_en}",
            unread.remedy, unread.remedy_en,
        )  # fmt: skip
    for warning in reading.warnings:
        yield Finding("warning", "note", f"{warning.item or ''}：{warning.detail}", warning.detail_en)


def _run(options: Namespace, output: Output) -> int:
    status = DONE
    listed = []
    marks = {"ok": "✓", "note": "·", "bad": "✗"}
    for finding in _examine(options.reader):
        status = max(status, finding.exit_status)
        if output.as_json:
            listed.append(
                {
                    "check": finding.check,
                    "state": finding.state,
                    "found": finding.found,
                    "found_en": finding.found_en,
                    "remedy": finding.remedy,
                    "remedy_en": finding.remedy_en,
                }
            )
            continue
        output.item(f"{marks[finding.state]} {finding.check:8} ", output.words(finding.found, finding.found_en))
        if finding.remedy:
            output.item("           → ", output.words(finding.remedy, finding.remedy_en))
    if output.as_json:
        output.document({"findings": listed})
    return status


_add_arguments: Callable[[ArgumentParser], None] = add_reader_argument

DOCTOR = Command(
    name="doctor",
    help="检查为什么读不了卡 / find out why it does not work",
    examples="  cardio doctor\n  cardio doctor --reader sim:field",
    add_arguments=_add_arguments,
    run=_run,
)
