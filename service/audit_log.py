"""The audit log: who did what with which card, one entry each, in a chain that shows what was changed afterwards.

Entries are only ever added. Each has a keyed hash over itself and the one before, so that a changed, missing or moved
entry is named by `AuditLog.verify`; the head, sealed by the same key, tells where the log ends. Cards stand in it as
keyed hashes, holders not at all. Whoever has the key file too, or puts an older copy of everything back, is found out
only by an anchor kept elsewhere (`Verification.anchor`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from cardio.errors import UsageError
from service.database_file import DatabaseFile, FileKind
from service.errors import AuditUnavailableError
from service.tokens import load_token

_FIRST = ""
"""What stands for the entry before the first one."""
_MARK_BYTES = 8

_FILE = FileKind(
    name="审计日志",
    name_en="audit log",
    unavailable=AuditUnavailableError,
    version=1,
    # Several bridges of one user share the file: whoever comes second finds everything made.
    schema="""
CREATE TABLE IF NOT EXISTS entry (
  number INTEGER PRIMARY KEY,
  time TEXT NOT NULL,
  origin TEXT NOT NULL,
  grant TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  reader TEXT NOT NULL,
  card_session TEXT NOT NULL,
  card TEXT NOT NULL,
  outcome TEXT NOT NULL,
  request_id TEXT NOT NULL,
  chain TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS entry_by_card ON entry (card, number);
CREATE TABLE IF NOT EXISTS head (
  id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, chain TEXT NOT NULL, seal TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS entry_stays BEFORE DELETE ON entry
  BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER IF NOT EXISTS entry_stays_as_it_is BEFORE UPDATE ON entry
  BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
""",
    # In order on the disk, but not forced onto it at every entry: a clerk does not wait for the disk. What the process
    # has written outlives its end by any signal; only a power cut can take the last moments.
    pragmas={"locking_mode": "normal", "journal_mode": "wal", "synchronous": 1},
    wait_seconds=0.25,
)
BROKEN = "audit-log-broken"
"""The action of an entry that says: what stands before it was not as it was left."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done. Nothing in it says whose card it was, but to whoever has card and key."""

    time: str
    """ISO 8601, UTC."""
    origin: str
    """The page's origin, or ``local``."""
    grant: str
    action: str
    """The route with its method, the driver function, or what the bridge did by itself."""
    target: str = ""
    """The files, or the grant or debit that it was about."""
    reader: str = ""
    card_session: str = ""
    card: str = ""
    """The card's mark (`AuditLog.mark`); empty where it never said who it is."""
    outcome: str = "ok"
    """``ok``, or the code of the error."""
    request_id: str = ""


_COLUMNS = ("number", *(field.name for field in fields(AuditEntry)), "chain")
# Names in full: where somebody has damaged them, nothing else is taken for them.
_ENTRIES = f"SELECT {', '.join(_COLUMNS)} FROM entry"  # noqa: S608 - names of ours
_ADDED = f"INSERT INTO entry ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - as above
_HEAD = "SELECT number, chain, seal FROM head"


@dataclass(frozen=True, slots=True)
class NumberedEntry:
    number: int
    entry: AuditEntry


class Problem(StrEnum):
    CHANGED = "changed"
    MISSING = "missing"
    MOVED = "moved"
    BROKEN_BEFORE = "broken-before"
    """The bridge itself found the log's end other than it had left it, and said so in this entry."""
    HEAD_CHANGED = "head-changed"
    HEAD_MISSING = "head-missing"
    OTHER_THAN_NOTED = "other-than-noted"


@dataclass(frozen=True, slots=True)
class Finding:
    """Entries that are not as they were written, by number."""

    problem: Problem
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Verification:
    """What `AuditLog.verify` found."""

    entries: int
    anchor: str
    """``number:hash`` of the last entry: noted elsewhere, it shows later that everything up to there still stands."""
    findings: tuple[Finding, ...]


class AuditLog:
    """The file and its key. May be used from any thread, and by several processes of one user."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it.

        Raises:
            AuditUnavailableError: it cannot be used.
            ConfigurationError: the key file (beside it, ``.key``) is not as it should be.
        """
        secret = load_token(path.with_suffix(".key")).encode()
        self._chain_key = hashlib.sha256(b"chain" + secret).digest()
        self._card_key = hashlib.sha256(b"card" + secret).digest()
        self._file = DatabaseFile(path, _FILE)

    def mark(self, identity: bytes) -> str:
        """What stands for a card: a keyed hash of who it is (`SecuredCard.identity`)."""
        return hmac.digest(self._card_key, identity, "sha256")[:_MARK_BYTES].hex()

    def append(self, entry: AuditEntry) -> int:
        """Adds an entry and gives its number. Raises: AuditUnavailableError: it could not be written."""
        with self._file.transaction() as database:
            last = database.execute("SELECT number, chain FROM entry ORDER BY number DESC LIMIT 1").fetchone()
            number, chain = (0, _FIRST) if last is None else (last[0], _text(last[1]))
            head = database.execute(_HEAD).fetchone()
            if problems := list(self._check_head(head, number, chain)):
                # Else the new head would cover up what was cut off. A number is never given twice.
                number = max(number, *(one.last for one in problems if one.problem is Problem.MISSING), 0)
                number, chain = self._add(database, number, chain, AuditEntry(now(), "local", "local", BROKEN))
            return self._add(database, number, chain, entry)[0]

    def _add(self, database: sqlite3.Connection, last: int, before: str, entry: AuditEntry) -> tuple[int, str]:
        number = last + 1
        values = [value.encode("utf-8", "replace").decode() for value in astuple(entry)]
        chain = self._hash(before, number, values)
        database.execute(_ADDED, (number, *values, chain))
        database.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?, ?)", (number, chain, self._seal(number, chain)))
        return number, chain

    def entries(self, *, last: int | None = None, card: str | None = None) -> list[NumberedEntry]:
        """The entries in their order: all, or the last so many; of one card, by its mark."""
        with self._file.snapshot() as database:
            rows = database.execute(
                f"{_ENTRIES} WHERE ?1 IS NULL OR card = ?1 ORDER BY number DESC LIMIT ?2",
                (card, -1 if last is None else last),
            ).fetchall()
        return [NumberedEntry(row[0], AuditEntry(*map(_text, row[1:-1]))) for row in reversed(rows)]

    def verify(self, anchor: str | None = None) -> Verification:
        """Every entry against its hash, and the end against the head.

        Args:
            anchor: what an earlier verification said of the end then.

        Raises:
            UsageError: that is no anchor.
            AuditUnavailableError: the file cannot be read at all.
        """
        noted = None if anchor is None else _parsed(anchor)
        findings: list[Finding] = []
        entries, number, chain = 0, 0, _FIRST
        with self._file.snapshot() as database:
            for at, *values in database.execute(f"{_ENTRIES} ORDER BY number"):
                entries += 1
                texts = [_text(value) for value in values]
                findings += self._check(at, texts, number, chain, noted)
                number, chain = max(number, at), texts[-1]
            findings += self._check_head(database.execute(_HEAD).fetchone(), number, chain)
        if noted is not None and noted[0] > number:
            findings.append(Finding(Problem.MISSING, number + 1, noted[0]))
        return Verification(entries, f"{number}:{chain}", tuple(_in_ranges(findings)))

    def _check(
        self, number: int, texts: list[str], last: int, before: str, noted: tuple[int, str] | None
    ) -> Iterator[Finding]:
        *values, chain = texts
        if number <= last:
            yield Finding(Problem.MOVED, number, number)
        elif number > last + 1:
            # Nothing tells any more what the next hash was over: the gap is named, and the chain goes on behind it.
            yield Finding(Problem.MISSING, last + 1, number - 1)
        elif not hmac.compare_digest(_raw(chain), _raw(self._hash(before, number, values))):
            yield Finding(Problem.CHANGED, number, number)
        if AuditEntry(*values).action == BROKEN:
            yield Finding(Problem.BROKEN_BEFORE, number, number)
        if noted is not None and noted[0] == number and noted[1] != chain:
            yield Finding(Problem.OTHER_THAN_NOTED, number, number)

    def _check_head(self, head: Sequence[Any] | None, number: int, chain: str) -> Iterator[Finding]:
        if head is None:
            if number:
                yield Finding(Problem.HEAD_MISSING, number, number)
            return
        sealed, of_chain, seal = head
        if not hmac.compare_digest(_raw(_text(seal)), _raw(self._seal(sealed, of_chain))):
            yield Finding(Problem.HEAD_CHANGED, number, number)
        elif sealed > number:
            yield Finding(Problem.MISSING, number + 1, sealed)
        elif (sealed, of_chain) != (number, chain):
            yield Finding(Problem.HEAD_CHANGED, number, number)

    def close(self) -> None:
        self._file.close()

    def _hash(self, before: str, number: int, values: Sequence[str]) -> str:
        # JSON keeps the fields apart: nothing moves from one into the next unseen.
        text = json.dumps([before, number, *values], ensure_ascii=False, separators=(",", ":"))
        return hmac.digest(self._chain_key, _raw(text), "sha256").hex()

    def _seal(self, number: int, chain: str) -> str:
        return hmac.digest(self._chain_key, _raw(f"head {number} {chain}"), "sha256").hex()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _in_ranges(findings: Iterable[Finding]) -> Iterator[Finding]:
    """What is the same of entries in a row is said once."""
    open_ranges: dict[Problem, Finding] = {}
    for one in findings:
        before = open_ranges.get(one.problem)
        if before is not None and before.first <= one.first <= before.last + 1:
            one = Finding(one.problem, before.first, max(before.last, one.last))
        elif before is not None:
            yield before
        open_ranges[one.problem] = one
    yield from open_ranges.values()


def _text(value: Any) -> str:
    """What a column holds; in a damaged file it may be anything."""
    return value if isinstance(value, str) else repr(value)


def _raw(text: str) -> bytes:
    """As it stands in the file: `DatabaseFile` reads what is no UTF-8 any more as surrogates."""
    return text.encode("utf-8", "surrogateescape")


def _parsed(anchor: str) -> tuple[int, str]:
    """Raises: UsageError: it is no anchor."""
    number, _, chain = anchor.strip().partition(":")
    if not (number.isascii() and number.isdigit() and len(number) < 19 and chain):
        raise UsageError(
            "锚点应为“序号:散列”，如 cardio audit verify 所示", "an anchor is number:hash, as verify prints it"
        )
    return int(number), chain
