"""The notices of `cardio reserve` about a port that another program has, and how often they come."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from cardio.cli.output import Output
from service.cli import desktop, reserve
from service.ports import reservation

PORT = 12340


class Windows:
    """A desktop that counts its windows."""

    def __init__(self) -> None:
        self.shown = 0

    def show(self, error: object) -> bool:
        self.shown += 1
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def go_on(seconds: float) -> None:
        now[0] += seconds

    return go_on


def test_a_port_that_changes_hands_all_the_time_is_told_once_in_ten_minutes(
    monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A user has thousands of subordinate numbers: each of them could have a window."""
    users, windows = count(100_000), Windows()
    monkeypatch.setattr(reservation, "other_user_at", lambda port, own: next(users))
    monkeypatch.setattr(desktop, "show_problem_from_unit", windows.show)
    notices = reserve._Notices(Output(as_json=False))
    for _ in range(299):
        notices.update({PORT}, PORT)
        clock(1.0)
        notices.update(set(), PORT)
        clock(1.0)
    assert windows.shown == 1 and len(capsys.readouterr().err.splitlines()) <= 2
    clock(10.0)
    notices.update({PORT}, PORT)
    assert windows.shown == 2


def test_a_window_is_tried_again_until_there_is_a_desktop(
    monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None]
) -> None:
    tried = list[bool]()

    def show(error: object) -> bool:
        tried.append(len(tried) == 3)
        return tried[-1]

    monkeypatch.setattr(reservation, "other_user_at", lambda port, own: 2002)
    monkeypatch.setattr(desktop, "show_problem_from_unit", show)
    notices = reserve._Notices(Output(as_json=False))
    for _ in range(100):
        notices.update({PORT}, PORT)
        clock(2.0)
    assert tried == [False, False, False, True]


def test_the_connections_of_an_older_bridge_are_waited_for_and_no_longer(
    monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None]
) -> None:
    windows = Windows()
    monkeypatch.setattr(reservation, "other_user_at", lambda port, own: None)
    monkeypatch.setattr(reservation, "has_own_listener", lambda port, own: False)
    monkeypatch.setattr("service.gate.tcp_table.has_connections", lambda port: True)
    monkeypatch.setattr(desktop, "show_problem_from_unit", windows.show)
    notices = reserve._Notices(Output(as_json=False))
    for _ in range(35):
        notices.update({PORT}, PORT)
        clock(2.0)
    assert windows.shown == 0
    notices.update({PORT}, PORT)
    assert windows.shown == 1


def test_a_port_that_stays_taken_is_told_once(monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None]) -> None:
    """A colleague who has only locked the screen has it for a day."""
    windows = Windows()
    monkeypatch.setattr(reservation, "other_user_at", lambda port, own: 2002)
    monkeypatch.setattr(desktop, "show_problem_from_unit", windows.show)
    notices = reserve._Notices(Output(as_json=False))
    for _ in range(1000):
        notices.update({PORT}, PORT)
        clock(2.0)
    assert windows.shown == 1


def test_a_vendors_service_at_a_dialects_port_is_for_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    windows = Windows()
    monkeypatch.setattr(reservation, "other_user_at", lambda port, own: 0)
    monkeypatch.setattr(desktop, "show_problem_from_unit", windows.show)
    reserve._Notices(Output(as_json=False)).update({12342}, PORT)
    assert windows.shown == 0 and "12342" in capsys.readouterr().err


def test_this_users_own_program_at_the_port_is_not_called_another_users(
    monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reservation, "other_user_at", lambda port, own: None)
    monkeypatch.setattr(reservation, "has_own_listener", lambda port, own: True)
    notices = reserve._Notices(Output(as_json=False))
    for _ in range(100):
        notices.update({PORT}, PORT)
        clock(2.0)
    assert capsys.readouterr().err == ""
