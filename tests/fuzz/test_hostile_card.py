"""A hostile card is data: whatever it answers, only our own error comes out, after few commands."""

from __future__ import annotations

import random
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from cardio.apdu.channel import Channel, TransmissionProtocol
from cardio.card.bank_number import read_bank_number
from cardio.card.reading import build_reading
from cardio.errors import CardioError
from cardio.filesystem.basic_read import read_card
from cardio.filesystem.capabilities import FamilyCapabilities
from simulators.personas.persona import find_persona

MOST_COMMANDS = 700
"""Five files, nine quirks, some ten records each: what a card can make us ask in one reading."""


class Hostile:
    """Answers from a list; then, for ever, the last of it."""

    protocol = TransmissionProtocol.T0

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self.commands = 0

    def transmit(self, command: bytes) -> bytes:
        answer = self._answers[min(self.commands, len(self._answers) - 1)]
        self.commands += 1
        return answer


def survive(transport: Hostile | Mutating, atr: bytes) -> None:
    try:
        contents = Channel(transport).run(read_card(FamilyCapabilities()))
        build_reading(contents, reader="r", simulated=True, atr=atr, today=date(2026, 11, 22)).model_dump_json()
    except CardioError:
        pass
    assert transport.commands <= MOST_COMMANDS


STATUS = st.sampled_from([b"\x90\x00", b"\x61\x10", b"\x6c\x12", b"\x62\x81", b"\x67\x00", b"\x69\x82", b"\x6a\x83"])
RECORD = st.tuples(st.integers(0, 255), st.binary(max_size=40)).map(
    lambda pair: bytes((pair[0], len(pair[1]))) + pair[1]
)
KNOWN_RECORD = st.tuples(
    st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9, 0x4E, 0x0A, 0x0B, 0x0C, 0x0D]), st.binary(max_size=40)
).map(lambda pair: bytes((pair[0], len(pair[1]))) + pair[1])
DATA = st.binary(max_size=300) | st.lists(RECORD | KNOWN_RECORD, max_size=12).map(b"".join)
ANSWER = st.binary(max_size=4) | st.tuples(DATA, STATUS | st.binary(min_size=2, max_size=2)).map(b"".join)


@given(answers=st.lists(ANSWER, min_size=1, max_size=60), atr=st.binary(max_size=40))
def test_any_answers_at_all(answers: list[bytes], atr: bytes) -> None:
    survive(Hostile(answers), atr)


@given(answers=st.lists(ANSWER, min_size=1, max_size=40))
def test_any_answers_after_a_good_selection(answers: list[bytes]) -> None:
    fci = bytes.fromhex("6F16840F7378312E73682EC9E7BBE1B1A3D5CFA50388011E9000")
    survive(Hostile([b"\x61\x18", fci, *answers]), b"\x3b\x00")


class Mutating:
    """A good card with noise on the line."""

    protocol = TransmissionProtocol.T0

    def __init__(self, persona: str, seed: int, rate: float) -> None:
        self._card = find_persona(persona).card()
        self._random = random.Random(seed)
        self._rate = rate
        self.commands = 0

    def transmit(self, command: bytes) -> bytes:
        self.commands += 1
        answer = bytearray(self._card.transmit(command))
        if self._random.random() < self._rate:
            match self._random.randrange(4):
                case 0:
                    answer[self._random.randrange(len(answer))] ^= 1 << self._random.randrange(8)
                case 1:
                    del answer[self._random.randrange(len(answer)) :]
                case 2:
                    position = self._random.randrange(len(answer))
                    answer[position:position] = self._random.randbytes(self._random.randrange(1, 9))
                case 3:
                    answer[:] = self._random.randbytes(self._random.randrange(0, 99)) + b"\x90\x00"
        return bytes(answer)


@given(
    persona=st.sampled_from(["adult", "first-generation", "field", "foreigner", "long-name"]),
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.02, 0.2, 1.0]),
)
def test_a_good_card_on_a_bad_line(persona: str, seed: int, rate: float) -> None:
    survive(Mutating(persona, seed, rate), find_persona(persona).atr)


def sized(tag: str, data: bytes) -> bytes:
    return bytes.fromhex(tag) + bytes((len(data),)) + data


VALUE = st.binary(max_size=40)
OF_A_BANK = st.one_of(
    VALUE.map(lambda data: data + b"\x90\x00"),
    VALUE.map(lambda data: sized("70", data) + b"\x90\x00"),
    VALUE.map(lambda data: sized("6F", sized("9F38", data)) + b"\x90\x00"),
    VALUE.map(lambda data: sized("77", sized("94", data)) + b"\x90\x00"),
    st.sampled_from([b"\x6a\x83", b"\x69\x85", b"\x6c\x10", b"\x61\x10", b"\x90\x00"]),
)


@given(answers=st.lists(OF_A_BANK, min_size=1, max_size=12), rounds=st.integers(1, 20))
def test_a_hostile_bank_application(answers: list[bytes], rounds: int) -> None:
    """Its number is digits, or there is none."""
    card = Hostile(answers * rounds)
    try:
        found = Channel(card).run(read_bank_number())
    except CardioError:
        return
    finally:
        assert card.commands < 3000
    assert found.isdecimal() and 12 <= len(found) <= 19
