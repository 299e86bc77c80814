"""The record of a debit, as its journal returns it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from cardio.debits.transaction import CardRecord, DebitResult, DebitState
from cardio.models.base import FrozenModel

ResolvedOutcome = Literal["done", "none", "unknown"]
CONTRADICTED = "contradicted"
"""The reason of a debit for which the card contradicts a person's decision."""
Compared = Literal["agrees", "contradicts", "not-told"]


class DebitRecord(FrozenModel):
    """One debit of the journal."""

    id: str
    state: DebitState
    outcome: ResolvedOutcome = Field(
        description="done: money was taken, once; none: nothing was; unknown: it is not known yet"
    )
    origin: str = Field(description="whose it is: a page's origin, a program's name, or local")
    idempotency_key: str = Field(description="empty when it is settled: the journal keeps a keyed hash of it then")
    created: datetime
    changed: datetime
    handed_over: datetime | None = Field(
        description="when its result was handed over to its caller, which was still connected; null until then, and "
        "for debits of an older version"
    )
    acknowledged: datetime | None = Field(
        description="when its caller came back for a result that it had been given, or said that it has it; or when "
        "a person did"
    )
    undelivered: bool = Field(
        description="it is done, and its result was not delivered: the next debit on this card is refused"
    )
    reason: str = Field(
        description="what brought it here: an error's code, crash, superseded, left, person, contradicted, or nothing"
    )
    self_paid_amount: int | None = Field(description="in fen")
    pooled_fund_amount: int | None = Field(description="in fen")
    time: str | None = Field(description="YYYYMMDDhhmmss, as it was asked for")
    terminal_number: str | None
    transaction_number: int | None = Field(description="the card's, with which it began")
    card_record: CardRecord | None = Field(
        default=None,
        description="what the card's own record (DF04/EF08) said before it was debited: clear, it does not have this "
        "order; else why it could not be asked: no-file, closed, unreadable, not-kept. null: it was not queried",
    )
    compared: Compared | None = Field(
        default=None,
        description="of what a person has decided: what the card said of it when it was back; null until then",
    )
    result: DebitResult | None
    thinned: datetime | None = Field(
        default=None, description="when the card's balances and totals, and the key in clear, were left out"
    )
    tampered: bool = Field(
        default=False, description="its record was changed from outside, and nothing in it is believed"
    )

    def as_answered(self, at: datetime) -> Self:
        """Return the record as the answer to its own key shows it, the same each time: delivered, without later
        changes.
        """
        if self.state is DebitState.COMMITTED:
            delivered = {
                "state": DebitState.DELIVERED,
                "reason": "",
                "changed": at,
                "handed_over": at,
                "undelivered": False,
            }
            return self.model_copy(update=delivered)
        if self.acknowledged and self.handed_over and self.acknowledged > self.handed_over:
            return self.model_copy(update={"acknowledged": None})
        return self


class DebitList(FrozenModel):
    debits: tuple[DebitRecord, ...]
    more: bool = Field(description="there are more, which are not listed")
