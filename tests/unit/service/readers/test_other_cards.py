"""Cards that are none of ours, that hang, or hold no text, over HTTP: the same outcome by every route."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from service.gate.scopes import Scope
from simulators.personas.persona import find_persona
from tests.field.quirky_card import QuirkyCard, cases
from tests.unit.service.bridge import FIRST, Bridge


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge("adult", scopes=frozenset(Scope))
    yield made
    made.stop()


def _put_in(bridge: Bridge, case: str) -> QuirkyCard:
    card = next(one for one in cases() if one.name == case).card()
    reader = bridge.readers.reader(FIRST)
    assert reader is not None
    reader.insert(card)
    return card


@pytest.mark.parametrize("case", ["nine-thousand-to-select", "another-applications-name", "storage-card"])
def test_a_card_that_is_none_of_ours_is_no_success_in_any_route(bridge: Bridge, case: str) -> None:
    """Not an empty reading, and for 1101 no call for a PSAM or a PIN."""
    _put_in(bridge, case)
    for path in ("card", "card?supplement=false", "card/nhsa-1101", "card/files"):
        answer = bridge.client.get(f"/v1/readers/{FIRST}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (422, "not-a-social-security-card"), path
    driver = bridge.client.post("/v1/driver/iReadCardBas", json={"reader": FIRST})
    assert driver.json()["driver_code"] == -1


def test_a_name_that_is_no_text_is_an_error_of_the_data(bridge: Bridge) -> None:
    _put_in(bridge, "name-is-no-text")
    answer = bridge.client.get(f"/v1/readers/{FIRST}/card/nhsa-1101").json()
    assert (answer["code"], answer["driver_code"]) == ("file-unreadable", -15) and "姓名" in answer["detail"]
    driver = bridge.client.post("/v1/driver/iReadCardBas", json={"reader": FIRST}).json()
    assert driver["driver_code"] == -15


def test_a_card_that_hangs_after_its_basic_data_has_given_them(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.readers.managed_reader.OPERATION_SECONDS", 1.5)
    released = threading.Event()
    card = find_persona("adult").card()

    class Hanging:
        atr = card.atr

        def reset(self) -> None:
            card.reset()

        def transmit(self, command: bytes) -> bytes:
            if command[1] == 0xA4 and command[-2:] == b"\xdf\x01":
                released.wait(20)
            return card.transmit(command)

    reader = bridge.readers.reader(FIRST)
    assert reader is not None
    reader.insert(Hanging())
    try:
        answer = bridge.client.get(f"/v1/readers/{FIRST}/card")
    finally:
        released.set()
    assert answer.status_code == 200 and answer.json()["holder"]["name"] == "测试甲"
    assert [one["reason"] for one in answer.json()["unread"]] == ["out-of-time"] * 3
