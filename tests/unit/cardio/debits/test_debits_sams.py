"""Debits with a PSAM card, an HSM, and one standing in for the other. MACs and TAC are openssl's (test_card_purse)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardio.apdu.trace import Exchange
from cardio.debits.errors import DebitManualError, DebitUnknownError, WrongMac2Error
from cardio.debits.transaction import DebitOrder, DebitState
from cardio.errors import CardRefusedError
from cardio.security.errors import HsmUnreachableError, KeyNotInSamError, PsamKeyLevelError, SamFailedError
from cardio.security.sam.base import Mac2, Sam
from cardio.security.sam.fallback import FallbackSam
from cardio.security.sam.hsm import HsmClient
from cardio.security.sam.hsm_http import HttpHsmTransport
from cardio.security.sam.psam import PsamCard, PsamSettings
from simulators.card.base import AnyCard
from simulators.readers.software_reader import SoftwareReader
from simulators.sam.hsm import SoftwareHsm
from simulators.sam.psam import SoftwarePsam
from tests.unit.cardio.debits.debits import DONE, ORDER, UNTOUCHED, Ready, Till

TERMINAL = "000000009999"
PROVE = [
    "00A4040006D15600000590", "BFDE670820" + "8684370200000013" + "3337303230307378" + "3337303030307368",
    "80FA000008", "00C0000008",
]  # fmt: skip
BEGIN = "807001002CA1B2C3D4000C000000000000000A0000001432201511181850010100" + "8684370200000013" + "3337303230307378"


class Psam:
    """A PSAM card in its slot, with what is exchanged with it."""

    def __init__(self, *, settings: PsamSettings | None = None, **made: Any) -> None:
        self.card = SoftwarePsam(transaction_number=0x106, **made)
        self.fault: Callable[[AnyCard, bytes], bytes] | None = None
        self.trace: list[Exchange] = []
        self.sam = PsamCard.connect(SoftwareReader("PSAM", self), settings, trace=self.trace.append)

    @property
    def atr(self) -> bytes:
        return self.card.atr

    def reset(self) -> None:
        self.card.reset()

    def transmit(self, command: bytes) -> bytes:
        return self.card.transmit(command) if self.fault is None else self.fault(self.card, command)

    @property
    def sent(self) -> list[str]:
        return [exchange.command.hex().upper() for exchange in self.trace]


def refuse(head: str, answer: str) -> Callable[[AnyCard, bytes], bytes]:
    def fault(card: AnyCard, command: bytes) -> bytes:
        return bytes.fromhex(answer) if command.startswith(bytes.fromhex(head)) else card.transmit(command)

    return fault


def test_what_a_psam_is_told_byte_for_byte(tmp_path: Path) -> None:
    psam = Psam()
    till = Till(tmp_path, sam=psam.sam)
    result = till.debit()
    # In between the card proves itself, by IRK (67 08) over the three factors and a random, and a random source.
    asked = [one[: len(head)] for one, head in zip(psam.sent[4:8], PROVE, strict=True)]
    assert (asked, [len(one) // 2 for one in psam.sent[4:8]]) == (PROVE, [11, 5 + 32, 5 + 8, 5])
    assert psam.sent[:4] + psam.sent[8:] == [
        "00A40000023F00", "00B0960006", "00A4040006D15600000590", "00B09C0001",
        "00A4040006D15600000590", BEGIN, "00C0000008", "80720000042183FF90",
    ]  # fmt: skip
    assert (result.terminal_transaction_number, result.tac, result.mac2) == ("00000107", "D287DC40", "2183FF90")
    assert (result.terminal_number, result.known_by) == (TERMINAL, "mac2") and till.totals == DONE


@pytest.mark.parametrize(("levels", "region", "factors"), [(2, "37", 16), (1, "370200", 8)])
def test_a_psam_of_a_province_and_of_a_city(tmp_path: Path, levels: int, region: str, factors: int) -> None:
    psam = Psam(levels=levels, region=region, settings=PsamSettings(levels=levels, region=region))
    assert Till(tmp_path, sam=psam.sam).debit().tac == "D287DC40"
    assert next(one for one in psam.sent if one.startswith("8070"))[8:10] == f"{28 + factors:02X}"


def test_another_debit_key_where_the_psam_says_so(tmp_path: Path) -> None:
    psam = Psam(purchase_index=2)
    till = Till(tmp_path, sam=psam.sam)
    assert till.debit().known_by == "mac2"
    assert any(exchange.command.hex().upper().startswith("B028010113" + "02") for exchange in till.trace)


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (refuse("8070", "6D00"), KeyNotInSamError, -27272),
        (refuse("8070", "9403"), KeyNotInSamError, -27272),
        (refuse("8070", "6985"), PsamKeyLevelError, -24),
        (refuse("8070", "6F00"), SamFailedError, None),
        (refuse("8070", "0102039000"), SamFailedError, None),
    ],
)
def test_a_psam_that_cannot_takes_nothing(
    tmp_path: Path, fault: Callable[[AnyCard, bytes], bytes], kind: type[Exception], code: int | None
) -> None:
    psam = Psam()
    till = Till(tmp_path, sam=psam.sam)
    psam.fault = fault
    with pytest.raises(kind) as caught:
        till.debit()
    assert code is None or getattr(caught.value, "driver_code", None) == code
    assert till.totals == UNTOUCHED and till.debits == 0
    psam.fault = None
    assert till.debit().known_by == "mac2"


def test_a_wrong_mac1_is_refused_by_the_card(tmp_path: Path) -> None:
    psam = Psam()
    till = Till(tmp_path, sam=psam.sam)

    def wrong_mac1(card: AnyCard, command: bytes) -> bytes:
        begun = psam.sent[-1].startswith("8070") and command.startswith(bytes.fromhex("00C0"))
        return bytes.fromhex("00000107" + "5C0F7DA7" + "9000") if begun else card.transmit(command)

    psam.fault = wrong_mac1
    with pytest.raises(CardRefusedError) as caught:
        till.debit()
    assert caught.value.status_word == 0x9302 and till.totals == UNTOUCHED
    assert till.claim().state is DebitState.ABORTED


def test_a_psam_checks_once_so_the_card_bears_witness_afterwards(tmp_path: Path) -> None:
    """A lost answer: the PSAM can check no proof any more, and the card's detail speaks; the proof's TAC is taken."""
    psam = Psam()
    till = Till(tmp_path, sam=psam.sam)
    till.fault = till.loses_answer(True)
    with pytest.raises(DebitUnknownError):
        till.debit()
    till.fault = None
    till.sam = Psam().sam  # powered anew, as for every card
    result = till.recover()
    assert (result.known_by, result.tac) == ("detail", "D287DC40") and till.debits == 1


def test_a_psam_that_goes_before_it_has_checked(tmp_path: Path) -> None:
    """The card has answered 9000: its own records say that it is done."""
    psam = Psam()
    till = Till(tmp_path, sam=psam.sam)
    psam.fault = refuse("8072", "6F00")
    assert till.debit().known_by == "detail" and till.totals == DONE


def test_a_psam_that_finds_mac2_wrong(tmp_path: Path) -> None:
    psam = Psam()
    till = Till(tmp_path, sam=psam.sam)
    psam.fault = refuse("8072", "9302")
    with pytest.raises(WrongMac2Error):
        till.debit()
    assert till.claim().state is DebitState.MANUAL


def test_a_psam_that_says_nothing_of_mac2_proves_no_forgery(tmp_path: Path) -> None:
    """It cannot tell: the card's own records do, and no person is troubled."""
    psam = Psam()
    till = Till(tmp_path, sam=psam.sam)
    psam.sam.check_purchase = lambda *_: Mac2.UNCHECKED  # type: ignore[method-assign] # a PSAM that cannot tell
    assert till.debit().known_by == "detail"


