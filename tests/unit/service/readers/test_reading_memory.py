"""A card that has been read and has not left is not asked again; whatever may have changed it ends that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from cardio.models.reading import CardReading
from cardio.readers.policy_settings import ReaderSettings
from service import bootstrap
from service.app import SiteOptions
from service.gate.scopes import Scope
from service.readers.reading_memory import ReadingMemory
from service.settings import BridgeSettings
from simulators.personas.persona import find_persona
from tests.unit.service.bridge import Bridge


class Counter:
    """A bridge with one simulated reader, and the card in it."""

    def __init__(self, **options: Any) -> None:
        self.bridge = Bridge("adult", scopes=frozenset(Scope), site_options=SiteOptions(**options))

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> httpx.Response:
        place = f"/v1/readers/Simulated%20Reader%2000{path}"
        return self.bridge.client.request(method, place, json=body, params=query)

    def get(self, path: str = "", **query: Any) -> httpx.Response:
        answer = self.call("GET", f"/card{path}", **query)
        assert answer.status_code == 200, answer.text
        return answer

    def commands_of(self, path: str = "", **query: Any) -> int:
        """How many commands the card gets for one call."""
        before = self.bridge.commands
        self.get(path, **query)
        return self.bridge.commands - before


@pytest.fixture
def counter() -> Iterator[Counter]:
    made = Counter()
    yield made
    made.bridge.stop()


def test_a_card_is_asked_once_and_the_answer_says_when(counter: Counter) -> None:
    first = counter.get()
    assert counter.commands_of() == 0
    again = counter.get()
    assert again.json() == first.json()
    for name in ("Cardio-Read-At", "Cardio-Card-Session", "Cardio-Card-Proof"):
        assert again.headers[name] == first.headers[name]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.headers["Cardio-Read-At"])
    read_at = datetime.fromisoformat(first.headers["Cardio-Read-At"])
    assert timedelta(0) <= datetime.now(UTC) - read_at < timedelta(minutes=1)
    assert int(again.headers["Age"]) < 60
    assert counter.commands_of(fresh=True) > 0
    assert counter.get().headers["Cardio-Read-At"] > first.headers["Cardio-Read-At"]


def test_what_was_not_read_is_read(counter: Counter) -> None:
    counter.get(supplement=False)
    assert counter.commands_of(supplement=True) > 0
    assert counter.commands_of(supplement=True) == 0


def test_the_fields_for_the_national_insurance_come_from_it_too(counter: Counter) -> None:
    counter.get(supplement=False)
    assert counter.commands_of("/nhsa-1101") == 0


def test_another_insertion_is_read(counter: Counter) -> None:
    first = counter.get()
    place = "/v1/simulator/readers/Simulated%20Reader%2000/card"
    assert counter.bridge.client.delete(place).is_success
    assert counter.bridge.client.put(place, json={"persona": "adult"}).is_success
    again = counter.get()  # also before the bridge has been told of it
    assert again.headers["Cardio-Read-At"] > first.headers["Cardio-Read-At"]
    assert again.headers["Cardio-Card-Session"] != first.headers["Cardio-Card-Session"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/card/files/SSSE/EF05", None),
        ("POST", "/apdu", {"command": "00A4040007A0000000031010"}),
        ("POST", "/card/pin/verify", {"pin": "123456"}),
    ],
)
def test_whatever_else_is_done_with_the_card_ends_it(
    counter: Counter, method: str, path: str, body: dict[str, Any] | None
) -> None:
    counter.get()
    answer = counter.call(method, path, body)
    assert answer.status_code == 200, answer.text
    assert counter.commands_of() > 0


def test_a_card_that_was_swapped_unseen_is_read(counter: Counter) -> None:
    """PC/SC told nothing of it, and the count of its events is the same."""
    counter.get()
    slot = counter.bridge.readers.reader("Simulated Reader 00")
    assert slot is not None
    child = find_persona("child").card()
    child.reset()
    slot._card = child
    assert counter.get().json()["holder"]["name"] == "测小小"


def test_a_lease_of_another_keeps_it_from_the_caller(counter: Counter) -> None:
    counter.get()
    lease = counter.call("POST", "/lease", {"purpose": "x", "seconds": 30})
    assert lease.is_success, lease.text
    page, _ = counter.bridge.pair("https://his.example", Scope.BASIC)
    answer = page.get("/v1/readers/Simulated%20Reader%2000/card")
    assert (answer.status_code, answer.json()["code"]) == (409, "reader-leased")


def test_another_card_than_the_caller_named_is_not_answered(counter: Counter) -> None:
    counter.get()
    headers = {"Cardio-Card-Session": "00" * 8}
    answer = counter.bridge.client.get("/v1/readers/Simulated%20Reader%2000/card", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "card-changed")


def test_where_the_settings_say_so_each_call_asks_the_card() -> None:
    counter = Counter(memory_seconds=0)
    try:
        counter.get()
        assert counter.commands_of() > 0
    finally:
        counter.bridge.stop()


def test_the_setting_has_a_limit() -> None:
    assert ReaderSettings().memory_seconds == 60
    with pytest.raises(ValueError, match="600"):
        ReaderSettings(memory_seconds=601)


def test_the_setting_reaches_the_bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "cardio").mkdir()
    (tmp_path / "cardio" / "bridge.toml").write_text("[readers]\nmemory_seconds = 0\n")
    settings = BridgeSettings.load(port=0, simulate=["adult"], pcsc=False)
    assert bootstrap._site_options(settings).memory_seconds == 0


@pytest.mark.parametrize(
    ("seconds", "days", "is_found"), [(0.0, 0, True), (59.9, 0, True), (60.0, 0, False), (0.0, 1, False)]
)
def test_a_reading_is_kept_for_a_minute_of_one_day(counter: Counter, seconds: float, days: int, is_found: bool) -> None:
    reading = CardReading.model_validate_json(counter.get().text)
    now = [0.0]
    memory = ReadingMemory(60.0, clock=lambda: now[0])
    memory.keep(reading, "5e", supplement=True, uses=0, read_at=datetime.now(UTC) - timedelta(days=days))
    now[0] = seconds
    assert (memory.find("5e", supplement=True) is not None) is is_found


def test_a_reading_during_which_the_card_was_used_is_not_kept(counter: Counter) -> None:
    reading = CardReading.model_validate_json(counter.get().text)
    memory = ReadingMemory()
    memory.note_use()
    memory.keep(reading, "5e", supplement=True, uses=0, read_at=datetime.now(UTC))
    assert memory.find("5e", supplement=True) is None
