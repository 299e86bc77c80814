"""The answers of cards to keys: the refused keys, the tries that are left, and the SAMs that many cards refuse.

A card blocks a key permanently after a few refusals, so its answers must outlive the program. They are in a small file
beside the learnt capabilities, shared by the commands and the bridges of this user. Cards, SAMs and keys stand in it as
keyed hashes.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cardio.filesystem.capabilities import CapabilityCache
from cardio.security.errors import KeyMemoryError
from cardio.security.memory_file import MemoryFile, MemoryFileError, MemoryKind, keyed_hash

FILE, SIMULATED_FILE = "refused-keys.db", "simulated-refused-keys.db"
CARDS_IN_A_ROW = 3
"""The number of different cards in a row that must refuse one key of a SAM before the SAM counts as faulty."""
ASSUMED_TRIES = 3
"""The assumed number of tries of a key when the card has not given one: most issuers set this number."""
_CARDS_KEPT = 20_000
_FORGED_KEPT = 100
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tries (
    card BLOB NOT NULL, key TEXT NOT NULL, tries_left INTEGER NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (card, key)
);
CREATE TABLE IF NOT EXISTS refusals (
    card BLOB NOT NULL, key TEXT NOT NULL, sam BLOB NOT NULL, probe BLOB, until REAL,
    PRIMARY KEY (card, key, sam)
);
CREATE TABLE IF NOT EXISTS rows_of_refusals (
    sam BLOB NOT NULL, key TEXT NOT NULL, card BLOB NOT NULL, proved INTEGER NOT NULL, place TEXT NOT NULL,
    city TEXT NOT NULL, algorithm TEXT NOT NULL, probe BLOB, number INTEGER NOT NULL, time REAL NOT NULL,
    PRIMARY KEY (sam, key, card)
);
CREATE TABLE IF NOT EXISTS rows_of_forged (
    sam BLOB NOT NULL, card BLOB NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (sam, card)
);
CREATE TABLE IF NOT EXISTS accepted (
    sam BLOB NOT NULL, key TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (sam, key)
);
"""
_KIND = MemoryKind(
    "密钥拒绝记录", "record of refused keys", _SCHEMA, synchronous="FULL", renew_damaged=False
)  # a damaged file may lose known refusals, which would cost tries: a person decides


@dataclass(frozen=True, slots=True)
class Presenter:
    """The SAM of this desk, or the caller's own HSM, that computes with a key before one card. It contains no key."""

    identity: bytes
    """The identity of this SAM: another SAM, or one whose keys were changed, has another identity."""
    place: str = ""
    """The name of the SAM for people."""
    city: str = ""
    algorithm: str = ""
    probe: Callable[[str], bytes | None] | None = None
    """A function that returns the result of the named key of this card for a fixed challenge; the result is the same as
    long as the SAM holds the same key.
    """
    probe_of_sam: Callable[[str, str, str], bytes | None] | None = None
    """The same function for an imagined card: by key, city and algorithm."""
    seconds: float | None = None
    """The time for which a refusal counts, in seconds; None: without limit, because a change of the keys would be
    noticed.
    """


@dataclass(frozen=True, slots=True)
class RefusedKey:
    """A key of a presenter that a card has refused."""

    key: str
    probe: bytes | None


@dataclass(frozen=True, slots=True)
class CardNotes:
    """The facts that are known before a key is presented."""

    tries_left: int | None
    """The number of tries that this key has at least; None: nothing is known."""
    refusals: tuple[RefusedKey, ...]
    """The keys of this presenter that this card has refused, of any name."""
    refused_elsewhere: tuple[bytes, ...]
    """The probes of this key in other presenters, from the time when this card refused it."""
    row: tuple[RowRefusal, ...]
    """The refusals that prove that this SAM is at fault for this key; none where it is not."""


@dataclass(frozen=True, slots=True)
class RowRefusal:
    """One of the refusals in a row that prove that a SAM is at fault."""

    key: str
    city: str
    algorithm: str
    probe: bytes | None


