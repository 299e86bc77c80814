"""What goes wrong with PC/SC and its readers at a counter, over HTTP: each its own answer, and then the bridge reads
again, without a new start.

One bridge lives through all of it. What virtual readers cannot do is played at the edge to PC/SC, where its return
values come in.
"""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cardio.models.readers import EventKind, ReaderEvent, ReaderStatus
from cardio.readers import scard
from cardio.readers.base import Emit, Watch
from cardio.readers.pcsc import PcscReader, PcscSource
from simulators.card.faults import FaultyCard
from tests.integration.bridge_faults import (
    ADULT,
    NO_SERVICE,
    Spoiled,
    Timed,
    put_in,
    signed,
)
from tests.integration.bridges import (
    FIRST_PORT,
    SECOND_PORT,
    BridgeHere,
    InCommand,
    in_parallel,
    refused,
)
from tests.pcsc import RUN, Daemon, Slot, wait_until

pytestmark = pytest.mark.pcsc


# -- the service -------------------------------------------------------------------------------------


def test_the_service_does_not_run_when_the_bridge_starts(daemon: Daemon, slot: Slot) -> None:
    daemon.stop()
    with BridgeHere() as bridge:
        wait_until(lambda: not bridge.is_ready(), "it says that PC/SC is down")
        refused(bridge.client.get("/readyz"), 503, "pcsc-unavailable")
        refused(bridge.card(slot.reader.name), 503, "pcsc-unavailable")
        listing = bridge.client.get("/v1/readers").json()
        assert listing["readers"] == [] and listing["problems"][0]["remedy"]
        daemon.start()
        put_in(bridge, slot, ADULT.card())
        bridge.reads(slot.reader.name)
        assert bridge.is_ready()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_the_service_goes_and_comes_back(bridge: BridgeHere, daemon: Daemon, slot: Slot, how: int) -> None:
    put_in(bridge, slot, ADULT.card())
    bridge.reads(slot.reader.name)
    daemon.stop(how)
    refused(bridge.card(slot.reader.name), 503, "pcsc-unavailable", *NO_SERVICE, None)
    wait_until(lambda: not bridge.is_ready(), "it says that PC/SC is down")
    refused(bridge.card(slot.reader.name), 503, "pcsc-unavailable")
    refused(bridge.driver("iReadCardBas", reader=slot.reader.name), 503, "pcsc-unavailable")
    slot.pull()
    daemon.start()
    slot.insert(ADULT.card())
    bridge.reads(slot.reader.name)
    assert bridge.is_ready()


def test_the_service_restarts_between_two_calls(bridge: BridgeHere, daemon: Daemon, slot: Slot) -> None:
    """Too quick for the watch to notice, but the card that was named is not the one that is in now."""
    put_in(bridge, slot, ADULT.card())
    session = bridge.card(slot.reader.name).headers["cardio-card-session"]
    daemon.stop()
    slot.pull()
    daemon.start()
    slot.insert(ADULT.card())
    bridge.reads(slot.reader.name)
    refused(bridge.card(slot.reader.name, session), 409, "card-changed")


def test_why_it_is_away_is_said_as_it_is_now(
    bridge: BridgeHere, daemon: Daemon, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped, then closed to this user by a policy, then stopped again: each has its own remedy."""

    def remedy() -> str:
        return str(bridge.client.get("/readyz").json().get("remedy", ""))

    daemon.stop()
    wait_until(lambda: "pcscd" in remedy(), "it is to be started")
    with monkeypatch.context() as refusing:
        spoiled = Spoiled(refusing, "SCardEstablishContext", [signed(scard.W_SECURITY_VIOLATION), 0])
        spoiled.left = 1_000_000
        wait_until(lambda: "权限" in remedy(), "the administrator is to be asked")
    wait_until(lambda: "pcscd" in remedy(), "it is to be started")
    daemon.start()
    put_in(bridge, slot, ADULT.card())
    bridge.reads(slot.reader.name)


def test_a_service_that_listens_and_says_nothing(bridge: BridgeHere, daemon: Daemon, slot: Slot) -> None:
    """As systemd's socket does while pcscd is not up: who asks PC/SC waits; the bridge answers all the same."""
    daemon.stop()
    wait_until(lambda: not bridge.is_ready(), "it says that PC/SC is down")
    place = RUN / "pcscd.comm"
    try:
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(place))
            silent.listen()
            wait_until(lambda: bool(select.select([silent], [], [], 0)[0]), "the bridge has tried it")
            for path in ("/livez", "/readyz", "/v1/readers"):
                with Timed():
                    assert bridge.client.get(path).status_code in (200, 503)
            with Timed():
                refused(bridge.card(slot.reader.name), 503, "pcsc-unavailable")
    finally:
        place.unlink()
        daemon.start()
    put_in(bridge, slot, ADULT.card())
    bridge.reads(slot.reader.name)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
