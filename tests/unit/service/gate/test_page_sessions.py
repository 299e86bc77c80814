"""The way into the bridge's own pages: a ticket counts once, for its user and its page, and its token for one run."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import service
from service.gate.errors import LinkUsedError
from service.gate.grants import Grants
from service.gate.page_sessions import OwnPage, PageSessions
from service.gate.peers import PeerLookup, listening_user
from service.gate.policy import Access
from service.gate.rate_limits import LiveCalls
from service.gate.scopes import DEFAULT_SCOPES, OWNERS_SCOPES, Scope
from tests.unit.service.bridge import FIRST, TOKEN, Bridge

CLERK, OTHER = 1000, 1001
CARD = f"/v1/readers/{FIRST.replace(' ', '%20')}/card"
PAGES: list[OwnPage] = ["/", "/developer", "/pair"]


class Sessions:
    """`PageSessions` with a clock of the test's own."""

    def __init__(self, file: Path | None = None) -> None:
        self.now = 100.0
        self.grants = Grants(TOKEN, DEFAULT_SCOPES | OWNERS_SCOPES, file)
        self.made = PageSessions(self.grants, LiveCalls(), clock=lambda: self.now)

    def open(self, page: OwnPage = "/", held: str | None = None) -> tuple[str, str | None]:
        grant, token = self.made.redeem(self.made.issue(page, user=CLERK), user=CLERK, held=held)
        return grant.id, token


def test_a_ticket_counts_once() -> None:
    sessions = Sessions()
    ticket = sessions.made.issue("/", user=CLERK)
    grant, token = sessions.made.redeem(ticket, user=CLERK)
    assert token is not None and sessions.grants.find(token) == grant
    with pytest.raises(LinkUsedError):
        sessions.made.redeem(ticket, user=CLERK)


@pytest.mark.parametrize(
    ("seconds", "after", "counts"), [(60, 59.9, True), (60, 60.0, False), (600, 599.0, True), (600, 600.0, False)]
)
def test_a_ticket_has_its_time(seconds: int, after: float, counts: bool) -> None:
    sessions = Sessions()
    ticket = sessions.made.issue("/", user=CLERK, seconds=seconds)
    sessions.now += after
    if counts:
        assert sessions.made.redeem(ticket, user=CLERK)[1]
    else:
        with pytest.raises(LinkUsedError):
            sessions.made.redeem(ticket, user=CLERK)


