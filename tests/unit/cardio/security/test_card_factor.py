"""Which ATR gives the factor that a card's keys hang on, and what becomes of a card whose ATR does not.

TCK is the exclusive-or of all bytes from T0 on (ISO/IEC 7816-3 §8.2.5), by hand.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cardio.apdu.trace import TraceLog
from cardio.card.social_security_card import SocialSecurityCard
from cardio.debits.transaction import DebitState
from cardio.driver.basic_info import read_basic
from cardio.driver.debits import debit_1
from cardio.driver.hsm_steps import HsmSteps
from cardio.driver.return_codes import code_of
from cardio.errors import CardGarbledError, CardioError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.card_file_system import CardFileSystem
from cardio.identity.identify import identify
from cardio.identity.policy import default_policy
from cardio.models.reading import CardReading
from cardio.security.credentials import Credentials
from cardio.security.errors import (
    ContactSlotNeededError,
    HsmUnreachableError,
    KeyNotInSamError,
    NoCardFactorError,
    ProofDeclinedError,
)
from cardio.security.pin.pin import Pin
from cardio.security.sam.base import CardKey, SamSource
from cardio.security.sam.diversification import reset_information
from cardio.security.sam.key_file import SoftSam
from simulators.card.base import AnyCard
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.conftest import TODAY
from tests.unit.cardio.debits.debits import LIMITS, ORDER, UNTOUCHED, Ready, Till, soft_sam

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=timezone(timedelta(hours=8)))
THIRTEEN = "0081544C968684320200000009"
CONTACTLESS = bytes.fromhex("3B888001102030405060708089")

MADE_UP = {
    "an ATQB's eight bytes (OpenSC #3755)": "3B888001102030405060708089",
    "the thirteen themselves in an ATS": "3B8D8001" + THIRTEEN + "38",
    "another thirteen (YubiKey 5 NFC)": "3B8D80018073C021C057597562694B6579F9",
    "a storage card": "3B8F8001804F0CA000000306030001000000006A",
    "an identity card's": "3B8C8001" + "50" + "00" * 11 + "5D",
    "nothing": "3B80800101",
    "fifteen bytes": "3B8F8001" + "00" * 15 + "0E",
    "a wrong check byte": "3B888001102030405060708000",
    "cut off": "3B888001102030",
}
NOT_OURS = {
    "T=1": "3BED00008131FE45" + THIRTEEN + "D2",
    "T=14": "3B8D0E" + THIRTEEN + "B7",
    "T=0 and T=1": "3BED00008001" + THIRTEEN + "58",
    "seven bytes": "3B67000086843202000000",
    "eight bytes": "3B6800008684320200000009",
    "twelve bytes": "3B6C0000" + THIRTEEN[2:],
    "fourteen bytes": "3B6E0000" + "00" + THIRTEEN,
    "fifteen bytes": "3B6F0000" + "0000" + THIRTEEN,
    "none": "3B00",
}
OURS = {
    "as the standard has it": "3B6D0000" + THIRTEEN,
    "with a speed of its own": "3B7D960000" + THIRTEEN,
    "inverse convention": "3F6D0000" + THIRTEEN,
    "T=0 said aloud": "3BED000000" + THIRTEEN,
}


@pytest.mark.parametrize("atr", MADE_UP.values(), ids=MADE_UP)
def test_what_a_reader_makes_up_has_no_reset_information(atr: str) -> None:
    with pytest.raises(ContactSlotNeededError):
        reset_information(bytes.fromhex(atr))


@pytest.mark.parametrize("atr", NOT_OURS.values(), ids=NOT_OURS)
def test_what_is_no_social_security_cards_atr(atr: str) -> None:
    with pytest.raises(NoCardFactorError) as caught:
        reset_information(bytes.fromhex(atr))
    assert caught.value.code == "no-card-factor"


@pytest.mark.parametrize("atr", OURS.values(), ids=OURS)
def test_a_contact_card_may_have_a_speed_of_its_own(atr: str) -> None:
    assert reset_information(bytes.fromhex(atr)) == bytes.fromhex(THIRTEEN)


@pytest.mark.parametrize("atr", ["", "3B", "3B6D0000" + THIRTEEN[2:], "3BED00008131FE45" + THIRTEEN + "00"])
def test_what_is_no_atr(atr: str) -> None:
    with pytest.raises(CardGarbledError):
        reset_information(bytes.fromhex(atr))


class Behind:
    """A card behind another ATR."""

    def __init__(self, card: AnyCard, atr: bytes) -> None:
        self.card = card
        self.atr = atr

    def reset(self) -> None:
        self.card.reset()

    def transmit(self, command: bytes) -> bytes:
        return self.card.transmit(command)


class Desk:
    """A card, or a persona's, behind an ATR, and what is sent to it."""

    def __init__(self, card: str | AnyCard, atr: bytes | None, credentials: Credentials | None) -> None:
        found = find_persona(card).card() if isinstance(card, str) else card
        self.reader = SoftwareReader("r", found if atr is None else Behind(found, atr))
        self.trace = TraceLog()
        self.card = SocialSecurityCard(
            self.reader.connect(),
            self.reader,
            capabilities=CapabilityCache(None),
            credentials=credentials,
            trace=self.trace,
        )

    @property
    def instructions(self) -> set[int]:
        return {exchange.command[1] for exchange in self.trace.exchanges}


