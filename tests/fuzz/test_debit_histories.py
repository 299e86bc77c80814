"""Ten thousand seeded histories of debits, pulled cards, swapped cards, kills, callers that leave and retries: money
moves exactly once, and never again while its result has reached nobody.

The journal is a real file, the card keeps its memory, and whoever is killed leaves both as they stand. A history fails
when a card has taken what the journal does not know, when the journal says what the card has not taken, or when a card
is told to debit while of an earlier debit nobody has heard.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cardio.account import Amounts
from cardio.card import SocialSecurityCard
from cardio.debit_errors import DebitOpenError, DebitUndeliveredError, DebitUnknownError
from cardio.debiting import debit
from cardio.errors import CardioError, CardRemovedError
from cardio.filesystem.manners import MannersStore
from cardio.security.credentials import Credentials
from cardio.security.pin import Pin
from cardio.settlement import DebitOrder, DebitState
from service.debit_work import as_it_stands, go_on, needs_its_card
from service.delivery.receipts import Told, note
from service.delivery.records import DeliveryRecords
from service.journal import Journal, JournalEntry
from simulators.card import SoftwareCard
from simulators.personas import find_persona
from simulators.reader import SoftwareReader
from tests.unit.debits import DEBIT, Ready, soft_sam

HISTORIES = 10_000
PEOPLE: dict[str, dict[str, object]] = {
    "adult": {"debits_without_pin": True},
    "personalised": {"transaction_proof": False, "debit_number": "before"},
    "whole": {"transaction_proof": False},
}
"""Cards, and how they tell of a debit: by its proof, by details with either number."""
STATES = ("prepared", "initialised", "armed", "sent", "committed", "delivered")


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
    leaves: bool = False
    """The caller has left before it is answered."""


class FatedJournal(Journal):
    """The journal of a process that dies at one of its steps, before it is on disk or after."""

    fate = Fate()

    def move(self, debit_id: str, attempt: int, to: DebitState, **facts: Any) -> None:
        dies = self.fate.kill_at == to.value
        if dies and self.fate.kill_before:
            raise Killed
        super().move(debit_id, attempt, to, **facts)
        if dies:
            raise Killed


@dataclass
class World:
    """A till, its journal, three people's cards, and another till that the cards may go to meanwhile."""

    folder: Path
    chance: random.Random
    clock: datetime
    """No two histories have the same: a terminal debits a card once a second at most. All are of one year, for cards
    begin their totals anew with the next."""
    sam: Ready
    cards: list[SoftwareCard]
    """They live on from history to history."""
    fate: Fate = field(default_factory=Fate)

    def __post_init__(self) -> None:
        self.before = [self.totals(card) for card in self.cards]
        self.elsewhere: Counter[int] = Counter()
        self.card: SoftwareCard = self.cards[0]
        self.pulled = False
        self.reader = SoftwareReader("r", self)
        self.journal = FatedJournal(self.folder / "debits.sqlite")
        self.orders: dict[str, tuple[int, DebitOrder]] = {}
        self.told: Counter[str] = Counter()
        """How often a card was told to debit, by key."""
        self.key = ""
        self.moved: dict[int, list[str]] = {number: [] for number in range(len(self.cards))}
        """Whose money a card has moved, by its number."""
        self.heard: set[str] = set()
        """Debits of whose result their caller, or a person, has heard."""
        self.unnoted: set[str] = set()
        """Those that were heard of while the process died before it could note that."""
        self.held = 0
        """How often a debit was refused for an earlier one that nobody had heard of."""
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
        self.told[self.key] += 1
        number, before = self.cards.index(self.card), self.totals(self.card)
        if self.key != "elsewhere" and (unheard := set(self.moved[number]) - self.heard):
            self.broken.append(f"{self.key} is sent while nobody has heard of {unheard}")
        fate, answer = self.fate, b""
        if fate.pull is not False and fate.kill_at_debit is not False:
            answer = self.card.transmit(command)
        if self.key != "elsewhere" and self.totals(self.card) != before:
            self.moved[number].append(self.key)
        if fate.pull is not None:
            self.pulled = True
            raise CardRemovedError()
        if fate.kill_at_debit is not None:
            raise Killed
        return answer

    def now(self) -> str:
        self.clock += timedelta(seconds=self.chance.randint(1, 300))
        return f"{self.clock:%Y%m%d%H%M%S}"

    # What the till does.

    def call(self, key: str, fate: Fate | None = None) -> None:
        """As the bridge does it, by its own work: only desks and HTTP are not there."""
        card_number, order = self.orders[key]
        self.fate, self.key, self.pulled = fate or Fate(), key, False
        self.journal.fate = self.fate
        entry = self.journal.take("local", key, f"{card_number}{order}")
        error: Exception | None = None
        try:
            if needs_its_card(entry):
                # Who asks for a debit says which card it means.
                if self.cards.index(self.card) != card_number and entry.state is DebitState.NEW:
                    return
                with self.opened() as card:
                    go_on(self.journal, entry, card, order)
        except CardioError as found:
            error = as_it_stands(entry, found)
        except Killed:
            self.start_again()
            return
        finally:
            entry.release()
        if isinstance(error, DebitUndeliveredError):
            self.held += 1
            if not set(self.moved[card_number]) - (self.heard - self.unnoted):
                self.broken.append(f"{key} is refused, and everything was heard of")
        if not self.fate.leaves:
            self.answer(key, entry, error)

    def answer(self, key: str, entry: JournalEntry, error: Exception | None) -> None:
        """The caller is there, and has its answer; then the journal notes that."""
        told: Told | None = None
        if error is None:
            told = Told.of(entry.shown(), by_name=True)
        elif isinstance(error, DebitUnknownError):
            told = Told(entry.id, "unknown", datetime.now(UTC))
        elif isinstance(error, DebitOpenError) and error.told_debit is not None:
            told = Told(error.told_debit, "done", datetime.now(UTC))
            key = self.journal.shown(told.debit_id).idempotency_key
        if told is None:
            return
        if told.outcome == "done":
            self.heard.add(key)
            self.unnoted.add(key)
        try:
            note(self.journal, [told])
        except Killed:
            self.start_again()
            return
        if told.outcome == "done":
            self.unnoted.discard(key)

    def list_all(self) -> None:
        """The caller has a list of its debits."""
        self.journal.fate = Fate()
        listed = self.journal.listed("local")
        note(self.journal, [Told.of(one, by_name=False) for one in listed])
        done = {one.idempotency_key for one in listed if one.outcome == "done"}
        self.heard |= done
        self.unnoted -= done

    def look(self) -> None:
        """A person looks at a debit that nobody has heard of, and says so."""
        found = next((one for one in self.journal.listed(None) if one.undelivered), None)
        if found is not None:
            assert self.journal.delivery.acknowledge(found.id)
            self.heard.add(found.idempotency_key)
            self.unnoted.discard(found.idempotency_key)

    def opened(self) -> SocialSecurityCard:
        pin = Credentials(sam=self.sam, pin=Pin("123456"))
        return SocialSecurityCard(self.reader.connect(), self.reader, manners=MannersStore(None), credentials=pin)

    def start_again(self) -> None:
        self.journal.close()
        self.journal = FatedJournal(self.folder / "debits.sqlite")
        self.pulled = False

    def debit_elsewhere(self) -> None:
        """Another till, which is lucky."""
        number = self.cards.index(self.card)
        folder = self.folder / f"elsewhere {self.elsewhere.total()}"
        journal = Journal(folder / "debits.sqlite")
        self.fate, self.key, self.pulled = Fate(), "elsewhere", False
        entry = journal.take("local", "k", "x")
        order = DebitOrder(Amounts(0, 1000, 1000), self.now())
        with self.opened() as card:
            debit(card, order, entry)
        journal.close()
        self.elsewhere[number] += 1

    # A history.

    def live(self) -> None:
        chance = self.chance
        for step in range(chance.randint(2, 7)):
            match chance.choices(
                ("new", "retry", "swap", "elsewhere", "list", "look", "restart"), (10, 8, 4, 2, 1, 1, 2)
            )[0]:
                case "new":
                    key = f"k{step}"
                    amounts = Amounts(0, chance.choice((0, 1, 999)), chance.choice((1, 250)))
                    number = self.cards.index(self.card)
                    self.orders[key] = (number, DebitOrder(amounts, self.now()))
                    self.call(key, self.some_fate())
                case "retry" if self.orders:
                    self.call(chance.choice(sorted(self.orders)), self.some_fate())
                case "swap":
                    self.card = chance.choice(self.cards)
                case "elsewhere":
                    self.debit_elsewhere()
                case "list":
                    self.list_all()
                case "look":
                    self.look()
                case _:
                    self.start_again()

    def some_fate(self) -> Fate:
        chance = self.chance
        leaves = chance.random() < 0.25
        match chance.choices(("none", "state", "pull", "debit"), (3, 4, 3, 2))[0]:
            case "state":
                return Fate(kill_at=chance.choice(STATES), kill_before=chance.random() < 0.5, leaves=leaves)
            case "pull":
                return Fate(pull=chance.random() < 0.5, leaves=leaves)
            case "debit":
                return Fate(kill_at_debit=chance.random() < 0.5, leaves=leaves)
        return Fate(leaves=leaves)

    def end(self) -> None:
        """Every card comes back, and everything is asked for once more."""
        self.start_again()
        for card in self.cards:
            self.card = card
            for key, (number, _) in self.orders.items():
                if self.cards[number] is card and self.journal_state(key) in (
                    DebitState.UNKNOWN,
                    DebitState.COMMITTED,
                ):
                    self.call(key)

    def journal_state(self, key: str) -> DebitState | None:
        found = self.journal.find("local", key)
        if found is None:
            return None
        found.release()
        return found.state

    def check(self) -> None:
        assert not self.broken, self.broken
        assert self.journal.delivery.count_undelivered() == 0, "all have heard of theirs when all is over"
        done: dict[int, list[DebitOrder]] = {number: [] for number in range(len(self.cards))}
        listed = {one.idempotency_key: one for one in self.journal.listed(None, all_states=True)}
        for key, (number, order) in self.orders.items():
            shown = listed.get(key)
            if shown is None:
                assert self.told[key] == 0, f"{key}: told, and the journal does not know it"
                continue
            assert shown.outcome in ("done", "none"), f"{key} is {shown.state} when all is over"
            assert shown.state is not DebitState.MANUAL, f"{key}: an honest card wants no person"
            if shown.outcome == "done":
                done[number].append(order)
                assert self.told[key] == 1, f"{key} is done and was told {self.told[key]} times"
            assert self.told[key] <= 1, f"{key} was told {self.told[key]} times"
        assert {one.id for one in self.journal.listed(None)} == {
            one.id for one in listed.values() if one.outcome == "done"
        }
        for number, card in enumerate(self.cards):
            before, orders, others = self.before[number], done[number], self.elsewhere[number]
            wanted = (
                before[0] + len(orders) + others,
                before[1] + sum(one.amounts.self_paid for one in orders) + 1000 * others,
                before[2] + sum(one.amounts.pooled_fund for one in orders) + 1000 * others,
            )
            assert self.totals(card) == wanted, f"card {number} has {self.totals(card)}, the journal {wanted}"

    def close(self) -> None:
        self.journal.close()


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
    world = World(
        place, random.Random(seed), datetime(2015, 1, 1) + timedelta(hours=8 * (seed % 1000)), _sam(folder), cards
    )
    try:
        world.live()
        world.end()
        world.check()
        ended = world.journal.listed(None, all_states=True)
        ways = Counter(one.outcome if one.result is None else one.result.known_by for one in ended)
        return ways + Counter(held=world.held)
    finally:
        world.close()
        shutil.rmtree(place)


