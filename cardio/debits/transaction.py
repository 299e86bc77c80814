"""One debit from its order to its end, so that money is taken exactly once.

::

    NEW → PREPARED → INITIALISED → ARMED → SENT → COMMITTED → DELIVERED → SETTLED
    before SENT + fault → ABORTED        SENT + fault → UNKNOWN → COMMITTED | ABORTED, or MANUAL

Each step is in a journal before the action that it stands for. The debit's command is sent after SENT is on disk. If a
process finds SENT there after a crash, the outcome is unknown. Only the same card can show it
(`cardio.debits.recovery`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol, Self, TypedDict, Unpack

from cardio.card.secured import SecuredCard
from cardio.debits.errors import DebitManualError, DebitNotDoneError, WrongMac2Error
from cardio.debits.purse import Amounts, CardProof, PurchaseStart, Totals, purse_of
from cardio.errors import CardioError, UsageError
from cardio.filesystem.layouts.model import Key
from cardio.models.base import FrozenModel
from cardio.security.sam.base import Purchase

_ILLEGAL = -23
KnownBy = Literal["mac2", "card", "proof", "detail", "counter", "person"]
"""The evidence by which a debit is known to be done. ``counter`` stands in older journals only."""
CardRecord = Literal["clear", "no-file", "closed", "unreadable", "not-kept"]
"""The result of the card's own record before the debit: it does not have this order, or the reason why it could not be
read.
"""


class DebitState(StrEnum):
    NEW = "new"
    PREPARED = "prepared"
    """The card is known."""
    INITIALISED = "initialised"
    """The card has given its number and totals."""
    ARMED = "armed"
    """MAC1 is there: nothing else is needed."""
    SENT = "sent"
    """The command may have reached the card."""
    COMMITTED = "committed"
    """The debit is done; its result was not delivered yet."""
    DELIVERED = "delivered"
    """The result was handed over to its caller, which was still connected."""
    SETTLED = "settled"
    """The caller has said that it is booked."""
    ABORTED = "aborted"
    """Nothing was taken."""
    UNKNOWN = "unknown"
    MANUAL = "manual"
    """Card and journal disagree: a person decides."""


_S = DebitState
BEFORE_SENT = frozenset({_S.NEW, _S.PREPARED, _S.INITIALISED, _S.ARMED})
DONE = frozenset({_S.COMMITTED, _S.DELIVERED, _S.SETTLED})
UNBOOKED_STATES = DONE - {_S.SETTLED}
IN_DOUBT = frozenset({_S.SENT, _S.UNKNOWN})
"""The states in which the card is asked for the outcome."""
UNRESOLVED = IN_DOUBT | {_S.MANUAL}
TRANSITIONS: dict[DebitState, frozenset[DebitState]] = {
    _S.NEW: frozenset({_S.PREPARED, _S.ABORTED}),
    _S.PREPARED: frozenset({_S.INITIALISED, _S.ABORTED}),
    _S.INITIALISED: frozenset({_S.ARMED, _S.ABORTED}),
    _S.ARMED: frozenset({_S.SENT, _S.ABORTED}),
    _S.SENT: frozenset({_S.COMMITTED, _S.UNKNOWN, _S.ABORTED}),
    _S.UNKNOWN: frozenset({_S.COMMITTED, _S.ABORTED, _S.MANUAL}),
    _S.MANUAL: frozenset({_S.COMMITTED, _S.ABORTED}),
    _S.COMMITTED: frozenset({_S.DELIVERED, _S.SETTLED}),
    _S.DELIVERED: frozenset({_S.SETTLED}),
    _S.SETTLED: frozenset(),
    _S.ABORTED: frozenset(),
}
"""The permitted steps; the journal refuses every other step from any caller."""


@dataclass(frozen=True, slots=True)
class DebitOrder:
    """The amounts to be taken, and the time that the cashier gives."""

    amounts: Amounts
    time: str
    """YYYYMMDDhhmmss."""

    def __post_init__(self) -> None:
        try:
            if not re.fullmatch("[0-9]{14}", self.time, re.ASCII):
                raise ValueError
            datetime.strptime(self.time, "%Y%m%d%H%M%S")
        except ValueError:
            raise UsageError(
                "交易时间应为 YYYYMMDDhhmmss", "the time of a debit is YYYYMMDDhhmmss", driver_code=_ILLEGAL
            ) from None

    @property
    def moment(self) -> datetime:
        """Return its time, as local time without a zone."""
        return datetime.strptime(self.time, "%Y%m%d%H%M%S")


class DebitIntent(FrozenModel):
    """All facts that are known before the debit is sent, as they stand in the journal."""

    personal_account_amount: int
    self_paid_amount: int
    pooled_fund_amount: int
    time: str
    terminal_number: str
    transaction_number: int
    """交易序号, the card's, before the debit."""
    key: str
    key_version: int
    algorithm_number: int
    challenge: str
    personal_account_balance: int
    self_paid_total: int
    pooled_fund_total: int
    payment_year: str
    terminal_transaction_number: str | None = None
    """终端交易序号, eight hex digits; None until there is a MAC1."""
    card_record: CardRecord | None = None
    """The result of the card's own record; None in journals of older versions, which did not check it."""

    @classmethod
    def of(
        cls,
        order: DebitOrder,
        start: PurchaseStart,
        key: Key,
        terminal_number: bytes,
        card_record: CardRecord | None = None,
    ) -> Self:
        amounts, totals = order.amounts, start.totals
        return cls(
            personal_account_amount=amounts.personal_account,
            self_paid_amount=amounts.self_paid,
            pooled_fund_amount=amounts.pooled_fund,
            time=order.time,
            terminal_number=terminal_number.hex(),
            transaction_number=start.transaction_number,
            key=key.name,
            key_version=start.key_version,
            algorithm_number=start.algorithm_number,
            challenge=start.challenge.hex().upper(),
            personal_account_balance=totals.personal_account_balance,
            self_paid_total=totals.self_paid_total,
            pooled_fund_total=totals.pooled_fund_total,
            payment_year=totals.payment_year,
            card_record=card_record,
        )

    @property
    def amounts(self) -> Amounts:
        return Amounts(*self.amounts_in_order)

    @property
    def amounts_in_order(self) -> tuple[int, int, int]:
        """Return 个人账户, 自付, 统筹, in the order of the card's details."""
        return self.personal_account_amount, self.self_paid_amount, self.pooled_fund_amount

    @property
    def totals(self) -> Totals:
        return Totals(self.personal_account_balance, self.self_paid_total, self.pooled_fund_total, self.payment_year)


