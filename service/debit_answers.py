"""What the bridge says of debits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field

from cardio.model import Answer
from cardio.settlement import DONE, NOBODY_KNOWS, DebitIntent, DebitResult, DebitState

Outcome = Literal["done", "none", "unknown"]


class DebitShown(Answer):
    """One debit of the journal."""

    id: str
    state: DebitState
    outcome: Outcome = Field(description="done: money was taken, once; none: nothing was; unknown: nobody can tell yet")
    origin: str = Field(description="whose it is: a page's origin, a program's name, or local")
    idempotency_key: str
    created: datetime
    changed: datetime
    reason: str = Field(
        description="what brought it here: an error's code, crash, superseded, left, person, or nothing"
    )
    self_paid_amount: int | None = Field(description="in fen")
    pooled_fund_amount: int | None = Field(description="in fen")
    time: str | None = Field(description="YYYYMMDDhhmmss, as it was asked for")
    terminal_number: str | None
    transaction_number: int | None = Field(description="the card's, with which it began")
    result: DebitResult | None

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """As the journal's table has it."""
        intent = None if row["intent"] is None else DebitIntent.model_validate_json(row["intent"])
        state = DebitState(row["state"])
        return cls(
            id=row["id"],
            state=state,
            outcome="done" if state in DONE else "unknown" if state in NOBODY_KNOWS else "none",
            origin=row["owner"],
            idempotency_key=row["idempotency_key"],
            created=datetime.fromisoformat(row["created"]),
            changed=datetime.fromisoformat(row["changed"]),
            reason=row["reason"],
            self_paid_amount=None if intent is None else intent.self_paid_amount,
            pooled_fund_amount=None if intent is None else intent.pooled_fund_amount,
            time=None if intent is None else intent.time,
            terminal_number=None if intent is None else intent.terminal_number,
            transaction_number=None if intent is None else intent.transaction_number,
            result=None if row["result"] is None else DebitResult.model_validate_json(row["result"]),
        )


class DebitList(Answer):
    debits: tuple[DebitShown, ...]
    more: bool = Field(description="there are more, which are not listed")
