"""A card that falls silent in a debit: the outcome is unknown after one command's limit, and no call waits anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.app import SiteOptions
from service.gate.scopes import Scope
from tests.pcsc import wait_until
from tests.unit.cardio.debits.debits import DEBIT
from tests.unit.service.debits.debit_desk import DONE, LATER, PAGE, Desk
from tests.unit.service.readers.hanging_card import HangingCard
from tests.unit.service.readers.test_in_line import Call

PIN = b"\x00\x20\x00\x00"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, site_options=SiteOptions(command_seconds=0.3))
    yield made
    made.bridge.stop()


def hanging(desk: Desk, told: bytes, *, done: bool) -> HangingCard:
    card = HangingCard(desk.card, lambda command: command[: len(told)] == told and len(command) > 5, done=done)
    desk.put(card)
    return card


@pytest.mark.parametrize("done", [True, False])
def test_the_outcome_is_unknown_at_once_and_the_same_key_does_not_wait_anew(desk: Desk, done: bool) -> None:
    """The operation may take a minute; the client of this test gives up after ten seconds."""
    card, before = hanging(desk, DEBIT, done=done), desk.totals[0]
    try:
        for _ in range(3):
            answer = desk.call()
            assert desk.debit_of(answer) == (202, -202, "unknown", "unknown")
        other = desk.call(key="other", pPayInfo=LATER)
        assert other.json()["code"] in ("reader-timeout", "debit-open") and desk.debits == 1
    finally:
        card.let.set()
    wait_until(lambda: desk.call().status_code == 200, "the card is asked, when it answers again")
    assert desk.call().json()["pOutInfo"] == DONE
    assert desk.debits == 1 and desk.totals[0] == before + 1


def test_an_answer_that_comes_late_is_in_the_journal(desk: Desk) -> None:
    """No caller asks: the thread that was left alone writes down what the card says in the end."""
    card = hanging(desk, DEBIT, done=False)
    assert desk.call().status_code == 202
    card.let.set()
    journal = desk.bridge.app.state.bridge.running.debits._place.opened
    wait_until(lambda: bool(journal.counts().get("committed")), "it is committed")
    assert desk.call().json()["pOutInfo"] == DONE and desk.debits == 1


def test_a_pin_that_hangs_before_the_debit_is_a_doubt_about_the_pin(desk: Desk) -> None:
    card = hanging(desk, PIN, done=False)
    try:
        answer = desk.call()
        assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (
            409, "pin-outcome-unknown", False,
        )  # fmt: skip
        assert desk.debits == 0
    finally:
        card.let.set()
    wait_until(lambda: desk.call(key="second").status_code == 200, "another debit is done when the card is back")


def test_a_page_that_is_revoked_in_the_midst_of_its_debit_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path, site_options=SiteOptions(command_seconds=30))
    page, grant = desk.bridge.pair(PAGE, Scope.BASIC, Scope.PIN, Scope.SETTLE)
    card = hanging(desk, DEBIT, done=False)
    try:
        call = Call(lambda: desk.call(client=page))
        assert card.asked.wait(10)
        desk.bridge.client.delete(f"/v1/grants/{grant}").raise_for_status()
        assert call.code == "debit-unknown"
        assert call.answer is not None and not call.answer.json()["retryable"]
    finally:
        card.let.set()
        desk.bridge.stop()
    assert desk.debits == 1
