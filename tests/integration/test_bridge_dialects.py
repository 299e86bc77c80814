"""Callers as they are in the field, over pcscd, at the ports that they have built in: nothing of theirs is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from cardio.models.readers import ReaderStatus
from simulators.card.base import AnyCard
from simulators.card.faults import FaultyCard, with_fault
from simulators.personas.persona import find_persona
from simulators.sam.hsm_driver_steps import read_step_1_to_2
from tests.integration.bridges import NAME, BridgeProcess, InCommand, in_parallel, served
from tests.pcsc import Slot, wait_until

pytestmark = pytest.mark.pcsc
ADULT, CHILD, CLOSED = (find_persona(name) for name in ("adult", "child", "third-closed"))
JSON, DECARD = "ws://127.0.0.1:12342", "ws://127.0.0.1:50150"
PAGE = "http://his.example:8080"
SETTINGS = f"""
[[trusted_origins]]
origin = "{PAGE}"
name = "门诊收费"
scopes = ["basic", "files"]
"""
DIALECTS = {f"CARDIO_BRIDGE_DIALECTS__{name}": "true" for name in ("JSON", "DECARD", "PROGRAMS")}
BASIC = (
    "370200|119900197708090027|A00000011|370200D15600000500000001FFFFFFFF|测试甲|0081544C928684370200000001|"
    "2.00|20160520|20360520|000000000000|Counter-A-00-00|"
)
ADULT_INFO = "370200D15600000500000001FFFFFFFF|A00000011|"
FILE = "SSSEEF05|07|$"


@pytest.fixture
def bridge(slot: Slot, tmp_path: Path) -> Iterator[BridgeProcess]:
    settings = tmp_path / "config" / "cardio" / "bridge.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(SETTINGS)
    with served(tmp_path, environment=DIALECTS) as made:
        assert made.dialects == {"json": 12342, "decard": 50150}
        made.wait_for(slot.reader.name, ReaderStatus.EMPTY)
        yield made
        assert "Traceback" not in made.written


def opened(address: str, origin: str | None = None) -> AbstractContextManager[ClientConnection]:
    """A caller's socket: a program's sends no Origin, a page's always does."""
    return connect(address, origin=None if origin is None else Origin(origin), proxy=None, open_timeout=5)


def put_in(bridge: BridgeProcess, slot: Slot, card: AnyCard, seen: ReaderStatus = ReaderStatus.CARD) -> None:
    slot.insert(card, seen)
    bridge.wait_for(slot.reader.name, seen)


def take_out(bridge: BridgeProcess, slot: Slot) -> None:
    slot.remove()
    bridge.wait_for(slot.reader.name, ReaderStatus.EMPTY)


def swap(bridge: BridgeProcess, slot: Slot, card: AnyCard) -> None:
    """So quickly that the reader is never seen empty."""
    name = slot.reader.name
    before = (bridge.info(name) or {})["card_session"]
    slot.pull()
    slot.insert(card)
    wait_until(lambda: (bridge.info(name) or {})["card_session"] not in (before, None), "the swap is seen")


class JsonCaller:
    """`{"function": …}`, answered by `{"functionName", "success", "pOutInfo"}`; texts, all of them."""

    address = JSON

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def call(self, function: str, **arguments: Any) -> tuple[str, str]:
        """`success` and `pOutInfo`; the answer is found by its `functionName`."""
        self._socket.send(json.dumps({"function": function, **arguments}))
        answer = json.loads(self._socket.recv(10))
        # Where there is a SAM, how far the card was proved stands beside its data.
        members = ["functionName", "success", "pOutInfo"]
        assert list(answer) in (members, [*members, "proof", "proofInfo"]) and answer["functionName"] == function
        return answer["success"], answer["pOutInfo"]

    def read_basic(self) -> tuple[str, str]:
        success, text = self.call("iReadCardBas", iType=3)
        return "0" if success == "1" else success, text

    def read_file(self, info: str) -> tuple[str, str]:
        success, text = self.call("iReadCard", iType=3, iAuthType=2, pCardInfo=info, pFileAddr=FILE)
        return "0" if success == "1" else success, text


