"""Our own programs as callers of the bridge: they have it prove itself, then ask; the command line goes that way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from cardio.bridge import BridgeClient, BridgeError, BridgeNotRunningError, ImposterError, default_token_file
from cardio.errors import CardioError, ReaderNotFoundError
from service.scopes import Scope
from tests.unit.cli.test_cli import run
from tests.unit.service.bridge import FIRST, TOKEN, Bridge


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


class _Imposter(BaseHTTPRequestHandler):
    seen: list[str] = []  # noqa: RUF012 - one for the test, read from outside
    answer: bytes = b"{}"

    def do_GET(self) -> None:
        self.seen.append(str(self.headers))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, format: str, *args: object) -> None: ...


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
    """The bridge may have done it; where nobody answered at all, it has not."""
    with BridgeClient.connect(bridge.address, token=TOKEN) as client:
        error: Exception = httpx.ReadTimeout("late") if reached else httpx.ConnectError("nobody")

        def lose(*arguments: object, **named: object) -> None:
            raise error

        monkeypatch.setattr(client._client, "request", lose)
        with pytest.raises(CardioError) as caught:
            client.driver(function, **given)
    assert caught.value.code == (code if reached else "bridge-not-running")
    assert caught.value.retryable == (caught.value.code == "bridge-not-running")
