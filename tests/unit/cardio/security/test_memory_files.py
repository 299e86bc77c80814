"""The files of PIN counts and of refused keys: private ones only, whole, and shared by several processes."""

from __future__ import annotations

import multiprocessing
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cardio.security.errors import KeyMemoryError
from cardio.security.key_memory import CARDS_IN_A_ROW, KeyMemory, Presenter
from cardio.security.pin.memory import CardNote, PinMemoryFile
from tests.unit.cardio.config.test_private_file import (
    a_link,
    a_link_to_nowhere,
    a_second_name,
    a_wide_one,
    one_of_another_user,
)

PRESENTER = Presenter(b"sam", "soft", "320200", "SM4", lambda key: b"k", lambda key, city, algorithm: b"s")
PLANTED = [a_link, a_link_to_nowhere, a_second_name, a_wide_one, one_of_another_user]


@pytest.mark.parametrize("plant", PLANTED)
def test_what_is_no_private_file_is_not_used(tmp_path: Path, plant: Callable[[Path], Path]) -> None:
    path = plant(tmp_path)
    before = path.read_bytes() if path.exists() else None
    memory = PinMemoryFile(path)
    assert not memory.keep_card(b"card", CardNote(1)) and memory.card(b"card") is None
    keys = KeyMemory(path)
    for use in (keys.check, keys.stopped_sams, lambda: keys.note_try(b"card", "RKSSSE", 2)):
        with pytest.raises(KeyMemoryError):
            use()
    assert (path.read_bytes() if path.exists() else None) == before


@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
def test_nor_is_one_beside_which_a_link_was_planted(tmp_path: Path, suffix: str) -> None:
    keys = KeyMemory(tmp_path / "keys.db")
    keys.check()
    (tmp_path / f"keys.db{suffix}").symlink_to(tmp_path / "target")
    with pytest.raises(KeyMemoryError):
        keys.note_try(b"card", "RKSSSE", 2)
    assert not (tmp_path / "target").exists()


def test_a_pin_memory_that_is_damaged_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "pins.db"
    path.write_bytes(b"rubbish" * 1000)
    path.chmod(0o600)
    memory = PinMemoryFile(path)
    assert memory.keep_card(b"card", CardNote(1)) and memory.card(b"card") == CardNote(1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _refuse(path: str, process: int) -> None:
    memory = KeyMemory(Path(path))
    for number in range(10):
        card = f"card {process} {number}".encode()
        memory.note_try(card, "RKSSSE", 2)
        memory.refused(card, "RKSSSE", PRESENTER, 2, proved=True)


def test_several_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_refuse, args=(str(path), number)) for number in range(4)]
    for one in processes:
        one.start()
    for one in processes:
        one.join(120)
    assert [one.exitcode for one in processes] == [0] * 4
    memory = KeyMemory(path)
    (stopped,) = memory.stopped_sams()
    assert stopped.cards == 40 > CARDS_IN_A_ROW
    cards = [f"card {process} {number}".encode() for process in range(4) for number in range(10)]
    assert {memory.card_notes(card, "RKSSSE", PRESENTER, proved=True).tries_left for card in cards} == {2}


def test_what_has_its_last_try_left_is_forgotten_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cardio.security.key_memory._CARDS_KEPT", 3)
    memory = KeyMemory(tmp_path / "keys.db")
    memory.note_try(b"dangerous", "RKSSSE", 1)
    for number in range(6):
        memory.refused(str(number).encode(), "RKSSSE", PRESENTER, 2, proved=True)
    assert memory.card_notes(b"dangerous", "RKSSSE", PRESENTER, proved=True).tries_left == 1
    assert memory.card_notes(b"0", "RKSSSE", PRESENTER, proved=True).refusals == ()
    assert memory.card_notes(b"5", "RKSSSE", PRESENTER, proved=True).tries_left == 2
