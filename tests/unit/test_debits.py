"""A debit in the library: the bytes it sends, what it makes of every answer, and who bears witness when none comes.

MAC1, TAC and MAC2 are openssl's (see test_card_purse): the software key file keeps no number of its own, so the
terminal's is the card's, 0000000C; session key CA88B0D5C15FDF18.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cardio.account import Amounts, PurchaseStart, Totals, debit_key
from cardio.debit_errors import DebitManualError, DebitNotDoneError, DebitUnknownError, WrongMac2Error
from cardio.debit_witnesses import CounterSays as Counter
from cardio.debit_witnesses import DetailSays as Detail
from cardio.debit_witnesses import Verdict, Witnesses, compare, judge
from cardio.debiting import debit
from cardio.errors import (
    AccessNotGrantedError,
    CardChangedError,
    CardGarbledError,
    CardioError,
    CardRefusedError,
    CardRemovedError,
    NotSupportedError,
    UsageError,
)
from cardio.filesystem.layout_file import layout_of
from cardio.security.credentials import Credentials
from cardio.security.errors import KeyNotInSamError, NoSamError, TerminalNumberMissingError, WrongPinError
from cardio.security.pin import Pin
from cardio.settlement import DebitIntent, DebitOrder, DebitState, error_of
from service.journal import Journal
from simulators.personas import find_persona
from simulators.reader import AnyCard
from tests.unit.debits import DEBIT, ORDER, TIME, Fault, Till, answers

S = DebitState
DPK1 = debit_key(layout_of(2), 1)
UNTOUCHED, DONE = (12, 3150, 20600), (13, 3160, 20620)
RECORD = "000D32000000009999" + TIME + "000000000000000A00000014"


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    made = Till(tmp_path)
    yield made
    made.journal.close()


def sent(till: Till) -> list[str]:
    return [exchange.command.hex().upper() for exchange in till.trace]


def test_what_it_sends_byte_for_byte(till: Till) -> None:
    """The PIN is presented only where the card asks for one; the debit is told once."""
    result = till.debit()
    assert sent(till)[-8:] == [
        "00A4000002DF04",
        "B02801011301000000000000000A00000014000000009999",
        "00200000",
        "0020000003000000",
        "B02801011301000000000000000A00000014000000009999",
        "00C0000016",
        "B02C01000F0000000C" + TIME + "42AA92B7",
        "00C0000008",
    ]
    assert [exchange.response.hex().upper() for exchange in till.trace][-7:] == [
        "6982",
        "63C3",
        "9000",
        "6116",
        "00006D6000000C4E000050782026000C0100A1B2C3D49000",
        "6108",
        "AC0B188C3D03B1289000",
    ]
    assert (result.transaction_number, result.terminal_transaction_number) == (12, "0000000C")
    assert (result.tac, result.mac2, result.known_by) == ("AC0B188C", "3D03B128", "mac2")
    assert till.totals == DONE and till.debits == 1
    assert till.take().state is S.COMMITTED and [one.state for one in till.journal.listed(None)] == [S.COMMITTED]


def test_a_card_without_a_pin_is_asked_for_none(tmp_path: Path) -> None:
    till = Till(tmp_path, debits_without_pin=True)
    till.debit(pin=None)
    assert till.totals == DONE and not [command for command in sent(till) if command.startswith("0020")]


@pytest.mark.parametrize(
    ("persona", "after"),
    [
        ("adult", (1, 10, 20)),
        ("whole-first", (3, 10, 20)),
        ("whole", (13, 3160, 20620)),
        ("whole-third", (13, 3160, 20620)),
        ("third-sm4", (1, 10, 20)),
    ],
)
def test_cards_of_every_generation(tmp_path: Path, persona: str, after: tuple[int, int, int]) -> None:
    till = Till(tmp_path, persona)
    assert till.debit(order=DebitOrder(ORDER.amounts, "20261125103000")).known_by == "mac2"
    assert till.totals == after


# -- before the card is told: nothing is taken, and the same key may try again -------------------


def refuse(head: str, answer: str) -> Fault:
    def fault(card: AnyCard, command: bytes) -> bytes:
        return bytes.fromhex(answer) if command.startswith(bytes.fromhex(head)) else card.transmit(command)

    return fault


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (refuse("00A4", "6A82"), CardioError, None),
        (refuse("B028", "9401"), CardRefusedError, -0x9401),
        (refuse("B028", "9403"), CardRefusedError, -0x9403),
        (refuse("B028", "6985"), CardRefusedError, -0x6985),
        (refuse("B028", "00" * 21 + "9000"), CardGarbledError, None),
        (refuse("B028", "9000"), CardGarbledError, None),
        (refuse("B028", "00"), CardGarbledError, None),
        (refuse("0020", "63C2"), WrongPinError, -51),
    ],
)
def test_a_fault_before_it_takes_nothing(till: Till, fault: Fault, kind: type[CardioError], code: int | None) -> None:
    till.fault = fault
    with pytest.raises(kind) as caught:
        till.debit()
    assert code is None or (caught.value.driver_code or -(caught.value.status_word or 0)) == code
    assert (till.totals, till.debits) == (UNTOUCHED, 0)
    assert [one.state for one in till.journal.listed(None, all_states=True)] == [S.ABORTED]
    till.fault = None
    till.debit()
    assert till.totals == DONE


def test_no_sam_no_key_no_terminal_number(till: Till) -> None:
    with till.open(credentials=Credentials(pin=Pin("123456"))) as card, pytest.raises(NoSamError):
        debit(card, ORDER, till.take())
    assert till.take().state is S.NEW and till.debits == 0
    keys = till.sam._file  # type: ignore[attr-defined] # the key file of the soft SAM
    without = keys.model_copy(update={"keys": {"3DES": {k: v for k, v in keys.keys["3DES"].items() if k != "DPK1"}}})
    till.sam._file = without  # type: ignore[attr-defined]
    with pytest.raises(KeyNotInSamError) as caught:
        till.debit()
    assert caught.value.driver_code == -27272 and till.totals == UNTOUCHED
    till.sam._file = keys.model_copy(update={"terminal_number": None})  # type: ignore[attr-defined]
    with pytest.raises(TerminalNumberMissingError):
        till.debit()
    assert till.debits == 0


def test_without_the_pin_that_the_card_wants(till: Till) -> None:
    with pytest.raises(AccessNotGrantedError) as caught:
        till.debit(pin=None)
    assert caught.value.driver_code == -27010 and till.debits == 0


@pytest.mark.parametrize("amounts", [(0, 0, 0), (-1, 1, 1), (0, 1 << 32, 0)])
def test_amounts_that_are_none(amounts: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError) as caught:
        Amounts(*amounts)
    assert caught.value.driver_code == -23


@pytest.mark.parametrize("time", ["", "2015111818500", "20151318185001", "２０１５1118185001", "20151118 85001"])
def test_times_that_are_none(time: str) -> None:
    with pytest.raises(UsageError):
        DebitOrder(ORDER.amounts, time)


def test_a_generation_of_which_no_debits_are_known(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    with till.open() as card:
        monkeypatch.setattr(card.visit.contents, "layout", _without_purse(card.layout))
        with pytest.raises(NotSupportedError):
            debit(card, ORDER, till.take())
    assert till.debits == 0


def _without_purse(layout: object) -> object:
    return replace(layout, purse=None)  # type: ignore[type-var]


# -- the card has answered ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "status_word", ["9302", "6985", "6982", "6700", "6A80", "6D00", "6E00", "9403", "9303", "6901"]
)
def test_a_refusal_takes_nothing_and_is_the_end_of_its_key(till: Till, status_word: str) -> None:
    till.fault = answers(status_word, done=False)
    with pytest.raises(CardRefusedError) as caught:
        till.debit()
    assert caught.value.status_word == int(status_word, 16) and till.debits == 1
    assert till.take().state is S.ABORTED, "what was sent is not sent again by the same key"


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(
    "answer", ["6F00", "6581", "6400", "6281", "63C1", "6C08", "90", "", "00009000", "9000", "6CFF"]
)
def test_an_answer_that_leaves_it_open_is_cleared_up_at_once(till: Till, answer: str, done: bool) -> None:
    """By the card's own proof, its detail and its number; it is never told a second time."""
    till.fault = answers(answer, done=done)
    if done:
        result = till.debit()
        assert (result.known_by, result.tac, result.mac2) == ("proof", "AC0B188C", "3D03B128")
        assert till.take().state is S.COMMITTED and till.totals == DONE
    else:
        with pytest.raises(DebitNotDoneError):
            till.debit()
        assert till.take().state is S.ABORTED and till.totals == UNTOUCHED
    assert till.debits == 1


