"""Who is let in at a dialect's port: programs however they write their Origin, named ones by a token, and no page."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus

from cardio.cli.output import Output
from cardio.client import default_token_file
from service.cli.doctor_checks import bridge_findings
from service.cli.pair import pair_command
from service.gate.callers import may_be_a_program
from service.gate.origin_advice import OriginFormError, advice, as_origin
from service.gate.origin_syntax import is_origin
from service.gate.peers import BelievedUsers, Peers
from service.gate.policy import DialectRule
from service.gate.refusals import Refusals
from service.gate.scopes import DEFAULT_SCOPES, Scope
from tests.unit.service.bridge import TOKEN, Bridge

READ = '{"function":"iReadCardBas","iType":3}'
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0", "Accept-Language": "zh-CN"}
SHELL = "app://his"


def made(*, programs: bool, trusted: tuple[str, ...] = ()) -> Bridge:
    rule = DialectRule("json", programs=programs, scopes=DEFAULT_SCOPES)
    return Bridge("adult", dialects=[rule], trusted=dict.fromkeys(trusted, DEFAULT_SCOPES), scopes=frozenset(Scope))


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    bridge = made(programs=True)
    yield bridge
    bridge.stop()


def reads(bridge: Bridge, origin: str | None, *, path: str = "/", headers: dict[str, str] | None = None) -> bool:
    """Whether a caller is let in, and then gets the card."""
    try:
        socket = bridge.socket(path, port=bridge.dialect_ports["json"], origin=origin, headers=headers)
    except InvalidStatus as refused:
        assert refused.response.status_code == 403
        return False
    socket.send(READ)
    assert '"success":"1"' in str(socket.recv(20))
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
@pytest.mark.parametrize(
    "form",
    ["http://{}:{}", "http://{}:{}/", "HTTP://{}:{}", "https://{}:{}", "http://{}", "http://{}/", "http://{}:80"],
)
def test_a_program_is_let_in_however_its_library_writes_its_origin(bridge: Bridge, host: str, form: str) -> None:
    origin = form.format(host, bridge.dialect_ports["json"])
    assert reads(bridge, origin)
    assert not reads(bridge, origin, headers=BROWSER), "no page has it, and what comes from a browser is a page's"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_nobody_is_asked_about_a_page_of_the_dialects_own_port(bridge: Bridge, host: str) -> None:
    """Nothing is served there: what a browser has kept from another program's time is let in by no click."""
    assert not reads(bridge, f"http://{host}:{bridge.dialect_ports['json']}", headers=BROWSER)
    assert bridge.client.get("/v1/pairing").json()["requests"] == []


def test_an_empty_origin_is_none(bridge: Bridge) -> None:
    assert reads(bridge, "")


@pytest.mark.parametrize(
    "origin",
    ["null", "file://", "http://127.0.0.1:1", "http://localhost:3000", "http://127.0.0.1.evil.example", "http://0.0.0.0",
     "http://localhost.evil.example", "http://evil.example", "http://127.0.0.2", "http://[::2]", "http://user@127.0.0.1",
     "https://HIS.example", "http://127.0.0.1/x", "ws://127.0.0.1", "app://127.0.0.1", "x", "://", "http://"],
)  # fmt: skip
def test_what_a_page_could_have_is_no_programs(bridge: Bridge, origin: str) -> None:
    assert not reads(bridge, origin)


def test_two_origins_are_refused(bridge: Bridge) -> None:
    port = bridge.dialect_ports["json"]
    origin = f"http://127.0.0.1:{port}"
    with pytest.raises(InvalidStatus) as refused:
        bridge.socket("/", port=port, origin=origin, headers={"Origin": origin})
    assert refused.value.response.status_code in (400, 403)


