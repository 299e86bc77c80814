"""One bit of one exchange is flipped on the way, in the command or in the answer: nothing wrong may come of it.

Exchanges that cryptography protects are tried bit by bit, all of them: challenges, authentication both ways, secured
commands, what is read back after them. Of the others, which carry neither MAC nor cryptogram, one bit in thirty-one is
tried, and less is asked: what a card gives in clear may be changed on the way, but not what is written to it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import pytest

from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardioError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.filesystem.layouts.registry import NATIONAL
from cardio.filesystem.writing.records import WRITE_BLOCK
from cardio.models.files import FileContent, FileWritten
from cardio.models.reading import CardReading, Proof
from cardio.security import authenticator as authenticator_module
from cardio.security.credentials import Credentials
from cardio.security.errors import ForgedCardError
from cardio.security.pin.pin import Pin
from cardio.security.sam.key_file import KeyFile, SoftSam
from cardio.security.terminal import Terminal
from simulators.card.software_card import SoftwareCard
from simulators.crypto.published_keys import ALGORITHMS, root_key
from simulators.personas.persona import Persona, find_persona
from simulators.readers.software_reader import SoftwareReader

_EVERY_OTHER = 31
"""Of what is not tried bit by bit, one bit in so many."""
_HEADER_BITS = 40
_TRANSPARENT_SIZE = 296
_UNUSED = frozenset({"DF02", "DF03", "DF04", "DF05", "DF06", "DF07"})


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

    files: tuple[tuple[str, tuple[bytes, ...]], ...]
    """By path: the records, then the content of a transparent file."""
    pin: str
    pin_tries: int

    @classmethod
    def of(cls, card: SoftwareCard) -> State:
        files = [file for application in card.applications for file in application.by_id.values()]
        return cls(
            tuple((file.path, (*file.records, bytes(file.content))) for file in files),
            card._state.pin,
            card.pin_tries_left,
        )


Work = Callable[[SocialSecurityCard], object]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is done with a persona's card, after so many wrong PINs."""

    persona: str
    work: Work
    spent: int = 0
    secure_messaging: str = "accepted"
    forged: bool = False
    files: tuple[str, ...] = ()
    """Transparent files that the issuer has made, and left empty."""


@dataclass(frozen=True, slots=True)
class Outcome:
    result: object
    error: CardioError | None
    before: State
    after: State
    exchanges: tuple[tuple[bytes, bytes], ...]


@cache
def persona_of(scenario: Scenario) -> Persona:
    persona = find_persona(scenario.persona)
    changed: dict[str, object] = {
        "quirks": persona.quirks.model_copy(
            update={"secure_messaging": scenario.secure_messaging, "forged": scenario.forged}
        ),
        "files": persona.files | {path: {"content": bytes(_TRANSPARENT_SIZE)} for path in scenario.files},
        "omit": _UNUSED,
    }
    return persona.model_copy(update=changed)


