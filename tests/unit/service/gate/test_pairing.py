"""Pairing: asked by a page, confirmed by a person, fetched once, kept, revoked and then cut off at once."""

from __future__ import annotations

import hashlib
import hmac
import json
import stat
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from cardio.errors import ConfigurationError
from service.gate.errors import PairingGoneError
from service.gate.grants import Grants
from service.gate.pairing import Pairing, presentable
from service.gate.scopes import DEFAULT_SCOPES, Scope
from service.gate.tickets import Tickets
from tests.unit.service.bridge import FIRST, TOKEN, Bridge

PAGE = "https://his.example"


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    made = Bridge(file=tmp_path / "grants.json", trusted={"https://trusted.example": frozenset({Scope.BASIC})})
    yield made
    made.stop()


def test_a_page_is_let_in_by_a_person_who_compares_the_code(bridge: Bridge) -> None:
    page = bridge.caller(None, PAGE)
    asked = page.post("/v1/pairing", json={"name": "门诊\u202e收费", "scopes": ["basic", "files", "pin"]})
    assert asked.status_code == 202 and asked.headers["access-control-allow-origin"] == PAGE
    begun = asked.json()
    assert begun["origin"] == PAGE and len(begun["code"]) == 7 and begun["expires_in"] > 100
    waiting = bridge.client.get("/v1/pairing").json()["requests"]
    assert [(one["origin"], one["name"], one["code"]) for one in waiting] == [(PAGE, "门诊收费", begun["code"])]
    mine = bridge.caller(begun["secret"], PAGE)
    place = f"/v1/pairing/{begun['request']}"
    assert mine.get(place).json()["state"] == "waiting"
    # The person grants less than was asked for.
    granted = bridge.client.post(f"{place}/approve", json={"scopes": ["basic"]}).json()
    outcome = mine.get(place).json()
    assert (outcome["state"], outcome["scopes"], outcome["grant"]) == ("granted", ["basic"], granted["grant"])
    assert mine.get(place).json()["token"] is None, "the token is given once"
    paired = bridge.caller(outcome["token"], PAGE)
    answer = paired.get(f"/v1/readers/{FIRST}/card")
    assert answer.json()["holder"]["name"] == "测试甲" and answer.headers["access-control-allow-origin"] == PAGE
    assert "cardio-card-session" in answer.headers["access-control-expose-headers"]
    refused = paired.get(f"/v1/readers/{FIRST}/card/files")
    assert (refused.status_code, refused.json()["code"]) == (403, "no-scope")
    # The token is the page's only: not another origin's, not a program's.
    for origin in (None, "https://his.example:8443", bridge.address):
        assert bridge.caller(outcome["token"], origin).get("/v1/readers").status_code in (401, 403)


def test_nobody_but_the_page_that_asked_gets_the_outcome(bridge: Bridge) -> None:
    begun = bridge.caller(None, PAGE).post("/v1/pairing", json={"name": "x", "scopes": ["basic"]}).json()
    place = f"/v1/pairing/{begun['request']}"
    bridge.client.post(f"{place}/approve", json={"scopes": ["basic"]})
    assert bridge.caller("guess", PAGE).get(place).status_code == 401
    assert bridge.caller(begun["secret"], "https://evil.example").get(place).status_code == 401
    assert bridge.caller(begun["secret"], PAGE).get(place).json()["token"]


def test_a_person_says_no(bridge: Bridge) -> None:
    page = bridge.caller(None, PAGE)
    begun = page.post("/v1/pairing", json={"name": "x", "scopes": ["basic"]}).json()
    assert bridge.client.post(f"/v1/pairing/{begun['request']}/deny").status_code == 204
    assert bridge.caller(begun["secret"], PAGE).get(f"/v1/pairing/{begun['request']}").json()["state"] == "denied"
    again = page.post("/v1/pairing", json={"name": "x", "scopes": ["basic"]})
    assert again.status_code == 429 and int(again.headers["retry-after"]) > 0, "not asked again and again"
    assert bridge.client.post(f"/v1/pairing/{begun['request']}/approve", json={"scopes": ["basic"]}).status_code == 404


