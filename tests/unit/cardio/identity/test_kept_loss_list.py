"""A long loss list: parsed once, kept until its file changes, in little memory, and as exact as a short one."""

from __future__ import annotations

import os
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from cardio.identity.kept_loss_list import KeptLossList
from cardio.identity.loss_list import LossList
from cardio.identity.packed_entries import PackedCodes, PackedNumbers
from cardio.security.errors import PolicyError
from service.security import SecurityContext

HEADER = "# updated = 2026-11-22T08:00:00+08:00\n"
FIRST, SECOND = "370200D15600000500000001", "370200D15600000500000002"
LATER = time.time_ns() + 3_600_000_000_000


def write(path: Path, *lines: str) -> None:
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")


class Loads:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        load = LossList.load

        def counted(path: Path) -> LossList:
            self.count += 1
            return load(path)

        monkeypatch.setattr(LossList, "load", counted)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    return Loads(monkeypatch)


def test_it_is_read_once_and_again_when_it_changes(tmp_path: Path, loads: Loads) -> None:
    path, kept = tmp_path / "lost.txt", KeptLossList(clock=lambda: LATER)
    write(path, FIRST)
    assert [set(kept.load(path).codes) for _ in range(3)] == [{FIRST}] * 3 and loads.count == 1
    write(path, FIRST, SECOND)  # in place
    assert set(kept.load(path).codes) == {FIRST, SECOND} and loads.count == 2
    write(tmp_path / "new.txt", SECOND, SECOND)  # of the same size, put in its place
    os.utime(tmp_path / "new.txt", ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    os.replace(tmp_path / "new.txt", path)
    assert set(kept.load(path).codes) == {SECOND} and loads.count == 3
    other = tmp_path / "other.txt"
    write(other, FIRST)
    assert set(kept.load(other).codes) == {FIRST} and set(kept.load(path).codes) == {SECOND}


def test_what_was_changed_a_moment_ago_is_not_relied_upon(tmp_path: Path, loads: Loads) -> None:
    """Two changes within one tick of a file system's clock look like one."""
    path, kept = tmp_path / "lost.txt", KeptLossList()
    write(path, FIRST)
    kept.load(path)
    about = path.stat()
    path.write_text(HEADER + f"{SECOND}\n", encoding="utf-8")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert set(kept.load(path).codes) == {SECOND} and loads.count == 2


def test_a_time_that_is_yet_to_come_does_not_have_it_read_for_ever(tmp_path: Path, loads: Loads) -> None:
    path = tmp_path / "lost.txt"
    write(path, FIRST)
    os.utime(path, (time.time() + 86_400, time.time() + 86_400))
    kept = KeptLossList(clock=lambda: path.stat().st_ctime_ns + 2_000_000_000)
    for _ in range(3):
        kept.load(path)
    assert loads.count == 1


def test_a_wrong_file_is_not_read_again_and_a_mended_one_is(tmp_path: Path, loads: Loads) -> None:
    path, kept = tmp_path / "lost.txt", KeptLossList(clock=lambda: LATER)
    write(path, "测试甲")
    for _ in range(3):
        with pytest.raises(PolicyError, match=r"lost\.txt:2"):
            kept.load(path)
    assert loads.count == 1
    write(path, FIRST)
    assert kept.load(path).entries == 1
    path.unlink()
    for _ in range(2):
        with pytest.raises(PolicyError):
            kept.load(path)


def test_who_asks_while_it_is_read_waits_for_that_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, kept = tmp_path / "lost.txt", KeptLossList(clock=lambda: LATER)
    write(path, FIRST)
    begun, free, load, count = threading.Event(), threading.Event(), LossList.load, 0

    def slowly(path: Path) -> LossList:
        nonlocal count
        count += 1
        begun.set()
        free.wait(30)
        return load(path)

    monkeypatch.setattr(LossList, "load", slowly)
    found: list[LossList] = []
    threads = [threading.Thread(target=lambda: found.append(kept.load(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    free.set()
    for thread in threads:
        thread.join(10)
    assert count == 1 and len({id(one) for one in found}) == 1 and len(found) == 8


def test_all_desks_share_it(tmp_path: Path, loads: Loads) -> None:
    path = tmp_path / "lost.txt"
    write(path, FIRST)
    old = time.time() - 3600
    os.utime(path, (old, old))
    security = SecurityContext(loss_list_file=path, kept_loss_list=KeptLossList(clock=lambda: LATER))
    assert security.loss_list() is security.for_reader(simulated=True).loss_list() and loads.count == 1


def test_two_hundred_thousand_lines_take_their_bytes_and_little_more(tmp_path: Path) -> None:
    """Twelve bytes each; a set of texts would take a hundred and more."""
    lines, path = 200_000, tmp_path / "lost.txt"
    write(path, *(f"990200D156000005{number:08X}" for number in range(lines)), "370200,A00000011")
    tracemalloc.start()
    try:
        listed = LossList.load(path)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert listed.entries == lines + 1 and size < 16 * lines
    assert "990200D15600000500000000" in listed.codes and f"990200D156000005{lines - 1:08X}" in listed.codes
    assert f"990200D156000005{lines:08X}" not in listed.codes and ("370200", "A00000011") in listed.numbers


@pytest.mark.parametrize(
    "wrong", ["", "37", FIRST + "00", FIRST[:-1] + "X", FIRST[:-1] + " ", " " + FIRST[1:], None, 1]
)
def test_what_is_no_code_is_in_no_set(wrong: object) -> None:
    assert wrong not in PackedCodes([bytes.fromhex(FIRST)])
    assert list(PackedCodes([bytes.fromhex(FIRST), bytes.fromhex(FIRST)])) == [FIRST]


@pytest.mark.parametrize(
    "wrong", [None, ("370200",), ("37020", "0A0000001"), ("370200", "A0000001"), ("370200", "测试"), 1]
)
def test_what_is_no_number_is_in_no_set(wrong: object) -> None:
    numbers = PackedNumbers([b"370200A00000001", b"370200A00000001", b"110000A00000009"])
    assert wrong not in numbers
    assert list(numbers) == [("110000", "A00000009"), ("370200", "A00000001")]
