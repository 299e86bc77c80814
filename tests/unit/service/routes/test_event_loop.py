"""Nothing stands still: no route does on the event loop what takes long, slow disks and long lists included."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cardio.filesystem.layouts.loader import layout_of
from cardio.identity.loss_list import LossList
from cardio.security.sam.key_file import SoftSam
from service.gate.policy import PAGES, DialectRule
from service.gate.scopes import Scope
from service.security import SecurityContext
from simulators.crypto.published_keys import key_file
from tests.unit.service.bridge import FIRST, Bridge
from tests.unit.service.loop_guard import LoopGuard
from tests.unit.service.readers.test_in_line import Call
from tests.unit.service.routes.test_security_routes import Ready

TRUSTED = "https://trusted.example"
CARD, SIMULATED = f"/v1/readers/{FIRST}/card", f"/v1/simulator/readers/{FIRST}"
LINES = 1_000_000
_DRIVER = {"reader": FIRST, "pin": "123456", "newPin": "123456"}
BODIES: dict[tuple[str, str], list[tuple[str, Any]]] = {
    # Routes that take more than their path; where the same path is asked in several ways, each.
    ("post", "/v1/pairing"): [("/v1/pairing", {"name": "x", "scopes": ["basic"]})],
    ("post", "/v1/grants"): [("/v1/grants", {"name": "x", "scopes": ["basic"]})],
    ("post", "/v1/pages/ticket"): [("/v1/pages/ticket", {"page": "/"})],
    ("post", "/v1/pages/session"): [("/v1/pages/session", {"ticket": "none"})],
    ("post", "/v1/readers/{reader}/lease"): [(f"/v1/readers/{FIRST}/lease", {"seconds": 1})],
    ("post", "/v1/readers/{reader}/apdu"): [(f"/v1/readers/{FIRST}/apdu", {"command": "0084000008"})],
    ("post", "/v1/readers/{reader}/card/files/{application}/{file}"): [
        (f"{CARD}/files/DF01/EF06", {"values": {"residence": "测试路 7 号"}})
    ],
    ("post", "/v1/readers/{reader}/card/pin/verify"): [(f"{CARD}/pin/verify", {"pin": "123456"})],
    ("post", "/v1/readers/{reader}/card/pin/change"): [
        (f"{CARD}/pin/change", {"pin": "123456", "new_pin": "123456"})
    ],
    ("post", "/v1/readers/{reader}/card/pin/reload"): [(f"{CARD}/pin/reload", {"new_pin": "123456"})],
    ("post", "/v1/readers/{reader}/card/verification"): [(f"{CARD}/verification", {}), (f"{CARD}/verification", {})],
    ("post", "/v1/driver/{function}"): [
        (f"/v1/driver/{name}", _DRIVER | {"pCardInfo": "370200D15600000500000010FFFFFFFF|A00000010|",
         "pFileAddr": "SSSEEF05|07|$", "pWriteData": "SSSEEF05|x|$", "pPayInfo": "0.1|0.20|20151118185001|"})
        for name in ("iReadCardBas", "iReadCard", "iWriteCard", "iVerifyPIN", "iChangePIN", "iDoDebit",
                     "iReadCardBas_HSM_Step1", "iReadICCardNum", "iNonsense")
    ],
    ("put", "/v1/simulator/readers/{reader}/card"): [(f"{SIMULATED}/card", {"persona": "whole"})],
    ("post", "/v1/debits/{debit}/resolution"): [("/v1/debits/0000000000000000/resolution", {"outcome": "none"})],
    ("post", "/v1/questions/{request_id}/answer"): [("/v1/questions/0/answer", {"answer": "no"})],
}  # fmt: skip
_LAST = ("put", "delete")
"""What takes the card out, or replaces it, comes after the rest."""


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A disk that takes half a second for each sync; gives which threads have waited for one."""
    threads: list[int] = []
    sync = os.fsync

    def slowly(handle: int) -> None:
        threads.append(threading.get_ident())
        threading.Event().wait(0.5)
        sync(handle)

    monkeypatch.setattr(os, "fsync", slowly)
    yield threads


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    keys = tmp_path / "keys.toml"
    keys.touch(0o600)
    keys.write_text(key_file(layout_of(3).keys))
    security = SecurityContext(sam=Ready(SoftSam.load(keys)), loss_list_file=long_list(tmp_path / "lost.txt"))
    made = Bridge(
        "personalised", scopes=frozenset(Scope), security=security, file=tmp_path / "grants.json",
        trusted={TRUSTED: frozenset({Scope.BASIC})}, journal=tmp_path / "debits.sqlite",
        audit=tmp_path / "audit.sqlite", dialects=[DialectRule("json", True, frozenset(Scope))],
    )  # fmt: skip
    yield made
    made.stop()