@cache
def _sam(folder: Path) -> Ready:
    return Ready(soft_sam(folder))


def cards_of_people() -> list[SoftwareCard]:
    cards = []
    for name, manners in PEOPLE.items():
        found = find_persona(name)
        cards.append(found.model_copy(update={"manners": found.manners.model_copy(update=manners)}).card())
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
    # Histories in which nothing happens prove nothing.
    assert min(seen[name] for name in ("mac2", "proof", "detail")) > 30 and seen["none"] > 200, seen
    assert seen["held"] > 30, seen


def test_a_till_that_debits_again_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a journal that takes what was sent for unsent lets money move twice."""
    right = Journal.__init__

    def forgetful(self: Journal, path: Path) -> None:
        right(self, path)
        with self._file.transaction() as database:
            database.execute("UPDATE debit SET state = 'aborted', sent = 0 WHERE state = 'unknown'")

    monkeypatch.setattr(Journal, "__init__", forgetful)
    cards = cards_of_people()
    with pytest.raises(AssertionError, match=r"times|has"):
        for seed in range(300):
            run(seed, folder, cards)


def test_a_till_that_does_not_wait_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a journal that takes what was done for heard of charges again."""
    monkeypatch.setattr(DeliveryRecords, "undelivered_on", lambda *_: None)
    cards = cards_of_people()
    with pytest.raises(AssertionError, match="nobody has heard of"):
        for seed in range(300):
            run(seed, folder, cards)
