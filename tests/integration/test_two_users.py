"""Two real users at one machine: the clerk, whose bridge it is, and another, who writes what a browser would write."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.integration.bridges import CARDIO, NAME, BridgeProcess, served
from tests.integration.stranger import handshake
from tests.integration.users import CLERK, OTHER, as_user, bridge_run_by, does, home_of

TRUSTED, PAIRED, UNKNOWN = "https://his.example.cn", "https://paired.example.cn", "https://unknown.example.cn"
DIALECTS = ("json", "decard", "scanner")
SETTINGS = f"""
scopes = ["basic", "files"]
[dialects]
json = true
decard = true
scanner = true
programs = true
json_port = 0
decard_port = 0
scanner_port = 0
[[trusted_origins]]
origin = "{TRUSTED}"
"""
PLACES = {"127.0.0.1": "127.0.0.1", "::1": "[::1]", "::ffff:127.0.0.1": "127.0.0.1"}
"""Where a caller connects to, and the host that it names: by IPv4, by IPv6, by an IPv6 socket that speaks IPv4."""
PAIRING = json.dumps({"name": "HIS", "scopes": ["basic"]})


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with home_of(CLERK) as folder:
        yield folder


@pytest.fixture(scope="module")
def bridge(home: Path) -> Iterator[BridgeProcess]:
    with bridge_run_by(CLERK, home, SETTINGS) as made:
        yield made


@pytest.fixture(scope="module")
def paired(bridge: BridgeProcess) -> str:
    """The token of a page that a person has let in."""
    asked = as_page(bridge, CLERK, "POST", "/v1/pairing", PAIRED, PAIRING)
    answer = json.loads(asked[1].partition("\r\n\r\n")[2])
    bridge.client.post(f"/v1/pairing/{answer['request']}/approve", json={"scopes": ["basic"]}).raise_for_status()
    place, secret = f"/v1/pairing/{answer['request']}", f"Authorization: Bearer {answer['secret']}"
    got = as_page(bridge, CLERK, "GET", place, PAIRED, "", secret)
    return str(json.loads(got[1].partition("\r\n\r\n")[2])["token"])


def port_of(bridge: BridgeProcess) -> int:
    return int(bridge.address.rpartition(":")[2])


def request_of(
    bridge: BridgeProcess, method: str, path: str, origin: str | None, body: str, *headers: str, host: str = "127.0.0.1"
) -> dict[str, Any]:
    port = port_of(bridge)
    head = [f"{method} {path} HTTP/1.1", f"Host: {PLACES[host]}:{port}", "Connection: close", *headers]
    head += ["Content-Type: application/json"] if body else []
    head += [] if origin is None else [f"Origin: {origin}", "User-Agent: Mozilla/5.0", "Sec-Fetch-Site: cross-site"]
    return {"do": "ask", "host": host, "port": port, "head": head, "body": body}


def as_page(
    bridge: BridgeProcess, user: int, method: str, path: str, origin: str | None, body: str = "", *headers: str,
    host: str = "127.0.0.1", then: str = "", before: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """What a page's request would look like, written by a user's program."""
    return does(user, request_of(bridge, method, path, origin, body, *headers, host=host) | {"then": then}, *before)


def speaks(bridge: BridgeProcess, user: int, dialect: str, origin: str | None, host: str = "127.0.0.1") -> Any:
    port = bridge.dialects[dialect]
    headers = [] if origin is None else [f"Origin: {origin}", "User-Agent: Mozilla/5.0", "Accept-Language: zh-CN"]
    head = handshake(PLACES[host], port, "/", *headers)
    return does(user, {"do": "ask", "host": host, "port": port, "head": head})


def grants(bridge: BridgeProcess) -> set[str]:
    return {one["grant"] for one in bridge.client.get("/v1/grants").json()["grants"]}


@pytest.mark.parametrize("host", PLACES)
def test_the_clerks_own_browser_is_let_in(bridge: BridgeProcess, host: str) -> None:
    status, text = as_page(bridge, CLERK, "POST", "/v1/pairing", TRUSTED, PAIRING, host=host)
    assert status == 202, text
    asked = json.loads(text.partition("\r\n\r\n")[2])
    secret = f"Authorization: Bearer {asked['secret']}"
    status, text = as_page(bridge, CLERK, "GET", f"/v1/pairing/{asked['request']}", TRUSTED, "", secret, host=host)
    token = json.loads(text.partition("\r\n\r\n")[2])["token"]
    card = "/v1/readers/Simulated%20Reader%2000/card"
    status, text = as_page(bridge, CLERK, "GET", card, TRUSTED, "", f"Authorization: Bearer {token}", host=host)
    assert status == 200 and NAME in text
    status, text = as_page(bridge, OTHER, "GET", card, TRUSTED, "", f"Authorization: Bearer {token}", host=host)
    assert status == 403 and NAME not in text


@pytest.mark.parametrize("host", PLACES)
@pytest.mark.parametrize("then", ["", "shut"])
@pytest.mark.parametrize("origin", [TRUSTED, PAIRED, UNKNOWN])
def test_another_users_forged_origin_pairs_nothing(bridge: BridgeProcess, host: str, then: str, origin: str) -> None:
    before, asked = grants(bridge), bridge.client.get("/v1/pairing").json()["requests"]
    status, text = as_page(bridge, OTHER, "POST", "/v1/pairing", origin, PAIRING, host=host, then=then)
    assert status == 403 and "另一用户" in text, text
    for path in ("/v1/hello", "/v1/me", "/v1/readers", "/v1/events", "/v1/pairing/0123456789abcdef", "/livez"):
        assert as_page(bridge, OTHER, "GET", path, origin, host=host)[0] == 403, path
    assert grants(bridge) == before
    assert bridge.client.get("/v1/pairing").json()["requests"] == asked


@pytest.mark.parametrize("then", ["close", "reset"])
def test_who_has_gone_when_it_is_looked_up_is_not_believed(bridge: BridgeProcess, then: str) -> None:
    """The kernel numbers the owner of a closed socket 0, as it does root's."""
    before = grants(bridge)
    asked = request_of(bridge, "POST", "/v1/pairing", TRUSTED, PAIRING) | {"then": then, "do": "many", "count": 200}
    assert does(OTHER, asked) == 200
    assert as_page(bridge, OTHER, "POST", "/v1/pairing", TRUSTED, PAIRING)[0] == 403
    assert grants(bridge) == before


