"""What has become of a debit whose answer never came: what the same card tells, and how it is weighed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cardio.debits.errors import DebitManualError, DebitNotDoneError, DebitUnknownError
from cardio.debits.purse import Amounts, PurchaseStart, Totals, debit_key
from cardio.debits.recovery import CounterEvidence as Counter
from cardio.debits.recovery import DetailEvidence as Detail
from cardio.debits.recovery import Evidence, RecoveryVerdict, compare, weigh
from cardio.debits.transaction import DebitIntent, DebitOrder, DebitState
from cardio.errors import CardChangedError
from cardio.filesystem.layouts.loader import layout_of
from cardio.security.errors import WrongPinError
from service.debits.journal import Journal
from simulators.card.base import AnyCard
from simulators.personas.persona import find_persona
from tests.unit.cardio.debits.debits import DONE, ORDER, TIME, UNTOUCHED, Till, refuse

S = DebitState
DPK1 = debit_key(layout_of(2), 1)


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    made = Till(tmp_path)
    yield made
    made.journal.close()


def test_a_proof_that_is_not_the_debits_is_not_taken_for_it(tmp_path: Path) -> None:
    """The card proves something else under this number; its detail speaks, and no TAC is made up."""
    till = Till(tmp_path)
    till.fault = till.loses_answer(True)
    with pytest.raises(DebitUnknownError):
        till.debit()
    till.fault = refuse("805A", "FFFFFFFFEEEEEEEE9000")
    result = till.recover()
    assert (result.known_by, result.tac, result.mac2) == ("detail", None, None)


def test_number_and_totals_alone_want_a_person(tmp_path: Path) -> None:
    """The card denies its details: another till's debit of the same amounts would have moved it in the same way."""
    till = Till(tmp_path, transaction_proof=False)
    till.fault = till.loses_answer(True)
    with pytest.raises(DebitUnknownError):
        till.debit()
    till.fault = denies_details
    with pytest.raises(DebitManualError):
        till.recover()
    assert till.claim().state is S.MANUAL


def denies_details(card: AnyCard, command: bytes) -> bytes:
    """READ RECORD of EF08 is refused, whatever way it is asked for."""
    answer = card.transmit(command)
    return b"\x69\x85" if command[:2] == b"\x00\xb2" and answer[:4] in DETAILS else answer


DETAILS = (b"\x00\x0d\x32\x00", b"\x00\x0c\x32\x37", b"\x00\x0b\x32\x37", b"\x00\x0a\x31\x37")
"""How the card's details begin."""


def test_a_debit_that_stands_at_sent_can_be_cleared_up(till: Till) -> None:
    """As a thread leaves it that never came back: recovered to any end."""
    till.fault = till.loses_answer(True)
    with pytest.raises(DebitUnknownError):
        till.debit()
    till.fault = refuse("805A", "6D00")
    del till.card.applications[4].by_id[0xEF08].records[0]
    with till.journal._file.transaction() as database:  # no caller can leave it so
        database.execute("UPDATE debit SET state = 'sent'")
    with pytest.raises(DebitManualError):
        till.recover()
    assert till.claim().state is S.MANUAL


# -- no answer ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["after", "before"])
@pytest.mark.parametrize("proof", [True, False])
@pytest.mark.parametrize("done", [True, False])
def test_a_lost_answer_is_unknown_until_the_same_card_is_back(
    tmp_path: Path, done: bool, proof: bool, number: str
) -> None:
    till = Till(tmp_path, transaction_proof=proof, debit_number=number)
    till.fault = till.loses_answer(done)
    with pytest.raises(DebitUnknownError) as caught:
        till.debit()
    assert caught.value.status == 202 and till.claim().state is S.UNKNOWN
    till.fault = None
    good, till.card = till.card, find_persona("adult").card()
    with pytest.raises(CardChangedError) as other:
        till.recover()
    assert other.value.driver_code == -22 and till.claim().state is S.UNKNOWN
    till.card = good
    if done:
        result = till.recover()
        assert result.known_by == ("proof" if proof else "detail") and till.totals == DONE
        assert (result.tac, result.mac2) == (("AC0B188C", "3D03B128") if proof else (None, None))
    else:
        with pytest.raises(DebitNotDoneError):
            till.recover()
        assert till.totals == UNTOUCHED
    assert till.debits == 1 and till.claim().state is (S.COMMITTED if done else S.ABORTED)


def test_without_its_pin_only_the_proof_speaks(tmp_path: Path) -> None:
    for proof in (True, False):
        folder = tmp_path / str(proof)
        folder.mkdir()
        till = Till(folder, "personalised", transaction_proof=proof)
        till.fault = till.loses_answer(True)
        with pytest.raises(DebitUnknownError):
            till.debit()
        till.fault = None
        if proof:
            assert till.recover(pin=None).known_by == "proof"
        else:
            with pytest.raises(DebitUnknownError):
                till.recover(pin=None)
            assert till.claim().state is S.UNKNOWN
            with pytest.raises(WrongPinError):
                till.recover(pin="654321")
            assert till.recover().known_by == "detail"
        assert till.debits == 1


