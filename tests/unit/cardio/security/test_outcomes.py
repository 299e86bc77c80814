"""How work with a card ends that has begun to change it: never in an error that only asks for another try."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardio.apdu.command import CommandApdu
from cardio.apdu.command_watch import CommandWatch
from cardio.card.runner import on_card
from cardio.card.session import CardSession
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import (
    CardioError,
    CardRemovedError,
    CardResetError,
    PcscUnavailableError,
    ReaderGoneError,
    ReaderTimeoutError,
)
from cardio.filesystem.capabilities import CapabilityCache
from cardio.security.credentials import Credentials
from cardio.security.errors import PinOutcomeUnknownError, WriteOutcomeUnknownError
from cardio.security.pin.pin import Pin
from simulators.card.base import AnyCard
from simulators.card.faults import FaultyCard
from simulators.personas.persona import find_persona
from simulators.readers.pin_pad import CardWithPinPad, Entry
from simulators.readers.software_reader import SoftwareConnection, SoftwareReader
from tests.pcsc import wait_until
from tests.unit.cardio.card.test_writing_cards import Between, Ready, card_of
from tests.unit.cardio.security.test_pin_pad import PadReader

Command = Callable[[bytes], bytes]
NEW_PIN = CommandApdu.from_bytes(bytes.fromhex("00DC012C0420023230"))
LOST = [CardRemovedError, CardResetError, PcscUnavailableError, ReaderGoneError, ReaderTimeoutError]


def after(instruction: int, then: Callable[[], None]) -> Callable[[AnyCard, bytes], bytes]:
    """Once the card has done what an instruction says, something happens at every command."""
    done = False

    def fault(card: AnyCard, command: bytes) -> bytes:
        nonlocal done
        if done:
            then()
        answer = card.transmit(command)
        done = done or (command[1] == instruction and len(command) > 5 and answer[-2:] == b"\x90\x00")
        return answer

    return fault


def fail(error: type[CardioError]) -> Callable[[], None]:
    def raise_it() -> None:
        raise error()

    return raise_it


def change_pin(card: SocialSecurityCard) -> None:
    card.change_pin(Pin("246802"))
    card.transmit(CommandApdu(0x00, 0x84, 0, 0, expected_length=8))  # what is asked afterwards


@pytest.mark.parametrize("error", LOST)
def test_a_pin_that_was_changed_before_the_card_was_lost(error: type[CardioError]) -> None:
    """A caller that tries again presents the old PIN, and spends a try."""
    card = FaultyCard(find_persona("adult").card(), after(0x5E, fail(error)))
    with pytest.raises(PinOutcomeUnknownError) as caught:
        on_card(
            SoftwareReader("r", card), change_pin, capabilities=CapabilityCache(None), repeat=False,
            credentials=Credentials(pin=Pin("123456")),
        )  # fmt: skip
    assert not caught.value.retryable and error().detail in caught.value.detail


@pytest.mark.parametrize("error", LOST)
def test_a_pin_that_was_right_is_in_no_doubt(error: type[CardioError]) -> None:
    def verify(card: SocialSecurityCard) -> None:
        card.verify_pin()
        card.transmit(CommandApdu(0x00, 0x84, 0, 0, expected_length=8))

    card = FaultyCard(find_persona("adult").card(), after(0x20, fail(error)))
    with pytest.raises(error):
        on_card(
            SoftwareReader("r", card), verify, capabilities=CapabilityCache(None), repeat=False,
            credentials=Credentials(pin=Pin("123456")),
        )  # fmt: skip


@pytest.mark.parametrize("error", LOST)
@pytest.mark.parametrize("done", [True, False])
def test_a_command_from_outside_whose_answer_is_lost(error: type[CardioError], done: bool) -> None:
    def lose(card: AnyCard, command: bytes) -> bytes:
        if done:
            card.transmit(command)
        raise error()

    card = FaultyCard(find_persona("adult").card(), lose)
    with pytest.raises(WriteOutcomeUnknownError):
        on_card(
            SoftwareReader("r", card),
            lambda one: one.transmit(NEW_PIN),
            capabilities=CapabilityCache(None),
            repeat=False,
        )


@pytest.mark.parametrize("error", [*LOST, None])
@pytest.mark.parametrize(
    ("command", "outcome"),
    [("002000000312345600", PinOutcomeUnknownError), ("00DC012C042002323000", WriteOutcomeUnknownError)],
)
def test_what_a_command_from_outside_has_come_to_was_to_be_fetched(
    command: str, outcome: type[CardioError], error: type[CardioError] | None
) -> None:
    """61xx, then nothing: GET RESPONSE only reads, and what is lost with it is the answer of the command before."""
    sent: list[bytes] = []

    def lose(card: AnyCard, command: bytes) -> bytes:
        sent.append(command)
        if command[1] == 0xC0:
            if error is None:
                return b"\x90"
            raise error()
        return b"\x61\x02"

    card, asked = FaultyCard(find_persona("adult").card(), lose), CommandApdu.from_bytes(bytes.fromhex(command))
    with pytest.raises(outcome) as raised:
        on_card(
            SoftwareReader("r", card), lambda one: one.transmit(asked), capabilities=CapabilityCache(None), repeat=False
        )
    assert not raised.value.retryable and len(sent) == 2


@pytest.mark.parametrize("command", ["002000000312345600", "00E200280420023230FF", "8054000002000008", "FF88000460"])
def test_a_command_from_outside_that_does_more_than_ask_is_sent_once(command: str) -> None:
    """Some cards carry a command out, and then correct Le: sent again it would cost another try, another record."""
    sent: list[str] = []

    def correct(card: AnyCard, command: bytes) -> bytes:
        sent.append(command.hex().upper())
        return b"\x6c\x02"

    card, asked = FaultyCard(find_persona("adult").card(), correct), CommandApdu.from_bytes(bytes.fromhex(command))
    answer = on_card(SoftwareReader("r", card), lambda one: one.transmit(asked), capabilities=CapabilityCache(None))
    assert answer.status_word == 0x6C02 and len(sent) == 1


class HangingReader(SoftwareReader):
    """Lets a card go only when it is told to."""

    def __init__(self, card: AnyCard) -> None:
        super().__init__("r", card)
        self.may_end = threading.Event()

    def connect(self) -> SoftwareConnection:
        connection, may_end = super().connect(), self.may_end
        close = connection.close

        def slowly(*, reset: bool = False) -> None:
            may_end.wait(30)
            close(reset=reset)

        connection.close = slowly  # type: ignore[method-assign]
        return connection


def test_a_pin_that_was_wrong_and_a_reader_that_hangs_then() -> None:
    """The try is spent: an error that asks for another one would cost the next."""
    reader = HangingReader(find_persona("adult").card())
    try:
        with pytest.raises(PinOutcomeUnknownError) as raised:
            on_card(
                reader, SocialSecurityCard.verify_pin, capabilities=CapabilityCache(None), repeat=False, seconds=0.5,
                credentials=Credentials(pin=Pin("999999")),
            )  # fmt: skip
        assert not raised.value.retryable
    finally:
        reader.may_end.set()


@pytest.mark.parametrize("status", ["6108", "6C05", "6400", "6581", "9100", "6280"])
@pytest.mark.parametrize("work", [SocialSecurityCard.verify_pin, lambda card: card.change_pin(Pin("246802"))])
def test_a_card_that_does_not_say_what_it_has_done_with_a_pin(
    status: str, work: Callable[[SocialSecurityCard], None]
) -> None:
    def odd(card: AnyCard, command: bytes) -> bytes:
        answer = card.transmit(command)
        return bytes.fromhex(status) if command[1] in (0x20, 0x5E) and len(command) > 5 else answer

    with pytest.raises(PinOutcomeUnknownError) as raised:
        on_card(
            SoftwareReader("r", FaultyCard(find_persona("adult").card(), odd)), work,
            capabilities=CapabilityCache(None),
            repeat=False, credentials=Credentials(pin=Pin("123456")),
        )  # fmt: skip
    assert status in raised.value.detail and status in raised.value.detail_en


def write_two(card: SocialSecurityCard) -> None:
    card.write(card.prepare("DF01/EF06", {"residence": "测试路 7 号", "telephone": "13900000007"}))


@pytest.mark.parametrize("error", LOST)
def test_a_writing_that_was_lost_between_two_records_says_how_far_it_came(
    error: type[CardioError], tmp_path: Path
) -> None:
    line = Between(card_of())
    card = FaultyCard(line, after(0xDC, fail(error)))
    with pytest.raises(WriteOutcomeUnknownError) as caught:
        on_card(
            SoftwareReader("r", card), write_two, capabilities=CapabilityCache(None), repeat=False,
            credentials=Credentials(sam=Ready()),
        )  # fmt: skip
    assert not caught.value.retryable and len(line.writes) == 1


def test_a_card_that_hangs_between_two_records() -> None:
    ever = threading.Event()
    line = Between(card_of())

    def hang() -> None:
        ever.wait(30)

    card = FaultyCard(line, after(0xDC, hang))
    watch = CommandWatch(0.2)
    try:
        with pytest.raises(WriteOutcomeUnknownError):
            on_card(
                SoftwareReader("r", card), write_two, capabilities=CapabilityCache(None), repeat=False,
                credentials=Credentials(sam=Ready()), watch=watch,
            )  # fmt: skip
    finally:
        ever.set()
    wait_until(lambda: not watch.hangs, "it comes back")
    assert len(line.writes) == 1


def test_a_held_card_is_watched_call_by_call() -> None:
    """What was changed in one call is told, and is no doubt of the next."""
    begun, ever = threading.Event(), threading.Event()
    hang = False

    def fault(card: AnyCard, command: bytes) -> bytes:
        if hang:
            begun.set()
            ever.wait(30)
        return card.transmit(command)

    reader = SoftwareReader("r", FaultyCard(find_persona("adult").card(), fault))
    with CardSession(
        reader, capabilities=CapabilityCache(None), credentials=Credentials(pin=Pin("123456")), keep_alive_seconds=60
    ) as session:
        session.run(lambda card: card.change_pin(Pin("246802")))
        hang = True
        with pytest.raises(ReaderTimeoutError):
            session.run(
                lambda card: card.transmit(CommandApdu(0, 0xB2, 1, 0x2C, expected_length=9)), watch=CommandWatch(0.2)
            )
        assert begun.is_set() and session.ended
        ever.set()


@pytest.mark.parametrize(
    ("command", "error"),
    [("00DC012C0420023230", WriteOutcomeUnknownError), ("0020000003123456", PinOutcomeUnknownError)],
)
def test_a_held_card_that_hangs_in_a_change(command: str, error: type[CardioError]) -> None:
    ever = threading.Event()

    def fault(card: AnyCard, raw: bytes) -> bytes:
        ever.wait(30)
        return card.transmit(raw)

    session = CardSession(
        SoftwareReader("r", FaultyCard(find_persona("adult").card(), fault)), capabilities=CapabilityCache(None)
    )
    try:
        with pytest.raises(error):
            session.run(
                lambda card: card.transmit(CommandApdu.from_bytes(bytes.fromhex(command))), watch=CommandWatch(0.2)
            )
        assert session.ended
    finally:
        ever.set()


def test_a_person_who_interrupts_a_pin_is_told_what_that_means() -> None:
    """Ctrl-C while the card has the PIN; the terminal's signal is a real one."""
    ever = threading.Event()

    def fault(card: AnyCard, command: bytes) -> bytes:
        if command[1] == 0x20 and len(command) > 5:
            os.kill(os.getpid(), signal.SIGINT)
            ever.wait(30)
        return card.transmit(command)

    card = FaultyCard(find_persona("adult").card(), fault)
    try:
        with pytest.raises(PinOutcomeUnknownError):
            on_card(
                SoftwareReader("r", card), lambda one: one.verify_pin(), capabilities=CapabilityCache(None),
                repeat=False,
                credentials=Credentials(pin=Pin("654321")),
            )  # fmt: skip
    finally:
        ever.set()


