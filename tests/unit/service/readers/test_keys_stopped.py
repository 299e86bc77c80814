"""A SAM that card after card refuses, at a bridge: it is stopped at every reader, said, and let go on by a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cardio.security.key_memory import KeyMemory
from service.gate.scopes import DEFAULT_SCOPES, OWNERS_SCOPES, Scope
from service.routes.keys import key_states
from service.security import SecurityContext
from simulators.readers.software_reader import SoftwareReader, SoftwareReaders
from tests.unit.service.bridge import Bridge
from tests.unit.wrong_keys import CountingCard, sam_right_for


@pytest.fixture
def cards(tmp_path: Path) -> list[CountingCard]:
    return [CountingCard(tmp_path / f"{number}.json", number) for number in range(1, 6)]


@pytest.fixture
def bridge(cards: list[CountingCard]) -> Iterator[Bridge]:
    """Five readers, each with another person's card, and a SAM whose keys are wrong but for IRK."""
    readers = [SoftwareReader(f"Reader {number}", card) for number, card in enumerate(cards, 1)]
    made = Bridge(
        "adult",
        sources=[SoftwareReaders(readers)],
        security=SecurityContext(sam=sam_right_for("IRK")),
        scopes=DEFAULT_SCOPES | OWNERS_SCOPES,
    )
    yield made
    made.stop()


def refusals(bridge: Bridge, number: int) -> set[str | None]:
    unread = bridge.client.get(f"/v1/readers/Reader {number}/card").json()["unread"]
    return {one["error"] for one in unread if one["file"] == "SSSE/EF06"}


def test_it_is_stopped_for_all_readers_said_and_goes_on_by_a_persons_word(
    bridge: Bridge, cards: list[CountingCard]
) -> None:
    client = bridge.client
    assert client.get("/v1/status").json()["sams_stopped"] == []
    assert [refusals(bridge, number) for number in (1, 2, 3)] == [{"authentication-failed"}] * 3
    assert refusals(bridge, 4) == {"sam-refused"} and refusals(bridge, 1) == {"key-already-refused"}
    assert cards[3].tries == {}
    status = client.get("/v1/status").json()
    (stopped,) = status["sams_stopped"]
    assert (stopped["key"], stopped["cards"], stopped["proved"]) == ("RKSSSE", 3, True)
    assert stopped["problem"]["code"] == "sam-refused" and "keys resume" in stopped["problem"]["remedy"]
    assert status["keys_problem"] is None
    assert "RKSSSE" in client.post("/v1/keys/resume").json()["resumed"][0]["key"]
    assert client.get("/v1/status").json()["sams_stopped"] == []
    assert refusals(bridge, 4) == {"authentication-failed"} and cards[3].tries == {"RKSSSE": 2}
    assert refusals(bridge, 1) == {"key-already-refused"} and cards[0].tries == {"RKSSSE": 2}


def test_only_who_manages_the_bridge_lets_it_go_on(bridge: Bridge) -> None:
    page, _ = bridge.pair("https://his.example.cn", Scope.BASIC)
    answer = page.post("/v1/keys/resume")
    assert answer.status_code == 403 and answer.json()["code"] == "no-scope"


def test_a_reading_by_the_driver_interface_has_the_reason_and_a_code(bridge: Bridge) -> None:
    for number in (1, 2, 3):
        refusals(bridge, number)
    answer = bridge.client.post("/v1/driver/iReadCardBas", json={"reader": "Reader 4"}).json()
    assert answer["driver_code"] == -11 and answer["code"] == "sam-refused" and "PSAM" in answer["remedy"], answer


@pytest.mark.parametrize("spoil", ["no-folder", "rubbish"])
def test_the_status_says_where_nothing_can_be_noted(spoil: str, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    memory = KeyMemory(place / "refused-keys.db")
    assert key_states([memory]) == ((), None) and not place.exists()
    if spoil == "no-folder":
        place.touch()
    else:
        memory.check()
        (place / "refused-keys.db").write_bytes(b"rubbish" * 1000)
    stopped, problem = key_states([memory])
    assert stopped == () and problem is not None and problem.code == "key-memory" and str(place) in problem.detail
