"""Our own programs as callers of the bridge: they have it prove itself, then ask; the command line goes that way."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from cardio.client import BridgeClient, BridgeError, BridgeNotRunningError, ImposterError, default_token_file
from cardio.errors import CardioError, ReaderNotFoundError
from service.gate.scopes import Scope
from tests.unit.cardio.cli.test_cli import run
from tests.unit.service.bridge import FIRST, TOKEN, Bridge
from tests.warm_cardio import warm_command


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bridge]:
    made = Bridge(scopes=frozenset(Scope))
    monkeypatch.setenv("CARDIO_BRIDGE", made.address)
    file = default_token_file()
    file.parent.mkdir(parents=True)
    file.touch(0o600)
    file.write_text(TOKEN)
    yield made
    made.stop()


def test_it_reads_by_way_of_the_bridge(bridge: Bridge) -> None:
    with BridgeClient.connect() as client:
        assert client.readers()[0].name == FIRST
        reading = client.read("00")
        assert reading.holder is not None and reading.holder.name == "测试甲"
        assert client.driver("iReadCardBas", reader=FIRST).startswith("370200|")
        with pytest.raises(BridgeError) as refused:
            client.driver("iReadCard", reader=FIRST)
        assert (refused.value.code, refused.value.driver_code) == ("usage", -14) and refused.value.remedy
        with pytest.raises(ReaderNotFoundError):
            client.read("nobody")
        events = client.events()
        assert next(events)["type"] == "cardio.state"
        bridge.readers.remove(FIRST)
        assert next(events)["data"]["reader"] == FIRST
        events.close()  # type: ignore[attr-defined] # it is a generator


def test_the_command_line_asks_the_bridge_where_it_has_the_reader(bridge: Bridge) -> None:
    read = run("read", "--bridge", "--json", "--reader", "Simulated Reader 00")
    assert read.returncode == 0 and json.loads(read.stdout)["holder"]["name"] == "测试甲"
    assert len(json.loads(run("readers", "--bridge", "--json").stdout)["readers"]) == 2
    # Without being told: this name is no reader of ours, and the bridge has it.
    by_itself = run("read", "--reader", "Simulated Reader 00", "--driver")
    assert by_itself.stdout.startswith("370200|119900197708090027|") and "bridge" in by_itself.stderr
    refused = run("read", "--bridge", "--reader", "01", "--driver", "--json")
    assert refused.returncode == 1 and json.loads(refused.stdout)["error"]["driver_code"] == -2201


def test_pairing_on_the_console(bridge: Bridge) -> None:
    page = "https://his.example"
    asked = bridge.caller(None, page).post("/v1/pairing", json={"name": "收费", "scopes": ["basic"]}).json()
    listed = run("pair", "list").stdout
    assert asked["code"] in listed and page in listed
    assert page in run("pair", "approve", asked["code"].replace(" ", "")).stdout
    outcome = bridge.caller(asked["secret"], page).get(f"/v1/pairing/{asked['request']}").json()
    assert bridge.caller(outcome["token"], page).get("/v1/readers").status_code == 200
    assert run("pair", "revoke", outcome["grant"], "--json").returncode == 0
    assert bridge.caller(outcome["token"], page).get("/v1/readers").status_code == 403
    assert (run("pair", "deny", "000000").returncode, run("pair", "approve").returncode) == (1, 2)
    made = json.loads(run("pair", "add", "prometheus", "--scopes", "metrics", "--json").stdout)
    assert "cardio_readers" in bridge.caller(made["token"]).get("/metrics").text


def test_a_yes_on_the_console_grants_nothing_that_can_harm(bridge: Bridge) -> None:
    page = "https://his.example-hospital.cn.login.evil.com"
    wanted = {"name": "示例医院 HIS", "scopes": ["basic", "pin", "write", "settle"]}

    def ask() -> str:
        code: str = bridge.caller(None, page).post("/v1/pairing", json=wanted).json()["code"]
        return code.replace(" ", "")

    approved = run("pair", "approve", ask(), "--json")
    assert json.loads(approved.stdout)["scopes"] == ["basic"]
    assert all(scope in approved.stderr for scope in ("pin", "write", "settle", "--scopes"))
    said = run("pair", "approve", ask()).stdout
    assert re.search(r"site: +evil\.com\n", said) and "自称 it calls itself: 示例医院 HIS" in said
    named = json.loads(run("pair", "approve", ask(), "--scopes", "basic,pin", "--json").stdout)
    assert named["scopes"] == ["basic", "pin"]
    wanted["scopes"] = ["pin"]
    refused = run("pair", "approve", ask(), "--json")
    assert refused.returncode == 2 and "--scopes pin" in json.loads(refused.stdout)["error"]["detail_en"]
    assert len(bridge.client.get("/v1/pairing").json()["requests"]) == 1, "it still waits"


@pytest.mark.parametrize(("answers", "granted"), [("y\nn\n", ["basic", "pin"]), ("n\n是\n", ["basic", "settle"])])
def test_each_thing_that_can_harm_is_asked_for_on_a_terminal(bridge: Bridge, answers: str, granted: list[str]) -> None:
    wanted = {"name": "HIS", "scopes": ["settle", "pin", "basic"]}
    code = bridge.caller(None, "https://his.example").post("/v1/pairing", json=wanted).json()["code"]
    person, terminal = os.openpty()
    os.write(person, answers.encode())
    done = subprocess.run(
        [warm_command(), "pair", "approve", code],
        stdin=terminal, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(terminal)
    os.close(person)
    assert done.returncode == 0 and "use the holder's PIN" in done.stderr and "take money" in done.stderr
    (grant,) = [one for one in bridge.client.get("/v1/grants").json()["grants"] if one["kind"] == "page"]
    assert grant["scopes"] == granted


class _Imposter(BaseHTTPRequestHandler):
    seen: list[str] = []  # noqa: RUF012 - one for the test, read from outside
    answer: bytes = b"{}"

    def do_GET(self) -> None:
        self.seen.append(str(self.headers))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, format: str, *args: object) -> None: ...


class _Late(HTTPServer):
    allow_reuse_port = True
    """A bridge's connections that have just ended (TIME_WAIT) let only such a socket have its port."""


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"no json", b'{"proof":"00"}', b'{"proof":null}', b'{"proof":{}}'])
def test_a_squatter_on_the_port_is_recognised_and_sees_no_token(answer: bytes, tmp_path: Path) -> None:
    _Imposter.seen.clear()
    _Imposter.answer = answer
    with HTTPServer(("127.0.0.1", 0), _Imposter) as squatter:
        thread = threading.Thread(target=squatter.serve_forever)
        thread.start()
        with pytest.raises(ImposterError):
            BridgeClient.connect(f"http://127.0.0.1:{squatter.server_port}", token=TOKEN)
        squatter.shutdown()
        thread.join()
    assert len(_Imposter.seen) == 1 and TOKEN not in _Imposter.seen[0]


