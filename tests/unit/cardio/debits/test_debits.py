"""A debit in the library: the bytes it sends, and what it makes of every answer.

MAC1, TAC and MAC2 are openssl's (see test_card_purse): the software key file keeps no number of its own, so the
terminal's is the card's, 0000000C; session key CA88B0D5C15FDF18.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import debit_record
from cardio.debits.errors import DebitNotDoneError, DebitUnknownError, WrongMac2Error
from cardio.debits.execution import debit
from cardio.debits.purse import Amounts
from cardio.debits.transaction import DebitOrder, DebitState, error_of
from cardio.errors import (
    AccessNotGrantedError,
    CardGarbledError,
    CardioError,
    CardRefusedError,
    CardRemovedError,
    NotSupportedError,
    UsageError,
)
from cardio.security.credentials import Credentials
from cardio.security.errors import KeyNotInSamError, NoSamError, TerminalNumberMissingError, WrongPinError
from cardio.security.pin.pin import Pin
from simulators.card.base import AnyCard
from simulators.personas.persona import find_persona
from tests.unit.cardio.debits.debits import DEBIT, DONE, ORDER, TIME, UNTOUCHED, Fault, Till, answers, refuse

S = DebitState


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    made = Till(tmp_path)
    yield made
    made.journal.close()


def sent(till: Till) -> list[str]:
    return [exchange.command.hex().upper() for exchange in till.trace]


def test_what_it_sends_byte_for_byte(till: Till) -> None:
    """The PIN is presented only where the card asks for one; its newest details are looked at; the debit is told once.

    They are read until two in a row are older than the order can be. This card's three are of 2026, and the order of
    2015, so all are read: record 4 is not there.
    """
    result = till.debit()
    assert sent(till)[-12:] == [
        "00A4000002DF04",
        "B02801011301000000000000000A00000014000000009999",
        "00200000",
        "0020000003000000",
        "00B201441C",
        "00B202441C",
        "00B203441C",
        "00B204441C",
        "B02801011301000000000000000A00000014000000009999",
        "00C0000016",
        "B02C01000F0000000C" + TIME + "42AA92B7",
        "00C0000008",
    ]
    assert [exchange.response.hex().upper() for exchange in till.trace][-11:] == [
        "6982",
        "63C3",
        "9000",
        "000C323702020000012026100809310500000000" + "00000C4E00003138" + "9000",
        "000B323702020000012026030214000000000" + "7D00000000000001F40" + "9000",
        "000A313702020000092026011508000000007530" + "0000000000000000" + "9000",
        "6A83",
        "6116",
        "00006D6000000C4E000050782026000C0100A1B2C3D49000",
        "6108",
        "AC0B188C3D03B1289000",
    ]
    assert (result.transaction_number, result.terminal_transaction_number) == (12, "0000000C")
    assert (result.tac, result.mac2, result.known_by) == ("AC0B188C", "3D03B128", "mac2")
    assert till.totals == DONE and till.debits == 1
    assert till.claim().state is S.COMMITTED and [one.state for one in till.journal.list_debits(None)] == [S.COMMITTED]


def test_what_the_cards_own_record_costs(till: Till) -> None:
    """Two commands where its newest details are of other days: one for each of the two that are read."""
    till.debit(order=DebitOrder(ORDER.amounts, "20261125103000"))
    assert sent(till)[-10:] == [
        "00A4000002DF04",
        "B02801011301000000000000000A00000014000000009999",
        "00200000",
        "0020000003000000",
        "00B201441C",
        "00B202441C",
        "B02801011301000000000000000A00000014000000009999",
        "00C0000016",
        "B02C01000F0000000C20261125103000" + sent(till)[-2][-8:],
        "00C0000008",
    ]


def test_a_card_without_a_pin_is_asked_for_none(tmp_path: Path) -> None:
    till = Till(tmp_path, debits_without_pin=True)
    till.debit(pin=None)
    assert till.totals == DONE and not [command for command in sent(till) if command.startswith("0020")]
    # The record lies between what begins the debit and the debit itself, so that it is begun anew.
    begun = [at for at, command in enumerate(sent(till)) if command.startswith("B028")]
    assert len(begun) == 2 and sent(till)[begun[0] + 1 : begun[1]][1].startswith("00B20144")


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
    assert [one.state for one in till.journal.list_debits(None, all_states=True)] == [S.ABORTED]
    till.fault = None
    till.debit()
    assert till.totals == DONE


def test_no_sam_no_key_no_terminal_number(till: Till) -> None:
    with till.open(credentials=Credentials(pin=Pin("123456"))) as card, pytest.raises(NoSamError):
        debit(card, ORDER, till.claim())
    assert till.claim().state is S.NEW and till.debits == 0
    keys = till.sam._file  # type: ignore[attr-defined] # the key file of the soft SAM
    without = keys.model_copy(update={"keys": {"3DES": {k: v for k, v in keys.keys["3DES"].items() if k != "DPK1"}}})
    till.sam._file = without  # type: ignore[attr-defined] # the key file of the soft SAM
    with pytest.raises(KeyNotInSamError) as caught:
        till.debit()
    assert caught.value.driver_code == -27272 and till.totals == UNTOUCHED
    till.sam._file = keys.model_copy(update={"terminal_number": None})  # type: ignore[attr-defined] # the key file of the soft SAM
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
        monkeypatch.setattr(card.file_system.contents, "layout", _without_purse(card.layout))
        with pytest.raises(NotSupportedError):
            debit(card, ORDER, till.claim())
    assert till.debits == 0


def _without_purse(layout: object) -> object:
    return replace(layout, purse=None)  # type: ignore[type-var] # a layout, which the test need not name


# -- the card has answered ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "status_word", ["9302", "6985", "6982", "6700", "6A80", "6D00", "6E00", "9403", "9303", "6901"]
)
def test_a_refusal_takes_nothing_and_is_the_end_of_its_key(till: Till, status_word: str) -> None:
    till.fault = answers(status_word, done=False)
    with pytest.raises(CardRefusedError) as caught:
        till.debit()
    assert caught.value.status_word == int(status_word, 16) and till.debits == 1
    assert till.claim().state is S.ABORTED, "what was sent is not sent again by the same key"


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
        assert till.claim().state is S.COMMITTED and till.totals == DONE
    else:
        with pytest.raises(DebitNotDoneError):
            till.debit()
        assert till.claim().state is S.ABORTED and till.totals == UNTOUCHED
    assert till.debits == 1


def changed_answer(card: AnyCard, command: bytes) -> bytes:
    """An attacker between card and reader changes the last bit of MAC2."""
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
    assert caught.value.driver_code == -0x9302 and mute.claim().state is S.MANUAL and mute.debits == 1
    assert isinstance(error_of(mute.claim()), WrongMac2Error), "the same error at every later call"


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


def test_the_pin_and_the_card_stand_nowhere_in_the_journal(till: Till, tmp_path: Path) -> None:
    till.debit()
    till.journal.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("debits.*"))
    code = find_persona("whole").files["SSSE/EF05"]["identification_code"]
    holder = find_persona("whole").files["SSSE/EF06"]
    for secret in ("123456", code, str(holder["name"]), str(holder["social_security_number"])):
        assert secret.encode() not in kept and secret.encode("gb18030") not in kept, secret
    assert DEBIT not in kept


@pytest.mark.parametrize(
    ("case", "commands", "characters"),
    [
        ("newest details of other days", 2, 2 * 36),
        ("one of today", 3, 3 * 36),
        ("thirty of today", 31, 1087),
        ("no PIN for debits", 4, 129),
    ],
)
def test_the_measured_cost_of_the_cards_own_record(case: str, commands: int, characters: int) -> None:
    """A record that is read is a command of 36 characters: header 5, procedure byte 1, data 28, status 2."""
    without, asked = debit_record.counts(case, asked=False), debit_record.counts(case, asked=True)
    assert asked.commands - without.commands == commands
    assert asked.characters - without.characters == characters
