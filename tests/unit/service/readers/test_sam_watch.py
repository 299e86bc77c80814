"""The state of PSAM card and HSM: told when it changes, shown in the status."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from cardio.filesystem.capabilities import CapabilityCache
from cardio.models.readers import ReaderEvent
from service.app import SiteOptions
from service.events.hub import EventHub
from service.readers.registry import ReaderRegistry
from service.readers.sam_monitor import SamWatch
from service.security import SecurityContext
from simulators.card.base import AnyCard
from simulators.card.faults import FaultyCard
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader, SoftwareReaders
from tests.pcsc import wait_until
from tests.unit.service.bridge import FIRST, Bridge, events_in


def test_a_psam_that_is_pulled_and_an_hsm_that_goes() -> None:
    async def run() -> list[tuple[str, str]]:
        reader = SoftwareReader("ACS Slot 2", find_persona("adult").card())
        hub = EventHub()
        desks = ReaderRegistry([SoftwareReaders([reader])], CapabilityCache(None), hub)
        told: list[tuple[str, str]] = []
        hub.on_published.append(lambda kind, data: told.append((kind, data.get("kind", ""))))
        with socket.create_server(("127.0.0.1", 0)) as hsm:
            port = hsm.getsockname()[1]
            watch = SamWatch(["psam:Slot 2", f"hsm:http://127.0.0.1:{port}"], desks, hub)
            assert watch.states["psam"].state == "unknown"
            watching = SoftwareReaders([reader]).watch(desks.handle)
            await watch.check()
            await watch.check()  # told once
        reader.remove()
        await watch.check()
        watching.stop()
        desks.close()
        assert (watch.states["psam"].state, watch.states["hsm"].state) == ("down", "down")
        return [one for one in told if one[0].startswith("sam-")]

    assert asyncio.run(run()) == [("sam-up", "psam"), ("sam-up", "hsm"), ("sam-down", "psam"), ("sam-down", "hsm")]


@pytest.mark.parametrize(
    ("places", "state"),
    [
        (["psam:1"], "down"),  # the second reader, and not any with a 1 in its name
        (["psam:Counter 1 00 01"], "down"),
        (["psam:0"], "up"),
        (["psam:Counter 1"], "up"),  # several fit, one has a card: so it is opened
        (["psam:0", "psam:Slot 9"], "up"),  # one stands in for the other
    ],
)
def test_the_psam_that_is_looked_for_is_the_one_that_would_be_opened(places: list[str], state: str) -> None:
    async def run() -> str:
        adult = find_persona("adult").card()
        source = SoftwareReaders([SoftwareReader("Counter 1 00 00", adult), SoftwareReader("Counter 1 00 01")])
        for reader in source._readers:
            reader.simulated = False
        desks = ReaderRegistry([source], CapabilityCache(None), EventHub())
        watch = SamWatch(places, desks, EventHub())
        watching = source.watch(desks.handle)
        await watch.check()
        watching.stop()
        desks.close()
        return watch.states["psam"].state

    assert asyncio.run(run()) == state


def test_without_any_there_is_none() -> None:
    bridge = Bridge()
    try:
        status = bridge.client.get("/v1/status").json()
        assert (status["psam"]["state"], status["hsm"]["state"], status["pcsc"]) == ("none", "none", "off")
    finally:
        bridge.stop()


def test_a_psam_in_a_reader_shows_in_the_status_as_it_comes_and_goes() -> None:
    bridge = Bridge(security=SecurityContext(sam_places=("psam:Reader 00",)))
    try:
        wait_until(lambda: bridge.client.get("/v1/status").json()["psam"]["state"] == "up", "it is there")
        bridge.readers.remove(FIRST)
        wait_until(lambda: bridge.client.get("/v1/status").json()["psam"]["state"] == "down", "it has gone")
    finally:
        bridge.stop()


def test_a_card_that_is_read_before_it_is_told_of_is_told_all_the_same() -> None:
    bridge = Bridge()
    reader = bridge.readers.reader(FIRST)
    assert reader is not None
    try:
        with bridge.client.stream("GET", "/v1/events?readings=true") as stream:
            events = events_in(stream)
            assert next(events)["type"] == "cardio.state"
            late: list[ReaderEvent] = []
            listeners, reader._listeners = reader._listeners, [late.append]

            def report_first(card: AnyCard, command: bytes) -> bytes:
                reader._listeners = listeners
                while late:
                    event = late.pop(0)
                    for emit in listeners:
                        emit(event)
                return card.transmit(command)

            reader.insert(FaultyCard(find_persona("child").card(), report_first))
            assert bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200
            told: list[str] = []
            while not told or told[-1] != "cardio.read-finished":
                told.append(next(events)["type"])
            assert told[-2:] == ["cardio.card-read", "cardio.read-finished"]
    finally:
        bridge.stop()


def test_cards_are_read_as_they_come_where_a_site_wants_it() -> None:
    bridge = Bridge(site_options=SiteOptions(auto_read=True))
    try:
        with bridge.client.stream("GET", "/v1/events?readings=true") as stream:
            events = events_in(stream)
            assert next(events)["type"] == "cardio.state"
            bridge.readers.insert(FIRST, "child", None)
            told: list[dict[str, object]] = []
            while not told or told[-1]["type"] != "cardio.read-finished":
                event = next(events)
                if event["subject"] == FIRST and "测小小" in json.dumps(event, ensure_ascii=False):
                    told.append(event)
            assert [one["type"] for one in told] == ["cardio.card-read", "cardio.read-finished"]
    finally:
        bridge.stop()
