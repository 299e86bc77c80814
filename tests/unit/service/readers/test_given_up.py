"""A call that spends or changes and is given up is unknown, is not retryable, and says so; what was not sent is not."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from cardio.errors import ReaderTimeoutError
from cardio.filesystem.layouts.loader import layout_of
from cardio.security.sam.key_file import SoftSam
from service.app import SiteOptions
from service.gate.context import RequestContext
from service.gate.policy import DialectRule
from service.gate.scopes import Scope
from service.security import SecurityContext
from simulators.crypto.published_keys import key_file
from simulators.personas.persona import find_persona
from simulators.sam.hsm_driver_steps import general_step_1_to_2, pin_step_2_to_3
from tests.pcsc import wait_until
from tests.unit.service.bridge import FIRST, TOKEN, Bridge
from tests.unit.service.readers.hanging_card import HangingCard, Kind, by_instruction, put_in
from tests.unit.service.readers.test_in_line import Call
from tests.unit.service.routes.test_security_routes import Ready

PIN, WRITE = "pin-outcome-unknown", "write-outcome-unknown"
VERIFY, CHANGE, UNBLOCK = by_instruction(0x20), by_instruction(0x5E), by_instruction(0x24)
UPDATE, AUTHENTICATE = by_instruction(0xDC), by_instruction(0x82)
SELECT = by_instruction(0xA4)
PLACE = f"/v1/readers/{FIRST}/card"
ADDRESS, DATA = "DF01EF06|23|28|$", "DF01EF06|测试市测试路 7 号|13900000007|$"
Ask = Callable[[httpx.Client, str], httpx.Response]


def of_pin(action: str, **given: str) -> Ask:
    return lambda client, info: client.post(f"{PLACE}/pin/{action}", json=given)


def of_driver(function: str, **given: Any) -> Ask:
    return lambda client, info: client.post(f"/v1/driver/{function}", json={"reader": FIRST, "pCardInfo": info} | given)


def raw(command: str) -> Ask:
    return lambda client, info: client.post(f"/v1/readers/{FIRST}/apdu", json={"command": command})


def write_in_steps(client: httpx.Client, info: str) -> httpx.Response:
    step = of_driver("iWriteCard_HSM_Step1", pFileAddr=ADDRESS)(client, info).json()["pOutInfo"]
    answer = general_step_1_to_2(step, HISTORICAL, CITY)
    return of_driver("iWriteCard_HSM_Step2", pKey=answer, pWriteData=DATA)(client, info)


def unblock_in_steps(client: httpx.Client, info: str) -> httpx.Response:
    step = of_driver("iUnblockPIN_HSM_Step1")(client, info).json()["pOutInfo"]
    step = of_driver("iUnblockPIN_HSM_Step2", pKey=general_step_1_to_2(step, HISTORICAL, CITY))(client, info).json()
    answer = pin_step_2_to_3(step["pOutInfo"], HISTORICAL, CITY)
    return of_driver("iUnblockPIN_HSM_Step3", pKey=answer)(client, info)


HISTORICAL, CITY = find_persona("personalised").atr.hex().upper()[-26:], "370200"
CALLS: dict[str, tuple[Ask, Kind, str]] = {
    "verify": (of_pin("verify", pin="654321"), VERIFY, PIN),
    "change": (of_pin("change", pin="123456", new_pin="246802"), CHANGE, PIN),
    "unblock": (of_pin("unblock"), UNBLOCK, PIN),
    "reload": (of_pin("reload", new_pin="246802"), UNBLOCK, PIN),
    "verification": (
        lambda client, info: client.post(f"{PLACE}/verification", json={"pin": "654321"}), VERIFY, PIN,
    ),
    "iVerifyPIN": (of_driver("iVerifyPIN", pin="654321"), VERIFY, PIN),
    "iChangePIN": (of_driver("iChangePIN", pin="123456", newPin="246802"), CHANGE, PIN),
    "iUnblockPIN": (of_driver("iUnblockPIN"), UNBLOCK, PIN),
    "iReloadPIN": (of_driver("iReloadPIN", newPin="246802"), UNBLOCK, PIN),
    "iReadCard": (of_driver("iReadCard", iAuthType=1, pin="123456", pFileAddr="DF04EF08:1|$"), VERIFY, PIN),
    "iWriteCard": (of_driver("iWriteCard", pFileAddr=ADDRESS, pWriteData=DATA), UPDATE, WRITE),
    "iWriteCard in steps": (write_in_steps, UPDATE, WRITE),
    "iUnblockPIN in steps": (unblock_in_steps, UNBLOCK, PIN),
    "raw update": (raw("00DC012C0420023230"), UPDATE, WRITE),
    "raw append": (raw("00E200280420023230"), by_instruction(0xE2), WRITE),
    "raw update binary": (raw("00D6000002FFFF"), by_instruction(0xD6), WRITE),
    "raw PIN": (raw("0020000003123456"), VERIFY, PIN),
    "raw key": (raw("008200" + "0110" + "00" * 16), AUTHENTICATE, WRITE),
    "raw debit": (raw("B02C01000F" + "00" * 15 + "08"), by_instruction(0x2C), WRITE),
    "raw unknown": (raw("80F40000021234"), by_instruction(0xF4), WRITE),
}  # fmt: skip


class Desk:
    def __init__(self, keys: Path, kind: Kind, seconds: float, **more: Any) -> None:
        keys.touch(0o600)
        keys.write_text(key_file(layout_of(3).keys))
        security = SecurityContext(sam=Ready(SoftSam.load(keys)))
        self.audit = keys.with_name("audit.sqlite")
        self.bridge = Bridge(
            "personalised", scopes=frozenset(Scope), security=security, audit=self.audit,
            site_options=SiteOptions(command_seconds=seconds), **more,
        )  # fmt: skip
        card = self.bridge.client.get(PLACE).json()["card"]
        self.info = f"{card['identification_code']}|{card['card_number']}|"
        self.card = HangingCard(find_persona("personalised").card(), kind)
        put_in(self.bridge, self.card)
        made = self.bridge.client.post("/v1/grants", json={"name": "p", "scopes": ["basic", "files", "pin", "write"]})
        self.grant, self.token = made.json()["grant"], made.json()["token"]

    def begin(self, ask: Ask, client: httpx.Client | None = None) -> Call:
        call = Call(lambda: ask(client or self.bridge.client, self.info))
        assert self.card.asked.wait(10), "the command has come to the card"
        return call

    def outcomes(self) -> list[str]:
        """What the audit log says of each call."""
        from service.audit.log import AuditLog

        assert self.bridge.audit.flush()
        log = AuditLog(self.audit, read_only=True)
        try:
            return [one.entry.outcome for one in log.entries()]
        finally:
            log.close()


Make = Callable[..., Desk]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Desk] = []

    def start(kind: Kind, seconds: float = 30.0, **more: Any) -> Desk:
        made.append(Desk(tmp_path / f"keys{len(made)}.toml", kind, seconds, **more))
        return made[-1]

    yield start
    for desk in made:
        desk.card.let.set()
        desk.bridge.stop()


def problem(call: Call) -> dict[str, Any]:
    call.join(15)
    assert call.answer is not None
    found: dict[str, Any] = call.answer.json()
    return found


def expect_unknown(found: dict[str, Any], code: str) -> None:
    assert (found["code"], found["status"], found["retryable"]) == (code, 409, False), found
    assert found["driver_code"] == {PIN: -211, WRITE: -212}[code]
    assert "未知" in found["title"] + found["detail"] or "可能" in found["title"]
    assert found["remedy"] and found["remedy_en"]


def expect_not_sent(found: dict[str, Any], code: str) -> None:
    assert (found["code"], found["retryable"]) == (code, True), found


@pytest.mark.parametrize("name", CALLS)
def test_a_card_that_hangs(make: Make, name: str) -> None:
    ask, kind, code = CALLS[name]
    desk = make(kind, 0.3)
    expect_unknown(problem(desk.begin(ask)), code)
    assert desk.outcomes()[-1] == code, "the audit log says so, too"


@pytest.mark.parametrize("name", CALLS)
def test_a_service_that_stops(make: Make, name: str) -> None:
    ask, kind, code = CALLS[name]
    desk = make(kind)
    call = desk.begin(ask)
    desk.bridge.server.stop()
    expect_unknown(problem(call), code)


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith("raw")])
def test_a_grant_that_is_revoked(make: Make, name: str) -> None:
    ask, kind, code = CALLS[name]
    desk = make(kind)
    call = desk.begin(ask, desk.bridge.caller(desk.token))
    desk.bridge.client.delete(f"/v1/grants/{desk.grant}")
    expect_unknown(problem(call), code)
    desk.card.let.set()  # what has begun comes to its end
    wait_until(lambda: desk.bridge.client.get(PLACE).status_code == 200, "the reader is free again")


BEFORE: dict[str, tuple[Ask, Kind, Kind]] = {
    name: (CALLS[name][0], SELECT, CALLS[name][1]) for name in ("verify", "change", "iWriteCard", "iUnblockPIN")
} | {
    "iWriteCard in steps": (of_driver("iWriteCard_HSM_Step1", pFileAddr=ADDRESS), SELECT, UPDATE),
    "raw read": (raw("00B2012C00"), lambda command: command[1] == 0xB2, UPDATE),
    "raw challenge": (raw("0084000008"), lambda command: command[1] == 0x84, UPDATE),
    "raw count of tries": (raw("0020000000"), lambda command: command[1] == 0x20, VERIFY),
}


@pytest.mark.parametrize("name", BEFORE)
def test_a_card_that_hangs_before(make: Make, name: str) -> None:
    ask, before, kind = BEFORE[name]
    desk = make(before, 0.3)
    expect_not_sent(problem(desk.begin(ask)), "reader-timeout")
    comes_back_and_sends_nothing(desk, kind)


@pytest.mark.parametrize("name", BEFORE)
def test_a_service_that_stops_before(make: Make, name: str) -> None:
    ask, before, kind = BEFORE[name]
    desk = make(before)
    call = desk.begin(ask)
    desk.bridge.server.stop()
    expect_not_sent(problem(call), "stopping")
    desk.card.let.set()
    desk.bridge.thread.join(10)
    assert desk.card.of_kind(kind) == 0


@pytest.mark.parametrize("name", [name for name in BEFORE if not name.startswith("raw")])
def test_a_grant_that_is_revoked_before(make: Make, name: str) -> None:
    ask, before, kind = BEFORE[name]
    desk = make(before)
    call = desk.begin(ask, desk.bridge.caller(desk.token))
    desk.bridge.client.delete(f"/v1/grants/{desk.grant}")
    assert problem(call)["code"] == "no-token"
    comes_back_and_sends_nothing(desk, kind)


def comes_back_and_sends_nothing(desk: Desk, kind: Kind) -> None:
    sent = desk.card.of_kind(kind)
    desk.card.let.set()
    wait_until(lambda: desk.bridge.client.get(PLACE).status_code == 200, "the card is read again, without a new start")
    assert sent == desk.card.of_kind(kind) == 0


def test_a_card_that_still_owes_an_answer_is_not_waited_for_anew(make: Make) -> None:
    """The limit of a whole operation is a minute; the test's client waits for ten seconds."""
    desk = make(UPDATE, 0.3)
    ask, _, code = CALLS["iWriteCard"]
    expect_unknown(problem(desk.begin(ask)), code)
    sent = len(desk.card.sent)
    for again in (ask, CALLS["verify"][0], lambda client, info: client.get(PLACE)):
        found = problem(Call(lambda again=again: again(desk.bridge.client, desk.info)))  # type: ignore[misc]
        expect_not_sent(found, "reader-timeout")
        assert "未发送" in found["detail"] and found["remedy"]
    assert len(desk.card.sent) == sent
    desk.card.let.set()
    wait_until(lambda: desk.bridge.client.get(PLACE).status_code == 200, "the card is read again, without a new start")


