"""The whole card over real pcscd, vpcd and pyscard: every file as in process, and what is pulled on the way."""

from __future__ import annotations

import pytest

from cardio.card.runner import on_card
from cardio.errors import CardRemovedError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.models.readers import ReaderStatus
from simulators.card.faults import PulledCard
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.pcsc import Slot

pytestmark = pytest.mark.pcsc
WHOLE = ["personalised", "whole", "whole-first", "whole-third"]


@pytest.mark.parametrize("name", WHOLE)
def test_every_file_is_read_as_in_process(name: str, slot: Slot, store: CapabilityCache) -> None:
    persona = find_persona(name)
    expected = on_card(
        SoftwareReader("r", persona.card()), lambda card: card.dump(), capabilities=CapabilityCache(None)
    )
    slot.insert(persona.card())
    for _ in range(2):  # as a stranger, and as one of a known family
        dump = on_card(slot.reader, lambda card: card.dump(), capabilities=store)
        assert dump.files == expected.files and dump.card == expected.card


def test_the_photo_and_a_report(slot: Slot, store: CapabilityCache) -> None:
    slot.insert(find_persona("whole").card())
    photo, report = on_card(slot.reader, lambda card: (card.photo(), card.report("insurance")), capabilities=store)
    assert (photo.width, photo.height, photo.size) == (179, 221, 3874)
    assert len(report.sections["vouchers"].values) == 3


@pytest.mark.parametrize("after", [1, 5, 20, 60])
def test_a_card_pulled_on_the_way_gives_no_half_answer_and_the_next_is_read(
    after: int, slot: Slot, store: CapabilityCache
) -> None:
    whole = find_persona("whole")
    pulled = PulledCard(whole.card(), after, slot.pull)
    slot.insert(pulled)
    with pytest.raises(CardRemovedError):
        on_card(slot.reader, lambda card: card.dump(), capabilities=store)
    slot.wait_for(ReaderStatus.EMPTY)
    slot.insert(whole.card())
    assert len(on_card(slot.reader, lambda card: card.dump(), capabilities=store).files) == 40
