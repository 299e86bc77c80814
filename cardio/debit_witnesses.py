"""What has become of a debit whose answer never came: the same card is asked, and its witnesses are weighed.

In this order: the proof that it still gives of its last debit, its record of details, its number with the yearly
totals. Where they disagree a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from cardio.account import Amounts, CardProof, PurchaseStart, begin_purchase, debit_key, details_in, proof_of
from cardio.account import Detail as CardDetail
from cardio.apdu.channel import Plan
from cardio.debit_errors import DebitManualError, DebitNotDoneError, DebitUnknownError
from cardio.errors import AccessNotGrantedError, CardGarbledError, CardRefusedError
from cardio.filesystem.visit import Visit
from cardio.secured_card import SecuredCard
from cardio.security.errors import SamError
from cardio.settlement import (
    DebitEntry,
    DebitIntent,
    DebitResult,
    DebitState,
    KnownBy,
    purchase_of,
    result_of,
)


class Detail(Enum):
    """What 医疗交易明细文件 says."""

    FOUND = auto()
    ABSENT = auto()
    SILENT = auto()
    """It could not be read."""


class Counter(Enum):
    """What number and totals say."""

    UNTOUCHED = auto()
    MOVED = auto()
    """By this debit, and nothing else."""
    LATER = auto()
    """There were others since."""
    ODD = auto()
    """Neither before nor after this debit."""
    SILENT = auto()


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What the card says afterwards."""

    proved: bool
    """It gives a MAC2 that only this debit has."""
    detail: Detail
    counter: Counter
    others: bool = False
    """Its details account for every number since, by other debits than this."""
    proof: CardProof | None = None
    """Its MAC2 and TAC, where they are this debit's."""


@dataclass(frozen=True, slots=True)
class Verdict:
    state: DebitState
    known_by: KnownBy = "counter"


def judge(witnesses: Witnesses, *, proof_only: bool = False) -> Verdict:
    """Weighs what the card says.

    Args: ``proof_only``: it has given a wrong MAC2, so nothing but the right one counts.
    """
    if proof_only and not witnesses.proved:
        return Verdict(DebitState.MANUAL)
    proved, detail, counter = witnesses.proved, witnesses.detail, witnesses.counter
    done = proved or detail is Detail.FOUND
    known_by: KnownBy = "proof" if proved else "detail" if done else "counter"
    if counter is Counter.ODD or (done and counter is Counter.UNTOUCHED):
        return Verdict(DebitState.MANUAL)
    if done:
        return Verdict(DebitState.COMMITTED, known_by)
    if counter is Counter.SILENT:
        return Verdict(DebitState.UNKNOWN)
    if counter is Counter.UNTOUCHED or (counter is Counter.LATER and witnesses.others):
        return Verdict(DebitState.ABORTED)
    if counter is Counter.MOVED and detail is Detail.SILENT:
        return Verdict(DebitState.COMMITTED, known_by)
    # The number has gone on, and the card's own record does not know this debit.
    return Verdict(DebitState.MANUAL)


def recover(card: SecuredCard, entry: DebitEntry, *, proof_only: bool = False) -> DebitResult:
    """Asks the card what has become of a debit, and says it in the journal. It never debits.

    Args: ``proof_only``: as `judge`.

    Raises:
        DebitNotDoneError: nothing was taken.
        DebitManualError: card and journal disagree.
        DebitUnknownError: this card cannot tell, as long as its PIN or its reader is missing.
        CardChangedError: it is another card.
        CardioError: the card could not be asked; what has become of it is as unknown as before.
    """
    intent = entry.intent
    if intent is None or intent.terminal_transaction_number is None:
        raise DebitManualError()
    entry.meet(card.identity)
    witnesses = _ask(card, intent)
    verdict = judge(witnesses, proof_only=proof_only)
    match verdict.state:
        case DebitState.COMMITTED:
            result = result_of(intent, witnesses.proof, verdict.known_by)
            entry.move(DebitState.COMMITTED, result=result)
            return result
        case DebitState.ABORTED:
            entry.move(DebitState.ABORTED, reason="the card has not done it")
            raise DebitNotDoneError()
        case DebitState.MANUAL:
            entry.move(DebitState.MANUAL, reason=f"{witnesses.detail.name}, {witnesses.counter.name}")
            raise DebitManualError()
    raise DebitUnknownError("卡片未给出证据：可能需要密码", "the card gives no evidence: it may want its PIN")


