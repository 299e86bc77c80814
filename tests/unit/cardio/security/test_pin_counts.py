"""Counts of PIN tries that are known, unknown, and lost by asking: quirky cards against processes that come and go.

Each call has a guard of its own, as each process has; what outlives it is the file beside the learnt capabilities.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardio.card.runner import on_card
from cardio.card.session import CardSession
from cardio.card.social_security_card import SocialSecurityCard
from cardio.driver.hsm_steps import HsmSteps
from cardio.driver.return_codes import code_of
from cardio.errors import CardioError, CardRemovedError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.security.credentials import Credentials
from cardio.security.errors import LastTryError, PinBlockedError, PinOutcomeUnknownError, WrongPinError
from cardio.security.pin.card_pin import PinGuard
from cardio.security.pin.count import PinCount, PinPolicy
from cardio.security.pin.pin import Pin
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from simulators.sam.hsm_driver_steps import general_step_1_to_2, pin_step_2_to_3
from tests.warm_cardio import warm_command

RIGHT, WRONG, OTHER = "123456", "999999", "888888"
UNTELLING = ("6700", "6D00", "6A86", "6984", "6A80", "9000", "6A88", "6985", "6E00", "6B00", "6981", "6300")


@dataclass
class QuirkyPin:
    """A software card with a PIN of its own kind before it."""

    left: int = 3
    full: int = 3
    costs: bool = False
    """VERIFY without data counts as a wrong PIN."""
    untelling: str | None = None
    """What it answers to VERIFY without data in place of the count."""
    wrong_word: str | None = None
    """What it answers to a wrong PIN in place of the count."""
    number: int = 1
    """Tells this card from others of its family."""
    asked: int = 0
    pins: list[str] = field(default_factory=list)
    last_taken_by_asking: bool = False

    def __post_init__(self) -> None:
        base = find_persona("personalised")
        files = {path: dict(items) for path, items in base.files.items()}
        files["SSSE/EF05"]["identification_code"] = f"hex:370200D15600000500{self.number:06X}FFFFFFFF"
        self._card = base.model_copy(update={"files": files}).card()
        self.atr = self._card.atr

    def reset(self) -> None:
        self._card.reset()

    def transmit(self, command: bytes) -> bytes:
        if command[:2] != b"\x00\x20":
            return self._card.transmit(command)
        if len(command) <= 5:
            return self._answer_to_asking()
        self.pins.append(command[5:].hex())
        if self.left == 0:
            return b"\x69\x83"
        if command[5:].hex() == RIGHT:
            self.left = self.full
            return b"\x90\x00"
        self.left -= 1
        return bytes.fromhex(self.wrong_word) if self.wrong_word and self.left else self._count()

    def _answer_to_asking(self) -> bytes:
        self.asked += 1
        if self.costs and self.left:
            self.left -= 1
            self.last_taken_by_asking |= self.left == 0
        return bytes.fromhex(self.untelling) if self.untelling else self._count()

    def _count(self) -> bytes:
        return bytes((0x63, 0xC0 | self.left)) if self.left else b"\x69\x83"


def count(card: QuirkyPin, store: CapabilityCache, policy: PinPolicy | None = None) -> PinCount:
    credentials = Credentials(pin_policy=policy or PinPolicy())
    return on_card(
        SoftwareReader("r", card), lambda held: held.pin_count(), capabilities=store, credentials=credentials
    )


def verify(
    card: QuirkyPin, store: CapabilityCache, pin: str, *, accept: bool = False, policy: PinPolicy | None = None
) -> None:
    credentials = Credentials(pin=Pin(pin), accept_last_try=accept, pin_policy=policy or PinPolicy())

    def work(held: SocialSecurityCard) -> None:
        held.verify_pin()

    on_card(SoftwareReader("r", card), work, capabilities=store, credentials=credentials, repeat=False)


# -- a count that is not known ------------------------------------------------------------------


@pytest.mark.parametrize("word", UNTELLING)
def test_an_unknown_count_is_tried(store: CapabilityCache, word: str) -> None:
    card = QuirkyPin(untelling=word)
    assert count(card, store) == PinCount(None, "unknown")
    verify(card, store, RIGHT)
    assert card.pins == [RIGHT]
    with pytest.raises(WrongPinError) as caught:
        verify(card, store, WRONG)
    assert caught.value.tries_left == 2 and code_of(caught.value) == -51


@pytest.mark.parametrize("word", UNTELLING)
def test_a_site_may_refuse_an_unknown_count(store: CapabilityCache, word: str) -> None:
    card, policy = QuirkyPin(untelling=word), PinPolicy(unknown_count="refuse")
    with pytest.raises(LastTryError):
        verify(card, store, RIGHT, policy=policy)
    assert card.pins == []
    verify(card, store, RIGHT, accept=True, policy=policy)
    assert card.pins == [RIGHT]


@pytest.mark.parametrize("word", UNTELLING)
def test_once_a_card_has_said_that_one_is_left_consent_is_needed(store: CapabilityCache, word: str) -> None:
    card = QuirkyPin(untelling=word)
    for wrong in (WRONG, OTHER):
        with pytest.raises(WrongPinError):
            verify(card, store, wrong)
    with pytest.raises(LastTryError) as caught:  # another process, and the card does not tell
        verify(card, store, RIGHT)
    assert code_of(caught.value) == -51 and len(card.pins) == 2
    assert count(card, store) == PinCount(1, "remembered")
    verify(card, store, RIGHT, accept=True)
    assert card.left == 3
    with pytest.raises(WrongPinError):  # all tries are back, and forgotten is what it said
        verify(card, store, WRONG)


def test_a_card_is_the_same_card_by_its_contacts_and_without_them(store: CapabilityCache) -> None:
    """A dual-interface card: its PIN has one count, its two ATRs nothing in common."""
    card = QuirkyPin(untelling="6700", left=2)
    with pytest.raises(WrongPinError):
        verify(card, store, WRONG)
    card.atr = bytes.fromhex("3B8D80014D524B4B0000000000000000E1")
    with pytest.raises(LastTryError):
        verify(card, store, OTHER)
    assert card.left == 1, "nothing was sent"


@pytest.mark.parametrize("word", [word for word in UNTELLING if word != "9000"])
def test_a_card_that_does_not_tell_is_not_asked_again(store: CapabilityCache, word: str) -> None:
    card = QuirkyPin(untelling=word, costs=True)  # and it may cost a try all the same
    for _ in range(5):
        count(card, store)
    assert card.asked == 1
    another = QuirkyPin(number=2, untelling=word, costs=True)
    verify(another, store, RIGHT)
    assert another.asked == 0


def test_one_odd_card_does_not_speak_for_its_family_for_ever(store: CapabilityCache) -> None:
    count(QuirkyPin(untelling="6A88"), store)
    assert count(QuirkyPin(number=2), store) == PinCount(None, "unknown")
    assert store.path is not None
    with sqlite3.connect(store.path.with_name("pin-counts.db")) as database:
        database.execute("UPDATE families SET day = day - 31")
    assert count(QuirkyPin(number=2), store) == PinCount(3, "told")
    odd = QuirkyPin(untelling="6A88")
    assert count(odd, store) == PinCount(None, "unknown") and odd.asked == 0


def test_verified_already_says_nothing_of_the_family(store: CapabilityCache) -> None:
    assert count(QuirkyPin(untelling="9000"), store) == PinCount(None, "unknown")
    assert count(QuirkyPin(), store) == PinCount(3, "told")


def test_a_wrong_pin_without_a_count_is_a_wrong_pin(store: CapabilityCache) -> None:
    card = QuirkyPin(untelling="6700", wrong_word="6300")
    with pytest.raises(WrongPinError) as caught:
        verify(card, store, WRONG)
    assert caught.value.tries_left is None and code_of(caught.value) == -51
    assert "未告知" in caught.value.detail


def test_a_fault_while_one_tries_counts_as_a_try(store: CapabilityCache) -> None:
    card = QuirkyPin(untelling="6700")
    with pytest.raises(WrongPinError):
        verify(card, store, WRONG)
    answer = card.transmit

    def pulled(command: bytes) -> bytes:
        if command[:2] == b"\x00\x20" and len(command) > 5:
            raise CardRemovedError
        return answer(command)

    card.transmit = pulled  # type: ignore[method-assign]
    with pytest.raises(PinOutcomeUnknownError):
        verify(card, store, OTHER)
    assert count(card, store) == PinCount(1, "remembered"), "two were left, and one may be spent"


def test_an_unblocking_in_steps_brings_all_tries_back(store: CapabilityCache) -> None:
    card = QuirkyPin(untelling="6700")
    for wrong in (WRONG, OTHER):
        with pytest.raises(WrongPinError):
            verify(card, store, wrong)
    with CardSession(SoftwareReader("r", card), capabilities=store, credentials=Credentials()) as held:
        steps = held.run(HsmSteps)
        historical, city = held.run(lambda one: one.historical_bytes.hex().upper()), "370200"
        first = held.run(lambda one: steps.unblock_1())
        second = held.run(lambda one: steps.pin_2("iUnblockPIN", general_step_1_to_2(first, historical, city)))
        held.run(lambda one: steps.pin_3("iUnblockPIN", pin_step_2_to_3(second, historical, city)))
    card.left = 3  # as the card has it now
    verify(card, store, RIGHT)
    assert len(card.pins) == 3


# -- a count that falls by the asking -----------------------------------------------------------


def test_looking_again_and_again_does_not_block_a_card_that_counts_it(store: CapabilityCache) -> None:
    card = QuirkyPin(costs=True)
    assert count(card, store) == PinCount(2, "told")
    for _ in range(5):
        assert count(card, store) == PinCount(2, "remembered")
    assert (card.asked, card.left) == (1, 2)
    another = QuirkyPin(number=2, costs=True)
    assert count(another, store) == PinCount(None, "unknown")
    verify(another, store, RIGHT)
    assert another.asked == 1 and another.left == 2, "asked after the PIN was right, and so it came out"
    third = QuirkyPin(number=3, costs=True)
    for _ in range(3):
        verify(third, store, RIGHT)
        count(third, store)
    assert third.asked == 0, "noticed: never again"


def test_with_tries_enough_a_second_asking_tells(store: CapabilityCache) -> None:
    card = QuirkyPin(left=5, full=5, costs=True)
    assert count(card, store) == PinCount(3, "told")
    assert card.asked == 2
    assert count(card, store) == PinCount(3, "remembered")
    assert card.asked == 2
    assert count(QuirkyPin(number=2, left=5, full=5, costs=True), store) == PinCount(None, "unknown")


def test_a_card_that_tells_for_nothing_is_asked_each_time(store: CapabilityCache) -> None:
    card = QuirkyPin()
    assert count(card, store) == PinCount(3, "told")
    for left in (2, 1):
        with pytest.raises(WrongPinError):
            verify(card, store, WRONG if left == 2 else OTHER)
    fresh = QuirkyPin(number=2)
    assert count(fresh, store) == PinCount(3, "told") and fresh.asked == 1


def test_a_card_at_its_last_try_is_never_asked(store: CapabilityCache) -> None:
    assert count(QuirkyPin(number=2), store).left == 3  # the family is known to tell for nothing
    card = QuirkyPin(left=2, costs=True)  # and this one, of the same family, is not like it
    assert count(card, store) == PinCount(1, "told")
    assert [count(card, store) for _ in range(3)] == [PinCount(1, "remembered")] * 3
    assert (card.asked, card.left) == (1, 1)


def test_consent_needs_no_asking(store: CapabilityCache) -> None:
    card = QuirkyPin(left=1, costs=True)
    verify(card, store, RIGHT, accept=True)
    assert card.pins == [RIGHT] and card.asked == 0


def test_a_site_may_forbid_asking(store: CapabilityCache) -> None:
    card, policy = QuirkyPin(left=1, costs=True), PinPolicy(ask_count=False)
    assert count(card, store, policy) == PinCount(None, "unknown")
    verify(card, store, RIGHT, policy=policy)
    assert card.asked == 0


def test_what_cannot_be_kept_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = CapabilityCache(
        tmp_path / "file" / "manners.json"
    )  # a folder that cannot be: as of a home that is read-only
    card = QuirkyPin(costs=True)
    assert [count(card, store) for _ in range(4)] == [PinCount(None, "unknown")] * 4
    assert card.asked == 0


@pytest.mark.parametrize("hindered", ["from the start", "afterwards"])
def test_a_last_try_is_not_forgotten_where_it_cannot_be_kept(tmp_path: Path, hindered: str) -> None:
    """A bridge lives on beside a disk that is full or a home that is read-only."""
    folder = tmp_path / "folder"
    store, guard, card = CapabilityCache(folder / "manners.json"), PinGuard(), QuirkyPin(untelling="6700", left=2)
    if hindered == "from the start":
        folder.touch()
    else:
        count(card, store)
        (folder / "pin-counts.db").unlink()
        (folder / "pin-counts.db").mkdir()

    def try_pin(pin: str, *, accept: bool = False) -> None:
        credentials = Credentials(pin=Pin(pin), guard=guard, accept_last_try=accept)
        on_card(SoftwareReader("r", card), lambda held: held.verify_pin(), capabilities=store, credentials=credentials)

    with pytest.raises(WrongPinError):
        try_pin(WRONG)
    with pytest.raises(LastTryError):
        try_pin(OTHER)
    assert card.left == 1, "nothing was sent"
    try_pin(RIGHT, accept=True)
    with pytest.raises(WrongPinError):  # all tries are back, and that is known too
        try_pin(WRONG)


def test_what_another_program_has_kept_is_newer_than_what_this_one_knows(store: CapabilityCache) -> None:
    guard, card = PinGuard(), QuirkyPin(untelling="6700", left=2)
    own = Credentials(pin=Pin(WRONG), guard=guard)
    with pytest.raises(WrongPinError):
        on_card(SoftwareReader("r", card), lambda held: held.verify_pin(), capabilities=store, credentials=own)
    verify(card, store, RIGHT, accept=True)  # another program: all tries are back
    known = on_card(SoftwareReader("r", card), lambda held: held.pin_count(), capabilities=store, credentials=own)
    assert known == PinCount(None, "unknown")


def test_a_damaged_memory_is_begun_anew(store: CapabilityCache) -> None:
    card = QuirkyPin()
    count(card, store)
    assert store.path is not None
    memory = store.path.with_name("pin-counts.db")
    memory.write_bytes(b"no database " * 500)
    assert count(card, store) == PinCount(3, "told")
    with sqlite3.connect(memory) as database:
        assert database.execute("SELECT kind FROM families").fetchall() == [("free",)]


def test_the_memory_is_its_owners_and_names_nobody(store: CapabilityCache) -> None:
    card = QuirkyPin()
    with pytest.raises(WrongPinError):
        verify(card, store, WRONG)
    assert store.path is not None
    memory = store.path.with_name("pin-counts.db")
    assert stat.S_IMODE(os.stat(memory).st_mode) == 0o600
    kept = memory.read_bytes()
    code = "370200D15600000500000001FFFFFFFF"
    assert code.encode() not in kept and bytes.fromhex(code) not in kept and bytes.fromhex(WRONG) not in kept


CALLS = st.lists(st.tuples(st.sampled_from(["status", RIGHT, WRONG, OTHER, "777777"]), st.booleans()), max_size=12)


@settings(max_examples=150)
@given(
    calls=CALLS,
    full=st.integers(2, 5),
    spent=st.integers(0, 3),
    costs=st.booleans(),
    untelling=st.sampled_from([None, None, "6700", "6300"]),
    before=st.sampled_from([None, None, "free", "costs"]),
)
def test_no_sequence_of_calls_takes_the_last_try_by_asking(
    calls: list[tuple[str, bool]],
    full: int,
    spent: int,
    costs: bool,
    untelling: str | None,
    before: str | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever kind of card, and whatever was learnt before: two tries left or more, asking never takes the last.

    And no PIN is sent to a card that has said that it is at its last try, unless the holder consents.
    """
    store = CapabilityCache(tmp_path_factory.mktemp("memory") / "manners.json")
    if before is not None:
        count(QuirkyPin(number=2, left=5, full=5, costs=before == "costs"), store)
    card = QuirkyPin(left=max(2, full - spent), full=full, costs=costs, untelling=untelling)
    for call, accept in calls:
        said_last, pins = card.left == 1 and card.untelling is None, len(card.pins)
        try:
            if call == "status":
                count(card, store)
            else:
                verify(card, store, call, accept=accept)
        except (WrongPinError, PinBlockedError, LastTryError):
            pass
        assert not card.last_taken_by_asking
        if said_last and not accept:
            assert len(card.pins) == pins


