"""One debit from its order to its end, so that money moves exactly once.

::

    NEW → PREPARED → INITIALISED → ARMED → SENT → COMMITTED → DELIVERED → SETTLED
    before SENT + fault → ABORTED        SENT + fault → UNKNOWN → COMMITTED | ABORTED, or MANUAL

Each step is in a journal before what it stands for is done: the debit's command leaves after SENT is on disk, and
whoever finds SENT there after a crash knows that he does not know. What has become of it the same card tells
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
"""By which witness a debit is known to be done. ``counter`` stands in older journals only."""
CardRecord = Literal["clear", "no-file", "closed", "unreadable", "not-kept"]
"""What the card's own record said before the debit: that it does not have this order, or why it could not be asked."""


class DebitState(StrEnum):
    NEW = "new"
    PREPARED = "prepared"
    """The card is known."""
    INITIALISED = "initialised"
    """The card has said its number and totals."""
    ARMED = "armed"
    """There is a MAC1: all that is needed."""
    SENT = "sent"
    """The card may have been told."""
    COMMITTED = "committed"
    """It is done; its result was not delivered yet."""
    DELIVERED = "delivered"
    """Its result was handed over to its caller, which was still connected."""
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
UNCLEAR = frozenset({_S.SENT, _S.UNKNOWN})
"""The card is asked what has become of it."""
UNRESOLVED = UNCLEAR | {_S.MANUAL}
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
"""Every other step is refused by the journal, whoever takes it."""


@dataclass(frozen=True, slots=True)
class DebitOrder:
    """What is to be taken, and when the cashier says it is."""

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
        """Its time, as local time without a zone."""
        return datetime.strptime(self.time, "%Y%m%d%H%M%S")


class DebitIntent(FrozenModel):
    """All that is known before the card is told, as it stands in the journal."""

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
    """None where nobody has asked: in journals of older versions."""

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
        """个人账户, 自付, 统筹, as the card's details have them."""
        return self.personal_account_amount, self.self_paid_amount, self.pooled_fund_amount

    @property
    def totals(self) -> Totals:
        return Totals(self.personal_account_balance, self.self_paid_total, self.pooled_fund_total, self.payment_year)


class DebitResult(FrozenModel):
    """What a debit came to: money was taken, once."""

    transaction_number: int
    terminal_number: str
    terminal_transaction_number: str
    time: str
    personal_account_amount: int
    self_paid_amount: int
    pooled_fund_amount: int
    tac: str | None
    """交易认证码 for the issuer; None where the card's answer was lost and it does not give it again."""
    mac2: str | None
    known_by: KnownBy
    """The card's MAC2; its word alone, where a caller's HSM checks it; what witnessed afterwards; or who decided."""


class StepFacts(TypedDict, total=False):
    """What a step brings besides its state."""

    intent: DebitIntent | None
    result: DebitResult | None
    reason: str
    doubted: bool
    """From now on."""
    at: datetime
    """When it was, if not now."""
    unsent: bool
    """Take it only if nothing was sent yet: whoever aborts must not undo what another thread has done."""


class DebitEntry(Protocol):
    """One debit in a journal. What it is told is on disk when it returns; a step that may not follow is refused."""

    @property
    def state(self) -> DebitState:
        """As it stands on disk."""

    @property
    def intent(self) -> DebitIntent | None: ...

    @property
    def doubted(self) -> bool:
        """The card has given a wrong MAC2: nothing but the right one counts, or a person."""

    def meet(self, card: bytes) -> None:
        """Notes which card it is; of one that is known already, checks it. Raises: CardChangedError: another one."""

    def move(self, to: DebitState, **facts: Unpack[StepFacts]) -> None:
        """Takes a step.

        Raises:
            CardioError: the step may not follow, or cannot be written; it is not taken then.
        """


def purchase_of(card: SecuredCard, intent: DebitIntent) -> Purchase:
    """Return what a SAM is asked about a debit.

    Raises:
        SamError, CardGarbledError: as `CardAuthenticator.terminal`.
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
    """Return the error for a caller that asks again for a debit that was not done, or that wants a person."""
    if entry.state is not DebitState.MANUAL:
        return DebitNotDoneError()
    return WrongMac2Error() if entry.doubted else DebitManualError()
