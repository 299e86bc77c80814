"""The marks of a journal, kept outside its file: the number of its steps, and the identity of the file.

A journal that is older than its mark, or is another one, was restored or copied. The mark is written before each debit
is sent. It is not forced onto the disk each time. What a process has written survives its end by any signal. After a
power cut a mark may be some seconds old, and then accepts a copy of these last seconds at most.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cardio.config.paths import NO_HOME, home_folder
from cardio.config.private_file import check_private, make_folder
from cardio.errors import ConfigurationError
from service.audit.chain import Chain

_BYTES = 512
"""One disk sector: it is written in place, whole or not at all."""
_NAME, _NAME_EN = "扣款记录的标记", "mark of the journal of debits"


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """The identity of a journal's file; a copy has another one."""

    machine: str
    """The keyed hash of the machine's id; empty if the machine has none."""
    inode: int
    generation: int
    """The number by which the file system tells a new file from a removed one with the same inode; 0 if it has none."""
    size: int
    modified: int
    """The time of the last change of the database without its write-ahead log, in nanoseconds.

    Only the bridge writes the database.
    """

    def same_file(self, other: FileIdentity) -> bool:
        return (self.inode, self.generation) == (other.inode, other.generation)

    def same_content(self, other: FileIdentity) -> bool:
        """Return True if size and time agree. Some file systems keep times in steps of two seconds."""
        return self.size == other.size and abs(self.modified - other.modified) <= 2_000_000_000


@dataclass(frozen=True, slots=True)
class JournalMark:
    """The state that a journal had reached at least."""

    number: int
    chain: str
    """The hash of the step with this number."""
    identity: FileIdentity
    checkpointing: bool = False
    """True if the database was being written: its size and time are not known."""


class UnreadableMarkError(Exception):
    """There is a mark, but it cannot be trusted."""


class MarkFile:
    """The file of one mark."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, chain: Chain | None) -> JournalMark | None:
        """Return the mark; None if there is no file.

        Args:
            chain: the chain whose key checks the seal; without it every mark is unreadable.

        Raises:
            UnreadableMarkError: the file is no mark of this journal.
        """
        try:
            check_private(self.path, _NAME, _NAME_EN)
            text = self.path.read_bytes()[:_BYTES]
        except FileNotFoundError:
            return None
        except (OSError, ConfigurationError) as error:
            raise UnreadableMarkError from error
        try:
            document: dict[str, Any] = json.loads(text)
            seal = document.pop("seal")
            mark = JournalMark(
                int(document["number"]), str(document["chain"]), FileIdentity(**document["identity"]),
                bool(document["checkpointing"]),
            )  # fmt: skip
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnreadableMarkError from error
        if chain is None or seal != chain.content({"mark": asdict(mark)}):
            raise UnreadableMarkError
        return mark

    def write(self, mark: JournalMark, chain: Chain, *, synced: bool) -> None:
        """Write the mark.

        Args:
            mark: the mark.
            chain: the chain that makes the seal.
            synced: True to force it onto the disk.

        Raises:
            OSError: the file cannot be written.
        """
        document: Mapping[str, Any] = asdict(mark) | {"seal": chain.content({"mark": asdict(mark)})}
        text = json.dumps(document, separators=(",", ":")).encode().ljust(_BYTES - 1) + b"\n"
        make_folder(self.path.parent)
        with suppress(FileNotFoundError):
            try:
                check_private(self.path, _NAME, _NAME_EN)
            except ConfigurationError as error:
                raise OSError(error.detail_en) from error
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            if os.write(handle, text) != len(text):
                raise OSError("the mark was not written whole")
            if synced:
                os.fsync(handle)
        finally:
            os.close(handle)


class Marks:
    """The marks of one journal: one beside it, and one elsewhere, which no backup of its folder contains."""

    def __init__(self, path: Path, elsewhere: Path | None = None) -> None:
        """Name the files of the marks.

        Args:
            path: the journal's file.
            elsewhere: a folder for the marks of several journals.
        """
        self.files = [MarkFile(path.with_name(f".{path.name}.mark"))]
        if elsewhere is not None:
            self.files.append(MarkFile(elsewhere / f"journal-{_place_name(path)}.mark"))
        self.last: JournalMark | None = None

    @property
    def exist(self) -> bool:
        """Return True if there was a journal here before, also if its file is gone."""
        return any(os.path.lexists(one.path) for one in self.files)

    def drop_unwritable_mark(self) -> None:
        """Drop the mark elsewhere if its folder cannot be written, as for a user without a home."""
        kept = []
        for one in self.files[1:]:
            with suppress(OSError):
                make_folder(one.path.parent)
                if os.access(one.path.parent, os.W_OK):
                    kept.append(one)
        self.files[1:] = kept

    def write(self, mark: JournalMark, chain: Chain, *, synced: bool = False) -> None:
        """Write all marks.

        Raises:
            OSError: one of them cannot be written.
        """
        for one in self.files:
            one.write(mark, chain, synced=synced)
        self.last = mark

    def record_step(self, number: int, chain_end: str, chain: Chain) -> None:
        """Record that the journal has reached a step.

        Raises:
            OSError: one of the marks cannot be written.
        """
        assert self.last is not None  # noqa: S101 - a journal that is open has its marks
        self.write(replace(self.last, number=number, chain=chain_end), chain)


def external_mark_folder() -> Path | None:
    """Return the folder for marks outside the journal's own; None if there is no such place.

    It is ``$XDG_STATE_HOME/cardio``; else, for a service without a home, ``$XDG_CACHE_HOME/cardio``; else
    ``~/.local/state/cardio``.
    """
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        if folder := os.environ.get(name):
            return Path(folder) / "cardio"
    home = home_folder()
    return home / ".local" / "state" / "cardio" if home != NO_HOME and home.is_dir() else None


def _place_name(path: Path) -> str:
    return hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:16]
