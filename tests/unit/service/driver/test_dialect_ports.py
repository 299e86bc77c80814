"""A port that another program has keeps one dialect away, not the bridge; messages name it; it comes by itself."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from cardio.client import default_token_file
from service import server
from service.cli.doctor_checks import bridge_findings
from service.driver.listening import DialectPorts
from service.gate import port_holder as holders
from service.gate.policy import DialectRule
from service.gate.port_holder import port_holder
from service.gate.scopes import DEFAULT_SCOPES
from service.ports.binding import bind_loopback
from service.settings import BridgeSettings
from tests.pcsc import wait_until
from tests.unit.service.bridge import TOKEN, Bridge

READ = '{"function":"iReadCardBas","iType":3}'
VENDOR = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), family=int(sys.argv[3]))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


class Vendor:
    """Another program that listens on a port of this machine."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        command = [sys.executable, "-c", VENDOR, host, str(port), str(int(family))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.communicate("")


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.stop()


def ports(port: int) -> DialectPorts:
    return DialectPorts({DialectRule("json", True, DEFAULT_SCOPES): port}, bind_loopback)


def test_who_has_a_port_is_told_with_its_name(vendor: Vendor) -> None:
    holder = port_holder(vendor.port)
    assert holder is not None and holder.pid == vendor.process.pid
    assert holder.program.startswith("python") and str(vendor.process.pid) in holder.words
    vendor.stop()
    assert port_holder(vendor.port) is None


def test_what_another_user_runs_is_told_by_its_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are closed to us: the table tells the user only. By hand, as a little-endian kernel writes it."""
    (tmp_path / "net").mkdir()
    (tmp_path / "77").mkdir()
    row = (
        "   0: 00000000:3036 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000 100 0\n"
    )
    (tmp_path / "net" / "tcp").write_text("  sl  local_address …\n".replace("…", "") + row + "\n   1: cut short\n")
    monkeypatch.setattr(holders, "_PROC", tmp_path)
    monkeypatch.setattr("service.gate.tcp_table._TABLES", (tmp_path / "net" / "tcp", tmp_path / "net" / "tcp6"))
    holder = port_holder(12342)
    assert holder is not None and holder.pid is None and holder.user == "root" and "root" in holder.words
    assert port_holder(50150) is None
    fd = tmp_path / "77" / "fd"
    fd.mkdir()
    os.symlink("socket:[4242]", fd / "3")
    (tmp_path / "77" / "comm").write_text("reader\x1b[31m\n")
    holder = port_holder(12342)
    assert holder is not None and (holder.pid, holder.program) == (77, "reader[31m")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_port_that_is_taken_is_left_and_tried_again(host: str) -> None:
    vendor = Vendor(host)
    waiting = ports(vendor.port)
    try:
        assert waiting.open() == [] and not waiting.complete
        ((name, port, error),) = waiting.problems()
        assert (name, port) == ("json", vendor.port)
        assert str(vendor.process.pid) in error.detail and str(vendor.process.pid) in error.detail_en
        assert waiting.open() == []
    finally:
        vendor.stop()
    (opened,) = waiting.open()
    assert waiting.complete and waiting.problems() == [] and opened.port == vendor.port
    assert waiting.open() == []
    for one in opened.sockets:
        one.close()


def test_the_bridge_runs_and_the_dialect_comes_by_itself(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_TICK_SECONDS", 0.05)
    waiting = ports(vendor.port)
    assert waiting.open() == []
    bridge = Bridge("adult", dialect_ports=waiting)
    token = default_token_file()
    token.parent.mkdir(parents=True)
    token.touch(0o600)
    token.write_text(TOKEN)
    monkeypatch.setenv("CARDIO_BRIDGE_PORT", str(bridge.port))
    monkeypatch.setenv("CARDIO_BRIDGE_DIALECTS__JSON", "true")
    monkeypatch.setenv("CARDIO_BRIDGE_DIALECTS__JSON_PORT", str(vendor.port))
    try:
        status = bridge.client.get("/v1/status").json()
        assert status["dialects"]["json"] is None
        (problem,) = status["dialect_problems"]
        assert (problem["name"], problem["port"]) == ("json", vendor.port)
        assert str(vendor.process.pid) in problem["problem"]["detail"] and problem["problem"]["remedy"]
        found = next(one for one in bridge_findings() if one.check == "dialect")
        assert found.state == "bad" and str(vendor.process.pid) in found.found and found.remedy
        assert bridge.client.get("/v1/readers").status_code == 200
        vendor.stop()
        wait_until(lambda: waiting.complete, "the port is taken", 20)
        wait_until(lambda: vendor.port in bridge.access.dialects, "it is served", 20)
        with connect(f"ws://127.0.0.1:{vendor.port}", proxy=None, open_timeout=10) as caller:
            caller.send(READ)
            assert json.loads(caller.recv(10))["success"] == "1"
        with connect(f"ws://[::1]:{vendor.port}", proxy=None, open_timeout=10) as caller:
            caller.send(READ)
            assert json.loads(caller.recv(10))["success"] == "1"
        status = bridge.client.get("/v1/status").json()
        assert status["dialects"]["json"] == vendor.port and status["dialect_problems"] == []
        assert next(one for one in bridge_findings() if one.check == "dialect").state == "ok"
    finally:
        bridge.stop()


def test_a_fault_while_it_is_tried_again_does_not_end_the_bridge(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_TICK_SECONDS", 0.02)
    waiting = ports(vendor.port)
    assert waiting.open() == []
    tries: list[int] = []

    def fail() -> list[Any]:
        tries.append(1)
        raise RuntimeError("an unplanned error")

    monkeypatch.setattr(waiting, "open", fail)
    bridge = Bridge("adult", dialect_ports=waiting)
    try:
        wait_until(lambda: len(tries) > 2, "it goes on trying", 20)
        (task,) = [one for one in bridge.client.get("/v1/status").json()["tasks"] if one["task"] == "dialect-ports"]
        assert task["error"] == "RuntimeError" and task["failures"] > 1
        assert bridge.client.get("/v1/status").status_code == 200
    finally:
        bridge.stop()


def test_doctor_names_who_has_the_port_where_the_bridge_does_not_run(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARDIO_BRIDGE_PORT", "1")
    monkeypatch.setenv("CARDIO_BRIDGE_DIALECTS__DECARD", "true")
    monkeypatch.setenv("CARDIO_BRIDGE_DIALECTS__DECARD_PORT", str(vendor.port))
    found = next(one for one in bridge_findings() if one.check == "dialect")
    assert found.state == "bad" and str(vendor.process.pid) in found.found_en


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[dialects]\njson = true\ndecard = true\njson_port = 50150\n", "50150"),
        ("port = 12342\n[dialects]\njson = true\n", "12342"),
    ],
)
def test_one_port_for_two_is_a_wrong_setting(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cardio.errors import ConfigurationError

    path = tmp_path / "bridge.toml"
    path.write_text(text)
    monkeypatch.setenv("CARDIO_BRIDGE_FILE", str(path))
    with pytest.raises(ConfigurationError) as wrong:
        BridgeSettings.load()
    assert told in wrong.value.detail and told in wrong.value.detail_en