class DecardCaller:
    """`{"func", "in"}`, answered by `{"func", "result", "out"}`."""

    address = DECARD

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def call(self, function: str, *arguments: str) -> tuple[str, list[str]]:
        self._socket.send(json.dumps({"func": function, "in": arguments}))
        answer = json.loads(self._socket.recv(10))
        assert list(answer) == ["func", "result", "out"] and answer["func"] == function
        return answer["result"], answer["out"]

    def read_basic(self) -> tuple[str, str]:
        result, out = self.call("iReadCardBas", "3")
        return result, out[0]

    def read_file(self, info: str) -> tuple[str, str]:
        result, out = self.call("iReadCard", "3", "2", info, FILE)
        return result, out[0]


CALLERS = pytest.mark.parametrize(
    ("kind", "origin"),
    [(kind, origin) for kind in (JsonCaller, DecardCaller) for origin in (None, PAGE)],
    ids=["json-program", "json-page", "decard-program", "decard-page"],
)
Kind = type[JsonCaller] | type[DecardCaller]


@CALLERS
def test_a_day_at_the_counter(bridge: BridgeProcess, slot: Slot, kind: Kind, origin: str | None) -> None:
    """One socket, from the morning on: cards, none, another one, a mute one, and cards again."""
    with opened(kind.address, origin) as socket:
        caller = kind(socket)
        code, words = caller.read_basic()
        assert code == "-2" and words.startswith("无卡") and "插入" in words
        put_in(bridge, slot, ADULT.card())
        assert caller.read_basic() == ("0", BASIC)
        assert caller.read_file(ADULT_INFO) == ("0", "SSSEEF05|A00000011|$")
        swap(bridge, slot, CHILD.card())
        code, words = caller.read_file(ADULT_INFO)
        assert code == "-22", words
        code, text = caller.read_basic()
        assert code == "0" and text.split("|")[4] == "测小小"
        take_out(bridge, slot)
        put_in(bridge, slot, with_fault(ADULT.card(), "mute"), ReaderStatus.MUTE)
        code, words = caller.read_basic()
        assert code == "-4" and "芯片" in words
        take_out(bridge, slot)
        put_in(bridge, slot, ADULT.card())
        assert caller.read_basic() == ("0", BASIC)


def test_the_wire_byte_for_byte(bridge: BridgeProcess, slot: Slot) -> None:
    put_in(bridge, slot, ADULT.card())
    with opened(JSON) as socket:
        socket.send('{"function":"iReadCardBas","iType":3}')
        assert socket.recv(10) == '{"functionName":"iReadCardBas","success":"1","pOutInfo":"' + BASIC + '"}'
    with opened(DECARD) as socket:
        socket.send('{"func":"iReadCardBas","in":["3"]}')
        assert socket.recv(10) == '{"func":"iReadCardBas","result":"0","out":["' + BASIC + '"]}'


def test_decards_own_functions_on_the_way(bridge: BridgeProcess, slot: Slot) -> None:
    """As its published page does: open, find the card, read it, beep, close."""
    put_in(bridge, slot, ADULT.card())
    with opened(DECARD, PAGE) as socket:
        caller = DecardCaller(socket)
        handle, _ = caller.call("dc_init", "100", "115200")
        assert int(handle) > 0
        assert caller.call("dc_cpureset", handle) == ("0", ["17", ADULT.atr.hex().upper()])
        assert caller.read_basic() == ("0", BASIC)
        assert caller.call("dc_beep", handle, "5") == ("0", [])
        assert caller.call("dc_exit", handle) == ("0", [])
        take_out(bridge, slot)
        assert caller.call("dc_cpureset", handle)[0] == "-2"


@pytest.mark.parametrize("origin", [None, PAGE], ids=["program", "page"])
def test_a_closed_card_by_way_of_the_authoritys_hsm(bridge: BridgeProcess, slot: Slot, origin: str | None) -> None:
    """The loop of a widespread page: on −2201 the first step, the authority's answer, the second step.

    When it is done others have the card at once, while the socket stays open.
    """
    put_in(bridge, slot, CLOSED.card())
    with opened(JSON, origin) as socket, opened(JSON) as other:
        caller = JsonCaller(socket)
        for _ in range(2):
            success, _ = caller.call("iReadCardBas", iType=3)
            assert success == "-2201"
            success, step = caller.call("iReadCardBas_HSM_Step1", iType=3)
            assert success == "1"
            answer = read_step_1_to_2(step)
            # The page calls the second step so, and waits for the full name.
            socket.send(json.dumps({"function": "ReadCard_HSM_Step2", "pKey": answer}))
            done = json.loads(socket.recv(10))
            assert (done["functionName"], done["success"]) == ("iReadCardBas_HSM_Step2", "1"), done
            assert done["pOutInfo"].split("|")[4] == "测试壬"
            assert JsonCaller(other).call("iReadCardBas", iType=3)[0] == "-2201", "it is free, and as closed as before"


