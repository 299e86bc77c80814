"""A debit's life: the needs of a call for it, the checks before it, and the meaning of an error for it.

`execution` takes the steps, `transaction` has the states. The outcome becomes unknown in `execution._send`, for want of
an answer, and here in `error_for_debit`, by an error.

The journal is a protocol: the bridge's keeps debits in a file (`service.debits.journal`). No reader is chosen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol, Self, TypeVar

from cardio.card.secured import SecuredCard
from cardio.debits.errors import (
    DebitContradictedError,
    DebitManualError,
    DebitNotDoneError,
    DebitOpenError,
    DebitUndeliveredError,
    DebitUnknownError,
    JournalStepError,
    with_marks,
)
from cardio.debits.execution import DEFAULT_LIMITS, debit, recording_abort
from cardio.debits.limits import DebitLimits
from cardio.debits.purse import yuan
from cardio.debits.record import CONTRADICTED, Compared, DebitRecord
from cardio.debits.recovery import contradicts, recover
from cardio.debits.transaction import BEFORE_SENT, DONE, IN_DOUBT, DebitEntry, DebitOrder, DebitState, error_of
from cardio.errors import CardioError

_TOLD = {"done": ("已扣款", "it was taken"), "none": ("未扣款", "it was not taken")}
_NOT_TOLD = ("仍不能确定", "it is still not known")
_ANSWER_SECONDS = 5.0
"""The time that the next debit waits for the answer to an earlier one that is being sent, in seconds."""


class JournalledDebit(DebitEntry, Protocol):
    """The interface of one debit of a journal, for one attempt at it."""

    @property
    def id(self) -> str: ...

    @property
    def was_reported_unknown(self) -> bool:
        """Return True if its caller was told that its outcome was unknown."""

    def record(self) -> DebitRecord:
        """Return the present record of the debit."""

    def also_claim(self, other: Self) -> None:
        """Claim another debit together with this one; both are released together."""

    def withdraw(self) -> bool:
        """Stop the debit from being sent to the card from now on; return False if it may have been sent. It needs no
        journal.
        """

    def release(self) -> None:
        """Release the debit to other calls."""


class DebitDecisions(Protocol):
    """The interface of persons' decisions on debits whose outcome no card could show."""

    def to_compare(self, card: bytes) -> Sequence[tuple[str, str]]:
        """Return the decided debits of a card that it has not been asked about since: id, and ``done`` or ``none``."""

    def conclude(self, debit_id: str, found: Compared) -> None:
        """Store the card's statement on a decision."""


class DebitDelivery(Protocol):
    """The interface of the delivery of results to their callers."""

    def undelivered_on(self, card: bytes) -> DebitRecord | None:
        """Return the newest debit of a card whose result did not reach its caller."""


class AnswersInDelivery(Protocol):
    """The interface of answers that are being sent."""

    def wait(self, debit_id: str, seconds: float) -> None:
        """Wait until a debit's answer was sent, or failed."""


Entry = TypeVar("Entry", bound=JournalledDebit)
Kept = TypeVar("Kept", bound=JournalledDebit, covariant=True)


class DebitJournal(Protocol[Kept]):
    """The interface of the part of a journal that a debit needs."""

    @property
    def decisions(self) -> DebitDecisions: ...

    @property
    def delivery(self) -> DebitDelivery: ...

    @property
    def under_way(self) -> AnswersInDelivery: ...

    def claim_unresolved(self, card: bytes) -> Kept | None:
        """Claim an earlier debit on a card whose outcome is unknown; None if there is none."""

    def entry(self, debit_id: str) -> Kept:
        """Return a debit for reading."""


def requires_card(entry: JournalledDebit) -> bool:
    """Return True if the card is needed to continue; else the entry has its result.

    Raises:
        DebitNotDoneError, DebitManualError: the debit has ended without a result.
    """
    state = entry.state
    if state in DONE:
        return False
    if state in BEFORE_SENT or state in IN_DOUBT:
        return True
    raise error_of(entry)


def debit_or_recover(
    journal: DebitJournal[Entry],
    entry: Entry,
    card: SecuredCard,
    order: DebitOrder,
    limits: DebitLimits = DEFAULT_LIMITS,
) -> None:
    """Debit the card if the debit was never sent; else find out its outcome. The card must be present.

    Raises:
        DebitOpenError, DebitContradictedError, DebitUndeliveredError: as for `resolve_open_debit`.
        CardioError: as for `debit` and `recover`.
    """
    if entry.state in IN_DOUBT:
        recover(card, entry)
        return
    resolve_open_debit(journal, entry, card)
    debit(card, order, entry, limits)