@pytest.mark.parametrize("asks", ["get", "post", "events"])
def test_a_squatter_that_comes_later_sees_no_token(bridge: Bridge, asks: str) -> None:
    """A program keeps its client; the bridge ends, and another program takes the port before the program asks again."""
    client = BridgeClient.connect()
    assert client.get("/v1/me")["grant"] == "local"
    port = bridge.port
    bridge.stop()
    seen: list[str] = []

    class Squatter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            seen.append(f"{self.requestline} {self.headers} {self.rfile.read(length)!r}")
            body = b'{"grant": "local", "readers": [], "proof": "00"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with _Late(("127.0.0.1", port), Squatter) as squatter, client:
        thread = threading.Thread(target=squatter.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            with pytest.raises(ImposterError):
                match asks:
                    case "get":
                        client.get("/v1/readers")
                    case "post":
                        client.driver("iDoDebit", idempotency_key="k", pCardInfo="x", pPayInfo="y")
                    case _:
                        next(client.events())
        finally:
            squatter.shutdown()
            thread.join()
    assert seen and not [one for one in seen if TOKEN in one or "pCardInfo" in one]


def test_an_answer_passed_on_from_another_port_proves_nothing(bridge: Bridge) -> None:
    """A squatter that asks the real bridge for its proof gets one for the real port."""

    class Relay(_Imposter):
        def do_GET(self) -> None:
            answer = bridge.caller(None).get(self.path)
            self.send_response(answer.status_code)
            self.end_headers()
            self.wfile.write(answer.content)

    with HTTPServer(("127.0.0.1", 0), Relay) as squatter:
        thread = threading.Thread(target=squatter.serve_forever)
        thread.start()
        with pytest.raises(ImposterError):
            BridgeClient.connect(f"http://127.0.0.1:{squatter.server_port}", token=TOKEN)
        squatter.shutdown()
        thread.join()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(BridgeNotRunningError):
        BridgeClient.connect("http://127.0.0.1:9")
    with pytest.raises(BridgeNotRunningError):
        BridgeClient.connect("http://127.0.0.1:9", token=TOKEN)
    assert run("read", "--bridge").returncode == 69


@pytest.mark.parametrize(
    ("function", "given", "code"),
    [
        ("iVerifyPIN", {"pin": "123456"}, "pin-outcome-unknown"),
        ("iUnblockPIN_HSM_Step3", {}, "pin-outcome-unknown"),
        ("iReadCard", {"pin": "123456"}, "pin-outcome-unknown"),
        ("iWriteCard", {}, "write-outcome-unknown"),
        ("iDoDebit", {"idempotency_key": "k"}, "debit-unknown"),
        ("iDoDebit_HSM_Step2", {}, "debit-unknown"),
        ("iReadCardBas", {}, "bridge-not-running"),
        ("iReadCard", {}, "bridge-not-running"),
    ],
)
@pytest.mark.parametrize("reached", [True, False])
def test_an_answer_that_is_lost(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, function: str, given: dict[str, str], code: str, reached: bool
) -> None:
    """The bridge may have done it; where no server answered at all, it has not."""
    with BridgeClient.connect(bridge.address, token=TOKEN) as client:
        error: Exception = httpx.ReadTimeout("late") if reached else httpx.ConnectError("nobody")

        def lose(*arguments: object, **named: object) -> None:
            raise error

        monkeypatch.setattr(client._client, "send", lose)
        with pytest.raises(CardioError) as caught:
            client.driver(function, **given)
    assert caught.value.code == (code if reached else "bridge-not-running")
    assert caught.value.retryable == (caught.value.code == "bridge-not-running")
