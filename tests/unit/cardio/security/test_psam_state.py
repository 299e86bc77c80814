"""A PSAM card whose state is not its program's own: left anywhere, reset, replaced, or without a terminal number.

The commands are written by hand: 00A40000023F00 is SELECT MF, 00B0960006 reads six bytes of SFI 16.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cardio.apdu.trace import TraceLog
from cardio.card.social_security_card import SocialSecurityCard
from cardio.driver.basic_info import read_basic
from cardio.errors import CardioError, CardResetError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.identity.identify import identify
from cardio.identity.policy import default_policy
from cardio.security.credentials import Credentials
from cardio.security.errors import NoSamError, SamError, SamFailedError, TestKeysError
from cardio.security.sam.base import CardKey, Purchase, Sam
from cardio.security.sam.diversification import DiversificationFactors
from cardio.security.sam.fallback import FallbackSource
from cardio.security.sam.psam import PsamCard, PsamSettings
from cardio.security.settings import SecuritySettings
from simulators.card.base import AnyCard
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareConnection, SoftwareReader
from simulators.sam.psam import SoftwarePsam
from tests.unit.cardio.debits.debits import Ready, soft_sam

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=timezone(timedelta(hours=8)))
TERMINAL, OTHER_TERMINAL = "000000009999", "430100000017"
SELECT_MF, SELECT_MF_BY_NAME = "00A40000023F00", "00A404000E315041592E5359532E4444463031"
SELECT_APPLICATION = "00A4040006D15600000590"
SELECT_SX1, SELECT_SX3 = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF", "00A404000F7378332E73682EC9E7BBE1B1A3D5CF"
READ_NUMBER = "00B0960006"
RKSSSE = CardKey(
    "RKSSSE", 0x0A, 16, "3DES", DiversificationFactors(bytes.fromhex("8684430154455354"), "430100"), 0x67, 0x0A
)
CHALLENGE, SOURCE = bytes.fromhex("1122334455667788"), bytes.fromhex("0102030405060708")
CRYPTOGRAM = bytes.fromhex("150B18D7C1763B69")  # openssl's, see test_psam_card


class SharedPsam:
    """A PSAM card that keeps its state from one program to the next, as over PC/SC. Some heads it answers otherwise."""

    def __init__(self, answers: dict[str, str] | None = None, **made: object) -> None:
        self.card = SoftwarePsam(**{"algorithms": ("3DES", "SM4"), **made})  # type: ignore[arg-type]
        self.atr = self.card.atr
        self.answers = answers or {}
        self.sent: list[str] = []

    def reset(self) -> None:
        """Powering it by another connection resets nothing."""

    def transmit(self, command: bytes) -> bytes:
        told = command.hex().upper()
        self.sent.append(told)
        for head, answer in self.answers.items():
            if told.startswith(head):
                return bytes.fromhex(answer)
        return self.card.transmit(command)


class RealReader(SoftwareReader):
    """A reader that is not known to be simulated."""

    simulated = False


def connected(card: AnyCard, settings: PsamSettings | None = None, *, real: bool = False) -> PsamCard:
    reader = (RealReader if real else SoftwareReader)("slot", card)
    return PsamCard.connect(reader, settings or PsamSettings(levels=3))


# -- left anywhere ------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [SELECT_SX1, SELECT_SX3, SELECT_APPLICATION, "00A4000002DF01"])
def test_each_use_begins_with_a_select(left: str) -> None:
    card = SharedPsam()
    card.transmit(bytes.fromhex(left))
    card.sent.clear()
    sam = connected(card)
    assert sam.terminal_number == TERMINAL
    assert sam.cryptogram(RKSSSE, CHALLENGE, SOURCE) == CRYPTOGRAM
    card.card.transmit(bytes.fromhex(SELECT_SX3))  # another program, between two uses
    assert sam.cryptogram(RKSSSE, CHALLENGE, SOURCE) == CRYPTOGRAM
    card.card.reset()
    assert sam.cryptogram(RKSSSE, CHALLENGE, SOURCE) == CRYPTOGRAM
    assert sam.terminal_number == TERMINAL
    heads = [one[:4] for one in card.sent]
    assert card.sent[:3] == [SELECT_MF, READ_NUMBER, SELECT_APPLICATION]
    assert heads == ["00A4", "00B0", *("00A4", "BFDE", "80FA", "00C0") * 3]


def test_an_mf_that_is_known_by_name_only() -> None:
    card = SharedPsam({SELECT_MF: "6A82", SELECT_MF_BY_NAME: "6110"})
    assert connected(card).terminal_number == TERMINAL
    assert card.sent == [SELECT_MF, SELECT_MF_BY_NAME, READ_NUMBER]


def test_an_environment_that_is_found_from_the_mf_only() -> None:
    class OnlyFromMf(SharedPsam):
        def transmit(self, command: bytes) -> bytes:
            from_mf = self.card._algorithm is None
            if command[:4] == bytes.fromhex("00A40400") and not from_mf:
                self.sent.append(command.hex().upper())
                return bytes.fromhex("6A82")
            return super().transmit(command)

    card = OnlyFromMf()
    sam = connected(card)
    for _ in range(2):
        assert sam.cryptogram(RKSSSE, CHALLENGE, SOURCE) == CRYPTOGRAM
    names = [one for one in card.sent if one.startswith("00A4")]
    assert names == [
        SELECT_MF, SELECT_APPLICATION, SELECT_APPLICATION, SELECT_SX1, SELECT_MF, SELECT_APPLICATION,
    ]  # fmt: skip


# -- reset, replaced ----------------------------------------------------------------------------


class Resetting(SoftwareReader):
    """A reader whose card is reset by another program at a command; a connection that met it is of no use any more."""

    def __init__(self, card: AnyCard, *, times: int = 1) -> None:
        super().__init__("slot", card)
        self.times = times
        self.head = "80FA"
        self.connections = 0
        self.before_reset: Callable[[], None] = lambda: None

    def connect(self) -> SoftwareConnection:
        self.connections += 1
        connection = super().connect()
        transmit = connection.transmit
        dead = False

        def resetting(command: bytes) -> bytes:
            nonlocal dead
            if dead or (self.times and command.hex().upper().startswith(self.head)):
                self.times -= not dead
                dead = True
                self.before_reset()
                raise CardResetError()
            return transmit(command)

        connection.transmit = resetting  # type: ignore[method-assign] # a reset cannot be had on demand otherwise
        return connection


def test_a_reset_by_another_program_costs_a_second_try() -> None:
    reader = Resetting(SoftwarePsam(algorithms=("3DES",)))
    sam = PsamCard.connect(reader, PsamSettings(levels=3))
    assert sam.cryptogram(RKSSSE, CHALLENGE, SOURCE) == CRYPTOGRAM
    assert reader.connections == 2 and sam.terminal_number == TERMINAL


def test_a_second_reset_is_told() -> None:
    reader = Resetting(SoftwarePsam(algorithms=("3DES",)), times=2)
    sam = PsamCard.connect(reader, PsamSettings(levels=3))
    with pytest.raises(SamFailedError):
        sam.cryptogram(RKSSSE, CHALLENGE, SOURCE)


def test_a_psam_that_was_replaced_before_the_second_try_is_not_used() -> None:
    other = SharedPsam(algorithms=("3DES",), terminal_number=OTHER_TERMINAL)
    reader = Resetting(SoftwarePsam(algorithms=("3DES",)))
    sam = PsamCard.connect(reader, PsamSettings(levels=3))
    reader.before_reset = lambda: reader.insert(other)
    for use in (
        lambda: sam.cryptogram(RKSSSE, CHALLENGE, SOURCE),
        lambda: sam.terminal_number,
        lambda: sam.cryptogram(RKSSSE, CHALLENGE, SOURCE),
    ):
        with pytest.raises(NoSamError, match="PSAM"):
            use()
    assert other.sent == []


def test_a_psam_that_was_replaced_tells_nothing_of_the_one_before() -> None:
    reader = SoftwareReader("slot", SharedPsam())
    sam = PsamCard.connect(reader, PsamSettings(levels=3))
    other = SharedPsam(terminal_number=OTHER_TERMINAL)
    reader.insert(other)
    with pytest.raises(NoSamError):
        _ = sam.terminal_number
    with pytest.raises(NoSamError):
        sam.cryptogram(RKSSSE, CHALLENGE, SOURCE)
    with pytest.raises(NoSamError):
        sam.purchase_index()
    assert other.sent == []
    assert PsamCard.connect(reader).terminal_number == OTHER_TERMINAL


def test_a_debit_that_was_begun_ends_with_the_selection_of_anything() -> None:
    purchase = Purchase(
        key=CardKey("DPK1", 1, 16, "3DES", RKSSSE.factors, 0x42, 0x01, version=1),
        challenge=bytes.fromhex("A1B2C3D4"), transaction_number=12, amounts=bytes(12), transaction_type=0x32,
        terminal_number=bytes.fromhex(TERMINAL), time=bytes.fromhex("20151118185001"), algorithm_number=0,
    )  # fmt: skip
    card = SharedPsam()
    sam = connected(card)
    number = sam.authorise_purchase(purchase).terminal_transaction_number
    sam.cryptogram(RKSSSE, CHALLENGE, SOURCE)
    before = len(card.sent)
    assert sam.check_purchase(purchase, number, bytes(4)).name == "UNCHECKED"
    assert len(card.sent) == before


# -- without a terminal number ------------------------------------------------------------------

UNREADABLE = {
    "no file": {READ_NUMBER: "6A82"},
    "refused": {READ_NUMBER: "6982"},
    "short": {READ_NUMBER: "00000000999000"},
    "not digits": {READ_NUMBER: "FFFFFFFFFFFF9000"},
    "no way to the MF": {SELECT_MF: "6A82", SELECT_MF_BY_NAME: "6A82"},
    "another length": {READ_NUMBER: "6C05"},
}


@pytest.fixture(params=UNREADABLE)
def unreadable(request: pytest.FixtureRequest) -> SharedPsam:
    card = SharedPsam(UNREADABLE[request.param])
    card.atr = bytes.fromhex("3B6D00000081544C968684430100000001")  # not the simulators' own
    return card


def test_a_number_that_cannot_be_read_is_never_zeros(unreadable: SharedPsam) -> None:
    sam = connected(unreadable)
    with pytest.raises(SamFailedError):
        _ = sam.terminal_number
    reader = SoftwareReader("r", find_persona("personalised").card())
    with pytest.raises(SamFailedError):
        with_card(reader, Credentials(sam=Ready(sam)), read_basic)


def with_card(reader: SoftwareReader, credentials: Credentials, work: Callable[[SocialSecurityCard], object]) -> object:
    with SocialSecurityCard(
        reader.connect(), reader, capabilities=CapabilityCache(None), credentials=credentials
    ) as card:
        return work(card)


def test_a_psam_that_does_not_say_whose_keys_it_has_is_not_let_at_a_real_card(unreadable: SharedPsam) -> None:
    trace = TraceLog()
    reader = RealReader("r", find_persona("third-closed").card())
    credentials = Credentials(sam=Ready(connected(unreadable, real=True)))
    with SocialSecurityCard(
        reader.connect(), reader, capabilities=CapabilityCache(None), credentials=credentials, trace=trace
    ) as card:
        assert card.read(supplement=False).holder is None
        assert isinstance(card.refusal_of_holder(), SamFailedError)
    assert {exchange.command[1] for exchange in trace.exchanges} <= {0xA4, 0xB2, 0xC0}
    assert unreadable.sent and not [one for one in unreadable.sent if one.startswith("BFDE")]


def test_in_a_laboratory_it_is_and_its_verdict_says_that_nothing_is_proved(unreadable: SharedPsam) -> None:
    reader = RealReader("r", find_persona("third-closed").card())
    credentials = Credentials(sam=Ready(connected(unreadable, real=True)), laboratory=True)
    verdict = with_card(reader, credentials, lambda card: identify(card, default_policy(), None, NOW))
    chip = next(one for one in verdict.checks if one.check == "chip-genuine")  # type: ignore[attr-defined]
    assert chip.outcome == "not-done" and "终端机编号" in chip.detail


@pytest.mark.parametrize("atr", [SoftwarePsam().atr, bytes.fromhex("3B6D00000081544C968684430100000001")])
def test_test_keys_are_told_by_number_and_by_atr(atr: bytes) -> None:
    card = SharedPsam(terminal_number=TERMINAL if atr != SoftwarePsam().atr else OTHER_TERMINAL)
    card.atr = atr
    reader = RealReader("r", find_persona("third-closed").card())
    with pytest.raises(TestKeysError):
        with_card(reader, Credentials(sam=Ready(connected(card, real=True))), read_basic)


def test_a_site_may_say_the_number_of_a_psam_that_has_none(unreadable: SharedPsam) -> None:
    settings = SecuritySettings.model_validate({"psam": {"terminal_number": OTHER_TERMINAL}})
    source = settings.sam_source("psam:slot", lambda name: RealReader(name, unreadable))
    assert source is not None
    sam = source.open()
    assert (sam.terminal_number, sam.test_keys) == (OTHER_TERMINAL, False)


def test_what_a_psam_says_itself_counts_more_than_what_its_site_says() -> None:
    settings = PsamSettings(levels=3, terminal_number=OTHER_TERMINAL)
    assert connected(SharedPsam(), settings).terminal_number == TERMINAL


# -- where another SAM stands in ----------------------------------------------------------------


class NotThere:
    def open(self) -> Sam:
        raise NoSamError()


def field_10(*sources: Ready | NotThere) -> object:
    reader = SoftwareReader("r", find_persona("third-closed").card())
    text = with_card(reader, Credentials(sam=FallbackSource(sources)), read_basic)
    return str(text).split("|")[9]


def test_the_terminal_number_of_whichever_has_one(tmp_path: Path, unreadable: SharedPsam) -> None:
    keys = soft_sam(tmp_path)
    without = type(keys)(keys._file.model_copy(update={"terminal_number": None}))
    assert field_10(NotThere(), Ready(keys)) == TERMINAL
    # None is not known: empty, for there is a PSAM, and zeros would say that there is none.
    assert field_10(NotThere(), Ready(without)) == ""
    assert field_10(Ready(without), NotThere()) == ""
    assert field_10(Ready(without), Ready(without)) == "000000000000"
    assert field_10(Ready(without), Ready(connected(SharedPsam()))) == TERMINAL
    with pytest.raises(CardioError):
        field_10(Ready(connected(unreadable)), Ready(without))


def test_without_a_psam_set_up_the_field_is_zeros() -> None:
    reader = SoftwareReader("r", find_persona("personalised").card())
    assert str(with_card(reader, Credentials(), read_basic)).split("|")[9] == "000000000000"


def test_with_a_psam_set_up_that_is_not_there_it_is_an_error() -> None:
    reader = SoftwareReader("r", find_persona("personalised").card())
    with pytest.raises(SamError) as caught:
        with_card(reader, Credentials(sam=NotThere()), read_basic)
    assert caught.value.driver_code == -2201