class DebitResult(FrozenModel):
    """The result of a debit that was done: the amounts were taken, once."""

    transaction_number: int
    terminal_number: str
    terminal_transaction_number: str
    time: str
    personal_account_amount: int
    self_paid_amount: int
    pooled_fund_amount: int
    tac: str | None
    """交易认证码 for the issuer; None where the card's answer was lost and the card does not give it again."""
    mac2: str | None
    known_by: KnownBy
    """The evidence: the card's MAC2; its answer alone, where a caller's HSM checks MAC2; later evidence; or a
    person.
    """


class StepFacts(TypedDict, total=False):
    """The facts that a step brings besides its state."""

    intent: DebitIntent | None
    result: DebitResult | None
    reason: str
    doubted: bool
    """True from now on if the card's MAC2 was wrong."""
    at: datetime
    """The time of the step, if not now."""
    unsent: bool
    """True to take the step only if nothing was sent yet: an abort must not undo the action of another thread."""


class DebitEntry(Protocol):
    """The interface of one debit in a journal. A step is on disk when the call returns; a step that is not permitted is
    refused.
    """

    @property
    def state(self) -> DebitState:
        """Return the state on disk."""

    @property
    def intent(self) -> DebitIntent | None: ...

    @property
    def doubted(self) -> bool:
        """Return True if the card has given a wrong MAC2: then only the right one counts, or a person's decision."""

    def bind_card(self, card: bytes) -> None:
        """Note the card of the debit; if it is known already, check it.

        Raises:
            CardChangedError: it is another card.
        """

    def transition(self, to: DebitState, **facts: Unpack[StepFacts]) -> None:
        """Take a step.

        Raises:
            CardioError: the step is not permitted, or cannot be written; it is not taken then.
        """


def purchase_of(card: SecuredCard, intent: DebitIntent) -> Purchase:
    """Return the debit in the form for a SAM.

    Raises:
        SamError, CardGarbledError: as for `CardAuthenticator.terminal`.
    """
    return Purchase(
        key=card.card_key(intent.key).with_version(intent.key_version),
        challenge=bytes.fromhex(intent.challenge),
        transaction_number=intent.transaction_number,
        amounts=bytes(intent.amounts),
        transaction_type=purse_of(card.layout).transaction_type,
        terminal_number=bytes.fromhex(intent.terminal_number),
        time=bytes.fromhex(intent.time),
        algorithm_number=intent.algorithm_number,
    )


def result_of(
    intent: DebitIntent,
    proof: CardProof | None,
    known_by: KnownBy,
) -> DebitResult:
    return DebitResult(
        transaction_number=intent.transaction_number,
        terminal_number=intent.terminal_number,
        terminal_transaction_number=intent.terminal_transaction_number or "",
        time=intent.time,
        personal_account_amount=intent.personal_account_amount,
        self_paid_amount=intent.self_paid_amount,
        pooled_fund_amount=intent.pooled_fund_amount,
        tac=None if proof is None else proof.tac.hex().upper(),
        mac2=None if proof is None else proof.mac2.hex().upper(),
        known_by=known_by,
    )


def error_of(entry: DebitEntry) -> CardioError:
    """Return the error for a caller that asks again for a debit that was not done, or that needs a person's
    decision.
    """
    if entry.state is not DebitState.MANUAL:
        return DebitNotDoneError()
    return WrongMac2Error() if entry.doubted else DebitManualError()
