"""Cards read over real pcscd, vpcd and pyscard are read as in process."""

from __future__ import annotations

import pytest

from cardio.apdu.trace import TraceLog
from cardio.card.runner import read_card
from cardio.filesystem.capabilities import CapabilityCache
from cardio.readers.pcsc import PcscSource
from simulators.personas.persona import find_persona, personas
from simulators.readers.software_reader import SoftwareReader
from tests.conftest import TODAY
from tests.pcsc import Slot

pytestmark = pytest.mark.pcsc
SELECT = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"


@pytest.mark.parametrize("name", sorted(personas()))
def test_each_persona_is_read_as_in_process(name: str, slot: Slot, store: CapabilityCache) -> None:
    persona = find_persona(name)
    expected = read_card(SoftwareReader("r", persona.card()), capabilities=CapabilityCache(None), today=TODAY)
    slot.insert(persona.card())
    reading = read_card(slot.reader, capabilities=store, today=TODAY)
    assert reading.reader == slot.reader.name and not reading.simulated
    assert reading.model_copy(update={"reader": "r", "simulated": True}) == expected
    again = read_card(slot.reader, capabilities=store, today=TODAY)
    assert (again.card, again.holder) == (expected.card, expected.holder)


def test_a_known_card_costs_three_commands_on_the_wire(slot: Slot, store: CapabilityCache) -> None:
    """What arrives at the card itself, not only what we believe to have sent."""
    card = find_persona("adult").card()
    arrived: list[str] = []
    transmit = card.transmit

    def note(command: bytes) -> bytes:
        arrived.append(command.hex().upper())
        return transmit(command)

    card.transmit = note  # type: ignore[method-assign]
    slot.insert(card)
    read_card(slot.reader, capabilities=store, supplement=False)
    arrived.clear()
    trace = TraceLog()
    read_card(slot.reader, capabilities=store, supplement=False, trace=trace)
    assert arrived == [SELECT, "00B2012D40", "00B201355B"]
    assert [exchange.command.hex().upper() for exchange in trace.exchanges] == arrived


def test_slots_are_read_side_by_side(slots: list[Slot], slot: Slot, store: CapabilityCache) -> None:
    names = ["adult", "child", "rare-name", "first-generation"]
    for one, name in zip(slots, names, strict=True):
        one.insert(find_persona(name).card())
    try:
        readings = [read_card(one.reader, capabilities=store) for one in slots]
        assert [reading.holder and reading.holder.name for reading in readings] == [
            find_persona(name).files["SSSE/EF06"]["name"] for name in names
        ]
    finally:
        for one in slots:
            one.remove()


def test_an_empty_slot_is_listed_and_named(slot: Slot) -> None:
    found = [reader for reader in PcscSource().readers() if reader.name == slot.reader.name]
    assert [reader.info().status.value for reader in found] == ["empty"]