@pytest.mark.parametrize("user", [OTHER, None])
def test_another_user_who_saw_the_link_gets_nothing_and_takes_nothing_away(
    user: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A browser's command line, with the link in it, can be read by every user of the machine."""
    sessions = Sessions()
    ticket = sessions.made.issue("/", user=CLERK)
    with pytest.raises(LinkUsedError):
        sessions.made.redeem(ticket, user=user)
    assert ticket not in caplog.text and "another user" in caplog.text
    assert sessions.made.redeem(ticket, user=CLERK)[1]


@pytest.mark.parametrize("user", [1000, 60_001, 200_001_105, 4_294_967_293])
def test_a_link_is_its_askers_alone_whatever_number_the_directory_gives(user: int) -> None:
    """Users of a directory have numbers far beyond those of a machine's own (SSSD, winbind)."""
    sessions = Sessions()
    ticket = sessions.made.issue("/", user=user)
    with pytest.raises(LinkUsedError):
        sessions.made.redeem(ticket, user=OTHER)
    assert sessions.made.redeem(ticket, user=user)[1]


@pytest.mark.parametrize("user", [0, 107, 999, 61_184, 65_519])
def test_root_and_services_hand_links_on(user: int) -> None:
    """An administrator has the system unit's own user make a link for the clerk, who cannot read its token."""
    sessions = Sessions()
    assert sessions.made.redeem(sessions.made.issue("/", user=user), user=OTHER)[1]


def test_root_may_use_anybodys_link() -> None:
    sessions = Sessions()
    assert sessions.made.redeem(sessions.made.issue("/", user=CLERK), user=0)[1]


def test_where_the_system_does_not_tell_the_user_a_link_works() -> None:
    sessions = Sessions()
    assert sessions.made.redeem(sessions.made.issue("/", user=None), user=None)[1]


@pytest.mark.parametrize("ticket", ["", "x", TOKEN, "T" * 10_000, "票"])
def test_what_never_was_a_ticket_is_none(ticket: str) -> None:
    sessions = Sessions()
    sessions.made.issue("/", user=CLERK)
    with pytest.raises(LinkUsedError):
        sessions.made.redeem(ticket, user=CLERK)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_the_owners_scopes_but_no_figures(page: OwnPage) -> None:
    sessions = Sessions()
    grant = sessions.grants.get(sessions.open(page)[0])
    assert grant is not None
    assert grant.scopes == {Scope.BASIC, Scope.FILES, Scope.MANAGE, Scope.APDU}


def test_a_kiosk_reads_and_no_more() -> None:
    sessions = Sessions()
    grant = sessions.grants.get(sessions.open("/kiosk")[0])
    assert grant is not None and grant.scopes == {Scope.BASIC}


def test_a_page_that_has_a_session_goes_on_with_it_and_the_ticket_is_spent() -> None:
    sessions = Sessions()
    first, token = sessions.open()
    ticket = sessions.made.issue("/developer", user=CLERK)
    grant, another = sessions.made.redeem(ticket, user=CLERK, held=token)
    assert (grant.id, another) == (first, None)
    with pytest.raises(LinkUsedError):
        sessions.made.redeem(ticket, user=CLERK, held=token)


@pytest.mark.parametrize("held", [None, "", "unknown", TOKEN])
def test_a_page_whose_token_does_not_count_gets_one(held: str | None) -> None:
    assert Sessions().open(held=held)[1]


def test_a_kiosks_token_opens_no_other_page() -> None:
    sessions = Sessions()
    kiosk, token = sessions.open("/kiosk")
    counter, another = sessions.open("/", held=token)
    assert counter != kiosk and another


def test_sessions_are_in_no_file_and_end_with_the_run(tmp_path: Path) -> None:
    file = tmp_path / "grants.json"
    sessions = Sessions(file)
    session, token = sessions.open()
    program, kept = sessions.grants.add("program", None, "x", {Scope.BASIC})
    assert token is not None and session not in file.read_text() and token not in file.read_text()
    again = Sessions(file).grants
    assert again.find(token) is None and again.find(kept) == program
    sessions.grants.revoke(session)
    assert program.id in file.read_text()


def test_a_session_that_somebody_wrote_into_the_file_counts_for_nothing(tmp_path: Path) -> None:
    file = tmp_path / "grants.json"
    sessions = Sessions(file)
    program, token = sessions.grants.add("program", None, "x", {Scope.BASIC})
    file.write_text(file.read_text().replace('"program"', '"session"'))
    again = Sessions(file).grants
    assert again.find(token) is None and again.get(program.id) is None


def test_many_sessions_and_many_tickets_end_the_oldest() -> None:
    sessions = Sessions()
    first, token = sessions.open()
    assert token is not None
    for _ in range(64):
        sessions.open()
    assert sessions.grants.get(first) is None and sessions.grants.find(token) is None
    assert sum(grant.kind == "session" for grant in sessions.grants.all()) == 64
    oldest = sessions.made.issue("/", user=CLERK)
    newest = [sessions.made.issue("/", user=CLERK) for _ in range(64)][-1]
    with pytest.raises(LinkUsedError):
        sessions.made.redeem(oldest, user=CLERK)
    assert sessions.made.redeem(newest, user=CLERK)[1]


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    made = Bridge(scopes=frozenset(Scope) - {Scope.MANAGE}, audit=tmp_path_factory.mktemp("audit") / "audit.sqlite")
    yield made
    made.stop()


def ticket_of(bridge: Bridge, page: str = "/") -> str:
    answer = bridge.client.post("/v1/pages/ticket", json={"page": page})
    assert answer.status_code == 200 and answer.json()["expires_in"] == 60
    return str(answer.json()["ticket"])


def spend(bridge: Bridge, ticket: str, **headers: str) -> httpx.Response:
    """As a page of the bridge does, unless other headers are given."""
    given = {"Origin": bridge.address, "Sec-Fetch-Site": "same-origin"} | headers
    return bridge.caller(None).post(
        "/v1/pages/session", json={"ticket": ticket}, headers={k: v for k, v in given.items() if v}
    )


def test_a_page_of_the_bridge_reads_cards_by_its_session(bridge: Bridge) -> None:
    answer = spend(bridge, ticket_of(bridge))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store" and "access-control-allow-origin" not in answer.headers
    token, grant = answer.json()["token"], answer.json()["grant"]
    assert token != TOKEN
    # A browser sends no Origin with a GET to the page's own.
    assert bridge.caller(token).get(CARD).json()["holder"]["name"] == "测试甲"
    assert bridge.caller(token, bridge.address).get(CARD).status_code == 200
    assert bridge.caller(token, "https://evil.example").get(CARD).status_code == 403
    me = bridge.caller(token).get("/v1/me").json()
    assert me["grant"] == grant and "metrics" not in me["scopes"] and "manage" in me["scopes"]
    proof = bridge.caller(None).get("/v1/hello", params={"nonce": "ab" * 16, "grant": grant}).json()["proof"]
    assert proof is not None


def test_the_bridge_proves_itself_to_a_page_by_its_links_ticket(bridge: Bridge) -> None:
    """Before the page sends the ticket, and once more in the answer; by nothing that the ticket can be found from."""
    ticket, nonce = ticket_of(bridge), "c4" * 32
    key = hashlib.sha256(ticket.encode()).digest()

    def by_hand(*said: str) -> str:
        return hmac.new(key, "|".join(["cardio-hello", nonce, str(bridge.port), *said]).encode(), "sha256").hexdigest()

    def hello() -> str | None:
        name = "link-" + hashlib.sha256(key.hex().encode()).hexdigest()[:32]
        proof: str | None = bridge.caller(None).get("/v1/hello", params={"nonce": nonce, "grant": name}).json()["proof"]
        return proof

    assert hello() == by_hand()
    own = {"Origin": bridge.address, "Sec-Fetch-Site": "same-origin"}
    opened = bridge.caller(None).post("/v1/pages/session", json={"ticket": ticket, "nonce": nonce}, headers=own).json()
    assert opened["proof"] == by_hand(opened["grant"], opened["token"], opened["keeper"], opened["recall"])
    assert hello() is None, "a ticket counts once, and proves nothing afterwards"


def test_the_keeper_of_the_pages_is_a_worker_that_holds_them_all(bridge: Bridge) -> None:
    keeper = spend(bridge, ticket_of(bridge)).json()["keeper"]
    answer = bridge.caller(None).get(keeper, headers={"Service-Worker": "script"})
    assert answer.headers["content-type"].startswith("text/javascript") and "max-age" in answer.headers["cache-control"]
    assert "clear-site-data" not in answer.headers
    kept = json.loads(answer.text.partition("\n")[0].removeprefix("const KEPT = ").removesuffix(";"))
    web = Path(service.__file__).parent / "web"
    for path, file in {"/": "index.html", "/kiosk": "kiosk.html", "/static/i18n/index.js": "i18n/index.js"}.items():
        assert kept["files"][path]["text"] == (web / file).read_text()
        assert bridge.caller(None).get(path).text == kept["files"][path]["text"]
    parts = {f"/static/{file.relative_to(web)}" for file in web.rglob("*.js") if file.parent.name != "worker"}
    assert parts < kept["files"].keys()
    own = bridge.caller(None).get("/").headers
    assert kept["headers"]["content-security-policy"] == own["content-security-policy"]
    # A worker that a browser looks for at another address was left by another program.
    other = bridge.caller(None).get("/worker.js", headers={"Service-Worker": "script"})
    assert "storage" in other.headers["clear-site-data"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ""},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "https://his.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "", "Sec-Fetch-Site": ""},
        {"Origin": "", "Authorization": f"Bearer {TOKEN}"},
    ],
)
def test_nobody_but_a_page_of_the_bridge_spends_a_ticket(bridge: Bridge, headers: dict[str, str]) -> None:
    bridge.pair("https://his.example", Scope.BASIC)
    ticket, before = ticket_of(bridge), len(bridge.hits)
    answer = spend(bridge, ticket, **headers)
    assert answer.status_code == 403 and len(bridge.hits) == before
    assert spend(bridge, ticket).status_code == 200, "the owner's page is not robbed of it"