def _ask(card: SecuredCard, intent: DebitIntent) -> Witnesses:
    numbers = (intent.transaction_number, intent.transaction_number + 1)
    """Cards call a debit by the number that it began with, or by the one that they counted to."""
    visit = card.visit
    card.run(_enter(visit))
    proofs = {number: proof for number in numbers if number <= 0xFFFF and (proof := card.run(proof_of(number)))}
    ours = next((proof for proof in proofs.values() if _is_ours(card, intent, proof)), None)
    details = card.run(_details(visit))
    found = None if details is None else next((one for one in details if _notes(one, intent, numbers)), None)
    counter, moved = card.run(_counter(card, intent))
    return Witnesses(
        proved=ours is not None,
        detail=Detail.SILENT if details is None else Detail.ABSENT if found is None else Detail.FOUND,
        counter=counter,
        others=details is not None and _account_for(details, intent.transaction_number, moved),
        # One that nobody here can check is taken for the debit's where it is called as the detail is.
        proof=ours or (None if found is None else proofs.get(found.transaction_number or 0)),
    )


def _enter(visit: Visit) -> Plan[None]:
    purse = visit.layout.purse
    if purse is not None:
        yield from visit.enter(purse.application)


def _is_ours(card: SecuredCard, intent: DebitIntent, proof: CardProof) -> bool:
    number = bytes.fromhex(intent.terminal_transaction_number or "")
    try:
        return card.sam.check_purchase(purchase_of(card, intent), number, proof.mac2) is True
    except SamError:
        return False


def _details(visit: Visit) -> Plan[list[CardDetail] | None]:
    """What the card has noted, the newest first; None where that cannot be read whole.

    Raises:
        CardioError: a PIN was to be presented, and it went wrong.
    """
    file = visit.layout.details_file
    if file is None:
        return None
    reading = yield from visit.read(file.path, thorough=True)
    if reading.refusal is not None and not reading.empty:
        if reading.hindrance is not None and not isinstance(reading.hindrance, AccessNotGrantedError):
            raise reading.hindrance
        return None
    return None if reading.damaged_numbers else list(details_in(reading))


def _notes(detail: CardDetail, intent: DebitIntent, numbers: tuple[int, int]) -> bool:
    """Whether it is this debit's: its terminal, time and amounts, under one of its two numbers."""
    amounts = (intent.personal_account_amount, intent.self_paid_amount, intent.pooled_fund_amount)
    same = (detail.terminal_number, detail.time, detail.amounts) == (intent.terminal_number, intent.time, amounts)
    return same and detail.transaction_number in numbers


def _account_for(details: list[CardDetail], before: int, moved: int) -> bool:
    """Whether each number that the card has counted since stands in a detail."""
    noted = [detail.transaction_number for detail in details[:moved]]
    return moved > 0 and noted == [before + number for number in range(moved, 0, -1)]


def _counter(card: SecuredCard, intent: DebitIntent) -> Plan[tuple[Counter, int]]:
    """INITIALIZE FOR PURCHASE changes nothing, and tells where number and totals stand. The amount matters only in so
    far as the balance must bear it."""
    _, index = debit_key(card.layout, _index_of(card, intent.key))
    asked = Amounts(0, intent.self_paid_amount, intent.pooled_fund_amount or 1)
    try:
        start: PurchaseStart = yield from begin_purchase(
            card.visit, index, asked, bytes.fromhex(intent.terminal_number)
        )
    except (AccessNotGrantedError, CardRefusedError, CardGarbledError):
        return Counter.SILENT, 0
    return compare(intent, start), start.transaction_number - intent.transaction_number


def _index_of(card: SecuredCard, key: str) -> int | None:
    found = card.layout.key(key)
    return None if found is None else found.id


def compare(intent: DebitIntent, start: PurchaseStart) -> Counter:
    """Where the card stands now against where it stood before the debit."""
    moved = start.transaction_number - intent.transaction_number
    if moved == 0:
        return Counter.UNTOUCHED if start.totals == intent.totals else Counter.ODD
    if moved == 1:
        year = intent.time[:4]
        return Counter.MOVED if start.totals == intent.totals.after(intent.amounts, year) else Counter.LATER
    return Counter.LATER if moved > 1 else Counter.ODD
