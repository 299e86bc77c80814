"""The journal of debits: SQLite, on disk before money moves (`cardio.debits.transaction` has the steps).

Cards and orders are kept as keyed hashes. Amounts, terminals, numbers and proofs are kept in clear for bookkeeping. The
result of a debit and its state "to be booked" are one row, so both are on disk together or not at all.
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
from typing import Any, TypeVar, Unpack

from cardio.debits.errors import JournalStepError, NumberUsedError, SameSecondError
from cardio.debits.record import CONTRADICTED, DebitRecord
from cardio.debits.transaction import (
    BEFORE_SENT,
    TRANSITIONS,
    UNRESOLVED,
    DebitIntent,
    DebitResult,
    DebitState,
    StepFacts,
    result_of,
)
from cardio.errors import CardChangedError, CardioError
from service.audit.chain import Chain
from service.debits.delivery.decisions import DecisionRecords
from service.debits.delivery.records import AnswersUnderWay, DeliveryRecords
from service.debits.errors import (
    DebitArchivedError,
    DebitInFlightError,
    IdempotencyKeyReusedError,
    JournalKeyLostError,
    JournalRestoredError,
    JournalTamperedError,
    JournalUnavailableError,
    NoSuchDebitError,
)
from service.debits.journal_file.archive import Archived, archive_before
from service.debits.journal_file.backup import new_file_beside, write_backup
from service.debits.journal_file.entry import JournalEntry
from service.debits.journal_file.file import JournalFile, moved_journal_error
from service.debits.journal_file.marks import Marks
from service.debits.journal_file.records import JournalRecords, legible
from service.debits.journal_file.rows import record_of_row
from service.debits.journal_file.steps import is_archived, key_mark, row_is_noted
from service.debits.journal_file.thinning import thin_settled
from service.debits.journal_file.verification import JournalVerification, verify_journal
from service.debits.schema import JOURNAL_FILE
from service.storage.secret_file import load_token

_MARKED = "cardio journal of debits"
"""The text whose keyed hash shows whether the key is still the same."""
Read = TypeVar("Read", DebitIntent, DebitResult)
_OF_CARD = "SELECT * FROM debit WHERE card = ? ORDER BY created"


class Journal:
    """All debits that were ever requested. Its methods may be called from any thread."""

    def __init__(self, path: Path, elsewhere: Path | None = None) -> None:
        """Open the file, or make it if there never was one.

        After a crash the states are corrected: a debit that was not sent is aborted, one that was sent is unknown. A
        file that was restored or copied is left as it is.

        Args:
            path: the journal's file.
            elsewhere: a folder for the mark that a backup of the journal's own folder does not have.

        Raises:
            JournalUnavailableError: the file cannot be used, another process has it, or it was removed.
            JournalKeyLostError: its key file is missing, or belongs to another journal: no card would be recognised.
            ConfigurationError: the key file is not as it should be.
        """
        self._working: dict[str, JournalEntry] = {}
        """The debits that callers work on now, by their ids."""
        self.under_way = AnswersUnderWay()
        self._archiving = threading.Lock()
        key, marks = path.with_suffix(".key"), Marks(path, elsewhere)
        if marks.exist and not (path.is_file() and path.stat().st_size):
            raise moved_journal_error(path)
        if path.is_file() and path.stat().st_size and not key.exists():
            raise JournalKeyLostError(f"缺少 {key}", f"{key} is missing")
        self._path, self._secret = path, load_token(key)
        secret = self._secret
        self._key = hashlib.sha256(secret.encode()).digest()
        self.chain = Chain(secret)
        self._file = JournalFile(path, JOURNAL_FILE, self.chain, marks)
        self.delivery = DeliveryRecords(self._file, self._hash)
        self.records = JournalRecords(self._file.reading, self.chain)
        self.decisions = DecisionRecords(self._file, self._hash)
        try:
            self._check_key()
            if self.restored is None:
                self._recover_after_crash()
        except CardioError:
            self._file.close()
            raise

    @property
    def is_in_place(self) -> bool:
        """Return True if the files at the path are the ones that this process writes."""
        return self._file.is_in_place

    @property
    def restored(self) -> JournalRestoredError | None:
        """Return the reason why no debit begins before a person accepts the file: it was restored or copied."""
        return self._file.restored

    @property
    def is_working(self) -> bool:
        """Return True if any debit is being processed."""
        return bool(self._working)

    def accept(self) -> None:
        """Accept this file from now on, because a person has decided it.

        Raises:
            JournalUnavailableError: the journal cannot be written.
        """
        with self._file.lock:
            self._file.accept()
            self._recover_after_crash()

    def write_backup(self, target: Path | None = None) -> Path:
        """Write everything, and the key, into an empty private file; no debit waits for it.

        Args:
            target: the file; without it a new file beside the journal, which the caller removes.

        Raises:
            JournalUnavailableError: the journal cannot be read, or the backup not written; a file made here is then
                removed.
        """
        if target is None:
            target = new_file_beside(self._path)
            try:
                return self.write_backup(target)
            except BaseException:  # any error, also an interruption: the file holds the key
                target.unlink(missing_ok=True)
                raise
        reader = self._file.reader()
        try:
            write_backup(reader, target, self._secret)
        finally:
            reader.close()
        return target

    def archive(self, before: datetime) -> Archived:
        """Move debits that were settled or came to nothing before a time into a file of their own.

        See `archive_before`.
        """
        self._file.require_ours()
        with self._archiving:
            return archive_before(
                self._path, self._file, self.chain, self._hash(_MARKED), before, self._working.__contains__
            )

    def verify(self, anchor: str | None = None) -> JournalVerification:
        """Check every step and every debit; no debit waits for it.

        Raises:
            JournalUnavailableError: the journal cannot be read.
            UsageError: ``anchor`` is no anchor.
        """
        reader = self._file.reader()
        try:
            with reader.snapshot() as database:
                return verify_journal(database, self.chain, anchor)
        finally:
            reader.close()

    def _check_key(self) -> None:
        with self._file.transaction() as database:
            database.execute("INSERT OR IGNORE INTO key_mark VALUES (1, ?)", (self._hash(_MARKED),))
            (mark,) = database.execute("SELECT mark FROM key_mark").fetchone()
            if not hmac.compare_digest(mark, self._hash(_MARKED)):
                raise JournalKeyLostError("密钥文件不是该扣款记录的", "the key file is not this journal's")

    def _recover_after_crash(self) -> None:
        """Correct the states that a crash has left.

        A row that was changed from outside stays: only its key and card are refused.
        """
        with self._file.transaction() as database:
            for left, right in ((BEFORE_SENT, DebitState.ABORTED), ({DebitState.SENT}, DebitState.UNKNOWN)):
                query = f"SELECT * FROM debit WHERE state IN ({_placeholders(left)})"  # noqa: S608 - marks of ours
                for row in database.execute(query, (*left,)).fetchall():
                    if row_is_noted(database, self.chain, row):
                        database.execute(
                            "UPDATE debit SET state = ?, reason = 'crash', changed = ? WHERE id = ?",
                            (right, _now(), row["id"]),
                        )

    # -- claiming a debit -----------------------------------------------------------------------

    def claim(self, owner: str, idempotency_key: str, asked: str) -> JournalEntry:
        """Claim a debit by its key: a new debit, or the one that has the key already.

        A debit that ended before anything was sent begins again, even with another order. Any other debit keeps its
        state. The entry belongs to the caller until `JournalEntry.release`.

        Args:
            owner: the page's origin, or ``local``: keys of different owners are independent.
            idempotency_key: the key.
            asked: the order as one text; the journal keeps its keyed hash.

        Raises:
            IdempotencyKeyReusedError: for this key a card was told to do something else, or will be.
            DebitInFlightError: another caller works on it now.
            JournalUnavailableError: the disk is full, or a similar problem.
        """
        with self._file.lock:
            return self._worked_on(*self._claim(owner, idempotency_key, self._hash(asked)))

    def _claim(self, owner: str, idempotency_key: str, digest: str) -> tuple[str, int]:
        now = _now()
        with self._file.transaction() as database:
            row = self._by_key(database, owner, idempotency_key)
            if row is None:
                self._file.require_ours()
                debit_id, mark = secrets.token_hex(8), key_mark(self.chain, owner, idempotency_key)
                database.execute(
                    "INSERT INTO debit (id, owner, idempotency_key, asked, state, created, changed, key_mark)"
                    " VALUES (?, ?, ?, ?, 'new', ?, ?, ?)",
                    (debit_id, owner, idempotency_key, digest, now, now, mark),
                )
                database.execute("INSERT INTO known (key_mark, debit) VALUES (?, ?)", (mark, debit_id))
                return debit_id, 1
            state = DebitState(row["state"])
            ended_unsent = state in BEFORE_SENT or (state is DebitState.ABORTED and not row["sent"])
            if row["asked"] != digest and (row["id"] in self._working or not ended_unsent):
                raise IdempotencyKeyReusedError()
            if row["id"] in self._working:
                raise DebitInFlightError()
            if not ended_unsent:
                return row["id"], row["attempt"]
            self._file.require_ours()
            database.execute(
                "UPDATE debit SET state = 'new', attempt = attempt + 1, card = NULL, number = NULL, terminal = NULL,"
                " time = NULL, intent = NULL, reason = '', asked = ?, changed = ? WHERE id = ?",
                (digest, now, row["id"]),
            )
            return row["id"], row["attempt"] + 1

    def _by_key(self, database: sqlite3.Connection, owner: str, idempotency_key: str) -> sqlite3.Row | None:
        """Return the debit that a key names; None if there is none.

        Raises:
            JournalTamperedError: its row is gone, or is not as the journal has left it.
            DebitArchivedError: it is over, and in an archive.
        """
        mark = key_mark(self.chain, owner, idempotency_key)
        known = database.execute("SELECT * FROM known WHERE key_mark = ?", (mark,)).fetchone()
        if known is None:
            lost = database.execute(
                "SELECT id FROM debit WHERE owner = ? AND idempotency_key = ?", (owner, idempotency_key)
            ).fetchone()
            if lost is not None:
                raise JournalTamperedError(lost["id"])
            return None
        if known["archive"] is not None:
            raise self._archived(database, known)
        row: sqlite3.Row | None = database.execute("SELECT * FROM debit WHERE id = ?", (known["debit"],)).fetchone()
        if row is None or row["key_mark"] != mark:
            raise JournalTamperedError(known["debit"])
        self._file.require_noted(database, row)
        return row

    def claim_existing(self, owner: str, idempotency_key: str) -> JournalEntry | None:
        """Claim the debit with a key, with any order; None if there is none.

        It belongs to the caller until it is released.

        Raises:
            DebitInFlightError: another caller works on it now.
            JournalTamperedError: its record was changed from outside.
            DebitArchivedError: it is over, and in an archive.
        """
        with self._file.lock, self._file.transaction() as database:
            row = self._by_key(database, owner, idempotency_key)
            return None if row is None else self._worked_on(row["id"], row["attempt"])

    def claim_unresolved(self, card: bytes) -> JournalEntry | None:
        """Claim the oldest debit on this card whose outcome is unknown; None if there is none.

        Raises:
            DebitInFlightError: another caller works on it now.
            JournalTamperedError: the record of a debit on this card was changed from outside.
        """
        with self._file.lock, self._file.transaction() as database:
            found = None
            for row in database.execute(_OF_CARD, (self._hash(card),)).fetchall():
                # An unknown outcome may have been changed from outside into a state that blocks no debit.
                self._file.require_noted(database, row)
                if found is None and DebitState(row["state"]) in UNRESOLVED:
                    found = row
            return None if found is None else self._worked_on(found["id"], found["attempt"])

    def _worked_on(self, debit_id: str, attempt: int) -> JournalEntry:
        if debit_id in self._working:
            raise DebitInFlightError()
        unsent = DebitState(self.row(debit_id)["state"]) in BEFORE_SENT
        entry = self._working[debit_id] = JournalEntry(self, debit_id, attempt, unsent=unsent)
        return entry

    def resume(self, entry: JournalEntry) -> None:
        """Claim again an entry that was released.

        Raises:
            DebitInFlightError: another caller works on it now.
        """
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
        """Return the row of a debit.

        Raises:
            NoSuchDebitError: there is no such debit.
            JournalTamperedError: its record was changed from outside.
            DebitArchivedError: it is in an archive.
        """
        with self._file.transaction() as database:
            found: sqlite3.Row | None = database.execute("SELECT * FROM debit WHERE id = ?", (debit_id,)).fetchone()
            if found is None:
                raise self._not_here(database, debit_id)
            self._file.require_noted(database, found)
        return found

    def _not_here(self, database: sqlite3.Connection, debit_id: str) -> CardioError:
        known = database.execute("SELECT * FROM known WHERE debit = ?", (debit_id,)).fetchone()
        if known is None:
            return NoSuchDebitError()
        return JournalTamperedError(debit_id) if known["archive"] is None else self._archived(database, known)

    def _archived(self, database: sqlite3.Connection, known: sqlite3.Row) -> CardioError:
        """Return the error for a debit that is in an archive, if the journal itself has recorded that."""
        if not is_archived(database, self.chain, known):
            return JournalTamperedError(known["debit"])
        return DebitArchivedError(known["debit"], known["outcome"] or "", known["archive"])

    def bind_card(self, debit_id: str, attempt: int, card: bytes) -> None:
        """Bind a debit to a card.

        Raises:
            CardChangedError: the debit is another card's.
        """
        digest = self._hash(card)
        with self._file.transaction() as database:
            known = self.row(debit_id)["card"]
            if known is None:
                database.execute("UPDATE debit SET card = ? WHERE id = ? AND attempt = ?", (digest, debit_id, attempt))
            elif not hmac.compare_digest(known, digest):
                raise CardChangedError(
                    "读卡器中不是该笔消费的卡，请放回原卡",
                    "this is not the card of that debit: put the original card back",
                )

    def transition(self, debit_id: str, attempt: int, to: DebitState, **facts: Unpack[StepFacts]) -> None:
        """Take one step; it is on disk when this returns.

        Args:
            debit_id: the debit.
            attempt: the attempt that takes the step; the thread of an earlier attempt takes no step any more.
            to: the new state.
            facts: the data that belong to the step.

        Raises:
            JournalStepError: the step is not allowed after the present state.
            SameSecondError: there is a debit of this card and terminal at exactly this time.
            NumberUsedError: there is a debit of this card and terminal with this number.
            JournalUnavailableError: the journal cannot be written; the step is not taken.
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
        if to is DebitState.SENT:
            self._file.require_ours()
        try:
            with self._file.transaction() as database:
                if to is DebitState.INITIALISED:
                    # A card that begins a debit has forgotten any debit that it had begun before.
                    database.execute(
                        f"UPDATE debit SET state = 'aborted', reason = 'superseded', changed = ?"  # noqa: S608 - marks and names of ours
                        f" WHERE state IN ({_placeholders(BEFORE_SENT)}) AND id <> ?"
                        " AND card = (SELECT card FROM debit WHERE id = ?)",
                        (_now(), *BEFORE_SENT, debit_id, debit_id),
                    )
                _step(database, debit_id, to, changes, attempt=attempt, unsent=facts.get("unsent", False))
                if to is DebitState.SETTLED:
                    thin_settled(database, debit_id)
        except sqlite3.IntegrityError as error:
            raise (SameSecondError() if "debit.time" in str(error) else NumberUsedError()) from error
        if to is DebitState.SENT:
            self._raise_marks(debit_id)

    def _raise_marks(self, debit_id: str) -> None:
        """Raise the marks before the card is told, so that an older copy of the journal is detected.

        Raises:
            JournalUnavailableError: a mark cannot be written. Nothing was sent then, and the journal says so.
        """
        try:
            self._file.raise_marks()
        except JournalUnavailableError as error:
            with self._file.transaction() as database:
                changes = {"reason": error.code, "sent": 0}
                _step(database, debit_id, DebitState.ABORTED, changes)
            raise

    # -- bookkeeping and decisions --------------------------------------------------------------

    def settle(self, debit_id: str) -> None:
        """Record that a debit is booked; a second time does nothing.

        Raises:
            JournalStepError: the debit cannot be booked now.
            NoSuchDebitError: there is no such debit.
        """
        with self._file.transaction() as database:
            if self.row(debit_id)["state"] != DebitState.SETTLED:
                _step(database, debit_id, DebitState.SETTLED, {"reason": ""})
                thin_settled(database, debit_id)

    def resolve(self, debit_id: str, *, done: bool) -> None:
        """Record a person's decision about a debit with an unknown outcome.

        Raises:
            JournalStepError: the debit's outcome is not unknown.
            NoSuchDebitError: there is no such debit.
            DebitInFlightError: a caller works on it now.
            JournalTamperedError: its record was changed from outside and no longer says what was to be taken.
        """
        with self._file.lock, self._file.transaction() as database:
            row = database.execute("SELECT * FROM debit WHERE id = ?", (debit_id,)).fetchone()
            if row is None:
                raise NoSuchDebitError()
            if debit_id in self._working:
                raise DebitInFlightError()
            try:
                self._file.require_noted(database, row)
            except JournalTamperedError:
                return self._replace_tampered(database, row, done=done)
            if DebitState(row["state"]) not in UNRESOLVED:
                raise JournalStepError("该笔消费没有疑问", "there is nothing to decide")
            outcome = "done" if done else "none"
            changes: dict[str, Any] = {"reason": "person", "acknowledged": _now(), "decided": outcome}
            if row["reason"] == CONTRADICTED:
                changes["number"] = None  # the card's own record says that this number may be another debit's
            if done:
                intent = DebitIntent.model_validate_json(row["intent"])
                changes["result"] = result_of(intent, None, "person").model_dump_json()
            _step(database, debit_id, DebitState.COMMITTED if done else DebitState.ABORTED, changes)

    def _replace_tampered(self, database: sqlite3.Connection, row: sqlite3.Row, *, done: bool) -> None:
        """Record a person's decision about a debit whose record was changed from outside.

        The decision replaces the record.

        Raises:
            JournalTamperedError: the record no longer says what was to be taken.
        """
        now = _now()
        intent, result = _read(DebitIntent, row["intent"]), _read(DebitResult, row["result"])
        if intent is not None:
            result = result_of(intent, None, "person")
        elif result is not None:  # it was thinned
            result = result.model_copy(update={"known_by": "person"})
        if done and result is None:
            raise JournalTamperedError(row["id"])
        changes: dict[str, Any] = {
            "state": DebitState.COMMITTED if done else DebitState.ABORTED,
            "intent": None if intent is None else intent.model_dump_json(),
            "result": result.model_dump_json() if done and result is not None else None,
            "sent": 1, "reason": "person", "decided": "done" if done else "none", "compared": None,
            "acknowledged": now, "changed": now, "handed_over": None,
            "thinned": None if row["thinned"] is None else now,
            "owner": legible(row["owner"]), "idempotency_key": legible(row["idempotency_key"]),
        }  # fmt: skip
        try:
            datetime.fromisoformat(row["created"])
        except (ValueError, TypeError):
            changes["created"] = now
        self._file.trust(database, row["id"])
        try:
            _change(database, row["id"], changes)
        except sqlite3.IntegrityError:  # the changed row has another debit's number or time
            _change(database, row["id"], changes | {"number": None, "time": None})

    def record(self, debit_id: str) -> DebitRecord:
        """Return the record of a debit.

        Raises:
            NoSuchDebitError: there is no such debit.
            JournalTamperedError: its record was changed from outside.
        """
        return record_of_row(dict(self.row(debit_id)))

    def entry(self, debit_id: str) -> JournalEntry:
        """Return a debit for a step that needs no card.

        Raises:
            NoSuchDebitError: there is no such debit.
        """
        return JournalEntry(self, debit_id, self.row(debit_id)["attempt"])

    def list_debits(self, owner: str | None, *, all_states: bool = False, limit: int = 500) -> list[DebitRecord]:
        """Return the debits that still need work: unknown outcomes first, then the newest.

        Args:
            owner: the owner of the debits; None for all owners.
            all_states: True to include debits that are over.
            limit: the largest number of debits.
        """
        return self.records.list_debits(owner, all_states=all_states, limit=limit)

    def counts(self) -> dict[DebitState, int]:
        """Return the number of debits in each state."""
        return self.records.counts()

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        """Close without writing: the file at the path may be another one now."""
        self._file.abandon()

    def _hash(self, value: str | bytes) -> str:
        raw = value if isinstance(value, bytes) else value.encode()
        return hmac.new(self._key, raw, hashlib.sha256).hexdigest()


