"""Bad input, in process: each fault its own error, quickly, and the next good card reads at once."""

from __future__ import annotations

import threading
import time

import pytest

import cardio
from cardio.card.runner import read_card
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import (
    CardBlockedError,
    CardGarbledError,
    CardioError,
    CardMuteError,
    CardRemovedError,
    CardResetError,
    NoCardError,
    NotASocialSecurityCardError,
    ReaderBusyError,
    ReaderTimeoutError,
)
from cardio.filesystem.capabilities import CapabilityCache
from simulators.card.faults import PulledCard, with_fault
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader

ADULT = find_persona("adult")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("mute", CardMuteError),
        ("bank-card", NotASocialSecurityCardError),
        ("blocked", CardBlockedError),
        ("garbage", CardioError),
        ("endless-61", CardGarbledError),
        ("endless-6c", CardGarbledError),
        ("one-byte", CardGarbledError),
        ("lying-lengths", CardGarbledError),
    ],
)
def test_each_fault_is_its_own_error_and_the_next_card_reads(
    fault: str, error: type[CardioError], store: CapabilityCache
) -> None:
    reader = SoftwareReader("r", with_fault(ADULT.card(), fault))
    with pytest.raises(error) as caught:
        read_card(reader, capabilities=store)
    assert caught.value.remedy and caught.value.remedy_en and caught.value.exit_status == 1
    reader.insert(ADULT.card())
    holder = read_card(reader, capabilities=store).holder
    assert holder is not None and holder.name == "测试甲"


def test_an_empty_reader() -> None:
    with pytest.raises(NoCardError):
        read_card(SoftwareReader("r"))


@pytest.mark.parametrize("persona", ["adult", "first-generation", "long-name", "field", "foreigner"])
def test_a_card_pulled_between_any_two_commands_gives_no_half_answer(persona: str, store: CapabilityCache) -> None:
    """First from an unknown card, then from a known one: pulled before each command in turn."""
    found = find_persona(persona)
    for known in (False, True):
        memory = store if known else CapabilityCache(None)
        if known:
            read_card(SoftwareReader("r", found.card()), capabilities=store)
        pulled = 0
        while True:
            reader = SoftwareReader("r")
            reader.insert(PulledCard(found.card(), pulled, reader.remove))
            try:
                read_card(reader, capabilities=memory)
            except CardRemovedError:
                pulled += 1
                reader.insert(found.card())
                holder = read_card(reader, capabilities=CapabilityCache(None)).holder
                assert holder is not None and holder.name
            else:
                break
        assert pulled >= 3


def test_a_card_pulled_half_way_teaches_nothing(store: CapabilityCache) -> None:
    reader = SoftwareReader("r")
    reader.insert(PulledCard(ADULT.card(), 3, reader.remove))
    with pytest.raises(CardRemovedError):
        read_card(reader, capabilities=store)
    assert store.path is not None and not store.path.exists()


class _Hanging:
    """A card that does not come back until it is told to."""

    atr = ADULT.atr

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def reset(self) -> None:
        pass

    def transmit(self, command: bytes) -> bytes:
        self.go_on.wait(20)
        return b"\x6f\x00"


def test_a_transmit_that_hangs_is_given_up() -> None:
    card = _Hanging()
    with pytest.raises(ReaderTimeoutError):
        read_card(SoftwareReader("r", card), seconds=0.3)
    card.go_on.set()


def test_a_card_that_another_program_holds_is_busy_and_then_free_again() -> None:
    reader = SoftwareReader("r", ADULT.card())
    held = reader.connect()
    with pytest.raises(ReaderBusyError):
        read_card(reader, seconds=0.3)
    held.close()
    # The reading that was given up gets its turn now, finds its time over, and lets go.
    for _ in range(100):
        try:
            assert read_card(reader, seconds=1.0).holder is not None
            break
        except CardioError:
            time.sleep(0.01)
    else:
        pytest.fail("the reader was never let go")


def test_a_card_that_hangs_holds_up_no_other_card() -> None:
    hanging = _Hanging()
    reader = SoftwareReader("r", hanging)
    with pytest.raises(ReaderTimeoutError):
        read_card(reader, seconds=0.3)
    reader.insert(ADULT.card())
    assert read_card(reader, capabilities=CapabilityCache(None)).holder is not None
    hanging.go_on.set()


def test_a_card_that_fails_at_reset_lets_go() -> None:
    card = ADULT.card()
    reader = SoftwareReader("r", card)
    reset, card.reset = card.reset, _fail  # type: ignore[method-assign]
    with pytest.raises(CardGarbledError):
        read_card(reader)
    card.reset = reset  # type: ignore[method-assign]
    assert read_card(reader, capabilities=CapabilityCache(None)).holder is not None


def _fail() -> None:
    raise CardGarbledError()


def test_closing_twice_does_not_let_go_for_somebody_else() -> None:
    reader = SoftwareReader("r", ADULT.card())
    first = reader.connect()
    first.close()
    held = reader.connect()
    first.close()
    with pytest.raises(ReaderBusyError):
        read_card(reader, seconds=0.3)
    held.close()


class _ResetTwice:
    """A reader whose card is reset by another program in the middle, a few times."""

    name, simulated = "r", True

    def __init__(self, resets: int) -> None:
        self._reader = SoftwareReader("r", ADULT.card())
        self.resets = resets
        self.info = self._reader.info

    def connect(self) -> object:
        connection = self._reader.connect()
        transmit = connection.transmit

        def interrupted(command: bytes) -> bytes:
            if command[1] == 0xB2 and self.resets:
                self.resets -= 1
                raise CardResetError(hresult=0x80100068)
            return transmit(command)

        connection.transmit = interrupted  # type: ignore[method-assign]
        return connection


def test_a_reset_by_another_program_begins_the_reading_again_and_not_for_ever() -> None:
    holder = read_card(_ResetTwice(2), capabilities=CapabilityCache(None)).holder  # type: ignore[arg-type]
    assert holder is not None and holder.name == "测试甲"
    with pytest.raises(CardResetError):
        read_card(_ResetTwice(3), capabilities=CapabilityCache(None))  # type: ignore[arg-type]


def test_a_card_can_be_held_for_longer() -> None:
    reader = SoftwareReader("r", ADULT.card())
    with SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None)) as card:
        first, second = card.read(), card.read()
        assert first == second
        assert card.atr == ADULT.atr and card.counts.commands > 3


def test_the_public_names() -> None:
    classes = ["Address", "CardReading", "CardioError", "PcscSource", "SocialSecurityCard"]
    assert cardio.__all__ == [*classes, "on_card", "read_card"]
    for name in cardio.__all__:
        assert getattr(cardio, name) is not None
    with pytest.raises(AttributeError):
        _ = cardio.nothing


def test_who_it_is_is_known_as_soon_as_it_has_said_so() -> None:
    reader = SoftwareReader("r", find_persona("adult").card())
    card = SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None))
    assert card.known_identity is None
    with pytest.raises(CardRemovedError):
        card.read(on_basic=lambda _: reader.remove())
    historical_bytes = bytes.fromhex("0081544C928684370200000001")
    assert card.known_identity == b"370200D15600000500000001FFFFFFFF" + historical_bytes
