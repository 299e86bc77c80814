"""Cards of the field over a real pcscd: those whose outcome depends on what the reader makes of them."""

from __future__ import annotations

import pytest

from cardio.filesystem.capabilities import CapabilityCache
from tests.field.quirky_card import FieldCase, QuirkyCard, cases
from tests.field.test_cards import run_steps
from tests.pcsc import Slot

pytestmark = pytest.mark.pcsc


@pytest.mark.parametrize("case", [case for case in cases() if case.pcsc], ids=lambda case: case.name)
def test_over_pcsc(case: FieldCase, slot: Slot, store: CapabilityCache) -> None:
    def insert() -> QuirkyCard:
        slot.remove()
        card = case.card()
        slot.insert(card)
        return card

    run_steps(case, slot.reader, insert, store)
