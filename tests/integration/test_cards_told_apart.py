"""Cards swapped between two looks of a polled reader (Web eID's eid-mw #34), and other cards beside, over pcscd."""

from __future__ import annotations

import time

import pytest

from cardio.models.readers import ReaderStatus
from simulators.card.faults import with_fault
from simulators.readers.vpcd import VpcdLink
from simulators.sam.psam import SoftwarePsam
from tests.integration.bridge_faults import ADULT, CHILD, put_in
from tests.integration.bridges import NAME, BridgeHere, served
from tests.pcsc import Slot

pytestmark = pytest.mark.pcsc
GAPS = [0.0, 0.02, 0.05, 0.1, 0.2, 0.3]
"""Seconds between the two cards; vpcd's readers are looked at every 400 ms."""


@pytest.mark.parametrize("gap", GAPS)
def test_another_person_never_comes_under_a_session(bridge: BridgeHere, slot: Slot, gap: float) -> None:
    put_in(bridge, slot, ADULT.card())
    reader = slot.reader.name
    first = bridge.card(reader)
    assert first.json()["holder"]["name"] == NAME
    session = first.headers["Cardio-Card-Session"]
    slot.pull()
    time.sleep(gap)  # how long a hand takes: what is being tested
    slot.link = VpcdLink(CHILD.card(), port=slot.port)
    slot.link.insert()
    for _ in range(4):
        answer = bridge.card(reader, session)
        assert answer.status_code != 200, f"the card of {session} is out"
    slot.wait_for(ReaderStatus.CARD)
    bridge.reads(reader, "测小小")
    assert bridge.card(reader).headers["Cardio-Card-Session"] != session


def test_a_card_that_is_none_of_ours_gives_way(bridge: BridgeHere, every: list[Slot]) -> None:
    put_in(bridge, every[0], with_fault(ADULT.card(), "bank-card"))
    put_in(bridge, every[1], ADULT.card())
    assert bridge.driver("iReadCardBas").json()["fields"]["name"] == NAME
    put_in(bridge, every[2], CHILD.card())
    several = bridge.driver("iReadCardBas")
    assert (several.status_code, several.json()["code"]) == (409, "several-cards")


def test_the_sams_slot_is_never_the_patients(every: list[Slot], tmp_path: object) -> None:
    sam, patient = every[1], every[0]
    environment = {"CARDIO_BRIDGE_SAM": f"psam:{sam.reader.name}"}
    with served(tmp_path, environment=environment) as bridge:  # type: ignore[arg-type]
        put_in(bridge, sam, SoftwarePsam())
        assert bridge.driver("iReadCardBas").json()["driver_code"] == -2
        put_in(bridge, patient, SoftwarePsam())
        assert bridge.driver("iReadCardBas").json()["driver_code"] == -1, "a PSAM is no patient's card"