def long_list(path: Path, lines: int = LINES) -> Path:
    with path.open("w", encoding="ascii") as stream:
        stream.write(f"# updated = {datetime.now(UTC).isoformat(timespec='seconds')}\n")
        stream.writelines(f"990200D156000005{number:08X}\n" for number in range(lines))
    return path


def routes_of(bridge: Bridge) -> list[tuple[str, str, Any]]:
    """Every route of the description, with what it is asked."""
    asked: list[tuple[str, str, Any]] = []
    for path, operations in bridge.app.openapi()["paths"].items():
        for method in operations:
            plain = path.replace("{reader}", FIRST).replace("{application}", "DF01").replace("{file}", "EF06")
            plain = plain.replace("{debit}", "0" * 16).replace("{request_id}", "0" * 16)
            plain = plain.replace("{grant_id}", "0" * 12)
            for place, body in BODIES.get((method, path), [(plain, None)]):
                asked.append((method, place, body))
    return sorted(asked, key=lambda one: one[0] in _LAST)


def test_every_route_leaves_the_loop_alone(bridge: Bridge, slow_disk: list[int]) -> None:
    """As in asyncio's debug mode, by what the loop's own thread spends: a busy machine does not change the result."""
    guard, client = LoopGuard(), bridge.client
    page = bridge.caller(None, TRUSTED)
    asked = routes_of(bridge)
    assert {(method, place) for method, place, _ in asked} and len(asked) > 50
    bridge.app.openapi_schema = None
    loop = bridge.app.state.bridge.running.loop
    with guard.on(loop):
        for path in (*PAGES, "/openapi.json", "/static/i18n/index.js", "/static/styles/page.css"):
            client.get(path)
        for method, place, body in asked:
            if place == "/v1/events":
                with client.stream("GET", place) as stream:
                    next(stream.iter_lines())
                continue
            answer = client.request(method.upper(), place, json=body, headers={"Idempotency-Key": "k"})
            assert answer.status_code < 500 or answer.json()["code"] not in ("internal",), (place, answer.text)
        begun = page.post("/v1/pairing", json={"name": "x", "scopes": ["basic"]}).json()
        page.get(f"/v1/pairing/{begun['request']}", headers={"Authorization": f"Bearer {begun['secret']}"})
        other = bridge.caller(None, "https://other.example")
        begun = other.post("/v1/pairing", json={"name": "x", "scopes": ["basic"]}).json()
        granted = client.post(f"/v1/pairing/{begun['request']}/approve", json={"scopes": ["basic"]}).json()
        client.delete(f"/v1/grants/{granted['grant']}").raise_for_status()
        socket = bridge.socket("/", port=bridge.dialect_ports["json"])
        for function in ("iReadCardBas", "iDoDebit", "iNonsense"):
            socket.send(json.dumps({"function": function, "iType": 3}))
            socket.recv(10)
        ticket = client.post("/v1/ws/ticket").json()["ticket"]
        events = bridge.socket(protocols=["cardio.v1", f"ticket.{ticket}"])
        events.recv(10)
    assert guard.disk == []
    assert guard.slow == []
    assert threading.get_ident() not in slow_disk and slow_disk, "the disk was waited for, elsewhere"


# -- while something waits ---------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Bridge]:
    security = SecurityContext(loss_list_file=long_list(tmp_path / "lost.txt", 10))
    made = Bridge(
        "adult", scopes=frozenset(Scope), security=security, file=tmp_path / "grants.json",
        trusted={TRUSTED: frozenset({Scope.BASIC})},
    )  # fmt: skip
    yield made
    made.stop()