def test_a_ticket_that_was_used_is_told_so(bridge: Bridge) -> None:
    ticket = ticket_of(bridge)
    assert spend(bridge, ticket).status_code == 200
    again = spend(bridge, ticket)
    assert (again.status_code, again.json()["code"]) == (401, "link-used")
    assert "读卡台" in again.json()["remedy"] and ticket not in again.text


def test_two_tabs_that_bring_one_ticket_get_one_session(bridge: Bridge) -> None:
    ticket, told = ticket_of(bridge), []
    start = threading.Barrier(8)

    def bring() -> None:
        start.wait()
        told.append(spend(bridge, ticket).status_code)

    tabs = [threading.Thread(target=bring) for _ in range(8)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert sorted(told) == [200] + [401] * 7


def test_only_the_owner_makes_links(bridge: Bridge) -> None:
    session = spend(bridge, ticket_of(bridge)).json()["token"]
    program = bridge.client.post("/v1/grants", json={"name": "x", "scopes": ["basic", "files"]}).json()["token"]
    page, _ = bridge.pair("https://his.example", Scope.BASIC)
    for client in (bridge.caller(session), bridge.caller(session, bridge.address), bridge.caller(program), page):
        answer = client.post("/v1/pages/ticket", json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "no-scope")
    assert bridge.caller(None).post("/v1/pages/ticket", json={}).status_code == 401


@pytest.mark.parametrize(
    "asked",
    [
        {"page": "/v1/me"},
        {"page": "//evil.example"},
        {"page": ""},
        {"seconds": 601},
        {"seconds": 0},
        {"seconds": -1},
        {"more": 1},
    ],
)
def test_a_link_leads_to_a_page_of_the_bridge_for_minutes_at_most(bridge: Bridge, asked: dict[str, object]) -> None:
    assert bridge.client.post("/v1/pages/ticket", json=asked).status_code == 400


def test_a_session_leaves_nothing_behind_that_outlives_it(bridge: Bridge) -> None:
    """A page's token that was stolen would make itself a program's token, which the next run knows too."""
    page = bridge.caller(spend(bridge, ticket_of(bridge)).json()["token"], bridge.address)
    answer = page.post("/v1/grants", json={"name": "x", "scopes": ["basic"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "no-scope")


def test_a_page_that_has_a_reader_is_called_by_its_address(bridge: Bridge) -> None:
    page = bridge.caller(spend(bridge, ticket_of(bridge)).json()["token"], bridge.address)
    place = f"/v1/readers/{FIRST.replace(' ', '%20')}/lease"
    lease = page.post(place, json={"seconds": 30, "purpose": "挂号"}).json()["lease"]
    try:
        assert bridge.client.get("/v1/readers").json()["readers"][0]["lease"]["owner"] == bridge.address
    finally:
        page.delete(place, headers={"Cardio-Lease": lease})


def test_a_session_is_listed_and_can_be_ended(bridge: Bridge) -> None:
    opened = spend(bridge, ticket_of(bridge)).json()
    page = bridge.caller(opened["token"])
    listed = {one["grant"]: one["kind"] for one in bridge.client.get("/v1/grants").json()["grants"]}
    assert listed[opened["grant"]] == "session"
    assert bridge.client.delete(f"/v1/grants/{opened['grant']}").status_code == 204
    assert page.get("/v1/me").status_code == 401


def test_tickets_and_tokens_are_in_no_log(bridge: Bridge, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ticket = ticket_of(bridge)
        opened = spend(bridge, ticket).json()
        spend(bridge, ticket)
        bridge.caller(opened["token"]).get("/v1/me")
    assert "/v1/pages/session" in caplog.text
    assert bridge.audit.flush() and bridge.audit_file is not None
    written = b"".join(path.read_bytes() for path in bridge.audit_file.parent.iterdir())
    for secret in (ticket, opened["token"]):
        assert secret not in caplog.text and secret.encode() not in written
    assert opened["grant"].encode() in written, "who came in is in the audit log"


def test_a_browser_of_another_user_is_refused_at_the_route(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    users = iter([CLERK, OTHER, CLERK])
    monkeypatch.setattr("service.gate.peers.PeerLookup.user_of", lambda lookup, client, server: next(users))
    bridge.client.close()  # each asks by a connection of its own
    bridge.client = bridge.caller(TOKEN)
    ticket = ticket_of(bridge)
    assert spend(bridge, ticket).json()["code"] == "link-used"
    assert spend(bridge, ticket).status_code == 200


def test_the_next_run_knows_no_session_of_the_last(tmp_path: Path) -> None:
    first = Access.for_port(12340, TOKEN, file=tmp_path / "grants.json")
    _, token = first.sessions.redeem(first.sessions.issue("/", user=None), user=None)
    ticket = first.sessions.issue("/", user=None)
    second = Access.for_port(12340, TOKEN, file=tmp_path / "grants.json")
    assert token is not None and second.grants.find(token) is None
    with pytest.raises(LinkUsedError):
        second.sessions.redeem(ticket, user=None)


def test_who_listens_and_who_connects_is_read_from_the_kernels_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    four, six = tmp_path / "tcp", tmp_path / "tcp6"
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
    row = "   0: {} {} {} 00000000:00000000 00:00000000 00000000  {} 0 1 1\n"
    # 127.0.0.1:12340 (3034), the same port as a client's, 0.0.0.0:8080 (1F90).
    four.write_text(
        head
        + row.format("0100007F:D431", "0100007F:3034", "01", 1000)
        + row.format("0100007F:3034", "0100007F:D431", "01", 2000)
        + row.format("0100007F:3034", "00000000:0000", "0A", 2001)
        + row.format("00000000:1F90", "00000000:0000", "0A", 33)
    )
    six.write_text(head + row.format("00000000000000000000000001000000:2382", "0" * 32 + ":0000", "0A", 44))
    monkeypatch.setattr("service.gate.tcp_table._TABLES", (four, six))
    monkeypatch.setattr("service.gate.peers.SocketDiagnosis.is_available", lambda kernel: False)
    lookup = PeerLookup()
    assert lookup.user_of(("127.0.0.1", 0xD431), ("127.0.0.1", 12340)) == 1000
    assert lookup.user_of(("127.0.0.1", 0xD432), ("127.0.0.1", 12340)) is None
    assert listening_user("127.0.0.1", 12340) == listening_user("localhost", 12340) == 2001
    assert listening_user("127.0.0.1", 8080) == 33
    assert listening_user("::1", 9090) == 44
    assert listening_user("127.0.0.1", 9090) is None and listening_user("his.example", 12340) is None
    monkeypatch.setattr("service.gate.tcp_table._TABLES", (tmp_path / "none",))
    assert listening_user("127.0.0.1", 12340) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_user_at_the_other_end_of_a_real_connection_is_found(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()[:2]) as client, listener.accept()[0] as accepted:
            assert PeerLookup().user_of(client.getsockname()[:2], accepted.getsockname()[:2]) == os.getuid()
        assert listening_user(host, listener.getsockname()[1]) == os.getuid()
