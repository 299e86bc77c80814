"""Which connection gives way when there are too many: by user, by age, and never one that has brought a token."""

from __future__ import annotations

import resource

import pytest

from service.gate.connection_places import ConnectionLimits, ConnectionPlaces, Place, available_descriptors

OWN, OTHER, THIRD = 2001, 2002, 2003


class Line:
    """A connection that knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def close_now(self) -> None:
        self.closed = True


class House:
    """Places for sixteen: four of others, two of one of them, four kept for those with a token."""

    def __init__(self) -> None:
        self.places = ConnectionPlaces(ConnectionLimits(in_all=16, of_others=4, of_one_other=2, kept=4, of_grant=6))
        self.lines: dict[Place, Line] = {}

    def come(self, user: int | None, grant: str = "", calls: int = 0) -> Place | None:
        line = Line()
        place = self.places.open(line, user, is_own=user == OWN)
        if place is not None:
            self.lines[place] = line
            place.calls = calls
            if grant:
                self.places.admit(place, grant)
        return place

    def open_of(self, user: int | None) -> int:
        return sum(not line.closed for place, line in self.lines.items() if place.user == user)


def test_another_users_oldest_gives_way_to_the_same_users_next() -> None:
    house = House()
    first, second, third = (house.come(OTHER) for _ in range(3))
    assert first is not None and second is not None and third is not None
    assert [house.lines[one].closed for one in (first, second, third)] == [True, False, False]


@pytest.mark.parametrize("user", [OTHER, None])
def test_one_other_user_takes_two_places_whatever_it_does(user: int | None) -> None:
    """Callers whom the system does not identify count as one user."""
    house = House()
    for _ in range(100):
        assert house.come(user) is not None
    assert house.open_of(user) == 2 and house.places.taken == 2


def test_all_other_users_together_take_four() -> None:
    house = House()
    for user in range(100_000, 100_100):
        assert house.come(user) is not None
    assert house.places.taken == 4
    mine = [house.come(OWN) for _ in range(12)]
    assert house.open_of(OWN) >= 8 and mine[-1] is not None and not house.lines[mine[-1]].closed


def test_an_other_users_connection_that_has_brought_a_token_stays() -> None:
    house = House()
    agent = house.come(OTHER, grant="prometheus")
    assert agent is not None
    for user in (OTHER, THIRD, None) * 30:
        house.come(user)
    assert not house.lines[agent].closed


def test_places_are_kept_for_those_with_a_token() -> None:
    """The user's own program leaks connections; each new one has its chance, and the last ones are the token's."""
    house = House()
    brought = [house.come(OWN, grant=f"page {number}", calls=1) for number in range(4)]
    for _ in range(50):
        assert house.come(OWN) is not None
    assert house.places.taken == 16
    assert all(one is not None and not house.lines[one].closed for one in brought)
    assert house.come(OWN, grant="one more", calls=1) is not None and house.places.taken == 16


def test_what_is_worked_on_gives_way_last() -> None:
    house = House()
    busy, idle = house.come(OTHER, calls=1), house.come(OTHER)
    assert busy is not None and idle is not None
    house.come(OTHER)
    assert house.lines[idle].closed and not house.lines[busy].closed


def test_the_user_with_the_most_gives_way() -> None:
    house = House()
    stranger = house.come(OTHER)
    assert stranger is not None
    for _ in range(30):
        house.come(OWN)
    assert not house.lines[stranger].closed


def test_one_token_does_not_take_all_places() -> None:
    house = House()
    for _ in range(30):
        house.come(OTHER, grant="agent", calls=1)
    own = [house.come(OWN, grant="local", calls=1) for _ in range(5)]
    assert all(one is not None and not house.lines[one].closed for one in own)


def test_a_full_house_of_tokens_lets_an_unused_connection_give_way_and_else_nobody_in() -> None:
    house = House()
    brought = [house.come(OWN, grant=f"page {number}", calls=1) for number in range(16)]
    assert house.come(OWN) is None
    assert brought[5] is not None
    brought[5].calls = 0
    assert house.come(OWN) is not None and house.lines[brought[5]].closed
    assert house.places.taken == 16


def test_a_place_that_is_given_back_twice_is_given_back_once() -> None:
    house = House()
    place = house.come(OWN)
    assert place is not None
    house.places.closed(place)
    house.places.closed(place)
    assert house.places.taken == 0


@pytest.mark.parametrize(
    ("files", "fits"),
    [
        (1024, ConnectionLimits(256, 64, 32, 64, 96)),
        (320, ConnectionLimits(256, 64, 32, 64, 96)),
        (128, ConnectionLimits(64, 16, 8, 16, 24)),
        (64, ConnectionLimits(16, 4, 2, 4, 6)),
    ],
)
def test_there_are_no_more_places_than_files(files: int, fits: ConnectionLimits) -> None:
    assert ConnectionLimits().reduced_to(files) == fits


def test_the_limit_of_files_is_raised_where_the_system_lets_it() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        assert available_descriptors() == min(hard, 1024) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
