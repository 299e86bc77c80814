"""The chain of a log, used by the audit log and the journal: the input of each entry's hash, and the check.

It uses no file.

Each entry has a keyed hash over itself and the entry before. The head, sealed by the same key, says where the log ends.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from cardio.errors import UsageError

MOST_ENTRIES = 1 << 53
"""The largest number of an entry: JSON cannot represent greater numbers exactly."""
FIRST = ""
"""The value that stands for the hash of the entry before the first one."""
_MARK_BYTES = 8
_CONTENT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=repr)
_TOLD_EVERY = 500

Progress = Callable[[int, int], None]
"""A function that is told how much of a check is done, and how much there is."""
Row = TypeVar("Row")


class TamperKind(StrEnum):
    CHANGED = "changed"
    MISSING = "missing"
    UNPROVEN = "unproven"
    """The entry after a gap: its hash covers an entry that no longer exists."""
    MOVED = "moved"
    BROKEN_BEFORE = "broken-before"
    """The entry in which the bridge itself recorded that the log was not as it had left it."""
    HEAD_CHANGED = "head-changed"
    HEAD_MISSING = "head-missing"
    SCHEMA_CHANGED = "schema-changed"
    OTHER_THAN_NOTED = "other-than-noted"


@dataclass(frozen=True, slots=True)
class TamperFinding:
    """The numbers of entries that are not as they were written."""

    problem: TamperKind
    first: int
    last: int


class Chain:
    """The keys of one log."""

    def __init__(self, secret: str) -> None:
        self._chain_key = hashlib.sha256(b"chain" + secret.encode()).digest()
        self._card_key = hashlib.sha256(b"card" + secret.encode()).digest()

    def mark(self, identity: bytes) -> str:
        """Return the mark that stands for a card: a keyed hash of its identity (`SecuredCard.identity`)."""
        return hmac.digest(self._card_key, identity, "sha256")[:_MARK_BYTES].hex()

    def hash(self, before: str, number: int, values: Sequence[str]) -> str:
        """Return an entry's hash. JSON keeps the fields apart, so nothing moves from one field into the next unseen."""
        return self._digest(json.dumps([before, number, *values], ensure_ascii=False, separators=(",", ":")))

    def content(self, values: Mapping[str, Any]) -> str:
        """Return the keyed hash of a record's members.

        A member that is None counts as missing, so that a later version of the file can add one.
        """
        given = {name: value for name, value in values.items() if value is not None}
        return self._digest(f"content {_CONTENT.encode(given)}")

    def seal(self, number: int, chain: str) -> str:
        """Return the seal of the head for the entry at the end."""
        return self._digest(f"head {number} {chain}")

    def check_head(self, head: Sequence[Any] | None, number: int, chain: str) -> Iterator[TamperFinding]:
        """Compare the head with the last entry; yield what does not fit.

        Args:
            head: number, hash and seal; None if there is no head.
            number: the number of the last entry; 0 if there is none.
            chain: the hash of the last entry; `FIRST` if there is none.
        """
        if head is None:
            yield TamperFinding(TamperKind.HEAD_MISSING, number, number)
            return
        sealed, of_chain, seal = head
        if not _same(text_of(seal), self.seal(sealed, of_chain)):
            yield TamperFinding(TamperKind.HEAD_CHANGED, number, number)
        elif sealed > number:
            yield TamperFinding(TamperKind.MISSING, number + 1, sealed)
        elif (sealed, of_chain) != (number, chain):
            yield TamperFinding(TamperKind.HEAD_CHANGED, number, number)

    def _digest(self, text: str) -> str:
        return hmac.digest(self._chain_key, _raw(text), "sha256").hex()


@dataclass(slots=True)
class ChainVerifier:
    """The verifier that checks entries in their order."""

    chain: Chain
    noted: Anchor | None = None
    entries: int = 0
    number: int = 0
    last: str = FIRST
    """The number and the hash of the last entry."""
    findings: list[TamperFinding] = field(default_factory=list)
    notes_break: Callable[[Sequence[str]], bool] = lambda texts: False
    """Returns True if an entry says that the log was found broken when it was written."""

    def check(self, number: int, values: Sequence[Any]) -> None:
        """Check the next entry.

        Args:
            number: the number of the entry.
            values: the columns as they stand in the file, the hash at the end.
        """
        *texts, stands = map(text_of, values)
        self.entries += 1
        expected = self.number + 1
        if not expected <= number < MOST_ENTRIES:
            self.add_finding(TamperKind.MOVED, number)
            return
        fits = _same(stands, self.chain.hash(self.last, number, texts))
        if number > expected:
            self.add_finding(TamperKind.MISSING, expected, number - 1)
        if not fits:
            self.add_finding(TamperKind.CHANGED if number == expected else TamperKind.UNPROVEN, number)
        if self.notes_break(texts):
            self.add_finding(TamperKind.BROKEN_BEFORE, number)
        if self.noted is not None and self.noted.number == number and self.noted.chain != stands:
            self.add_finding(TamperKind.OTHER_THAN_NOTED, number)
        self.number, self.last = number, stands

    def end(self, head: Sequence[Any] | None) -> None:
        """Check after the last entry that the head was sealed for it."""
        self.findings += self.chain.check_head(head, self.number, self.last)
        if self.noted is not None and self.noted.number > self.number:
            self.add_finding(TamperKind.MISSING, self.number + 1, self.noted.number)

    def add_finding(self, problem: TamperKind, first: int, last: int | None = None) -> None:
        self.findings.append(TamperFinding(problem, first, first if last is None else last))


def with_progress(rows: Iterable[Row], progress: Progress | None, whole: object, *, before: int = 0) -> Iterator[Row]:
    """Yield rows, and tell now and then how far it is.

    Args:
        rows: the rows.
        progress: the function that is told how far the check is; None for none.
        whole: the number of all rows; a damaged file may name something that is no number, and nothing is told then.
        before: the number of the rows that another walk has had.
    """
    for done, row in enumerate(rows, before):
        if progress is not None and done % _TOLD_EVERY == 0 and isinstance(whole, int) and whole > 0:
            progress(done, whole)
        yield row


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last entry at some time. Noted elsewhere, it shows later that everything up to it is unchanged."""

    number: int
    chain: str

    def __str__(self) -> str:
        return f"{self.number}:{self.chain}"

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """Return the anchor of a text.

        Raises:
            UsageError: the text is no anchor.
        """
        number, colon, chain = text.strip().partition(":")
        if not (number.isascii() and number.isdigit() and len(number) <= len(str(MOST_ENTRIES)) and colon):
            raise UsageError("锚点应为“序号:散列”", "an anchor is number:hash, as verify prints it")
        return cls(int(number), chain)


def in_ranges(findings: Iterable[TamperFinding]) -> Iterator[TamperFinding]:
    """Yield one finding for entries in a row with the same problem."""
    ranges: dict[TamperKind, TamperFinding] = {}
    for one in findings:
        before = ranges.get(one.problem)
        if before is not None and before.first <= one.first <= before.last + 1:
            one = TamperFinding(one.problem, before.first, max(before.last, one.last))
        elif before is not None:
            yield before
        ranges[one.problem] = one
    yield from ranges.values()


def text_of(value: Any) -> str:
    """Return the text of a column; in a damaged file a column may hold anything."""
    return value if isinstance(value, str) else repr(value)


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(_raw(left), _raw(right))


def _raw(text: str) -> bytes:
    """Return a text's bytes as they stand in the file: `SqliteFile` reads invalid UTF-8 as surrogates."""
    return text.encode("utf-8", "surrogateescape")
