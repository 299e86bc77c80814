"""Closed cards, read with each kind of SAM: what is sent, what is found, and what stops at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cardio.apdu.trace import TraceLog
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import AccessNotGrantedError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.models.reading import CardReading
from cardio.security.credentials import Credentials
from cardio.security.errors import (
    AlgorithmNotSupportedError,
    AuthenticationFailedError,
    ForgedCardError,
    HsmUnreachableError,
    KeyBlockedError,
    KeyNotInSamError,
    NoSamError,
    WrongPinError,
)
from cardio.security.pin.pin import Pin
from cardio.security.sam.base import Sam
from cardio.security.sam.hsm import HsmClient
from cardio.security.sam.hsm_http import HttpHsmTransport
from cardio.security.sam.key_file import KeyFile, SoftSam
from cardio.security.sam.psam import PsamCard
from simulators.card.software_card import SoftwareCard
from simulators.crypto.published_keys import ALGORITHMS, root_key
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from simulators.sam.hsm import SoftwareHsm
from simulators.sam.psam import SoftwarePsam

SELECT, READ, CHALLENGE, INTERNAL, EXTERNAL, FETCH, VERIFY = 0xA4, 0xB2, 0x84, 0x88, 0x82, 0xC0, 0x20


@dataclass(frozen=True, slots=True)
class Source:
    """A SAM that is opened anew for each card."""

    make: Callable[[], Sam]

    def open(self) -> Sam:
        return self.make()


@cache
def keys_by_name(mark: bytes = b"", versions: frozenset[int] = frozenset({1, 2, 3})) -> KeyFile:
    """The test keys; with a mark, as many others, but for the one that the card itself is proved with."""
    keys: dict[str, dict[str, dict[int, bytes]]] = {algorithm: {} for algorithm in ALGORITHMS}
    for algorithm in ALGORITHMS:
        for key in (*layout_of(2).keys, *layout_of(3).keys):
            other = b"" if key.name == "IRK" else mark
            groups = {
                version: other + root_key(key.name, algorithm, key.length, version)[len(other) :]
                for version in range(1, key.versions + 1)
                if version in versions or key.versions == 1
            }
            if groups:
                keys[algorithm][key.name] = groups
    return KeyFile.model_validate({"levels": 3, "terminal_number": "000000009999", "keys": keys})


def soft(mark: bytes = b"", *versions: int) -> Source:
    return Source(lambda: SoftSam(keys_by_name(mark, frozenset(versions or (1, 2, 3)))))


SOFT = soft()


@pytest.fixture(params=["soft", "psam", "hsm"])
def source(request: pytest.FixtureRequest) -> Iterator[Source]:
    """Each kind of SAM with the test keys."""
    if request.param == "soft":
        yield SOFT
    elif request.param == "psam":
        slot = SoftwareReader("slot", SoftwarePsam(algorithms=ALGORITHMS))
        yield Source(lambda: PsamCard.connect(slot))
    else:
        with SoftwareHsm() as hsm:
            line = HttpHsmTransport(hsm.url)
            yield Source(lambda: HsmClient(line))
            line.close()


def card_of(persona: str, **quirks: Any) -> SoftwareCard:
    found = find_persona(persona)
    return found.model_copy(update={"quirks": found.quirks.model_copy(update=quirks)}).card()


class Desk:
    """One card at the desk, with its trace; capabilities are learnt from one connection to the next."""

    def __init__(
        self, card: SoftwareCard, sam: Source | None = None, pin: str | None = None, memory: Path | None = None
    ) -> None:
        self.card = card
        self.log = TraceLog()
        self._credentials = Credentials(sam=sam, pin=None if pin is None else Pin(pin))
        self._reader = SoftwareReader("desk", card)
        self._capabilities = CapabilityCache(memory)

    def connect(self) -> SocialSecurityCard:
        return SocialSecurityCard(
            self._reader.connect(),
            self._reader,
            capabilities=self._capabilities,
            trace=self.log,
            credentials=self._credentials,
        )

    def read(self, **how: Any) -> CardReading:
        with self.connect() as card:
            return card.read(**how)

    @property
    def commands(self) -> list[int]:
        """The INS bytes of all that was sent."""
        return [exchange.command[1] for exchange in self.log.exchanges]

    def sent(self, instruction: int) -> list[str]:
        return [one.command.hex().upper() for one in self.log.exchanges if one.command[1] == instruction]


def name_of(reading: CardReading) -> str | None:
    return None if reading.holder is None else reading.holder.name


def codes(reading: CardReading) -> dict[str, tuple[str, int | None]]:
    return {unread.file: (unread.reason, unread.driver_code) for unread in reading.unread}


# -- third generation --------------------------------------------------------------------------------


@pytest.mark.parametrize("persona", ["third-closed", "third-sm4"])
def test_a_closed_card_is_read_with_every_kind_of_sam(persona: str, source: Source) -> None:
    reading = Desk(card_of(persona), source).read()
    assert name_of(reading) == "测试壬"
    assert reading.card.algorithm == "SM4"
    assert "SSSE/EF06" not in codes(reading)


def test_what_supplements_it_is_behind_keys_too(source: Source) -> None:
    reading = Desk(card_of("third-sm4"), source).read()
    assert reading.holder is not None
    assert reading.holder.household_registration == "江苏省无锡市梁溪区测试路 1 号"


def test_what_is_sent(source: Source) -> None:
    """By hand: SELECT and its FCI (61xx), EF05; internal authentication and its answer (61xx); EF06 is refused;
    challenge, external authentication with RKSSSE; EF06 again."""
    desk = Desk(card_of("third-closed"), source)
    desk.read(supplement=False)
    record_reads = len(desk.sent(READ))
    # How often a file is asked for is the business of other tests: here each run of READ RECORD counts as one.
    runs = [
        now for now, before in zip(desk.commands, [0, *desk.commands], strict=False) if (now, before) != (READ, READ)
    ]
    assert runs == [SELECT, FETCH, READ, INTERNAL, FETCH, READ, CHALLENGE, EXTERNAL, READ]
    assert record_reads >= 3
    # ISO 7816-4: 00 88 00 00, and for an SM4 card sixteen bytes and the key's version; key 0A is RKSSSE.
    assert [one[:10] for one in desk.sent(INTERNAL)] == ["0088000011"]
    assert [one[:10] for one in desk.sent(EXTERNAL)] == ["0082000A11"]
    assert [one[-2:] for one in desk.sent(INTERNAL) + desk.sent(EXTERNAL)] == ["01", "01"]
    assert desk.sent(CHALLENGE) == ["0084000008"]


def test_the_next_card_of_the_issuer_is_not_asked_in_vain(tmp_path: Path) -> None:
    desk = Desk(card_of("third-closed"), SOFT, memory=tmp_path / "families.json")
    desk.read(supplement=False)
    before = len(desk.log.exchanges)
    assert name_of(desk.read(supplement=False)) == "测试壬"
    assert not any(exchange.response[-2:] == b"\x69\x82" for exchange in desk.log.exchanges[before:])


def test_an_open_card_wants_no_authentication() -> None:
    desk = Desk(card_of("third-generation"), SOFT)
    assert name_of(desk.read(supplement=False)) == "测试辛"
    assert desk.sent(EXTERNAL) == []
    assert len(desk.sent(INTERNAL)) == 1


def test_without_a_sam_nothing_is_proved() -> None:
    desk = Desk(card_of("third-closed"))
    reading = desk.read()
    assert reading.holder is None
    assert codes(reading)["SSSE/EF06"][0] == "needs-key"
    assert not {CHALLENGE, INTERNAL, EXTERNAL, VERIFY} & set(desk.commands)
    with desk.connect() as card, pytest.raises(NoSamError):
        card.prove()


def test_without_any_credentials_it_is_as_ever() -> None:
    reader = SoftwareReader("desk", card_of("third-closed"))
    log = TraceLog()
    with SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None), trace=log) as card:
        plain = card.read()
    with_nothing = Desk(card_of("third-closed"))
    assert with_nothing.read().card == plain.card
    assert [one.command for one in log.exchanges if one.command[1] != FETCH] == [
        one.command for one in with_nothing.log.exchanges if one.command[1] != FETCH
    ]


# -- copies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pin", [None, "123456"])
def test_a_copy_gets_neither_key_nor_pin(source: Source, pin: str | None) -> None:
    desk = Desk(card_of("third-forged"), source, pin)
    with desk.connect() as card:
        with pytest.raises(ForgedCardError) as raised:
            card.read()
        assert raised.value.driver_code == -21
        # A caller that goes on all the same gets the same error, for open files of the copy too.
        with pytest.raises(ForgedCardError):
            card.read()
        with pytest.raises(ForgedCardError):
            card.file("DF01/EF05")
        with pytest.raises(ForgedCardError):
            card.verify_pin()
        with pytest.raises(ForgedCardError):
            card.unblock_pin()
    assert INTERNAL in desk.commands
    assert not {EXTERNAL, VERIFY} & set(desk.commands)
    assert desk.card.pin_tries_left == 3


def test_a_copy_of_a_second_generation_card() -> None:
    desk = Desk(card_of("personalised", forged=True), SOFT, "123456")
    with desk.connect() as card:
        with pytest.raises(ForgedCardError):
            card.prove()
        with pytest.raises(ForgedCardError):
            card.prepare("DF01/EF08", {"marital_status": "1"})
        with pytest.raises(ForgedCardError):
            card.change_pin(Pin("654321"))
    assert not {EXTERNAL, VERIFY, 0x5E} & set(desk.commands)


# -- second generation -------------------------------------------------------------------------------


def test_a_pin_is_cheaper_than_a_key() -> None:
    desk = Desk(card_of("personalised"), SOFT, "123456")
    with desk.connect() as card:
        found = card.file("DF01/EF08")
    assert (found.opened_by, found.unread) == ("pin", ())
    assert len(desk.sent(VERIFY)) == 2  # how many tries are left, and the PIN
    assert desk.sent(EXTERNAL) == []


def test_a_key_where_there_is_no_pin(source: Source) -> None:
    desk = Desk(card_of("personalised"), source)
    with desk.connect() as card:
        found = card.file("DF01/EF08")
    assert (found.opened_by, found.unread) == ("RK1DF01", ())
    assert desk.sent(VERIFY) == []
    assert [one[:8] for one in desk.sent(EXTERNAL)] == ["00820088"]


def test_a_wrong_pin_ends_it_although_a_key_would_do() -> None:
    desk = Desk(card_of("personalised"), SOFT, "999999")
    with desk.connect() as card, pytest.raises(WrongPinError) as raised:
        card.file("DF01/EF08")
    assert raised.value.tries_left == 2
    assert desk.sent(EXTERNAL) == []
    assert desk.card.pin_tries_left == 2


# -- keys that the card does not accept --------------------------------------------------------------


def test_a_wrong_key_is_tried_once_a_visit() -> None:
    desk = Desk(card_of("personalised"), soft(b"OTHER"))
    with desk.connect() as card:
        first, second = card.file("DF01/EF08"), card.file("DF01/EF08")
        card.file("DF01/EF05")
    for found in (first, second):
        assert found.records == ()
        assert any("2" in unread.detail_en and "tries" in unread.detail_en for unread in found.unread), found.unread
    assert [one[:8] for one in desk.sent(EXTERNAL)] == ["00820088"]


def test_a_wrong_key_is_told_in_a_reading() -> None:
    desk = Desk(card_of("third-sm4"), soft(b"OTHER"))
    with desk.connect() as card:
        reading = card.read(prove=False, supplement=False)
        fault = card.refusal_of_holder()
    assert reading.holder is None
    unread = {one.file: one for one in reading.unread}["SSSE/EF06"]
    assert "2" in unread.detail
    assert "2" in unread.detail_en
    assert isinstance(fault, AuthenticationFailedError)
    assert fault.tries_left == 2
    assert [one[:8] for one in desk.sent(EXTERNAL)].count("0082000A") == 1


def test_a_blocked_key() -> None:
    desk = Desk(card_of("third-sm4", key_tries=1), soft(b"OTHER"))
    desk.read(prove=False, supplement=False)
    with desk.connect() as card:
        card.read(prove=False, supplement=False)
        fault = card.refusal_of_holder()
    assert isinstance(fault, KeyBlockedError)
    assert fault.driver_code == -0x6983


def test_a_blocked_key_is_no_forged_card() -> None:
    desk = Desk(card_of("third-sm4", key_tries=0), SOFT)
    with desk.connect() as card:
        card.prove()
        reading = card.read(supplement=False)
        assert isinstance(card.refusal_of_holder(), KeyBlockedError)
    assert reading.holder is None


# -- versions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("persona", ["third-sm4", "third-closed"])
@pytest.mark.parametrize("held", [{2}, {3}, {2, 3}, {1, 2, 3}])
def test_keys_of_other_versions_are_found(persona: str, held: set[int]) -> None:
    desk = Desk(card_of(persona, key_versions=frozenset(held)), SOFT)
    assert name_of(desk.read(supplement=False)) == "测试壬"
    tried = [int(one[-2:], 16) for one in desk.sent(EXTERNAL)]
    assert tried == list(range(1, min(held) + 1))


@pytest.mark.parametrize("held", [{2}, {3}, {1, 3}])
def test_versions_on_a_3des_card(held: set[int]) -> None:
    desk = Desk(card_of("personalised", key_versions=frozenset(held)), SOFT)
    with desk.connect() as card:
        card.prove()
        assert card.file("DF01/EF08").opened_by == "RK1DF01"


def test_a_sam_with_the_one_version_that_the_card_has() -> None:
    desk = Desk(card_of("third-sm4", key_versions=frozenset({2})), soft(b"", 2))
    assert name_of(desk.read(supplement=False)) == "测试壬"
    assert [one[-2:] for one in desk.sent(EXTERNAL)] == ["02"]


def test_no_version_in_common_spends_no_try() -> None:
    desk = Desk(card_of("third-sm4", key_versions=frozenset({3})), soft(b"", 1, 2))
    with desk.connect() as card:
        reading = card.read(prove=False, supplement=False)
    assert reading.holder is None
    assert desk.card._state.key_tries == {}


def test_a_sam_with_one_version_on_a_3des_card_of_another() -> None:
    """Without the byte the card takes its lowest group; a SAM with one group only must name it."""
    desk = Desk(card_of("personalised", key_versions=frozenset({1, 2})), soft(b"", 2))
    with desk.connect() as card:
        assert card.file("DF01/EF08").opened_by == "RK1DF01"


# -- algorithms and SAMs that fail -------------------------------------------------------------------


def test_an_algorithm_that_is_not_published(source: Source) -> None:
    found = find_persona("third-closed").model_copy(update={"algorithm": "SSF33"})
    desk = Desk(found.card(), source)
    with desk.connect() as card:
        reading = card.read(supplement=False)
        fault = card.refusal_of_holder()
        with pytest.raises(AlgorithmNotSupportedError):
            card.prove()
    assert reading.holder is None
    assert reading.card.algorithm == "SSF33"
    assert isinstance(fault, AlgorithmNotSupportedError)
    assert fault.driver_code == -2202
    assert codes(reading)["SSSE/EF06"][1] == -2202


def test_a_psam_without_the_key() -> None:
    slot = SoftwareReader("slot", SoftwarePsam(keys=("IRK",), algorithms=ALGORITHMS))
    desk = Desk(card_of("third-closed"), Source(lambda: PsamCard.connect(slot)))
    with desk.connect() as card:
        reading = card.read(supplement=False)
        fault = card.refusal_of_holder()
    assert isinstance(fault, KeyNotInSamError)
    assert (fault.driver_code, reading.holder) == (-2203, None)
    assert desk.sent(EXTERNAL) == []


def test_an_empty_psam_slot() -> None:
    slot = SoftwareReader("slot")
    desk = Desk(card_of("third-closed"), Source(lambda: PsamCard.connect(slot)))
    with desk.connect() as card:
        reading = card.read(supplement=False)
        fault = card.refusal_of_holder()
    assert isinstance(fault, NoSamError)
    assert (fault.driver_code, reading.holder) == (-2201, None)
    assert not {INTERNAL, EXTERNAL, CHALLENGE} & set(desk.commands)


def test_an_hsm_that_is_gone_costs_the_card_nothing() -> None:
    with SoftwareHsm() as hsm:
        url = hsm.url
    desk = Desk(card_of("third-closed"), Source(lambda: HsmClient(HttpHsmTransport(url))))
    with desk.connect() as card, pytest.raises(HsmUnreachableError):
        card.prove()
    assert desk.card._state.key_tries == {}
    assert desk.sent(EXTERNAL) == []


def test_a_file_that_nobody_opens_with_what_was_given() -> None:
    desk = Desk(card_of("third-closed"), None, "123456")
    with desk.connect() as card:
        card.read(supplement=False)
        fault = card.refusal_of_holder()
    assert isinstance(fault, NoSamError | AccessNotGrantedError)
    assert desk.sent(VERIFY) == []
