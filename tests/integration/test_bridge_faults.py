"""What goes wrong at a counter, over HTTP: each its own answer, and then the bridge reads again, without a new start.

One bridge lives through all of it. What virtual readers cannot do is played at the edge to PC/SC, where its return
values come in.
"""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from smartcard import scard as raw

from cardio.model import EventKind, ReaderEvent, ReaderStatus
from cardio.readers import scard
from cardio.readers.base import Emit, Watch
from cardio.readers.pcsc import PcscReader, PcscSource
from simulators.faults import FaultyCard, PulledCard, with_fault
from simulators.personas import find_persona
from simulators.reader import AnyCard
from tests.integration.bridges import (
    FIRST_PORT,
    NAME,
    SECOND_PORT,
    Asker,
    BridgeHere,
    BridgeProcess,
    InCommand,
    client_for,
    configure_named,
    in_parallel,
    quicken,
    refused,
    served,
)
from tests.pcsc import RUN, Daemon, Slot, configure, find_slots, wait_until

pytestmark = pytest.mark.pcsc
ADULT, CHILD = find_persona("adult"), find_persona("child")
LIMIT = 10.0
"""Seconds within which every call is answered."""
GONE = ("80100069", "8010000C")
NO_SERVICE = ("8010001D", "8010001E", "80100003", "80100013")


@pytest.fixture(scope="module")
def whole_bridge(daemon: Daemon) -> Iterator[BridgeHere]:
    with BridgeHere() as made:
        yield made


@pytest.fixture
def bridge(whole_bridge: BridgeHere, slot: Slot) -> BridgeHere:
    """The one bridge, which knows that the first slot is empty."""
    whole_bridge.wait_for(slot.reader.name, ReaderStatus.EMPTY)
    return whole_bridge


@pytest.fixture
def every(bridge: BridgeHere, slots: list[Slot]) -> Iterator[list[Slot]]:
    """All four slots; whatever is in them afterwards is taken out."""
    yield slots
    for one in slots:
        one.pull()


def put_in(bridge: Asker, slot: Slot, card: AnyCard, seen: ReaderStatus = ReaderStatus.CARD) -> None:
    slot.insert(card, seen)
    bridge.wait_for(slot.reader.name, seen)


def take_out(bridge: Asker, slot: Slot) -> None:
    slot.remove()
    bridge.wait_for(slot.reader.name, ReaderStatus.EMPTY)


def reads_the_next_card(bridge: Asker, slot: Slot) -> None:
    """What is in is taken out, and a good card is read at once."""
    take_out(bridge, slot)
    put_in(bridge, slot, ADULT.card())
    assert bridge.card(slot.reader.name).json()["holder"]["name"] == NAME


class Timed:
    """A call is answered within the limit."""

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert kind is not None or time.monotonic() - self._started < LIMIT