@dataclass(frozen=True, slots=True)
class SamAtFault:
    """A SAM that several cards in a row have refused."""

    place: str
    key: str
    cards: int
    proved: bool
    """True if cards that proved themselves have refused it; else it is at fault only for cards without a proof."""
    since: float
    """Seconds since 1970."""

    @property
    def message(self) -> tuple[str, str]:
        """Return a sentence for people, in Chinese and English."""
        return (
            f"{self.place}：连续 {self.cards} 张卡片拒绝了密钥 {self.key}",
            f"{self.place}: {self.cards} cards in a row have refused the key {self.key}",
        )


class KeyMemory:
    """The memory in one file, or without a path in one process. It may be used from any thread."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._file = MemoryFile(path, _KIND)
        self._clock = clock

    @classmethod
    def next_to(cls, capabilities: Path, *, simulated: bool = False) -> KeyMemory:
        """Return the memory that belongs to a file of learnt capabilities.

        Args:
            capabilities: the file of learnt capabilities.
            simulated: the memory of cards in simulated readers, whose refusals say nothing about real ones.
        """
        return cls(capabilities.with_name(SIMULATED_FILE if simulated else FILE))

    @classmethod
    def of_store(cls, store: CapabilityCache, *, simulated: bool = False) -> KeyMemory | None:
        """Return the memory beside a store of learnt capabilities; None if that store has no file."""
        return None if store.path is None else cls.next_to(store.path, simulated=simulated)

    @property
    def exists(self) -> bool:
        """Return True if the memory exists; the question does not create the file."""
        return self.path is None or os.path.lexists(self.path)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._file.transaction() as database:
                yield database
        except MemoryFileError as error:
            raise KeyMemoryError(error.detail, error.detail_en) from error

    def card_notes(self, card: bytes, key: str, presenter: Presenter, *, proved: bool) -> CardNotes:
        """Return the facts that are known before a key is presented to a card.

        Args:
            card: identifies the card.
            key: the name of the key.
            presenter: the SAM that computes with the key.
            proved: the card has proved that it is genuine.

        Raises:
            KeyMemoryError: they cannot be looked up.
        """
        with self._transaction() as database:
            mark, sam = keyed_hash(database, b"card", card), keyed_hash(database, b"sam", presenter.identity)
            tries = database.execute("SELECT tries_left FROM tries WHERE card = ? AND key = ?", (mark, key)).fetchone()
            now = self._clock()
            refusals = database.execute(
                "SELECT key, sam, probe FROM refusals WHERE card = ? AND (until IS NULL OR until > ?)", (mark, now)
            ).fetchall()
            return CardNotes(
                None if tries is None else tries[0],
                tuple(RefusedKey(name, probe) for name, whose, probe in refusals if whose == sam),
                tuple(probe for name, whose, probe in refusals if whose != sam and name == key and probe is not None),
                _row_against(database, sam, key, proved=proved),
            )

    def hashed(self, value: bytes | None) -> bytes | None:
        """Return the mark of a probe, to compare with the stored marks.

        Raises:
            KeyMemoryError: the file cannot be used.
        """
        if value is None:
            return None
        with self._transaction() as database:
            return keyed_hash(database, b"probe", value)

    def note_try(self, card: bytes, key: str, tries_left: int) -> None:
        """Note that a try is about to be spent, and how many will be left: the answer may never come.

        Raises:
            KeyMemoryError: it cannot be noted.
        """
        with self._transaction() as database:
            _set_tries(database, keyed_hash(database, b"card", card), key, tries_left)

    def restore(self, card: bytes, key: str, tries_left: int | None) -> None:
        """Note that no try was spent.

        Raises:
            KeyMemoryError: it cannot be noted.
        """
        with self._transaction() as database:
            mark = keyed_hash(database, b"card", card)
            if tries_left is None:
                database.execute("DELETE FROM tries WHERE card = ? AND key = ?", (mark, key))
            else:
                _set_tries(database, mark, key, tries_left)

    def refused(
        self,
        card: bytes,
        key: str,
        presenter: Presenter,
        tries_left: int | None,
        *,
        proved: bool,
        probe: bytes | None = None,
        probe_of_sam: bytes | None = None,
    ) -> None:
        """Note that a card refused a key.

        Args:
            card: identifies the card.
            key: the name of the key.
            presenter: the SAM that computed with the key.
            tries_left: the number that the card gives; None keeps the number that `note_try` has noted.
            proved: the card has proved that it is genuine.
            probe: the result of this card's key for a fixed challenge.
            probe_of_sam: the same for an imagined card.

        Raises:
            KeyMemoryError: it cannot be noted.
        """
        with self._transaction() as database:
            mark, sam = keyed_hash(database, b"card", card), keyed_hash(database, b"sam", presenter.identity)
            if tries_left is not None:
                _set_tries(database, mark, key, tries_left)
            until = None if presenter.seconds is None else self._clock() + presenter.seconds
            kept = None if probe is None else keyed_hash(database, b"probe", probe)
            database.execute("INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?, ?)", (mark, key, sam, kept, until))
            if presenter.probe_of_sam is None:
                return
            of_sam = None if probe_of_sam is None else keyed_hash(database, b"probe", probe_of_sam)
            row = (sam, key, mark, proved, presenter.place, presenter.city, presenter.algorithm, of_sam)
            database.execute(
                "INSERT OR REPLACE INTO rows_of_refusals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, _next_number(database), self._clock()),
            )

    def accepted(self, card: bytes, key: str, presenter: Presenter, *, proved: bool) -> None:
        """Note that a card accepted a key: its tries are restored, and the SAM is not at fault for this key.

        Raises:
            KeyMemoryError: it cannot be noted.
        """
        with self._transaction() as database:
            mark, sam = keyed_hash(database, b"card", card), keyed_hash(database, b"sam", presenter.identity)
            for table in ("tries", "refusals"):
                database.execute(f"DELETE FROM {table} WHERE card = ? AND key = ?", (mark, key))  # noqa: S608 - names of ours
            # A card without a proof may accept any key, so it clears only the refusals of cards without a proof.
            database.execute(
                "DELETE FROM rows_of_refusals WHERE sam = ? AND key = ? AND proved <= ?", (sam, key, proved)
            )
            others = database.execute("SELECT count(*) FROM rows_of_refusals WHERE sam = ?", (sam,)).fetchone()[0]
            if others and proved:
                number = _next_number(database)
                database.execute("INSERT OR REPLACE INTO accepted VALUES (?, ?, ?)", (sam, key, number))
            elif not others:
                database.execute("DELETE FROM accepted WHERE sam = ?", (sam,))

    def found_forged(self, card: bytes, sam: bytes) -> int:
        """Note that a SAM has found a card's proof wrong; return the number of different cards in a row with that
        result.

        Raises:
            KeyMemoryError: it cannot be noted.
        """
        with self._transaction() as database:
            mark, whose = keyed_hash(database, b"card", card), keyed_hash(database, b"sam", sam)
            (last,) = database.execute("SELECT coalesce(max(number), 0) FROM rows_of_forged").fetchone()
            database.execute("INSERT OR REPLACE INTO rows_of_forged VALUES (?, ?, ?)", (whose, mark, last + 1))
            database.execute("DELETE FROM rows_of_forged WHERE number <= ?", (last + 1 - _FORGED_KEPT,))
            found = database.execute("SELECT count(*) FROM rows_of_forged WHERE sam = ?", (whose,)).fetchone()
            return int(found[0])

    def note_genuine(self, sam: bytes) -> None:
        """Note that a SAM has found a card genuine, so it has the right keys.

        Raises:
            KeyMemoryError: it cannot be noted.
        """
        if not self.exists:
            return
        with self._transaction() as database:
            database.execute("DELETE FROM rows_of_forged WHERE sam = ?", (keyed_hash(database, b"sam", sam),))

    def stopped_sams(self) -> tuple[SamAtFault, ...]:
        """Return the SAMs that are stopped, with their names for people.

        Raises:
            KeyMemoryError: they cannot be looked up.
        """
        with self._transaction() as database:
            found = database.execute(
                "SELECT max(place), key, count(*), sum(proved), max(time) FROM rows_of_refusals"
                " GROUP BY sam, key HAVING count(*) >= ? ORDER BY max(number)",
                (CARDS_IN_A_ROW,),
            ).fetchall()
        return tuple(
            SamAtFault(place, key, cards, proved >= CARDS_IN_A_ROW, since) for place, key, cards, proved, since in found
        )

    def resume(self, presenter: Presenter | None = None) -> int:
        """Forget the evidence against one SAM, or against all. The refusals of single cards stay known.

        Returns:
            the number of refusals that were forgotten.

        Raises:
            KeyMemoryError: it cannot be noted.
        """
        with self._transaction() as database:
            sam = None if presenter is None else keyed_hash(database, b"sam", presenter.identity)
            database.execute("DELETE FROM accepted WHERE sam = coalesce(?, sam)", (sam,))
            return database.execute("DELETE FROM rows_of_refusals WHERE sam = coalesce(?, sam)", (sam,)).rowcount

    def forget(self, card: bytes) -> int:
        """Forget the refusals of one card and the tries of its keys, because a person says that they are restored.

        Returns:
            the number of keys with known refusals or tries.

        Raises:
            KeyMemoryError: it cannot be noted.
        """
        with self._transaction() as database:
            mark = keyed_hash(database, b"card", card)
            database.execute("DELETE FROM refusals WHERE card = ?", (mark,))
            return database.execute("DELETE FROM tries WHERE card = ?", (mark,)).rowcount

    def check(self) -> None:
        """Create the file if there is none, and check that it can be read and written.

        Raises:
            KeyMemoryError: it cannot be read or written.
        """
        with self._transaction() as database:
            keyed_hash(database, b"")

    def require_place(self) -> None:
        """Check that a file that does not exist yet can be created; create nothing.

        Raises:
            KeyMemoryError: it cannot be created.
        """
        if self.path is None or self.exists:
            return
        place = next(folder for folder in self.path.parents if os.path.lexists(folder))
        if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
            raise KeyMemoryError(f"{place} 不可写", f"{place} cannot be written")


def _row_against(database: sqlite3.Connection, sam: bytes, key: str, *, proved: bool) -> tuple[RowRefusal, ...]:
    """Return the refusals that prove a SAM at fault, for a key that no card has accepted since they began."""
    rows = database.execute(
        "SELECT key, min(number) FROM rows_of_refusals WHERE sam = ? AND proved >= ? GROUP BY key HAVING count(*) >= ?",
        (sam, proved, CARDS_IN_A_ROW),
    ).fetchall()
    taken = database.execute("SELECT number FROM accepted WHERE sam = ? AND key = ?", (sam, key)).fetchone()
    at_fault = [name for name, began in rows if name == key or taken is None or taken[0] < began]
    if not at_fault:
        return ()
    found = database.execute(
        "SELECT city, algorithm, probe FROM rows_of_refusals WHERE sam = ? AND key = ? ORDER BY number DESC LIMIT 1",
        (sam, at_fault[0]),
    ).fetchone()
    return (RowRefusal(at_fault[0], *found),)


def _set_tries(database: sqlite3.Connection, card: bytes, key: str, tries_left: int) -> None:
    number = _next_number(database)
    database.execute("INSERT OR REPLACE INTO tries VALUES (?, ?, ?, ?)", (card, key, tries_left, number))
    many = database.execute("SELECT count(*) FROM tries").fetchone()[0] - _CARDS_KEPT
    if many > 0:
        # Keys with one try left are the most important, so they are deleted last.
        database.execute(
            "DELETE FROM tries WHERE rowid IN (SELECT rowid FROM tries ORDER BY tries_left <= 1, number LIMIT ?)",
            (many,),
        )
        database.execute("DELETE FROM refusals WHERE card NOT IN (SELECT card FROM tries)")


def _next_number(database: sqlite3.Connection) -> int:
    (last,) = database.execute(
        "SELECT max(coalesce((SELECT max(number) FROM tries), 0),"
        " coalesce((SELECT max(number) FROM rows_of_refusals), 0), coalesce((SELECT max(number) FROM accepted), 0))"
    ).fetchone()
    return int(last) + 1
