"""Debits, exactly once: the order, its steps, the journal's protocol, and the recovery of a debit without an answer.

Example:
    >>> from cardio.debits import Amounts, DebitLimits, DebitOrder
    >>> from datetime import datetime
    >>> order = DebitOrder(Amounts(0, self_paid=1250, pooled_fund=3000), f"{datetime.now():%Y%m%d%H%M%S}")  # fen
    >>> DebitLimits(most=4000).check_order(order)
    Traceback (most recent call last):
    ...
    cardio.debits.errors.DebitLimitError: ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardio.public.lazy_imports import import_lazily

if TYPE_CHECKING:
    from cardio.debits.execution import debit as debit
    from cardio.debits.lifecycle import DebitJournal as DebitJournal
    from cardio.debits.lifecycle import JournalledDebit as JournalledDebit
    from cardio.debits.lifecycle import debit_or_recover as debit_or_recover
    from cardio.debits.lifecycle import requires_card as requires_card
    from cardio.debits.lifecycle import resolve_open_debit as resolve_open_debit
    from cardio.debits.limits import DebitLimits as DebitLimits
    from cardio.debits.purse import Amounts as Amounts
    from cardio.debits.record import DebitRecord as DebitRecord
    from cardio.debits.recovery import recover as recover
    from cardio.debits.transaction import DebitEntry as DebitEntry
    from cardio.debits.transaction import DebitOrder as DebitOrder
    from cardio.debits.transaction import DebitResult as DebitResult
    from cardio.debits.transaction import DebitState as DebitState

_HOMES = {
    "Amounts": "purse",
    "DebitEntry": "transaction",
    "DebitJournal": "lifecycle",
    "DebitLimits": "limits",
    "DebitOrder": "transaction",
    "DebitRecord": "record",
    "DebitResult": "transaction",
    "DebitState": "transaction",
    "JournalledDebit": "lifecycle",
    "debit": "execution",
    "debit_or_recover": "lifecycle",
    "recover": "recovery",
    "requires_card": "lifecycle",
    "resolve_open_debit": "lifecycle",
}
__all__ = sorted(_HOMES)
__getattr__ = import_lazily(__name__, _HOMES)
