"""The dialects, spoken by callers written after the field's own: messages byte for byte, sent and expected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from cardio.errors import UsageError
from service.app import SiteOptions
from service.driver.decard_dialect import DecardDialect
from service.driver.dialect import DialectRequest
from service.driver.json_dialect import JsonDialect
from service.driver.registry import dialects
from service.gate.origin_syntax import is_origin
from service.gate.peers import PeerLookup
from service.gate.policy import DialectRule
from service.gate.scopes import DEFAULT_SCOPES, Scope
from simulators.sam.hsm_driver_steps import read_step_1_to_2
from tests.unit.service.bridge import FIRST, FIRST_COUNTS, SECOND, Bridge

PAGE = "http://his.example:8080"
BASIC = (
    "370200|119900197708090027|A00000011|370200D15600000500000001FFFFFFFF|测试甲|0081544C928684370200000001|"
    "2.00|20160520|20360520|000000000000|Simulated-Reader-00|"
)


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    rules = [DialectRule(name, programs=True, scopes=DEFAULT_SCOPES) for name in ("json", "decard")]
    made = Bridge(
        dialects=rules,
        trusted={PAGE: frozenset({Scope.BASIC, Scope.FILES})},
        scopes=frozenset(Scope),
        site_options=FIRST_COUNTS,
    )
    yield made
    made.stop()


def opened(bridge: Bridge, dialect: str, origin: str | None = PAGE) -> ClientConnection:
    return bridge.socket("/", port=bridge.dialect_ports[dialect], origin=origin)


def ask(socket: ClientConnection, message: str) -> str:
    socket.send(message)
    reply = socket.recv(5)
    assert isinstance(reply, str)
    return reply


def test_the_json_dialect_byte_for_byte(bridge: Bridge) -> None:
    socket = opened(bridge, "json")
    assert ask(socket, '{"function":"iReadCardBas","iType":3}') == (
        '{"functionName":"iReadCardBas","success":"1","pOutInfo":"' + BASIC + '"}'
    )
    assert (
        ask(
            socket,
            '{"function":"iReadCard","iType":3,"iAuthType":2,"pCardInfo":"370200D15600000500000001FFFFFFFF|A00000011|",'
            '"pFileAddr":"SSSEEF05|07|$"}',
        )
        == '{"functionName":"iReadCard","success":"1","pOutInfo":"SSSEEF05|A00000011|$"}'
    )
    assert ask(socket, '{"function":"iReadICCardNum"}') == (
        '{"functionName":"iReadICCardNum","success":"1","pOutInfo":"6200000000000000005"}'
    )
    assert json.loads(ask(socket, '{"function":"iReadIdentityCard"}'))["success"] == "-13"
    # Kiosks send numbers as texts, and pkey in lower case.
    assert json.loads(ask(socket, '{"function":"iReadCardBas","iType":"3"}'))["success"] == "1"
    bridge.readers.remove(FIRST)
    bridge.readers.remove(SECOND)
    empty = json.loads(ask(socket, '{"function":"iReadCardBas","iType":3}'))
    assert empty["success"] == "-2" and empty["pOutInfo"].startswith("无卡")
    assert list(empty) == ["functionName", "success", "pOutInfo"]


def test_the_page_of_the_field_goes_to_the_hsm_by_itself(bridge: Bridge) -> None:
    """As a widespread page does it: iReadCardBas, on −2201 step 1, the authority's answer, then ReadCard_HSM_Step2."""
    bridge.readers.insert(FIRST, "third-closed", None)
    socket = opened(bridge, "json")
    first = json.loads(ask(socket, '{"function":"iReadCardBas","iType":3}'))
    assert first["success"] == "-2201", "compared as a text"
    step = json.loads(ask(socket, '{"function":"iReadCardBas_HSM_Step1","iType":3}'))
    assert step["functionName"] == "iReadCardBas_HSM_Step1" and step["success"] == "1"
    answer = read_step_1_to_2(step["pOutInfo"])
    done = json.loads(ask(socket, json.dumps({"function": "ReadCard_HSM_Step2", "pKey": answer})))
    assert done["functionName"] == "iReadCardBas_HSM_Step2" and done["success"] == "1"
    assert done["pOutInfo"].split("|")[4] == "测试壬"


