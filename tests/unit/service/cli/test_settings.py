"""Settings: a file, then the environment, then options; what is wrong is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardio.errors import ConfigurationError
from service.gate.scopes import Scope
from service.ports.binding import bind_network
from service.settings import BridgeSettings, Network


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bridge.toml"
    monkeypatch.setenv("CARDIO_BRIDGE_FILE", str(path))
    return path


def test_each_stands_over_the_one_before(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(
        'port = 1111\nscopes = ["basic", "pin"]\nauto_read = true\n[dialects]\njson = true\nlayout = "13"\n'
        '[[trusted_origins]]\norigin = "https://his.example"\nscopes = ["basic", "files"]\n'
    )
    assert BridgeSettings.load().port == 1111
    monkeypatch.setenv("CARDIO_BRIDGE_PORT", "2222")
    monkeypatch.setenv("CARDIO_BRIDGE_DIALECTS__DECARD", "true")
    monkeypatch.setenv("CARDIO_BRIDGE_SCOPES", "basic,write")
    loaded = BridgeSettings.load(auto_read=None)
    assert (loaded.port, loaded.auto_read, loaded.scopes) == (2222, True, frozenset({Scope.BASIC, Scope.WRITE}))
    assert (loaded.dialects.json_, loaded.dialects.decard, loaded.dialects.layout) == (True, True, "13")
    assert loaded.trusted == {"https://his.example": {Scope.BASIC, Scope.FILES}}
    assert BridgeSettings.load(port=3333, scopes="basic").port == 3333


def test_without_anything_it_is_closed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = BridgeSettings.load()
    assert loaded.port == 12340 and loaded.scopes == {Scope.BASIC, Scope.FILES}
    assert not loaded.dialects.json_ and not loaded.dialects.decard and not loaded.dialects.programs
    assert not loaded.network.listen and not loaded.trusted_origins and not loaded.auto_read


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("prot = 1\n", "prot"),
        ("port = 70000\n", "port"),
        ('scopes = ["everything"]\n', "scopes"),
        ('[[trusted_origins]]\norigin = "https://his.example/his"\n', "trusted_origins.0"),
        ('[[trusted_origins]]\norigin = "https://a"\nscopes = ["manage"]\n', "trusted_origins.0"),
        ('[network]\nlisten = ["0.0.0.0"]\n', "network"),
        ("[dialects]\njsno = true\n", "dialects.jsno"),
        ('[driver]\ndevice_number = "a|b"\n', "driver.device_number"),
        ('[[trusted_origins]]\norigin = "null"\n', "cardio pair add"),
        ("port = [\n", "bridge.toml"),
    ],
)
def test_what_is_wrong_is_named(file: Path, text: str, place: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError) as wrong:
        BridgeSettings.load()
    assert place in wrong.value.detail and place in wrong.value.detail_en and wrong.value.exit_status == 78


@pytest.mark.parametrize(
    ("variable", "value", "place"),
    [("READERS__USE", "ACR", "readers"), ("DIALECTS", "json", "dialects"), ("TRUSTED_ORIGINS", "x", "trusted_origins")],
)
def test_a_list_in_a_variable_that_is_none_is_told(
    file: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, place: str
) -> None:
    file.write_text("")
    monkeypatch.setenv(f"CARDIO_BRIDGE_{variable}", value)
    with pytest.raises(ConfigurationError, match=f'JSON.*"{place}"'):
        BridgeSettings.load()


def test_a_settings_file_that_is_named_and_missing_is_told(file: Path) -> None:
    with pytest.raises(ConfigurationError):
        BridgeSettings.load()


def test_other_addresses_are_bound_only_when_asked_for() -> None:
    assert bind_network(Network().listen, 0) == []
    sockets = bind_network(Network(listen=["127.0.0.2"], certificate=Path("c"), key=Path("k")).listen, 0)
    assert [one.getsockname()[0] for one in sockets] == ["127.0.0.2"]
    for one in sockets:
        one.close()


def test_what_an_administrator_writes_for_an_origin_is_put_right_and_may_read_files(file: Path) -> None:
    file.write_text('[[trusted_origins]]\norigin = "https://HIS.Example:443/"\n')
    assert BridgeSettings.load().trusted == {"https://his.example": {Scope.BASIC, Scope.FILES}}


def test_every_dialect_has_its_switch_and_its_port(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('[dialects]\ndecard = true\ndecard_port = 50151\n[driver]\ndevice_number = "窗口3"\n')
    monkeypatch.setenv("CARDIO_BRIDGE_DIALECTS__SCANNER", "true")
    loaded = BridgeSettings.load()
    assert loaded.dialects.ports == {"decard": 50151, "scanner": 8342}
    assert loaded.dialects.port_of("json") == 12342 and loaded.driver.device_number == "窗口3"
