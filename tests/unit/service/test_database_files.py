"""The bridge's databases are taken only as their owner's: every file of the journal's and the audit log's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cardio.errors import CardioError
from service.audit.errors import AuditUnavailableError
from service.audit.log import AuditLog
from service.debits.errors import JournalUnavailableError
from service.debits.journal import Journal

MAKERS: dict[str, tuple[Callable[[Path], Journal | AuditLog], type[CardioError]]] = {
    "debits.sqlite": (Journal, JournalUnavailableError),
    "audit.sqlite": (AuditLog, AuditUnavailableError),
}
SUFFIXES = ("", "-wal", "-shm", "-journal")
OTHER_USER = 2002


def wide(path: Path) -> None:
    path.chmod(0o666)


def readable(path: Path) -> None:
    path.chmod(0o640)


def others(path: Path) -> None:
    os.chown(path, OTHER_USER, -1)


def hard_link(path: Path) -> None:
    os.link(path, path.with_name("another name"))


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("planted"))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("spoil", [wide, readable, others, hard_link, link, dangling, pipe, folder])
def test_a_file_that_is_not_its_owners_alone_is_refused(
    tmp_path: Path, name: str, suffix: str, spoil: Callable[[Path], None]
) -> None:
    make, error = MAKERS[name]
    path = tmp_path / name
    make(path).close()
    spoilt = tmp_path / (name + suffix)
    if suffix:
        spoilt.touch(0o600)
    spoil(spoilt)
    before = spoilt.lstat()
    with pytest.raises(error) as refused:
        make(path)
    assert str(spoilt) in refused.value.detail and str(spoilt) in refused.value.detail_en
    assert spoilt.lstat() == before or suffix == "", "it is left as it is"
    assert not (tmp_path / "planted").exists(), "nothing is made where a link leads"


@pytest.mark.parametrize("name", MAKERS)
def test_a_link_that_was_planted_before_the_first_start_makes_nothing(tmp_path: Path, name: str) -> None:
    make, error = MAKERS[name]
    (tmp_path / name).symlink_to(tmp_path / "planted")
    with pytest.raises(error):
        make(tmp_path / name)
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("name", MAKERS)
def test_a_folder_that_everybody_may_write_is_refused(tmp_path: Path, name: str) -> None:
    make, error = MAKERS[name]
    place = tmp_path / "wide"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(error) as refused:
        make(place / name)
    assert "chmod o-w" in refused.value.detail and not list(place.glob(name + "*"))
    place.chmod(0o1777)
    make(place / name).close()


@pytest.mark.parametrize("name", MAKERS)
def test_another_users_process_takes_nothing_of_ours(tmp_path: Path, name: str) -> None:
    """A second user, who may write into the folder, and finds our file there."""
    make, _ = MAKERS[name]
    make(tmp_path / name).close()
    os.chmod(tmp_path, 0o1777)  # noqa: S103 - as /tmp is
    for part in tmp_path.parents:
        if part != Path("/") and part.stat().st_mode & 0o005 != 0o005:
            os.chmod(part, part.stat().st_mode | 0o005)
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom service.debits.journal import Journal\n"
        "from service.audit.log import AuditLog\nfrom cardio.errors import CardioError\n"
        f"os.setgid({OTHER_USER}); os.setuid({OTHER_USER})\n"
        "try:\n"
        f"    {'Journal' if name == 'debits.sqlite' else 'AuditLog'}(Path({str(tmp_path / name)!r}))\n"
        "except CardioError as error:\n    print(type(error).__name__); sys.exit(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr


def test_the_lock_and_the_mark_are_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "debits.sqlite"
    Journal(path).close()
    lock = tmp_path / ".debits.sqlite.lock"
    lock.unlink()
    lock.symlink_to(tmp_path / "planted")
    with pytest.raises(JournalUnavailableError):
        Journal(path)
    assert not (tmp_path / "planted").exists()
    lock.unlink()
    mark = tmp_path / ".debits.sqlite.mark"
    mark.chmod(0o666)
    journal = Journal(path)
    assert journal.restored is not None, "any user may have written it"
    journal.close()