def _step(
    database: sqlite3.Connection,
    debit_id: str,
    to: DebitState,
    changes: dict[str, Any],
    *,
    attempt: int | None = None,
    unsent: bool = False,
) -> None:
    """Take one step of a debit in the database.

    Raises:
        JournalStepError: the step is not allowed after the present state, or another attempt has begun.
    """
    before = [state for state, after in TRANSITIONS.items() if to in after and (not unsent or state in BEFORE_SENT)]
    changes = {"changed": _now()} | changes | {"state": to}
    places = ", ".join(f"{name} = ?" for name in changes)
    done = database.execute(
        f"UPDATE debit SET {places} WHERE id = ? AND (? IS NULL OR attempt = ?) AND state IN ({_placeholders(before)})",  # noqa: S608 - marks and names of ours
        (*changes.values(), debit_id, attempt, attempt, *before),
    )
    if done.rowcount != 1:
        raise JournalStepError(f"不能转为 {to.value}", f"the debit cannot become {to.value} now")


def _read(kind: type[Read], text: Any) -> Read | None:
    """Return the contents of a column of a changed record; None if it cannot be read."""
    try:
        return kind.model_validate_json(text)
    except (ValueError, TypeError):
        return None


def _change(database: sqlite3.Connection, debit_id: str, changes: dict[str, Any]) -> None:
    places = ", ".join(f"{name} = ?" for name in changes)
    database.execute(f"UPDATE debit SET {places} WHERE id = ?", (*changes.values(), debit_id))  # noqa: S608 - names of ours


def _placeholders(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


def _now() -> str:
    return datetime.now(UTC).isoformat()
