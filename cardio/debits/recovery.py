"""The recovery of a debit whose answer never came: the same card is asked, and its evidence is weighed.

The evidence is used in this order: the proof that the card still gives of its last debit, its record of details, its
number with the yearly totals. If they disagree a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from cardio.apdu.channel import Flow
from cardio.card.secured import SecuredCard
from cardio.debits.errors import DebitManualError, DebitUnknownError
from cardio.debits.purse import (
    Amounts,
    CardProof,
    Detail,
    PurchaseStart,
    ask_for_proof,
    begin_purchase,
    details_in,
    key_of_debit,
    purse_of,
)
from cardio.debits.transaction import (
    DebitEntry,
    DebitIntent,
    DebitResult,
    DebitState,
    KnownBy,
    error_of,
    purchase_of,
    result_of,
)
from cardio.errors import AccessNotGrantedError, CardGarbledError, CardRefusedError
from cardio.filesystem.card_file_system import CardFileSystem
from cardio.security.errors import SamError
from cardio.security.sam.base import Mac2

_MOST_NUMBER = 0xFFFF


class DetailEvidence(Enum):
    """The evidence of 医疗交易明细文件."""

    FOUND = auto()
    ABSENT = auto()
    SILENT = auto()
    """The file could not be read."""


class CounterEvidence(Enum):
    """The evidence of number and totals."""

    UNTOUCHED = auto()
    MOVED = auto()
    """One debit of these amounts has happened: this one, or another."""
    LATER = auto()
    """Other debits have happened since."""
    ODD = auto()
    """The values fit neither before nor after this debit."""
    SILENT = auto()


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence that the card gives afterwards."""

    proved: bool
    """True if it gives a MAC2 that only this debit has."""
    detail: DetailEvidence
    counter: CounterEvidence
    others: bool = False
    """True if its details explain every number since by other debits than this."""
    proof: CardProof | None = None
    """Its MAC2 and TAC, where they are this debit's."""


@dataclass(frozen=True, slots=True)
class RecoveryVerdict:
    state: DebitState
    known_by: KnownBy | None = None
    """The evidence that shows the debit, if it was done."""


def weigh(evidence: Evidence, *, doubted: bool = False) -> RecoveryVerdict:
    """Weigh the card's evidence.

    Args:
        evidence: the evidence.
        doubted: the card has given a wrong MAC2, so only the right one counts.
    """
    proved, detail, counter = evidence.proved, evidence.detail, evidence.counter
    done = proved or detail is DetailEvidence.FOUND
    contradicted = counter is CounterEvidence.ODD or (done and counter is CounterEvidence.UNTOUCHED)
    if contradicted or (doubted and not proved):
        return RecoveryVerdict(DebitState.MANUAL)
    if done:
        return RecoveryVerdict(DebitState.COMMITTED, "proof" if proved else "detail")
    if counter is CounterEvidence.SILENT:
        return RecoveryVerdict(DebitState.UNKNOWN)
    if counter is CounterEvidence.UNTOUCHED or (counter is CounterEvidence.LATER and evidence.others):
        return RecoveryVerdict(DebitState.ABORTED)
    # The card's number has risen, and its record does not name this debit. A debit of the same amounts at another
    # terminal changes number and totals in the same way.
    return RecoveryVerdict(DebitState.MANUAL)


def recover(card: SecuredCard, entry: DebitEntry) -> DebitResult:
    """Ask the card for the outcome of a debit, and write it to the journal. This never debits.

    Raises:
        DebitNotDoneError: nothing was taken.
        DebitManualError: card and journal disagree.
        WrongMac2Error: card and journal disagree, and the card had given a wrong MAC2.
        DebitUnknownError: this card cannot show it as long as its PIN is missing.
        CardChangedError: it is another card.
        CardioError: the card could not be asked; the outcome is as unknown as before.
    """
    if entry.state is DebitState.SENT:
        entry.transition(DebitState.UNKNOWN, reason="left")
    intent = entry.intent
    if intent is None or intent.terminal_transaction_number is None:
        raise DebitManualError()
    entry.bind_card(card.identity)
    evidence = _collect_evidence(card, intent)
    verdict = weigh(evidence, doubted=entry.doubted)
    if verdict.state is DebitState.UNKNOWN:
        raise DebitUnknownError("卡片未给出证据：可能需要密码", "the card gives no evidence: it may want its PIN")
    if verdict.known_by is not None:
        result = result_of(intent, evidence.proof, verdict.known_by)
        entry.transition(verdict.state, result=result)
        return result
    entry.transition(verdict.state, reason=f"{evidence.detail.name}, {evidence.counter.name}".lower())
    raise error_of(entry)


def contradicts(card: SecuredCard, intent: DebitIntent, *, done: bool, doubted: bool = False) -> bool | None:
    """Ask the card whether it contradicts a person's decision on a debit; write nothing to the journal.

    Args:
        card: the card.
        intent: the debit as the card had begun it.
        done: the person's decision: the debit was done.
        doubted: the card has given a wrong MAC2.

    Returns:
        True if it contradicts, False if it agrees, None if its evidence shows neither.

    Raises:
        DebitUnknownError: the card cannot show it as long as its PIN is missing.
        CardioError: the card could not be asked.
    """
    evidence = _collect_evidence(card, intent)
    match weigh(evidence, doubted=doubted).state:
        case DebitState.UNKNOWN:
            raise DebitUnknownError("卡片未给出证据：可能需要密码", "the card gives no evidence: it may want its PIN")
        case DebitState.COMMITTED:
            return not done
        case DebitState.ABORTED:
            return done
    # Evidence that proves nothing by itself is still a reason to look again.
    return True if _contradicts(evidence, done=done) else None