class OtherProgram:
    """Another program at the same reader, in a process of its own, which does as it is told."""

    _SCRIPT = """
import sys
from smartcard import scard
_, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
share = scard.SCARD_SHARE_EXCLUSIVE if "exclusive" in sys.argv else scard.SCARD_SHARE_SHARED
result, card, _ = scard.SCardConnect(context, sys.argv[1], share, scard.SCARD_PROTOCOL_ANY)
if "transaction" in sys.argv:
    result = result or scard.SCardBeginTransaction(card)
print(result, flush=True)
how = sys.stdin.readline().strip()
scard.SCardDisconnect(card, scard.SCARD_RESET_CARD if how == "reset" else scard.SCARD_LEAVE_CARD)
scard.SCardReleaseContext(context)
"""

    def __init__(self, reader: str, *how: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._SCRIPT, reader, *how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        result = self._process.stdout.readline()
        if result != "0\n":
            self.die()
            raise AssertionError(f"the other program did not get the card: {result}")

    def leave(self, how: str = "") -> None:
        """Lets the card go, as it is or by a reset, and ends."""
        self._process.communicate(how + "\n", timeout=10)

    def die(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self.die()


class Spoiled:
    """A function of PC/SC that gives something else, for as many calls as it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, instead: Any) -> None:
        self.calls = 0
        self.left = 0
        self.after = 0
        """Calls that go well before."""
        good: Callable[..., Any] = getattr(raw, name)

        def spoiled(*arguments: Any) -> Any:
            self.calls += 1
            if self.after or not self.left:
                self.after = max(0, self.after - 1)
                return good(*arguments)
            self.left -= 1
            return instead

        monkeypatch.setattr(raw, name, spoiled)


def signed(hresult: int) -> int:
    """As pyscard gives it."""
    return hresult - (1 << 32)


# -- reset by another program ------------------------------------------------------------------------


def test_a_reset_by_a_neighbour_begins_the_reading_again(
    bridge: BridgeHere, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pcscd lets nobody reset a card that is held; it can come after our connection and before our transaction."""
    put_in(bridge, slot, ADULT.card())
    results: list[int] = []
    begin = raw.SCardBeginTransaction

    def after_the_neighbour(handle: Any) -> int:
        if not results:
            other.leave("reset")
        results.append(begin(handle) & 0xFFFFFFFF)
        return int(signed(results[-1]) if results[-1] else 0)

    with OtherProgram(slot.reader.name) as other, Timed():
        monkeypatch.setattr(raw, "SCardBeginTransaction", after_the_neighbour)
        answer = bridge.card(slot.reader.name)
    assert answer.status_code == 200 and answer.json()["holder"]["name"] == NAME
    assert results == [0x80100068, 0]


def test_a_reset_in_the_middle_of_a_reading_begins_it_again(
    bridge: BridgeHere, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in(bridge, slot, ADULT.card())
    spoiled = Spoiled(monkeypatch, "SCardTransmit", [signed(scard.W_RESET), []])
    spoiled.after, spoiled.left = 2, 1
    assert bridge.card(slot.reader.name).json()["holder"]["name"] == NAME
    assert spoiled.left == 0


def test_a_program_that_resets_again_and_again(bridge: BridgeHere, slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(bridge, slot, ADULT.card())
    spoiled = Spoiled(monkeypatch, "SCardTransmit", [signed(scard.W_RESET), []])
    spoiled.left = 1000
    problem = refused(bridge.card(slot.reader.name), 409, "card-reset", "80100068")
    assert problem["driver_code"] == -3 and problem["retryable"]
    # A PIN is sent once, whatever happens.
    spoiled.calls = 0
    refused(bridge.driver("iVerifyPIN", reader=slot.reader.name, pin="123456"), 409, "card-reset", "80100068")
    assert spoiled.calls == 1
    spoiled.left = 0
    bridge.reads(slot.reader.name)


# -- pulled, changed, mute ---------------------------------------------------------------------------


@pytest.mark.parametrize("commands", [0, 2, 4, 6])
def test_a_card_pulled_in_the_middle_of_a_reading(bridge: BridgeHere, slot: Slot, commands: int) -> None:
    put_in(bridge, slot, PulledCard(ADULT.card(), commands, slot.pull))
    with Timed():
        answer = bridge.card(slot.reader.name)
    # vpcd may answer success with no bytes: then no number tells of it.
    problem = refused(answer, 409, "card-removed", *GONE, None)
    assert problem["driver_code"] == -2 and problem["retryable"]
    bridge.wait_for(slot.reader.name, ReaderStatus.EMPTY)
    assert refused(bridge.card(slot.reader.name), 404, "no-card", "8010000C")["driver_code"] == -2
    put_in(bridge, slot, ADULT.card())
    bridge.reads(slot.reader.name)


@pytest.mark.parametrize("result", [scard.W_REMOVED, scard.E_NO_SMARTCARD])
def test_both_numbers_for_a_card_that_has_gone(
    bridge: BridgeHere, slot: Slot, monkeypatch: pytest.MonkeyPatch, result: int
) -> None:
    put_in(bridge, slot, ADULT.card())
    spoiled = Spoiled(monkeypatch, "SCardTransmit", [signed(result), []])
    spoiled.after, spoiled.left = 3, 1
    refused(bridge.card(slot.reader.name), 409, "card-removed", f"{result:08X}")
    bridge.reads(slot.reader.name)


def test_another_card_between_two_calls(bridge: BridgeHere, slot: Slot) -> None:
    name = slot.reader.name
    put_in(bridge, slot, ADULT.card())
    first = bridge.card(name)
    session = first.headers["cardio-card-session"]
    slot.pull()
    slot.insert(CHILD.card())
    wait_until(lambda: (bridge.info(name) or {})["card_session"] not in (session, None), "the swap is seen")
    for answer in (
        bridge.card(name, session),
        bridge.driver("iReadCardBas", session, reader=name),
        bridge.driver("iReadCardBas_HSM_Step1", session, reader=name),
    ):
        assert refused(answer, 409, "card-changed")["driver_code"] == -22
    bridge.reads(name, "测小小")
    card = first.json()["card"]
    guarded = bridge.driver(
        "iReadCard", reader=name, pFileAddr="SSSEEF05|07|$",
        pCardInfo=f"{card['identification_code']}|{card['card_number']}|",
    )  # fmt: skip
    assert refused(guarded, 409, "card-changed")["driver_code"] == -22


def test_the_same_card_put_in_again_is_another_session(bridge: BridgeHere, slot: Slot) -> None:
    """Who has looked away cannot know that it is the same."""
    name = slot.reader.name
    card = ADULT.card()
    put_in(bridge, slot, card)
    session = bridge.card(name).headers["cardio-card-session"]
    take_out(bridge, slot)
    refused(bridge.card(name, session), 404, "no-card")
    put_in(bridge, slot, card)
    refused(bridge.card(name, session), 409, "card-changed")
    bridge.reads(name)


def test_a_mute_card(bridge: BridgeHere, slot: Slot) -> None:
    put_in(bridge, slot, with_fault(ADULT.card(), "mute"), ReaderStatus.MUTE)
    with Timed():
        answer = bridge.card(slot.reader.name)
    problem = refused(answer, 502, "card-mute", "80100066", "80100067")
    assert problem["driver_code"] == -4 and "芯片" in problem["remedy"]
    reads_the_next_card(bridge, slot)


# -- another program has it --------------------------------------------------------------------------


class Connections:
    """How many connections to cards are open or on their way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = 0
        connect, disconnect = raw.SCardConnect, raw.SCardDisconnect

        def connecting(*arguments: Any) -> Any:
            self.open += 1
            answer = connect(*arguments)
            self.open -= answer[0] != 0
            return answer

        def disconnecting(*arguments: Any) -> Any:
            self.open -= 1
            return disconnect(*arguments)

        monkeypatch.setattr(raw, "SCardConnect", connecting)
        monkeypatch.setattr(raw, "SCardDisconnect", disconnecting)


def test_a_transaction_that_is_never_granted(
    bridge: BridgeHere, every: list[Slot], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks is told in time; and when the card is free at last, nobody has it who does not wait any more."""
    connections = Connections(monkeypatch)
    for one in every[:2]:
        put_in(bridge, one, ADULT.card())
    names = [one.reader.name for one in every[:2]]
    with OtherProgram(names[0], "transaction") as first, OtherProgram(names[1], "transaction") as second:
        with Timed():
            answers = in_parallel(
                lambda: bridge.card(names[0]), lambda: bridge.driver("iReadCardBas_HSM_Step1", reader=names[1])
            )
        for answer in answers:
            refused(answer, 409, "reader-busy")
        first.leave()
        second.leave()
    wait_until(lambda: connections.open == 0, "nobody keeps the cards")
    for name in names:
        bridge.reads(name)


def test_a_page_that_is_revoked_while_its_step_waits_for_the_card(
    bridge: BridgeHere, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the card is free at last, it is not held for a page that is no more."""
    put_in(bridge, slot, ADULT.card())
    name, connections = slot.reader.name, Connections(monkeypatch)
    made = bridge.client.post("/v1/grants", json={"name": "x", "scopes": ["basic"]}).json()
    with (
        OtherProgram(name, "transaction") as other,
        client_for(str(bridge.client.base_url), made["token"]) as program,
    ):

        def revoke_then() -> None:
            wait_until(lambda: connections.open == 1, "it waits for the card")
            bridge.client.delete(f"/v1/grants/{made['grant']}").raise_for_status()
            other.leave()

        def step() -> None:
            with suppress(httpx.TransportError):  # it is cut off
                program.post("/v1/driver/iReadCardBas_HSM_Step1", json={"reader": name})

        in_parallel(step, revoke_then)
    wait_until(lambda: connections.open == 0, "nobody keeps the card")
    bridge.reads(name)


def test_an_exclusive_neighbour(bridge: BridgeHere, slot: Slot) -> None:
    put_in(bridge, slot, ADULT.card())
    with OtherProgram(slot.reader.name, "exclusive") as other:
        with Timed():
            refused(bridge.card(slot.reader.name), 409, "reader-busy", "8010000B")
        other.leave()
    bridge.reads(slot.reader.name)


def test_a_neighbour_that_dies_with_the_card(bridge: BridgeHere, slot: Slot) -> None:
    put_in(bridge, slot, ADULT.card())
    with OtherProgram(slot.reader.name, "transaction") as other, Timed():
        answer, _ = in_parallel(lambda: bridge.card(slot.reader.name), other.die)
    assert answer.status_code == 200, answer.text
    bridge.reads(slot.reader.name)


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
    """Too quick for anybody to notice, but the card that was named is not the one that is in now."""
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


@pytest.fixture
def arranged(daemon: Daemon, slot: Slot, tmp_path: Path) -> Iterator[Callable[[list[tuple[str, int]]], None]]:
    """Starts pcscd anew with other readers; two slots each."""
    ordinary = daemon.configuration

    def arrange(readers: list[tuple[str, int]]) -> None:
        daemon.stop()
        daemon.configuration = configure_named(tmp_path / str(time.monotonic_ns()), readers)
        daemon.start(readers=2 * len(readers))

    yield arrange
    daemon.stop()
    daemon.configuration = ordinary
    daemon.start()


def test_no_readers_and_then_some(
    bridge: BridgeHere, daemon: Daemon, slot: Slot, arranged: Callable[[list[tuple[str, int]]], None]
) -> None:
    arranged([])
    wait_until(lambda: bridge.is_ready() and bridge.info(slot.reader.name) is None, "no reader is listed")
    refused(bridge.card(slot.reader.name), 404, "reader-not-found")
    refused(bridge.driver("iReadCardBas"), 503, "no-reader")
    listing = bridge.client.get("/v1/readers").json()
    assert listing == {"readers": [], "problems": []}, "PC/SC runs; there is nothing in it"
    arranged([("Counter A", FIRST_PORT), ("Counter B", SECOND_PORT)])
    slot.insert(ADULT.card())
    bridge.reads(slot.reader.name)


def test_a_reader_is_renamed_and_another_is_moved(
    bridge: BridgeHere, slot: Slot, arranged: Callable[[list[tuple[str, int]]], None]
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


def test_the_system_refuses_the_bridge_from_the_start(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is told to start a service that runs looks for the fault in the wrong place."""
    with monkeypatch.context() as refusing:
        spoiled = Spoiled(refusing, "SCardEstablishContext", [signed(scard.W_SECURITY_VIOLATION), 0])
        spoiled.left = 1_000_000
        bridge = BridgeHere()
        wait_until(lambda: not bridge.is_ready(), "it is not ready")
        for answer in (bridge.card(slot.reader.name), bridge.client.get("/readyz")):
            problem = refused(answer, 503, "pcsc-unavailable", "8010006A")
            assert "polkit" in problem["detail_en"] and "权限" in problem["remedy"] and "pcscd" not in problem["remedy"]
        assert "权限" in bridge.client.get("/v1/readers").json()["problems"][0]["remedy"]
    put_in(bridge, slot, ADULT.card())
    bridge.reads(slot.reader.name)
    bridge.stop()


# -- cards that hang, contacts that are loose --------------------------------------------------------


def test_cards_that_never_answer(tmp_path: Path, bridge: BridgeHere, every: list[Slot]) -> None:
    """Two are silent, one's answer has no bytes, for which vpcd waits without end; the fourth is read all the time.

    The bridge is a process of its own: PC/SC may have every call of a process wait for one that hangs.
    """
    slot, stepped, empty, good = every
    fault, other_fault = InCommand(), InCommand()
    slot.insert(FaultyCard(ADULT.card(), fault))
    stepped.insert(FaultyCard(ADULT.card(), other_fault))
    empty.insert(FaultyCard(ADULT.card(), lambda card, command: b""))
    good.insert(CHILD.card())

    def meanwhile(serving: BridgeProcess) -> None:
        assert fault.asked.wait(5) and other_fault.asked.wait(5)
        serving.reads(good.reader.name, "测小小")

    try:
        with served(tmp_path) as serving:
            for one in every:
                serving.wait_for(one.reader.name, ReaderStatus.CARD)
            with Timed():
                *answers, _ = in_parallel(
                    lambda: serving.card(slot.reader.name),
                    lambda: serving.driver("iReadCardBas_HSM_Step1", reader=stepped.reader.name),
                    lambda: serving.card(empty.reader.name),
                    lambda: meanwhile(serving),
                )
            for answer in answers:
                refused(answer, 504, "reader-timeout")
            serving.reads(good.reader.name, "测小小")
            for one in (slot, stepped, empty):
                reads_the_next_card(serving, one)
    finally:
        fault.told.set()
        other_fault.told.set()


@pytest.mark.parametrize("answer", [b"", b"\x90"], ids=["nothing", "one-byte"])
def test_answers_that_are_none(bridge: BridgeHere, slot: Slot, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    put_in(bridge, slot, with_fault(ADULT.card(), "one-byte") if answer else ADULT.card())
    spoiled = Spoiled(monkeypatch, "SCardTransmit", [0, list(answer)])
    spoiled.after, spoiled.left = 0, 0 if answer else 1_000_000
    with Timed():
        refused(bridge.card(slot.reader.name), 502, "card-garbled")
    spoiled.left = 0
    reads_the_next_card(bridge, slot)


def test_a_loose_contact(bridge: BridgeHere, daemon: Daemon, slot: Slot, tmp_path: Path) -> None:
    """More than twenty events a second, at a reader that tells them as quickly; vpcd's own tells two."""
    ordinary = daemon.configuration
    daemon.stop()
    daemon.configuration = configure(tmp_path)
    quicken(daemon.configuration)
    daemon.start()
    try:
        loose, quiet = find_slots()[0], find_slots()[2]
        bridge.wait_for(loose.reader.name, ReaderStatus.EMPTY)
        put_in(bridge, quiet, CHILD.card())
        before = (bridge.info(loose.reader.name) or {})["event_counter"]
        done = threading.Event()

        def ask_on() -> None:
            while not done.is_set():
                with Timed():
                    answer = bridge.card(loose.reader.name)
                assert answer.status_code == 200 or answer.json()["remedy"]
                bridge.reads(quiet.reader.name, "测小小")

        def shake() -> None:
            try:
                for _ in range(40):
                    loose.insert(ADULT.card())
                    loose.remove()
            finally:
                done.set()

        in_parallel(shake, ask_on, ask_on)
        bridge.wait_for(loose.reader.name, ReaderStatus.EMPTY)
        refused(bridge.card(loose.reader.name), 404, "no-card")
        put_in(bridge, loose, ADULT.card())
        info = bridge.info(loose.reader.name) or {}
        assert info["event_counter"] == before + 81 and info["atr"] == ADULT.atr.hex().upper()
        bridge.reads(loose.reader.name)
        loose.pull()
        quiet.pull()
    finally:
        daemon.stop()
        daemon.configuration = ordinary
        daemon.start()
