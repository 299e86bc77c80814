"""What an attack on the debits tried in the library: cards that answer oddly, went elsewhere, or remember wrongly."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cardio.debits.errors import DebitManualError, DebitNotDoneError, DebitUnknownError
from cardio.debits.purse import Amounts
from cardio.debits.recovery import CounterEvidence, DetailEvidence, Evidence, weigh
from cardio.debits.transaction import DebitOrder, DebitResult, DebitState
from cardio.security.errors import SamError
from cardio.security.sam.hsm_http import HttpHsmTransport
from cardio.security.sam.key_file import SoftSam
from service.debits.journal import Journal
from simulators.card.base import AnyCard
from tests.unit.cardio.debits.debits import DEBIT, ORDER, Till

S = DebitState
ELSEWHERE = DebitOrder(Amounts(0, 500, 700), "20151118190000")
PROOF = bytes.fromhex("805A")
DETAILS = 0xEF08


@pytest.fixture
def till(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Till]:
    # A card whose challenge never changes would give two like debits one MAC2.
    monkeypatch.setattr("tests.unit.cardio.debits.debits.known_random", os.urandom)
    made = Till(tmp_path)
    yield made
    made.journal.close()


def lose(till: Till, *, done: bool, order: DebitOrder = ORDER) -> None:
    """The card is pulled around its debit."""
    till.fault = till.loses_answer(done)
    with pytest.raises(DebitUnknownError):
        till.debit(order=order)
    till.fault = None


def debited_elsewhere(till: Till, folder: Path, order: DebitOrder = ELSEWHERE) -> None:
    """By a terminal with another number and another journal."""
    mine, keys = till.journal, till.sam
    assert isinstance(keys, SoftSam)
    there = keys._file.model_copy(update={"terminal_number": "410100813475"})
    till.sam, till.journal = SoftSam(there), Journal(folder / f"elsewhere-{order.time}.sqlite")
    till.debit("elsewhere", order)
    till.journal.close()
    till.sam, till.journal = keys, mine


def recovered(till: Till) -> tuple[DebitState, DebitResult | None]:
    try:
        result = till.recover()
    except (DebitManualError, DebitNotDoneError):
        return till.claim().state, None
    return till.claim().state, result


def without_proof(card: AnyCard, command: bytes) -> bytes:
    return b"\x6d\x00" if command[:2] == PROOF else card.transmit(command)


# -- the answer to the debit ---------------------------------------------------------------------


@pytest.mark.parametrize("status_word", ["6D00", "6985", "6E00", "6881", "6700", "6A88"])
def test_an_answer_that_cannot_be_fetched_is_no_refusal(till: Till, status_word: str) -> None:
    """6108: it is done, and eight bytes wait. That GET RESPONSE is refused then says nothing about the debit."""
    waits = False

    def fault(card: AnyCard, command: bytes) -> bytes:
        nonlocal waits
        if waits and command[1] == 0xC0:
            waits = False
            return bytes.fromhex(status_word)
        answer = card.transmit(command)
        waits = waits or command[:2] == DEBIT
        return answer

    till.fault = fault
    assert till.debit().known_by == "proof"
    assert till.debits == 1 and till.totals[0] == 13 and till.claim().state is S.COMMITTED


# -- the card went elsewhere -----------------------------------------------------------------------


@pytest.mark.parametrize("hidden", ["file", "record"])
def test_the_same_amounts_elsewhere_are_not_this_debit(till: Till, tmp_path: Path, hidden: str) -> None:
    """A registration fee, not taken here and taken at the next till: number and totals are as if it had been this one,
    the details are not to be read. The card's proof says that it was not."""
    lose(till, done=False)
    debited_elsewhere(till, tmp_path, DebitOrder(ORDER.amounts, "20151118190000"))

    def fault(card: AnyCard, command: bytes) -> bytes:
        of_details = command[1] == 0xB2 and command[3] >> 3 == DETAILS & 0x1F
        if hidden == "file" and (of_details or command[5:7] == DETAILS.to_bytes(2, "big")):
            return b"\x69\x85" if of_details else b"\x6a\x82"
        if hidden == "record" and of_details and command[2] == 2:
            return b"\x65\x81"
        return card.transmit(command)

    till.fault = fault
    state, result = recovered(till)
    assert state is S.MANUAL and result is None


