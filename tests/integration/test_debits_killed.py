"""Debits over real PC/SC, with the bridge killed (kill -9) at each step of the journal.

The software card lives in a process of its own and keeps its memory in a file; it stays, is pulled, or is swapped while
the bridge is dead. However it ends, the card is debited once when it is over, and the journal says so.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cardio.models.readers import ReaderStatus
from tests.integration.bridges import CARDIO, BridgeProcess, served
from tests.pcsc import Slot
from tests.unit.cardio.debits.debits import ANY_YEAR, moment, soft_sam

pytestmark = pytest.mark.pcsc
TIME, LATER = moment(ago=1), moment()
CARD = "370200D15600000500000010FFFFFFFF||"
DIES_AT = """
import os, signal, sys
from service.debits.journal import Journal
state, before = sys.argv.pop(1), sys.argv.pop(1) == "before"
transition = Journal.transition

def dies(journal, debit, attempt, to, **facts):
    if to.value == state and before:
        os.kill(os.getpid(), signal.SIGKILL)
    transition(journal, debit, attempt, to, **facts)
    if to.value == state:
        os.kill(os.getpid(), signal.SIGKILL)

Journal.transition = dies
from cardio.cli.main import run
sys.argv[0] = "cardio"
run()
"""
CARD_DIES = """
import os, signal, sys
from simulators.card.software_card import SoftwareCard
after = sys.argv.pop(1) == "after"
transmit = SoftwareCard.transmit

def dies(card, command):
    if command[:2] == bytes.fromhex("B02C"):
        if after:
            transmit(card, command)
        os.kill(os.getpid(), signal.SIGKILL)
    return transmit(card, command)

SoftwareCard.transmit = dies
from cardio.cli.main import run
sys.argv[0] = "cardio"
run()
"""
STEPS = {
    "prepared": ("prepared", "after", "begins anew"),
    "initialised": ("initialised", "after", "begins anew"),
    "armed": ("armed", "after", "begins anew"),
    "sent": ("sent", "after", "not done"),
    "answered": ("committed", "before", "done"),
    "committed": ("committed", "after", "done"),
    "handed over": ("delivered", "before", "done"),
    "delivered": ("delivered", "after", "done"),
}
"""Which step is the last, whether it comes to the disk, and what the same key finds afterwards."""
ANSWERED = ("handed over", "delivered")
"""The caller has its answer before the bridge dies: that it has it is noted afterwards."""
HELD = {"answered": "debit-open", "committed": "debit-undelivered", "handed over": "debit-undelivered"}
"""The answer to another key while, by the journal, no caller has the debit's result."""


class Till:
    """A folder with a bridge's settings, keys and journal, and a card in a process of its own."""

    def __init__(self, folder: Path, slot: Slot) -> None:
        self.folder = folder
        self.slot = slot
        self.memory = folder / "card.json"
        settings = folder / "config" / "cardio"
        settings.mkdir(parents=True)
        soft_sam(folder)
        (settings / "security.toml").write_text(f'laboratory = true\nsam = "soft:{folder / "keys.toml"}"\n')
        self._card: subprocess.Popen[bytes] | None = None

    def put_in(self, persona: str = "personalised", program: Sequence[str] = (str(CARDIO),)) -> None:
        memory = self.memory if persona == "personalised" else self.folder / f"{persona}.json"
        self._card = subprocess.Popen(
            [*program, "sim", "run", persona, "--vpcd", f"127.0.0.1:{self.slot.port}", "--memory", memory],
            stdout=subprocess.DEVNULL,
        )
        self.slot.wait_for(ReaderStatus.CARD)

    def pull(self) -> None:
        if self._card is not None:
            self._card.terminate()
            self._card.wait()
            self._card = None
            self.slot.wait_for(ReaderStatus.EMPTY)

    @contextmanager
    def bridge(self, *program: str) -> Iterator[BridgeProcess]:
        with served(
            self.folder, "--scopes", "basic,files,pin,settle", environment=ANY_YEAR, program=program or (str(CARDIO),)
        ) as bridge:
            bridge.wait_for(self.slot.reader.name, self.slot.reader.info().status)
            yield bridge

    def debit(self, bridge: BridgeProcess, key: str = "k", time: str = TIME) -> httpx.Response:
        asked = {"reader": self.slot.reader.name, "pCardInfo": CARD, "pPayInfo": f"0.1|0.2|{time}|", "pin": "123456"}
        return bridge.client.post("/v1/driver/iDoDebit", json=asked, headers={"Idempotency-Key": key})

    @property
    def purse(self) -> dict[str, Any]:
        """What the card keeps of money, in its own file."""
        purse: dict[str, Any] = json.loads(self.memory.read_text())["purse"]
        return purse


