"""The journal of debits: SQLite, on disk before money moves (`cardio.settlement` has the steps).

One process has it at a time. Cards and orders stand in it as keyed hashes; amounts, terminals, numbers and proofs as
they are, for whoever books them. The outcome of a debit and its row in the outbox are one transaction.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cardio.debit_errors import DebitOpenError
from cardio.errors import CardChangedError
from cardio.settlement import BEFORE_SENT, DONE, MAY_FOLLOW, DebitIntent, DebitResult, DebitState, result_of
from service.debit_answers import DebitShown
from service.errors import (
    DebitInFlightError,
    JournalStepError,
    NoSuchDebitError,
    OtherOrderError,
)
from service.journal_file import JournalFile
from service.tokens import load_token

_NOTHING_TAKEN = BEFORE_SENT | {DebitState.ABORTED}
_UNSENT = ", ".join(f"'{state.value}'" for state in sorted(BEFORE_SENT))


class Journal:
    """Every debit that was ever asked for. Its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it; what a crash has left in it is set right: what was not sent is aborted, what
        was sent is unknown.

        Raises:
            JournalUnavailableError: it cannot be used, or another process has it.
            ConfigurationError: its key file is not as it should be.
        """
        self._working: dict[str, JournalEntry] = {}
        """Who works on a debit right now, by its id."""
        key = load_token(path.with_suffix(".key"))
        self._key = hashlib.sha256(key.encode()).digest()
        self._file = JournalFile(path)
        with self._file.transaction() as database:
            now = _now()
            database.execute(
                f"UPDATE debit SET state = 'aborted', reason = 'crash', changed = ? WHERE state IN ({_UNSENT})",  # noqa: S608
                (now,),
            )
            database.execute(
                "UPDATE debit SET state = 'unknown', reason = 'crash', changed = ? WHERE state = 'sent'", (now,)
            )

    # -- taking up a debit ----------------------------------------------------------------------

    def take(self, owner: str, idempotency_key: str, asked: str) -> JournalEntry:
        """The debit that somebody asks for by a key: a new one, or the one that has it already.

        One that ended before anything was sent begins anew; all others are as they stand. It is the caller's until
        `JournalEntry.release`.

        Args:
            owner: the page's origin, or ``local``: keys of different owners have nothing to do with each other.
            asked: what is asked for, as one text; the journal keeps its keyed hash.

        Raises:
            OtherOrderError: the key was used for something else.
            DebitInFlightError: somebody works on it right now.
            JournalUnavailableError: the disk is full, or the like.
        """
        with self._file.lock:
            return self._worked_on(*self._taken(owner, idempotency_key, self._hash(asked), _now()))

    def _taken(self, owner: str, idempotency_key: str, digest: str, now: str) -> tuple[str, int]:
        with self._file.transaction() as database:
            row = database.execute(
                "SELECT * FROM debit WHERE owner = ? AND idempotency_key = ?", (owner, idempotency_key)
            ).fetchone()
            if row is None:
                debit_id = secrets.token_hex(8)
                database.execute(
                    "INSERT INTO debit (id, owner, idempotency_key, asked, state, created, changed)"
                    " VALUES (?, ?, ?, ?, 'new', ?, ?)",
                    (debit_id, owner, idempotency_key, digest, now, now),
                )
                attempt = 1
            else:
                debit_id, attempt = row["id"], row["attempt"]
                if row["asked"] != digest:
                    raise OtherOrderError()
                if debit_id in self._working:
                    raise DebitInFlightError()
                state = DebitState(row["state"])
                if state in BEFORE_SENT or (state is DebitState.ABORTED and not row["sent"]):
                    attempt += 1
                    database.execute(
                        "UPDATE debit SET state = 'new', attempt = ?, card = NULL, number = NULL, terminal = NULL,"
                        " time = NULL, intent = NULL, reason = '', changed = ? WHERE id = ?",
                        (attempt, now, debit_id),
                    )
        return debit_id, attempt

    def open_on(self, card: bytes) -> JournalEntry | None:
        """A debit on this card whose outcome nobody knows yet, the oldest; it is the caller's until it is released.

        Raises:
            DebitInFlightError: somebody works on it right now.
        """
        with self._file.lock:
            with self._file.transaction() as database:
                row = database.execute(
                    "SELECT * FROM debit WHERE card = ? AND state IN ('unknown', 'sent') ORDER BY created",
                    (self._hash(card),),
                ).fetchone()
            if row is None:
                return None
            return self._worked_on(row["id"], row["attempt"])

    def find(self, owner: str, idempotency_key: str) -> JournalEntry | None:
        """The debit with a key, whatever it asked for; it is the caller's until it is released.

        Raises:
            DebitInFlightError: somebody works on it right now.
        """
        with self._file.lock:
            with self._file.transaction() as database:
                row = database.execute(
                    "SELECT * FROM debit WHERE owner = ? AND idempotency_key = ?", (owner, idempotency_key)
                ).fetchone()
            return None if row is None else self._worked_on(row["id"], row["attempt"])

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

    def _worked_on(self, debit_id: str, attempt: int) -> JournalEntry:
        if debit_id in self._working:
            raise DebitInFlightError()
        entry = self._working[debit_id] = JournalEntry(self, debit_id, attempt)
        return entry

    # -- one debit's steps ----------------------------------------------------------------------

    def row(self, debit_id: str) -> sqlite3.Row:
        """Raises: NoSuchDebitError."""
        with self._file.transaction() as database:
            found: sqlite3.Row | None = database.execute("SELECT * FROM debit WHERE id = ?", (debit_id,)).fetchone()
        if found is None:
            raise NoSuchDebitError()
        return found

    def meet(self, debit_id: str, attempt: int | None, card: bytes) -> None:
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

    def move(
        self,
        debit_id: str,
        attempt: int | None,
        to: DebitState,
        *,
        intent: DebitIntent | None = None,
        result: DebitResult | None = None,
        reason: str = "",
    ) -> None:
        """Takes one step; it is on disk when this returns.

        Args: ``attempt``: whose step it is; an earlier attempt's thread that comes back takes none. None is a person.

        Raises:
            JournalStepError: the step may not follow.
            DebitOpenError: there is another debit on this card that may be the same.
            JournalUnavailableError: it cannot be written; the step is not taken.
        """
        before = sorted(state.value for state, after in MAY_FOLLOW.items() if to in after)
        changes: dict[str, Any] = {"state": to.value, "reason": reason, "changed": _now()}
        if to is DebitState.SENT:
            changes["sent"] = 1
        if intent is not None:
            changes |= {
                "intent": intent.model_dump_json(), "number": intent.transaction_number,
                "terminal": intent.terminal_number, "time": intent.time,
            }  # fmt: skip
        if result is not None:
            changes["result"] = result.model_dump_json()
        if to is DebitState.INITIALISED:
            self._end_others_begun(debit_id)
        places = ", ".join(f"{name} = ?" for name in changes)
        values = [*changes.values(), debit_id, attempt, attempt, *before]
        marks = ", ".join("?" for _ in before)
        try:
            with self._file.transaction() as database:
                done = database.execute(
                    f"UPDATE debit SET {places} WHERE id = ? AND (? IS NULL OR attempt = ?) AND state IN ({marks})",  # noqa: S608
                    values,
                )
                if done.rowcount != 1:
                    raise JournalStepError(f"不能转为 {to.value}", f"the debit cannot become {to.value} now")
                if to is DebitState.COMMITTED:
                    database.execute(
                        "INSERT INTO outbox (debit, result, created) VALUES (?, ?, ?)",
                        (debit_id, changes["result"], changes["changed"]),
                    )
                elif to is DebitState.SETTLED:
                    database.execute("DELETE FROM outbox WHERE debit = ?", (debit_id,))
        except sqlite3.IntegrityError as error:
            raise DebitOpenError() from error

    def _end_others_begun(self, debit_id: str) -> None:
        """A card that begins a debit has forgotten any that it had begun before."""
        with self._file.transaction() as database:
            database.execute(
                f"UPDATE debit SET state = 'aborted', reason = 'superseded', changed = ? WHERE state IN ({_UNSENT})"  # noqa: S608
                " AND id <> ? AND card = (SELECT card FROM debit WHERE id = ?)",
                (_now(), debit_id, debit_id),
            )

    def decide(self, debit_id: str, *, done: bool) -> None:
        """A person says what became of a debit. Raises: JournalStepError, NoSuchDebitError."""
        entry = JournalEntry(self, debit_id, None)
        intent = entry.intent
        if not done:
            entry.move(DebitState.ABORTED, reason="a person said so")
        elif intent is not None:
            entry.move(DebitState.COMMITTED, result=result_of(intent, None, "person"), reason="a person said so")

    # -- who books them -------------------------------------------------------------------------

    def shown(self, debit_id: str) -> DebitShown:
        """Raises: NoSuchDebitError."""
        return _shown(self.row(debit_id))

    def listed(self, owner: str | None, *, all_states: bool = False) -> list[DebitShown]:
        """Those that somebody has still to do with: not settled, not aborted; None lists everybody's."""
        wanted = "1" if all_states else "state NOT IN ('settled', 'aborted')"
        with self._file.transaction() as database:
            rows = database.execute(
                f"SELECT * FROM debit WHERE (? IS NULL OR owner = ?) AND {wanted} ORDER BY created, rowid LIMIT 500",  # noqa: S608
                (owner, owner),
            ).fetchall()
        return [_shown(row) for row in rows]

    def counts(self) -> dict[DebitState, int]:
        """How many debits are in each state."""
        with self._file.transaction() as database:
            rows = database.execute("SELECT state, count(*) AS n FROM debit GROUP BY state").fetchall()
        return {DebitState(row["state"]): row["n"] for row in rows}

    def outbox(self) -> list[str]:
        """The debits that were done and not booked yet."""
        with self._file.transaction() as database:
            return [row["debit"] for row in database.execute("SELECT debit FROM outbox ORDER BY id")]

    def close(self) -> None:
        self._file.close()

    def _hash(self, value: str | bytes) -> str:
        raw = value if isinstance(value, bytes) else value.encode()
        return hmac.new(self._key, raw, hashlib.sha256).hexdigest()


