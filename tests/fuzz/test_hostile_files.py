"""A hostile card and the whole of it: every file, the reports, the photo, conformance; only our own error comes out."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardioError
from cardio.filesystem.address import Address
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.registry import LayoutChoice
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.fuzz.test_hostile_card import ANSWER, Hostile, Mutating

MOST_COMMANDS = 30_000
"""Forty files, nine quirks; a card may claim 255 records in each file."""
ADDRESS = Address.parse("SSSEEF05|01|07|$SSSEEF06|09|4E|$DF03EF19|79:01|$DF04EF08:01$SSSEEF08|$")
LAYOUTS = LayoutChoice.installed()


class Held:
    """A connection to whatever answers."""

    def __init__(self, transport: Hostile | Mutating, atr: bytes) -> None:
        self.protocol = transport.protocol
        self.transmit = transport.transmit
        self.atr = atr

    def event_counter(self) -> int:
        return 1

    def keep_alive(self) -> None: ...

    def close(self, *, reset: bool = False) -> None: ...


def survive(transport: Hostile | Mutating, atr: bytes) -> None:
    reader = SoftwareReader("r")
    card = SocialSecurityCard(
        Held(transport, atr), reader, capabilities=CapabilityCache(None), layouts=LAYOUTS, seconds=60
    )
    works: list[Any] = [
        lambda: card.dump().model_dump_json(),
        lambda: card.tree().model_dump_json(),
        lambda: card.report("insurance").model_dump_json(),
        lambda: card.report("employment").model_dump_json(),
        lambda: card.conformance().model_dump_json(),
        lambda: card.photo().model_dump_json(),
        lambda: card.values(ADDRESS),
    ]
    for work in works:
        before = transport.commands
        try:
            work()
        except CardioError:
            pass
        assert transport.commands - before <= MOST_COMMANDS


@settings(max_examples=40)
@given(answers=st.lists(ANSWER, min_size=1, max_size=80))
def test_any_answers_after_a_good_selection(answers: list[bytes]) -> None:
    fci = bytes.fromhex("6F16840F7378312E73682EC9E7BBE1B1A3D5CFA50388011E9000")
    survive(Hostile([b"\x61\x18", fci, *answers]), b"\x3b\x00")


@settings(max_examples=40)
@given(
    persona=st.sampled_from(["whole", "whole-first", "whole-third", "personalised"]),
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.02, 0.2, 1.0]),
)
def test_a_good_card_on_a_bad_line(persona: str, seed: int, rate: float) -> None:
    survive(Mutating(persona, seed, rate), find_persona(persona).atr)
