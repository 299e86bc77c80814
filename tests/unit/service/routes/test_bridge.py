"""The bridge's answers, over a real socket, with software readers."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from cardio.errors import ConfigurationError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.readers.base import ReaderSource
from service.app import create_app
from service.gate.policy import Access
from service.ports.binding import bind_loopback
from service.readers.simulated import SimulatedReaders
from service.server import BridgeServer
from service.storage.secret_file import load_token
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader, SoftwareReaders
from tests.pcsc import wait_until

TOKEN = "T" * 43
NO_MEMORY = CapabilityCache(None)


class Bridge:
    def __init__(
        self, *personas: str, sources: Sequence[ReaderSource] = (), capabilities: CapabilityCache | None = NO_MEMORY
    ) -> None:
        self.readers = SimulatedReaders(list(personas) or ["adult", "third-closed"])
        sockets = bind_loopback(0)
        port = sockets[0].getsockname()[1]
        self.app = create_app([self.readers, *sources], capabilities=capabilities, simulated=self.readers)
        self.server = BridgeServer(self.app, Access.for_port(port, TOKEN))
        self.thread = threading.Thread(target=lambda: self.server.run(sockets=sockets), daemon=True)
        self.thread.start()
        wait_until(lambda: self.server.started, "the bridge has started")
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10
        )

    def stop(self) -> None:
        self.client.close()
        self.server.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge()
    yield made
    made.stop()


FIRST, SECOND = "Simulated Reader 00", "Simulated Reader 01"


class RealReader(SoftwareReader):
    """One that says that a real card is in it."""

    simulated = False


def test_software_cards_teach_nothing_about_real_ones(tmp_path: Path) -> None:
    """They have the ATRs of real families, and some are odd on purpose: a demonstration stands beside real readers."""
    kept = tmp_path / "cache" / "cardio" / "manners.json"
    real = RealReader("Reader One", find_persona("adult").card())
    made = Bridge("adult", sources=[SoftwareReaders([real])], capabilities=None)
    try:
        assert made.client.get(f"/v1/readers/{FIRST}/card").json()["holder"]["name"] == "测试甲"
        assert kept.with_name("simulated-manners.json").exists() and not kept.exists()
        assert made.client.get("/v1/readers/Reader One/card").json()["holder"]["name"] == "测试甲"
        assert kept.exists()
    finally:
        made.stop()


def test_readers_and_what_is_in_them(bridge: Bridge) -> None:
    listing = bridge.client.get("/v1/readers").json()
    assert [(r["name"], r["status"], r["simulated"]) for r in listing["readers"]] == [
        (FIRST, "card", True),
        (SECOND, "card", True),
    ]
    assert listing["problems"] == []
    bridge.readers.remove(FIRST)
    wait_until(lambda: bridge.client.get("/v1/readers").json()["readers"][0]["status"] == "empty", "it is empty")


def test_a_card_and_its_holder(bridge: Bridge) -> None:
    answer = bridge.client.get(f"/v1/readers/{FIRST}/card")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store" and answer.headers["x-request-id"]
    assert answer.json()["holder"]["name"] == "测试甲"
    basic = bridge.client.get(f"/v1/readers/{FIRST}/card", params={"supplement": "false"}).json()
    assert basic["holder"]["name"] == "测试甲" and basic["unread"] == []
    closed = bridge.client.get(f"/v1/readers/{SECOND}/card").json()
    assert closed["holder"] is None and closed["unread"][0]["driver_code"] == -2201


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("mute", 502, "card-mute"),
        ("bank-card", 422, "not-a-social-security-card"),
        ("blocked", 422, "card-blocked"),
        ("endless-61", 502, "card-garbled"),
        ("one-byte", 502, "card-garbled"),
    ],
)
def test_a_fault_is_a_problem_with_cause_and_remedy(bridge: Bridge, fault: str, status: int, code: str) -> None:
    assert (
        bridge.client.put(f"/v1/simulator/readers/{FIRST}/card", json={"persona": "adult", "fault": fault}).status_code
        == 204
    )
    answer = bridge.client.get(f"/v1/readers/{FIRST}/card")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["status"]) == (code, status)
    assert problem["remedy"] and problem["remedy_en"] and problem["request_id"] == answer.headers["x-request-id"]
    bridge.client.put(f"/v1/simulator/readers/{FIRST}/card", json={"persona": "child"})
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").json()["holder"]["name"] == "测小小"


def test_no_card_no_reader_no_address_wrong_method_wrong_words(bridge: Bridge) -> None:
    bridge.readers.remove(FIRST)
    for answer, status, code in (
        (bridge.client.get(f"/v1/readers/{FIRST}/card"), 404, "no-card"),
        (bridge.client.get("/v1/readers/nobody/card"), 404, "reader-not-found"),
        (bridge.client.get("/v1/nothing"), 404, "not-found"),
        (bridge.client.post("/v1/readers"), 405, "wrong-method"),
        (bridge.client.get(f"/v1/readers/{FIRST}/card?supplement=perhaps"), 400, "usage"),
        (bridge.client.put(f"/v1/simulator/readers/{FIRST}/card", json={"persona": "nobody"}), 400, "usage"),
        (bridge.client.put(f"/v1/simulator/readers/{FIRST}/card", content=b"{"), 400, "usage"),
        (bridge.client.get("/v1/events", headers={"Last-Event-ID": "x" * 65}), 400, "usage"),
        (bridge.client.get("/v1/readers/"), 404, "not-found"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (status, code)


class Stream:
    """One client of the event stream."""

    def __init__(self, client: httpx.Client, last: str | None = None) -> None:
        headers = {"Last-Event-ID": last} if last else {}
        self._context = client.stream("GET", "/v1/events", headers=headers)
        self._lines = self._context.__enter__().iter_lines()

    def next(self) -> tuple[str, str, Any]:
        """Kind, number and data of the next event."""
        frame: dict[str, str] = {}
        for line in self._lines:
            if not line and "event" in frame:
                return frame["event"], frame.get("id", ""), json.loads(frame["data"])["data"]
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                frame[name] = value
        raise AssertionError("the stream has ended")

    def close(self) -> None:
        self._context.__exit__(None, None, None)


def test_the_stream_begins_with_the_state_and_tells_every_change(bridge: Bridge) -> None:
    stream = Stream(bridge.client)
    kind, number, data = stream.next()
    assert kind == "state" and [r["name"] for r in data["readers"]] == [FIRST, SECOND]
    bridge.readers.remove(FIRST)
    removed = stream.next()
    bridge.readers.insert(FIRST, "child", None)
    inserted = stream.next()
    assert (removed[0], inserted[0]) == ("card-removed", "card-inserted")
    counts = [int(name.partition("-")[2]) for name in (number, removed[1], inserted[1])]
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]
    assert inserted[2]["reader"] == FIRST and inserted[2]["atr"].startswith("3B6D0000")
    stream.close()
    again = Stream(bridge.client, last=number)
    assert [again.next()[0] for _ in range(2)] == ["card-removed", "card-inserted"]
    again.close()
    for unknown in ("999999", "ffffffff-1", "x"):
        lost = Stream(bridge.client, last=unknown)
        assert lost.next()[0] == "state"
        lost.close()
    hub = bridge.app.state.bridge.running.hub
    wait_until(lambda: hub.subscribers == 0, "no client is subscribed any more")


def test_a_slow_card_holds_up_nobody_else(bridge: Bridge) -> None:
    """A reading of 3 s and more at one desk; the other desk and the listing answer meanwhile."""
    bridge.readers.insert(SECOND, "adult", "slow")
    slow = threading.Thread(target=lambda: bridge.client.get(f"/v1/readers/{SECOND}/card"))
    slow.start()
    answers = [bridge.client.get(f"/v1/readers/{FIRST}/card").status_code for _ in range(3)]
    listed = bridge.client.get("/v1/readers").status_code
    assert slow.is_alive() and answers == [200] * 3 and listed == 200
    bridge.readers.remove(SECOND)
    slow.join(10)


def test_more_than_four_waiting_are_told_to_come_again(bridge: Bridge) -> None:
    bridge.readers.insert(FIRST, "adult", "slow")
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda: codes.append(bridge.client.get(f"/v1/readers/{FIRST}/card").status_code))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: codes.count(429) == 2, "two are turned away at once", 2.5)
    turned_away = bridge.client.get(f"/v1/readers/{FIRST}/card")
    assert turned_away.json()["code"] == "queue-full" and int(turned_away.headers["retry-after"]) > 0
    bridge.readers.remove(FIRST)
    for thread in threads:
        thread.join(20)
    assert codes.count(429) == 2 and len(codes) == 6


def test_the_time_of_a_reading_includes_its_waiting(bridge: Bridge) -> None:
    """Three readings of a slow card: each is answered within ten seconds of its asking."""
    bridge.readers.insert(FIRST, "adult", "slow")
    took: list[tuple[float, int]] = []

    def read() -> None:
        started = time.monotonic()
        status = httpx.get(
            f"{bridge.client.base_url}/v1/readers/{FIRST}/card", headers=bridge.client.headers, timeout=60
        ).status_code
        took.append((time.monotonic() - started, status))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(seconds for seconds, _ in took) < 10
    assert sorted(status for _, status in took) == [409, 409, 504]


def test_a_hanging_card_holds_up_neither_the_next_card_nor_the_end() -> None:
    made = Bridge()
    hanging = threading.Event()

    class Hanging:
        atr = bytes.fromhex("3B00")

        def __init__(self) -> None:
            self.asked = threading.Event()

        def reset(self) -> None: ...

        def transmit(self, command: bytes) -> bytes:
            self.asked.set()
            hanging.wait(30)
            return b"\x6f\x00"

    reader = made.readers.reader(FIRST)
    assert reader is not None
    first, next_but_one = Hanging(), Hanging()
    reader.insert(first)
    statuses: list[int] = []
    stuck = threading.Thread(target=lambda: statuses.append(made.client.get(f"/v1/readers/{FIRST}/card").status_code))
    stuck.start()
    assert first.asked.wait(5)
    made.readers.insert(FIRST, "child", None)
    started = time.monotonic()
    wait_until(
        lambda: made.client.get(f"/v1/readers/{FIRST}/card").json().get("holder", {}).get("name") == "测小小",
        "the next card is read",
        3.0,
    )
    assert time.monotonic() - started < 3
    reader.insert(next_but_one)
    second = threading.Thread(target=lambda: statuses.append(made.client.get(f"/v1/readers/{FIRST}/card").status_code))
    second.start()
    assert next_but_one.asked.wait(5)
    started = time.monotonic()
    made.server.stop()
    made.thread.join(5)
    assert not made.thread.is_alive() and time.monotonic() - started < 2
    hanging.set()
    stuck.join(15)
    second.join(15)
    made.client.close()
    assert 500 not in statuses


def test_it_stops_soon_with_streams_open() -> None:
    made = Bridge()
    streams = [Stream(made.client) for _ in range(3)]
    for stream in streams:
        assert stream.next()[0] == "state"
    started = time.monotonic()
    made.server.stop()
    made.thread.join(5)
    assert not made.thread.is_alive() and time.monotonic() - started < 2


def test_the_description_names_every_address(bridge: Bridge) -> None:
    described = bridge.client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert {"/livez", "/readyz", "/v1/readers", "/v1/readers/{reader}/card", "/v1/events"} <= described["paths"].keys()
    assert "CardReading" in described["components"]["schemas"]
    open_to_all = {"/v1/hello", "/v1/pairing", "/v1/pairing/{request_id}", "/v1/pages/session"}
    for path, operations in described["paths"].items():
        for operation in operations.values():
            needs_token = (path.startswith("/v1/") and path not in open_to_all) or path == "/metrics"
            needs_token = needs_token or (path == "/v1/pairing" and operation is operations.get("get"))
            assert needs_token == ("security" in operation)
            assert "401" in operation["responses"] or not needs_token
            assert "HTTPValidationError" not in str(operation["responses"])
    assert bridge.client.head("/livez").status_code == 200


def test_the_token_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "cardio" / "token"
    token = load_token(path)
    assert len(token) >= 32 and load_token(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_token(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(ConfigurationError):
        load_token(path)
    with pytest.raises(ConfigurationError):
        load_token(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "link").symlink_to(path)
    for odd in ("pipe", "link"):
        with pytest.raises(ConfigurationError):
            load_token(tmp_path / odd)


def test_an_unused_connection_stays_longer_than_httpx_would_use_it_again(bridge: Bridge) -> None:
    """Else a program that asks every five seconds now and then asks into a connection that is being closed."""
    used_again = httpx.Limits().keepalive_expiry
    assert used_again is not None
    assert bridge.server.config.timeout_keep_alive > used_again
