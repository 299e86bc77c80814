"""``cardio doctor`` about the bridge: green, or what to do."""

from __future__ import annotations

import json
import socket
from datetime import date
from pathlib import Path

import pytest

from cardio.cli.doctor import checks as machine_checks
from cardio.cli.doctor.finding import Finding
from cardio.client import default_token_file
from service.cli.doctor_checks import bridge_findings, browser_findings
from service.gate.page_memory import PageMemory
from service.gate.scopes import Scope
from service.settings import BridgeSettings
from tests.unit.service.bridge import TOKEN, Bridge


def found() -> dict[str, Finding]:
    return {one.check: one for one in bridge_findings()}


def token() -> None:
    file = default_token_file()
    file.parent.mkdir(parents=True)
    file.touch(0o600)
    file.write_text(TOKEN)


def test_a_bridge_that_runs_is_green(monkeypatch: pytest.MonkeyPatch) -> None:
    bridge = Bridge()
    token()
    monkeypatch.setenv("CARDIO_BRIDGE_PORT", str(bridge.port))
    assert found()["service"].state == "ok"
    bridge.stop()
    stopped = found()["service"]
    assert stopped.state == "note" and "cardio serve" in stopped.remedy


@pytest.mark.parametrize(("log", "state"), [("file", "ok"), ("folder", "bad"), ("none", "note")])
def test_the_audit_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str, state: str) -> None:
    path = tmp_path / "audit.sqlite"
    if log == "folder":
        path.mkdir()
    bridge = Bridge(audit=None if log == "none" else path)
    token()
    monkeypatch.setenv("CARDIO_BRIDGE_PORT", str(bridge.port))
    assert bridge.audit.flush()
    finding = found()["audit"]
    bridge.stop()
    assert finding.state == state and bool(finding.remedy) == (state == "bad")
    assert finding.exit_status == (1 if state == "bad" else 0)


def test_origins_by_http_that_may_do_harm_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "bridge.toml"
    listed = (
        ("http://10.1.2.3:8080", "basic,pin"), ("http://his", "basic,settle"), ("http://lis", "basic,files"),
        ("http://localhost:3000", "basic,pin"), ("http://[::1]:3000", "pin"), ("http://127.0.0.2", "write"),
        ("https://his.example", "basic,pin,write,settle"), ("app://his", "pin"),
    )  # fmt: skip
    tables = "".join(f'[[trusted_origins]]\norigin = "{one}"\nscopes = "{scopes}"\n' for one, scopes in listed)
    settings.write_text(tables, encoding="utf-8")
    monkeypatch.setenv("CARDIO_BRIDGE_FILE", str(settings))
    bridge = Bridge(scopes=frozenset(Scope))
    token()
    monkeypatch.setenv("CARDIO_BRIDGE_PORT", str(bridge.port))
    bridge.pair("http://paired", Scope.BASIC, Scope.WRITE)
    bridge.pair("http://reads-only", Scope.BASIC)
    named = [one for one in bridge_findings() if one.check == "origins"]
    bridge.stop()
    assert [one.found_en.split()[2] for one in named] == ["http://10.1.2.3:8080", "http://his", "http://paired"]
    assert all(one.state == "bad" and one.exit_status == 1 and "https" in one.remedy for one in named)
    assert "pin" in named[0].found and "settle" in named[1].found and "write" in named[2].found


def test_a_port_that_somebody_else_has_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        monkeypatch.setenv("CARDIO_BRIDGE_PORT", str(squatter.getsockname()[1]))
        no_token = found()["port"]
        assert no_token.state == "bad" and no_token.remedy and no_token.exit_status == 69


def test_wrong_settings_are_told_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDIO_BRIDGE_PORT", "x")
    assert [(one.check, one.state, one.exit_status) for one in bridge_findings()] == [("settings", "bad", 78)]


def test_browser_policies_are_held_against_the_trusted_origins(tmp_path: Path) -> None:
    settings = BridgeSettings.load(trusted_origins=[{"origin": "https://his.example"}])
    (none,) = browser_findings(settings, (tmp_path,))
    assert none.state == "note" and "https://his.example" in none.found
    policy = tmp_path / "cardio.json"
    policy.write_text(json.dumps({"LoopbackNetworkAllowedForUrls": ["https://his.example"]}))
    (allowed,) = browser_findings(settings, (tmp_path,))
    assert allowed.state == "ok"
    policy.write_text("{")
    broken, _ = browser_findings(settings, (tmp_path,))
    assert broken.state == "bad" and str(policy) in broken.found


def test_a_full_disk_and_a_wrong_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_checks.disk_finding(tmp_path / "not" / "there").state == "ok"
    monkeypatch.setattr(machine_checks, "_LEAST_FREE", 1 << 60)
    full = machine_checks.disk_finding(tmp_path)
    assert full.state == "bad" and full.remedy and full.exit_status == 1
    assert machine_checks.clock_finding().state in ("ok", "note")
    monkeypatch.setattr(machine_checks, "_WRITTEN", date(2100, 1, 1))
    assert machine_checks.clock_finding().state == "bad"


def test_keys_that_are_not_to_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (nothing,) = machine_checks.key_findings()
    assert nothing.state == "note"
    settings = tmp_path / "security.toml"
    settings.write_text("require_proof = true\n", encoding="utf-8")
    monkeypatch.setenv("CARDIO_SECURITY", str(settings))
    (refuses_all,) = machine_checks.key_findings()
    assert refuses_all.state == "bad" and "require_proof" in refuses_all.found
    monkeypatch.delenv("CARDIO_SECURITY")
    monkeypatch.setenv("CARDIO_SAM", "hsm:http://127.0.0.1:9, soft:/nowhere.toml")
    listed = list(machine_checks.key_findings())
    assert [one.check for one in listed] == ["hsm", "soft"] and listed[1].state == "bad"


def test_another_users_program_at_an_earlier_address_of_the_pages_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows its own page to an old tab while the bridge runs well."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with socket.socket() as stranger:
        stranger.bind(("127.88.3.5", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        monkeypatch.setenv("CARDIO_BRIDGE_PORT", str(port))
        PageMemory(tmp_path / "cardio" / "pages.json", port).keep_address("127.88.3.5")
        assert not [one for one in bridge_findings() if one.check == "pages"], "it is this user's own program"
        monkeypatch.setattr("service.cli.doctor_checks.listening_user", lambda host, _: {"127.88.3.5": 4711}.get(host))
        (found,) = [one for one in bridge_findings() if one.check == "pages"]
        assert "127.88.3.5" in found.found and "127.88.3.5" in found.found_en and found.remedy