@pytest.fixture
def till(tmp_path: Path, slot: Slot) -> Iterator[Till]:
    made = Till(tmp_path, slot)
    yield made
    made.pull()


@pytest.mark.parametrize("card", ["stays", "pulled", "swapped"])
@pytest.mark.parametrize("step", STEPS)
def test_a_bridge_that_is_killed_debits_once(till: Till, step: str, card: str) -> None:
    state, when, found = STEPS[step]
    till.put_in()
    with till.bridge(sys.executable, "-c", DIES_AT, state, when) as bridge:
        if step in ANSWERED:
            assert till.debit(bridge).json()["debit"]["state"] == "delivered"
        else:
            with pytest.raises(httpx.TransportError):
                till.debit(bridge)
        assert bridge.process.wait(10) == -signal.SIGKILL
    till.slot.wait_until_let_go()
    if card != "stays":
        till.pull()
    if card == "swapped":
        till.put_in("adult")
    with till.bridge() as bridge:
        if card == "swapped":
            other = till.debit(bridge)
            assert {"begins anew": 409, "not done": 202, "done": 202 if step == "answered" else 200}[found] == (
                other.status_code
            ), other.text
            till.pull()
        if card != "stays":
            till.put_in()
            bridge.wait_for(till.slot.reader.name, ReaderStatus.CARD)
        if step in HELD and card != "swapped":
            refused = till.debit(bridge, "another", LATER)
            assert (refused.status_code, refused.json()["code"]) == (409, HELD[step]), refused.text
        answer = till.debit(bridge)
        if found == "not done":
            assert (answer.status_code, answer.json()["code"]) == (409, "debit-not-done"), answer.text
            answer = till.debit(bridge, "another", LATER)
        assert answer.status_code == 200 and answer.json()["debit"]["outcome"] == "done", answer.text
        assert (answer.json()["debit"]["result"]["known_by"] == "proof") == (step == "answered")
        assert till.debit(bridge, "another" if found == "not done" else "k", answer.json()["debit"]["time"]).json() == (
            answer.json()
        ), "and again the same"
        done = [one for one in bridge.client.get("/v1/debits").json()["debits"] if one["outcome"] == "done"]
        assert len(done) == 1
    purse = till.purse
    assert (purse["offline_counter"], purse["self_paid_total"], purse["pooled_fund_total"]) == (13, 3160, 20620)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_card_that_dies_in_its_debit(till: Till, when: str) -> None:
    """Its process is killed before it has kept what it does, or after it, and before it has answered."""
    till.put_in(program=(sys.executable, "-c", CARD_DIES, when))
    with till.bridge() as bridge:
        lost = till.debit(bridge)
        assert (lost.status_code, lost.json()["return"]) == (202, -202), lost.text
        till.pull()
        till.put_in()
        bridge.wait_for(till.slot.reader.name, ReaderStatus.CARD)
        found = till.debit(bridge)
        if when == "before":
            assert (found.status_code, found.json()["code"]) == (409, "debit-not-done"), found.text
            found = till.debit(bridge, "another", LATER)
        assert found.json()["debit"]["outcome"] == "done", found.text
    assert till.purse["offline_counter"] == 13