def test_an_hsm_makes_and_checks(tmp_path: Path) -> None:
    with SoftwareHsm() as hsm:
        sam = HsmClient(HttpHsmTransport(hsm.url), terminal_number=TERMINAL)
        till = Till(tmp_path, sam=sam)
        result = till.debit()
        assert (result.tac, result.mac2, result.known_by) == ("AC0B188C", "3D03B128", "mac2")
        assert hsm.requests == 3  # the card's proof, MAC1, MAC2
        hsm.fault = "down"
        with pytest.raises(HsmUnreachableError):
            till.debit("second", DebitOrder(ORDER.amounts, "20151118185002"))
        assert till.totals == DONE and till.debits == 1


@pytest.mark.parametrize("fault", ["lie", "garbage", "down"])
def test_an_hsm_that_fails_after_the_card_has_answered(tmp_path: Path, fault: str) -> None:
    with SoftwareHsm() as hsm:
        till = Till(tmp_path, sam=HsmClient(HttpHsmTransport(hsm.url), terminal_number=TERMINAL))

        def then(card: AnyCard, command: bytes) -> bytes:
            if command[:2] == b"\xb0\x2c":
                hsm.fault = fault  # type: ignore[assignment] # one of its names, from the parameters
            return card.transmit(command)

        till.fault = then
        if fault == "lie":  # it says that MAC2 is another one, and so is every proof
            with pytest.raises(DebitManualError):
                till.debit()
        else:
            assert till.debit().known_by == "detail"
        assert till.totals == DONE and till.debits == 1


def test_the_hsm_stands_in_for_a_psam_that_cannot_debit(tmp_path: Path) -> None:
    psam = Psam()
    with SoftwareHsm() as hsm:
        sams: list[Sam] = [psam.sam, HsmClient(HttpHsmTransport(hsm.url))]
        till = Till(tmp_path, sam=FallbackSam([Ready(sam) for sam in sams]))
        psam.fault = refuse("8070", "6D00")
        result = till.debit()
        assert hsm.requests == 2
    assert (result.terminal_number, result.terminal_transaction_number) == (TERMINAL, "0000000C")
    assert (result.tac, result.known_by) == ("AC0B188C", "mac2") and "8072" not in "".join(psam.sent)
