"""The PIN: sent once, never by itself again, the last try only with consent, and no caller guesses across cards."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from cardio.card.runner import on_card
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import (
    CardGarbledError,
    CardioError,
    CardRemovedError,
    CardResetError,
    ReaderTimeoutError,
)
from cardio.filesystem.capabilities import CapabilityCache
from cardio.security.credentials import Credentials
from cardio.security.errors import (
    LastTryError,
    PinAlreadyWrongError,
    PinBlockedError,
    PinFormatError,
    PinOutcomeUnknownError,
    PinQuotaError,
    WrongPinError,
)
from cardio.security.pin.card_pin import PinGuard
from cardio.security.pin.pin import Pin
from simulators.card.quirks import CardQuirks
from simulators.card.software_card import SoftwareCard
from simulators.personas.persona import find_persona, personas
from simulators.readers.software_reader import SoftwareReader

RIGHT, WRONG, OTHER = "123456", "999999", "888888"


class Counting:
    """A card that counts the PINs it is sent, and may be lost at one of them, before or after it has judged."""

    def __init__(self, card: SoftwareCard, fault: Callable[[], CardioError] | None = None, *, judged: bool = True):
        self.card = card
        self.atr = card.atr
        self.pins = 0
        self.fault = fault
        self.judged = judged
        self.tells = True

    def reset(self) -> None:
        self.card.reset()

    def transmit(self, command: bytes) -> bytes:
        if command[:2] == b"\x00\x20" and len(command) <= 5 and not self.tells:
            return b"\x67\x00"
        if command[1] not in (0x20, 0x5E) or len(command) <= 5:
            return self.card.transmit(command)
        self.pins += 1
        if self.fault is None:
            return self.card.transmit(command)
        if self.judged:
            self.card.transmit(command)
        error = self.fault()
        if isinstance(error, CardGarbledError):
            return b"\x90"
        raise error


def fresh(tries: int = 3) -> Counting:
    persona = find_persona("personalised")
    card = persona.model_copy(update={"quirks": CardQuirks(pin_tries=tries)}).card()
    return Counting(card)


def verify(card: Counting, pin: str, guard: PinGuard, *, origin: str = "a", accept: bool = False) -> None:
    credentials = Credentials(pin=Pin(pin), guard=guard, origin=origin, accept_last_try=accept)
    on_card(
        SoftwareReader("r", card),
        lambda held: held.verify_pin(),
        capabilities=CapabilityCache(None),
        credentials=credentials,
    )


@pytest.mark.parametrize("digits", ["", "123", "12345678901234567", "12a456", "１２３４５６", " 123456", "-12345"])
def test_what_is_no_pin_is_refused_before_anything_is_sent(digits: str) -> None:
    with pytest.raises(PinFormatError) as caught:
        Pin(digits)
    assert not digits or digits not in f"{caught.value} {caught.value.detail_en} {caught.value!r}"


def test_three_two_one_and_none() -> None:
    card, guard = fresh(), PinGuard()
    for wrong, left in ((WRONG, 2), (OTHER, 1)):
        with pytest.raises(WrongPinError) as caught:
            verify(card, wrong, guard)
        assert caught.value.tries_left == left and str(left) in caught.value.detail
    with pytest.raises(LastTryError):
        verify(card, RIGHT, guard)
    assert (card.pins, card.card.pin_tries_left) == (2, 1)
    with pytest.raises(PinBlockedError):
        verify(card, "777777", guard, accept=True)
    with pytest.raises(PinBlockedError):
        verify(card, RIGHT, guard, accept=True)
    assert (card.pins, card.card.pin_tries_left) == (3, 0)


def test_the_last_try_with_consent_brings_all_back() -> None:
    card, guard = fresh(), PinGuard()
    for wrong in (WRONG, OTHER):
        with pytest.raises(WrongPinError):
            verify(card, wrong, guard)
    verify(card, RIGHT, guard, accept=True)
    assert card.card.pin_tries_left == 3


def test_the_same_wrong_pin_is_not_sent_again_until_the_counter_moves() -> None:
    card, guard = fresh(), PinGuard()
    with pytest.raises(WrongPinError):
        verify(card, WRONG, guard)
    with pytest.raises(PinAlreadyWrongError):
        verify(card, WRONG, guard)
    assert card.pins == 1
    verify(card, RIGHT, guard)
    with pytest.raises(WrongPinError):  # all tries are back: for all we know the holder has changed the PIN since
        verify(card, WRONG, guard)
    assert card.pins == 3


def test_a_card_that_does_not_tell_its_tries_is_tried() -> None:
    card, guard = fresh(), PinGuard()
    card.tells = False
    verify(card, RIGHT, guard)
    assert card.pins == 1


@pytest.mark.parametrize("judged", [True, False])
@pytest.mark.parametrize("fault", [CardRemovedError, CardResetError, ReaderTimeoutError, CardGarbledError])
@pytest.mark.parametrize("change", [False, True])
def test_a_fault_between_command_and_answer_is_an_unknown_outcome_and_no_repetition(
    fault: type[CardioError], judged: bool, change: bool
) -> None:
    card = fresh()
    card.fault, card.judged = fault, judged
    credentials = Credentials(pin=Pin(RIGHT))

    def work(held: SocialSecurityCard) -> None:
        held.change_pin(Pin("654321")) if change else held.verify_pin()

    with pytest.raises(PinOutcomeUnknownError):
        on_card(SoftwareReader("r", card), work, capabilities=CapabilityCache(None), credentials=credentials)
    assert card.pins == 1
    card.fault = None
    tries = on_card(
        SoftwareReader("r", card),
        lambda held: held.pin_tries(),
        capabilities=CapabilityCache(None),
        credentials=Credentials(),
    )
    assert tries == card.card.pin_tries_left and card.pins == 1


def test_a_hundred_at_once_spend_one_try() -> None:
    card, guard = fresh(), PinGuard()
    reader = SoftwareReader("r", card)
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def try_it() -> None:
        try:
            on_card(
                reader,
                lambda held: held.verify_pin(),
                capabilities=CapabilityCache(None),
                credentials=Credentials(pin=Pin(WRONG), guard=guard),
            )
            code = "verified"
        except CardioError as error:
            code = error.code
        with lock:
            outcomes[code] += 1

    threads = [threading.Thread(target=try_it) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (card.pins, card.card.pin_tries_left) == (1, 2)
    assert outcomes == {"wrong-pin": 1, "pin-already-wrong": 99}


def test_three_cards_in_ten_minutes_and_the_caller_waits_fifteen() -> None:
    now = 1000.0
    guard = PinGuard(clock=lambda: now)
    cards = [Counting(persona.card()) for persona in list(personas().values())[:5]]
    for card in cards[:2]:
        with pytest.raises(WrongPinError):
            verify(card, WRONG, guard)
        now += 299
    with pytest.raises(WrongPinError):
        verify(cards[2], WRONG, guard)
    with pytest.raises(PinQuotaError) as caught:
        verify(cards[3], RIGHT, guard)
    assert caught.value.status == 429 and cards[3].pins == 0
    verify(cards[3], RIGHT, guard, origin="b")
    now += 15 * 60 - 1
    with pytest.raises(PinQuotaError):
        verify(cards[3], RIGHT, guard)
    now += 2
    verify(cards[3], RIGHT, guard)


def test_three_wrong_pins_on_one_card_or_over_a_longer_time_are_no_guessing() -> None:
    now = 1000.0
    guard = PinGuard(clock=lambda: now)
    cards = [Counting(persona.card()) for persona in list(personas().values())[:3]]
    for card in cards:
        with pytest.raises(WrongPinError):
            verify(card, WRONG, guard)
        now += 301
    verify(cards[0], RIGHT, guard)


def test_a_pin_shows_nowhere() -> None:
    pin = Pin("24681357")
    credentials = Credentials(pin=pin)
    shown = f"{pin!r} {pin} {credentials!r} {credentials}"
    assert all(form not in shown for form in ("24681357", "3234363831333537", repr(pin.packed)))
