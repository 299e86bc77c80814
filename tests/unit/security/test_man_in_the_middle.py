"""One bit of one exchange is flipped on the way, in the command or in the answer: nothing wrong may come of it.

Exchanges that cryptography protects are tried bit by bit, all of them: challenges, authentication both ways, secured
commands, what is read back after them. Of the others, which carry neither MAC nor cryptogram, every seventh bit is
tried, and less is asked: what a card gives in clear may be changed on the way, but not what is written to it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import pytest

from cardio.card import SocialSecurityCard
from cardio.errors import CardioError
from cardio.filesystem.layout_choice import NATIONAL
from cardio.filesystem.layout_file import layout_of
from cardio.filesystem.manners import MannersStore
from cardio.security import credentials as credentials_module
from cardio.security.credentials import Credentials
from cardio.security.pin import Pin
from cardio.security.soft import KeyFile, SoftSam
from cardio.security.terminal import Terminal
from simulators.card import SoftwareCard
from simulators.personas import find_persona
from simulators.reader import SoftwareReader
from simulators.test_keys import ALGORITHMS, root_key

_EVERY_OTHER = 7
"""Of the exchanges without protection, one bit in so many."""


class Source:
    """The soft SAM with the test keys."""

    def open(self) -> SoftSam:
        return _sam()


@cache
def _sam() -> SoftSam:
    keys = {
        algorithm: {
            key.name: {
                version: root_key(key.name, algorithm, key.length, version) for version in range(1, key.versions + 1)
            }
            for key in layout_of(3).keys
        }
        for algorithm in ALGORITHMS
    }
    return SoftSam(KeyFile.model_validate({"levels": 3, "keys": keys}))


@dataclass(frozen=True, slots=True)
class Flip:
    """Which bit of which exchange; ``side`` 0 is the command, 1 the answer."""

    exchange: int
    side: int
    bit: int


class Wire:
    """The card as the library sees it: every exchange noted, one bit of one flipped."""

    def __init__(self, card: SoftwareCard, flip: Flip | None) -> None:
        self.atr = card.atr
        self.exchanges: list[tuple[bytes, bytes]] = []
        self._card = card
        self._flip = flip

    def reset(self) -> None:
        self._card.reset()

    def transmit(self, command: bytes) -> bytes:
        sent = self._flipped(command, 0)
        answer = self._flipped(self._card.transmit(sent), 1)
        self.exchanges.append((command, answer))
        return answer

    def _flipped(self, data: bytes, side: int) -> bytes:
        flip = self._flip
        if flip is None or (len(self.exchanges), side) != (flip.exchange, flip.side):
            return data
        changed = bytearray(data)
        changed[flip.bit // 8] ^= 0x80 >> flip.bit % 8
        return bytes(changed)


@dataclass(frozen=True, slots=True)
class State:
    """What a card keeps."""

    files: tuple[tuple[str, tuple[bytes, ...], bytes], ...]
    pin: str
    pin_tries: int

    @classmethod
    def of(cls, card: SoftwareCard) -> State:
        files = [file for application in card.applications for file in application.by_id.values()]
        return cls(
            tuple((file.path, tuple(file.records), bytes(file.content)) for file in files),
            card._state.pin,
            card.pin_tries_left,
        )


Work = Callable[[SocialSecurityCard], object]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is done with a card. ``spent`` wrong PINs come before; ``algorithm`` is one that its FCI does not name."""

    persona: str
    work: Work
    spent: int = 0
    secure_messaging: str = "accepted"
    forged: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    result: object
    error: CardioError | None
    before: State
    after: State
    exchanges: tuple[tuple[bytes, bytes], ...]


