"""The journal of debits: SQLite, on disk before money moves (`cardio.settlement` has the steps).

Cards and orders stand in it as keyed hashes; amounts, terminals, numbers and proofs as they are, for whoever books
them. What a debit came to and that it is to be booked are one row, so they are on disk together or not at all.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

from cardio.debit_errors import NumberUsedError, SameSecondError
from cardio.errors import CardChangedError, CardioError
from cardio.settlement import (
    BEFORE_SENT,
    MAY_FOLLOW,
    NOBODY_KNOWS,
    TO_BE_BOOKED,
    DebitIntent,
    DebitState,
    StepFacts,
    result_of,
)
from service.database_file import DatabaseFile
from service.debit_answers import DebitShown
from service.delivery.decisions import CONTRADICTED, DecisionRecords
from service.delivery.records import AnswersUnderWay, DeliveryRecords
from service.errors import (
    DebitInFlightError,
    JournalKeyLostError,
    JournalStepError,
    NoSuchDebitError,
    OtherOrderError,
)
from service.journal_schema import JOURNAL_FILE
from service.tokens import load_token

_MARKED = "cardio journal of debits"
"""Its keyed hash tells whether the key is still the one."""
_BY_KEY = "SELECT * FROM debit WHERE owner = ? AND idempotency_key = ?"


class Journal:
    """Every debit that was ever asked for. Its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it; what a crash has left in it is set right: what was not sent is aborted, what
        was sent is unknown.

        Raises:
            JournalUnavailableError: it cannot be used, or another process has it.
            JournalKeyLostError: its key file is missing, or another one's: no card would be known again.
            ConfigurationError: the key file is not as it should be.
        """
        self._working: dict[str, JournalEntry] = {}
        """Who works on a debit right now, by its id."""
        self.under_way = AnswersUnderWay()
        key = path.with_suffix(".key")
        if path.is_file() and path.stat().st_size and not key.exists():
            raise JournalKeyLostError(f"缺少 {key}", f"{key} is missing")
        self._key = hashlib.sha256(load_token(key).encode()).digest()
        self._file = DatabaseFile(path, JOURNAL_FILE)
        self.delivery = DeliveryRecords(self._file, self._hash)
        self.decisions = DecisionRecords(self._file, self._hash)
        try:
            self._set_right()
        except CardioError:
            self._file.close()
            raise

    def _set_right(self) -> None:
        with self._file.transaction() as database:
            database.execute("INSERT OR IGNORE INTO key_mark VALUES (1, ?)", (self._hash(_MARKED),))
            (mark,) = database.execute("SELECT mark FROM key_mark").fetchone()
            if not hmac.compare_digest(mark, self._hash(_MARKED)):
                raise JournalKeyLostError("密钥文件不是该日志的", "the key file is not this journal's")
            for left, right in ((BEFORE_SENT, DebitState.ABORTED), ({DebitState.SENT}, DebitState.UNKNOWN)):
                database.execute(
                    f"UPDATE debit SET state = ?, reason = 'crash', changed = ? WHERE state IN ({_marks(left)})",  # noqa: S608 - marks and names of ours
                    (right, _now(), *left),
                )

    # -- taking up a debit ----------------------------------------------------------------------

    def take(self, owner: str, idempotency_key: str, asked: str) -> JournalEntry:
        """The debit that somebody asks for by a key: a new one, or the one that has it already.

        One that ended before anything was sent begins anew, whatever it asked for; all others are as they stand. It is
        the caller's until `JournalEntry.release`.

        Args:
            owner: the page's origin, or ``local``: keys of different owners have nothing to do with each other.
            asked: what is asked for, as one text; the journal keeps its keyed hash.

        Raises:
            OtherOrderError: by this key a card was told to do something else, or is about to be.
            DebitInFlightError: somebody works on it right now.
            JournalUnavailableError: the disk is full, or the like.
        """
        with self._file.lock:
            return self._worked_on(*self._taken(owner, idempotency_key, self._hash(asked)))

    def _taken(self, owner: str, idempotency_key: str, digest: str) -> tuple[str, int]:
        now = _now()
        with self._file.transaction() as database:
            row = database.execute(_BY_KEY, (owner, idempotency_key)).fetchone()
            if row is None:
                debit_id = secrets.token_hex(8)
                database.execute(
                    "INSERT INTO debit (id, owner, idempotency_key, asked, state, created, changed)"
                    " VALUES (?, ?, ?, ?, 'new', ?, ?)",
                    (debit_id, owner, idempotency_key, digest, now, now),
                )
                return debit_id, 1
            state = DebitState(row["state"])
            ended_unsent = state in BEFORE_SENT or (state is DebitState.ABORTED and not row["sent"])
            if row["asked"] != digest and (row["id"] in self._working or not ended_unsent):
                raise OtherOrderError()
            if row["id"] in self._working:
                raise DebitInFlightError()
            if not ended_unsent:
                return row["id"], row["attempt"]
            database.execute(
                "UPDATE debit SET state = 'new', attempt = attempt + 1, card = NULL, number = NULL, terminal = NULL,"
                " time = NULL, intent = NULL, reason = '', asked = ?, changed = ? WHERE id = ?",
                (digest, now, row["id"]),
            )
            return row["id"], row["attempt"] + 1

    def find(self, owner: str, idempotency_key: str) -> JournalEntry | None:
        """The debit with a key, whatever it asked for; it is the caller's until it is released.

        Raises:
            DebitInFlightError: somebody works on it right now.
        """
        with self._file.lock:
            return self._found(_BY_KEY, (owner, idempotency_key))

    def open_on(self, card: bytes) -> JournalEntry | None:
        """The oldest debit on this card of which nobody knows what became of it. As `find`."""
        query = f"SELECT * FROM debit WHERE card = ? AND state IN ({_marks(NOBODY_KNOWS)}) ORDER BY created"  # noqa: S608 - marks and names of ours
        with self._file.lock:
            return self._found(query, (self._hash(card), *NOBODY_KNOWS))

    def _found(self, query: str, values: Iterable[str]) -> JournalEntry | None:
        with self._file.transaction() as database:
            row = database.execute(query, tuple(values)).fetchone()
        return None if row is None else self._worked_on(row["id"], row["attempt"])

    def _worked_on(self, debit_id: str, attempt: int) -> JournalEntry:
        if debit_id in self._working:
            raise DebitInFlightError()
        unsent = DebitState(self.row(debit_id)["state"]) in BEFORE_SENT
        entry = self._working[debit_id] = JournalEntry(self, debit_id, attempt, unsent=unsent)
        return entry

    def resume(self, entry: JournalEntry) -> None:
        """Takes up again what was released. Raises: DebitInFlightError: somebody else works on it right now."""
        with self._file.lock:
            if self._working.get(entry.id, entry) is not entry:
                raise DebitInFlightError()
            self._working[entry.id] = entry

    def release(self, entry: JournalEntry) -> None:
        with self._file.lock:
            if self._working.get(entry.id) is entry:
                del self._working[entry.id]

    # -- one debit's steps ----------------------------------------------------------------------

    def row(self, debit_id: str) -> sqlite3.Row:
        """Raises: NoSuchDebitError."""
        with self._file.transaction() as database:
            found: sqlite3.Row | None = database.execute("SELECT * FROM debit WHERE id = ?", (debit_id,)).fetchone()
        if found is None:
            raise NoSuchDebitError()
        return found

    def meet(self, debit_id: str, attempt: int, card: bytes) -> None:
        """Raises: CardChangedError: the debit is another card's."""
        digest = self._hash(card)
        with self._file.transaction() as database:
            known = self.row(debit_id)["card"]
            if known is None:
                database.execute("UPDATE debit SET card = ? WHERE id = ? AND attempt = ?", (digest, debit_id, attempt))
            elif not hmac.compare_digest(known, digest):
                raise CardChangedError(
                    "读卡器中不是该笔消费的卡，请放回原卡", "this is not the card of that debit: put that one back"
                )

    def move(self, debit_id: str, attempt: int, to: DebitState, **facts: Unpack[StepFacts]) -> None:
        """Takes one step; it is on disk when this returns.

        Args: ``attempt``: whose step it is; an earlier attempt's thread that comes back takes none.

        Raises:
            JournalStepError: the step may not follow.
            SameSecondError: there is one of this card and terminal at this very time.
            NumberUsedError: there is one of this card and terminal by this very number.
            JournalUnavailableError: it cannot be written; the step is not taken.
        """
        changes: dict[str, Any] = {"reason": facts.get("reason", "")}
        if to is DebitState.SENT:
            changes["sent"] = 1
        if facts.get("doubted"):
            changes["doubted"] = 1
        if (at := facts.get("at")) is not None:
            changes["changed"] = at.isoformat()
        if to is DebitState.DELIVERED:
            changes["handed_over"] = changes.get("changed", _now())
        if (intent := facts.get("intent")) is not None:
            changes |= {
                "intent": intent.model_dump_json(), "number": intent.transaction_number,
                "terminal": intent.terminal_number, "time": intent.time,
            }  # fmt: skip
        if (result := facts.get("result")) is not None:
            changes["result"] = result.model_dump_json()
        try:
            with self._file.transaction() as database:
                if to is DebitState.INITIALISED:
                    # A card that begins a debit has forgotten any that it had begun before.
                    database.execute(
                        f"UPDATE debit SET state = 'aborted', reason = 'superseded', changed = ?"  # noqa: S608 - marks and names of ours
                        f" WHERE state IN ({_marks(BEFORE_SENT)}) AND id <> ?"
                        " AND card = (SELECT card FROM debit WHERE id = ?)",
                        (_now(), *BEFORE_SENT, debit_id, debit_id),
                    )
                _step(database, debit_id, to, changes, attempt=attempt, unsent=facts.get("unsent", False))
        except sqlite3.IntegrityError as error:
            raise (SameSecondError() if "debit.time" in str(error) else NumberUsedError()) from error

    # -- who books them -------------------------------------------------------------------------

    def settle(self, debit_id: str) -> None:
        """It is booked; a second time does nothing. Raises: JournalStepError, NoSuchDebitError."""
        with self._file.transaction() as database:
            if self.row(debit_id)["state"] != DebitState.SETTLED:
                _step(database, debit_id, DebitState.SETTLED, {"reason": ""})

    def decide(self, debit_id: str, *, done: bool) -> None:
        """A person says what became of a debit that nobody knows. Raises: JournalStepError, NoSuchDebitError."""
        with self._file.lock, self._file.transaction() as database:
            row = self.row(debit_id)
            if debit_id in self._working:
                raise DebitInFlightError()
            if DebitState(row["state"]) not in NOBODY_KNOWS:
                raise JournalStepError("该笔消费没有疑问", "there is nothing to be cleared up")
            outcome = "done" if done else "none"
            changes: dict[str, Any] = {"reason": "person", "acknowledged": _now(), "decided": outcome}
            if row["reason"] == CONTRADICTED:
                changes["number"] = None  # by the card's own record it may be another debit's
            if done:
                intent = DebitIntent.model_validate_json(row["intent"])
                changes["result"] = result_of(intent, None, "person").model_dump_json()
            _step(database, debit_id, DebitState.COMMITTED if done else DebitState.ABORTED, changes)

    def shown(self, debit_id: str) -> DebitShown:
        """Raises: NoSuchDebitError."""
        return DebitShown.of_row(dict(self.row(debit_id)))

    def entry(self, debit_id: str) -> JournalEntry:
        """Return a debit for a step that needs no card. Raises: NoSuchDebitError."""
        return JournalEntry(self, debit_id, self.row(debit_id)["attempt"])

    def listed(self, owner: str | None, *, all_states: bool = False, limit: int = 500) -> list[DebitShown]:
        """Those that somebody has still to do with: what nobody knows first, else the newest first.

        Args: ``owner`` None lists everybody's. ``all_states``: those that are over too.
        """
        wanted = set(DebitState) if all_states else TO_BE_BOOKED | NOBODY_KNOWS
        with self._file.transaction() as database:
            rows = database.execute(
                f"SELECT * FROM debit WHERE (? IS NULL OR owner = ?) AND state IN ({_marks(wanted)})"  # noqa: S608 - marks and names of ours
                f" ORDER BY state IN ({_marks(NOBODY_KNOWS)}) DESC, created DESC, rowid DESC LIMIT ?",
                (owner, owner, *wanted, *NOBODY_KNOWS, limit),
            ).fetchall()
        return [DebitShown.of_row(dict(row)) for row in rows]

    def counts(self) -> dict[DebitState, int]:
        """How many debits are in each state."""
        with self._file.transaction() as database:
            rows = database.execute("SELECT state, count(*) AS n FROM debit GROUP BY state").fetchall()
        return {DebitState(row["state"]): row["n"] for row in rows}

    def close(self) -> None:
        self._file.close()

    def _hash(self, value: str | bytes) -> str:
        raw = value if isinstance(value, bytes) else value.encode()
        return hmac.new(self._key, raw, hashlib.sha256).hexdigest()


