"""Ten thousand seeded histories of debits at two desks: pulled cards, swapped cards, kills, callers that leave,
retries, words that are not true, journals that are lost or put back, persons who decide, rightly or not. Money moves
exactly once, is booked once, and never moves again while its result has reached no caller.

The journals are real files, the card keeps its memory, and a process that is killed leaves both as they are. A history
fails when a card has taken what no journal has, when a journal says what the card has not taken, when an order is
taken or booked at both desks, or when a card is told to debit while no caller has the result of an earlier
debit at this desk.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cardio.apdu.channel import Flow
from cardio.card.social_security_card import SocialSecurityCard
from cardio.debits.card_record import CardRecordCheck, RecordAsked
from cardio.debits.errors import (
    DebitContradictedError,
    DebitOnCardError,
    DebitOpenError,
    DebitUndeliveredError,
    DebitUnknownError,
)
from cardio.debits.execution import debit
from cardio.debits.lifecycle import debit_or_recover, error_for_debit, requires_card, resolve_open_debit
from cardio.debits.limits import DebitLimits
from cardio.debits.purse import Amounts
from cardio.debits.record import CONTRADICTED
from cardio.debits.recovery import CounterEvidence, Evidence, RecoveryVerdict, weigh
from cardio.debits.transaction import UNRESOLVED, DebitOrder, DebitState
from cardio.errors import CardioError, CardRemovedError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.security.credentials import Credentials
from cardio.security.pin.pin import Pin
from service.debits.delivery.receipts import ReportedOutcome, note
from service.debits.delivery.records import DeliveryRecords
from service.debits.journal import Journal
from service.debits.journal_file.entry import JournalEntry
from service.debits.journal_file.marks import Marks
from service.debits.journal_file.setting_aside import set_aside
from simulators.card.software_card import SoftwareCard
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.unit.cardio.debits.debits import DEBIT, Ready, soft_sam

HISTORIES = int(os.environ.get("CARDIO_DEBIT_HISTORIES", "1000"))
"""Those of every run; the whole proof is ``CARDIO_DEBIT_HISTORIES=10000``."""
PEOPLE: dict[str, dict[str, object]] = {
    "adult": {"debits_without_pin": True},
    "personalised": {"transaction_proof": False, "debit_number": "before"},
    "whole": {"transaction_proof": False},
}
"""Cards, and how they tell of a debit: by its proof, by details with either number."""
STATES = ("prepared", "initialised", "armed", "sent", "committed", "delivered")
TERMINALS = ("000000009999", "410100813475")
"""Of the two desks."""
WORDS = ("6985", "6700", "9302", "6A80")
"""With which a line may answer DEBIT, whatever the card has done."""


class Killed(BaseException):
    """kill -9: nothing of the process goes on."""


@dataclass
class Fate:
    """What happens in the middle of one call."""

    kill_at: str | None = None
    """The state of the journal at whose step the process dies."""
    kill_before: bool = False
    """Before the step is on disk, or after it."""
    pull: bool | None = None
    """The card is pulled around DEBIT: after it has done it, or before."""
    kill_at_debit: bool | None = None
    """The process dies around DEBIT: after the card has done it, or before."""
    word: str | None = None
    """What the line answers to DEBIT in place of the card."""
    word_is_true: bool = False
    """The card has not done it."""
    leaves: bool = False
    """The caller has left before it is answered."""


class FatedJournal(Journal):
    """The journal of a process that dies at one of its steps, before it is on disk or after."""

    fate = Fate()

    def transition(self, debit_id: str, attempt: int, to: DebitState, **facts: Any) -> None:
        dies = self.fate.kill_at == to.value
        if dies and self.fate.kill_before:
            raise Killed
        super().transition(debit_id, attempt, to, **facts)
        if dies:
            raise Killed


@dataclass
class Till:
    """A desk with its journal, and what its callers have heard."""

    folder: Path
    sam: Ready
    heard: set[str] = field(default_factory=set)
    """Debits of whose result their caller, or a person, has heard."""
    unnoted: set[str] = field(default_factory=set)
    """Those that were heard of while the process died before it could note that."""
    moved: dict[int, list[str]] = field(default_factory=dict)
    """Whose money a card has moved here, by the card's number."""
    told: Counter[str] = field(default_factory=Counter)
    """How often a card was told to debit, by key, since the journal last lost its memory."""
    forgetful: bool = False
    """Its journal was lost, or an older one put back."""

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.journal = FatedJournal(self.file)

    @property
    def file(self) -> Path:
        return self.folder / "debits.sqlite"

    def start_again(self) -> None:
        self.journal.close()
        self.journal = FatedJournal(self.file)

    def back_up(self) -> None:
        """A whole copy, made while no process writes."""
        self.journal.close()
        shutil.copy(self.file, self.folder / "copy.sqlite")
        self.journal = FatedJournal(self.file)

    def put_back(self) -> bool:
        """The copy of some time ago takes the journal's place."""
        if not (self.folder / "copy.sqlite").exists():
            return False
        self._forget()
        shutil.copy(self.folder / "copy.sqlite", self.file)
        self.journal = FatedJournal(self.file)
        if self.journal.restored is not None:  # a person says that debits go on with it
            self.journal.accept()
        return True

    def lose(self) -> None:
        """The journal is removed, and begins anew."""
        self._forget()
        set_aside(self.file, Marks(self.file))  # as a person has it who says that it is lost
        self.journal = FatedJournal(self.file)

    def _forget(self) -> None:
        self.journal.close()
        for path in self.folder.glob("debits.sqlite*"):
            path.unlink()
        self.forgetful = True
        self.told.clear()

    def state(self, key: str) -> DebitState | None:
        found = self.journal.claim_existing("local", key)
        if found is None:
            return None
        found.release()
        return found.state