def changed_answer(card: AnyCard, command: bytes) -> bytes:
    """Somebody between card and reader changes the last bit of MAC2."""
    answer = card.transmit(command)
    return bytes.fromhex("AC0B188C3D03B1299000") if answer == bytes.fromhex("AC0B188C3D03B1289000") else answer


def test_a_wrong_mac2_is_believed_only_with_the_right_one(till: Till, tmp_path: Path) -> None:
    till.fault = changed_answer
    assert till.debit().known_by == "proof", "the card gives it again when it is asked"
    folder = tmp_path / "without proof"
    folder.mkdir()
    mute = Till(folder, transaction_proof=False)
    mute.fault = changed_answer
    with pytest.raises(WrongMac2Error) as caught:
        mute.debit()
    assert caught.value.driver_code == -0x9302 and mute.take().state is S.MANUAL and mute.debits == 1
    assert isinstance(error_of(mute.take()), WrongMac2Error), "whoever asks again is told the same"


@pytest.mark.parametrize("proof", [True, False])
def test_a_wrong_mac2_is_not_forgotten_when_the_card_goes(tmp_path: Path, proof: bool) -> None:
    """It comes back and its details say that it was done: that is not enough any more."""
    till = Till(tmp_path, transaction_proof=proof)
    pulled = False

    def then_pulled(card: AnyCard, command: bytes) -> bytes:
        nonlocal pulled
        if pulled:
            raise CardRemovedError()
        answer = changed_answer(card, command)
        pulled = answer == bytes.fromhex("AC0B188C3D03B1299000")
        return answer

    till.fault = then_pulled
    with pytest.raises(DebitUnknownError):
        till.debit()
    till.fault = None
    if proof:
        assert till.recover().known_by == "proof"
    else:
        with pytest.raises(WrongMac2Error):
            till.recover()