def run(scenario: Scenario, flip: Flip | None = None) -> Outcome:
    """The scenario with a fresh card; challenges are the same each time."""
    card = persona_of(scenario).card(random=random.Random(1).randbytes)
    if scenario.spent:
        card.transmit(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF"))
    for _ in range(scenario.spent):
        card.transmit(bytes.fromhex("0020000003999999"))
    before = State.of(card)
    wire = Wire(card, flip)
    reader = SoftwareReader("between", wire)
    result, error = None, None
    with SocialSecurityCard(
        reader.connect(),
        reader,
        capabilities=CapabilityCache(None),
        layouts=NATIONAL,
        credentials=Credentials(sam=Source()),
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
        source = random.Random(2)
        return partial(Terminal, random=source.randbytes)(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(authenticator_module, "Terminal", terminal)


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
    """Every bit; with a step, those of the header and one of so many after it."""
    for number in sorted(numbers):
        for side in (0, 1):
            for bit in range(8 * len(exchanges[number][side])):
                if bit % step == 0 or bit < _HEADER_BITS:
                    yield Flip(number, side, bit)


def prove(card: SocialSecurityCard) -> object:
    card.prove()
    return "genuine"


def read(card: SocialSecurityCard) -> object:
    return card.read(prove=False, supplement=False)


def read_supplement(card: SocialSecurityCard) -> object:
    return card.file("DF01/EF08")


def write_record(card: SocialSecurityCard) -> object:
    return card.write(card.prepare("DF01/EF05", {"household_type": "20"}))


def write_binary(card: SocialSecurityCard) -> object:
    return card.write(card.prepare("DF01/EF16", bytes(range(100, 140)) + bytes(88) + bytes(range(128))))


def unblock(card: SocialSecurityCard) -> object:
    card.unblock_pin()
    return "unblocked"


def reload(card: SocialSecurityCard) -> object:
    card.reload_pin(Pin("864209"))
    return "reloaded"


TRANSPARENT = {
    required: Scenario("personalised", write_binary, secure_messaging=required, files=("DF01/EF16",))
    for required in ("required", "accepted")
}
WRITING = {
    "write-sm4": Scenario("third-sm4", write_record),
    "write-3des": Scenario("personalised", write_record),
    "unblock-sm4": Scenario("third-sm4", unblock, spent=3),
    "unblock-3des": Scenario("adult", unblock, spent=3),
    "reload-sm4": Scenario("third-sm4", reload, spent=3),
    "reload-3des": Scenario("adult", reload, spent=3),
}
SCENARIOS = WRITING | {
    "prove-sm4": Scenario("third-sm4", prove),
    "prove-3des": Scenario("adult", prove),
    "read-sm4": Scenario("third-sm4", read),
    "read-3des": Scenario("personalised", read_supplement),
}


def as_told(met: Outcome, good: Outcome) -> bool:
    """Whether a card holds nothing but what it held before and what was to be written, block by block."""
    old, new = dict(good.before.files), dict(good.after.files)
    return met.after.pin in (good.before.pin, good.after.pin) and all(
        one in (before, after)
        for path, found in met.after.files
        for one, before, after in zip(parts(found), parts(old[path]), parts(new[path]), strict=True)
    )


def parts(file: tuple[bytes, ...]) -> list[bytes]:
    """A file's records, or a transparent one's blocks as they are written."""
    records, content = file[:-1], file[-1]
    return [*records, *(content[start : start + WRITE_BLOCK] for start in range(0, len(content), WRITE_BLOCK))]


def harm_of(met: Outcome, good: Outcome) -> str | None:
    """What a flip did that it must not do."""
    if not as_told(met, good):
        return "something else was written"
    if met.error is None and met.after != good.after:
        return "success, and the card is not as it says"
    if met.error is None and said(met.result) != said(good.result) and not says_unread(met.result):
        return "success with a wrong result"
    return None


GENUINE = Proof(
    outcome="genuine",
    detail="内部认证通过（3DES，密钥文件，测试密钥）",
    detail_en="internal authentication succeeded (3DES, key file, test keys)",
    algorithm="3DES",
    sam="soft",
    test_keys=True,
)
"""What the desk says of an untouched second-generation card."""


def said(result: object) -> object:
    """What a result says of the card; which of several keys opened a file is another matter, and a second-generation
    card whose proof was flipped into a command that it does not know is one that has declined, and is said to be."""
    if isinstance(result, FileWritten) and result.proof.reason == "declined":
        return result.model_copy(update={"proof": GENUINE})
    return result.records if isinstance(result, FileContent) else result


def says_unread(result: object) -> bool:
    """A reading that gives nothing of the holder, and says why."""
    if isinstance(result, CardReading):
        return result.holder is None and bool(result.unread)
    return isinstance(result, FileContent) and not result.records and bool(result.unread)


def harm_by_flips(scenario: Scenario, numbers: Callable[[Outcome], set[int]], step: int = 1) -> list[str]:
    """The flips that did harm, each with what it did."""
    good = run(scenario)
    assert good.error is None
    assert numbers(good)
    found = []
    for flip in flips(good.exchanges, numbers(good), step):
        met = run(scenario, flip)
        harm = harm_of(met, good)
        if harm is not None:
            found.append(f"{flip} of {good.exchanges[flip.exchange][0].hex()}: {harm}; {met.error!r}")
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_bit_of_what_is_protected(name: str) -> None:
    assert harm_by_flips(SCENARIOS[name], lambda good: protected(good.exchanges)) == []


@pytest.mark.parametrize("name", TRANSPARENT)
def test_a_transparent_file_in_blocks(name: str) -> None:
    assert harm_by_flips(TRANSPARENT[name], lambda good: protected(good.exchanges), 61) == []


@pytest.mark.parametrize("name", WRITING)
def test_what_is_not_protected_leads_to_no_other_writing(name: str) -> None:
    """What is selected and read in clear may be changed on the way; what is written then is what was asked for."""
    scenario = WRITING[name]
    good = run(scenario)
    found = [
        f"{flip} of {good.exchanges[flip.exchange][0].hex()}; {met.error!r}"
        for flip in flips(good.exchanges, set(range(len(good.exchanges))) - protected(good.exchanges), _EVERY_OTHER)
        for met in [run(scenario, flip)]
        if not as_told(met, good) or (met.error is None and met.after != good.after)
    ]
    assert found == []


@pytest.mark.parametrize("persona", ["adult", "third-forged"])
def test_no_flip_makes_a_copy_genuine(persona: str) -> None:
    copy = Scenario(persona, prove, forged=True)
    met = run(copy)
    assert isinstance(met.error, ForgedCardError)
    taken = [
        flip for flip in flips(met.exchanges, set(range(len(met.exchanges)))) if run(copy, flip).result is not None
    ]
    assert taken == []
