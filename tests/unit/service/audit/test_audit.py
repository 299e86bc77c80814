"""The audit log of the bridge: each use of a card with its user and its outcome, and no holder's data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.audit.schema import AuditEntry
from service.gate.policy import DialectRule
from service.gate.scopes import DEFAULT_SCOPES, Scope
from simulators.card.faults import FaultyCard
from simulators.personas.persona import find_persona
from tests.pcsc import wait_until
from tests.unit.service.audit.audit_files import entries, state_of
from tests.unit.service.bridge import FIRST, FIRST_COUNTS, SECOND, TOKEN, Bridge
from tests.unit.service.debits.debit_desk import Desk

PAGE = "https://his.example"
CARD = "/v1/readers/{reader}/card"
ADULT = "370200D15600000500000001FFFFFFFF|A00000011|"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.sqlite"


@pytest.fixture
def bridge(path: Path) -> Iterator[Bridge]:
    rules = [DialectRule(name, programs=True, scopes=DEFAULT_SCOPES | {Scope.APDU}) for name in ("json", "decard")]
    made = Bridge(
        "adult",
        "whole",
        scopes=frozenset(Scope),
        audit=path,
        journal=path.with_name("debits.sqlite"),
        dialects=rules,
        site_options=FIRST_COUNTS,
    )
    yield made
    made.stop()


def session_of(bridge: Bridge) -> str | None:
    """Of the card in the first reader."""
    session: str | None = bridge.client.get("/v1/readers").json()["readers"][0]["card_session"]
    return session


def last(bridge: Bridge) -> AuditEntry:
    return entries(bridge)[-1]


def test_a_reading_is_one_entry(bridge: Bridge) -> None:
    before = len(entries(bridge))
    answer = bridge.client.get(f"/v1/readers/{FIRST}/card")
    assert answer.status_code == 200 and len(entries(bridge)) == before + 1
    entry = last(bridge)
    assert (entry.origin, entry.grant, entry.action, entry.target) == ("local", "local", f"GET {CARD}", "")
    assert (entry.reader, entry.outcome) == (FIRST, "ok")
    assert entry.card_session == answer.headers["Cardio-Card-Session"]
    assert entry.request_id == answer.headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{16}", entry.card)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", entry.time)


CALLS: list[tuple[str, str, Any, str, str, int]] = [
    ("GET", "/card", None, f"GET {CARD}", "", 200),
    ("GET", "/card/nhsa-1101", None, f"GET {CARD}/nhsa-1101", "", 200),
    ("GET", "/card/files", None, f"GET {CARD}/files", "", 200),
    ("GET", "/card/files/DF01/EF06", None, f"GET {CARD}/files/{{application}}/{{file}}", "DF01/EF06", 200),
    ("GET", "/card/insurance", None, f"GET {CARD}/insurance", "", 200),
    ("GET", "/card/employment", None, f"GET {CARD}/employment", "", 200),
    ("GET", "/card/photo", None, f"GET {CARD}/photo", "", 403),
    ("POST", "/card/pin/verify", {"pin": "123456"}, f"POST {CARD}/pin/verify", "", 200),
    ("POST", "/card/pin/change", {"pin": "123456", "new_pin": "123456"}, f"POST {CARD}/pin/change", "", 200),
    ("GET", "/card/pin", None, f"GET {CARD}/pin", "", 200),
    ("POST", "/card/pin/unblock", None, f"POST {CARD}/pin/unblock", "", 503),
    ("POST", "/card/pin/reload", {"new_pin": "123456"}, f"POST {CARD}/pin/reload", "", 503),
    ("POST", "/card/verification", {}, f"POST {CARD}/verification", "", 200),
    ("POST", "/apdu", {"command": "0084000008"}, "POST /v1/readers/{reader}/apdu", "", 200),
    ("POST", "/card/files/DF01/EF06", {"values": {"residence": "测试路"}},
     f"POST {CARD}/files/{{application}}/{{file}}", "DF01/EF06", 503),
    ("DRIVER", "iReadCardBas", {}, "iReadCardBas", "", 200),
    ("DRIVER", "iReadCard", {"iAuthType": 1, "pin": "123456", "pCardInfo": ADULT,
     "pFileAddr": "3F00EF05|07|$df01ef06|23|$"}, "iReadCard", "SSSE/EF05 DF01/EF06", 200),
    ("DRIVER", "iVerifyPIN", {"pin": "123456"}, "iVerifyPIN", "", 200),
    ("DRIVER", "iReadICCardNum", {}, "iReadICCardNum", "", 200),
    ("DRIVER", "iReadCardBas_HSM_Step1", {}, "iReadCardBas_HSM_Step1", "", 200),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "place", "body", "action", "target", "status"), CALLS, ids=[one[3] for one in CALLS]
)
def test_every_use_of_a_card_is_one_entry(
    bridge: Bridge, method: str, place: str, body: Any, action: str, target: str, status: int
) -> None:
    before = len(entries(bridge))
    if method == "DRIVER":
        answer = bridge.client.post(f"/v1/driver/{place}", json={"reader": FIRST} | body)
    else:
        answer = bridge.client.request(method, f"/v1/readers/{FIRST}{place}", json=body)
    assert answer.status_code == status, answer.text
    written = entries(bridge)[before:]
    assert [(one.action, one.target, one.reader) for one in written] == [(action, target, FIRST)]
    assert written[0].outcome == ("ok" if status == 200 else answer.json()["code"])


def test_no_route_to_a_card_is_forgotten(bridge: Bridge) -> None:
    """Whatever leads to a card in a reader is among the calls above."""
    document = bridge.client.get("/openapi.json").json()
    routes = {
        f"{method.upper()} {where}"
        for where, methods in document["paths"].items()
        for method in methods
        if where.startswith("/v1/readers/") and ("/card" in where or where.endswith("/apdu"))
    }
    assert routes and routes <= {one[3] for one in CALLS}


def test_cards_are_told_apart_and_known_again(bridge: Bridge) -> None:
    for reader in (FIRST, SECOND, FIRST):
        bridge.client.get(f"/v1/readers/{reader}/card")
    first, second, again = (one.card for one in entries(bridge)[-3:])
    assert first == again != second


def test_who_did_not_say_who_it_is_is_known_by_what_it_said_before(bridge: Bridge) -> None:
    """A single command reads no name; the card in the reader is the one that was read before."""
    bridge.client.get(f"/v1/readers/{FIRST}/card")
    bridge.client.post(f"/v1/readers/{FIRST}/apdu", json={"command": "0084000008"})
    read, command = entries(bridge)[-2:]
    assert read.card == command.card != ""
    reader = bridge.readers.reader(FIRST)
    assert reader is not None
    session = read.card_session
    reader.insert(find_persona("child").card())
    wait_until(lambda: session_of(bridge) not in (session, None), "swapped")
    bridge.client.post(f"/v1/readers/{FIRST}/apdu", json={"command": "0084000008"})
    assert last(bridge).card == "" and last(bridge).card_session not in (session, "")


def test_what_failed_is_an_entry_too(bridge: Bridge) -> None:
    wrong = bridge.client.post(f"/v1/readers/{FIRST}/card/pin/verify", json={"pin": "654321"})
    assert (last(bridge).outcome, last(bridge).card != "") == (wrong.json()["code"], True)
    reader = bridge.readers.reader(FIRST)
    assert reader is not None
    reader.remove()
    answer = bridge.client.get(f"/v1/readers/{FIRST}/card")
    assert last(bridge).outcome == answer.json()["code"] == "no-card"


def test_who_is_turned_away_is_none(bridge: Bridge) -> None:
    before = entries(bridge)
    page, _ = bridge.pair(PAGE, Scope.BASIC)
    assert page.get(f"/v1/readers/{FIRST}/card/files").status_code == 403
    assert bridge.caller(TOKEN, "https://evil.example").get(f"/v1/readers/{FIRST}/card").status_code == 403
    assert bridge.caller(None).get(f"/v1/readers/{FIRST}/card").status_code == 401
    assert [one.action for one in entries(bridge)[len(before) :]] == ["grant-added"]


def test_who_was_let_in_read_and_was_shut_out(bridge: Bridge) -> None:
    page, grant = bridge.pair(PAGE, Scope.BASIC)
    page.get(f"/v1/readers/{FIRST}/card").raise_for_status()
    bridge.client.delete(f"/v1/grants/{grant}").raise_for_status()
    added, read, revoked = entries(bridge)[-3:]
    assert (added.action, added.target) == ("grant-added", f"{grant} page {PAGE} basic")
    assert (read.action, read.origin, read.grant) == (f"GET {CARD}", PAGE, grant)
    assert (revoked.action, revoked.target) == ("grant-revoked", grant)


def test_who_listens_to_readings(bridge: Bridge) -> None:
    page, grant = bridge.pair(PAGE, Scope.BASIC)
    with page.stream("GET", "/v1/events") as stream:
        next(stream.iter_lines())
    assert last(bridge).action == "grant-added", "without what was read there is no holder's data in events"
    with page.stream("GET", "/v1/events", params={"readings": "true"}) as stream:
        next(stream.iter_lines())
    assert (last(bridge).action, last(bridge).origin, last(bridge).grant) == ("listens-to-readings", PAGE, grant)
    bridge.socket("/v1/ws?readings=true", headers={"Authorization": f"Bearer {TOKEN}"}).recv(5)
    assert (last(bridge).action, last(bridge).origin) == ("listens-to-readings", "local")


@pytest.mark.parametrize(
    ("dialect", "message", "action"),
    [
        ("json", '{"function":"iReadCardBas","iType":3}', "iReadCardBas"),
        ("decard", '{"func":"iReadCardBas","in":["3"]}', "iReadCardBas"),
        ("decard", '{"func":"dc_cpuapduInt","in":["100","5","0084000008"]}', "dc_cpuapduInt"),
    ],
)
def test_dialects(bridge: Bridge, dialect: str, message: str, action: str) -> None:
    before = len(entries(bridge))
    socket = bridge.socket("/", port=bridge.dialect_ports[dialect])
    socket.send(message)
    socket.recv(5)
    written = entries(bridge)[before:]
    assert [(one.action, one.outcome, one.origin) for one in written] == [(action, "ok", "local")]
    assert written[0].grant.startswith(f"programs {dialect}#")


def test_beginning_and_end(path: Path) -> None:
    bridge = Bridge(audit=path)
    bridge.stop()
    assert [one.action for one in entries(bridge)] == ["bridge-started", "bridge-stopped"]


def test_debits_are_named(tmp_path: Path) -> None:
    desk = Desk(tmp_path, audit=tmp_path / "audit.sqlite")
    try:
        debit = desk.call().json()["debit"]["id"]
        assert (last(desk.bridge).action, last(desk.bridge).target, last(desk.bridge).outcome) == (
            "iDoDebit",
            debit,
            "ok",
        )
        before = len(entries(desk.bridge))
        desk.call()  # told from the journal
        assert len(entries(desk.bridge)) == before, "no card was touched"

        def falls_silent(card: Any, command: bytes) -> bytes:
            answer: bytes = card.transmit(command)
            if command[:2] == bytes.fromhex("B02C"):
                desk.reader.remove()
            return answer

        desk.put(desk.card, falls_silent)
        lost = desk.call(key="l", pPayInfo="0.1|0.20|20151118185002|")
        assert lost.status_code == 202
        assert (last(desk.bridge).action, last(desk.bridge).target) == ("iDoDebit", lost.json()["debit"]["id"])
        assert last(desk.bridge).outcome != "ok"
        answer = desk.bridge.client.post(
            f"/v1/debits/{lost.json()['debit']['id']}/resolution", json={"outcome": "done"}
        )
        answer.raise_for_status()
        assert last(desk.bridge).action == "POST /v1/debits/{debit}/resolution"
        assert last(desk.bridge).target == f"{lost.json()['debit']['id']} done"
    finally:
        desk.bridge.stop()


def test_nobody_is_in_log_or_journal(tmp_path: Path) -> None:
    desk = Desk(tmp_path, audit=tmp_path / "audit.sqlite")
    try:
        reading = desk.bridge.client.get(f"/v1/readers/{SECOND}/card").json()
        desk.call()
        desk.bridge.client.post(f"/v1/readers/{SECOND}/card/pin/verify", json={"pin": "654321"})
        desk.bridge.client.get("/v1/readers/119900197708090027/card")
    finally:
        desk.bridge.stop()
    holder, card = reading["holder"], reading["card"]
    canaries = [
        holder["name"], holder["social_security_number"], card["card_number"], card["identification_code"], "654321",
        "123456",
    ]  # fmt: skip
    content = b"".join(one.read_bytes() for one in tmp_path.glob("*.sqlite*"))
    assert b"iDoDebit" in content and b"no-such" not in content, "the scan looks at what is there"
    for canary in canaries:
        for raw in (canary.encode(), canary.encode("gb18030"), canary.lower().encode()):
            assert raw not in content and raw.hex().encode() not in content.lower(), canary


def test_whose_data_were_told_before_the_reading_failed(bridge: Bridge) -> None:
    """Listeners have the basic information by then: the entry knows the card, which is new in the reader."""
    bridge.client.get(f"/v1/readers/{FIRST}/card")
    before = last(bridge)
    reader = bridge.readers.reader(FIRST)
    assert reader is not None

    def pulled(card: Any, command: bytes) -> bytes:
        if bytes.fromhex("DF01") in command:
            reader.remove()
        answer: bytes = card.transmit(command)
        return answer

    reader.insert(FaultyCard(find_persona("adult").card(), pulled))
    wait_until(
        lambda: (
            bridge.client.get("/v1/readers").json()["readers"][0]["card_session"] not in (before.card_session, None)
        ),
        "it is seen",
    )
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").json()["code"] == "card-removed"
    assert (last(bridge).card, last(bridge).outcome) == (before.card, "card-removed")
    assert last(bridge).card_session not in (before.card_session, "")


def test_a_trusted_page_lets_itself_in(path: Path) -> None:
    bridge = Bridge("adult", audit=path, trusted={PAGE: frozenset({Scope.BASIC})})
    try:
        for number in range(18):
            asked = bridge.caller(None, PAGE).post("/v1/pairing", json={"name": "页面", "scopes": ["basic"]})
            assert asked.status_code == 202
            added = last(bridge)
            assert (added.action, added.origin, added.grant) == ("grant-added", PAGE, ""), number
            assert added.request_id == asked.headers["X-Request-Id"]
    finally:
        bridge.stop()
    made = [one.target.split()[0] for one in entries(bridge) if one.action == "grant-added"]
    gone = [(one.target, one.origin) for one in entries(bridge) if one.action == "grant-revoked"]
    assert gone and gone == [(grant, PAGE) for grant in made[: len(gone)]], "the oldest make room"


def test_a_first_step_knows_its_card(bridge: Bridge) -> None:
    step = bridge.client.post("/v1/driver/iReadCardBas_HSM_Step1", json={"reader": FIRST})
    bridge.client.get(f"/v1/readers/{FIRST}/card")
    first, read = entries(bridge)[-2:]
    assert step.headers["Cardio-Card-Session"] == first.card_session == read.card_session
    assert first.card == read.card != ""


def test_without_a_log_nothing_is_written(tmp_path: Path) -> None:
    bridge = Bridge("adult")
    try:
        assert bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200
        assert state_of(bridge) == "off"
    finally:
        bridge.stop()
    assert list(tmp_path.iterdir()) == []
