"""The bridge's answers at the addresses that people type, and to the doorway that a browser keeps there."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import service
from service.gate.peers import Peer, Peers
from tests.unit.service.bridge import TOKEN, Bridge

OWN, BEFORE = "127.41.7.9", "127.88.3.5"
NONCE = "0123456789abcdef" * 2
WEB = Path(service.__file__).parent / "web"


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge(page_address=OWN, earlier_page_addresses=[BEFORE])
    yield made
    made.stop()


def opened(bridge: Bridge, host: str = "127.0.0.1", path: str = "/") -> str:
    answer = bridge.caller(None).get(f"http://{host}:{bridge.port}{path}", headers={"Sec-Fetch-Dest": "document"})
    assert answer.status_code == 200
    return answer.text


def planted(text: str) -> dict[str, Any]:
    found = re.search(r'<meta name=doorway content="([^"]*)">', text)
    assert found is not None
    given: dict[str, Any] = json.loads(html.unescape(found[1]))
    return given


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_doorway_is_given_whole_in_one_answer(bridge: Bridge, host: str) -> None:
    """By hash, where it is not in the answer itself: the browser may fetch the rest from another program."""
    text = opened(bridge, host, "/developer")
    given = planted(text)
    worker = bridge.caller(None).get(
        f"http://{host}:{bridge.port}{given['keeper']}", headers={"Service-Worker": "script"}
    )
    assert worker.status_code == 200 and "clear-site-data" not in worker.headers
    assert hashlib.sha256(worker.content).hexdigest() == given["digest"]
    assert given["pages"] == f"http://{OWN}:{bridge.port}"
    script = re.search(r'<script type=module src="(/static/[^"]*)" integrity="sha256-([^"]*)"></script>', text)
    assert script is not None
    assert bridge.caller(None).get(script[1]).content == (WEB / "worker" / "plant-doorway.js").read_bytes()
    assert base64.b64decode(script[2]) == hashlib.sha256((WEB / "worker" / "plant-doorway.js").read_bytes()).digest()
    assert "import" not in (WEB / "worker" / "plant-doorway.js").read_text(), "what it imports has no hash"


def test_the_doorways_worker_has_the_doorway_at_every_page_and_does_not_know_the_address(bridge: Bridge) -> None:
    worker = bridge.caller(None).get(planted(opened(bridge))["keeper"]).text
    kept = json.loads(worker.partition("\n")[0].removeprefix("const KEPT = ").removesuffix(";"))
    for path in ("/", "/kiosk", "/developer", "/pair"):
        assert kept["files"][path]["text"] == (WEB / "doorway.html").read_text()
    assert OWN not in worker, "it stays longer than the run"


def test_each_browser_has_a_key_of_its_own_that_later_runs_know(bridge: Bridge) -> None:
    first, second = planted(opened(bridge)), planted(opened(bridge))
    assert first["grant"] != second["grant"] and first["recall"] != second["recall"]
    owner = hashlib.sha256(TOKEN.encode()).digest()
    recall = hmac.new(owner, f"cardio-recall|{first['grant']}".encode(), hashlib.sha256).hexdigest()
    assert first["recall"] == recall


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_doorway_is_led_on_at_once_and_by_proof(bridge: Bridge, host: str) -> None:
    given = planted(opened(bridge, host))
    here = f"http://{host}:{bridge.port}"
    answer = bridge.caller(None, here).post(f"{here}/v1/pages/moved", json={"grant": given["grant"], "nonce": NONCE})
    told = answer.json()
    assert told["origin"] == f"http://{OWN}:{bridge.port}"
    said = f"cardio-moved|{NONCE}|{bridge.port}|{told['origin']}"
    assert told["proof"] == hmac.new(bytes.fromhex(given["recall"]), said.encode(), hashlib.sha256).hexdigest()


def test_where_the_pages_are_at_the_typed_address_a_doorway_stays() -> None:
    bridge = Bridge()
    try:
        here = bridge.caller(None, bridge.address)
        answer = here.post("/v1/pages/moved", json={"grant": "doorway-0011223344556677", "nonce": NONCE}).json()
        assert answer["origin"] == bridge.address
        assert "doorway" not in opened(bridge)
    finally:
        bridge.stop()


def test_a_doorway_opens_nothing(bridge: Bridge) -> None:
    given = planted(opened(bridge))
    for token in (given["grant"], given["recall"]):
        assert bridge.caller(token).get("/v1/readers").status_code == 401
    assert (
        bridge.caller(None).get("/v1/hello", params={"nonce": NONCE, "grant": given["grant"]}).json()["proof"] is None
    )


@pytest.mark.parametrize("user", [1007, None])
def test_another_user_is_told_no_address_and_given_no_proof(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, user: int | None
) -> None:
    """A program of another user could pass the proof on. Unidentified users count as others too."""

    async def identify(*_: object) -> Peer:
        return Peer(user, is_believed=False)

    given = planted(opened(bridge))
    monkeypatch.setattr(Peers, "identify", identify)
    for host in ("127.0.0.1", "localhost", BEFORE):
        for path in ("/", "/kiosk"):
            answer = bridge.caller(None).get(
                f"http://{host}:{bridge.port}{path}", headers={"Sec-Fetch-Dest": "document"}
            )
            assert answer.status_code == 403 and OWN not in answer.text and "refresh" not in answer.headers
        here = bridge.caller(None, f"http://{host}:{bridge.port}")
        for grant in (given["grant"], "0011223344556677"):
            answer = here.post("/v1/pages/moved", json={"grant": grant, "nonce": NONCE})
            assert answer.status_code == 403 and "proof" not in answer.json()


def test_parameters_of_a_page_stay_on_the_way(bridge: Bridge) -> None:
    answer = bridge.caller(None).get(f"http://{BEFORE}:{bridge.port}/kiosk?reader=A&b=%22%3E", headers={})
    assert answer.headers["refresh"] == f"0; url=http://{OWN}:{bridge.port}/kiosk?reader=A&b=%22%3E"
    assert "reader=A&amp;b=%22%3E" in answer.text