def test_another_card_is_not_held_up_by_the_one_before(make: Make) -> None:
    desk = make(UPDATE, 0.3)
    ask, _, code = CALLS["iWriteCard"]
    expect_unknown(problem(desk.begin(ask)), code)
    put_in(desk.bridge, find_persona("personalised").card())
    assert ask(desk.bridge.client, desk.info).json()["return"] == 0


def test_work_that_was_given_up_sends_nothing_more(make: Make) -> None:
    """Two records are to be written; the card answers to the first one after its caller has been told."""
    desk = make(UPDATE, 0.3)
    ask, _, code = CALLS["iWriteCard"]
    expect_unknown(problem(desk.begin(ask)), code)
    sent = len(desk.card.sent)
    desk.card.let.set()
    wait_until(lambda: desk.bridge.client.get(PLACE).status_code == 200, "the card is free")
    assert desk.card.of_kind(UPDATE) == 1, desk.card.sent[sent:]


@pytest.mark.parametrize("seconds", [0.3, 30.0])
def test_a_hospitals_program_behind_a_dialect_is_told_as_well(make: Make, seconds: float) -> None:
    """Decard's client waits for ten seconds: with a longer limit it is the dialect that gives up."""
    desk = make(UPDATE, seconds, dialects=[DialectRule("decard", True, frozenset(Scope))])
    socket = desk.bridge.socket("/", port=desk.bridge.dialect_ports["decard"])
    # In place of eight seconds.
    if seconds > 1:
        desk.bridge.app.state.bridge.running.pulse.earliest_arrival = lambda: time.monotonic() - 7.0
    socket.send(json.dumps({"func": "iWriteCard", "in": ["3", desk.info, ADDRESS, DATA]}))
    answer = json.loads(socket.recv(15))
    assert answer["result"] == "-212" and "未知" in answer["out"][0], answer


