"""Ten thousand seeded histories of debits, pulled cards, swapped cards, kills and retries: money moves exactly once.

The journal is a real file, the card keeps its memory, and whoever is killed leaves both as they stand. A history fails
when a card has taken what the journal does not know, or the journal says what the card has not taken.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from cardio.account import Amounts
from cardio.card import SocialSecurityCard
from cardio.debit_witnesses import recover
from cardio.debiting import debit
from cardio.errors import CardioError, CardRemovedError
from cardio.filesystem.manners import MannersStore
from cardio.security.credentials import Credentials
from cardio.security.pin import Pin
from cardio.settlement import DONE, DebitIntent, DebitOrder, DebitResult, DebitState
from service.journal import Journal, JournalEntry
from simulators.card import SoftwareCard
from simulators.personas import find_persona
from simulators.reader import SoftwareReader
from tests.unit.debits import DEBIT, Ready, soft_sam

HISTORIES = 10_000
PERSONAS = ("adult", "personalised", "whole")
STATES = ("prepared", "initialised", "armed", "sent", "committed")
_CARDS = {
    name: find_persona(name).model_copy(
        update={"manners": find_persona(name).manners.model_copy(update={"debits_without_pin": number == 0})}
    )
    for number, name in enumerate(PERSONAS)
}


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


class FatedEntry:
    """A debit of the journal in a process that dies at one of its steps."""

    def __init__(self, entry: JournalEntry, fate: Fate) -> None:
        self._entry = entry
        self._fate = fate

    @property
    def state(self) -> DebitState:
        return self._entry.state

    @property
    def intent(self) -> DebitIntent | None:
        return self._entry.intent

    def meet(self, card: bytes) -> None:
        self._entry.meet(card)

    def move(
        self,
        to: DebitState,
        *,
        intent: DebitIntent | None = None,
        result: DebitResult | None = None,
        reason: str = "",
    ) -> None:
        dies = self._fate.kill_at == to.value
        if dies and self._fate.kill_before:
            raise Killed
        self._entry.move(to, intent=intent, result=result, reason=reason)
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
        self.journal = Journal(self.folder / "debits.sqlite")
        self.orders: dict[str, tuple[int, DebitOrder]] = {}
        self.told: Counter[str] = Counter()
        """How often a card was told to debit, by key."""
        self.key = ""

    @staticmethod
    def totals(card: SoftwareCard) -> tuple[int, int, int]:
        purse = card.purse
        assert purse is not None
        return purse.offline_number, purse.self_paid_total, purse.pooled_fund_total

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
        fate, answer = self.fate, b""
        if fate.pull is not False and fate.kill_at_debit is not False:
            answer = self.card.transmit(command)
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
        """As the bridge does it: the journal says whether there is something to do."""
        card_number, order = self.orders[key]
        self.fate, self.key, self.pulled = fate or Fate(), key, False
        entry = self.journal.take("local", key, f"{card_number}{order}")
        try:
            fated, state = FatedEntry(entry, self.fate), entry.state
            if state in DONE or state in (DebitState.ABORTED, DebitState.MANUAL):
                return
            # Who asks for a debit says which card it means.
            if self.cards.index(self.card) != card_number and state is DebitState.NEW:
                return
            pin = Credentials(sam=self.sam, pin=Pin("123456"))
            with SocialSecurityCard(
                self.reader.connect(), self.reader, manners=MannersStore(None), credentials=pin
            ) as card:
                if state is DebitState.NEW:
                    other = self.journal.open_on(card.identity)
                    if other is not None:
                        try:
                            recover(card, other)
                        finally:
                            other.release()
                        return
                    debit(card, order, fated)
                else:
                    recover(card, fated)
        except CardioError:
            return
        except Killed:
            self.start_again()
        finally:
            entry.release()

    def start_again(self) -> None:
        self.journal.close()
        self.journal = Journal(self.folder / "debits.sqlite")
        self.pulled = False

    def debit_elsewhere(self) -> None:
        """Another till, which is lucky."""
        number = self.cards.index(self.card)
        folder = self.folder / f"elsewhere {self.elsewhere.total()}"
        journal = Journal(folder / "debits.sqlite")
        self.fate, self.key, self.pulled = Fate(), "elsewhere", False
        entry = journal.take("local", "k", "x")
        order = DebitOrder(Amounts(0, 1000, 1000), self.now())
        with SocialSecurityCard(
            self.reader.connect(), self.reader, manners=MannersStore(None),
            credentials=Credentials(sam=self.sam, pin=Pin("123456")),
        ) as card:  # fmt: skip
            debit(card, order, entry)
        journal.close()
        self.elsewhere[number] += 1

    # A history.

    def live(self) -> None:
        chance = self.chance
        for step in range(chance.randint(2, 7)):
            match chance.choices(("new", "retry", "swap", "elsewhere", "restart"), (5, 4, 2, 1, 1))[0]:
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
                case _:
                    self.start_again()

    def some_fate(self) -> Fate:
        chance = self.chance
        match chance.choices(("none", "state", "pull", "debit"), (3, 4, 3, 2))[0]:
            case "state":
                return Fate(kill_at=chance.choice(STATES), kill_before=chance.random() < 0.5)
            case "pull":
                return Fate(pull=chance.random() < 0.5)
            case "debit":
                return Fate(kill_at_debit=chance.random() < 0.5)
        return Fate()

    def end(self) -> None:
        """Every card comes back, and everything is asked for once more."""
        self.start_again()
        for card in self.cards:
            self.card = card
            for key, (number, _) in self.orders.items():
                if self.cards[number] is card and self.journal_state(key) is DebitState.UNKNOWN:
                    self.call(key)

    def journal_state(self, key: str) -> DebitState | None:
        found = self.journal.find("local", key)
        if found is None:
            return None
        found.release()
        return found.state

    def check(self) -> None:
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
        assert sorted(self.journal.outbox()) == sorted(one.id for one in listed.values() if one.outcome == "done")
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


def run(seed: int, folder: Path, cards: list[SoftwareCard]) -> World:
    place = folder / f"{seed}"
    place.mkdir()
    world = World(
        place, random.Random(seed), datetime(2015, 1, 1) + timedelta(hours=8 * (seed % 1000)), _sam(folder), cards
    )
    try:
        world.live()
        world.end()
        world.check()
    finally:
        world.close()
        shutil.rmtree(place)
    return world


@cache
def _sam(folder: Path) -> Ready:
    return Ready(soft_sam(folder))


def cards_of_people() -> list[SoftwareCard]:
    return [_CARDS[name].card() for name in PERSONAS]


@pytest.mark.parametrize("thousand", range(HISTORIES // 1000))
def test_money_moves_exactly_once(folder: Path, thousand: int) -> None:
    seen: Counter[str] = Counter()
    cards = cards_of_people()
    for seed in range(thousand * 1000, thousand * 1000 + 1000):
        try:
            world = run(seed, folder, cards)
        except AssertionError as error:
            raise AssertionError(f"history {seed}: {error}") from error
        seen["done"] += sum(world.told.values())
        seen["asked"] += len(world.orders)
    assert seen["done"] > 500 and seen["asked"] > 1500, "histories in which nothing happens prove nothing"


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
