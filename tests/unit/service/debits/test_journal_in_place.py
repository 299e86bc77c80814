"""A journal that is moved, removed, replaced, emptied or cut under the process that has it; copies and older ones."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cardio.errors import CardioError
from service.debits.errors import JournalRestoredError, JournalUnavailableError
from service.debits.journal import Journal
from service.debits.provider import JournalProvider
from tests.unit.service.debits.journal_files import S, copied, debit, edit, files, put_back
from tests.unit.service.debits.test_journal import OTHER, bring


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "desk" / "debits.sqlite"


@pytest.fixture
def place(path: Path) -> Iterator[JournalProvider]:
    made = JournalProvider(path)
    made.open()
    yield made
    made.close()


def away(path: Path) -> list[tuple[Path, Path]]:
    """Move all files of the journal away."""
    folder = path.parent / "away"
    folder.mkdir()
    return [(one, Path(shutil.move(one, folder))) for one in files(path)]


def removed(path: Path) -> None:
    for one in files(path):
        one.unlink()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def cut(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate(1024)


def another(path: Path) -> None:
    other = JournalProvider(path.parent / "other" / "debits.sqlite")
    debit(other.open(), "k")
    other.close()
    os.replace(path.parent / "other" / "debits.sqlite", path)


WAYS: dict[str, Callable[[Path], object]] = {
    "moved": away,
    "removed": removed,
    "only the database removed": Path.unlink,
    "only its log removed": lambda path: os.unlink(path.with_name(path.name + "-wal")),
    "replaced": another,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": cut,
    "its log cut": lambda path: os.truncate(path.with_name(path.name + "-wal"), 0),
    "a link in its place": lambda path: path.symlink_to(path.rename(path.with_suffix(".real"))),
    "a folder in its place": folder,
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_no_debit_is_sent_once_the_file_is_not_in_its_place(place: JournalProvider, path: Path, way: str) -> None:
    journal = place.open()
    debit(journal, "before")
    entry = bring(journal.claim("local", "now", "x"), S.ARMED, OTHER)
    WAYS[way](path)
    with pytest.raises(JournalUnavailableError) as refused:
        entry.transition(S.SENT)
    assert refused.value.remedy.startswith("未扣款") and refused.value.remedy_en.startswith("Nothing was taken")
    with pytest.raises(JournalUnavailableError):
        journal.claim("local", "another", "x")
    with pytest.raises(JournalUnavailableError):
        place.open().claim("local", "another", "x")
    assert isinstance(place.blocking_error(), JournalUnavailableError)


def test_it_goes_on_when_the_file_is_back(place: JournalProvider, path: Path) -> None:
    first = debit(place.open(), "before")
    moved = away(path)
    for _ in range(2):
        with pytest.raises(JournalUnavailableError) as refused:
            place.open()
        assert refused.value.gone
    for was, now in moved:
        shutil.move(now, was)
    assert place.blocking_error() is None
    assert place.open().record(first).idempotency_key == "before"
    second = debit(place.open(), "after")
    place.close()
    again = JournalProvider(path)
    assert again.blocking_error() is None and again.open().record(second).idempotency_key == "after"
    again.close()


@pytest.mark.parametrize("running", [True, False])
def test_no_new_file_silently_begins_where_one_was(path: Path, running: bool) -> None:
    place = JournalProvider(path)
    debit(place.open(), "k")
    if not running:
        place.close()
    for one in files(path):
        one.unlink()
    other = JournalProvider(path)
    assert other.exists, "the start looks at it, and says so"
    with pytest.raises(JournalUnavailableError):
        other.open()
    assert files(path) == [], "and nothing was made by looking"
    if running:
        with pytest.raises(JournalUnavailableError):
            other.accept()
        assert files(path) == [], "as long as the first one has it"
        place.close()
    assert other.accept().list_debits(None, all_states=True) == []
    debit(other.open(), "k")
    assert other.blocking_error() is None
    other.close()


def test_a_second_process_makes_no_journal_beside_one_that_was_removed(place: JournalProvider, path: Path) -> None:
    """Not even where the mark, too, was removed: the first one still has it."""
    for one in (*files(path), *path.parent.glob(".*.mark")):
        one.unlink()
    with pytest.raises(JournalUnavailableError) as refused:
        JournalProvider(path).open()
    assert "another program" in refused.value.detail_en


def test_an_older_copy_that_is_put_back_is_known(path: Path, tmp_path: Path) -> None:
    place = JournalProvider(path)
    early = debit(place.open(), "early", S.SETTLED)
    place.close()
    yesterday = copied(path, tmp_path / "backup")
    place = JournalProvider(path)
    late = debit(place.open(), "late")
    place.close()
    put_back(yesterday, path)
    place = JournalProvider(path)
    journal = place.open()
    for key in ("late", "new"):
        with pytest.raises(JournalRestoredError) as refused:
            journal.claim("local", key, "x")
    assert refused.value.remedy.startswith("未扣款") and "cardio debits restored" in refused.value.remedy_en
    assert isinstance(place.blocking_error(), JournalRestoredError)
    assert journal.record(early).outcome == "done" and journal.claim("local", "early", "x").state is S.SETTLED
    assert [one.id for one in journal.list_debits(None, all_states=True)] == [early] != [late]
    place.accept()
    assert place.blocking_error() is None
    debit(place.open(), "late")
    place.close()
    place = JournalProvider(path)
    assert place.blocking_error() is None, "it was said once"
    place.close()


def test_a_copy_made_while_it_ran_is_known(path: Path, tmp_path: Path) -> None:
    """The files are copied with the log, or without it; the process is killed, and they are put back."""
    for number, with_log in enumerate((True, False)):
        place = JournalProvider(path.with_name(f"{number}") / "debits.sqlite")
        where = path.with_name(f"{number}") / "debits.sqlite"
        for key in range(3):
            debit(place.open(), f"early {key}")
        copies = [
            one for one in copied(where, tmp_path / f"backup {number}") if with_log or not one.name.endswith("-wal")
        ]
        for key in range(3):
            debit(place.open(), f"late {key}", number=100 + key)
        place.open().abandon()  # as a kill leaves it
        put_back(copies, where)
        again = JournalProvider(where)
        with pytest.raises(JournalUnavailableError):
            again.open().claim("local", "late 2", "x")
        assert again.blocking_error() is not None
        again.close()


def test_a_database_put_beside_the_log_of_another_state_is_known(path: Path, tmp_path: Path) -> None:
    place = JournalProvider(path)
    debit(place.open(), "early")
    place.close()
    yesterday = copied(path, tmp_path / "backup")
    os.utime(yesterday[1], (1, 1))
    place = JournalProvider(path)
    for key in range(60):  # in the database since, so that the log alone does not have them
        debit(place.open(), f"between {key}")
    place.close()
    place = JournalProvider(path)
    debit(place.open(), "late")
    place.open().abandon()
    shutil.copy2(yesterday[1], path)
    place = JournalProvider(path)
    with pytest.raises(JournalRestoredError):
        place.open()
    assert [one.idempotency_key for one in place.accept().list_debits(None)] == ["early"]
    assert list(path.parent.glob("debits.sqlite-wal.*.old")), "it is put aside, not deleted"
    debit(place.open(), "after")
    place.close()


@pytest.mark.parametrize("running", [True, False])
def test_a_database_of_which_only_the_time_was_changed_keeps_its_log(path: Path, running: bool) -> None:
    """Debits stand in the log alone: a person's word on the file is no word against them."""
    place = JournalProvider(path)
    for key in range(5):
        debit(place.open(), f"done {key}")
    if not running:
        place.open().abandon()
    os.utime(path, (1, 1))
    place = place if running else JournalProvider(path)
    with pytest.raises(JournalUnavailableError):
        place.open()
    assert len(place.accept().list_debits(None)) == 5
    assert not list(path.parent.glob("*.old")) and not list(path.parent.glob(".debits.sqlite-*"))
    debit(place.open(), "after")
    assert place.open().verify().is_whole and place.blocking_error() is None
    place.close()
    again = JournalProvider(path)
    assert len(again.open().list_debits(None)) == 6
    again.close()