def test_a_trusted_origin_needs_no_person_but_no_more_than_it_is_trusted_with(bridge: Bridge) -> None:
    trusted = "https://trusted.example"
    page = bridge.caller(None, trusted)
    begun = page.post("/v1/pairing", json={"name": "x", "scopes": ["basic"]}).json()
    outcome = bridge.caller(begun["secret"], trusted).get(f"/v1/pairing/{begun['request']}").json()
    assert outcome["state"] == "granted" and outcome["token"]
    more = page.post("/v1/pairing", json={"name": "x", "scopes": ["basic", "pin"]}).json()
    assert bridge.caller(more["secret"], trusted).get(f"/v1/pairing/{more['request']}").json()["state"] == "waiting"


def test_revoking_cuts_streams_and_sockets_at_once(bridge: Bridge) -> None:
    page, grant = bridge.pair(PAGE, Scope.BASIC)
    ticket = page.post("/v1/ws/ticket").json()["ticket"]
    socket = bridge.socket(origin=PAGE, protocols=["cardio.v1", f"ticket.{ticket}"])
    assert json.loads(socket.recv(5))["type"] == "cardio.state"
    with pytest.raises(InvalidStatus):  # a ticket counts once
        bridge.socket(origin=PAGE, protocols=["cardio.v1", f"ticket.{ticket}"])
    with page.stream("GET", "/v1/events") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith(("id", "event"))
        listed = {one["grant"]: one["live"] for one in bridge.client.get("/v1/grants").json()["grants"]}
        assert listed[grant] == 2
        assert bridge.client.delete(f"/v1/grants/{grant}").status_code == 204
        list(lines)  # ends
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(5)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
    assert page.get("/v1/readers").status_code == 403
    hello = page.get("/v1/hello").json()
    assert hello["origin"] == {"origin": PAGE, "paired": False}
    assert bridge.client.delete(f"/v1/grants/{grant}").json()["code"] == "no-such-grant"
    assert bridge.client.delete("/v1/grants/local").status_code == 404


def test_revoking_ends_a_call_that_is_going_on(bridge: Bridge) -> None:
    page, grant = bridge.pair(PAGE, Scope.BASIC)
    bridge.readers.insert(FIRST, "adult", "slow")
    outcome: list[str] = []

    def read() -> None:
        try:
            outcome.append(page.get(f"/v1/readers/{FIRST}/card").text)
        except Exception as error:  # whatever a cut line looks like to this client
            outcome.append(type(error).__name__)

    reading = threading.Thread(target=read)
    reading.start()
    while not bridge.access.live._tasks.get(grant):
        pass
    bridge.client.delete(f"/v1/grants/{grant}")
    reading.join(2)
    assert not reading.is_alive() and "测试" not in outcome[0]


def test_hello_proves_who_it_is(bridge: Bridge) -> None:
    nonce = "0123456789abcdef" * 2
    hello = bridge.caller(None).get("/v1/hello", params={"nonce": nonce, "grant": "local"}).json()
    # By hand: HMAC-SHA256, key SHA-256 of the token, over the nonce and the port.
    key = hashlib.sha256(TOKEN.encode()).digest()
    expected = hmac.new(key, f"cardio-hello|{nonce}|{bridge.port}".encode(), "sha256").hexdigest()
    assert hello["proof"] == expected and hello["service"] == "cardio" and hello["port"] == bridge.port
    for query in ({"nonce": nonce}, {"nonce": nonce, "grant": "nobody"}, {"grant": "local"}):
        assert bridge.caller(None).get("/v1/hello", params=query).json()["proof"] is None
    assert bridge.caller(None).get("/v1/hello", params={"nonce": "short", "grant": "local"}).status_code == 400


