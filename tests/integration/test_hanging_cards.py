"""Cards that fall silent in a command, over real PC/SC: what was at the card is unknown, and the reader comes back."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cardio.models.readers import ReaderStatus
from simulators.card.base import AnyCard
from simulators.card.faults import FaultyCard
from simulators.personas.persona import find_persona
from tests.integration.bridges import NAME, BridgeProcess, InCommand, in_parallel, refused, served
from tests.pcsc import Daemon, Slot, wait_until
from tests.unit.cardio.debits.debits import ANY_YEAR, DEBIT, moment, soft_sam

pytestmark = pytest.mark.pcsc
ADULT, CHILD = find_persona("adult"), find_persona("child")
VERIFY, READ = 0x20, 0xB2
CARD = "370200D15600000500000010FFFFFFFF||"
SECOND = {"CARDIO_BRIDGE_READERS__COMMAND_SECONDS": "1"} | ANY_YEAR
"""In place of ten. Operations may take a minute; the client of these tests waits less."""


@pytest.fixture
def silent() -> Iterator[InCommand]:
    fault = InCommand()
    yield fault
    fault.told.set()


def falls_silent(card: AnyCard, fault: InCommand, kind: Callable[[bytes], bool]) -> FaultyCard:
    return FaultyCard(card, lambda good, command: fault(good, command) if kind(command) else good.transmit(command))


def in_verify(command: bytes) -> bool:
    return command[1] == VERIFY and len(command) > 5


@contextmanager
def serving(folder: Path, *slots: Slot, scopes: str = "basic,files,pin") -> Iterator[BridgeProcess]:
    with served(folder, "--scopes", scopes, environment=SECOND) as bridge:
        for one in slots:
            bridge.wait_for(one.reader.name, ReaderStatus.CARD)
        yield bridge


def verify(bridge: BridgeProcess, slot: Slot) -> httpx.Response:
    return bridge.client.post(f"/v1/readers/{slot.reader.name}/card/pin/verify", json={"pin": "654321"})


def test_a_pin_at_a_card_that_hangs(tmp_path: Path, slots: list[Slot], slot: Slot, silent: InCommand) -> None:
    slot.insert(falls_silent(ADULT.card(), silent, in_verify))
    slots[2].insert(CHILD.card())
    try:
        with serving(tmp_path, slot, slots[2]) as bridge:
            answer, _ = in_parallel(lambda: verify(bridge, slot), lambda: silent.asked.wait(10))
            assert not refused(answer, 409, "pin-outcome-unknown")["retryable"]
            for again in (verify(bridge, slot), bridge.card(slot.reader.name)):
                assert "未发送" in refused(again, 504, "reader-timeout")["detail"]
            bridge.reads(slots[2].reader.name, "测小小")
            silent.told.set()
            wait_until(lambda: bridge.card(slot.reader.name).status_code == 200, "it is read, without a new start")
            assert bridge.card(slot.reader.name).json()["holder"]["name"] == NAME
            status = bridge.client.get(f"/v1/readers/{slot.reader.name}/card/pin").json()
            assert status["tries_left"] in (None, 2), "one try was spent, and one only"
    finally:
        slots[2].remove()


def test_a_service_that_is_stopped_while_a_card_has_a_pin(tmp_path: Path, slot: Slot, silent: InCommand) -> None:
    slot.insert(falls_silent(ADULT.card(), silent, in_verify))
    with serving(tmp_path, slot) as bridge:

        def stop() -> None:
            assert silent.asked.wait(10)
            bridge.process.terminate()

        answer, _ = in_parallel(lambda: verify(bridge, slot), stop)
        assert not refused(answer, 409, "pin-outcome-unknown")["retryable"]
        assert bridge.process.wait(5) in (0, -signal.SIGTERM), (
            "no call waits for the card, the end of the process least of all"
        )
        silent.told.set()
        slot.wait_until_let_go()


def test_a_service_that_is_stopped_while_a_card_is_read(tmp_path: Path, slot: Slot, silent: InCommand) -> None:
    slot.insert(falls_silent(ADULT.card(), silent, lambda command: command[1] == READ))
    with serving(tmp_path, slot) as bridge:

        def stop() -> None:
            assert silent.asked.wait(10)
            bridge.process.terminate()

        answer, _ = in_parallel(lambda: verify(bridge, slot), stop)
        assert refused(answer, 503, "stopping")["retryable"]
        bridge.process.wait(5)
        silent.told.set()
        slot.wait_until_let_go()


def test_pcscd_that_dies_while_a_card_has_a_pin(tmp_path: Path, daemon: Daemon, slot: Slot, silent: InCommand) -> None:
    slot.insert(falls_silent(ADULT.card(), silent, in_verify))
    try:
        with serving(tmp_path, slot) as bridge:

            def kill() -> None:
                assert silent.asked.wait(10)
                daemon.stop(signal.SIGKILL)

            answer, _ = in_parallel(lambda: verify(bridge, slot), kill)
            assert not refused(answer, 409, "pin-outcome-unknown")["retryable"]
    finally:
        silent.told.set()
        slot.pull()
        if daemon.process is None:
            daemon.start()


def test_a_debit_at_a_card_that_hangs(tmp_path: Path, slot: Slot, silent: InCommand) -> None:
    settings = tmp_path / "config" / "cardio"
    settings.mkdir(parents=True)
    soft_sam(tmp_path)
    (settings / "security.toml").write_text(f'laboratory = true\nsam = "soft:{tmp_path / "keys.toml"}"\n')
    debits = 0

    def count(card: AnyCard, command: bytes) -> bytes:
        nonlocal debits
        if command[:2] == DEBIT:
            debits += 1
            return silent(card, command)
        return card.transmit(command)

    slot.insert(FaultyCard(find_persona("personalised").card(), count))
    asked = {"reader": slot.reader.name, "pCardInfo": CARD, "pPayInfo": f"0.1|0.2|{moment()}|", "pin": "123456"}
    with serving(tmp_path, slot, scopes="basic,files,pin,settle") as bridge:

        def debit() -> httpx.Response:
            return bridge.client.post("/v1/driver/iDoDebit", json=asked, headers={"Idempotency-Key": "k"})

        for _ in range(3):
            answer = debit()
            assert (answer.status_code, answer.json()["return"]) == (202, -202)
        silent.told.set()
        wait_until(lambda: debit().status_code == 200, "its end is known when the card has answered")
        assert debit().json()["debit"]["outcome"] == "done"
    assert debits == 1