AUTHENTICATION = {0x82, 0x88, 0x84}
"""EXTERNAL and INTERNAL AUTHENTICATION, GET CHALLENGE."""


class Never:
    """A SAM that must not even be opened."""

    def open(self) -> object:
        raise AssertionError("the SAM was asked")


@pytest.fixture
def keys(tmp_path: Path) -> Ready:
    return Ready(soft_sam(tmp_path))


@pytest.mark.parametrize("atr", [CONTACTLESS, *map(bytes.fromhex, NOT_OURS.values())])
def test_a_closed_card_is_sent_no_key_and_is_not_called_forged(atr: bytes, keys: Ready) -> None:
    desk = Desk("third-closed", atr, Credentials(sam=keys))
    reading = desk.card.read()
    access_error = desk.card.refusal_of_holder()
    assert reading.holder is None and isinstance(access_error, NoCardFactorError)
    assert not desk.instructions & AUTHENTICATION
    assert reading.card.historical_bytes is None and reading.card.identification_code is not None
    unread = next(one for one in reading.unread if one.file == "SSSE/EF06")
    assert unread.remedy == access_error.remedy and unread.driver_code == -1
    assert "not-proved" in [warning.code for warning in reading.warnings]
    with pytest.raises(NoCardFactorError) as caught:
        read_basic(desk.card)
    assert code_of(caught.value) == -1 and not desk.instructions & AUTHENTICATION


def test_what_the_clerk_is_told_to_do() -> None:
    assert "插入接触式卡槽" in ContactSlotNeededError.remedy
    assert "contact slot" in ContactSlotNeededError.remedy_en
    assert not ContactSlotNeededError().calls_for_hsm


def test_the_sam_is_not_even_opened(keys: Ready) -> None:
    never: SamSource = Never()  # type: ignore[assignment] # it is not opened
    desk = Desk("third-closed", CONTACTLESS, Credentials(sam=never))
    assert desk.card.read().holder is None
    with pytest.raises(ContactSlotNeededError):
        desk.card.prove()


@pytest.mark.parametrize("atr", [bytes.fromhex(one) for one in OURS.values()], ids=OURS)
def test_a_contact_card_opens_whatever_its_speed(atr: bytes, keys: Ready) -> None:
    persona = find_persona("third-closed")
    own = atr[: -len(persona.historical_bytes)] + persona.historical_bytes
    reading = Desk("third-closed", own, Credentials(sam=keys)).card.read()
    assert reading.holder is not None and reading.holder.name == "测试壬"
    assert reading.card.historical_bytes == persona.historical_bytes.hex().upper()