def test_another_debits_tac_is_not_handed_out(till: Till, tmp_path: Path) -> None:
    """The card notes details by the number after, and gives proofs by the number before."""
    lose(till, done=True)
    debited_elsewhere(till, tmp_path)

    def by_the_number_before(card: AnyCard, command: bytes) -> bytes:
        if command[:2] == PROOF:
            number = int.from_bytes(command[5:7], "big") + 1
            command = command[:5] + number.to_bytes(2, "big") + command[7:]
        return card.transmit(command)

    till.fault = by_the_number_before
    state, result = recovered(till)
    assert state is S.COMMITTED and result is not None and (result.known_by, result.tac) == ("detail", None)


def no_time(record: bytearray) -> None:
    record[9:16] = bytes(7)


def no_seconds(record: bytearray) -> None:
    record[15] = 0


def nothing(record: bytearray) -> None:
    record[3:] = b"\xff" * len(record[3:])


@pytest.mark.parametrize("spoil", [no_time, no_seconds, nothing])
def test_a_detail_that_nobody_can_read_may_be_this_debits(
    till: Till, tmp_path: Path, spoil: Callable[[bytearray], None]
) -> None:
    lose(till, done=True)
    debited_elsewhere(till, tmp_path)
    details = till.card.applications[4].by_id[DETAILS]
    record = bytearray(details.records[1])
    spoil(record)
    details.records[1] = bytes(record)
    till.fault = without_proof
    assert recovered(till) == (S.MANUAL, None)


def test_details_by_the_number_before_account_for_a_debit_elsewhere(tmp_path: Path) -> None:
    till = Till(tmp_path, debit_number="before")
    lose(till, done=False)
    debited_elsewhere(till, tmp_path)
    assert recovered(till) == (S.ABORTED, None)


def test_more_debits_elsewhere_than_the_card_has_details_for(till: Till, tmp_path: Path) -> None:
    """It keeps thirty."""
    lose(till, done=True)
    for minute in range(31):
        debited_elsewhere(till, tmp_path, DebitOrder(Amounts(0, 1, 1), f"2015111819{minute:02}00"))
    assert recovered(till) == (S.MANUAL, None)


# -- number and totals -----------------------------------------------------------------------------


def test_an_account_that_was_loaded_meanwhile(till: Till) -> None:
    lose(till, done=False)
    purse = till.card.purse
    assert purse is not None
    purse.personal_account_balance += 10000
    assert recovered(till) == (S.ABORTED, None)


def test_the_cards_last_number(till: Till) -> None:
    purse = till.card.purse
    assert purse is not None
    purse.offline_counter = 0xFFFE
    lose(till, done=True)
    state, result = recovered(till)
    assert state is S.COMMITTED and result is not None and purse.offline_counter == 0xFFFF


@pytest.mark.parametrize("done", [True, False])
def test_a_new_year_begins_the_totals_anew(till: Till, done: bool) -> None:
    lose(till, done=done, order=DebitOrder(ORDER.amounts, "20270101000001"))
    till.fault = without_proof
    assert recovered(till)[0] is (S.COMMITTED if done else S.ABORTED)


def test_number_and_totals_do_not_say_whose_debit_it_was() -> None:
    assert weigh(Evidence(False, DetailEvidence.SILENT, CounterEvidence.MOVED)).state is S.MANUAL
    assert weigh(Evidence(False, DetailEvidence.SILENT, CounterEvidence.MOVED, others=True)).state is S.MANUAL


# -- the HSM ---------------------------------------------------------------------------------------


class BadGzip(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"nope")

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_an_hsm_that_answers_rubbish_is_a_fault_of_the_hsm() -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), BadGzip)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(SamError):
            HttpHsmTransport(f"http://127.0.0.1:{server.server_port}").ask("mac", {})
    finally:
        server.shutdown()
        server.server_close()
