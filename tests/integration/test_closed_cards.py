"""Closed cards over real pcscd: keys in a PSAM card in the second slot, in a file, at an HSM."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cardio.apdu.trace import TraceLog
from cardio.card.runner import on_card
from cardio.card.session import CardSession
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardioError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.readers.base import Reader
from cardio.security.credentials import Credentials
from cardio.security.errors import NoSamError, TestKeysError
from cardio.security.pin.pin import Pin
from cardio.security.sam.base import Sam
from cardio.security.sam.hsm import HsmClient
from cardio.security.sam.hsm_http import HttpHsmTransport
from cardio.security.sam.psam import PsamCard, PsamSettings
from simulators.personas.persona import find_persona
from simulators.sam.hsm import SoftwareHsm
from simulators.sam.psam import SoftwarePsam
from tests.pcsc import Slot

pytestmark = pytest.mark.pcsc


class PsamIn:
    """The PSAM in a slot, as a source."""

    def __init__(self, reader: Reader, trace: TraceLog | None = None) -> None:
        self._reader = reader
        self._trace = trace

    def open(self) -> Sam:
        return PsamCard.connect(self._reader, PsamSettings(levels=3), trace=self._trace)


class At:
    def __init__(self, sam: Sam) -> None:
        self._sam = sam

    def open(self) -> Sam:
        return self._sam


def holder(card: SocialSecurityCard) -> str | None:
    reading = card.read(supplement=False)
    return reading.holder.name if reading.holder else None


@pytest.fixture
def psam(slots: list[Slot], slot: Slot) -> Iterator[Slot]:
    """The second slot of the same reader, with a PSAM card in it."""
    second = slots[(slots.index(slot) + 1) % len(slots)]
    second.insert(SoftwarePsam(algorithms=("3DES", "SM4")))
    yield second
    second.remove()


def laboratory(source: PsamIn | At) -> Credentials:
    return Credentials(sam=source, laboratory=True)


@pytest.mark.parametrize("name", ["third-closed", "third-sm4"])
def test_a_third_generation_card_opens_with_the_psam_in_the_second_slot(
    name: str, slot: Slot, psam: Slot, store: CapabilityCache
) -> None:
    slot.insert(find_persona(name).card())
    trace = TraceLog()
    credentials = laboratory(PsamIn(psam.reader, trace))
    assert on_card(slot.reader, holder, capabilities=store, credentials=credentials) == "测试壬"
    # The number in the MF; for each of two authentications the environment, the process key, its use, GET RESPONSE.
    assert [exchange.command[:2].hex().upper() for exchange in trace.exchanges] == [
        "00A4",
        "00B0",
        *("00A4", "BFDE", "80FA", "00C0") * 2,
    ]


def test_test_keys_are_refused_at_a_real_reader(slot: Slot, psam: Slot, store: CapabilityCache) -> None:
    slot.insert(find_persona("third-closed").card())
    with pytest.raises(TestKeysError):
        on_card(slot.reader, holder, capabilities=store, credentials=Credentials(sam=PsamIn(psam.reader)))


def test_a_psam_that_is_pulled_costs_the_card_nothing(slot: Slot, psam: Slot, store: CapabilityCache) -> None:
    card = find_persona("third-closed").card()
    slot.insert(card)
    psam.remove()
    reading = on_card(
        slot.reader,
        lambda one: (one.read(supplement=False), one.refusal_of_holder()),
        capabilities=store,
        credentials=laboratory(PsamIn(psam.reader)),
    )
    assert reading[0].holder is None
    assert isinstance(reading[1], NoSamError) and reading[1].driver_code == -2201
    psam.insert(SoftwarePsam(algorithms=("3DES", "SM4")))
    assert on_card(slot.reader, holder, capabilities=store, credentials=laboratory(PsamIn(psam.reader))) == "测试壬"


def test_an_hsm_opens_it_and_a_held_session_outlives_windows_five_seconds(slot: Slot, store: CapabilityCache) -> None:
    slot.insert(find_persona("third-sm4").card())
    with SoftwareHsm() as hsm:
        credentials = laboratory(At(HsmClient(HttpHsmTransport(hsm.url))))
        with CardSession(slot.reader, credentials=credentials, capabilities=store, keep_alive_seconds=0.05) as session:
            assert session.run(holder) == "测试壬"
            assert session.run(lambda card: card.file("DF01/EF05").opened_by) == "RK1DF01"
        with pytest.raises(CardioError):
            session.run(holder)


def test_a_wrong_pin_over_the_wire_costs_one_try(slot: Slot, store: CapabilityCache) -> None:
    card = find_persona("personalised").card()
    slot.insert(card)
    with pytest.raises(CardioError) as caught:
        on_card(
            slot.reader,
            lambda one: one.verify_pin(),
            capabilities=store,
            credentials=Credentials(pin=Pin("999999")),
            repeat=False,
        )
    assert caught.value.code == "wrong-pin" and card.pin_tries_left == 2
