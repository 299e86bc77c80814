"""The settings file that the package brings: what it suggests is understood, and what it calls a default is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cardio.readers.policy_settings import FILE_VARIABLE
from service.settings import BridgeSettings
from tests.packaging.conftest import PACKAGING

EXAMPLES = {"sam", "policy", "loss_list", "debits_file", "audit_file", "readers", "trusted_origins"}


def test_it_changes_nothing_as_it_is_installed() -> None:
    lines = (PACKAGING / "bridge.toml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_what_it_suggests_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "none.toml").touch()
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "none.toml"))
    defaults = BridgeSettings.load()
    text = (PACKAGING / "bridge.toml").read_text(encoding="utf-8")
    active = tmp_path / "bridge.toml"
    active.write_text(re.sub(r"^# (?=[a-z_]+ = |\[)", "", text, flags=re.MULTILINE), encoding="utf-8")
    monkeypatch.setenv(FILE_VARIABLE, str(active))
    settings = BridgeSettings.load()
    assert {
        name for name in BridgeSettings.model_fields if getattr(settings, name) != getattr(defaults, name)
    } == EXAMPLES
    assert settings.trusted_origins[0].origin == "https://his.example-hospital.cn"