class Held:
    """A call that takes a given time."""

    def __init__(self) -> None:
        self.begun, self.free = threading.Event(), threading.Event()
        self.times = 0

    def wait(self) -> None:
        self.times += 1
        self.begun.set()
        self.free.wait(30)


def all_well(bridge: Bridge) -> None:
    """What is asked of a bridge that works; on a loop that stands still the client would give up."""
    client = bridge.caller("T" * 43)
    assert client.get("/livez").status_code == 200
    assert client.get(CARD).json()["holder"]["name"] == "测试甲"
    assert client.get("/v1/grants").status_code == 200
    assert client.post("/v1/pages/ticket", json={"page": "/"}).status_code == 200


def test_a_list_that_is_read_holds_up_nobody(small: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    held, load = Held(), LossList.load

    def slowly(path: Path) -> LossList:
        held.wait()
        return load(path)

    monkeypatch.setattr(LossList, "load", slowly)
    calls = [Call(lambda: small.caller("T" * 43).post(f"{CARD}/verification", json={})) for _ in range(4)]
    try:
        assert held.begun.wait(10)
        all_well(small)
    finally:
        held.free.set()
    for call in calls:
        call.join(15)
        assert call.answer is not None and call.answer.json()["loss_list"]["entries"] == 10


@pytest.mark.parametrize("what", ["trusted origin", "approval", "program", "revocation"])
def test_a_disk_that_hangs_holds_up_nobody_else(small: Bridge, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    client, page = small.client, small.caller(None, TRUSTED if what == "trusted origin" else "https://his.example")
    asked = {"name": "x", "scopes": ["basic"]}
    before = client.post("/v1/grants", json=asked).json()
    if what == "approval":
        begun = page.post("/v1/pairing", json=asked).json()
    held = Held()
    monkeypatch.setattr(os, "fsync", lambda handle: held.wait())
    match what:
        case "trusted origin":
            call = Call(lambda: page.post("/v1/pairing", json=asked))
        case "approval":
            place = f"/v1/pairing/{begun['request']}/approve"
            call = Call(lambda: small.caller("T" * 43).post(place, json={"scopes": ["basic"]}))
        case "program":
            call = Call(lambda: small.caller("T" * 43).post("/v1/grants", json=asked))
        case _:
            call = Call(lambda: small.caller("T" * 43).delete(f"/v1/grants/{before['grant']}"))
    try:
        assert held.begun.wait(10)
        all_well(small)
        assert call.answer is None, "it is answered when the file is written"
    finally:
        held.free.set()
    call.join(15)
    assert call.answer is not None and call.answer.status_code < 300
    kept = json.loads((small.access.grants._file or Path()).read_text(encoding="utf-8"))
    assert len(kept) == {"trusted origin": 2, "approval": 2, "program": 2, "revocation": 0}[what]


@pytest.mark.parametrize("what", ["trusted origin", "approval", "program"])
def test_who_cannot_be_kept_is_not_let_in(small: Bridge, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    client, page = small.client, small.caller(None, TRUSTED if what == "trusted origin" else "https://his.example")
    asked = {"name": "x", "scopes": ["basic"]}
    if what == "approval":
        begun = page.post("/v1/pairing", json=asked).json()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    match what:
        case "trusted origin":
            refused = page.post("/v1/pairing", json=asked)
        case "approval":
            refused = client.post(f"/v1/pairing/{begun['request']}/approve", json={"scopes": ["basic"]})
        case _:
            refused = client.post("/v1/grants", json=asked)
    assert (refused.status_code, refused.json()["code"]) == (500, "configuration")
    assert [one["kind"] for one in client.get("/v1/grants").json()["grants"]] == ["local"]
    if what == "approval":
        outcome = small.caller(begun["secret"], "https://his.example").get(f"/v1/pairing/{begun['request']}").json()
        token = outcome["token"]
        assert token is None or small.caller(token, "https://his.example").get("/v1/readers").status_code in (401, 403)
