"""How far a card was proved, in every answer of the bridge that carries data of a card; and cards that are no longer
taken without it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection

from cardio.filesystem.layouts.loader import layout_of
from cardio.identity.policy import default_policy
from cardio.security.sam.key_file import KeyFile, SoftSam
from cardio.security.settings import SecuritySettings
from service.gate.policy import DialectRule
from service.gate.scopes import Scope
from service.security import SecurityContext
from simulators.crypto.published_keys import key_file
from simulators.readers.software_reader import SoftwareReader
from simulators.sam.hsm_driver_steps import read_step_1_to_2
from tests.copied_card import SECOND, THIRD, CopiedCard
from tests.unit.service.audit.test_audit import last
from tests.unit.service.bridge import FIRST, FIRST_COUNTS, Bridge, events_in

ALL = frozenset({Scope.BASIC, Scope.FILES, Scope.PIN, Scope.WRITE, Scope.SETTLE, Scope.MANAGE})
CARD = f"/v1/readers/{FIRST}/card"
KEYS = KeyFile.model_validate(tomllib.loads(key_file(layout_of(3).keys)))
GENUINE, NO_SAM = "genuine", "not-asked; reason=no-sam"
INTERNAL = 0x88


class Ready:
    def open(self) -> SoftSam:
        return SoftSam(KEYS)


def bridge_with(folder: Path, *personas: str, sam: bool = True, **settings: Any) -> Bridge:
    policy = default_policy().model_copy(update={"accept_test_keys": True})
    security = SecurityContext(sam=Ready() if sam else None, settings=SecuritySettings(**settings), policy=policy)
    return Bridge(
        *(personas or ("personalised", "third-closed")),
        scopes=ALL,
        security=security,
        site_options=FIRST_COUNTS,
        dialects=[DialectRule(name, programs=True, scopes=ALL) for name in ("json", "decard", "scanner")],
        audit=folder / "audit.sqlite",
    )


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    made = bridge_with(tmp_path)
    yield made
    made.stop()


CALLS: dict[str, tuple[str, str, Any]] = {
    "card": ("GET", CARD, None),
    "nhsa-1101": ("GET", f"{CARD}/nhsa-1101", None),
    "files": ("GET", f"{CARD}/files", None),
    "file": ("GET", f"{CARD}/files/DF01/EF06", None),
    "insurance": ("GET", f"{CARD}/insurance", None),
    "employment": ("GET", f"{CARD}/employment", None),
    "PIN": ("POST", f"{CARD}/pin/verify", {"pin": "123456"}),
    "PIN's tries": ("GET", f"{CARD}/pin", None),
    "verification": ("POST", f"{CARD}/verification", {}),
    "write": ("POST", f"{CARD}/files/DF01/EF06", {"values": {"telephone": "1"}, "prepare_only": True}),
    "iReadCardBas": ("POST", "/v1/driver/iReadCardBas", {"reader": FIRST}),
    "iVerifyPIN": ("POST", "/v1/driver/iVerifyPIN", {"reader": FIRST, "pin": "123456"}),
    "iReadDebitRecord": ("POST", "/v1/driver/iReadDebitRecord", {"reader": FIRST, "pin": "123456", "iAuthType": 1}),
    "iReadICCardNum": ("POST", "/v1/driver/iReadICCardNum", {"reader": FIRST}),
}
IN_THE_BODY = {"card", "files", "file", "insurance", "employment", "write", "iReadCardBas", "iReadICCardNum"}


def called(bridge: Bridge, name: str) -> httpx.Response:
    method, place, body = CALLS[name]
    return bridge.client.request(method, place, json=body)


def test_every_answer_says_so(bridge: Bridge) -> None:
    for name in CALLS:
        answer = called(bridge, name)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Cardio-Card-Proof"] == GENUINE
        if name in IN_THE_BODY:
            proof = answer.json()["proof"]
            assert (proof["outcome"], proof["sam"], proof["algorithm"]) == ("genuine", "soft", "3DES")
        assert last(bridge).outcome == "ok"


def test_without_a_sam_none_was_asked(tmp_path: Path) -> None:
    bridge = bridge_with(tmp_path, sam=False)
    try:
        for name in CALLS:
            answer = called(bridge, name)
            if name == "write":  # there is no key for it
                assert answer.status_code != 200
                continue
            assert (answer.status_code, answer.headers["Cardio-Card-Proof"]) == (200, NO_SAM), name
            if name in IN_THE_BODY:
                assert answer.json()["proof"]["detail"] == "本机没有 PSAM 卡或加密机"
    finally:
        bridge.stop()


def gives_nothing(bridge: Bridge, copy: CopiedCard, code: str, driver_code: int) -> None:
    """No call gets anything of a copy out but the error, and the copy gets neither key nor PIN."""
    put_in(bridge, copy)
    for name in CALLS:
        answer = called(bridge, name)
        problem = answer.json()
        if name == "verification":
            assert problem["verdict"] == "refused" or (code == "proof-required" and problem["verdict"] != "verified")
            continue
        assert (answer.status_code, problem["code"], problem["driver_code"]) == (422, code, driver_code), name
        assert "测试壬" not in answer.text and problem["remedy"] and last(bridge).outcome == code
    assert not copy.was_given_a_key and not copy.was_given_a_pin


@pytest.mark.parametrize(
    "changed",
    [{}, {"EF05-3": "0304322E30309000"}, {"EF05-3": "6A83"}, {"select": "9000"}, {"fci": "6F03FF9000"}],
    ids=["as recorded", "2.00", "no version", "no FCI", "garbled FCI"],
)
def test_a_copy_gives_nothing_by_any_call(bridge: Bridge, changed: dict[str, str]) -> None:
    gives_nothing(bridge, CopiedCard.of(THIRD, **changed), "forged-card", -21)


def test_a_copy_of_the_second_generation_gives_nothing_by_any_call(bridge: Bridge) -> None:
    gives_nothing(bridge, CopiedCard.of(SECOND, proof="00" * 8 + "9000"), "forged-card", -21)


@pytest.mark.parametrize("answer", ["6D00", "6A88", "00", "6C08"])
def test_a_card_that_declines_gets_neither_key_nor_pin(bridge: Bridge, answer: str) -> None:
    gives_nothing(bridge, CopiedCard.of(THIRD, proof=answer), "proof-declined", -21)


def dialect(bridge: Bridge, name: str) -> ClientConnection:
    return bridge.socket("/", port=bridge.dialect_ports[name])


def put_in(bridge: Bridge, card: CopiedCard) -> None:
    reader = next(one for one in bridge.readers.readers() if one.name == FIRST)
    assert isinstance(reader, SoftwareReader)
    reader.insert(card)


def test_an_older_card_that_declines_is_told_of(bridge: Bridge) -> None:
    put_in(bridge, CopiedCard.of(SECOND, proof="6D00"))
    answer = bridge.client.get(CARD)
    assert answer.headers["Cardio-Card-Proof"] == "not-possible; reason=declined"
    assert answer.json()["holder"]["name"] == "测试壬" and "6D00" in answer.json()["proof"]["detail"]
    assert last(bridge).outcome == "ok not-possible declined"
    socket = dialect(bridge, "json")
    socket.send('{"function":"iReadCardBas","iType":3}')
    reply = json.loads(socket.recv(10))
    assert (reply["success"], reply["proof"]) == ("1", "not-possible") and reply["proofInfo"].startswith("真伪未核验：")


def test_each_card_is_asked_and_each_call_asks_once(bridge: Bridge) -> None:
    first = CopiedCard.of(SECOND)

    def asked() -> int:
        return [one[1] for one in first.sent].count(INTERNAL)

    genuine = bridge.client.get(CARD)
    put_in(bridge, first)
    copied = bridge.client.get(CARD)
    assert (genuine.headers["Cardio-Card-Proof"], copied.status_code, asked()) == (GENUINE, 422, 1)
    assert bridge.client.get(f"{CARD}/files").status_code == 422 and asked() == 2
    assert bridge.client.post(f"{CARD}/pin/verify", json={"pin": "123456"}).status_code == 422 and asked() == 3


def test_the_dialects_say_so_beside_their_strings(bridge: Bridge) -> None:
    words = {"proof": "genuine", "proofInfo": "真伪已核验：内部认证通过（3DES，密钥文件，测试密钥）"}
    asked = {
        "json": '{"function":"iReadCardBas","iType":3}',
        "decard": '{"func":"iReadCardBas","in":["3"]}',
        "scanner": '{"Func":"Read3thSSCardPSAM","arg":3}',
    }
    for name, message in asked.items():
        socket = dialect(bridge, name)
        if name == "scanner":
            socket.recv(10)  # its greeting
        socket.send(message)
        reply = json.loads(socket.recv(10))
        assert {key: reply[key] for key in words} == words and list(reply)[-2:] == ["proof", "proofInfo"]
    socket = dialect(bridge, "decard")
    socket.send('{"func":"dc_GetSocialSecurityCardBaseInfo","in":["1","0"]}')
    assert json.loads(socket.recv(10))["proof"] == "genuine"


def test_the_events_carry_it_too(bridge: Bridge) -> None:
    with bridge.client.stream("GET", "/v1/events", params={"readings": "true"}) as stream:
        told = events_in(stream)
        next(told)
        bridge.client.get(CARD)
        finished = next(one for one in told if one["type"] == "cardio.read-finished")
    assert finished["data"]["reading"]["proof"]["outcome"] == "genuine"


def test_a_callers_hsm_proves_it(tmp_path: Path) -> None:
    bridge = bridge_with(tmp_path, "third-closed", sam=False, require_proof=True)
    try:
        step_1 = bridge.client.post("/v1/driver/iReadCardBas_HSM_Step1", json={"reader": FIRST}).json()
        assert step_1["proof"]["outcome"] == "not-asked"
        answer = read_step_1_to_2(step_1["pOutInfo"])
        step_2 = bridge.client.post("/v1/driver/iReadCardBas_HSM_Step2", json={"pKey": answer}).json()
        assert step_2["fields"]["name"] == "测试壬" and step_2["proof"]["outcome"] == "genuine"
    finally:
        bridge.stop()


@pytest.mark.parametrize("sam", [True, False])
def test_where_proof_is_required_no_call_does_without(tmp_path: Path, sam: bool) -> None:
    bridge = bridge_with(tmp_path, sam=sam, require_proof=True)
    try:
        if sam:
            assert all(called(bridge, name).status_code == 200 for name in CALLS)
        gives_nothing(bridge, CopiedCard.of(SECOND, proof="6D00"), "proof-required", -210)
        codes = {one["code"]: one for one in bridge.client.get("/v1/driver/codes").json()["codes"]}
        assert "require_proof" in codes[-210]["cause"]
        socket = dialect(bridge, "json")
        socket.send('{"function":"iReadCardBas","iType":3}')
        reply = json.loads(socket.recv(10))
        assert reply["success"] == "-210" and reply["pOutInfo"].startswith(codes[-210]["title"])
    finally:
        bridge.stop()