def test_a_step_that_fails_keeps_nobody_waiting(bridge: BridgeProcess, slot: Slot) -> None:
    put_in(bridge, slot, CLOSED.card())
    with opened(JSON) as socket, opened(JSON) as other:
        caller = JsonCaller(socket)
        assert caller.call("iReadCardBas_HSM_Step1", iType=3)[0] == "1"
        assert caller.call("iReadCardBas_HSM_Step2", pKey="nonsense")[0] == "-42"
        assert JsonCaller(other).call("iReadCardBas", iType=3)[0] == "-2201"


def test_between_two_steps_the_card_is_held_for_who_began(bridge: BridgeProcess, slot: Slot) -> None:
    """For the caller, whatever socket it comes by, and for no other caller."""
    put_in(bridge, slot, CLOSED.card())
    with opened(JSON) as other:
        waiting = JsonCaller(other)
        with opened(JSON, PAGE) as socket:
            caller = JsonCaller(socket)
            success, step = caller.call("iReadCardBas_HSM_Step1", iType=3)
            assert success == "1"
            success, words = waiting.call("iReadCardBas", iType=3)
            assert success == "-11" and "加密机" in words
            success, _ = waiting.call("iReadCardBas_HSM_Step2", pKey=read_step_1_to_2(step))
            assert success == "-14", "the steps are another caller's"
            with opened(JSON, PAGE) as second:
                success, basic = JsonCaller(second).call("iReadCardBas_HSM_Step2", pKey=read_step_1_to_2(step))
                assert success == "1" and basic.split("|")[4] == "测试壬"
            assert caller.call("iReadCardBas_HSM_Step1", iType=3)[0] == "1"
            socket.close(1001)  # as a browser does when the page is left
        # It has gone without a second step.
        wait_until(lambda: waiting.call("iReadCardBas", iType=3)[0] == "-2201", "the card is free", 2.0)


def test_a_card_pulled_between_two_steps(bridge: BridgeProcess, slot: Slot) -> None:
    put_in(bridge, slot, CLOSED.card())
    with opened(JSON) as socket:
        caller = JsonCaller(socket)
        _, step = caller.call("iReadCardBas_HSM_Step1", iType=3)
        take_out(bridge, slot)
        success, words = caller.call("iReadCardBas_HSM_Step2", pKey=read_step_1_to_2(step))
        assert success in ("-2", "-14") and words
        put_in(bridge, slot, ADULT.card())
        assert caller.read_basic() == ("0", BASIC)


def test_who_waits_in_line_does_not_end_the_steps_of_who_came_before(bridge: BridgeProcess, slot: Slot) -> None:
    """Nothing was held yet when the reading was asked for; when its turn comes the answer is that the card is held."""
    fault = InCommand()
    put_in(bridge, slot, FaultyCard(CLOSED.card(), fault))
    with opened(JSON, PAGE) as socket, opened(JSON) as other:

        def stand_in_line() -> str:
            assert fault.asked.wait(5)
            socket.send('{"function":"iReadCardBas_HSM_Step1","iType":3}')
            assert bridge.answers(), "an answer comes after what was sent before has been taken"
            other.send('{"function":"iReadCardBas","iType":3}')
            assert bridge.answers()
            fault.told.set()
            step = json.loads(socket.recv(10))
            assert step["success"] == "1", step
            assert json.loads(other.recv(10))["success"] == "-11"
            success, basic = JsonCaller(socket).call("iReadCardBas_HSM_Step2", pKey=read_step_1_to_2(step["pOutInfo"]))
            assert success == "1", basic
            return basic

        _, basic = in_parallel(lambda: bridge.card(slot.reader.name), stand_in_line)
        assert basic.split("|")[4] == "测试壬"


def test_strangers_are_refused(bridge: BridgeProcess, slot: Slot) -> None:
    put_in(bridge, slot, ADULT.card())
    for address in (JSON, DECARD):
        with pytest.raises(InvalidStatus) as refused, opened(address, "https://stranger.example"):
            pass
        assert refused.value.response.status_code == 403
    assert bridge.card(slot.reader.name).json()["holder"]["name"] == NAME
