"""Readers whose names are not ASCII (pyscard #106, #121), over a real pcscd: they work like any other."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from cardio.card.runner import read_card
from cardio.readers.pcsc import PcscReader, PcscSource
from tests.integration.bridge_faults import ADULT
from tests.integration.bridges import CARDIO, FIRST_PORT, NAME, SECOND_PORT, BridgeHere
from tests.pcsc import Slot, wait_until

pytestmark = pytest.mark.pcsc
Arrange = Callable[[list[tuple[str | bytes, int]]], None]
NAMES = [
    pytest.param("德卡T10 社保读卡器", "德卡T10 社保读卡器 00 00", id="utf-8"),
    pytest.param("德卡T10 社保读卡器".encode("gbk"), "德卡T10 社保读卡器 00 00 [GBK]", id="gbk"),
    pytest.param("Lecteur à puce".encode("latin-1"), "Lecteur à puce 00 00 [Latin-1]", id="latin-1"),
]


@pytest.mark.parametrize(("raw", "name"), NAMES)
def test_a_card_in_a_reader_of_any_name_is_read(
    bridge: BridgeHere, slot: Slot, arranged: Arrange, raw: str | bytes, name: str
) -> None:
    arranged([(raw, FIRST_PORT), ("Counter B", SECOND_PORT)])
    assert name in [reader.name for reader in PcscSource().readers()]
    named, plain = Slot(PcscReader(name), FIRST_PORT), Slot(PcscReader("Counter B 00 00"), SECOND_PORT)
    named.insert(ADULT.card())
    plain.insert(ADULT.card())
    assert (holder := read_card(named.reader).holder) is not None and holder.name == NAME
    bridge.reads(name)
    bridge.reads("Counter B 00 00")
    named.remove()
    wait_until(lambda: bridge.status(name) == "empty", "the bridge sees the card leave")
    assert bridge.is_ready()
    plain.remove()


@pytest.mark.parametrize(("raw", "name"), NAMES)
def test_commands_name_it(slot: Slot, arranged: Arrange, raw: str | bytes, name: str) -> None:
    arranged([(raw, FIRST_PORT), ("Counter B", SECOND_PORT)])
    for command in ("readers", "doctor"):
        done = subprocess.run([CARDIO, command, "--json"], capture_output=True)
        assert b"Traceback" not in done.stderr and name in json.dumps(json.loads(done.stdout), ensure_ascii=False)
    done = subprocess.run([CARDIO, "read", "--reader", name, "--json"], capture_output=True)
    assert json.loads(done.stdout)["error"]["code"] == "no-card"


def test_names_that_differ_in_their_bytes_only_are_two(bridge: BridgeHere, slot: Slot, arranged: Arrange) -> None:
    arranged([("德卡", FIRST_PORT), ("德卡".encode("gbk"), SECOND_PORT)])
    first, second = Slot(PcscReader("德卡 00 00"), FIRST_PORT), Slot(PcscReader("德卡 00 00 [GBK]"), SECOND_PORT)
    second.insert(ADULT.card())
    bridge.reads(second.reader.name)
    assert bridge.status(first.reader.name) == "empty"
    second.remove()
