"""What goes wrong at a counter, over real PC/SC: each its own error, soon, and then the next card reads."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from smartcard import scard as raw

from cardio.card.runner import read_card
from cardio.errors import (
    CardBlockedError,
    CardGarbledError,
    CardioError,
    CardMuteError,
    CardRemovedError,
    NoCardError,
    NotASocialSecurityCardError,
    PcscUnavailableError,
    ReaderBusyError,
    ReaderGoneError,
    ReaderTimeoutError,
)
from cardio.filesystem.capabilities import CapabilityCache
from cardio.models.readers import ReaderStatus
from cardio.readers.pcsc import PcscReader, PcscSource
from simulators.card.base import AnyCard
from simulators.card.faults import FaultyCard, PulledCard, with_fault
from simulators.personas.persona import find_persona
from tests.pcsc import Daemon, Slot, wait_until

pytestmark = pytest.mark.pcsc
ADULT = find_persona("adult")


def reads_at_once(slot: Slot) -> None:
    holder = read_card(slot.reader, capabilities=CapabilityCache(None)).holder
    assert holder is not None and holder.name == "测试甲"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("mute", CardMuteError),
        ("bank-card", NotASocialSecurityCardError),
        ("blocked", CardBlockedError),
        ("garbage", CardioError),
        ("endless-61", CardGarbledError),
        ("endless-6c", CardGarbledError),
        ("one-byte", CardioError),
        ("lying-lengths", CardGarbledError),
        ("slow", ReaderTimeoutError),
    ],
)
def test_each_fault_is_its_own_error_within_ten_seconds(fault: str, error: type[CardioError], slot: Slot) -> None:
    slot.insert(with_fault(ADULT.card(), fault), ReaderStatus.MUTE if fault == "mute" else ReaderStatus.CARD)
    started = time.monotonic()
    with pytest.raises(error) as caught:
        read_card(slot.reader, capabilities=CapabilityCache(None))
    assert time.monotonic() - started < 10
    assert caught.value.remedy
    slot.remove()
    slot.insert(ADULT.card())
    reads_at_once(slot)


def test_no_card_and_no_such_reader(slot: Slot) -> None:
    with pytest.raises(NoCardError):
        read_card(slot.reader)
    with pytest.raises(ReaderGoneError):
        read_card(PcscReader("Nothing 00 00"))


@pytest.mark.parametrize("commands", range(8))
def test_a_card_pulled_between_two_commands(commands: int, slot: Slot) -> None:
    slot.insert(PulledCard(ADULT.card(), commands, slot.pull))
    with pytest.raises(CardRemovedError):
        read_card(slot.reader, capabilities=CapabilityCache(None))
    slot.wait_for(ReaderStatus.EMPTY)
    slot.insert(ADULT.card())
    reads_at_once(slot)


class _OtherProgram:
    """Another program at the same reader, by the bare C functions."""

    def __init__(self, reader: str, share: int = raw.SCARD_SHARE_SHARED) -> None:
        _, self.context = raw.SCardEstablishContext(raw.SCARD_SCOPE_USER)
        result, self.card, _ = raw.SCardConnect(self.context, reader, share, raw.SCARD_PROTOCOL_ANY)
        assert result == 0

    def leave(self, disposition: Any = raw.SCARD_LEAVE_CARD) -> None:
        raw.SCardDisconnect(self.card, disposition)
        raw.SCardReleaseContext(self.context)


def test_a_card_that_another_program_holds_exclusively(slot: Slot) -> None:
    slot.insert(ADULT.card())
    other = _OtherProgram(slot.reader.name, raw.SCARD_SHARE_EXCLUSIVE)
    with pytest.raises(ReaderBusyError) as caught:
        read_card(slot.reader)
    assert caught.value.hresult == 0x8010000B
    other.leave()
    reads_at_once(slot)


def test_a_transaction_that_another_program_does_not_end(slot: Slot) -> None:
    slot.insert(ADULT.card())
    other = _OtherProgram(slot.reader.name)
    raw.SCardBeginTransaction(other.card)
    with pytest.raises(ReaderBusyError):
        read_card(slot.reader, seconds=1.0)
    raw.SCardEndTransaction(other.card, raw.SCARD_LEAVE_CARD)
    other.leave()
    reads_at_once(slot)


def test_two_programs_take_turns(slot: Slot) -> None:
    """A shared, idle neighbour is not disturbed, nor does it disturb."""
    slot.insert(ADULT.card())
    other = _OtherProgram(slot.reader.name)
    reads_at_once(slot)
    result, _ = raw.SCardTransmit(other.card, raw.SCARD_PCI_T0, list(bytes.fromhex("0084000008")))
    assert result == 0, "our reading has reset the card under the other program"
    other.leave()


def test_a_reset_by_another_program_begins_the_reading_again(slot: Slot) -> None:
    """The neighbour resets the card between its own connection and ours coming back to it."""
    slot.insert(ADULT.card())
    other = _OtherProgram(slot.reader.name)
    other.leave(raw.SCARD_RESET_CARD)
    reads_at_once(slot)


def test_readings_at_once_all_succeed(slot: Slot, store: CapabilityCache) -> None:
    slot.insert(ADULT.card())
    names: list[str | None] = []

    def read() -> None:
        holder = read_card(slot.reader, capabilities=store).holder
        names.append(holder.name if holder else None)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ["测试甲"] * 8


def test_the_service_killed_in_the_middle_of_a_command(daemon: Daemon, slot: Slot) -> None:
    in_command = threading.Event()

    def hang(card: Any, command: bytes) -> bytes:
        in_command.set()
        time.sleep(0.5)
        answer: bytes = card.transmit(command)
        return answer

    slot.insert(FaultyCard(ADULT.card(), hang))
    caught: list[CardioError] = []

    def read() -> None:
        try:
            read_card(slot.reader)
        except CardioError as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    assert in_command.wait(5)
    daemon.stop(9)
    thread.join(10)
    assert [type(error) for error in caught] == [PcscUnavailableError]
    with pytest.raises(PcscUnavailableError):
        PcscSource().readers()
    slot.pull()
    daemon.start()
    slot.insert(ADULT.card())
    reads_at_once(slot)


def test_a_swap_faster_than_the_poll_is_the_new_card(slot: Slot) -> None:
    slot.insert(ADULT.card())
    slot.settle()
    before = slot.reader.info().event_counter
    slot.pull()
    slot.insert(find_persona("child").card())
    wait_until(lambda: slot.reader.info().event_counter >= before + 2, "both changes are counted")
    holder = read_card(slot.reader, capabilities=CapabilityCache(None)).holder
    assert holder is not None and holder.name == "测小小"


def test_a_pulled_card_is_not_reset(slot: Slot) -> None:
    """It has no rights to lose, and pcscd would take the reader for empty, with the next card in it."""
    for _ in range(5):
        slot.insert(ADULT.card())
        connection = slot.reader.connect()
        slot.pull()
        with pytest.raises(CardRemovedError):
            connection.transmit(bytes.fromhex("00A40000023F00"))
        connection.close(reset=True)
        slot.insert(find_persona("child").card())
        slot.remove()


def slow_card(persona: str, seconds: float) -> FaultyCard:
    """Each command takes its time, as through a remote desktop."""

    def fault(card: AnyCard, command: bytes) -> bytes:
        time.sleep(seconds)
        return card.transmit(command)

    return FaultyCard(find_persona(persona).card(), fault)


def test_a_slow_line_gives_the_basic_data_without_the_supplement(slot: Slot, store: CapabilityCache) -> None:
    slot.insert(slow_card("child", 1.1))
    reading = read_card(slot.reader, capabilities=store)
    assert reading.holder is not None and reading.holder.name == "测小小"
    assert "out-of-time" in {unread.reason for unread in reading.unread}


def test_a_card_that_hangs_in_its_supplement_has_given_the_basic_data(slot: Slot, store: CapabilityCache) -> None:
    def fault(card: AnyCard, command: bytes) -> bytes:
        if command[1] == 0xA4 and command[-2:] == b"\xdf\x01":
            time.sleep(4.0)
        return card.transmit(command)

    slot.insert(FaultyCard(ADULT.card(), fault))
    reading = read_card(slot.reader, capabilities=store, seconds=2.0)
    assert reading.holder is not None and reading.holder.name == "测试甲"
    assert [unread.reason for unread in reading.unread] == ["out-of-time"] * 3


def test_the_second_try_on_a_slow_line_begins_where_the_first_ended(slot: Slot, store: CapabilityCache) -> None:
    """Twenty-seven commands of 0.6 s are more than nine seconds; two tries are enough, and a third card is learnt."""
    slot.insert(slow_card("field", 0.6))
    tries = 0
    while True:
        tries += 1
        try:
            reading = read_card(slot.reader, capabilities=store)
            break
        except ReaderTimeoutError as error:
            assert "不要取出" in error.remedy and store.unfinished.progress(slot.reader.name) > 0
    assert reading.holder is not None and reading.holder.name == "测试庚" and 1 < tries <= 3
