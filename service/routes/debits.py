"""The debits in the journal, for bookkeeping, and for the person who resolves those with an unknown outcome."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict

from cardio.debits.errors import JournalStepError
from cardio.debits.record import DebitList, DebitRecord
from cardio.debits.transaction import DebitState
from cardio.models.problem import Problem
from service.debits.delivery.receipts import ReportedOutcome
from service.debits.errors import NoSuchDebitError
from service.debits.journal import Journal
from service.gate.context import context_of
from service.gate.scopes import Caller, Scope
from service.routes.dependencies import AuditOf, CallerOf, ContextOf, DebitsOf, require_scope

router = APIRouter(prefix="/v1/debits", tags=["debits"])
_SEES = require_scope(Scope.SETTLE, Scope.MANAGE)
_MOST_LISTED = 500
DebitId = Annotated[str, Path(max_length=64)]
Peek = Annotated[
    bool,
    Query(description="true: look only; no debit counts as handed over by this, as a monitor wants it"),
]
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "there is no such debit of this caller's"},
    409: {"model": Problem, "description": "the debit is past that, or not there yet"},
    503: {"model": Problem, "description": "the journal of debits cannot be used"},
}
_NO_JOURNAL: dict[int | str, dict[str, Any]] = {503: _PROBLEMS[503]}


class Resolution(BaseModel):
    """The decision of a person who has compared the card's records with the journal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Literal["done", "none"]


@router.get("", dependencies=[_SEES], responses=_NO_JOURNAL)
async def list_debits(
    caller: CallerOf,
    context: ContextOf,
    debits: DebitsOf,
    all_states: Annotated[
        bool, Query(alias="all", description="those that are settled or came to nothing too")
    ] = False,
    peek: Peek = False,
) -> DebitList:
    """Return the caller's debits that are not settled yet: first those with an unknown outcome, then the newest.

    The owner sees the debits of all callers.

    A result that was not delivered before counts as handed over when its own caller gets it here.
    """
    journal = await debits.journal()
    owner = None if Scope.MANAGE in caller.scopes else caller.origin
    found = await asyncio.to_thread(journal.list_debits, owner, all_states=all_states, limit=_MOST_LISTED + 1)
    listed = tuple(found[:_MOST_LISTED])
    if not peek:
        # Results that were handed over before need no record: hundreds of records would delay the debits.
        news = (DebitState.SENT, DebitState.UNKNOWN, DebitState.MANUAL, DebitState.COMMITTED)
        reported = (
            ReportedOutcome.of(one, by_name=False)
            for one in listed
            if one.origin == caller.origin and one.state in news
        )
        debits.receipts.note_when_handed_over(journal, context.receipt, reported)
    return DebitList(debits=listed, more=len(found) > _MOST_LISTED)


@router.get("/{debit}", dependencies=[_SEES], responses=_NO_JOURNAL | {404: _PROBLEMS[404]})
async def show_debit(
    debit: DebitId, caller: CallerOf, context: ContextOf, debits: DebitsOf, peek: Peek = False
) -> DebitRecord:
    """Return one debit: its state, whether money was taken, and its result. Its own caller then counts as informed."""
    journal = await debits.journal()
    shown = await asyncio.to_thread(_own, journal, debit, caller)
    if not peek and shown.origin == caller.origin:
        debits.receipts.note_when_handed_over(journal, context.receipt, [ReportedOutcome.of(shown, by_name=True)])
    return shown


@router.post("/{debit}/acknowledged", dependencies=[_SEES], responses=_PROBLEMS)
async def acknowledge_debit(
    request: Request, debit: DebitId, caller: CallerOf, debits: DebitsOf, audit: AuditOf
) -> DebitRecord:
    """Confirm that the caller has the result, or that a person has checked it.

    The next debit on that card is then no longer refused for it. A second time does nothing.
    """
    journal = await debits.journal()

    def acknowledge() -> DebitRecord:
        _own(journal, debit, caller)
        if not journal.delivery.acknowledge(debit):
            raise JournalStepError("该笔消费没有扣款结果可确认", "there is no result to acknowledge")
        audit.note(context_of(request, caller), target=debit)
        return journal.record(debit)

    return await asyncio.to_thread(acknowledge)


@router.post("/{debit}/settled", dependencies=[_SEES], responses=_PROBLEMS)
async def settle_debit(debit: DebitId, caller: CallerOf, debits: DebitsOf) -> DebitRecord:
    """Record that the caller has booked the debit: nothing more is expected for it. A second time does nothing."""
    journal = await debits.journal()

    def settle() -> DebitRecord:
        _own(journal, debit, caller)
        journal.settle(debit)
        return journal.record(debit)

    return await asyncio.to_thread(settle)


@router.post("/{debit}/resolution", dependencies=[require_scope(Scope.MANAGE)], responses=_PROBLEMS)
async def resolve_debit(
    request: Request, debit: DebitId, asked: Resolution, debits: DebitsOf, audit: AuditOf, caller: CallerOf
) -> DebitRecord:
    """Record a person's decision about a debit on which card and journal disagree, or whose card never came back."""
    journal = await debits.journal()

    def resolve() -> DebitRecord:
        journal.resolve(debit, done=asked.outcome == "done")
        audit.note(context_of(request, caller), target=f"{debit} {asked.outcome}")
        return journal.record(debit)

    return await asyncio.to_thread(resolve)


def _own(journal: Journal, debit: str, caller: Caller) -> DebitRecord:
    """Return a debit that the caller may see.

    Raises:
        NoSuchDebitError: there is no such debit, or it is another caller's.
    """
    shown = journal.record(debit)
    if shown.origin != caller.origin and Scope.MANAGE not in caller.scopes:
        raise NoSuchDebitError()
    return shown