class JournalEntry:
    """One debit of the journal (`cardio.settlement.DebitEntry`), for one attempt at it."""

    def __init__(self, journal: Journal, debit_id: str, attempt: int, *, unsent: bool = False) -> None:
        """Args: ``unsent``: as it was taken up, no card had been told of it."""
        self.id = debit_id
        self.journal = journal
        self.took: list[JournalEntry] = []
        """Other debits that were taken up on the way, and are let go with this one."""
        self._attempt = attempt
        self._unsent = unsent
        self._withdrawn = False
        self._gate = threading.Lock()

    @property
    def state(self) -> DebitState:
        return DebitState(self.journal.row(self.id)["state"])

    @property
    def intent(self) -> DebitIntent | None:
        kept = self.journal.row(self.id)["intent"]
        return None if kept is None else DebitIntent.model_validate_json(kept)

    @property
    def doubted(self) -> bool:
        return bool(self.journal.row(self.id)["doubted"])

    @property
    def told_unknown(self) -> bool:
        """Its caller was told that its outcome was not known."""
        return bool(self.journal.row(self.id)["told_unknown"])

    def meet(self, card: bytes) -> None:
        self.journal.meet(self.id, self._attempt, card)

    def move(self, to: DebitState, **facts: Unpack[StepFacts]) -> None:
        if to is not DebitState.SENT:
            self.journal.move(self.id, self._attempt, to, **facts)
            return
        with self._gate:
            if self._withdrawn:
                raise JournalStepError("该笔消费已撤回", "the debit was withdrawn before it was sent")
            self._unsent = False
            try:
                self.journal.move(self.id, self._attempt, to, **facts)
            except CardioError:
                self._unsent = True  # the card is not told of what could not be written
                raise

    def withdraw(self) -> bool:
        """Keep the card from being told from now on; return False if it may have been told.

        It needs no journal: this is how a debit ends whose journal can no longer be read.
        """
        with self._gate:
            self._withdrawn |= self._unsent
            return self._unsent

    def shown(self) -> DebitShown:
        return self.journal.shown(self.id)

    def release(self) -> None:
        """Somebody else may take it up, and what it took; a second time does nothing."""
        for other in self.took:
            other.release()
        self.journal.release(self)

    def resume(self) -> None:
        """Raises: DebitInFlightError: somebody else has taken it up."""
        self.journal.resume(self)


def _step(
    database: sqlite3.Connection,
    debit_id: str,
    to: DebitState,
    changes: dict[str, Any],
    *,
    attempt: int | None = None,
    unsent: bool = False,
) -> None:
    """Raises: JournalStepError: it may not follow, or another attempt has begun."""
    before = [state for state, after in MAY_FOLLOW.items() if to in after and (not unsent or state in BEFORE_SENT)]
    changes = {"changed": _now()} | changes | {"state": to}
    places = ", ".join(f"{name} = ?" for name in changes)
    done = database.execute(
        f"UPDATE debit SET {places} WHERE id = ? AND (? IS NULL OR attempt = ?) AND state IN ({_marks(before)})",  # noqa: S608 - marks and names of ours
        (*changes.values(), debit_id, attempt, attempt, *before),
    )
    if done.rowcount != 1:
        raise JournalStepError(f"不能转为 {to.value}", f"the debit cannot become {to.value} now")


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


def _now() -> str:
    return datetime.now(UTC).isoformat()
