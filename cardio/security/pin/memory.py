"""The learnt facts of PIN counts: by family the cost of asking for the count, by card its last count.

Some cards count VERIFY without data as a wrong PIN. Three programs that only ask for the count would block such a card.
So the facts outlive the program: in a small file beside the learnt capabilities, for its owner only. Cards stand in it
as keyed hashes. The file may be deleted at any time; that costs one card of a counting family one try.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from cardio.security.memory_file import MemoryFile, MemoryKind, keyed_hash

FILE = "pin-counts.db"
_CARDS_KEPT = 2_000
_SILENCE_DAYS = 30
_SCHEMA = """
CREATE TABLE IF NOT EXISTS families (family TEXT PRIMARY KEY, kind TEXT NOT NULL, day INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS cards (
    mark BLOB PRIMARY KEY, tries_left INTEGER, asking TEXT NOT NULL, number INTEGER NOT NULL
);
"""
# Facts lost in a power cut are learnt again, so no write waits for the disk.
_KIND = MemoryKind("密码次数文件", "file of PIN counts", _SCHEMA, synchronous="OFF", renew_damaged=True)


class CountQuery(StrEnum):
    """The known cost of asking a family's cards for the count (VERIFY without data)."""

    UNTRIED = "untried"
    """No card of the family has been asked."""
    PROMISING = "promising"
    """One card was asked once and had enough left to ask the next one twice."""
    UNDECIDED = "undecided"
    """One card was asked, and its answer does not show whether the question cost a try."""
    FREE = "free"
    """A card that was asked twice gave the same count."""
    COSTS = "costs"
    """A count fell because of the question: no card of the family is asked again."""
    SILENT = "silent"
    """The answer holds no count, so asking is of no use."""


class CardQuery(StrEnum):
    """The result of asking one card."""

    OPEN = "open"
    FREE = "free"
    """This card was asked, and its count did not fall."""
    IN_VAIN = "in-vain"
    """The card answered without a count, and is not asked again."""


@dataclass(frozen=True, slots=True)
class CardNote:
    """The known facts of one card's PIN."""

    left: int | None = None
    """The last count that the card gave; None if it gave none, or its PIN was right since."""
    asking: CardQuery = CardQuery.OPEN


class PinMemory(Protocol):
    """The memory of families and cards. It may be used from any thread."""

    def query(self, family: str) -> CountQuery:
        """Return the known cost for a family; `CountQuery.UNTRIED` if it cannot be looked up."""

    def keep_query(self, family: str, query: CountQuery) -> bool:
        """Note the known cost for a family; return False if it could not be stored."""

    def card(self, identity: bytes) -> CardNote | None:
        """Return the known facts of a card; None if they cannot be looked up."""

    def keep_card(self, identity: bytes, note: CardNote) -> bool:
        """Note the known facts of a card; return False if they could not be stored."""


class VolatileMemory:
    """A memory that lives as long as the program."""

    def __init__(self) -> None:
        self._families: dict[str, CountQuery] = {}
        self._cards: dict[bytes, CardNote] = {}
        self._only_here: set[bytes] = set()
        """The cards with a note that no memory on a disk has accepted."""
        self._lock = threading.Lock()

    def query(self, family: str) -> CountQuery:
        return self._families.get(family, CountQuery.UNTRIED)

    def keep_query(self, family: str, query: CountQuery) -> bool:
        self._families[family] = query
        return True

    def card(self, identity: bytes) -> CardNote:
        return self._cards.get(hashlib.sha256(identity).digest(), CardNote())

    def keep_card(self, identity: bytes, note: CardNote, *, only_here: bool = False) -> bool:
        mark = hashlib.sha256(identity).digest()
        with self._lock:
            self._cards.pop(mark, None)
            self._cards[mark] = note
            self._only_here.discard(mark)
            if only_here:
                self._only_here.add(mark)
            if len(self._cards) > _CARDS_KEPT:
                oldest = next(iter(self._cards))
                del self._cards[oldest]
                self._only_here.discard(oldest)
        return True

    def is_only_here(self, identity: bytes) -> bool:
        """Return True if the note of a card was made with ``only_here``."""
        return hashlib.sha256(identity).digest() in self._only_here


class CopiedMemory:
    """A memory on a disk that may be full, read-only or locked, with a copy in this program.

    So a card that has said that one try is left is not tried again only because a disk did not accept the note.
    """

    def __init__(self, kept: PinMemory, copy: VolatileMemory) -> None:
        self._kept = kept
        self._copy = copy

    def query(self, family: str) -> CountQuery:
        return self._kept.query(family)

    def keep_query(self, family: str, query: CountQuery) -> bool:
        return self._kept.keep_query(family, query)

    def card(self, identity: bytes) -> CardNote:
        note = self._kept.card(identity)
        # A note of another program is newer than the copy.
        return self._copy.card(identity) if note is None or self._copy.is_only_here(identity) else note

    def keep_card(self, identity: bytes, note: CardNote) -> bool:
        is_kept = self._kept.keep_card(identity, note)
        return self._copy.keep_card(identity, note, only_here=not is_kept)


class PinMemoryFile:
    """A memory that outlives the program; several processes of one user may use it."""

    def __init__(self, path: Path) -> None:
        self._file = MemoryFile(path, _KIND)

    @classmethod
    def next_to(cls, capabilities: Path) -> PinMemoryFile:
        """Return the memory that belongs to a file of learnt capabilities."""
        return cls(capabilities.with_name(FILE))

    def query(self, family: str) -> CountQuery:
        with suppress(sqlite3.Error, OSError, ValueError), self._file.transaction() as database:
            row = database.execute("SELECT kind, day FROM families WHERE family = ?", (family,)).fetchone()
            known = CountQuery.UNTRIED if row is None else CountQuery(row[0])
            # One odd card must not decide for its family without limit.
            old = known is CountQuery.SILENT and not 0 <= date.today().toordinal() - row[1] <= _SILENCE_DAYS
            return CountQuery.UNTRIED if old else known
        return CountQuery.UNTRIED

    def keep_query(self, family: str, query: CountQuery) -> bool:
        with suppress(sqlite3.Error, OSError), self._file.transaction() as database:
            row = (family, query.value, date.today().toordinal())
            database.execute("INSERT OR REPLACE INTO families VALUES (?, ?, ?)", row)
            return True
        return False

    def card(self, identity: bytes) -> CardNote | None:
        with suppress(sqlite3.Error, OSError, ValueError), self._file.transaction() as database:
            mark = keyed_hash(database, identity)
            row = database.execute("SELECT tries_left, asking FROM cards WHERE mark = ?", (mark,)).fetchone()
            return CardNote() if row is None else CardNote(row[0], CardQuery(row[1]))
        return None

    def keep_card(self, identity: bytes, note: CardNote) -> bool:
        with suppress(sqlite3.Error, OSError), self._file.transaction() as database:
            mark = keyed_hash(database, identity)
            database.execute("DELETE FROM cards WHERE mark = ?", (mark,))
            if note != CardNote():
                (last,) = database.execute("SELECT coalesce(max(number), 0) FROM cards").fetchone()
                row = (mark, note.left, note.asking.value, last + 1)
                database.execute("INSERT INTO cards VALUES (?, ?, ?, ?)", row)
                database.execute("DELETE FROM cards WHERE number <= ?", (last + 1 - _CARDS_KEPT,))
            return True
        return False
