"""A debit in execution: the steps of `cardio.debits.transaction` with a card, a SAM and a journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cardio.apdu.status_word import StatusWord, describe
from cardio.card.secured import SecuredCard
from cardio.debits.card_record import CardRecordCheck
from cardio.debits.errors import DebitManualError, DebitNotDoneError, DebitUnknownError, WrongMac2Error
from cardio.debits.limits import DebitLimits
from cardio.debits.purse import begin_purchase, debit_key, proof_in_answer, send_debit
from cardio.debits.recovery import recover
from cardio.debits.transaction import (
    DebitEntry,
    DebitIntent,
    DebitOrder,
    DebitResult,
    DebitState,
    purchase_of,
    result_of,
)
from cardio.errors import CardGarbledError, CardioError, CardRefusedError
from cardio.filesystem.layouts.model import Key
from cardio.security.errors import SamFailedError
from cardio.security.sam.base import Authorisation, Mac2
from cardio.security.sam.purchase import packed_terminal_number

DEFAULT_LIMITS = DebitLimits()
_NOT_DONE = frozenset({*range(0x67, 0x6F), 0x93, 0x94} - {0x6C})
"""The SW1 of checking errors and of refused transactions. Not 6Cxx: some cards carry a command out and then
correct Le.
"""


def debit(card: SecuredCard, order: DebitOrder, entry: DebitEntry, limits: DebitLimits = DEFAULT_LIMITS) -> DebitResult:
    """Debit the card once, authorised by its SAM.

    Raises:
        DebitUnknownError: it is not known whether money was taken; `recover` finds out when the card is back.
        DebitManualError: card and journal disagree.
        CardioError: another error occurred; nothing was taken.
    """
    with recording_abort(entry):
        _ = card.identity  # a card without an identity gives no key either
        sam = card.sam
        terminal_number = packed_terminal_number(sam.terminal_number)
        intent = begin_debit(card, order, entry, debit_key(card.layout, sam.purchase_index()), terminal_number, limits)
        authorisation = sam.authorise_purchase(purchase_of(card, intent))
    return send_or_recover(card, intent, authorisation, entry)


def begin_debit(
    card: SecuredCard,
    order: DebitOrder,
    entry: DebitEntry,
    key: Key,
    terminal_number: bytes,
    limits: DebitLimits = DEFAULT_LIMITS,
) -> DebitIntent:
    """Begin a debit: read the card's number and totals, and check its own record for the order. Nothing is deducted
    yet.

    The card is held from here to its debit, and any other command ends what it has begun. So the record is not checked
    again before a second step.

    Raises:
        DebitTimeError, DebitLimitError, DebitYearError: the order is beyond a limit.
        DebitOnCardError, SameSecondError: the order is on the card already, or another debit of exactly this time.
        CardioError: as for `begin_purchase` and `RecordAsked.check`.
    """
    limits.check_order(order)
    entry.bind_card(card.identity)
    entry.transition(DebitState.PREPARED)
    record = CardRecordCheck(card.file_system, order, limits, card.was_given_pin)
    start = card.run(begin_purchase(card.file_system, key, order.amounts, terminal_number, first=record.ask))
    limits.check_year(order, start.totals)
    asked = record.result(start.transaction_number)
    intent = DebitIntent.of(order, start, key, terminal_number, asked.outcome)
    # The journal's own refusal of the order goes before that of the card's record.
    entry.transition(DebitState.INITIALISED, intent=intent)
    asked.check(limits)
    return intent


def send_or_recover(
    card: SecuredCard, intent: DebitIntent, authorisation: Authorisation, entry: DebitEntry, *, check: bool = True
) -> DebitResult:
    """Send the debit to the card. If the outcome is unknown, ask the card at once, if it still answers.

    The card has just given the numbers in the intent.

    Args:
        card: the card.
        intent: the debit as the card has begun it.
        authorisation: MAC1 and the terminal's number of the debit.
        entry: the debit in the journal.
        check: the SAM checks the card's MAC2; off where a caller's own HSM has made MAC1.

    Raises:
        DebitUnknownError, DebitManualError, CardioError: as for `debit`.
    """
    try:
        return _send(card, intent, authorisation, entry, check=check)
    except DebitUnknownError as unknown:
        refusal = unknown.__cause__
        try:
            if entry.state is DebitState.SENT:
                raise unknown  # the journal could not record the doubt either: the state on disk stays SENT
            return recover(card, entry)
        except DebitNotDoneError:
            if isinstance(refusal, CardRefusedError):
                raise refusal from None  # the card has refused it, and its own record confirms that
            raise
        except DebitManualError:
            raise
        except CardioError:
            raise unknown from None


def _send(
    card: SecuredCard, intent: DebitIntent, authorisation: Authorisation, entry: DebitEntry, *, check: bool
) -> DebitResult:
    number = authorisation.terminal_transaction_number.hex().upper()
    intent = intent.model_copy(update={"terminal_transaction_number": number})
    with recording_abort(entry):
        entry.transition(DebitState.ARMED, intent=intent)
        entry.transition(DebitState.SENT)
    try:
        result = _send_and_verify(card, intent, authorisation, check=check)
        entry.transition(DebitState.COMMITTED, result=result)
        return result
    except Exception as error:  # any error, a refusal too: the card may have done it
        known = error if isinstance(error, CardioError) else CardioError()
        with suppress(CardioError):  # if the journal cannot write it, the entry stays SENT, which has the same meaning
            entry.transition(DebitState.UNKNOWN, reason=known.code, doubted=isinstance(error, WrongMac2Error))
        raise DebitUnknownError(
            f"消费命令已发出，结果未知：{known.detail}",
            f"the debit was sent, its outcome is not known: {known.detail_en}",
        ) from error


def _send_and_verify(
    card: SecuredCard, intent: DebitIntent, authorisation: Authorisation, *, check: bool
) -> DebitResult:
    """Send the debit and return the card's result.

    Raises:
        CardRefusedError: the card says that it has not done it; that is compared with the card's own record later.
        WrongMac2Error: the card does not know the debit key, or its answer was changed on the way.
        SamError: MAC2 could not be checked.
        CardioError: the answer shows neither.
    """
    response = card.run(send_debit(authorisation, bytes.fromhex(intent.time)))
    if response.status_word != StatusWord.SUCCESS:
        raise _refusal(response.status_word)
    proof = proof_in_answer(response)
    if not check:
        return result_of(intent, proof, "card")
    mac2 = card.sam.check_purchase(purchase_of(card, intent), authorisation.terminal_transaction_number, proof.mac2)
    if mac2 is Mac2.WRONG:
        raise WrongMac2Error()
    if mac2 is Mac2.UNCHECKED:
        raise SamFailedError("PSAM 卡没有核对 MAC2", "the PSAM card has not checked MAC2")
    return result_of(intent, proof, "mac2")


def _refusal(status_word: int) -> CardioError:
    """Return the error for a status word of a debit.

    `CardRefusedError` if the card says that it has not done it (ISO/IEC 7816-4 §5.6: checking errors, and the 93xx and
    94xx of transactions). `CardGarbledError` for warnings, execution errors (64xx to 66xx), 6Cxx, 6Fxx.
    """
    meaning = describe(status_word)
    zh, en = f"{status_word:04X} {meaning.zh}", f"{status_word:04X}: {meaning.en}"
    if status_word >> 8 in _NOT_DONE:
        return CardRefusedError(f"卡片拒绝消费：{zh}", f"the card refuses the debit: {en}", status_word=status_word)
    return CardGarbledError(f"卡片返回 {zh}", f"the card answered {en}", status_word=status_word)


@contextmanager
def recording_abort(entry: DebitEntry) -> Iterator[None]:
    """Record an error before the debit was sent as an abort: nothing was taken; for a ``with`` statement."""
    try:
        yield
    except CardioError as error:
        with suppress(CardioError):  # a journal that cannot write it shows an unsent debit, which has the same meaning
            entry.transition(DebitState.ABORTED, reason=error.code, unsent=True)
        raise
