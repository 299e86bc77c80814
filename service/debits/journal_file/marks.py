"""Marks of a journal, kept outside its file: how far it had come, and which file it was.

A journal that is older than its mark, or another one, was restored or copied. The mark is written before each debit is
sent. It is not forced onto the disk each time: what a process has written outlives its end by any signal, and after a
power cut a mark that lags behind accepts a copy of the last seconds at most.
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
"""One sector: written in place, whole or not at all."""
_NAME, _NAME_EN = "消费日志的标记", "mark of the journal of debits"


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Which file a journal is: what a copy has otherwise."""

    machine: str
    """Keyed hash of the machine's id; empty where it has none."""
    inode: int
    generation: int
    """The file system tells by it a new file from a removed one whose inode it has; 0 where it does not say."""
    size: int
    modified: int
    """Of the database without its write-ahead log, in nanoseconds: only the bridge writes it."""

    def same_file(self, other: FileIdentity) -> bool:
        return (self.inode, self.generation) == (other.inode, other.generation)

    def same_content(self, other: FileIdentity) -> bool:
        """Some file systems keep times in steps of two seconds."""
        return self.size == other.size and abs(self.modified - other.modified) <= 2_000_000_000


@dataclass(frozen=True, slots=True)
class JournalMark:
    """How far a journal had come at least."""

    number: int
    chain: str
    """The number of a step, and its hash."""
    identity: FileIdentity
    checkpointing: bool = False
    """The database was just being written: its size and time are not known."""


class UnreadableMarkError(Exception):
    """There is a mark, and it says nothing that can be believed."""


class MarkFile:
    """One mark."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, chain: Chain | None) -> JournalMark | None:
        """Return the mark, or None where there is no file.

        Args: ``chain``: with its key the seal is checked; without it every mark is unreadable.

        Raises:
            UnreadableMarkError: what is there is no mark of this journal.
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
        """Raises: OSError: it cannot be written."""
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
    """The marks of one journal: one beside it, and one elsewhere, which no backup of its folder has."""

    def __init__(self, path: Path, elsewhere: Path | None = None) -> None:
        """Args: ``elsewhere``: a folder; it holds the marks of several journals."""
        self.files = [MarkFile(path.with_name(f".{path.name}.mark"))]
        if elsewhere is not None:
            self.files.append(MarkFile(elsewhere / f"journal-{_place_name(path)}.mark"))
        self.last: JournalMark | None = None

    @property
    def exist(self) -> bool:
        """Return whether there was a journal here before: also where its file is gone."""
        return any(os.path.lexists(one.path) for one in self.files)

    def drop_what_cannot_be_kept(self) -> None:
        """Leave out the mark elsewhere where its folder cannot be written, as for a user without a home."""
        kept = []
        for one in self.files[1:]:
            with suppress(OSError):
                make_folder(one.path.parent)
                if os.access(one.path.parent, os.W_OK):
                    kept.append(one)
        self.files[1:] = kept

    def write(self, mark: JournalMark, chain: Chain, *, synced: bool = False) -> None:
        """Raises: OSError: one of them cannot be written."""
        for one in self.files:
            one.write(mark, chain, synced=synced)
        self.last = mark

    def raise_to(self, number: int, chain_end: str, chain: Chain) -> None:
        """Say that the journal has come so far. Raises: OSError: one of them cannot be written."""
        assert self.last is not None  # noqa: S101 - a journal that is open has its marks
        self.write(replace(self.last, number=number, chain=chain_end), chain)


def elsewhere_folder() -> Path | None:
    """``$XDG_STATE_HOME/cardio``; else, for a service without a home, ``$XDG_CACHE_HOME/cardio``; else
    ``~/.local/state/cardio``; None: there is no such place."""
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        if folder := os.environ.get(name):
            return Path(folder) / "cardio"
    home = home_folder()
    return home / ".local" / "state" / "cardio" if home != NO_HOME and home.is_dir() else None


def _place_name(path: Path) -> str:
    return hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:16]