def test_other_errors_stay_what_they_are(store: CapabilityCache) -> None:
    card = QuirkyPin(untelling="6700", wrong_word="6985")
    with pytest.raises(CardioError) as caught:
        verify(card, store, WRONG)
    assert caught.value.code == "card-refused" or caught.value.status_word == 0x6985


# -- the command --------------------------------------------------------------------------------


def cardio(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(warm_command()), *arguments]
    return subprocess.run(command, input=typed, capture_output=True, text=True, env=dict(os.environ))


def test_the_command_says_what_it_knows_and_how(tmp_path: Path) -> None:
    status = cardio("pin", "status", "--reader", "sim:adult")
    assert (status.returncode, status.stdout) == (0, "还剩 3 次 / tries left: 3\n"), status.stderr
    told = json.loads(cardio("pin", "status", "--reader", "sim:adult", "--json").stdout)
    assert told == {"action": "status", "tries_left": 3, "count": "told"}
    settings = tmp_path / "config" / "cardio" / "security.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('ask_pin_count = false\nunknown_pin_count = "refuse"\n')
    unknown = cardio("pin", "status", "--reader", "sim:child")
    assert (unknown.returncode, unknown.stdout) == (0, "剩余次数未知 / how many tries are left is not known\n")
    refused = cardio("pin", "verify", "--pin-stdin", "--reader", "sim:child", typed=RIGHT + "\n")
    assert refused.returncode == 1 and "[last-try]" in refused.stderr and "--accept-last-try" in refused.stderr
    done = cardio("pin", "verify", "--pin-stdin", "--accept-last-try", "--reader", "sim:child", typed=RIGHT + "\n")
    assert (done.returncode, done.stdout) == (0, "密码正确 / The PIN is right\n")


def test_a_setting_that_is_none_is_told(tmp_path: Path) -> None:
    settings = tmp_path / "config" / "cardio" / "security.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('unknown_pin_count = "perhaps"\n')
    assert cardio("pin", "status", "--reader", "sim:adult").returncode == 78