def test_a_card_that_went_elsewhere_meanwhile(tmp_path: Path) -> None:
    """Done here and then debited elsewhere; not done here, and debited elsewhere."""
    for done in (True, False):
        folder = tmp_path / f"{done}"
        folder.mkdir()
        here = Till(folder)
        here.fault = here.loses_answer(done)
        with pytest.raises(DebitUnknownError):
            here.debit()
        here.fault = None
        here.journal, journal = Journal(folder / "elsewhere.sqlite"), here.journal
        for hour in range(3):
            here.debit(f"elsewhere {done} {hour}", DebitOrder(Amounts(0, 1, 1), f"201511181900{int(done)}{hour}"))
        here.journal = journal
        if done:
            assert here.recover().known_by == "detail"
        else:
            with pytest.raises(DebitNotDoneError):
                here.recover()


def test_a_card_whose_records_are_not_its_numbers_wants_a_person(till: Till) -> None:
    till.fault = till.loses_answer(True)
    with pytest.raises(DebitUnknownError):
        till.debit()
    till.fault = refuse("805A", "6D00")
    details = till.card.applications[4].by_id[0xEF08]
    del details.records[0]
    with pytest.raises(DebitManualError):
        till.recover()
    assert till.claim().state is S.MANUAL


@pytest.mark.parametrize(
    ("proved", "detail", "counter", "others", "state", "known_by"),
    [
        (True, Detail.SILENT, Counter.SILENT, False, S.COMMITTED, "proof"),
        (True, Detail.ABSENT, Counter.MOVED, False, S.COMMITTED, "proof"),
        (True, Detail.FOUND, Counter.LATER, True, S.COMMITTED, "proof"),
        (True, Detail.FOUND, Counter.UNTOUCHED, False, S.MANUAL, None),
        (True, Detail.FOUND, Counter.ODD, False, S.MANUAL, None),
        (False, Detail.FOUND, Counter.MOVED, False, S.COMMITTED, "detail"),
        (False, Detail.FOUND, Counter.SILENT, False, S.COMMITTED, "detail"),
        (False, Detail.FOUND, Counter.LATER, False, S.COMMITTED, "detail"),
        (False, Detail.FOUND, Counter.UNTOUCHED, False, S.MANUAL, None),
        (False, Detail.SILENT, Counter.MOVED, False, S.MANUAL, None),
        (False, Detail.ABSENT, Counter.MOVED, False, S.MANUAL, None),
        (False, Detail.ABSENT, Counter.UNTOUCHED, False, S.ABORTED, None),
        (False, Detail.SILENT, Counter.UNTOUCHED, False, S.ABORTED, None),
        (False, Detail.ABSENT, Counter.LATER, True, S.ABORTED, None),
        (False, Detail.ABSENT, Counter.LATER, False, S.MANUAL, None),
        (False, Detail.SILENT, Counter.LATER, False, S.MANUAL, None),
        (False, Detail.ABSENT, Counter.SILENT, False, S.UNKNOWN, None),
        (False, Detail.SILENT, Counter.SILENT, False, S.UNKNOWN, None),
        (False, Detail.SILENT, Counter.ODD, False, S.MANUAL, None),
    ],
)
def test_how_witnesses_are_weighed(
    proved: bool, detail: Detail, counter: Counter, others: bool, state: DebitState, known_by: str | None
) -> None:
    verdict: RecoveryVerdict = weigh(Evidence(proved, detail, counter, others))
    assert verdict.state is state and (known_by is None or verdict.known_by == known_by)
    if not proved:
        assert weigh(Evidence(proved, detail, counter, others), doubted=True).state is S.MANUAL


def start(number: int, self_paid: int, pooled: int, year: str = "2026", balance: int = 28000) -> PurchaseStart:
    return PurchaseStart(Totals(balance, self_paid, pooled, year), number, 1, 0, b"\xa1\xb2\xc3\xd4")


@pytest.mark.parametrize(
    ("now", "time", "counter"),
    [
        (start(12, 3150, 20600), TIME, Counter.UNTOUCHED),
        (start(12, 3150, 20600, balance=28100), TIME, Counter.UNTOUCHED),
        (start(13, 3160, 20620, balance=28100), TIME, Counter.MOVED),
        (start(12, 3150, 20600, balance=27999), TIME, Counter.ODD),
        (start(12, 3151, 20600), TIME, Counter.ODD),
        (start(11, 3150, 20600), TIME, Counter.ODD),
        (start(13, 3160, 20620), TIME, Counter.MOVED),
        (start(13, 10, 20, "2027"), "20270101000000", Counter.MOVED),
        (start(13, 3160, 20620), "20270101000000", Counter.LATER),
        (start(13, 3160, 20621), TIME, Counter.LATER),
        (start(13, 3160, 20620, balance=27999), TIME, Counter.LATER),
        (start(14, 3160, 20620), TIME, Counter.LATER),
    ],
)
def test_what_number_and_totals_say(now: PurchaseStart, time: str, counter: Counter) -> None:
    order = DebitOrder(ORDER.amounts, time)
    intent = DebitIntent.of(order, start(12, 3150, 20600), DPK1, bytes.fromhex("000000009999"))
    assert compare(intent, now) is counter