@pytest.mark.parametrize("step", [False, True], ids=["reading", "step"])
def test_the_service_goes_in_the_middle_of_a_command(
    bridge: BridgeHere, daemon: Daemon, slot: Slot, how: int, step: bool
) -> None:
    fault = InCommand()
    put_in(bridge, slot, FaultyCard(ADULT.card(), fault))
    name = slot.reader.name

    def stop_then() -> None:
        assert fault.asked.wait(5)
        daemon.stop(how)
        fault.told.set()

    with Timed():
        call = (lambda: bridge.driver("iReadCardBas_HSM_Step1", reader=name)) if step else (lambda: bridge.card(name))
        answer, _ = in_parallel(call, stop_then)
    refused(answer, 503, "pcsc-unavailable", *NO_SERVICE)
    wait_until(lambda: not bridge.is_ready(), "it says that PC/SC is down")
    slot.pull()
    daemon.start()
    slot.insert(ADULT.card())
    bridge.reads(name)


# -- readers -----------------------------------------------------------------------------------------


def test_no_readers_and_then_some(
    bridge: BridgeHere, daemon: Daemon, slot: Slot, arranged: Callable[[list[tuple[str | bytes, int]]], None]
) -> None:
    arranged([])
    wait_until(
        lambda: bridge.is_ready() and bridge.client.get("/v1/readers").json() == {"readers": [], "problems": []},
        "PC/SC runs; there is nothing in it",
    )
    refused(bridge.card(slot.reader.name), 404, "reader-not-found")
    refused(bridge.driver("iReadCardBas"), 503, "no-reader")
    arranged([("Counter A", FIRST_PORT), ("Counter B", SECOND_PORT)])
    slot.insert(ADULT.card())
    bridge.reads(slot.reader.name)


def test_a_reader_is_renamed_and_another_is_moved(
    bridge: BridgeHere, slot: Slot, arranged: Callable[[list[tuple[str | bytes, int]]], None]
) -> None:
    put_in(bridge, slot, ADULT.card())
    bridge.reads(slot.reader.name)
    slot.pull()
    arranged([("Counter B", SECOND_PORT), ("Window 1", FIRST_PORT)])
    moved, renamed = (next(one for one in find_readers() if start in one) for start in ("Counter B", "Window 1"))
    new = Slot(PcscReader(renamed), slot.port)
    new.insert(ADULT.card())
    bridge.reads(renamed)
    refused(bridge.card(slot.reader.name), 404, "reader-not-found")
    refused(bridge.card(moved), 404, "no-card")
    new.remove()


def find_readers() -> list[str]:
    return [reader.name for reader in PcscSource().readers()]


class OfTheOldName(PcscSource):
    """Readers as they were called a moment ago."""

    def watch(self, emit: Emit) -> Watch:
        emit(
            ReaderEvent(
                kind=EventKind.READER_ADDED, reader="Counter Z 00 00", simulated=False, atr=None, event_counter=None,
                time=datetime.now(UTC),
            )
        )  # fmt: skip
        return super().watch(emit)


def test_a_reader_that_was_called_so_a_moment_ago(slot: Slot) -> None:
    """PC/SC knows it no more; the bridge has not been told yet."""
    with BridgeHere(OfTheOldName()) as bridge:
        bridge.wait_for(slot.reader.name, ReaderStatus.EMPTY)
        refused(bridge.card("Counter Z 00 00"), 503, "reader-gone", "80100009")
        put_in(bridge, slot, ADULT.card())
        bridge.reads(slot.reader.name)