@pytest.mark.parametrize("host", PLACES)
def test_a_paired_pages_token_in_another_users_hands_is_worth_nothing(
    bridge: BridgeProcess, paired: str, host: str
) -> None:
    token = f"Authorization: Bearer {paired}"
    assert as_page(bridge, CLERK, "GET", "/v1/readers", PAIRED, "", token, host=host)[0] == 200
    assert as_page(bridge, OTHER, "GET", "/v1/readers", PAIRED, "", token, host=host)[0] == 403
    assert as_page(bridge, OTHER, "GET", "/v1/readers", None, "", token, host=host)[0] == 401
    assert as_page(bridge, OTHER, "POST", "/v1/ws/ticket", PAIRED, "{}", token, host=host)[0] == 403


@pytest.mark.parametrize("host", PLACES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_is_spoken_by_the_clerks_pages_and_programs_only(
    bridge: BridgeProcess, paired: str, dialect: str, host: str
) -> None:
    port = bridge.dialects[dialect]
    own = f"http://127.0.0.1:{port}"
    for origin in (TRUSTED, None):
        assert speaks(bridge, CLERK, dialect, origin, host)[0] == 101, origin
    for origin in (TRUSTED, PAIRED, UNKNOWN, None, "null", own):
        status, text = speaks(bridge, OTHER, dialect, origin, host)
        assert status == 403 and "101" not in text.partition("\r\n")[0], origin


def test_another_user_is_given_no_proof_to_pass_on_to_a_page(bridge: BridgeProcess, paired: str) -> None:
    """A browser may still speak to the program that had the port before the bridge, over a connection it kept."""

    def proof_for(user: int, grant: str) -> Any:
        path = f"/v1/hello?nonce={'5e' * 32}&grant={grant}"
        return json.loads(as_page(bridge, user, "GET", path, None)[1].splitlines()[-1])["proof"]

    def asked_for() -> dict[str, str]:
        asked = f"Authorization: Bearer {bridge.token}"
        made = as_page(bridge, CLERK, "POST", "/v1/pages/ticket", None, "{}", asked)[1].splitlines()[-1]
        told: dict[str, str] = json.loads(made)
        return told

    spent, link = asked_for()["ticket"], asked_for()["ticket"]
    own = f"Origin: {asked_for()['origin']}"
    opened = as_page(bridge, CLERK, "POST", "/v1/pages/session", None, json.dumps({"ticket": spent}), own)
    session = json.loads(opened[1].splitlines()[-1])["grant"]
    page = next(one["grant"] for one in bridge.client.get("/v1/grants").json()["grants"] if one["origin"] == PAIRED)
    name = "link-" + sha256(sha256(link.encode()).hexdigest().encode()).hexdigest()[:32]
    for grant in (session, page, name):
        assert proof_for(CLERK, grant) is not None, grant
        assert proof_for(OTHER, grant) is None, grant
    assert proof_for(OTHER, "local") is not None, "a program that was given a token file asks too"
    asked = f"Authorization: Bearer {bridge.token}"
    body = json.dumps({"page": "/kiosk", "user": OTHER})
    made = as_page(bridge, CLERK, "POST", "/v1/pages/ticket", None, body, asked)[1].splitlines()[-1]
    for_other = "link-" + sha256(sha256(json.loads(made)["ticket"].encode()).hexdigest().encode()).hexdigest()[:32]
    assert proof_for(OTHER, for_other) is not None, "a link that was made for this user"
    assert proof_for(CLERK, for_other) is None


def test_a_session_of_the_bridges_own_pages_is_one_users(bridge: BridgeProcess) -> None:
    """Link and token: another user sees the browser's command line, and may find a token in a file."""
    head = request_of(bridge, "POST", "/v1/pages/ticket", None, '{"page":"/"}', f"Authorization: Bearer {bridge.token}")
    link = json.loads(does(CLERK, head)[1].partition("\r\n\r\n")[2])
    body = json.dumps({"ticket": link["ticket"]})
    own = [f"Origin: {link['origin']}"]
    assert as_page(bridge, OTHER, "POST", "/v1/pages/session", None, body, *own)[0] == 401
    gone = request_of(bridge, "POST", "/v1/pages/session", None, body, *own) | {"then": "close", "do": "many"}
    assert does(OTHER, gone | {"count": 50}) == 50
    status, text = as_page(bridge, CLERK, "POST", "/v1/pages/session", None, body, *own)
    assert status == 200, "another user has not spent it by trying"
    token = f"Authorization: Bearer {json.loads(text.splitlines()[-1])['token']}"
    assert as_page(bridge, CLERK, "GET", "/v1/me", None, "", token)[0] == 200
    assert as_page(bridge, OTHER, "GET", "/v1/me", None, "", token)[0] == 401
    assert as_page(bridge, OTHER, "GET", "/v1/me", None, "", token, *own)[0] == 401


@pytest.mark.parametrize("path", ["/v1/hello", "/v1/pairing", "/v1/readers", "/v1/driver/iReadCardBas", "/nothing"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_no_answer_tells_another_user_which_sites_have_been_let_in(
    bridge: BridgeProcess, paired: str, path: str, method: str
) -> None:
    asks = ("Access-Control-Request-Method: POST", "Access-Control-Request-Private-Network: true")
    answers = set()
    for origin in (TRUSTED, PAIRED, UNKNOWN):
        code, text = as_page(bridge, OTHER, method, path, origin, "", *asks)
        varying = ("date:", "x-request-id:")
        head, _, body = text.replace(origin, "ORIGIN").partition("\r\n\r\n")
        lines = [line for line in head.split("\r\n") if not line.lower().startswith(varying)]
        answers.add((code, "\n".join(lines), json.loads(body)["detail"] if body else ""))
    assert len(answers) == 1


def test_root_is_no_exception(bridge: BridgeProcess) -> None:
    """A proxy that root runs passes on the requests of every user."""
    assert as_page(bridge, 0, "POST", "/v1/pairing", TRUSTED, PAIRING)[0] == 403
    assert speaks(bridge, 0, "json", TRUSTED)[0] == 403


def test_root_of_a_container_is_who_made_it(bridge: BridgeProcess) -> None:
    """In a user namespace a user is root to itself; to the bridge it stays who it is."""
    inside = ("unshare", "--user", "--map-root-user")
    assert as_page(bridge, OTHER, "POST", "/v1/pairing", TRUSTED, PAIRING, before=inside)[0] == 403
    assert as_page(bridge, CLERK, "POST", "/v1/pairing", TRUSTED, PAIRING, before=inside)[0] == 202


@pytest.mark.parametrize("named", ["users = [2002]", 'users = ["2002"]'])
def test_another_user_is_believed_by_a_setting(named: str) -> None:
    with home_of(CLERK) as folder, bridge_run_by(CLERK, folder, f"{SETTINGS}\n[access]\n{named}\n") as bridge:
        assert as_page(bridge, OTHER, "POST", "/v1/pairing", TRUSTED, PAIRING)[0] == 202
        assert speaks(bridge, OTHER, "json", TRUSTED)[0] == 101
        assert as_page(bridge, 2003, "POST", "/v1/pairing", TRUSTED, PAIRING)[0] == 403
        assert as_page(bridge, 0, "POST", "/v1/pairing", TRUSTED, PAIRING)[0] == 403


SERVICE = 400
_ACCOUNTS = """root:x:0:0::/root:/bin/sh
cardio:x:400:400::/:/usr/sbin/nologin
primary:x:2001:2100::/:/bin/sh
member:x:2002:2002::/:/bin/sh
stranger:x:2003:2003::/:/bin/sh
"""
_GROUPS = """root:x:0:
cardio:x:400:
clerks:x:2100:member
others:x:2003:
"""


@pytest.mark.parametrize("group", ['"clerks"', "2100", '"no-such-group", "clerks"'])
def test_a_service_of_the_machine_believes_the_members_of_a_group(tmp_path: Path, group: str) -> None:
    """By primary and by supplementary group, as the accounts say; a number without an account is in none."""
    for name, text in (("passwd", _ACCOUNTS), ("group", _GROUPS)):
        (tmp_path / name).write_text(text)
    files = " && ".join(f"mount --bind {tmp_path / name} /etc/{name}" for name in ("passwd", "group"))
    inside = ("unshare", "--mount", "sh", "-c", f'{files} && exec "$@"', "sh")
    settings = f"{SETTINGS}\n[access]\ngroups = [{group}]\n"
    with home_of(SERVICE) as folder, bridge_run_by(SERVICE, folder, settings, before=inside) as bridge:
        statuses = {
            user: as_page(bridge, user, "POST", "/v1/pairing", TRUSTED, PAIRING)[0]
            for user in (SERVICE, 2001, 2002, 2003, 2004, 2100, 0)
        }
        assert statuses == {SERVICE: 202, 2001: 202, 2002: 202, 2003: 403, 2004: 403, 2100: 403, 0: 403}
        assert [speaks(bridge, user, "decard", TRUSTED)[0] for user in (2001, 2002, 2003)] == [101, 101, 403]


def test_a_service_without_a_setting_believes_no_other_user() -> None:
    with home_of(SERVICE) as folder, bridge_run_by(SERVICE, folder, SETTINGS) as bridge:
        assert as_page(bridge, CLERK, "POST", "/v1/pairing", TRUSTED, PAIRING)[0] == 403
        assert "[access] groups" in bridge.written


@pytest.mark.parametrize("options", ["hidepid=2", "hidepid=2,subset=pid"])
def test_with_a_hidden_proc_users_are_told_apart_all_the_same(options: str) -> None:
    """Of other users' processes the bridge sees nothing; of their connections the kernel tells it."""
    hidden = ("unshare", "--mount", "sh", "-c", f'mount -t proc -o {options} proc /proc && exec "$@"', "sh")
    seen = subprocess.run([*hidden, *as_user(CLERK), "ls", "/proc/1"], capture_output=True, check=False)
    assert seen.returncode != 0, "it is hidden"
    with home_of(CLERK) as folder, bridge_run_by(CLERK, folder, SETTINGS, before=hidden) as bridge:
        assert as_page(bridge, CLERK, "POST", "/v1/pairing", TRUSTED, PAIRING)[0] == 202
        assert as_page(bridge, OTHER, "POST", "/v1/pairing", TRUSTED, PAIRING)[0] == 403
        assert speaks(bridge, CLERK, "json", None)[0] == 101
        assert speaks(bridge, OTHER, "json", None)[0] == 403


def test_a_bridge_in_a_user_namespace_takes_no_two_strangers_for_one() -> None:
    """All other users have the overflow number there, which belongs to no user, also where a setting names it."""
    inside = ("unshare", "--user", "--map-user=0", "--map-group=0")
    settings = f"{SETTINGS}\n[access]\nusers = [65534]\n"
    with home_of(0) as folder:
        file = folder / "bridge.toml"
        file.write_text(settings)
        environment = {"CARDIO_BRIDGE_FILE": str(file), "HOME": str(folder)}
        program = [*inside, str(CARDIO)]
        with served(folder, "--no-pcsc", "--simulate", "adult", environment=environment, program=program) as bridge:
            assert as_page(bridge, OTHER, "POST", "/v1/pairing", TRUSTED, PAIRING)[0] == 403
            assert as_page(bridge, 0, "POST", "/v1/pairing", TRUSTED, PAIRING)[0] == 202