def test_a_proof_that_is_not_the_debits_is_not_taken_for_it(tmp_path: Path) -> None:
    """The card proves something else under this number; its detail speaks, and no TAC is made up."""
    till = Till(tmp_path)
    till.fault = till.loses_answer(True)
    with pytest.raises(DebitUnknownError):
        till.debit()
    till.fault = refuse("805A", "FFFFFFFFEEEEEEEE9000")
    result = till.recover()
    assert (result.known_by, result.tac, result.mac2) == ("detail", None, None)


def test_number_and_totals_alone_where_the_card_denies_its_details(tmp_path: Path) -> None:
    till = Till(tmp_path, transaction_proof=False)
    till.fault = till.loses_answer(True)
    with pytest.raises(DebitUnknownError):
        till.debit()
    till.fault = denies_details
    assert till.recover().known_by == "counter"


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
    assert till.take().state is S.MANUAL


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
    assert caught.value.status == 202 and till.take().state is S.UNKNOWN
    till.fault = None
    good, till.card = till.card, find_persona("adult").card()
    with pytest.raises(CardChangedError) as other:
        till.recover()
    assert other.value.driver_code == -22 and till.take().state is S.UNKNOWN
    till.card = good
    if done:
        result = till.recover()
        assert result.known_by == ("proof" if proof else "detail") and till.totals == DONE
        assert (result.tac, result.mac2) == (("AC0B188C", "3D03B128") if proof else (None, None))
    else:
        with pytest.raises(DebitNotDoneError):
            till.recover()
        assert till.totals == UNTOUCHED
    assert till.debits == 1 and till.take().state is (S.COMMITTED if done else S.ABORTED)


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
            assert till.take().state is S.UNKNOWN
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
    assert till.take().state is S.MANUAL


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
        (False, Detail.SILENT, Counter.MOVED, False, S.COMMITTED, "counter"),
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
    verdict: Verdict = judge(Witnesses(proved, detail, counter, others))
    assert verdict.state is state and (known_by is None or verdict.known_by == known_by)
    if not proved:
        assert judge(Witnesses(proved, detail, counter, others), doubted=True).state is S.MANUAL


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


def test_the_pin_and_the_card_stand_nowhere_in_the_journal(till: Till, tmp_path: Path) -> None:
    till.debit()
    till.journal.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("debits.*"))
    code = find_persona("whole").files["SSSE/EF05"]["identification_code"]
    holder = find_persona("whole").files["SSSE/EF06"]
    for secret in ("123456", code, str(holder["name"]), str(holder["social_security_number"])):
        assert secret.encode() not in kept and secret.encode("gb18030") not in kept, secret
    assert DEBIT not in kept
