"""A state machine over two desks and everything that happens at them, as `test_debit_histories`; it shrinks."""

from __future__ import annotations

import random
import shutil
import tempfile
from datetime import datetime
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from cardio.debits.purse import Amounts
from cardio.debits.transaction import DebitOrder
from tests.fuzz.test_debit_histories import STATES, WORDS, Fate, World, cards_of_people, sams_of_desks

_FATES = st.one_of(
    st.builds(Fate, leaves=st.booleans()),
    st.builds(Fate, kill_at=st.sampled_from(STATES), kill_before=st.booleans(), leaves=st.booleans()),
    st.builds(Fate, pull=st.booleans(), leaves=st.booleans()),
    st.builds(Fate, kill_at_debit=st.booleans(), leaves=st.booleans()),
    st.builds(Fate, word=st.sampled_from(WORDS), word_is_true=st.booleans(), leaves=st.booleans()),
)
_YUAN = st.builds(Amounts, st.just(0), st.integers(0, 10_000), st.integers(1, 10_000))


class Debits(RuleBasedStateMachine):
    """Two desks; every rule is something that happens at one of them."""

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        place = self.folder / "desks"
        place.mkdir()
        sams = sams_of_desks(self.folder)
        self.world = World(place, random.Random(0), datetime(2015, 1, 1), sams, cards_of_people())

    @rule(target=keys, amounts=_YUAN, fate=_FATES)
    def debit(self, amounts: Amounts, fate: Fate) -> str:
        key = f"k{len(self.world.orders)}"
        self.world.orders[key] = (self.world.cards.index(self.world.card), DebitOrder(amounts, self.world.now()))
        self.world.call(key, fate)
        return key

    @rule(key=keys, fate=_FATES)
    def retry(self, key: str, fate: Fate) -> None:
        self.world.call(key, fate)

    @rule(target=keys, key=keys, fate=_FATES)
    def try_again_by_another_key(self, key: str, fate: Fate) -> str:
        """The very same order, as a page asks that has lost its key."""
        anew = f"k{len(self.world.orders)}"
        self.world.orders[anew] = self.world.orders[key]
        self.world.call(anew, fate)
        return anew

    @rule()
    def go_to_the_other_desk(self) -> None:
        self.world.other_desk()

    @rule(rightly=st.booleans())
    def a_person_decides(self, rightly: bool) -> None:
        self.world.decide(rightly=rightly)

    @rule()
    def back_up(self) -> None:
        self.world.till.back_up()

    @rule()
    def put_back(self) -> None:
        self.world.put_back()

    @rule()
    def lose(self) -> None:
        self.world.lose()

    @rule(target=keys, key=consumes(keys))
    def forget(self, key: str) -> object:
        """The caller has lost the key; it never asks by it again."""
        return multiple()

    @rule(number=st.integers(0, 2))
    def swap(self, number: int) -> None:
        self.world.card = self.world.cards[number]

    @rule()
    def elsewhere(self) -> None:
        self.world.debit_elsewhere()

    @rule()
    def ask_for_the_list(self) -> None:
        self.world.list_all()

    @rule()
    def look(self) -> None:
        self.world.look()

    @rule()
    def restart(self) -> None:
        self.world.start_again()

    @invariant()
    def no_card_is_told_twice(self) -> None:
        assert all(times <= 1 for till in self.world.tills for times in till.told.values())

    @invariant()
    def no_order_is_taken_twice(self) -> None:
        assert all(len(movers) == 1 for movers in self.world.movers.values())

    @invariant()
    def nothing_is_charged_while_a_result_is_unheard(self) -> None:
        assert not self.world.broken, self.world.broken

    def teardown(self) -> None:
        try:
            self.world.end()
            self.world.check()
        finally:
            self.world.close()
            shutil.rmtree(self.folder)


TestDebits = Debits.TestCase
TestDebits.settings = settings(
    max_examples=150, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
