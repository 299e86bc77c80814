"""Another user of the machine opens all the sockets that it can; the desk's own user reads cards meanwhile."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from websockets.sync.client import connect

from tests.integration.bridges import NAME, BridgeProcess, client_for
from tests.integration.stranger import handshake
from tests.integration.users import CLERK, OTHER, bridge_run_by, does, doing, home_of
from tests.pcsc import wait_until

SETTINGS = """
scopes = ["basic", "files"]
[dialects]
json = true
decard = true
programs = true
json_port = 0
decard_port = 0
[access]
users = ["root"]
"""
"""Root is let in as a program here: the callers of the tests are root's."""
CARD = "/v1/readers/Simulated%20Reader%2000/card"
HALF_A_HEAD = "GET /v1/hello HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
SLOW_BODY = (
    "POST /v1/pairing HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    "Content-Length: 500\r\n\r\n{{"
)
MESSAGES = {"json": '{"function":"iReadCardBas","iType":3}', "decard": '{"func":"iReadCardBas","in":["3"]}'}
_READINGS = 25
FEW_FILES = 128


@contextmanager
def bridge_with(files: int | None) -> Iterator[BridgeProcess]:
    before = () if files is None else ("prlimit", f"--nofile={files}:{files}")
    with home_of(CLERK) as folder, bridge_run_by(CLERK, folder, SETTINGS, before=before) as bridge:
        yield bridge


def port_of(bridge: BridgeProcess) -> int:
    return int(bridge.address.rpartition(":")[2])


def reads_everywhere(bridge: BridgeProcess, times: int) -> None:
    """Each by a connection of its own, as programs and pages do: HTTP, a socket for events, both dialects."""
    for _ in range(times):
        with client_for(bridge.address, bridge.token) as client:
            answer = client.get(CARD)
            assert answer.status_code == 200 and NAME in answer.text, answer.text
    headers = {"Authorization": f"Bearer {bridge.token}"}
    events = bridge.address.replace("http:", "ws:") + "/v1/ws"
    with connect(events, additional_headers=headers, proxy=None) as told:
        assert json.loads(told.recv(10))["type"] == "cardio.state"
    for name, message in MESSAGES.items():
        for _ in range(3):
            with connect(f"ws://127.0.0.1:{bridge.dialects[name]}", proxy=None) as caller:
                caller.send(message)
                assert NAME in str(caller.recv(10))


def is_well(bridge: BridgeProcess) -> None:
    assert "Too many open files" not in bridge.written and "out of system resource" not in bridge.written
    assert "Traceback" not in bridge.written and " ERROR " not in bridge.written


@pytest.mark.parametrize("files", [None, FEW_FILES])
@pytest.mark.parametrize("first", ["", HALF_A_HEAD, SLOW_BODY], ids=["idle", "slow-head", "slow-body"])
def test_three_hundred_sockets_of_another_user_harm_nobody(files: int | None, first: str) -> None:
    with bridge_with(files) as bridge:
        ports = [port_of(bridge), *bridge.dialects.values()]
        places = [[host, port] for port in ports for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1")]
        asked = {
            "do": "hold", "places": places, "count": 300 // len(places), "seconds": 1.0,
            "first": first.format(port=ports[0]),
        }  # fmt: skip
        with doing(OTHER, asked) as attack:
            assert attack.began == "held"
            reads_everywhere(bridge, _READINGS)
            attack.end()
        reads_everywhere(bridge, 1)
        is_well(bridge)
        told = [line for line in bridge.written.splitlines() if "give way" in line]
        assert told and all(f"user {OTHER}" in line for line in told)


def test_users_of_a_container_are_counted_together_too() -> None:
    """One user may have 65,536 numbers (subuid(5)): each is a user of its own, and all are others."""
    with bridge_with(None) as bridge, ExitStack() as attacks:
        asked = {"do": "hold", "places": [["127.0.0.1", port_of(bridge)]], "count": 40, "seconds": 2.0}
        for number in range(10):
            attacks.enter_context(doing(100_000 + number, asked))
        reads_everywhere(bridge, _READINGS)
        assert bridge.handles < 64 + 64
        is_well(bridge)


@pytest.mark.parametrize("files", [None, FEW_FILES])
def test_sockets_that_the_desks_own_program_leaks_keep_nobody_out(files: int | None) -> None:
    with bridge_with(files) as bridge:
        ports = [port_of(bridge), *bridge.dialects.values()]
        asked = {"do": "hold", "places": [["127.0.0.1", port] for port in ports], "count": 130}
        with doing(CLERK, asked) as leak:
            assert leak.began == "held"
            reads_everywhere(bridge, 20)
            leak.end()
        is_well(bridge)


@pytest.mark.parametrize("files", [None, FEW_FILES])
def test_open_sockets_of_a_dialect_that_are_leaked_keep_nobody_out(files: int | None) -> None:
    """Pages of the field open one for each reading and close none: the ones that are missed least give way."""
    with bridge_with(files) as bridge, ExitStack() as leaked:
        for _ in range(100):
            caller = leaked.enter_context(
                connect(f"ws://127.0.0.1:{bridge.dialects['json']}", proxy=None, close_timeout=0.1)
            )
            caller.send('{"function":"iReadCardBas","iType":3}')
            assert NAME in str(caller.recv(10))
        reads_everywhere(bridge, 3)
        is_well(bridge)


def test_a_token_that_keeps_its_connections_busy_leaves_places_for_others() -> None:
    """A program's token in another user's hands: slow bodies, as many as it can."""
    with bridge_with(None) as bridge:
        made = bridge.client.post("/v1/grants", json={"name": "agent", "scopes": ["metrics"]}).json()["token"]
        port = port_of(bridge)
        head = (
            f"POST /v1/driver/iReadCardBas HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {made}\r\n"
            "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
        )
        asked = {"do": "hold", "places": [["127.0.0.1", port]], "count": 300, "first": head, "seconds": 5.0}
        with doing(OTHER, asked) as attack:
            assert attack.began == "held"
            reads_everywhere(bridge, _READINGS)
            attack.end()
        is_well(bridge)


def test_another_users_requests_spend_no_rate_of_the_desks_own() -> None:
    """Requests without a token are counted by user: the bridge's own page loads while another user asks and asks."""
    with home_of(CLERK) as folder:
        limits = "[limits]\nrequests_per_second = 0.1\nburst = 40\n"
        # The environment of the tests stands over the file.
        environment = {"CARDIO_BRIDGE_LIMITS__REQUESTS_PER_SECOND": "0.1", "CARDIO_BRIDGE_LIMITS__BURST": "40"}
        with bridge_run_by(CLERK, folder, SETTINGS + limits, environment=environment) as bridge:
            head = ["GET /v1/hello HTTP/1.1", f"Host: 127.0.0.1:{port_of(bridge)}", "Connection: close"]
            one = {"do": "ask", "host": "127.0.0.1", "port": port_of(bridge), "head": head}
            assert does(OTHER, one | {"do": "many", "count": 60}) == 60
            assert does(OTHER, one)[0] == 429
            assert does(CLERK, one)[0] == 200
            with httpx.Client(base_url=bridge.address, trust_env=False) as page:
                assert [page.get(path).status_code for path in ("/", "/livez", "/static/i18n/index.js")] == [200] * 3


def test_refused_handshakes_leave_no_connection_behind() -> None:
    with bridge_with(None) as bridge:
        before = bridge.handles
        lines = []
        for _ in range(100):
            line = socket.create_connection(("127.0.0.1", port_of(bridge)))
            head = handshake("127.0.0.1", port_of(bridge), "/v1/ws")
            line.sendall("\r\n".join([*head, "", ""]).encode())
            assert b" 401 " in line.recv(4096)
            lines.append(line)
        wait_until(lambda: bridge.handles <= before + 4, "all are closed by the bridge")
        for line in lines:
            line.close()