def run(scenario: Scenario, flip: Flip | None = None) -> Outcome:
    """The scenario with a fresh card; challenges are the same each time."""
    persona = find_persona(scenario.persona)
    manners = persona.manners.model_copy(
        update={"secure_messaging": scenario.secure_messaging, "forged": scenario.forged or persona.manners.forged}
    )
    card = persona.model_copy(update={"manners": manners}).card(random=random.Random(1).randbytes)  # noqa: S311
    if scenario.spent:
        card.transmit(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF"))
    for _ in range(scenario.spent):
        card.transmit(bytes.fromhex("0020000003999999"))
    before = State.of(card)
    wire = Wire(card, flip)
    reader = SoftwareReader("between", wire)
    result, error = None, None
    with SocialSecurityCard(
        reader.connect(), reader, manners=MannersStore(None), layouts=NATIONAL, credentials=Credentials(sam=Source())
    ) as held:
        try:
            result = scenario.work(held)
        except CardioError as raised:
            error = raised
    return Outcome(result, error, before, State.of(card), tuple(wire.exchanges))


@pytest.fixture(autouse=True)
def known_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal's random bytes are the same in each run, so that a flip meets the exchange that it was meant for."""

    def terminal(*arguments: object, **named: object) -> Terminal:
        source = random.Random(2)  # noqa: S311 - known bytes, no secret
        return partial(Terminal, random=source.randbytes)(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(credentials_module, "Terminal", terminal)


def protected(exchanges: tuple[tuple[bytes, bytes], ...]) -> set[int]:
    """The numbers of the exchanges that cryptography protects, with what belongs to them."""
    found: set[int] = set()
    secured = False
    for number, (command, _) in enumerate(exchanges):
        instruction = command[1]
        reads_back = secured and instruction in (0xB2, 0xB0)
        fetches = instruction == 0xC0 and number - 1 in found
        if command[0] in (0x04, 0x84) or instruction in (0x84, 0x82, 0x88) or reads_back or fetches:
            found.add(number)
        secured = command[0] == 0x04
    return found


def flips(exchanges: tuple[tuple[bytes, bytes], ...], numbers: set[int], step: int = 1) -> Iterator[Flip]:
    for number in sorted(numbers):
        for side in (0, 1):
            for bit in range(0, 8 * len(exchanges[number][side]), step):
                yield Flip(number, side, bit)


def prove(card: SocialSecurityCard) -> object:
    card.prove()
    return "genuine"


def read(card: SocialSecurityCard) -> object:
    return card.read(prove=False, supplement=False)


def write_record(card: SocialSecurityCard) -> object:
    return card.write(card.prepare("DF01/EF05", {"household_registration": "测试市另一测试路 9 号"}))


def write_binary(card: SocialSecurityCard) -> object:
    return card.write(card.prepare("SSSE/EF07", bytes(range(200))))


def unblock(card: SocialSecurityCard) -> object:
    card.unblock_pin()
    return "unblocked"


def reload(card: SocialSecurityCard) -> object:
    card.reload_pin(Pin("864209"))
    return "reloaded"


SCENARIOS = {
    "prove-sm4": Scenario("third-sm4", prove),
    "prove-3des": Scenario("adult", prove),
    "read-sm4": Scenario("third-sm4", read),
    "write-sm4": Scenario("third-sm4", write_record),
    "write-3des": Scenario("personalised", write_record),
    "write-where-a-mac-is-required": Scenario("personalised", write_binary, secure_messaging="required"),
    "write-where-a-mac-may-be-left-out": Scenario("personalised", write_binary),
    "unblock-sm4": Scenario("third-sm4", unblock, spent=3),
    "unblock-3des": Scenario("adult", unblock, spent=3),
    "reload-sm4": Scenario("third-sm4", reload, spent=3),
    "reload-3des": Scenario("adult", reload, spent=3),
}


def wrongs(scenario: Scenario, numbers: Callable[[Outcome], set[int]], step: int = 1) -> tuple[int, list[str]]:
    """How many flips were tried, and which of them did harm."""
    good = run(scenario)
    assert good.error is None
    harm, tried = [], 0
    for flip in flips(good.exchanges, numbers(good), step):
        tried += 1
        met = run(scenario, flip)
        command = good.exchanges[flip.exchange][0]
        place = f"{flip} {command.hex()}"
        if met.after.files not in (good.before.files, good.after.files) or met.after.pin not in (
            good.before.pin,
            good.after.pin,
        ):
            harm.append(f"{place}: something else was written; {met.error!r}")
        elif met.error is None and met.after != good.after:
            harm.append(f"{place}: success, and the card is not as it says")
        elif met.error is None and met.result != good.result and getattr(met.result, "holder", None) is not None:
            harm.append(f"{place}: success with a wrong result")
    return tried, harm


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_bit_of_what_is_protected(name: str) -> None:
    tried, harm = wrongs(SCENARIOS[name], lambda good: protected(good.exchanges))
    assert tried > 0
    assert harm == []