def resolve_open_debit(journal: DebitJournal[Entry], entry: Entry, card: SecuredCard) -> None:
    """Resolve earlier debits on this card before the next one.

    A debit with an unknown outcome is resolved. Persons' decisions are compared with the card. A debit whose result was
    not delivered stops the next one. Amount and time are told only to the caller that owns the earlier debit.

    Raises:
        DebitOpenError: the outcome of an earlier debit was unknown.
        DebitContradictedError: the card contradicts a person's decision on an earlier debit.
        DebitUndeliveredError: the result of an earlier debit was not delivered.
    """
    with recording_abort(entry):
        _find_out_what_is_open(journal, entry, card)
        _compare_decisions(journal, entry, card)
        _stop_for_an_undelivered_result(journal, entry, card)


def _find_out_what_is_open(journal: DebitJournal[Entry], entry: Entry, card: SecuredCard) -> None:
    other = journal.claim_unresolved(card.identity)
    if other is None:
        return
    entry.also_claim(other)
    try:
        if other.state is not DebitState.MANUAL:
            with suppress(DebitNotDoneError, DebitManualError, DebitUnknownError):
                recover(card, other)
        shown = other.record()
    finally:
        other.release()
    if shown.reason == CONTRADICTED:
        raise _contradicted(shown, entry)
    zh, en = _TOLD.get(shown.outcome, _NOT_TOLD)
    if shown.origin != entry.record().origin:
        raise DebitOpenError(f"该卡此前有一笔其他系统的消费：{zh}", f"an earlier debit of another caller: {en}")
    time, amount = _time_and_amount(shown)
    error = DebitOpenError(
        f"此前 {time} 的一笔消费（{amount} 元）：{zh}", f"an earlier one, {time}, {amount} yuan: {en}"
    )
    # A caller that was not told that the outcome was unknown does not come back for it.
    journal.under_way.wait(other.id, _ANSWER_SECONDS)
    if shown.outcome == "done" and other.was_reported_unknown:
        error.reported_debit = other.id
    raise error


def _compare_decisions(journal: DebitJournal[Entry], entry: Entry, card: SecuredCard) -> None:
    """Ask the card about each debit on it that a person has decided on, until it has answered once."""
    for debit_id, said in journal.decisions.to_compare(card.identity):
        other = journal.entry(debit_id)
        if other.intent is None:
            continue
        try:
            contradicted = contradicts(card, other.intent, done=said == "done", doubted=other.doubted)
        except DebitUnknownError:
            continue
        found: Compared = "not-told" if contradicted is None else "contradicts" if contradicted else "agrees"
        journal.decisions.conclude(debit_id, found)
        if found == "contradicts":
            raise _contradicted(other.record(), entry)


def _contradicted(shown: DebitRecord, entry: Entry) -> DebitContradictedError:
    if shown.origin != entry.record().origin:
        return DebitContradictedError("该笔消费由其他系统发起", "it is another program's or page's debit")
    time, amount = _time_and_amount(shown)
    return DebitContradictedError(
        f"消费 {shown.id}：交易时间 {time}，金额 {amount} 元",
        f"debit {shown.id}: at {time}, {amount} yuan",
        debit_id=shown.id,
    )


def _stop_for_an_undelivered_result(journal: DebitJournal[Entry], entry: Entry, card: SecuredCard) -> None:
    earlier = journal.delivery.undelivered_on(card.identity)
    if earlier is None:
        return
    # Its caller may be receiving the answer at this moment.
    journal.under_way.wait(earlier.id, _ANSWER_SECONDS)
    earlier = journal.delivery.undelivered_on(card.identity)
    if earlier is None:
        return
    if earlier.origin != entry.record().origin:
        raise DebitUndeliveredError("该笔扣款由其他系统发起", "it is another program's or page's")
    time, amount = _time_and_amount(earlier)
    raise DebitUndeliveredError(f"交易时间 {time}，金额 {amount} 元", f"at {time}, {amount} yuan", debit_id=earlier.id)


def _time_and_amount(shown: DebitRecord) -> tuple[str, str]:
    return with_marks(shown.time or ""), yuan((shown.self_paid_amount or 0) + (shown.pooled_fund_amount or 0))


def error_for_debit(entry: JournalledDebit, error: Exception) -> Exception | None:
    """Return the meaning of an error for a debit, by its journal; None if the debit is done in spite of the error.

    Once the debit may have been sent, only the outcome matters: another error becomes `DebitUnknownError`. If the
    journal cannot be read, this process knows whether the debit may have been sent.
    """
    reason = error.code if isinstance(error, CardioError) else "internal"
    try:
        # The card's thread may be about to send it: then the journal refuses either this step or that one.
        with suppress(JournalStepError):
            entry.transition(DebitState.ABORTED, reason=reason, unsent=True)
        if entry.state is DebitState.SENT:
            with suppress(JournalStepError):
                entry.transition(DebitState.UNKNOWN, reason=reason)
        state = entry.state
    except CardioError:
        if entry.withdraw():
            return error
        state = DebitState.UNKNOWN
    if state in DONE:
        return None
    if state in IN_DOUBT and not isinstance(error, DebitUnknownError):
        known = error if isinstance(error, CardioError) else CardioError()
        return DebitUnknownError(f"结果未知：{known.detail}", f"its outcome is not known: {known.detail_en}")
    return error