class JournalEntry:
    """One debit of the journal (`cardio.settlement.DebitEntry`), for one attempt at it; None is a person's."""

    def __init__(self, journal: Journal, debit_id: str, attempt: int | None) -> None:
        self.id = debit_id
        self._journal = journal
        self._attempt = attempt

    @property
    def state(self) -> DebitState:
        return DebitState(self._journal.row(self.id)["state"])

    @property
    def intent(self) -> DebitIntent | None:
        kept = self._journal.row(self.id)["intent"]
        return None if kept is None else DebitIntent.model_validate_json(kept)

    @property
    def result(self) -> DebitResult | None:
        kept = self._journal.row(self.id)["result"]
        return None if kept is None else DebitResult.model_validate_json(kept)

    def meet(self, card: bytes) -> None:
        self._journal.meet(self.id, self._attempt, card)

    def move(
        self,
        to: DebitState,
        *,
        intent: DebitIntent | None = None,
        result: DebitResult | None = None,
        reason: str = "",
    ) -> None:
        self._journal.move(self.id, self._attempt, to, intent=intent, result=result, reason=reason)

    def release(self) -> None:
        """Somebody else may take it up; a second time does nothing."""
        self._journal.release(self)

    def resume(self) -> None:
        """Raises: DebitInFlightError: somebody else has taken it up."""
        self._journal.resume(self)

    def shown(self) -> DebitShown:
        return self._journal.shown(self.id)


def _shown(row: sqlite3.Row) -> DebitShown:
    result = None if row["result"] is None else DebitResult.model_validate_json(row["result"])
    intent = None if row["intent"] is None else DebitIntent.model_validate_json(row["intent"])
    state = DebitState(row["state"])
    return DebitShown(
        id=row["id"],
        state=state,
        outcome="done" if state in DONE else "none" if state in _NOTHING_TAKEN else "unknown",
        origin=row["owner"],
        idempotency_key=row["idempotency_key"],
        created=datetime.fromisoformat(row["created"]),
        changed=datetime.fromisoformat(row["changed"]),
        reason=row["reason"],
        self_paid_amount=None if intent is None else intent.self_paid_amount,
        pooled_fund_amount=None if intent is None else intent.pooled_fund_amount,
        time=None if intent is None else intent.time,
        result=result,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
