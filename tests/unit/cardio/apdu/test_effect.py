"""What commands leave behind, and what is known of them where their answer never comes."""

from __future__ import annotations

import threading

import pytest

from cardio.apdu.command import CommandApdu
from cardio.apdu.command_watch import CommandWatch
from cardio.apdu.effect import CommandEffect as E
from cardio.apdu.effect import effect_from_outside
from cardio.errors import ReaderTimeoutError

COMMANDS = [
    # command, what it leaves behind, and what counts where it comes from outside
    ("00A4040000", E.NONE, E.NONE),
    ("00B2012C00", E.NONE, E.NONE),
    ("00B0000010", E.NONE, E.NONE),
    ("0084000008", E.NONE, E.NONE),
    ("00C0000010", E.NONE, E.NONE),
    ("80CA9F1700", E.NONE, E.NONE),
    ("0088000010" + "00" * 16 + "08", E.NONE, E.NONE),
    ("00200000", E.NONE, E.NONE),
    ("0020000003123456", E.PIN, E.PIN),
    ("0021000003123456", E.PIN, E.PIN),
    ("805E010007" + "12" * 7, E.PIN_CHANGE, E.PIN_CHANGE),
    ("0024000006" + "12" * 6, E.PIN_CHANGE, E.PIN_CHANGE),
    ("8424000004" + "00" * 4, E.PIN_CHANGE, E.PIN_CHANGE),
    ("002C000006" + "12" * 6, E.PIN_CHANGE, E.PIN_CHANGE),
    ("842C000006" + "12" * 6, E.PIN_CHANGE, E.PIN_CHANGE),
    ("0082000110" + "00" * 16, E.KEY, E.CHANGE),
    ("002A9E9A20" + "00" * 32 + "40", E.NONE, E.CHANGE),
    ("B028010113" + "00" * 19 + "16", E.NONE, E.NONE),
    ("B02C01000F" + "00" * 15 + "08", E.DEBIT, E.CHANGE),
    ("805A000602000D08", E.NONE, E.NONE),
    ("805C000204", E.NONE, E.NONE),
    ("005A000602000D", E.CHANGE, E.CHANGE),
    ("00DC012C0420023230", E.CHANGE, E.CHANGE),
    ("04DC012C0420023230", E.CHANGE, E.CHANGE),
    ("00E200280420023230", E.CHANGE, E.CHANGE),
    ("00D6000002FFFF", E.CHANGE, E.CHANGE),
    ("00D2000002FFFF", E.CHANGE, E.CHANGE),
    ("00D0000002FFFF", E.CHANGE, E.CHANGE),
    ("000E0000", E.CHANGE, E.CHANGE),
    ("00E0000002FFFF", E.CHANGE, E.CHANGE),
    ("00E40000", E.CHANGE, E.CHANGE),
    ("80F4000002FFFF", E.CHANGE, E.CHANGE),
    ("00440000", E.CHANGE, E.CHANGE),
    # other classes and channels: what an instruction does in the standard's own says nothing of proprietary ones
    ("01B2012C00", E.NONE, E.NONE),
    ("43A4040000", E.NONE, E.NONE),
    ("0C84000008", E.NONE, E.NONE),
    ("8084000008", E.NONE, E.NONE),
    ("4220000003123456", E.PIN, E.PIN),
    ("1020000003123456", E.PIN, E.PIN),
    ("FF20000003123456", E.PIN, E.PIN),
    ("80200000", E.NONE, E.CHANGE),
    ("FF88000460", E.NONE, E.CHANGE),
    ("FFB0000410", E.NONE, E.CHANGE),
    ("FFCA000000", E.NONE, E.CHANGE),
    ("80B0000010", E.NONE, E.CHANGE),
    ("80A40000", E.NONE, E.CHANGE),
    ("E0B20000", E.NONE, E.CHANGE),
    ("90CA0000", E.NONE, E.CHANGE),
]


@pytest.mark.parametrize(("command", "own", "foreign"), COMMANDS, ids=[command[:8] for command, _, _ in COMMANDS])
def test_commands(command: str, own: E, foreign: E) -> None:
    parsed = CommandApdu.from_bytes(bytes.fromhex(command))
    assert parsed.effect is own
    assert effect_from_outside(parsed.cla, parsed.ins, has_data=bool(parsed.data)) is foreign