def test_an_open_card_is_read_and_the_reading_says_that_it_is_not_proved(keys: Ready) -> None:
    desk = Desk("third-generation", CONTACTLESS, Credentials(sam=keys))
    reading = desk.card.read(supplement=False)
    assert reading.holder is not None and reading.card.historical_bytes is None
    assert warned(reading)["not-proved"].startswith("未核验卡片真伪")
    with pytest.raises(ContactSlotNeededError):
        read_basic(desk.card)


def warned(reading: CardReading) -> dict[str, str]:
    return {warning.code: warning.detail for warning in reading.warnings}


@pytest.mark.parametrize("persona", ["personalised", "third-generation"])
def test_without_keys_the_string_has_an_empty_field_in_place_of_a_wrong_one(persona: str) -> None:
    desk = Desk(persona, CONTACTLESS, None)
    fields = read_basic(desk.card).split("|")
    assert fields[5] == "" and fields[3] and fields[4] and len(fields) == 12


def test_a_second_generation_card_is_read_with_keys_at_hand(keys: Ready) -> None:
    fields = read_basic(Desk("personalised", CONTACTLESS, Credentials(sam=keys)).card).split("|")
    assert fields[5] == "" and fields[4]


@pytest.mark.parametrize("persona", ["third-closed", "third-generation", "personalised"])
def test_a_verdict_says_not_done_and_why(persona: str, keys: Ready) -> None:
    desk = Desk(persona, CONTACTLESS, Credentials(sam=keys))
    verdict = identify(desk.card, default_policy(), None, NOW)
    chip = next(one for one in verdict.checks if one.check == "chip-genuine")
    assert (chip.outcome, chip.driver_code) == ("not-done", -1)
    assert "非接触" in chip.detail and "contactless" in chip.detail_en
    assert verdict.verdict == "not-verified" and not desk.instructions & AUTHENTICATION


@pytest.mark.parametrize("atr", [CONTACTLESS, bytes.fromhex(NOT_OURS["eight bytes"])])
def test_a_debit_is_refused_before_anything(atr: bytes, tmp_path: Path) -> None:
    class Contactless(Till):
        @property
        def atr(self) -> bytes:
            return atr

    till = Contactless(tmp_path)
    with pytest.raises(NoCardFactorError):
        till.debit()
    assert till.totals == UNTOUCHED and till.debits == 0
    assert till.claim().state is DebitState.NEW  # it may be tried again, in the contact slot
    sent = {exchange.command[:2].hex() for exchange in till.trace}
    assert sent <= {"00a4", "00b2", "00c0"}


def test_a_debit_in_steps_is_refused_before_anything(tmp_path: Path) -> None:
    class Contactless(Till):
        @property
        def atr(self) -> bytes:
            return CONTACTLESS

    till = Contactless(tmp_path)
    entry = till.claim()
    with till.open(credentials=Credentials(pin=Pin("123456"))) as card, pytest.raises(ContactSlotNeededError):
        debit_1(HsmSteps(card), ORDER, entry, "430100000017", LIMITS)
    assert till.totals == UNTOUCHED and till.claim().state is DebitState.NEW


def test_a_debit_of_which_nobody_knows_waits_for_the_contact_slot(tmp_path: Path) -> None:
    class AnySlot(Till):
        contactless = False

        @property
        def atr(self) -> bytes:
            return CONTACTLESS if self.contactless else self.card.atr

    till = AnySlot(tmp_path)
    till.fault = till.loses_answer(done=True)
    with pytest.raises(CardioError):
        till.debit()
    till.fault, till.contactless = None, True
    with pytest.raises(ContactSlotNeededError):
        till.recover()
    till.contactless = False
    assert till.recover().transaction_number == 12 and till.debits == 1


@pytest.mark.parametrize("step", ["read_basic_1", "read_1", "write_1", "unblock_1"])
def test_steps_ask_no_hsm_for_a_card_without_a_factor(step: str) -> None:
    desk = Desk("third-closed", CONTACTLESS, Credentials())
    steps = HsmSteps(desk.card)
    arguments = {"read_1": ["SSSEEF06|09|$"], "write_1": ["SSSEEF05|06|$"]}.get(step, [])
    with pytest.raises(ContactSlotNeededError):
        getattr(steps, step)(*arguments)
    assert not desk.instructions & AUTHENTICATION and not steps.awaits_step