class Holder(CardWithPinPad):
    """Stands at the key pad and thinks before entering anything."""

    def __init__(self, *entries: Entry) -> None:
        super().__init__(find_persona("personalised").card(), list(entries))
        self.asked, self.enters = threading.Event(), threading.Event()

    def transmit(self, command: bytes) -> bytes:
        if command[:2] == b"\xff\xc2":
            self.asked.set()
            self.enters.wait(30)
        return super().transmit(command)


def at_pad(holder: Holder, work: Callable[[SocialSecurityCard], None], **limits: Any) -> None:
    on_card(
        PadReader("r", holder), work, capabilities=CapabilityCache(None), credentials=Credentials(pad_digits=6),
        repeat=False, **limits,
    )  # fmt: skip


def test_a_holder_may_take_longer_than_a_card() -> None:
    holder, watch = Holder(Entry("123456")), CommandWatch(0.2)

    def enter() -> None:
        assert holder.asked.wait(10)
        wait_until(lambda: watch._clock() > watch._since + 2 * watch.seconds, "the limit of a command is over")
        holder.enters.set()

    entering = threading.Thread(target=enter)
    entering.start()
    at_pad(holder, lambda card: card.verify_pin(), watch=watch)
    entering.join()


@pytest.mark.parametrize("entry", [Entry("123456"), Entry("999999"), Entry(instead=b"\x64\x01")])
@pytest.mark.parametrize("work", [SocialSecurityCard.verify_pin, SocialSecurityCard.change_pin_on_pad])
def test_an_entry_that_nobody_waits_for_any_more_is_unknown(
    work: Callable[[SocialSecurityCard], None], entry: Entry
) -> None:
    """The holder may still be entering it: what the card will say is not known."""
    holder, watch = Holder(entry), CommandWatch(0.1)
    with pytest.raises(PinOutcomeUnknownError):
        at_pad(holder, work, watch=watch, seconds=1.0)
    assert watch.hangs
    holder.enters.set()
    wait_until(lambda: not watch.hangs, "it comes back")
