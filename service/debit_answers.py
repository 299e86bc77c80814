"""What the bridge says of debits."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from cardio.model import Answer
from cardio.settlement import DebitResult, DebitState

Outcome = Literal["done", "none", "unknown"]


class DebitShown(Answer):
    """One debit of the journal."""

    id: str
    state: DebitState
    outcome: Outcome = Field(description="done: money was taken, once; none: nothing was; unknown: nobody can tell yet")
    origin: str
    idempotency_key: str
    created: datetime
    changed: datetime
    reason: str
    self_paid_amount: int | None = Field(description="in fen")
    pooled_fund_amount: int | None = Field(description="in fen")
    time: str | None
    result: DebitResult | None


class DebitList(Answer):
    debits: tuple[DebitShown, ...]