def test_a_card_without_it_is_known_by_its_code_and_that_is_not_enough_for_money() -> None:
    desk = Desk("personalised", CONTACTLESS, None)
    reading = desk.card.read(supplement=False)
    assert desk.card.known_identity == (reading.card.identification_code or "").encode("ascii")
    with pytest.raises(ContactSlotNeededError):
        _ = desk.card.identity


def test_a_pin_needs_no_factor() -> None:
    desk = Desk("personalised", CONTACTLESS, Credentials(pin=Pin("123456")))
    desk.card.verify_pin()


# -- a card that should have proved itself gets no key ------------------------------------------


def without_key(keys: Ready, name: str) -> Ready:
    sam = keys.open()
    file = sam._file  # type: ignore[attr-defined] # the key file of the soft SAM
    tables = {
        algorithm: {one: key for one, key in table.items() if one != name} for algorithm, table in file.keys.items()
    }
    return Ready(type(sam)(file.model_copy(update={"keys": tables})))  # type: ignore[call-arg]


def test_a_sam_without_the_proving_key_presents_none_to_a_third_generation_card(keys: Ready) -> None:
    desk = Desk("third-closed", None, Credentials(sam=without_key(keys, "IRK")))
    reading = desk.card.read(supplement=False)
    assert reading.holder is None and isinstance(desk.card.refusal_of_holder(), KeyNotInSamError)
    assert not desk.instructions & AUTHENTICATION
    # Nor file by file, without a reading before.
    desk = Desk("third-closed", None, Credentials(sam=without_key(keys, "IRK")))
    assert desk.card.file("SSSE/EF06").unread
    assert not desk.instructions & AUTHENTICATION


def test_an_open_third_generation_card_that_could_not_prove_itself_is_no_success_over_the_interface(
    keys: Ready,
) -> None:
    desk = Desk("third-generation", None, Credentials(sam=without_key(keys, "IRK")))
    assert "not-proved" in warned(desk.card.read(supplement=False))
    with pytest.raises(KeyNotInSamError) as caught:
        read_basic(desk.card)
    assert code_of(caught.value) == -27272  # the caller goes to the HSM


@pytest.mark.parametrize("answer", ["6D00", "6985", "6A86"])
def test_a_third_generation_card_that_refuses_to_prove_itself_gets_no_key(answer: str, keys: Ready) -> None:
    class Refusing(Behind):
        def transmit(self, command: bytes) -> bytes:
            return bytes.fromhex(answer) if command[1] == 0x88 else super().transmit(command)

    card = find_persona("third-closed").card()
    desk = Desk(Refusing(card, card.atr), None, Credentials(sam=keys))
    with pytest.raises(ProofDeclinedError):
        desk.card.file("SSSE/EF06")
    assert 0x88 in desk.instructions
    assert 0x82 not in desk.instructions


def test_after_a_proof_that_failed_no_file_is_read_from_another_application(keys: Ready) -> None:
    """Internal authentication is the environment's. Its EF05 was given for the application's of the same number."""

    class Unreachable(SoftSam):
        def cryptogram(self, key: CardKey, challenge: bytes, source: bytes) -> bytes:
            raise HsmUnreachableError()

    unreachable = Ready(Unreachable(keys.open()._file))  # type: ignore[attr-defined] # the key file of the soft SAM
    capabilities = CapabilityCache(None)
    for _ in range(2):  # the second time it is known that the file is closed, and rights are asked for first
        desk = Desk("personalised", None, Credentials(sam=unreachable))
        file_system = CardFileSystem(capabilities.load("x", TODAY), authenticator=desk.card._authenticator)
        desk.card.run(file_system.open())
        file_system.profile.closed.add("DF01/EF05")
        reading = desk.card.run(file_system.read("DF01/EF05"))
        assert isinstance(reading.access_error, HsmUnreachableError)
        assert reading.closed and not reading.records
