"""The conversion of a row of the journal's table to a debit's record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cardio.debits.record import DebitRecord
from cardio.debits.transaction import DONE, UNRESOLVED, DebitIntent, DebitResult, DebitState


def record_of_row(row: Mapping[str, Any], *, tampered: bool = False) -> DebitRecord:
    """Return the record of a debit from a row of the journal's table.

    Args:
        row: the row.
        tampered: True if the row was changed from outside.
    """
    intent = None if row["intent"] is None else DebitIntent.model_validate_json(row["intent"])
    result = None if row["result"] is None else DebitResult.model_validate_json(row["result"])
    order = intent or result
    state = DebitState(row["state"])
    handed_over, acknowledged = (
        None if row[name] is None else datetime.fromisoformat(row[name]) for name in ("handed_over", "acknowledged")
    )
    return DebitRecord(
        id=row["id"],
        state=state,
        outcome="done" if state in DONE else "unknown" if state in UNRESOLVED else "none",
        origin=row["owner"],
        idempotency_key=row["idempotency_key"] if row["thinned"] is None else "",
        created=datetime.fromisoformat(row["created"]),
        changed=datetime.fromisoformat(row["changed"]),
        handed_over=handed_over,
        acknowledged=acknowledged,
        undelivered=state is DebitState.COMMITTED and acknowledged is None,
        reason=row["reason"],
        self_paid_amount=None if order is None else order.self_paid_amount,
        pooled_fund_amount=None if order is None else order.pooled_fund_amount,
        time=None if order is None else order.time,
        terminal_number=None if order is None else order.terminal_number,
        transaction_number=None if order is None else order.transaction_number,
        card_record=None if intent is None else intent.card_record,
        compared=row.get("compared"),
        result=result,
        thinned=None if row["thinned"] is None else datetime.fromisoformat(row["thinned"]),
        tampered=tampered,
    )
