"""One debit of the journal, for one attempt at it: the object that the library moves from step to step."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Unpack

from cardio.debits.errors import JournalStepError
from cardio.debits.record import DebitRecord
from cardio.debits.transaction import DebitIntent, DebitState, StepFacts
from cardio.errors import CardioError

if TYPE_CHECKING:
    from service.debits.journal import Journal


class JournalEntry:
    """One debit of the journal (`cardio.debits.transaction.DebitEntry`), for one attempt at it."""

    def __init__(self, journal: Journal, debit_id: str, attempt: int, *, unsent: bool = False) -> None:
        """Make the entry of a debit that a caller has claimed.

        Args:
            journal: the journal.
            debit_id: the debit.
            attempt: the number of the attempt.
            unsent: True if no card had been told of the debit when it was claimed.
        """
        self.id = debit_id
        self.journal = journal
        self._claimed: list[JournalEntry] = []
        """Other debits that were claimed on the way."""
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
    def was_reported_unknown(self) -> bool:
        """Return True if the caller was told that the outcome was unknown."""
        return bool(self.journal.row(self.id)["told_unknown"])

    def bind_card(self, card: bytes) -> None:
        self.journal.bind_card(self.id, self._attempt, card)

    def transition(self, to: DebitState, **facts: Unpack[StepFacts]) -> None:
        if to is not DebitState.SENT:
            self.journal.transition(self.id, self._attempt, to, **facts)
            return
        with self._gate:
            if self._withdrawn:
                raise JournalStepError("该笔消费已撤回", "the debit was withdrawn before it was sent")
            self._unsent = False
            try:
                self.journal.transition(self.id, self._attempt, to, **facts)
            except CardioError:
                self._unsent = True  # the card is not told of a debit that could not be written
                raise

    def withdraw(self) -> bool:
        """Prevent that the card is told from now on; return False if it may have been told already.

        This needs no journal: a debit ends this way if its journal can no longer be read.
        """
        with self._gate:
            self._withdrawn |= self._unsent
            return self._unsent

    def also_claim(self, other: JournalEntry) -> None:
        """Claim another debit together with this one: it is released with this one."""
        self._claimed.append(other)

    def record(self) -> DebitRecord:
        return self.journal.record(self.id)

    def release(self) -> None:
        """Release the entry, and the debits that it claimed, for other calls; a second time does nothing."""
        for other in self._claimed:
            other.release()
        self.journal.release(self)

    def resume(self) -> None:
        """Claim the entry again after its release.

        Raises:
            DebitInFlightError: another caller has claimed it.
        """
        self.journal.resume(self)
