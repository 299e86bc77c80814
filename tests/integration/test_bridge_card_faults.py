"""What goes wrong with cards at a counter, over HTTP: each its own answer, and then the bridge reads again, without a
new start.

One bridge lives through all of it.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from smartcard import scard as raw

from cardio.errors import CardMuteError
from cardio.models.readers import ReaderStatus
from cardio.readers import named_calls, scard
from simulators.card.faults import FaultyCard, PulledCard, with_fault
from tests.integration.bridge_faults import (
    ADULT,
    CHILD,
    GONE,
    OtherProgram,
    Spoiled,
    Timed,
    put_in,
    reads_the_next_card,
    signed,
    take_out,
)
from tests.integration.bridges import (
    NAME,
    BridgeHere,
    BridgeProcess,
    InCommand,
    client_for,
    in_parallel,
    quicken,
    refused,
    served,
)
from tests.pcsc import Daemon, Slot, configure, find_slots, wait_until

pytestmark = pytest.mark.pcsc


# -- reset by another program ------------------------------------------------------------------------


def test_a_reset_by_a_neighbour_begins_the_reading_again(
    bridge: BridgeHere, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pcscd lets no program reset a card that is held; it can come after our connection and before our transaction."""
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
        connect, disconnect = named_calls.connect, raw.SCardDisconnect

        def connecting(*arguments: Any) -> Any:
            self.open += 1
            answer = connect(*arguments)
            self.open -= answer[0] != 0
            return answer

        def disconnecting(*arguments: Any) -> Any:
            self.open -= 1
            return disconnect(*arguments)

        monkeypatch.setattr(named_calls, "connect", connecting)
        monkeypatch.setattr(raw, "SCardDisconnect", disconnecting)


def test_a_transaction_that_is_never_granted(
    bridge: BridgeHere, every: list[Slot], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every caller is answered in time; and when the card is free at last, no caller that has left holds it."""
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
    wait_until(lambda: connections.open == 0, "no connection keeps the cards")
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
    wait_until(lambda: connections.open == 0, "no connection keeps the card")
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


def test_a_card_without_a_protocol_for_a_moment(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    """pcscd resets a card when a program dies with it; who connects in that moment is told 8010000F. Real pcscd does it
    too seldom to be waited for, so the first answer is played."""
    slot.insert(ADULT.card())
    connect, told = scard.Context.connect, [scard.E_PROTO_MISMATCH, scard.W_UNRESPONSIVE]

    def being_reset(context: scard.Context, name: str) -> scard.ConnectedCard:
        if told:
            raise scard.error_for(told.pop(0))
        return connect(context, name)

    monkeypatch.setattr(scard.Context, "connect", being_reset)
    with pytest.raises(CardMuteError) as mute:  # asked again; that it is mute is final
        slot.reader.connect()
    assert mute.value.hresult == scard.W_UNRESPONSIVE and not told
    told.append(scard.E_PROTO_MISMATCH)
    slot.reader.connect().close()


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
