"""Attack suites: every route and socket, from pages and programs that do not belong. Handlers hit 0, APDUs 0."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus

from service.gate.policy import DialectRule
from service.gate.scopes import DEFAULT_SCOPES, Scope
from tests.unit.service.bridge import AUTH, FIRST, TOKEN, Bridge

HOSTILE = "https://evil.example"
PAIRED = "https://his.example"
OPEN = {"/livez", "/readyz", "/v1/hello"}
OPEN_TO_ALL = OPEN | {"/v1/pairing", "/v1/pairing/{request_id}"}


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    rules = [DialectRule(name, programs=False, scopes=DEFAULT_SCOPES) for name in ("json", "decard")]
    made = Bridge(scopes=frozenset(Scope), dialects=rules)
    made.pair(PAIRED, Scope.BASIC)
    yield made
    made.stop()


NAMES = {
    "{reader}": "Simulated%20Reader%2000", "{application}": "SSSE", "{file}": "EF06", "{function}": "iReadCardBas",
    "{debit}": "0" * 16, "{request_id}": "0" * 16, "{grant_id}": "0" * 12,
}  # fmt: skip


def routes(bridge: Bridge) -> list[tuple[str, str]]:
    """Every method and path that the bridge describes, with names put in, but for those that any page may ask."""
    found = []
    for path, operations in bridge.app.openapi()["paths"].items():
        for method in operations:
            if path not in OPEN and (path not in OPEN_TO_ALL or (path, method) == ("/v1/pairing", "get")):
                for name, value in NAMES.items():
                    path = path.replace(name, value)
                assert "{" not in path
                found.append((method.upper(), path))
    assert len(found) >= 35
    return found


ATTACKS: dict[str, tuple[list[str], bytes]] = {
    "cross-origin GET or POST": ([f"Origin: {HOSTILE}"], b""),
    "with the owner's token": ([f"Origin: {HOSTILE}", AUTH], b""),
    "form": ([f"Origin: {HOSTILE}", "Content-Type: application/x-www-form-urlencoded"], b"a=b"),
    "text/plain": ([f"Origin: {HOSTILE}", "Content-Type: text/plain"], b'{"pin":"123456"}'),
    "sendBeacon": ([f"Origin: {HOSTILE}", "Content-Type: application/json", AUTH], b"{}"),
    "image, without Origin": (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", AUTH], b""),
    "same site, other port": (["Sec-Fetch-Site: same-site", AUTH], b""),
    "null origin": (["Origin: null", AUTH], b""),
    "two origins": (["Origin: http://127.0.0.1:{port}", f"Origin: {HOSTILE}", AUTH], b""),
    "paired page with the owner's token": ([f"Origin: {PAIRED}", AUTH], b""),
    "no token": ([], b""),
    "cookie": ([f"Cookie: token={TOKEN}; Authorization=Bearer {TOKEN}"], b""),
    "token in the query": ([f"X-Token: {TOKEN}"], b""),
    "basic": (["Authorization: Basic " + base64.b64encode(f"a:{TOKEN}".encode()).decode()], b""),
    "two tokens": ([AUTH, AUTH], b""),
    "an unknown token": (["Authorization: Bearer " + "U" * 43], b""),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_route_is_reached(bridge: Bridge, attack: str) -> None:
    headers, body = ATTACKS[attack]
    before = len(bridge.hits), bridge.commands
    for method, path in routes(bridge):
        for sent in {method, "GET", "POST", "OPTIONS"} - ({"POST"} if path == "/v1/pairing" else set()):
            status, text = bridge.raw(
                f"{sent} {path} HTTP/1.1", f"Host: 127.0.0.1:{bridge.port}",
                *(line.format(port=bridge.port) for line in headers), f"Content-Length: {len(body)}", body=body,
            )  # fmt: skip
            assert status in (401, 403), (sent, path)
            assert "测试" not in text and (
                path == "/v1/pairing" or "access-control-allow-origin: https://evil" not in text.lower()
            )
    assert (len(bridge.hits), bridge.commands) == before


SOCKETS: list[tuple[str | None, dict[str, str], list[str]]] = [
    (HOSTILE, {}, []),
    (HOSTILE, {"Authorization": f"Bearer {TOKEN}"}, []),
    (HOSTILE, {}, ["cardio.v1", f"bearer.{TOKEN}"]),
    (PAIRED, {}, []),
    (PAIRED, {}, ["cardio.v1", f"bearer.{TOKEN}"]),
    (None, {}, []),
    (None, {}, ["cardio.v1", "ticket.nobodys"]),
    (None, {}, ["cardio.v1"]),
    ("null", {"Authorization": f"Bearer {TOKEN}"}, []),
    (None, {"Authorization": f"Bearer {TOKEN}"}, [f"bearer.{TOKEN}"]),
]


@pytest.mark.parametrize(("origin", "headers", "protocols"), SOCKETS)
def test_no_socket_opens(bridge: Bridge, origin: str | None, headers: dict[str, str], protocols: list[str]) -> None:
    before = len(bridge.hits), bridge.commands
    places: list[tuple[int | None, str]] = [(None, "/v1/ws"), (None, "/dialects/json"), (None, "/dialects/decard")]
    if origin != PAIRED:  # a paired page may speak a dialect: test_dialects has it
        places += [(port, "/") for port in bridge.dialect_ports.values()]
    for port, path in places:
        with pytest.raises(InvalidStatus) as refused:
            bridge.socket(path, port=port, origin=origin, headers=headers, protocols=protocols)
        assert refused.value.response.status_code in (401, 403, 404), (port, path)
    assert (len(bridge.hits), bridge.commands) == before


def test_a_dialects_port_serves_nothing_else(bridge: Bridge) -> None:
    before = len(bridge.hits)
    for port in bridge.dialect_ports.values():
        for path in ("/", "/v1/readers", "/v1/hello", "/livez"):
            status, _ = bridge.raw(f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", AUTH, port=port)
            assert status == 404
        for host in (f"127.0.0.1:{bridge.port}", "evil", f"his.example:{port}"):
            assert bridge.raw("GET / HTTP/1.1", f"Host: {host}", AUTH, port=port)[0] == 421
    assert len(bridge.hits) == before


def test_what_any_page_may_ask_tells_it_nothing(bridge: Bridge) -> None:
    before = bridge.commands
    page = bridge.caller(None, HOSTILE)
    hello = page.get("/v1/hello", params={"nonce": "ab" * 16, "grant": "nobody"})
    assert hello.headers["access-control-allow-origin"] == HOSTILE
    assert hello.json()["proof"] is None and hello.json()["origin"] == {"origin": HOSTILE, "paired": False}
    assert page.get("/v1/pairing/" + "0" * 16).status_code in (401, 404)
    assert page.get("/v1/pairing").status_code == 403
    assert bridge.commands == before


def test_a_preflight_is_answered_to_listed_origins_only(bridge: Bridge) -> None:
    asks = ["Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"]
    private = [*asks, "Access-Control-Request-Private-Network: true", "Access-Control-Request-Local-Network: true"]
    before = len(bridge.hits)
    for origin, path, expected in (
        (PAIRED, "/v1/readers", 204),
        (HOSTILE, "/v1/readers", 403),
        (HOSTILE, "/v1/pairing", 204),
        (HOSTILE, "/v1/hello", 204),
        ("null", "/v1/pairing", 403),
        (f"{PAIRED}.evil", "/v1/readers", 403),
        (PAIRED.replace("https", "http"), "/v1/readers", 403),
        (f"{PAIRED}:8443", "/v1/readers", 403),
    ):
        status, text = bridge.raw(
            f"OPTIONS {path} HTTP/1.1", f"Host: 127.0.0.1:{bridge.port}", f"Origin: {origin}", *private
        )
        assert status == expected, (origin, path)
        told = text.lower()
        # A stranger may ask for pairing, but is not told that it may reach this machine.
        assert ("access-control-allow-private-network: true" in told) == (expected == 204 and origin == PAIRED)
        assert ("access-control-allow-local-network: true" in told) == (expected == 204 and origin == PAIRED)
        assert "access-control-allow-credentials" not in told and "allow-origin: *" not in told
    assert len(bridge.hits) == before


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.MANAGE])
def test_each_scope_opens_its_own_routes_and_no_others(bridge: Bridge, scope: Scope) -> None:
    """A page with one scope only: every route answers no-scope, or is one of that scope's."""
    page = bridge.client.post("/v1/grants", json={"name": "程序", "scopes": [scope]}).json()
    caller = bridge.caller(page["token"])
    opened = set()
    for method, path in routes(bridge):
        if path == "/v1/events" or method == "HEAD":
            continue
        answer = caller.request(method, path, json={} if method in ("POST", "PUT") else None)
        if answer.status_code == 403 and answer.json()["code"] == "no-scope":
            continue
        opened.add((method, path.split("Simulated%20Reader%2000")[-1]))
    places = {
        Scope.BASIC: {("GET", "/v1/readers"), ("GET", "/card"), ("GET", "/card/nhsa-1101"), ("GET", "/v1/status")},
        Scope.FILES: {("GET", "/card/files"), ("GET", "/card/files/SSSE/EF06"), ("GET", "/trace")},
        Scope.PIN: {("GET", "/card/pin"), ("POST", "/card/pin/verify")},
        Scope.WRITE: set(),
        Scope.SETTLE: set(),
        Scope.APDU: {("POST", "/apdu"), ("GET", "/v1/simulator")},
        Scope.METRICS: {("GET", "/metrics")},
    }[scope]
    assert places <= opened
    for other, place in (
        (Scope.BASIC, ("GET", "/card")), (Scope.FILES, ("GET", "/card/files")), (Scope.PIN, ("GET", "/card/pin")),
        (Scope.APDU, ("POST", "/apdu")), (Scope.METRICS, ("GET", "/metrics")), (Scope.MANAGE, ("GET", "/v1/grants")),
    ):  # fmt: skip
        assert other is scope or place not in opened
    bridge.client.delete(f"/v1/grants/{page['grant']}")


def test_no_page_is_granted_the_management(bridge: Bridge) -> None:
    asked = bridge.caller(None, "https://greedy.example").post(
        "/v1/pairing", json={"name": "x", "scopes": ["basic", "manage", "metrics"]}
    )
    assert asked.json()["scopes"] == ["basic"]
    refused = bridge.client.post(f"/v1/pairing/{asked.json()['request']}/approve", json={"scopes": ["manage"]})
    assert (refused.status_code, refused.json()["code"]) == (400, "usage")


def test_who_belongs_is_let_in() -> None:
    """The suites above would pass over a bridge that answers no caller."""
    bridge = Bridge()
    try:
        assert bridge.client.get(f"/v1/readers/{FIRST}/card").json()["holder"]["name"] == "测试甲"
        assert bridge.hits == [f"/v1/readers/{FIRST}/card"] and bridge.commands > 0
    finally:
        bridge.stop()