# -- what virtual readers cannot do ------------------------------------------------------------------


ANSWERS = {
    ("SCardTransmit", 0x80100001): (503, "reader-error"),
    ("SCardTransmit", 0x80100003): (503, "pcsc-unavailable"),
    ("SCardTransmit", 0x80100013): (503, "pcsc-unavailable"),
    ("SCardTransmit", 0x80100016): (409, "card-removed"),
    ("SCardTransmit", 0x80100017): (503, "reader-gone"),
    ("SCardTransmit", 0x8010001E): (503, "pcsc-unavailable"),
    ("SCardTransmit", 0x8010002F): (502, "card-garbled"),
    # No policy refuses this: pcsc-lite says so of a service that went in the very moment.
    ("SCardTransmit", 0x8010006A): (503, "pcsc-unavailable"),
    ("SCardConnect", 0x80100009): (503, "reader-gone"),
    ("SCardConnect", 0x8010000F): (502, "card-mute"),
    ("SCardConnect", 0x80100017): (503, "reader-gone"),
    ("SCardConnect", 0x8010002E): (503, "reader-gone"),
    ("SCardConnect", 0x80100065): (502, "card-mute"),
    ("SCardConnect", 0x80100067): (502, "card-mute"),
    ("SCardConnect", 0x8010006A): (403, "not-permitted"),
    ("SCardEstablishContext", 0x8010001D): (503, "pcsc-unavailable"),
    ("SCardEstablishContext", 0x8010006A): (403, "not-permitted"),
}
NOTHING: dict[str, list[Any]] = {"SCardTransmit": [[]], "SCardConnect": [0, 0], "SCardEstablishContext": [0]}


def test_each_number_has_its_answer(bridge: BridgeHere, slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as PC/SC says so; then the next reading succeeds at once."""
    put_in(bridge, slot, ADULT.card())
    found = {}
    for function, hresult in ANSWERS:
        with monkeypatch.context() as once:
            spoiled = Spoiled(once, function, [signed(hresult), *NOTHING[function]])
            spoiled.left = 1000
            answer = bridge.card(slot.reader.name)
            assert spoiled.left < 1000
        found[function, hresult] = (answer.status_code, answer.json()["code"])
        refused(answer, *found[function, hresult], f"{hresult:08X}")
        bridge.reads(slot.reader.name)
    assert found == ANSWERS


def test_a_service_that_dies_and_comes_back_is_no_policy(
    bridge: BridgeHere, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It resets its connections as it dies, and again as it starts; pcsc-lite calls both a security violation."""
    put_in(bridge, slot, ADULT.card())
    with monkeypatch.context() as twice:
        spoiled = Spoiled(twice, "SCardConnect", [signed(scard.W_SECURITY_VIOLATION), 0, 0])
        spoiled.left = 2
        bridge.reads(slot.reader.name)
        assert not spoiled.left


def test_the_system_refuses_the_bridge_from_the_start(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator who is told to start a running service looks for the fault in the wrong place."""
    with monkeypatch.context() as refusing:
        spoiled = Spoiled(refusing, "SCardEstablishContext", [signed(scard.W_SECURITY_VIOLATION), 0])
        spoiled.left = 1_000_000
        bridge = BridgeHere()
        wait_until(lambda: "权限" in bridge.client.get("/readyz").json().get("remedy", ""), "it says why")
        for answer in (bridge.card(slot.reader.name), bridge.client.get("/readyz")):
            problem = refused(answer, 503, "pcsc-unavailable", "8010006A")
            assert "polkit" in problem["detail_en"] and "权限" in problem["remedy"] and "pcscd" not in problem["remedy"]
        assert "权限" in bridge.client.get("/v1/readers").json()["problems"][0]["remedy"]
    put_in(bridge, slot, ADULT.card())
    bridge.reads(slot.reader.name)
    bridge.stop()
