"""What a desk's settings files say of its readers, for commands that run without the bridge."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from cardio.errors import ConfigurationError
from cardio.readers import policy_settings
from cardio.readers.card_choice import ReaderPolicy
from cardio.readers.policy_settings import ReaderSettings, bridges_sam


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(policy_settings, "SYSTEM_FILE", tmp_path / "system.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CARDIO_BRIDGE_FILE", raising=False)
    (tmp_path / "cardio").mkdir()
    return tmp_path / "system.toml"


@pytest.fixture
def own(system: Path) -> Path:
    return system.parent / "cardio" / "bridge.toml"


def test_the_users_settings_stand_over_the_systems_one_by_one(system: Path, own: Path) -> None:
    system.write_text('sam = "psam:Slot 2"\n[readers]\nuse = ["A"]\ncontact = ["B"]\n')
    own.write_text('[readers]\nuse = ["C"]\n')
    assert ReaderSettings.of_this_computer() == ReaderSettings(use=("C",), contact=("B",))
    assert bridges_sam() == "psam:Slot 2"


def test_a_file_that_is_named_takes_their_place(system: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own.write_text('[readers]\nuse = ["C"]\n')
    named = system.parent / "named.toml"
    monkeypatch.setenv("CARDIO_BRIDGE_FILE", str(named))
    with pytest.raises(ConfigurationError, match=r"named\.toml"):
        ReaderSettings.of_this_computer()
    named.write_text('[readers]\nuse = ["D"]\n')
    assert ReaderSettings.of_this_computer() == ReaderSettings(use=("D",))
    assert bridges_sam() is None


@pytest.mark.parametrize("value", ['"ACR"', "5", '["ACR"]', "[{use = ['A']}]", '[["use", ["A"]]]', "false"])
def test_what_is_no_table_is_said_and_not_read(own: Path, value: str) -> None:
    own.write_text(f"readers = {value}\n")
    with pytest.raises(ConfigurationError, match=r"readers.*应为对象"):
        ReaderSettings.of_this_computer()


@pytest.mark.parametrize(
    "table", ['use = [""]', 'contactless = [" "]', 'contact = ["A", ""]', 'use = "A"', "used = []"]
)
def test_a_name_that_would_fit_every_reader_is_none(own: Path, table: str) -> None:
    own.write_text(f"[readers]\n{table}\n")
    with pytest.raises(ConfigurationError, match=r"readers\."):
        ReaderSettings.of_this_computer()
    with pytest.raises(ValidationError):
        ReaderSettings(contactless=("",))


def test_a_sam_that_is_no_text_is_said(own: Path) -> None:
    own.write_text("sam = 5\n")
    with pytest.raises(ConfigurationError, match="sam"):
        bridges_sam()


def test_the_slots_of_all_sams_are_none_of_the_patients() -> None:
    policy = ReaderSettings().policy("psam:Slot 1, hsm:https://hsm.example", None, "psam:Slot 2")
    assert policy == ReaderPolicy(sam=("Slot 1", "Slot 2"))