def test_a_card_that_is_merely_slow_is_waited_for(make: Make) -> None:
    """The operation's time is over in the midst of a command that is within its own: the next call goes on after it."""
    desk = make(SELECT)
    bridge_desk = desk.bridge.app.state.bridge.running.registry.managed(FIRST)
    loop = desk.bridge.app.state.bridge.running.loop

    async def read() -> None:
        await bridge_desk.run(lambda card: card.layout, RequestContext(), seconds=1.0)

    with pytest.raises(ReaderTimeoutError):
        asyncio.run_coroutine_threadsafe(read(), loop).result(10)
    assert desk.card.asked.is_set() and bridge_desk._hung.hangs
    call = Call(lambda: desk.bridge.caller(TOKEN).get(PLACE))
    wait_until(lambda: bridge_desk._line.waiting == 1, "the next call is there")
    desk.card.let.set()
    call.join(15)
    assert call.answer is not None and call.answer.status_code == 200, call.answer


def test_a_page_behind_a_dialect_that_is_revoked_is_told(make: Make) -> None:
    """Its last message has a reply, and then the socket is closed."""
    desk = make(VERIFY, dialects=[DialectRule("json", False, frozenset(Scope))])
    origin = "https://his.example"
    _, grant = desk.bridge.pair(origin, Scope.BASIC, Scope.PIN)
    socket = desk.bridge.socket("/", port=desk.bridge.dialect_ports["json"], origin=origin)
    socket.send(json.dumps({"function": "iVerifyPIN", "iType": 3, "pin": "654321"}))
    assert desk.card.asked.wait(10)
    desk.bridge.client.delete(f"/v1/grants/{grant}").raise_for_status()
    answer = json.loads(socket.recv(15))
    assert (answer["functionName"], answer["success"]) == ("iVerifyPIN", "-211") and "未知" in answer["pOutInfo"]
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(15)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