def _contradicts(evidence: Evidence, *, done: bool) -> bool:
    if done:
        # Its number has risen, and its own record can be read and does not have the debit; or its number has not risen.
        untouched = evidence.counter is CounterEvidence.UNTOUCHED and evidence.detail is not DetailEvidence.FOUND
        return not evidence.proved and (evidence.detail is DetailEvidence.ABSENT or untouched)
    # Its record has the debit; or its totals have changed by exactly these amounts, and its own record cannot be read.
    moved = evidence.counter is CounterEvidence.MOVED and evidence.detail is DetailEvidence.SILENT
    return evidence.proved or evidence.detail is DetailEvidence.FOUND or moved


def _collect_evidence(card: SecuredCard, intent: DebitIntent) -> Evidence:
    before = intent.transaction_number
    # Cards name a debit by the number after counting, or by the number with which it began.
    numbers = tuple(number for number in (before + 1, before) if number <= _MOST_NUMBER)
    file_system = card.file_system
    card.run(file_system.select_application(purse_of(file_system.layout).application))
    proofs = {number: proof for number in numbers if (proof := card.run(ask_for_proof(number))) is not None}
    checked = {number: _check(card, intent, proof) for number, proof in proofs.items()}
    proved = next((proofs[number] for number, mac2 in checked.items() if mac2 is Mac2.RIGHT), None)
    details = card.run(_details(file_system))
    found = None if details is None else next((one for one in details if _notes(one, intent, numbers)), None)
    counter, moved = card.run(_counter(file_system, intent))
    proof = proved
    if found is not None and moved == 1 and checked.get(found.transaction_number or 0) is Mac2.UNCHECKED:
        # A proof that cannot be verified here counts if its number matches the detail record and exactly one debit has
        # happened since.
        proof = proofs[found.transaction_number or 0]
    return Evidence(
        proved=proved is not None,
        detail=DetailEvidence.SILENT
        if details is None
        else DetailEvidence.ABSENT
        if found is None
        else DetailEvidence.FOUND,
        counter=counter,
        others=details is not None and _account_for(details[: max(0, moved)], intent, numbers),
        proof=proof,
    )


def _check(card: SecuredCard, intent: DebitIntent, proof: CardProof) -> Mac2:
    number = bytes.fromhex(intent.terminal_transaction_number or "")
    try:
        return card.sam.check_purchase(purchase_of(card, intent), number, proof.mac2)
    except SamError:
        return Mac2.UNCHECKED


def _details(file_system: CardFileSystem) -> Flow[list[Detail] | None]:
    """Return the card's details, the newest first; None where they cannot be read whole.

    Raises:
        CardioError: a PIN was needed, and presenting it failed.
    """
    file = file_system.layout.details_file
    if file is None:
        return None
    reading = yield from file_system.read(file.path, probe_optional=True)
    if reading.refusal is not None and not reading.empty:
        if reading.access_error is not None and not isinstance(reading.access_error, AccessNotGrantedError):
            raise reading.access_error
        return None
    return None if reading.damaged_numbers or reading.corrupt_numbers else list(details_in(reading))


def _notes(detail: Detail, intent: DebitIntent, numbers: tuple[int, ...]) -> bool:
    """Return True if a detail is this debit's: its terminal, time and amounts, under one of its two numbers."""
    stated = (detail.terminal_number, detail.time, detail.amounts)
    return stated == (intent.terminal_number, intent.time, intent.amounts_in_order) and (
        detail.transaction_number in numbers
    )


def _account_for(since: list[Detail], intent: DebitIntent, numbers: tuple[int, ...]) -> bool:
    """Return True if a detail record of another debit explains every number that was counted since.

    Cards number a debit before or after they count. One missing detail does not mislead: this debit's own would be the
    newest, and the totals would be its.
    """
    noted = [detail.transaction_number for detail in since]
    counted_to = [intent.transaction_number + number for number in range(len(since), 0, -1)]
    complete = bool(since) and noted in (counted_to, [number - 1 for number in counted_to])
    return complete and all(_is_anothers(detail, intent) for detail in since if detail.transaction_number in numbers)


def _is_anothers(detail: Detail, intent: DebitIntent) -> bool:
    """Return True if a detail can be read whole and is not this debit with another time; a card's clock is not
    reliable.
    """
    whole = None not in (detail.terminal_number, detail.time, *detail.amounts)
    mine = (intent.terminal_number, intent.amounts_in_order)
    return whole and (detail.terminal_number, detail.amounts) != mine


def _counter(file_system: CardFileSystem, intent: DebitIntent) -> Flow[tuple[CounterEvidence, int]]:
    """Read number and totals by INITIALIZE FOR PURCHASE, which changes nothing, and compare them with those before the
    debit.

    The amount matters only because the balance must cover it.
    """
    key = key_of_debit(file_system.layout, intent.key)
    asked = Amounts(0, intent.self_paid_amount, intent.pooled_fund_amount or 1)
    try:
        start = yield from begin_purchase(file_system, key, asked, bytes.fromhex(intent.terminal_number))
    except (AccessNotGrantedError, CardRefusedError, CardGarbledError):
        return CounterEvidence.SILENT, 0
    return compare(intent, start), start.transaction_number - intent.transaction_number


def compare(intent: DebitIntent, start: PurchaseStart) -> CounterEvidence:
    """Return the comparison of the card's present number and totals with those before the debit."""
    moved = start.transaction_number - intent.transaction_number
    if moved == 0:
        return CounterEvidence.UNTOUCHED if intent.totals.matches(start.totals) else CounterEvidence.ODD
    if moved == 1:
        after = intent.totals.after(intent.amounts, intent.time[:4])
        return CounterEvidence.MOVED if after.matches(start.totals) else CounterEvidence.LATER
    return CounterEvidence.LATER if moved > 1 else CounterEvidence.ODD