@pytest.mark.parametrize(
    ("effect", "answer", "doubt"),
    [
        (E.NONE, "9000", E.NONE),
        (E.PIN, "9000", E.NONE),
        (E.PIN, "63C2", E.PIN),  # a try is spent: until the call has ended its caller has not heard of it
        (E.PIN, "6300", E.PIN),
        (E.PIN, "6983", E.NONE),
        (E.PIN, None, E.PIN),
        (E.PIN, "", E.PIN),
        (E.PIN, "90", E.PIN),
        (E.CHANGE, "9000", E.CHANGE),
        (E.CHANGE, "6108", E.CHANGE),
        (E.CHANGE, "6C10", E.CHANGE),
        (E.CHANGE, "6400", E.CHANGE),
        (E.CHANGE, "6581", E.CHANGE),
        (E.CHANGE, "6A82", E.NONE),
        (E.CHANGE, "6982", E.NONE),
        (E.CHANGE, "6988", E.NONE),
        (E.CHANGE, "6F00", E.NONE),
        (E.CHANGE, "6700", E.NONE),
        (E.CHANGE, None, E.CHANGE),
        (E.PIN_CHANGE, "9000", E.PIN_CHANGE),
        (E.DEBIT, "9000", E.DEBIT),
        (E.KEY, "9000", E.NONE),
        (E.KEY, None, E.KEY),
        (E.NONE, None, E.NONE),
    ],
)
def test_what_is_in_doubt_after_an_answer(effect: E, answer: str | None, doubt: E) -> None:
    watch = CommandWatch()
    watch.begin(effect)
    assert watch.in_flight and watch.uncertain_effect is effect
    watch.end(None if answer is None else bytes.fromhex(answer))
    assert not watch.in_flight and watch.uncertain_effect is doubt
    watch.begin(E.NONE)
    assert watch.uncertain_effect is doubt, "what follows settles nothing"


def test_the_gravest_doubt_counts() -> None:
    watch = CommandWatch()
    watch.begin(E.CHANGE)
    watch.end(b"\x90\x00")
    watch.begin(E.PIN)
    assert watch.give_up() is E.CHANGE


def test_nothing_begins_after_the_work_was_given_up() -> None:
    watch = CommandWatch()
    watch.begin(E.NONE)
    assert watch.give_up() is E.NONE and watch.hangs
    watch.end(b"\x61\x10")
    assert not watch.hangs
    watch.begin(E.NONE, fetches=True)  # the answer of what was sent is still fetched
    watch.end(b"\x90\x00")
    with pytest.raises(ReaderTimeoutError):
        watch.begin(E.PIN)
    assert watch.uncertain_effect is E.NONE


def test_what_changes_comes_to_its_end_where_its_caller_withdraws() -> None:
    watch = CommandWatch()
    watch.begin(E.CHANGE)
    assert watch.withdraw() is E.CHANGE
    watch.end(b"\x90\x00")
    watch.begin(E.CHANGE)
    reading = CommandWatch()
    reading.begin(E.KEY)
    assert reading.withdraw() is E.KEY
    reading.end(b"\x90\x00")
    with pytest.raises(ReaderTimeoutError):
        reading.begin(E.NONE)


def test_what_was_lost_is_told_once() -> None:
    watch = CommandWatch()
    watch.begin(E.CHANGE)
    watch.end(None)
    assert watch.pop_unanswered() is E.CHANGE
    assert watch.pop_unanswered() is E.NONE


def test_the_limit_is_that_of_one_command_and_not_of_a_persons_entry() -> None:
    now = 100.0
    watch = CommandWatch(10.0, clock=lambda: now)
    for _ in range(5):  # slow ones, and many of them
        watch.begin(E.NONE)
        now += 9.0
        assert watch.seconds_to_limit() == 1.0
        watch.end(b"\x90\x00")
        assert watch.seconds_to_limit() == 10.0
    watch.begin(E.PIN)
    now += 10.0
    assert watch.seconds_to_limit() == 0.0
    watch.end(b"\x90\x00")
    watch.begin(E.PIN, limited=False)
    now += 50.0
    assert watch.seconds_to_limit() == 10.0


def test_a_slow_card_is_waited_for_and_one_that_hangs_is_not() -> None:
    now = 100.0
    watch = CommandWatch(10.0, clock=lambda: now)
    assert watch.wait_for_answer(30)
    watch.begin(E.PIN)
    watch.give_up()
    waited: list[bool] = []
    waiting = threading.Thread(target=lambda: waited.append(watch.wait_for_answer(30)))
    waiting.start()
    watch.end(b"\x90\x00")
    waiting.join(10)
    assert waited == [True]
    slow = CommandWatch(10.0, clock=lambda: now)
    slow.begin(E.PIN)
    now += 10.0
    assert not slow.wait_for_answer(30) and slow.is_over_limit and not watch.is_over_limit
    ending = CommandWatch(10.0, clock=lambda: now)
    ending.begin(E.PIN)
    ending.abandon()
    assert not ending.wait_for_answer(30), "the process ends: no caller waits"
