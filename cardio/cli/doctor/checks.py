"""The checks of ``cardio doctor`` on the machine itself: keys, disk, clock."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from cardio.cli.doctor.finding import Finding
from cardio.errors import CardioError

if TYPE_CHECKING:
    from cardio.security.settings import FindReader, SecuritySettings

_LEAST_FREE = 50 * 1024 * 1024
_WRITTEN = date(2026, 11, 1)
"""The day on which this was written: a clock that shows an earlier day is wrong."""
_SYNCHRONISED = Path("/run/systemd/timesync/synchronized")


def key_findings() -> Iterator[Finding]:
    """Check PSAM card and HSM, each by itself, as the settings name them."""
    from cardio.cli.reader_selection import find_reader
    from cardio.readers.policy_settings import bridges_sam
    from cardio.security.settings import SecuritySettings

    try:
        settings = SecuritySettings.load()
        named = settings.named(None)
        if not named and settings.require_proof and not bridges_sam():
            yield Finding(
                "keys", "bad", "require_proof = true，却没有 PSAM 卡或加密机：所有卡片都会被拒绝",
                "require_proof = true, and neither a PSAM card nor an HSM: every card is refused",
                "请在 security.toml 中设置 sam，或去掉 require_proof。",
                "Set `sam` in security.toml, or take require_proof out.", exit_status=78,
            )  # fmt: skip
            return
        if not named:
            yield Finding(
                "keys", "note", "没有配置 PSAM 卡或加密机", "neither a PSAM card nor an HSM is configured",
                "读取第三代卡的持卡人信息需要其中之一（security.toml 的 sam）。",
                "The holder of a third-generation card takes one of them (`sam` in security.toml).",
            )  # fmt: skip
            return
        for place in named.split(","):
            yield _key_finding(settings, place.strip(), find_reader)
    except CardioError as error:
        yield Finding.of_error("keys", error)


def _key_finding(settings: SecuritySettings, place: str, find_reader: FindReader) -> Finding:
    check = place.partition(":")[0]
    try:
        source = settings.sam_source(place, find_reader)
        assert source is not None  # noqa: S101 - narrows a type: a place is named
        sam = source.open()
        try:
            number = sam.terminal_number
        finally:
            sam.close()
    except CardioError as error:
        return Finding.of_error(check, error)
    return Finding(check, "ok", f"{place}：终端机编号 {number or '—'}", f"{place}: terminal number {number or '-'}")


def stopped_findings() -> Iterator[Finding]:
    """Report the SAMs that are stopped because several cards in a row have refused them, or why that cannot be
    known.
    """
    from cardio.filesystem.capabilities import CapabilityCache
    from cardio.security.errors import SamRefusedError
    from cardio.security.key_memory import KeyMemory

    memory = KeyMemory.of_store(CapabilityCache.in_cache())
    if memory is None or not memory.exists:
        return
    try:
        for one in memory.stopped_sams():
            yield Finding.of_error("keys", SamRefusedError(*one.message))
    except CardioError as error:
        yield Finding.of_error("keys", error)


def disk_finding(folder: Path) -> Finding:
    """Check that learnt capabilities and notes on keys can be stored."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        return Finding(
            "disk", "note", f"{place} 不可写", f"{place} cannot be written",
            "学到的卡片特点无法保存，也不会使用密钥（key-memory）；请让 HOME（或 XDG_CACHE_HOME）指向可写的目录。",
            "What is learnt of cards is not kept, and no key is presented (key-memory): HOME (XDG_CACHE_HOME) must be"
            " writable. What needs no key is read all the same.",
        )  # fmt: skip
    free = shutil.disk_usage(place).free
    found, found_en = f"{place} 可用 {free >> 20} MiB", f"{place}: {free >> 20} MiB free"
    if free < _LEAST_FREE:
        return Finding("disk", "bad", found, found_en, "请清理磁盘空间。", "Make room on the disk.", exit_status=1)
    return Finding("disk", "ok", found, found_en)


def clock_finding() -> Finding:
    """Check that the clock is plausible: the validity of cards and the age of lists depend on it."""
    today = date.today()
    now = time.strftime("%Y-%m-%d %H:%M:%S %z")
    if today < _WRITTEN:
        return Finding(
            "clock", "bad", f"系统时间 {now} 不正确", f"the clock says {now}, which cannot be",
            "请校正系统时间并启用网络对时。", "Set the clock and turn time synchronisation on.", exit_status=1,
        )  # fmt: skip
    if Path("/run/systemd/timesync").exists() and not _SYNCHRONISED.exists():
        return Finding(
            "clock", "note", f"{now}，未与时间服务器对时", f"{now}, not synchronised with a time server",
            "请检查网络对时。", "See whether time synchronisation works.",
        )  # fmt: skip
    return Finding("clock", "ok", now, now)
