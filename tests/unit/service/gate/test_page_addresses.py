"""The addresses of the bridge's own pages: where they are, who may ask what there, and what stays from run to run."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.gate.page_addresses import PageAddresses, random_address
from service.gate.page_memory import PageMemory
from service.gate.scopes import Scope
from service.ports.binding import bind_pages
from service.routes.page_keeper import keeper_path
from tests.unit.service.bridge import TOKEN, Bridge

OWN, BEFORE = "127.41.7.9", "127.88.3.5"
NONCE = "0123456789abcdef" * 2


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge(page_address=OWN, earlier_page_addresses=[BEFORE])
    yield made
    made.stop()


def own(bridge: Bridge) -> str:
    return f"http://{OWN}:{bridge.port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", BEFORE])
@pytest.mark.parametrize("path", ["/", "/kiosk?reader=Simulated%20Reader%2000", "/developer", "/pair"])
def test_every_other_address_leads_to_the_pages_own(bridge: Bridge, host: str, path: str) -> None:
    answer = bridge.caller(None).get(f"http://{host}:{bridge.port}{path}", headers={"Sec-Fetch-Dest": "document"})
    patience = 0 if host == BEFORE else 10  # a doorway's script leads on sooner
    assert (answer.status_code, answer.headers["refresh"]) == (200, f"{patience}; url={own(bridge)}{path}")
    assert answer.headers["cache-control"] == "no-store" and "frame-ancestors 'none'" in str(answer.headers)
    assert bridge.caller(None).get(own(bridge) + path).status_code == 200


@pytest.mark.parametrize("part", ["iframe", "frame", "image", "script", "empty", "object"])
def test_no_part_of_another_page_is_led_there(bridge: Bridge, part: str) -> None:
    answer = bridge.caller(None).get("/", headers={"Sec-Fetch-Dest": part})
    assert answer.status_code == 404 and OWN not in answer.text + str(answer.headers)


@pytest.mark.parametrize("path", ["/v1/hello", "/v1/me", "/", "/livez", "/v1/pairing"])
def test_other_sites_are_told_nothing_at_the_own_address(bridge: Bridge, path: str) -> None:
    bridge.pair("https://his.example", Scope.BASIC)
    for origin in ("https://evil.example", "https://his.example"):
        for place in (OWN, BEFORE):
            answer = bridge.caller(None, origin).get(f"http://{place}:{bridge.port}{path}")
            assert answer.status_code == 421 and "access-control-allow-origin" not in answer.headers


def test_programs_and_other_sites_find_the_bridge_where_it_was(bridge: Bridge) -> None:
    assert bridge.client.get("/v1/me").status_code == 200
    assert bridge.caller(None, "https://his.example").get("/v1/hello").json()["service"] == "cardio"
    asked = bridge.caller(None, "https://his.example").post("/v1/pairing", json={"name": "x", "scopes": ["basic"]})
    assert asked.json()["confirm"] == f"http://127.0.0.1:{bridge.port}/pair", "another site does not learn the address"


@pytest.mark.parametrize("host", [f"{OWN}.evil.example", "127.41.7.10", "evil.example"])
def test_another_host_is_refused_there_too(bridge: Bridge, host: str) -> None:
    for place in (OWN, BEFORE):
        answer = bridge.caller(None).get(f"http://{place}:{bridge.port}/", headers={"Host": f"{host}:{bridge.port}"})
        assert answer.status_code == 421


def test_a_link_leads_to_the_own_address_and_counts_nowhere_else(bridge: Bridge) -> None:
    asked = bridge.client.post("/v1/pages/ticket", json={}).json()
    assert asked["origin"] == own(bridge)
    given = {"ticket": asked["ticket"], "nonce": NONCE}
    for host in ("127.0.0.1", "localhost", "[::1]", BEFORE):
        strange = bridge.caller(None, f"http://{host}:{bridge.port}")
        assert strange.post("/v1/pages/session", json=given).status_code == 403
        assert strange.post(f"{own(bridge)}/v1/pages/session", json=given).status_code == 403
    answer = bridge.caller(None, own(bridge)).post(f"{own(bridge)}/v1/pages/session", json=given).json()
    assert set(answer["left"]) == {f"http://{one}:{bridge.port}" for one in ("127.0.0.1", "localhost", BEFORE)}
    said = ["cardio-hello", NONCE, str(bridge.port), answer["grant"], answer["token"], answer["keeper"]]
    said += [answer["recall"], *answer["left"]]
    key = hashlib.sha256(asked["ticket"].encode()).digest()
    assert answer["proof"] == hmac.new(key, "|".join(said).encode(), hashlib.sha256).hexdigest()


def test_only_the_own_pages_have_the_browser_forget_and_never_where_they_are(bridge: Bridge) -> None:
    page = bridge.caller(None, own(bridge))
    for host in ("127.0.0.1", BEFORE):
        answer = page.get(f"http://{host}:{bridge.port}/v1/pages/forget", headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 204
        assert answer.headers["clear-site-data"] == '"cache", "storage"'
        assert answer.headers["access-control-allow-origin"] == own(bridge)
        assert answer.headers["access-control-allow-credentials"] == "true"
    here = page.get(f"{own(bridge)}/v1/pages/forget", headers={"Sec-Fetch-Site": "same-origin"})
    assert here.status_code == 403 and "clear-site-data" not in here.headers
    for origin in ("https://his.example", f"http://{BEFORE}:{bridge.port}", f"http://127.0.0.1:{bridge.port}", None):
        answer = bridge.caller(None, origin).get("/v1/pages/forget")
        assert answer.status_code == 403 and "clear-site-data" not in answer.headers


def test_the_pages_worker_is_given_at_the_own_address_only(bridge: Bridge) -> None:
    asks = {"Service-Worker": "script"}
    keeper = keeper_path(bridge.access)
    kept = bridge.caller(None).get(f"{own(bridge)}{keeper}", headers=asks)
    assert kept.status_code == 200 and "clear-site-data" not in kept.headers
    for place in ("/page-keeper.js", "/page-keeper.js?0011223344556677"):  # of another version: what is there stays
        older = bridge.caller(None).get(f"{own(bridge)}{place}", headers=asks)
        assert older.status_code == 404 and "clear-site-data" not in older.headers
    assert bridge.caller(None).get(f"http://127.0.0.1:{bridge.port}{keeper}", headers=asks).status_code == 404
    answer = bridge.caller(None).get(f"http://{BEFORE}:{bridge.port}{keeper}", headers=asks)
    assert answer.status_code == 404 and "storage" in answer.headers["clear-site-data"]


def test_a_page_of_an_earlier_run_is_told_where_the_pages_are_by_who_knows_the_owners_token(bridge: Bridge) -> None:
    asked = {"grant": "0011223344556677", "nonce": NONCE}
    before = bridge.caller(None, f"http://{BEFORE}:{bridge.port}")
    at_the_old_place = f"http://{BEFORE}:{bridge.port}/v1/pages/moved"
    assert before.post(at_the_old_place, json=asked).json()["origin"] == f"http://{BEFORE}:{bridge.port}", "not yet"
    ticket = bridge.client.post("/v1/pages/ticket", json={}).json()["ticket"]
    opened = bridge.caller(None, own(bridge)).post(f"{own(bridge)}/v1/pages/session", json={"ticket": ticket})
    assert opened.status_code == 200
    answer = before.post(at_the_old_place, json=asked).json()
    assert answer["origin"] == own(bridge)
    here = bridge.caller(None, own(bridge)).post(f"{own(bridge)}/v1/pages/moved", json=asked).json()
    assert here["origin"] == own(bridge)
    owner = hashlib.sha256(TOKEN.encode()).digest()
    recall = hmac.new(owner, b"cardio-recall|0011223344556677", hashlib.sha256).digest()
    said = f"cardio-moved|{NONCE}|{bridge.port}|{own(bridge)}"
    assert answer["proof"] == hmac.new(recall, said.encode(), hashlib.sha256).hexdigest()
    for origin in ("https://his.example", "null", None):
        assert bridge.caller(None, origin).post("/v1/pages/moved", json=asked).status_code == 403


def test_the_policy_of_the_pages_lets_them_reach_their_bridge_and_what_they_left(bridge: Bridge) -> None:
    policy = bridge.caller(None).get(own(bridge)).headers["content-security-policy"]
    reached = next(part for part in policy.split("; ") if part.startswith("connect-src"))
    wanted = {"'self'", f"ws://{OWN}:{bridge.port}"}
    wanted |= {f"http://{one}:{bridge.port}" for one in ("127.0.0.1", "localhost", BEFORE)}
    assert set(reached.split()[1:]) == wanted


def test_an_address_that_another_program_has_is_left_out() -> None:
    with socket.socket() as other:
        other.bind((BEFORE, 0))
        other.listen()
        port = other.getsockname()[1]
        pages, sockets = bind_pages(PageAddresses(port, current=OWN, earlier=(BEFORE, "127.9.9.9")))
        assert (pages.current, pages.earlier) == (OWN, ("127.9.9.9",))
        for one in sockets:
            one.close()
        pages, sockets = bind_pages(PageAddresses(port, current=BEFORE))
        assert not pages.is_own and pages.origin == f"http://127.0.0.1:{port}" and pages.left == () and sockets == []


def test_no_two_runs_have_one_address() -> None:
    drawn = {random_address() for _ in range(200)}
    assert len(drawn) > 195 and not drawn & {"127.0.0.1", "127.0.1.1"}
    for one in drawn:
        parts = [int(part) for part in one.split(".")]
        assert parts[0] == 127 and 1 <= parts[1] <= 254 and 0 <= parts[2] <= 255 and 1 <= parts[3] <= 254


def test_what_stays_from_run_to_run(tmp_path: Path) -> None:
    file = tmp_path / "pages.json"
    memory = PageMemory(file, 12340)
    assert (memory.addresses, memory.language) == ((), None)
    for number in range(20):
        memory.keep_address(f"127.1.1.{number + 1}")
    memory.keep_address("127.1.1.18")
    memory.keep_language("en")
    assert file.stat().st_mode & 0o777 == 0o600
    again = PageMemory(file, 12340)
    assert again.addresses[:3] == ("127.1.1.18", "127.1.1.20", "127.1.1.19") and len(again.addresses) == 16
    assert again.language == "en"


def test_bridges_on_two_ports_keep_their_own(tmp_path: Path) -> None:
    file = tmp_path / "pages.json"
    first = PageMemory(file, 12340)
    first.keep_address("127.1.1.1")
    second = PageMemory(file, 12399)
    assert second.addresses == ()
    second.keep_address("127.2.2.2")
    first.keep_language("en")  # with what the other has written since
    assert PageMemory(file, 12340).addresses == ("127.1.1.1",)
    assert PageMemory(file, 12399).addresses == ("127.2.2.2",)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"addresses": 7}', "[" * 4000, '{"language": "xx"}', "null", '{"language": ["en"]}',
     '{"addresses": {"12340": ["10.0.0.1", "evil.example", 5, "127.0.0.1", "127.255.255.255", "127.1.1.1; x"]}}',
     '{"addresses": {"12340": 1}}'],
)  # fmt: skip
def test_a_file_that_says_nothing_of_use_counts_as_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pages.json"
    file.write_text(text)
    file.chmod(0o600)
    memory = PageMemory(file, 12340)
    assert memory.addresses == () and memory.language is None
    memory.keep_address("127.1.1.1")
    assert PageMemory(file, 12340).addresses == ("127.1.1.1",)


def test_a_file_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "pages.json"
    file.write_text(json.dumps({"addresses": {"12340": [BEFORE]}, "language": "en"}))
    file.chmod(0o666)
    assert PageMemory(file, 12340).addresses == ()


def test_a_language_is_kept_for_the_owner_and_own_pages_only(bridge: Bridge) -> None:
    from service.gate.scopes import Scope

    page, _ = bridge.pair("https://his.example", Scope.BASIC)
    assert page.put("/v1/pages/language", json={"language": "en"}).status_code == 403
    assert bridge.caller(None).put("/v1/pages/language", json={"language": "en"}).status_code == 401
    assert bridge.access.page_memory.language is None
    assert bridge.client.put("/v1/pages/language", json={"language": "en"}).status_code == 204
    assert bridge.access.page_memory.language == "en"
    assert bridge.client.put("/v1/pages/language", json={"language": "fr"}).status_code == 400