@dataclass
class World:
    """Two desks, three people's cards, and another till that the cards may go to meanwhile."""

    folder: Path
    chance: random.Random
    clock: datetime
    """No two histories have the same: a terminal debits a card once a second at most. All are of one year, for cards
    begin their totals anew with the next."""
    sams: tuple[Ready, Ready]
    cards: list[SoftwareCard]
    """They live on from history to history."""
    fate: Fate = field(default_factory=Fate)

    def __post_init__(self) -> None:
        self.before = [self.totals(card) for card in self.cards]
        self.elsewhere: Counter[int] = Counter()
        self.card: SoftwareCard = self.cards[0]
        self.pulled = False
        self.reader = SoftwareReader("r", self)
        self.tills = [Till(self.folder / f"till {number}", sam) for number, sam in enumerate(self.sams)]
        self.till = self.tills[0]
        self.orders: dict[str, tuple[int, DebitOrder]] = {}
        """By key; the same key at the other desk is the same order."""
        self.key = ""
        self.movers: dict[tuple[int, DebitOrder], list[tuple[int, str]]] = {}
        """At which desk and by which key an order has moved a card's money; once is right."""
        self.on_card: set[tuple[int, DebitOrder]] = set()
        """Orders whose callers were told that they are on the card."""
        self.seen: Counter[str] = Counter()
        """How often something happened that a history is to show."""
        self.broken: list[str] = []

    @staticmethod
    def totals(card: SoftwareCard) -> tuple[int, int, int]:
        purse = card.purse
        assert purse is not None
        return purse.offline_counter, purse.self_paid_total, purse.pooled_fund_total

    # The card in the reader.

    @property
    def atr(self) -> bytes:
        return self.card.atr

    def reset(self) -> None:
        self.card.reset()

    def transmit(self, command: bytes) -> bytes:
        if self.pulled:
            raise CardRemovedError()
        if command[:2] != DEBIT:
            return self.card.transmit(command)
        if self.key == "elsewhere":
            return self.card.transmit(command)
        till, fate, answer = self.till, self.fate, b""
        till.told[self.key] += 1
        number, before = self.cards.index(self.card), self.totals(self.card)
        if not till.forgetful and (unheard := set(till.moved.get(number, ())) - till.heard):
            self.broken.append(f"{self.key} is sent while no caller has the result of {unheard}")
        if fate.pull is not False and fate.kill_at_debit is not False and not fate.word_is_true:
            answer = self.card.transmit(command)
        if self.totals(self.card) != before:
            till.moved.setdefault(number, []).append(self.key)
            self.movers.setdefault(self.orders[self.key], []).append((self.tills.index(till), self.key))
        if fate.pull is not None:
            self.pulled = True
            raise CardRemovedError()
        if fate.kill_at_debit is not None:
            raise Killed
        return answer if fate.word is None else bytes.fromhex(fate.word)

    def now(self) -> str:
        self.clock += timedelta(seconds=self.chance.randint(1, 300))
        return f"{self.clock:%Y%m%d%H%M%S}"

    @property
    def limits(self) -> DebitLimits:
        """The cards' totals are of 2026."""
        return DebitLimits(window=timedelta(hours=3), years_back=20, clock=lambda: self.clock)

    # What a desk does.

    def call(self, key: str, fate: Fate | None = None) -> None:
        """As the bridge does it, by its own work: only desks and HTTP are not there."""
        card_number, order = self.orders[key]
        till = self.till
        self.fate, self.key, self.pulled = fate or Fate(), key, False
        till.journal.fate = self.fate
        entry = till.journal.claim("local", key, f"{card_number}{order}")
        error: Exception | None = None
        try:
            if requires_card(entry):
                # Who asks for a debit says which card it means.
                if self.cards.index(self.card) != card_number and entry.state is DebitState.NEW:
                    return
                with self.opened() as card:
                    debit_or_recover(till.journal, entry, card, order, self.limits)
        except CardioError as found:
            error = error_for_debit(entry, found)
        except Killed:
            self.start_again()
            return
        finally:
            entry.release()
        self._look_at(error, key)
        if not self.fate.leaves:
            self.answer(key, entry, error)

    def _look_at(self, error: Exception | None, key: str) -> None:
        till, (number, order) = self.till, self.orders[key]
        if isinstance(error, DebitUndeliveredError):
            self.seen["held"] += 1
            if not till.forgetful and not set(till.moved.get(number, ())) - (till.heard - till.unnoted):
                self.broken.append(f"{key} is refused, and everything was heard of")
        if isinstance(error, DebitContradictedError):
            self.seen["contradicted"] += 1
        if isinstance(error, DebitOnCardError):
            self.seen["on card"] += 1
            self.on_card.add((number, order))
            if (number, order) not in self.movers:
                self.broken.append(f"{key} is said to stand on a card that has not done it")

    def answer(self, key: str, entry: JournalEntry, error: Exception | None) -> None:
        """The caller is there, and has its answer; then the journal notes that."""
        till, told = self.till, None
        if error is None:
            told = ReportedOutcome.of(entry.record(), by_name=True)
        elif isinstance(error, DebitUnknownError):
            told = ReportedOutcome(entry.id, "unknown", datetime.now(UTC))
        elif isinstance(error, DebitOpenError) and error.reported_debit is not None:
            told = ReportedOutcome(error.reported_debit, "done", datetime.now(UTC))
            key = till.journal.record(told.debit_id).idempotency_key
        if told is None:
            return
        if told.outcome == "done":
            till.heard.add(key)
            till.unnoted.add(key)
        try:
            note(till.journal, [told])
        except Killed:
            self.start_again()
            return
        if told.outcome == "done":
            till.unnoted.discard(key)

    def list_all(self) -> None:
        """The caller has a list of its debits."""
        till = self.till
        till.journal.fate = Fate()
        listed = till.journal.list_debits("local")
        note(till.journal, [ReportedOutcome.of(one, by_name=False) for one in listed])
        done = {one.idempotency_key for one in listed if one.outcome == "done"}
        till.heard |= done
        till.unnoted -= done

    def look(self) -> None:
        """A person looks at a debit whose result no caller has, and says so."""
        till = self.till
        found = next((one for one in till.journal.list_debits(None) if one.undelivered), None)
        if found is not None:
            assert till.journal.delivery.acknowledge(found.id)
            till.heard.add(found.idempotency_key)
            till.unnoted.discard(found.idempotency_key)

    def decide(self, *, rightly: bool) -> None:
        """A person decides a debit with an unknown outcome, and looks again where the card contradicts."""
        till = self.till
        found = next((one for one in till.journal.list_debits(None) if one.state in UNRESOLVED), None)
        if found is None:
            return
        till.journal.fate = Fate()
        rightly |= found.reason == CONTRADICTED
        till.journal.resolve(found.id, done=self._was_done(till, found.idempotency_key) is rightly)
        self.seen["decided"] += 1
        till.heard.add(found.idempotency_key)
        till.unnoted.discard(found.idempotency_key)

    def _was_done(self, till: Till, key: str) -> bool:
        return (self.tills.index(till), key) in self.movers.get(self.orders[key], [])

    def opened(self) -> SocialSecurityCard:
        pin = Credentials(sam=self.till.sam, pin=Pin("123456"))
        return SocialSecurityCard(
            self.reader.connect(), self.reader, capabilities=CapabilityCache(None), credentials=pin
        )

    def start_again(self) -> None:
        self.till.start_again()
        self.pulled = False

    def put_back(self) -> None:
        self.seen["put back"] += self.till.put_back()

    def lose(self) -> None:
        self.till.lose()
        self.seen["lost"] += 1

    def other_desk(self) -> None:
        self.till = self.tills[1 - self.tills.index(self.till)]

    def debit_elsewhere(self) -> None:
        """Another till, which is lucky."""
        number = self.cards.index(self.card)
        folder = self.folder / f"elsewhere {self.elsewhere.total()}"
        journal = Journal(folder / "debits.sqlite")
        self.fate, self.key, self.pulled = Fate(), "elsewhere", False
        entry = journal.claim("local", "k", "x")
        order = DebitOrder(Amounts(0, 1000, 1000), self.now())
        with self.opened() as card:
            debit(card, order, entry, self.limits)
        journal.close()
        self.elsewhere[number] += 1

    # A history.

    def live(self) -> None:
        chance = self.chance
        ways = {
            "new": 10, "retry": 8, "swap": 4, "desk": 4, "again elsewhere": 4, "elsewhere": 2, "list": 1, "look": 1,
            "restart": 2, "decide": 6, "back up": 5, "put back": 5, "lose": 1,
        }  # fmt: skip
        for step in range(chance.randint(2, 9)):
            match chance.choices(list(ways), list(ways.values()))[0]:
                case "new":
                    key = f"k{step}"
                    amounts = Amounts(0, chance.choice((0, 1, 999)), chance.choice((1, 250)))
                    number = self.cards.index(self.card)
                    self.orders[key] = (number, DebitOrder(amounts, self.now()))
                    self.call(key, self.some_fate())
                case "retry" if self.orders:
                    self.call(chance.choice(sorted(self.orders)), self.some_fate())
                case "again elsewhere" if self.orders:
                    # The clerk tries it at the other desk, by the same key or, as a page that forgets it, by another.
                    self.other_desk()
                    key = chance.choice(sorted(self.orders))
                    if chance.random() < 0.5:
                        self.orders[f"{key} anew {step}"] = self.orders[key]
                        key = f"{key} anew {step}"
                    self.call(key, self.some_fate())
                case "swap":
                    self.card = chance.choice(self.cards)
                case "desk":
                    self.other_desk()
                case "elsewhere":
                    self.debit_elsewhere()
                case "list":
                    self.list_all()
                case "look":
                    self.look()
                case "decide":
                    self.decide(rightly=chance.random() < 0.6)
                case "back up":
                    self.till.back_up()
                case "put back":
                    self.put_back()
                case "lose":
                    self.lose()
                case _:
                    self.start_again()

    def some_fate(self) -> Fate:
        chance = self.chance
        leaves = chance.random() < 0.25
        match chance.choices(("none", "state", "pull", "debit", "word"), (3, 4, 3, 2, 2))[0]:
            case "state":
                return Fate(kill_at=chance.choice(STATES), kill_before=chance.random() < 0.5, leaves=leaves)
            case "pull":
                return Fate(pull=chance.random() < 0.5, leaves=leaves)
            case "debit":
                return Fate(kill_at_debit=chance.random() < 0.5, leaves=leaves)
            case "word":
                return Fate(word=chance.choice(WORDS), word_is_true=chance.random() < 0.5, leaves=leaves)
        return Fate(leaves=leaves)

    def end(self) -> None:
        """Every card comes back to both desks, all is asked for once more, and persons compare what they must."""
        for till in self.tills:
            self.till = till
            self.start_again()
            for number, card in enumerate(self.cards):
                self.card = card
                of_card = [key for key, (its_card, _) in self.orders.items() if its_card == number]
                for key in of_card:
                    if self.till.state(key) in (DebitState.UNKNOWN, DebitState.COMMITTED):
                        self.call(key)
                self._decide_all(number)
                for key in of_card:
                    if self._was_done(self.till, key) and self.till.state(key) in (None, DebitState.ABORTED):
                        self.call(key)  # the journal has lost it, the card has not

    def _decide_all(self, number: int) -> None:
        """The card is asked about everything that persons have decided, and they decide on what it leaves open."""
        till = self.till
        entry = till.journal.claim("local", f"end {number}", "")
        for _ in range(2 * len(self.orders) + 1):
            while any(
                one.state in UNRESOLVED and self._is_of(one.idempotency_key, number)
                for one in till.journal.list_debits(None)
            ):
                self._decide_rightly(number)
            with self.opened() as card, suppress(DebitUndeliveredError):
                try:
                    resolve_open_debit(till.journal, entry, card)
                except DebitContradictedError:
                    self.seen["contradicted"] += 1
                    entry.release()
                    entry = till.journal.claim("local", f"end {number}", "")
                    continue
            break
        entry.release()

    def _is_of(self, key: str, number: int) -> bool:
        return key in self.orders and self.orders[key][0] == number

    def _decide_rightly(self, number: int) -> None:
        till = self.till
        for one in till.journal.list_debits(None):
            if one.state in UNRESOLVED and self._is_of(one.idempotency_key, number):
                till.journal.resolve(one.id, done=self._was_done(till, one.idempotency_key))
                till.heard.add(one.idempotency_key)

    def check(self) -> None:
        assert not self.broken, self.broken
        booked: Counter[tuple[int, DebitOrder]] = Counter()
        for number, till in enumerate(self.tills):
            for one in till.journal.list_debits(None, all_states=True):
                if one.idempotency_key not in self.orders:
                    continue
                key, order = one.idempotency_key, self.orders[one.idempotency_key]
                assert one.outcome in ("done", "none"), f"{key} at desk {number} is {one.state} when all is over"
                done = (number, key) in self.movers.get(order, [])
                if one.outcome == "done":
                    booked[order] += 1
                    assert done, f"{key} at desk {number} is booked, and was not taken there"
                else:
                    assert not done or (till.forgetful and order in self.on_card), f"{key} is lost at desk {number}"
            assert max(till.told.values(), default=0) <= 1, f"told twice: {till.told}"
            unheard = till.journal.delivery.count_undelivered()
            assert till.forgetful or unheard == 0, "all have heard of theirs when all is over"
        for order, movers in self.movers.items():
            assert len(movers) == 1, f"{order} was taken {len(movers)} times: {movers}"
            assert booked[order] == 1 or (booked[order] == 0 and order in self.on_card), (
                f"{order}: {booked[order]} times"
            )
        assert max(booked.values(), default=0) <= 1, f"booked twice: {booked}"
        for number, card in enumerate(self.cards):
            before, others = self.before[number], self.elsewhere[number]
            orders = [order for of_card, order in self.movers if of_card == number]
            wanted = (
                before[0] + len(orders) + others,
                before[1] + sum(one.amounts.self_paid for one in orders) + 1000 * others,
                before[2] + sum(one.amounts.pooled_fund for one in orders) + 1000 * others,
            )
            assert self.totals(card) == wanted, f"card {number} has {self.totals(card)}, the orders {wanted}"

    def close(self) -> None:
        for till in self.tills:
            till.journal.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where there is such a place: ten thousand journals would wait for the disk."""
    fast = Path("/dev/shm")
    made = Path(fast / f"cardio-{random.randrange(1 << 40):x}") if fast.is_dir() else tmp_path_factory.mktemp("worlds")
    made.mkdir(exist_ok=True)
    yield made
    shutil.rmtree(made)


def run(seed: int, folder: Path, cards: list[SoftwareCard]) -> Counter[str]:
    """One history; gives how its debits ended."""
    place = folder / f"{seed}"
    place.mkdir()
    begins = datetime(2015, 1, 1) + timedelta(hours=8 * (seed % 1000))
    world = World(place, random.Random(seed), begins, sams_of_desks(folder), cards)
    try:
        world.live()
        world.end()
        world.check()
        ended = [one for till in world.tills for one in till.journal.list_debits(None, all_states=True)]
        ways = Counter(one.outcome if one.result is None else one.result.known_by for one in ended)
        moved = sum(len(movers) for movers in world.movers.values())
        return ways + world.seen + Counter(moved=moved, orders=len(set(world.orders.values())))
    finally:
        world.close()
        shutil.rmtree(place)


@cache
def sams_of_desks(folder: Path) -> tuple[Ready, Ready]:
    """The keys are the same, the terminal's number is each desk's own."""
    first, second = soft_sam(folder), soft_sam(folder)
    second._file = second._file.model_copy(update={"terminal_number": TERMINALS[1]})
    return Ready(first), Ready(second)


def cards_of_people() -> list[SoftwareCard]:
    cards = []
    for name, quirks in PEOPLE.items():
        found = find_persona(name)
        cards.append(found.model_copy(update={"quirks": found.quirks.model_copy(update=quirks)}).card())
    return cards


@pytest.mark.parametrize("thousand", range(HISTORIES // 1000))
def test_money_moves_exactly_once(folder: Path, thousand: int) -> None:
    seen: Counter[str] = Counter()
    cards = cards_of_people()
    for seed in range(thousand * 1000, thousand * 1000 + 1000):
        try:
            seen += run(seed, folder, cards)
        except AssertionError as error:
            raise AssertionError(f"history {seed}: {error}") from error
    print(f"histories {thousand * 1000} to {thousand * 1000 + 999}: {dict(seen)}")  # pytest -rP shows it
    # Histories in which nothing happens prove nothing.
    assert min(seen["mac2"], seen["proof"]) > 30 and seen["detail"] > 10 and seen["none"] > 200, seen
    assert min(seen[name] for name in ("held", "on card", "decided", "put back", "lost")) > 30, seen
    assert seen["contradicted"] > 5, seen


def test_a_till_that_debits_again_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a journal that takes what was sent for unsent, and a card whose record is not read."""
    right = Journal.__init__

    def forgetful(self: Journal, path: Path) -> None:
        right(self, path)
        with self._file.transaction() as database:
            database.execute("UPDATE debit SET state = 'aborted', sent = 0 WHERE state = 'unknown'")

    monkeypatch.setattr(Journal, "__init__", forgetful)
    monkeypatch.setattr(CardRecordCheck, "ask", asks_nothing)
    assert_found_out(folder, "times|twice|lost|has")