def test_the_decard_dialect_byte_for_byte(bridge: Bridge) -> None:
    socket = opened(bridge, "decard")
    handle = json.loads(ask(socket, '{"func":"dc_init","in":["100","115200"]}'))
    assert int(handle["result"]) > 0 and handle["func"] == "dc_init"
    assert ask(socket, '{"func":"dc_beep","in":["1","5"]}') == '{"func":"dc_beep","result":"0","out":[]}'
    atr = "3B6D00000081544C928684370200000001"
    assert ask(socket, '{"func":"dc_cpureset","in":["1"]}') == (
        '{"func":"dc_cpureset","result":"0","out":["17","' + atr + '"]}'
    )
    assert ask(socket, '{"func":"iReadCardBas","in":["3"]}') == (
        '{"func":"iReadCardBas","result":"0","out":["' + BASIC + '"]}'
    )
    refused = json.loads(ask(socket, '{"func":"dc_cpuapduInt","in":["1","5","0084000008"]}'))
    assert refused["result"] == "-13", "bare commands take the scope apdu"
    wrong = json.loads(ask(socket, '{"func":"iReadCardBas","in":["9"]}'))
    assert wrong["result"] == "-14" and len(wrong["out"]) == 1
    assert ask(socket, '{"func":"dc_exit","in":["1"]}') == '{"func":"dc_exit","result":"0","out":[]}'
    bridge.readers.remove(FIRST)
    bridge.readers.remove(SECOND)
    assert json.loads(ask(socket, '{"func":"dc_cpureset","in":["1"]}'))["result"] == "-2"


def test_bare_commands_go_to_software_cards_of_who_may() -> None:
    bridge = Bridge(
        dialects=[DialectRule("decard", programs=True, scopes=frozenset({Scope.BASIC, Scope.APDU}))],
        site_options=FIRST_COUNTS,
    )
    try:
        socket = opened(bridge, "decard", None)
        reply = json.loads(ask(socket, '{"func":"dc_cpuapduInt","in":["1","5","0084000008"]}'))
        assert reply["result"] == "0" and reply["out"][0] == "10" and reply["out"][1].endswith("9000")
        for nonsense in ("", "00", "zz" * 5, "00" * 700):
            message = json.dumps({"func": "dc_cpuapduInt", "in": ["1", "5", nonsense]})
            assert json.loads(ask(socket, message))["result"] == "-14"
    finally:
        bridge.stop()


@pytest.mark.parametrize(
    "message",
    ["", "x", "{", "[]", "null", '{"function":3}', '{"func":"x","in":"3"}', '{"function":"iReadCardBas","iType":[1]}',
     '{"function":"iReadCardBas","iType":true}', '{"function":"' + "x" * 60000 + '"}', "[" * 60000,
     '{"func":"iReadCardBas","in":' + json.dumps(["3"] * 20) + "}", '{"function":"__init__"}'],
)  # fmt: skip
def test_nonsense_has_one_reply_each_and_the_socket_lives(bridge: Bridge, message: str) -> None:
    for dialect, good in (("json", '{"function":"iReadCardBas"}'), ("decard", '{"func":"iReadCardBas","in":["3"]}')):
        socket = opened(bridge, dialect)
        reply = json.loads(ask(socket, message))
        assert reply.get("success", reply.get("result")) in ("-14", "-13") and "Traceback" not in str(reply)
        assert BASIC in ask(socket, good)
        socket.close()


def test_binary_frames_and_bursts_are_answered_in_order(bridge: Bridge) -> None:
    socket = opened(bridge, "json")
    for number in range(20):
        socket.send(b"\x00\xff" if number % 3 == 0 else '{"function":"iReadCardBas","iType":3}')
    replies = [json.loads(socket.recv(5)) for _ in range(20)]
    assert [one["success"] for one in replies] == ["-14" if number % 3 == 0 else "1" for number in range(20)]


def test_who_may_speak_is_decided_at_the_gate(bridge: Bridge) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(bridge, "json", "https://stranger.example")
    assert refused.value.response.status_code == 403
    # Its trying is its asking: a person sees it, and lets it in.
    asked = bridge.client.get("/v1/pairing").json()["requests"]
    assert [(one["origin"], one["source"]) for one in asked] == [("https://stranger.example", "dialect")]
    granted = bridge.client.post(f"/v1/pairing/{asked[0]['request']}/approve", json={"scopes": ["basic"]}).json()
    socket = opened(bridge, "json", "https://stranger.example")
    assert BASIC in ask(socket, '{"function":"iReadCardBas"}')
    files = json.loads(ask(socket, '{"function":"iReadCard","pCardInfo":"x|","pFileAddr":"SSSEEF05|07|$"}'))
    assert files["success"] == "-13", "basic is not files"
    # A dialect's grant opens nothing else.
    page = bridge.caller(None, "https://stranger.example")
    assert page.get("/v1/readers").status_code == 403
    bridge.client.delete(f"/v1/grants/{granted['grant']}")
    with pytest.raises(ConnectionClosed):
        socket.recv(5)


