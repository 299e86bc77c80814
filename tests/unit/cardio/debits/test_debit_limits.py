"""The limits of a debit in the library: its time, its amount, the year of the card's totals; by an injected clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cardio.debits.errors import (
    DebitLimitError,
    DebitNotCheckableError,
    DebitOnCardError,
    DebitTimeError,
    DebitYearError,
)
from cardio.debits.execution import debit
from cardio.debits.limits import DebitLimits
from cardio.debits.purse import Amounts, Totals
from cardio.debits.transaction import DebitOrder, DebitState
from tests.unit.cardio.debits.debits import DEBIT, LIMITS, ORDER, TIME, UNTOUCHED, Till

NOON = datetime(2026, 11, 30, 12)
DAY = DebitLimits(clock=lambda: NOON)


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    made = Till(tmp_path)
    yield made
    made.journal.close()


def order(time: str, *, account: int = 0, self_paid: int = 1, pooled_fund: int = 1) -> DebitOrder:
    return DebitOrder(Amounts(account, self_paid, pooled_fund), time)


@pytest.mark.parametrize(
    ("time", "right"),
    [
        ("20261129120000", True),
        ("20261129115959", False),
        ("20261201120000", True),
        ("20261201120001", False),
        ("20261130120000", True),
        ("99991231235959", False),
        ("00010101000000", False),
        ("20251130120000", False),
    ],
)
def test_the_window_at_its_two_edges(time: str, right: bool) -> None:
    if right:
        DAY.check_order(order(time))
        return
    with pytest.raises(DebitTimeError) as caught:
        DAY.check_order(order(time))
    assert caught.value.driver_code == -23 and caught.value.status == 400
    assert "2026-11-30 12:00:00" in caught.value.detail and "2026-11-30 12:00:00" in caught.value.detail_en


def test_a_window_of_an_hour() -> None:
    narrow = replace(DAY, window=timedelta(hours=1))
    narrow.check_order(order("20261130110000"))
    with pytest.raises(DebitTimeError) as caught:
        narrow.check_order(order("20261130105959"))
    assert "1 小时" in caught.value.detail


@pytest.mark.parametrize(
    ("amounts", "right"),
    [((0, 10_000_000, 0), True), ((0, 10_000_000, 1), False), ((1, 5_000_000, 5_000_000), False), ((0, 0, 1), True)],
)
def test_the_ceiling_is_for_all_parts_together(amounts: tuple[int, int, int], right: bool) -> None:
    asked = DebitOrder(Amounts(*amounts), "20261130120000")
    if right:
        DAY.check_order(asked)
        return
    with pytest.raises(DebitLimitError) as caught:
        DAY.check_order(asked)
    assert caught.value.driver_code == -23 and "100000.00" in caught.value.detail


@pytest.mark.parametrize(
    ("year", "right"),
    [
        ("2026", True), ("2025", True), ("2024", False), ("2027", True), ("2028", False), ("9999", False),
        ("0000", True), ("1998", True), ("1999", False), ("07ea", True), ("ffff", True),
    ],
)  # fmt: skip
def test_the_year_of_the_cards_totals(year: str, right: bool) -> None:
    """What is no year in digits, or none in which there were cards, is none of ours to judge."""
    totals = Totals(0, 5, 5, year)
    if right:
        DAY.check_year(order("20261130120000"), totals)
        return
    with pytest.raises(DebitYearError) as caught:
        DAY.check_year(order("20261130120000"), totals)
    assert caught.value.driver_code == -23 and "debit_years" in caught.value.remedy


def test_a_site_lets_cards_in_that_were_not_used_for_years() -> None:
    replace(DAY, years_ahead=5).check_year(order("20261130120000"), Totals(0, 5, 5, "2021"))
    with pytest.raises(DebitYearError):
        replace(DAY, years_ahead=5).check_year(order("20261130120000"), Totals(0, 5, 5, "2020"))


def test_the_library_sends_nothing_beyond_a_limit(till: Till) -> None:
    """Not even what begins a debit; the year alone is known only when the card has said it."""
    for wrong, error in ((order("99991231235959"), DebitTimeError), (order(TIME, self_paid=10**8), DebitLimitError)):
        entry = till.claim()
        with till.open() as card, pytest.raises(error):
            debit(card, wrong, entry, LIMITS)
        assert till.claim().state is DebitState.NEW, "the same key may ask for what is right"
    with till.open() as card, pytest.raises(DebitYearError):
        debit(card, ORDER, till.claim(), replace(LIMITS, years_back=1))
    assert not any(bytes(one.command).startswith(DEBIT) for one in till.trace)
    assert till.debits == 0 and till.totals == UNTOUCHED


@pytest.mark.parametrize("now", [datetime(2028, 2, 29), datetime(2027, 12, 31, 23, 59, 59), datetime.max])
def test_a_window_without_an_end(till: Till, now: datetime) -> None:
    limits = DebitLimits(window=timedelta.max, years_back=20, clock=lambda: now)
    with till.open() as card, pytest.raises(DebitNotCheckableError):  # the card shows later ones only
        debit(card, ORDER, till.claim(), limits)
    till.card.applications[4].by_id[0xEF08].records.clear()
    with till.open() as card:
        assert debit(card, ORDER, till.claim(), limits).time == TIME
    assert till.debits == 1


@pytest.mark.parametrize(
    ("now", "time", "right"),
    [
        (datetime(2028, 2, 29), "20280229000000", True),
        (datetime(2028, 2, 29), "20280229000001", False),
        (datetime(2028, 1, 1), "20271231235959", False),
        (datetime(2028, 1, 1, 0, 0, 0, 1), "20280101000000", False),
    ],
)
def test_a_window_of_nothing(now: datetime, time: str, right: bool) -> None:
    limits = DebitLimits(window=timedelta(0), clock=lambda: now)
    if right:
        limits.check_order(order(time))
    else:
        with pytest.raises(DebitTimeError):
            limits.check_order(order(time))


def test_a_ceiling_of_nothing_lets_nothing_through() -> None:
    with pytest.raises(DebitLimitError):
        replace(DAY, most=0).check_order(order("20261130120000"))


def test_by_itself_the_library_has_todays_clock(till: Till) -> None:
    with till.open() as card, pytest.raises(DebitTimeError):
        debit(card, ORDER, till.claim())


def test_the_part_of_the_personal_account_belongs_to_the_order(till: Till, tmp_path: Path) -> None:
    """An offline settlement (模式3): the same time and self-paid part with another account part is another order."""
    taken = order(TIME, account=100)
    till.debit(order=taken)
    folder = tmp_path / "other"
    folder.mkdir()
    other = Till(folder)
    other.card = till.card
    with pytest.raises(DebitOnCardError) as caught:
        other.debit(order=taken)
    assert caught.value.members["card_record"]["transaction_number"] == 13 and other.debits == 0