def test_a_log_that_cannot_be_looked_into_is_not_set_aside(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = JournalProvider(path)
    debit(place.open(), "done")
    os.utime(path, (1, 1))

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(JournalUnavailableError):
        place.accept()
    monkeypatch.undo()
    assert [one.idempotency_key for one in place.accept().list_debits(None)] == ["done"]
    place.close()


def test_what_a_kill_leaves_is_no_copy(path: Path) -> None:
    for run in range(4):
        place = JournalProvider(path)
        for key in range(run * 60):
            debit(place.open(), f"{run} {key}", number=run * 1000 + key)
        assert place.blocking_error() is None
        place.open().claim("local", f"left {run}", "x")
        place.open().abandon()
    place = JournalProvider(path)
    assert place.blocking_error() is None and place.open().verify().is_whole
    place.close()


@pytest.mark.parametrize("marks_too", [False, True])
def test_a_copy_at_another_place_is_known(path: Path, tmp_path: Path, marks_too: bool) -> None:
    """A second desk, another folder, a backup that is opened where it lies."""
    place = JournalProvider(path)
    debit(place.open(), "k")
    place.close()
    copied(path, tmp_path / "second")
    if marks_too:
        for one in path.parent.glob(".debits*"):
            shutil.copy2(one, tmp_path / "second")
    second = JournalProvider(tmp_path / "second" / "debits.sqlite")
    with pytest.raises(JournalRestoredError):
        second.open().claim("local", "new", "x")
    second.close()
    first = JournalProvider(path)
    debit(first.open(), "new")
    first.close()


def test_another_machine_is_known(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a whole disk was copied: the very same file, on another machine."""
    place = JournalProvider(path)
    debit(place.open(), "k")
    place.close()
    other = path.parent / "machine-id"
    other.write_text("0123456789abcdef0123456789abcdef\n")
    monkeypatch.setattr("service.debits.journal_file.identity._MACHINE_FILES", (other,))
    assert other.read_text().strip() not in "".join(
        one.read_text(errors="replace") for one in path.parent.glob(".*.mark")
    )
    place = JournalProvider(path)
    with pytest.raises(JournalRestoredError):
        place.open().claim("local", "new", "x")
    place.close()


def test_a_mark_elsewhere_knows_what_was_restored_with_its_folder(path: Path, tmp_path: Path) -> None:
    place = JournalProvider(path, tmp_path / "state")
    debit(place.open(), "early")
    place.close()
    shutil.copytree(path.parent, tmp_path / "yesterday", copy_function=shutil.copy2)
    place = JournalProvider(path, tmp_path / "state")
    debit(place.open(), "late")
    place.close()
    for one in (tmp_path / "yesterday").iterdir():  # over what is there: each file keeps its inode
        shutil.copy2(one, path.parent)
    place = JournalProvider(path, tmp_path / "state")
    with pytest.raises(JournalRestoredError):
        place.open().claim("local", "late", "x")
    place.close()
    shutil.rmtree(path.parent)
    place = JournalProvider(path, tmp_path / "state")
    with pytest.raises(JournalUnavailableError) as refused:
        place.open()
    assert refused.value.gone


def test_a_mark_that_was_edited_is_not_believed(path: Path) -> None:
    place = JournalProvider(path)
    debit(place.open(), "k")
    place.close()
    (mark,) = path.parent.glob(".*.mark")
    mark.write_text(mark.read_text().replace('"number":', '"number":0,"was":'))
    place = JournalProvider(path)
    with pytest.raises(JournalRestoredError):
        place.open().claim("local", "new", "x")
    place.accept()
    debit(place.open(), "new")
    place.close()


def test_a_mark_that_cannot_be_written_lets_nothing_be_sent(place: JournalProvider, path: Path) -> None:
    journal = place.open()
    entry = bring(journal.claim("local", "k", "x"), S.ARMED)
    (mark,) = path.parent.glob(".*.mark")
    mark.rename(mark.with_suffix(".away"))
    mark.mkdir()
    with pytest.raises(JournalUnavailableError):
        entry.transition(S.SENT)
    assert entry.record().outcome == "none" and entry.state is S.ABORTED
    mark.rmdir()
    mark.with_suffix(".away").rename(mark)
    again = journal.claim("local", "k", "x")
    assert again.state is S.NEW, "the same key may try again: nothing was sent"
    assert bring(again, S.SENT).state is S.SENT


def test_reading_it_with_another_program_does_no_harm(place: JournalProvider, path: Path) -> None:
    debit(place.open(), "k")
    edit(path, "SELECT count(*) FROM debit")
    assert place.blocking_error() is None
    debit(place.open(), "l")
    place.close()
    edit(path, "SELECT count(*) FROM debit")
    again = JournalProvider(path)
    assert again.blocking_error() is None
    again.close()


def test_what_kill_9_leaves_is_no_copy_and_its_chain_is_whole(path: Path) -> None:
    """At random moments, in the middle of steps and of bringing the log into the database."""
    program = (
        "import sys\nfrom pathlib import Path\nimport service.debits.journal_file.file as file\n"
        "from service.debits.journal import Journal\nfrom tests.unit.service.debits.journal_files import debit\n"
        "file._COMMITS_BETWEEN_CHECKPOINTS = 3\n"
        "journal = Journal(Path(sys.argv[1]))\nassert journal.restored is None, journal.restored.detail_en\n"
        "begin = sum(journal.counts().values())\nprint('ready', flush=True)\n"
        "for number in range(begin, begin + 1000):\n    print(debit(journal, str(number), number=number), flush=True)\n"
    )
    seen: list[str] = []
    for run in range(12):
        with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            seen += [process.stdout.readline().strip() for _ in range(1 + run % 4)]
            time.sleep(random.Random(run).random() * 0.05)  # not waited for: when it is killed
            process.kill()
        journal = Journal(path)
        assert journal.restored is None and journal.is_in_place
        assert journal.verify().is_whole
        assert set(seen) <= {one.id for one in journal.list_debits(None)}, "what was told is there"
        journal.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "debits.sqlite", tmp_path / "file" / "more" / "debits.sqlite"):
        place = JournalProvider(path, tmp_path / "file" / "state")
        with pytest.raises(CardioError) as refused:
            place.open()
        assert str(tmp_path / "file") in refused.value.detail and refused.value.exit_status == 78
        assert place.blocking_error() is None or isinstance(place.blocking_error(), CardioError)


def test_a_mark_elsewhere_that_cannot_be_kept_is_left_out(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = JournalProvider(path, tmp_path / "file" / "state")
    debit(place.open(), "k")
    assert place.blocking_error() is None
    place.close()
