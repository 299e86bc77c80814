"""A PSAM card that several programs use over pcscd: what its last user left behind must not show.

pcscd keeps a card powered for some seconds after its last user, and the application that was selected stays selected.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardio.apdu.trace import TraceLog
from cardio.card.runner import on_card
from cardio.card.session import CardSession
from cardio.card.social_security_card import SocialSecurityCard
from cardio.debits.execution import debit
from cardio.debits.transaction import DebitResult
from cardio.driver.basic_info import read_basic
from cardio.filesystem.capabilities import CapabilityCache
from cardio.readers.pcsc import PcscReader
from cardio.security.credentials import Credentials
from cardio.security.errors import NoSamError, TestKeysError
from cardio.security.pin.pin import Pin
from cardio.security.sam.base import Sam, SamSource
from cardio.security.sam.psam import PsamCard, PsamSettings
from cardio.security.settings import SecuritySettings
from service.debits.journal import Journal
from simulators.personas.persona import find_persona
from simulators.sam.psam import SoftwarePsam
from tests.pcsc import Slot
from tests.unit.cardio.debits.debits import LIMITS, ORDER

pytestmark = pytest.mark.pcsc

TERMINAL, OTHER_TERMINAL = "000000009999", "430100000017"
SELECT_MF = "00A40000023F00"
SELECT_APPLICATION = "00A4040006D15600000590"
SELECT_SX1 = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"
SELECT_SX3 = "00A404000F7378332E73682EC9E7BBE1B1A3D5CF"
READ_TERMINAL_NUMBER = "00B0960006"


class PsamIn:
    """The PSAM card in a slot, as a source."""

    def __init__(self, reader: PcscReader, trace: TraceLog | None = None) -> None:
        self._reader = reader
        self._trace = trace

    def open(self) -> Sam:
        return PsamCard.connect(self._reader, PsamSettings(levels=3), trace=self._trace)


@pytest.fixture
def psam(slots: list[Slot], slot: Slot) -> Iterator[Slot]:
    """The second slot of the same reader, with a PSAM card in it."""
    second = slots[(slots.index(slot) + 1) % len(slots)]
    second.insert(SoftwarePsam(algorithms=("3DES", "SM4")))
    yield second
    second.remove()


OTHER_PROGRAM = """
import sys
from cardio.readers.pcsc import PcscReader

connection = PcscReader(sys.argv[1]).connect()
for command in sys.argv[2:]:
    assert connection.transmit(bytes.fromhex(command))[-2:] == b"\\x90\\x00"
connection.close()
"""


def other_program(slot: Slot, *commands: str) -> None:
    """Another process uses the card in a slot, and leaves it as it is then."""
    subprocess.run([sys.executable, "-c", OTHER_PROGRAM, slot.reader.name, *commands], check=True)


def as_set_up(psam: Slot) -> SamSource:
    source = SecuritySettings.model_validate({"psam": {"levels": 3}}).sam_source("psam:slot", lambda name: psam.reader)
    assert source is not None
    return source


def laboratory(psam: Slot, trace: TraceLog | None = None) -> Credentials:
    source = as_set_up(psam) if trace is None else PsamIn(psam.reader, trace)
    return Credentials(sam=source, laboratory=True)


def terminal_number_in(text: str) -> str:
    return text.split("|")[9]


def test_the_second_of_two_readings_has_the_terminal_number_too(slot: Slot, psam: Slot, store: CapabilityCache) -> None:
    slot.insert(find_persona("third-closed").card())
    for _ in range(3):
        text = on_card(slot.reader, read_basic, capabilities=store, credentials=laboratory(psam))
        assert terminal_number_in(text) == TERMINAL


@pytest.mark.parametrize("left", [[SELECT_SX3], [SELECT_APPLICATION], [SELECT_SX3, SELECT_SX1], ["00A4000002DF01"]])
@pytest.mark.parametrize("persona", ["third-closed", "third-sm4"])
def test_wherever_another_program_left_it(
    left: list[str], persona: str, slot: Slot, psam: Slot, store: CapabilityCache
) -> None:
    slot.insert(find_persona(persona).card())
    other_program(psam, *left)
    text = on_card(slot.reader, read_basic, capabilities=store, credentials=laboratory(psam))
    assert text.split("|")[4] == "测试壬" and terminal_number_in(text) == TERMINAL


@pytest.mark.parametrize("left", [[SELECT_SX3], [SELECT_APPLICATION]])
def test_test_keys_are_refused_wherever_another_program_left_them(
    left: list[str], slot: Slot, psam: Slot, store: CapabilityCache
) -> None:
    slot.insert(find_persona("third-closed").card())
    other_program(psam, *left)
    with pytest.raises(TestKeysError):
        on_card(slot.reader, read_basic, capabilities=store, credentials=Credentials(sam=as_set_up(psam)))


def test_a_debit_after_a_reading(slot: Slot, psam: Slot, store: CapabilityCache, tmp_path: Path) -> None:
    slot.insert(find_persona("whole").card())
    on_card(slot.reader, read_basic, capabilities=store, credentials=laboratory(psam))
    other_program(psam, SELECT_SX3)
    journal = Journal(tmp_path / "debits.sqlite")
    entry = journal.claim("local", "k", "x")
    credentials = Credentials(sam=as_set_up(psam), pin=Pin("123456"), laboratory=True)

    def pay(card: SocialSecurityCard) -> DebitResult:
        return debit(card, ORDER, entry, LIMITS)

    done = on_card(slot.reader, pay, capabilities=store, credentials=credentials, repeat=False)
    entry.release()
    assert (done.terminal_number, done.known_by) == (TERMINAL, "mac2")


def test_each_use_begins_at_a_known_place_and_costs_one_command(slot: Slot, psam: Slot, store: CapabilityCache) -> None:
    slot.insert(find_persona("third-closed").card())
    other_program(psam, SELECT_SX3)
    trace = TraceLog()
    on_card(slot.reader, read_basic, capabilities=store, credentials=laboratory(psam, trace))
    sent = [exchange.command.hex().upper() for exchange in trace.exchanges]
    assert sent[:3] == [SELECT_MF, READ_TERMINAL_NUMBER, SELECT_SX3]
    assert [one[:4] for one in sent[2:]] == ["00A4", "BFDE", "80FA", "00C0"] * 2


def test_another_psam_in_the_slot_is_met_afresh(slot: Slot, psam: Slot, store: CapabilityCache) -> None:
    slot.insert(find_persona("third-closed").card())
    on_card(slot.reader, read_basic, capabilities=store, credentials=laboratory(psam))
    psam.remove()
    psam.insert(SoftwarePsam(algorithms=("3DES", "SM4"), terminal_number=OTHER_TERMINAL))
    text = on_card(slot.reader, read_basic, capabilities=store, credentials=laboratory(psam))
    assert terminal_number_in(text) == OTHER_TERMINAL


def test_a_psam_that_is_replaced_while_a_card_is_held_lends_the_other_nothing(
    slot: Slot, psam: Slot, store: CapabilityCache
) -> None:
    slot.insert(find_persona("third-closed").card())
    with CardSession(slot.reader, credentials=laboratory(psam), capabilities=store) as session:
        assert terminal_number_in(session.run(read_basic)) == TERMINAL
        psam.remove()
        psam.insert(SoftwarePsam(algorithms=("3DES", "SM4"), terminal_number=OTHER_TERMINAL))
        with pytest.raises(NoSamError):
            session.run(lambda card: card.terminal_number)
        with pytest.raises(NoSamError):
            session.run(lambda card: card.sam.cryptogram(card.card_key("IRK"), bytes(8), bytes(8)))
