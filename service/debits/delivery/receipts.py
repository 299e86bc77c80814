"""The record in the journal of what callers were told about their debits, written after the answer was handed over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cardio.debits.errors import JournalStepError
from cardio.debits.record import DebitRecord
from cardio.debits.transaction import DebitState
from cardio.errors import CardioError
from cardio.readers.supervision import Supervisor
from service.debits.journal import Journal
from service.debits.journal_file.entry import JournalEntry
from service.gate.receipt import AnswerReceipt


@dataclass(frozen=True, slots=True)
class ReportedOutcome:
    """The part of an answer that is about one debit."""

    debit_id: str
    outcome: Literal["done", "none", "unknown"]
    at: datetime
    again: bool = False
    """True if the caller got the result before and asks for this debit by name, so the caller knows of it."""

    @classmethod
    def of(cls, shown: DebitRecord, *, by_name: bool) -> ReportedOutcome:
        """Return the part of an answer that is about a debit.

        Args:
            shown: the debit.
            by_name: True if the caller asked for this debit by key or id, not for a list.
        """
        again = by_name and shown.outcome == "done" and shown.state is not DebitState.COMMITTED
        return cls(shown.id, shown.outcome, datetime.now(UTC), again)


class DebitReceipts:
    """The receipts of all answers about debits, one object for the whole bridge, on its event loop."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._writing: set[asyncio.Task[None]] = set()

    def follow(self, entry: JournalEntry, receipt: AnswerReceipt | None) -> FollowedAnswer:
        """Follow an answer: another debit on the card waits until it is known whether this answer was handed over."""
        return FollowedAnswer(self, entry.journal, entry.id, receipt)

    def note_when_handed_over(
        self, journal: Journal, receipt: AnswerReceipt | None, reported: Iterable[ReportedOutcome]
    ) -> None:
        """Record the contents of an answer if it is handed over."""
        noted = tuple(reported)

        def concluded(handed_over: bool) -> None:
            if handed_over and noted:
                self.write(journal, noted)

        if receipt is not None:
            receipt.on_conclusion(concluded)

    def write(self, journal: Journal, reported: tuple[ReportedOutcome, ...]) -> asyncio.Task[None]:
        """Start to write; `written` waits for it."""
        writing = asyncio.ensure_future(asyncio.to_thread(self._note, journal, reported))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        return writing

    def _note(self, journal: Journal, reported: tuple[ReportedOutcome, ...]) -> None:
        with self._supervisor.guard("debit-receipts"):
            note(journal, reported)

    async def written(self) -> None:
        """Wait until everything that was handed over before is in the journal, or could not be written."""
        if self._writing:
            await asyncio.wait(self._writing)


class FollowedAnswer:
    """One call for a debit, until its answer was handed over or its caller has gone."""

    def __init__(self, receipts: DebitReceipts, journal: Journal, debit_id: str, receipt: AnswerReceipt | None) -> None:
        self._receipts = receipts
        self._journal = journal
        self._debit_id = debit_id
        self._reported: tuple[ReportedOutcome, ...] = ()
        journal.under_way.begin(debit_id)
        if receipt is None:
            self._end()
        else:
            receipt.on_conclusion(self._concluded)

    def set_contents(self, *reported: ReportedOutcome) -> None:
        """Set what the answer will tell."""
        self._reported = reported

    def _concluded(self, handed_over: bool) -> None:
        if not handed_over or not self._reported:
            self._end()
            return
        self._receipts.write(self._journal, self._reported).add_done_callback(lambda _: self._end())

    def _end(self) -> None:
        self._journal.under_way.end(self._debit_id)


def note(journal: Journal, reported: Iterable[ReportedOutcome]) -> None:
    """Record what was handed over.

    If the journal cannot be written, it counts as not handed over and is told once more.
    """
    for one in reported:
        with suppress(CardioError):
            match one.outcome:
                case "unknown":
                    journal.delivery.note_reported_unknown(one.debit_id)
                case "done":
                    _note_done(journal, one)


def _note_done(journal: Journal, reported: ReportedOutcome) -> None:
    try:
        journal.entry(reported.debit_id).transition(DebitState.DELIVERED, at=reported.at)
    except JournalStepError:  # it was recorded before
        if reported.again:
            journal.delivery.acknowledge(reported.debit_id)
