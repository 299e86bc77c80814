"""One debit of the journal, for one attempt at it: what the library moves from step to step."""

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
        """Args: ``unsent``: as it was taken up, no card had been told of it."""
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

    def also_claim(self, other: JournalEntry) -> None:
        """Take another debit along: it is released with this one."""
        self._claimed.append(other)

    def shown(self) -> DebitRecord:
        return self.journal.shown(self.id)

    def release(self) -> None:
        """Release the entry, and what it claimed, to other calls; a second time does nothing."""
        for other in self._claimed:
            other.release()
        self.journal.release(self)

    def resume(self) -> None:
        """Raises: DebitInFlightError: somebody else has taken it up."""
        self.journal.resume(self)