def test_another_user_is_refused_however_it_writes_its_origin(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.gate.peers.PeerLookup.user_of", lambda lookup, client, server: None)
    for origin in (None, "", "http://127.0.0.1", f"http://127.0.0.1:{bridge.dialect_ports['json']}"):
        assert not reads(bridge, origin)


CLERK, OTHER, SERVICE, DYNAMIC = 1000, 1001, 998, 61_184
OfUsers = Callable[[Bridge, int, int | None], None]


@pytest.fixture
def of_users(monkeypatch: pytest.MonkeyPatch) -> OfUsers:
    """Says whose the bridge is, and who is at the other end of its connections."""

    def play(bridge: Bridge, own: int, other: int | None) -> None:
        monkeypatch.setattr("service.gate.peers.os.getuid", lambda: own)
        monkeypatch.setattr("service.gate.peers.PeerLookup.user_of", lambda lookup, client, server: other)
        bridge.access.peers = Peers()

    return play


@pytest.mark.parametrize(
    ("own", "other"),
    [(CLERK, OTHER), (CLERK, SERVICE), (CLERK, 65_534), (CLERK, None), (CLERK, 0), (SERVICE, CLERK), (0, CLERK),
     (DYNAMIC, CLERK), (0, None), (SERVICE, 0)],
)  # fmt: skip
def test_an_origin_that_another_user_writes_opens_nothing(of_users: OfUsers, own: int, other: int | None) -> None:
    """Only a browser of the bridge's own user proves something by its Origin."""
    page, paired = "https://his.example", "https://other.example"
    bridge = made(programs=True, trusted=(page,))
    try:
        bridge.access.grants.add("dialect", paired, "", DEFAULT_SCOPES)
        of_users(bridge, own, other)
        for origin in (page, paired):
            with pytest.raises(InvalidStatus) as refused:
                bridge.socket("/", port=bridge.dialect_ports["json"], origin=origin)
            assert refused.value.response.status_code == 403
            assert "另一用户" in refused.value.response.body.decode()
        stranger = bridge.caller(None, origin=page)
        assert stranger.post("/v1/pairing", json={"name": "HIS", "scopes": ["basic"]}).status_code == 403
        assert bridge.commands == 0
        of_users(bridge, own, own)
        assert reads(bridge, page) and reads(bridge, paired)
        own_page = bridge.caller(None, origin=page)
        assert own_page.post("/v1/pairing", json={"name": "HIS", "scopes": ["basic"]}).status_code == 202
    finally:
        bridge.stop()


@pytest.mark.parametrize("origin", ["https://his.example", "https://never-seen.example", "https://other.example"])
def test_another_users_forged_origin_takes_no_place_of_a_page(of_users: OfUsers, origin: str) -> None:
    """Neither a request of its own nor the one that waits: a person would be asked about what no page has sent."""
    bridge = made(programs=False)
    try:
        asked = bridge.caller(None, origin="https://his.example").post(
            "/v1/pairing", json={"name": "HIS", "scopes": ["basic"]}
        )
        before = bridge.client.get("/v1/pairing").json()["requests"]
        assert asked.status_code == 202 and len(before) == 1
        of_users(bridge, CLERK, OTHER)
        stranger = bridge.caller(None, origin=origin)
        assert stranger.post("/v1/pairing", json={"name": "HIS", "scopes": ["pin"]}).status_code == 403
        assert stranger.get("/v1/hello").status_code == 403
        place = f"/v1/pairing/{asked.json()['request']}"
        assert stranger.get(place, headers={"Authorization": f"Bearer {asked.json()['secret']}"}).status_code == 403
        with pytest.raises(InvalidStatus):
            bridge.socket("/", port=bridge.dialect_ports["json"], origin=origin)
        after = bridge.caller(TOKEN).get("/v1/pairing").json()["requests"]
        assert [one["code"] for one in after] == [one["code"] for one in before]
    finally:
        bridge.stop()


def test_a_pages_token_is_of_no_use_to_another_user(of_users: OfUsers) -> None:
    """It counts with its page's Origin only, and that is believed of this user's browser only."""
    bridge = made(programs=False)
    try:
        page, _ = bridge.pair("https://his.example", Scope.BASIC)
        assert page.get("/v1/readers").status_code == 200
        token = page.headers["authorization"].partition(" ")[2]
        of_users(bridge, CLERK, OTHER)
        thief = bridge.caller(token, origin="https://his.example")
        assert thief.get("/v1/readers").status_code == 403
        assert bridge.caller(token).get("/v1/readers").status_code == 401
        assert bridge.caller(TOKEN).get("/v1/readers").status_code == 200, (
            "a program's token counts for every caller that has it"
        )
    finally:
        bridge.stop()


def test_everybody_is_believed_where_the_administrator_says_so(of_users: OfUsers) -> None:
    page = "https://his.example"
    bridge = made(programs=False, trusted=(page,))
    try:
        of_users(bridge, SERVICE, None)
        bridge.access.peers = Peers(BelievedUsers(everybody=True))
        assert reads(bridge, page)
    finally:
        bridge.stop()


def test_where_programs_are_not_let_in_they_are_told_what_to_set() -> None:
    bridge = made(programs=False)
    try:
        for origin in (None, f"http://127.0.0.1:{bridge.dialect_ports['json']}"):
            with pytest.raises(InvalidStatus) as refused:
                bridge.socket("/", port=bridge.dialect_ports["json"], origin=origin)
            assert "programs = true" in refused.value.response.body.decode()
    finally:
        bridge.stop()


# -- named programs ----------------------------------------------------------------------------------


def token(bridge: Bridge, *scopes: str) -> tuple[str, str]:
    grant = bridge.client.post("/v1/grants", json={"name": "HIS", "scopes": list(scopes)}).json()
    return grant["token"], grant["grant"]


@pytest.mark.parametrize("origin", [None, "null", "file://"])
def test_a_named_program_brings_its_token(origin: str | None) -> None:
    bridge = made(programs=False)
    try:
        named, grant = token(bridge, "basic", "files")
        for path in (f"/{named}", f"/{named}/", f"/?token={named}"):
            assert reads(bridge, origin, path=path), path
        bearer = {"Authorization": f"Bearer {named}"}
        assert reads(bridge, origin, headers=bearer)
        for path in ("/", f"/{named}x", f"/{named[:-1]}", f"/x/{named}", "/?token=", f"/?tokens={named}", f"/{TOKEN}"):
            assert not reads(bridge, origin, path=path), path
        for page in ("https://evil.example", "http://localhost:3000", SHELL):
            assert not reads(bridge, page, path=f"/{named}"), "a page of the web comes as itself"
        bridge.client.delete(f"/v1/grants/{grant}")
        assert not reads(bridge, origin, path=f"/{named}")
    finally:
        bridge.stop()


def test_an_address_with_many_members_is_looked_at_like_any_other() -> None:
    """Sandboxed pages and programs write what they like there; none of it is an error of the bridge's own."""
    many = "&".join(f"m{number}=1" for number in range(40))
    bridge = made(programs=False)
    try:
        named, _ = token(bridge, "basic", "files")
        for origin in (None, "null", "file://"):
            assert not reads(bridge, origin, path=f"/?{many}")
            assert reads(bridge, origin, path=f"/?{many}&token={named}")
    finally:
        bridge.stop()


def test_a_token_without_the_right_to_read_opens_nothing() -> None:
    bridge = made(programs=False)
    try:
        named, _ = token(bridge, "metrics")
        assert not reads(bridge, "file://", path=f"/{named}")
    finally:
        bridge.stop()


def test_a_pages_own_token_is_no_programs() -> None:
    """A page that was let in at the bridge's own port cannot hand its token to a frame without an origin."""
    bridge = made(programs=False)
    try:
        client, _ = bridge.pair("https://his.example", Scope.BASIC)
        page = client.headers["Authorization"].removeprefix("Bearer ")
        assert not reads(bridge, "null", path=f"/{page}")
    finally:
        bridge.stop()


def test_a_token_in_an_address_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bridge = made(programs=False)
    try:
        named, _ = token(bridge, "basic")
        assert reads(bridge, "file://", path=f"/{named}") and reads(bridge, "file://", path=f"/?token={named}")
    finally:
        bridge.stop()
    assert named not in "".join(one.getMessage() for one in caplog.records if one.name.startswith("cardio"))


# -- shells ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [SHELL, "capacitor://localhost", "tauri://localhost:1430", "app://", "app://."])
def test_a_scheme_of_its_own_is_let_in_where_it_is_listed(origin: str) -> None:
    bridge = made(programs=False, trusted=(as_origin(origin),))
    try:
        assert reads(bridge, origin)
        for neighbour in ("app://hisx", "app://his:1", "bpp://his", "https://his", "file://", "null"):
            assert not reads(bridge, neighbour)
    finally:
        bridge.stop()


def test_a_shell_that_is_not_listed_asks_as_pages_do(bridge: Bridge) -> None:
    assert not reads(bridge, SHELL)
    (asked,) = bridge.client.get("/v1/pairing").json()["requests"]
    assert asked["origin"] == SHELL
    assert [one["origin"] for one in bridge.client.get("/v1/pairing").json()["refused"]] == [SHELL]
    bridge.client.post(f"/v1/pairing/{asked['request']}/approve", json={"scopes": ["basic"]}).raise_for_status()
    assert reads(bridge, SHELL)
    assert bridge.client.get("/v1/pairing").json()["refused"] == []


# -- refusals are told -------------------------------------------------------------------------------


def test_a_refusal_says_what_to_write(bridge: Bridge) -> None:
    for origin in ("https://his.example", SHELL, "null", "file://"):
        assert not reads(bridge, origin)
    assert not reads(bridge, "null")
    refused = bridge.client.get("/v1/pairing").json()["refused"]
    assert [(one["origin"], one["count"]) for one in refused] == [
        ("null", 2), ("file://", 1), (SHELL, 1), ("https://his.example", 1),
    ]  # fmt: skip
    remedies = {one["origin"]: one["remedy_en"] for one in refused}
    assert '[[trusted_origins]] origin = "https://his.example"' in remedies["https://his.example"]
    assert "cardio pair add" in remedies["null"] and "cardio pair add" in remedies["file://"]


def test_doctor_names_who_was_refused_and_pair_add_names_the_address(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = default_token_file()
    file.parent.mkdir(parents=True)
    file.touch(0o600)
    file.write_text(TOKEN)
    monkeypatch.setenv("CARDIO_BRIDGE_PORT", str(bridge.port))
    assert not reads(bridge, "file://")
    (found,) = [one for one in bridge_findings() if one.check == "callers"]
    assert found.state == "note" and "file://" in found.found and "cardio pair add" in found.remedy
    written = StringIO()
    options = Namespace(action="add", which="HIS", scopes="basic,files", address=bridge.address, token_file=None)
    pair_command.run(options, Output(as_json=False, stdout=written))
    address = f"ws://127.0.0.1:{bridge.dialect_ports['json']}"
    assert f"{address}/" in written.getvalue()
    path = written.getvalue().partition(address)[2].split()[0]
    assert reads(bridge, "file://", path=path)


def test_no_page_fills_the_log_or_the_list(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    refusals = Refusals(clock=lambda: now[0])
    with caplog.at_level(logging.WARNING, "cardio.service"):
        for number in range(1000):
            refusals.note(f"https://x{number}.evil{number % 100}.example", "json")
            refusals.note(f"\x1b[31m<script>{number}\u202e" + "y" * 5000, "json")
    lines = [one.getMessage() for one in caplog.records]
    assert 1 <= len(lines) <= 20 and all(len(line) < 400 and line.isprintable() for line in lines)
    listed = refusals.list_refusals()
    assert len(listed) == 32 and all(len(one.origin) <= 80 and one.origin.isprintable() for one, _ in listed)
    now[0] = 3601.0
    assert refusals.list_refusals() == []
    with caplog.at_level(logging.WARNING, "cardio.service"):
        refusals.note("https://his.example", "json")
    assert len(caplog.records) == len(lines) + 1, "an hour later it is logged again"


def test_one_site_counts_once_whatever_subdomain_it_takes() -> None:
    refusals = Refusals(clock=lambda: 0.0)
    for number in range(50):
        refusals.note(f"https://x{number}.evil.example", "json")
    assert [one.count for one, _ in refusals.list_refusals()] == [50]


# -- as administrators write it ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://his.example", "https://his.example"),
        ("https://HIS.Example:443/", "https://his.example"),
        ("http://his.example:80", "http://his.example"),
        ("http://his.example:443", "http://his.example:443"),
        ("HTTPS://his.example:8443//", "https://his.example:8443"),
        ("  https://his.example  ", "https://his.example"),
        ("https：／／his.example：8443", "https://his.example:8443"),
        ("https://医院.中国", "https://xn--ekrs67m.xn--fiqs8s"),
        ("https://医院。中国/", "https://xn--ekrs67m.xn--fiqs8s"),
        ("https://[0:0::1]:443", "https://[::1]"),
        ("https://his.example:0443", "https://his.example"),
        ("app://HIS", "app://his"),
        ("App://his/", "app://his"),
    ],
)
def test_what_an_administrator_writes_is_put_right(written: str, origin: str) -> None:
    assert as_origin(written) == origin and is_origin(origin)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("his.example", "https://his.example"),
        ("https://his.example/register", "https://his.example"),
        ("https://his.example?x=1", "https://his.example"),
        ("https://user:secret@his.example", "https://his.example"),
        ("ws://his.example:8080", "http://his.example:8080"),
        ("wss://his.example", "https://his.example"),
        ("null", "cardio pair add"),
        ("file://", "cardio pair add"),
        ("file:///C:/his/index.html", "cardio pair add"),
        ("https://his.example:99999", "https://"),
        ("https://", "https://"),
        ("", "https://"),
        ("javascript://his", "https://"),
        ("data:text/html,x", "https://"),
        ("*", "https://"),
        ("https://*.example", "https://"),
    ],
)
def test_what_cannot_be_put_right_says_what_to_write(written: str, told: str) -> None:
    with pytest.raises(OriginFormError) as wrong:
        as_origin(written)
    assert told in wrong.value.chinese and told in wrong.value.english
    assert "secret" not in wrong.value.english.split("as ")[-1]


@given(st.text(max_size=60))
def test_whatever_is_written_ends_in_an_origin_or_in_words(text: str) -> None:
    try:
        assert is_origin(as_origin(text))
    except OriginFormError as wrong:
        assert wrong.chinese and wrong.english
    for words in advice(text):
        assert words and words.isprintable()
    assert may_be_a_program(text, [], 12342) in (True, False)


@given(st.sampled_from(["http", "https"]), st.text("abcxyz019.-", min_size=1, max_size=20), st.integers(1, 65535))
def test_what_browsers_write_stays_as_it_is(scheme: str, host: str, port: int) -> None:
    origin = f"{scheme}://{host}:{port}"
    if is_origin(origin):
        assert as_origin(origin) == origin