def test_a_program_of_the_same_user_may_speak_and_one_of_another_may_not(bridge: Bridge, tmp_path: Path) -> None:
    assert BASIC in ask(opened(bridge, "json", None), '{"function":"iReadCardBas"}')
    port = bridge.dialect_ports["json"]
    script = tmp_path / "caller.py"
    script.write_text(
        "import socket, base64, os, sys\n"
        f"line = socket.create_connection(('127.0.0.1', {port}))\n"
        f"line.sendall(b'GET / HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nUpgrade: websocket\\r\\n'\n"
        "  b'Connection: Upgrade\\r\\n'\n"
        "  b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n')\n"
        "print(line.recv(4096).split()[1].decode())\n"
    )
    os.chmod(tmp_path, 0o755)  # noqa: S103 - the other user must find the script
    same = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=20, check=True)
    assert same.stdout.strip() == "101"
    python = "/usr/bin/python3"  # another user need not be able to reach this one's
    other = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", python, "-c", script.read_text()],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert other.stdout.strip() == "403", other.stderr


def test_no_header_tells_who_is_at_the_other_end(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's header could name a connection of the same user; the one that sends it is what counts."""
    seen: list[tuple[str, int]] = []

    def noted(lookup: PeerLookup, client: tuple[str, int], server: tuple[str, int]) -> int:
        seen.append(client)
        return os.getuid()

    monkeypatch.setattr("service.gate.peers.PeerLookup.user_of", noted)
    port = bridge.dialect_ports["json"]
    bridge.socket("/", port=port, headers={"X-Forwarded-For": "10.9.8.7:4321"})
    assert seen[0][0] == "127.0.0.1" and seen[0][1] != 4321


def test_what_is_kept_in_mind_between_two_messages_is_the_first_step_only() -> None:
    dialect = JsonDialect()
    assert dialect.parse('{"function":"ReadCard_HSM_Step2"}').function == "iReadCardBas_HSM_Step2"
    dialect.parse('{"function":"iReadCard_HSM_Step1"}')
    assert dialect.parse('{"function":"ReadCard_HSM_Step2"}').function == "iReadCard_HSM_Step2"


def test_replies_survive_being_evaluated_as_a_script() -> None:
    text = JsonDialect().done(DialectRequest("f", {}), "a\u2028b\u2029</script>")
    assert "\u2028" not in text and json.loads(text)["pOutInfo"] == "a\u2028b\u2029</script>"
    with pytest.raises(UsageError):
        DecardDialect().parse('{"func":"x","in":["' + '","'.join("1" * 17) + '"]}')


def test_an_origin_is_written_as_browsers_write_it() -> None:
    for good in (
        "https://a",
        "http://a.b-c.example:8080",
        "http://127.0.0.1:1",
        "http://[::1]:80808"[:-1],
        "http://10.0.0.1",
    ):
        assert is_origin(good), good
    for bad in (
        "null", "", "https://", "https://a/", "HTTPS://a", "https://A", "ftp://a", "https://a:0", "https://a:65536",
        "https://a:443", "http://a:80", "https://a b", "https://a@b", "file://", "https://a?", "https://-a", "https://a\n",
    ):  # fmt: skip
        assert not is_origin(bad), bad


def test_the_sites_device_number_is_in_every_basic_string_and_no_callers() -> None:
    rules = [DialectRule(name, programs=True, scopes=DEFAULT_SCOPES) for name in ("json", "decard")]
    bridge = Bridge("adult", dialects=rules, site_options=SiteOptions(device_number="窗口3"))
    try:
        socket = opened(bridge, "json", None)
        message = '{"function":"iReadCardBas","iType":3,"deviceNumber":"x","device":"y"}'
        assert json.loads(ask(socket, message))["pOutInfo"].endswith("|000000000000|窗口3|")
        decard = opened(bridge, "decard", None)
        assert json.loads(ask(decard, '{"func":"iReadCardBas","in":["3"]}'))["out"][0].endswith("|窗口3|")
        route = bridge.client.post("/v1/driver/iReadCardBas", json={"iType": 3}).json()
        assert route["fields"]["device_number"] == "窗口3"
        bridge.readers.insert(FIRST, "third-closed", None)
        step = bridge.client.post("/v1/driver/iReadCardBas_HSM_Step1", json={"reader": FIRST}).json()["pOutInfo"]
        done = bridge.client.post("/v1/driver/iReadCardBas_HSM_Step2", json={"pKey": read_step_1_to_2(step)}).json()
        assert done["pOutInfo"].endswith("|000000000000|窗口3|")
        assert bridge.client.post("/v1/driver/iReadCardBas", json={"deviceNumber": "x"}).status_code == 400
    finally:
        bridge.stop()


def test_a_dialect_is_one_file() -> None:
    """Each declares itself; nothing else of the bridge names one."""
    assert {name: kind.port for name, kind in dialects().items()} == {"decard": 50150, "json": 12342, "scanner": 8342}
    service = Path(__file__).parents[4] / "service"
    names = ("JsonDialect", "DecardDialect", "ScannerDialect", "json_dialect", "decard_dialect", "scanner_dialect")
    for path in service.rglob("*.py"):
        if not path.name.endswith("_dialect.py"):
            assert not [name for name in names if name in path.read_text(encoding="utf-8")], path