def asks_nothing(self: CardRecordCheck) -> Flow[None]:
    self._found = RecordAsked("clear")
    return
    yield


def test_a_desk_that_does_not_ask_the_card_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: without the card's own record two desks, or one with a lost journal, take an order twice."""
    monkeypatch.setattr(CardRecordCheck, "ask", asks_nothing)
    assert_found_out(folder, "times|lost")


def test_a_desk_that_believes_the_number_alone_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: another desk's debit of the same amounts moves number and totals alike."""

    def believes(witnesses: Evidence, *, doubted: bool = False) -> RecoveryVerdict:
        if witnesses.counter is CounterEvidence.MOVED:
            return RecoveryVerdict(DebitState.COMMITTED, "counter")
        return weigh(witnesses, doubted=doubted)

    monkeypatch.setattr("cardio.debits.recovery.weigh", believes)
    assert_found_out(folder, "booked|everything was heard of")


def test_a_word_that_is_believed_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a refusal after the fact that counts as one."""

    def believes(card: Any, entry: Any) -> Any:
        entry.transition(DebitState.ABORTED, reason="x")
        raise CardioError()

    monkeypatch.setattr("cardio.debits.execution.recover", believes)
    assert_found_out(folder, "lost")


def test_a_person_who_is_never_compared_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: what a person has decided wrongly stays so."""
    monkeypatch.setattr("cardio.debits.lifecycle._compare_decisions", lambda *_: None)
    assert_found_out(folder, "lost|booked")


def test_a_till_that_does_not_wait_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a journal that takes what was done for heard of charges again."""
    monkeypatch.setattr(DeliveryRecords, "undelivered_on", lambda *_: None)
    assert_found_out(folder, "no caller has the result of")


def assert_found_out(folder: Path, how: str) -> None:
    cards = cards_of_people()
    with pytest.raises(AssertionError, match=how):
        for seed in range(400):
            run(seed, folder, cards)