def test_sites_cannot_tell_by_hello_that_they_talk_to_one_desk(bridge: Bridge) -> None:
    def hello(origin: str | None) -> dict[str, Any]:
        answer: dict[str, Any] = bridge.caller(None, origin).get("/v1/hello").json()
        return answer

    sites = ["https://a.example", "https://b.example", "http://a.example", "https://trusted.example", PAGE]
    first = [hello(origin) for origin in sites]
    assert len({one["instance"] for one in first}) == len(sites)
    assert [hello(origin)["instance"] for origin in sites] == [one["instance"] for one in first]
    program = hello(None)
    assert program["instance"] == bridge.client.get("/v1/status").json()["instance"]
    assert program["instance"] not in {one["instance"] for one in first}
    # A stranger is told no more of the version than its first number; its own page, and who is let in, all of it.
    assert program["version"] == hello(bridge.address)["version"] == first[3]["version"] == version("cardio")
    assert {one["version"] for one in (first[0], first[1], first[2])} == {version("cardio").split(".")[0]}
    bridge.pair(PAGE, Scope.BASIC)
    assert hello(PAGE)["version"] == version("cardio") and hello(PAGE)["instance"] == first[4]["instance"]


def test_another_run_has_other_marks(bridge: Bridge) -> None:
    other = Bridge()
    try:
        marks = {one.caller(None, PAGE).get("/v1/hello").json()["instance"] for one in (bridge, other)}
    finally:
        other.stop()
    assert len(marks) == 2


def test_programs_have_tokens_of_their_own(bridge: Bridge) -> None:
    made = bridge.client.post("/v1/grants", json={"name": "prometheus", "scopes": ["metrics"]}).json()
    program = bridge.caller(made["token"])
    assert "cardio_requests_total" in program.get("/metrics").text
    assert program.get("/v1/readers").json()["code"] == "no-scope"
    assert bridge.client.post("/v1/grants", json={"name": "x", "scopes": ["manage"]}).status_code == 400
    assert bridge.client.post("/v1/grants", json={"name": "x", "scopes": ["pin"]}).status_code == 400
    assert bridge.client.get("/v1/me").json()["grant"] == "local"


def test_grants_outlive_a_restart_and_no_token_is_in_their_file(tmp_path: Path) -> None:
    file = tmp_path / "grants.json"
    grant, token = Grants(TOKEN, DEFAULT_SCOPES, file).add("page", PAGE, "收费", [Scope.BASIC])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token not in file.read_text() and TOKEN not in file.read_text()
    again = Grants(TOKEN, DEFAULT_SCOPES, file)
    assert again.find(token) == grant and again.find(TOKEN + "x") is None
    again.revoke(grant.id)
    assert Grants(TOKEN, DEFAULT_SCOPES, file).find(token) is None
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Grants(TOKEN, DEFAULT_SCOPES, file)
    file.chmod(0o600)
    file.write_text("[{}]")
    with pytest.raises(ConfigurationError):
        Grants(TOKEN, DEFAULT_SCOPES, file)


def test_requests_end_by_themselves_and_are_few() -> None:
    now = [0.0]
    pairing = Pairing(Grants(TOKEN, DEFAULT_SCOPES), clock=lambda: now[0])
    for number in range(9):
        pairing.ask(f"https://page{number}.example", "x", [Scope.BASIC])
    first = pairing.waiting()[0]
    again, secret = pairing.ask(first.origin, "x", [Scope.BASIC])
    assert len(pairing.waiting()) == 9 and first.state == "expired", "who asks anew takes its own place"
    now[0] = 121
    assert pairing.waiting() == []
    with pytest.raises(PairingGoneError):
        pairing.approve(again.id, [Scope.BASIC])
    assert pairing.outcome(again.id, secret, again.origin)[0].state == "expired"
    now[0] = 241
    with pytest.raises(PairingGoneError):
        pairing.outcome(again.id, secret, again.origin)


def test_a_ticket_counts_once_for_its_origin_for_half_a_minute() -> None:
    now = [0.0]
    tickets = Tickets(clock=lambda: now[0])
    ticket = tickets.issue("g", PAGE)
    assert tickets.redeem(ticket, PAGE) == "g" and tickets.redeem(ticket, PAGE) is None
    other = tickets.issue("g", PAGE)
    assert tickets.redeem(other, "https://evil.example") is None and tickets.redeem(other, PAGE) is None
    late = tickets.issue("g", PAGE)
    now[0] = 30.0
    assert tickets.redeem(late, PAGE) is None


def test_a_strangers_name_is_fit_to_be_shown() -> None:
    assert presentable("  a\u202eb\x00c\n d\u2066 " + "x" * 99) == "abc d " + "x" * 34
