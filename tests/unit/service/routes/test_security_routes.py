"""Verification and writing over HTTP: what the scopes grant, what the SAM opens, what the answers say."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cardio.errors import ConfigurationError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.identity.policy import default_policy
from cardio.security.sam.key_file import SoftSam
from service.app import create_app
from service.gate.policy import Access
from service.gate.scopes import DEFAULT_SCOPES, Scope
from service.ports.binding import bind_loopback
from service.readers.simulated import SimulatedReaders
from service.security import SecurityContext
from service.server import BridgeServer
from simulators.crypto.published_keys import key_file
from tests.pcsc import wait_until

TOKEN = "T" * 43
CLOSED, PERSONALISED, FORGED = "Simulated Reader 00", "Simulated Reader 01", "Simulated Reader 02"


class Ready:
    def __init__(self, sam: SoftSam) -> None:
        self.sam = sam

    def open(self) -> SoftSam:
        return self.sam


class Bridge:
    def __init__(self, folder: Path, scopes: frozenset[Scope]) -> None:
        keys = folder / "keys.toml"
        keys.touch(0o600)
        keys.write_text(key_file(layout_of(3).keys))
        self.readers = SimulatedReaders(["third-closed", "personalised", "third-forged"])
        policy = default_policy().model_copy(update={"accept_test_keys": True})
        self.loss_list = folder / "lost.txt"
        security = SecurityContext(sam=Ready(SoftSam.load(keys)), policy=policy, loss_list_file=self.loss_list)
        sockets = bind_loopback(0)
        port = sockets[0].getsockname()[1]
        app = create_app([self.readers], capabilities=CapabilityCache(None), security=security)
        self.server = BridgeServer(app, Access.for_port(port, TOKEN, scopes=scopes))
        self.thread = threading.Thread(target=lambda: self.server.run(sockets=sockets), daemon=True)
        self.thread.start()
        wait_until(lambda: self.server.started, "the bridge has started")
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10
        )
        wait_until(lambda: len(self.client.get("/v1/readers").json()["readers"]) == 3, "the readers are there")

    def list_as_lost(self, *codes: str) -> None:
        from datetime import UTC, datetime

        self.loss_list.write_text("\n".join([f"# updated = {datetime.now(UTC).isoformat()}", *codes]) + "\n")

    def stop(self) -> None:
        self.client.close()
        self.server.stop()
        self.thread.join(5)


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    made = Bridge(tmp_path, frozenset(Scope))
    made.list_as_lost()
    yield made
    made.stop()


@pytest.fixture
def modest(tmp_path: Path) -> Iterator[Bridge]:
    made = Bridge(tmp_path, DEFAULT_SCOPES)
    made.list_as_lost()
    yield made
    made.stop()


def outcomes(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {check["check"]: check["outcome"] for check in answer.json()["checks"]}


def test_a_closed_card_is_read_with_the_bridges_keys(bridge: Bridge) -> None:
    reading = bridge.client.get(f"/v1/readers/{CLOSED}/card").json()
    assert reading["holder"]["name"] == "测试壬"
    assert bridge.client.get(f"/v1/readers/{PERSONALISED}/card/files/DF01/EF06").json()["opened_by"] == "RK1DF01"


def test_a_genuine_card_in_date_and_not_lost_is_verified(bridge: Bridge) -> None:
    answer = bridge.client.post(f"/v1/readers/{CLOSED}/card/verification", json={})
    checks = outcomes(answer)
    assert checks["chip-genuine"] == "passed" and checks["loss-list"] == "passed"
    assert checks["holder-pin"] == "not-done"
    assert answer.json()["chip"] == {"algorithm": "SM4", "sam": "soft", "test_keys": True}
    # The persona's number is an invented one of county 9900, whose region is in no table: optional.
    assert answer.json()["verdict"] == "verified" and checks["region-of-id"] == "not-done"


def test_the_pin_proves_the_holder_and_a_wrong_one_is_an_error_not_a_verdict(bridge: Bridge) -> None:
    right = bridge.client.post(f"/v1/readers/{CLOSED}/card/verification", json={"pin": "123456"})
    assert outcomes(right)["holder-pin"] == "passed"
    wrong = bridge.client.post(f"/v1/readers/{CLOSED}/card/verification", json={"pin": "654321"})
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["driver_code"]) == (422, "wrong-pin", -51)


def test_a_forged_card_is_refused_and_sees_no_pin(bridge: Bridge) -> None:
    answer = bridge.client.post(f"/v1/readers/{FORGED}/card/verification", json={"pin": "123456"})
    checks = outcomes(answer)
    assert checks["chip-genuine"] == "failed" and checks["holder-pin"] == "not-done"
    assert answer.json()["verdict"] == "refused"
    read = bridge.client.get(f"/v1/readers/{FORGED}/card")
    assert (read.status_code, read.json()["code"], read.json()["driver_code"]) == (422, "forged-card", -21)


def test_a_lost_card_is_refused_as_soon_as_the_list_says_so(bridge: Bridge) -> None:
    bridge.list_as_lost("320200D15600000500000009FFFFFFFF")
    answer = bridge.client.post(f"/v1/readers/{CLOSED}/card/verification", json={})
    assert outcomes(answer)["loss-list"] == "failed" and answer.json()["verdict"] == "refused"


def test_a_loss_list_that_is_damaged_is_told_and_names_the_place(bridge: Bridge) -> None:
    bridge.list_as_lost("这不是卡识别码")
    answer = bridge.client.post(f"/v1/readers/{CLOSED}/card/verification", json={})
    assert answer.status_code == ConfigurationError.status and answer.json()["code"] == "policy"
    assert ":2" in answer.json()["detail"]


def test_items_are_prepared_then_written_and_read_back(bridge: Bridge) -> None:
    place = f"/v1/readers/{PERSONALISED}/card/files/DF01/EF06"
    body = {"values": {"residence": "测试市测试路 7 号"}}
    planned = bridge.client.post(place, json=body | {"prepare_only": True}).json()
    assert [one["outcome"] for one in planned["records"]] == ["planned"]
    before = bridge.client.get(place).json()["records"][0]["items"][0]
    assert before["value"] != "测试市测试路 7 号"
    written = bridge.client.post(place, json=body).json()
    assert [(one["item"], one["outcome"]) for one in written["records"]] == [("residence", "written")]
    # 测试市测试路 7 号 in GBK, after tag 23 and length 50 hex.
    assert written["records"][0]["after"].startswith("2350B2E2CAD4CAD0B2E2CAD4C2B7203720BAC500")
    assert bridge.client.get(place).json()["records"][0]["items"][0]["value"] == "测试市测试路 7 号"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"values": {"residence": "x" * 81}}, "usage"),
        ({"values": {"no_such_item": "1"}}, "usage"),
        ({"values": {"residence_region": "999999"}}, "usage"),
        ({"values": {}}, "usage"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_sent(
    bridge: Bridge, body: dict[str, object], code: str
) -> None:
    answer = bridge.client.post(f"/v1/readers/{PERSONALISED}/card/files/DF01/EF06", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_without_their_scopes_pin_and_writing_are_not_there(modest: Bridge) -> None:
    refused = [
        modest.client.get(f"/v1/readers/{CLOSED}/card/pin"),
        modest.client.post(f"/v1/readers/{CLOSED}/card/pin/verify", json={"pin": "123456"}),
        modest.client.post(f"/v1/readers/{CLOSED}/card/pin/change", json={"pin": "123456", "new_pin": "654321"}),
        modest.client.post(f"/v1/readers/{CLOSED}/card/pin/unblock"),
        modest.client.post(f"/v1/readers/{CLOSED}/card/pin/reload", json={"new_pin": "654321"}),
        modest.client.post(f"/v1/readers/{CLOSED}/card/verification", json={"pin": "123456"}),
        modest.client.post(f"/v1/readers/{PERSONALISED}/card/files/DF01/EF06", json={"values": {"residence": "x"}}),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(403, "no-scope")}
    assert modest.client.post(f"/v1/readers/{CLOSED}/card/verification", json={}).status_code == 200
    assert modest.client.get(f"/v1/readers/{CLOSED}/card/files").status_code == 200


def test_basic_alone_reads_no_files(tmp_path: Path) -> None:
    made = Bridge(tmp_path, frozenset({Scope.BASIC}))
    try:
        assert made.client.get(f"/v1/readers/{CLOSED}/card").status_code == 200
        answer = made.client.get(f"/v1/readers/{CLOSED}/card/files")
        assert (answer.status_code, answer.json()["code"]) == (403, "no-scope")
    finally:
        made.stop()
