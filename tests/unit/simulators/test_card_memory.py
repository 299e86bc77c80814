"""The software card's memory: what outlives the power, the object and the process."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cardio.errors import ConfigurationError
from simulators.card.persistent_state import CardMemory, CardState
from simulators.card.software_card import SoftwareCard
from simulators.personas.persona import find_persona
from tests.unit.card_helpers import GET_CHALLENGE, SELECT, SOURCE, cryptogram, known_random, talk

RIGHT, WRONG = "0020000003123456", "0020000003999999"
# As test_card_authentication has it.
UKSSSE = "0082000410" + "5C98D132A8509788" + SOURCE
WRONG_KEY = "0082000410" + "0000000000000000" + SOURCE


def adult(memory: Path | None) -> SoftwareCard:
    return find_persona("adult").card(memory, known_random)


def kept(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "adult.json"


def test_without_a_memory_a_reset_forgets_no_try_and_no_record() -> None:
    card = adult(None)
    talk(card, (WRONG, "63C2"), (SELECT, "6118"), GET_CHALLENGE, (WRONG_KEY, "63C2"), GET_CHALLENGE, (UKSSSE, "9000"))
    talk(card, ("00DC062C06 060420461231", "9000"), GET_CHALLENGE, (WRONG_KEY, "63C2"))
    card.reset()
    talk(card, ("0020000000", "63C2"), (SELECT, "6118"), ("00B2062C06", "060420461231 9000"))
    talk(card, GET_CHALLENGE, (WRONG_KEY, "63C1"))
    talk(adult(None), (WRONG, "63C2"), (SELECT, "6118"), ("00B2062C06", "060420360520 9000"))


def test_tries_outlive_the_object(path: Path) -> None:
    card = adult(path)
    assert not path.exists()
    talk(card, (WRONG, "63C2"), (SELECT, "6118"), GET_CHALLENGE, (WRONG_KEY, "63C2"))
    card = adult(path)
    talk(
        card, (WRONG, "63C1"), (SELECT, "6118"), GET_CHALLENGE, (WRONG_KEY, "63C1"), GET_CHALLENGE, (WRONG_KEY, "6983")
    )
    card = adult(path)
    talk(card, (RIGHT, "9000"), (SELECT, "6118"), GET_CHALLENGE, (UKSSSE, "6983"))
    talk(adult(path), ("0020000000", "63C3"))


def test_pin_records_and_bytes_outlive_the_object(path: Path) -> None:
    card = adult(path)
    talk(card, ("805E010007 123456FF654321", "9000"), (SELECT, "6118"), GET_CHALLENGE, (UKSSSE, "9000"))
    assert kept(path)["key_tries"] == {}
    talk(card, ("00DC062C06 060420461231", "9000"), ("00D6870102 ABCD", "9000"))
    card = adult(path)
    talk(card, (RIGHT, "63C2"), ("0020000003654321", "9000"), (SELECT, "6118"), ("00B2062C06", "060420461231 9000"))
    talk(card, ("00B2052C06", "050420160520 9000"), GET_CHALLENGE, (UKSSSE, "9000"), ("00B0870004", "00ABCD00 9000"))
    state = kept(path)
    assert state["pin"] == "654321" and state["historical_bytes"] == "0081544C928684370200000001"
    assert state["records"]["SSSE/EF05"][5] == "060420461231" and set(state["records"]) == {"SSSE/EF05"}


def test_records_of_a_cyclic_file_outlive_the_object(path: Path) -> None:
    def card() -> SoftwareCard:
        found = find_persona("personalised").card(path, known_random)
        opening = "0082008610" + cryptogram("UK2DF04", "personalised")
        talk(found, ("00A4000002DF04", "610A"), GET_CHALLENGE, (opening, "9000"))
        return found

    talk(card(), ("00DC01AC03 000C32", "9000"))
    talk(card(), ("00DC01AC03 000D33", "9000"))
    talk(card(), ("00B201AC03", "000D33 9000"), ("00B202AC03", "000C32 9000"), ("00B203AC03", "000B31 9000"))


def test_a_card_whose_identification_code_was_rewritten_keeps_its_keys(path: Path) -> None:
    card = adult(path)
    talk(card, (SELECT, "6118"), GET_CHALLENGE, (UKSSSE, "9000"))
    talk(card, ("00DC012C12 0110 430200D15600000500000001FFFFFFFF", "9000"))
    for again in (card, adult(path)):
        talk(again, (SELECT, "6118"), GET_CHALLENGE, (UKSSSE, "9000"))


def test_another_process_finds_what_this_one_wrote(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from simulators.personas.persona import find_persona\n"
        "card = find_persona('adult').card(Path(sys.argv[1]))\n"
        "print(card.transmit(bytes.fromhex('0020000003999999')).hex())"
    )
    told = [
        subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert [line.strip() for line in told] == ["63c2", "63c1"]
    talk(adult(path), (WRONG, "6983"))


@pytest.mark.parametrize("presented", [RIGHT, WRONG])
def test_a_pin_try_is_kept_before_the_comparison(path: Path, presented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that cuts the power when the answer begins has spent the try."""
    card = adult(path)
    monkeypatch.setattr("simulators.card.pin.hmac.compare_digest", cut)
    with pytest.raises(PowerCut):
        card.transmit(bytes.fromhex(presented))
    assert kept(path)["pin_tries"] == 2
    monkeypatch.undo()
    talk(adult(path), ("0020000000", "63C2"))


@pytest.mark.parametrize("presented", [UKSSSE, WRONG_KEY])
def test_a_key_try_is_kept_before_the_comparison(path: Path, presented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    card = adult(path)
    talk(card, (SELECT, "6118"), GET_CHALLENGE)
    monkeypatch.setattr("simulators.card.authentication.hmac.compare_digest", cut)
    with pytest.raises(PowerCut):
        card.transmit(bytes.fromhex(presented))
    assert kept(path)["key_tries"] == {"UKSSSE": 2}
    monkeypatch.undo()
    talk(adult(path), (SELECT, "6118"), GET_CHALLENGE, (WRONG_KEY, "63C1"))


class PowerCut(Exception):
    """The power is off."""


def cut(one: bytes, other: bytes) -> bool:
    raise PowerCut


def test_whoever_is_killed_while_writing_leaves_the_old_state(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = adult(path)
    talk(card, (WRONG, "63C2"))
    before = path.read_bytes()

    def killed(source: str, target: Path) -> None:
        raise PowerCut

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(PowerCut):
        card.transmit(bytes.fromhex(WRONG))
    monkeypatch.undo()
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_a_memory_that_cannot_be_written_stops_the_card_before_it_answers(tmp_path: Path) -> None:
    card = adult(tmp_path / "absent" / "adult.json")
    with pytest.raises(OSError, match="absent"):
        card.transmit(bytes.fromhex(RIGHT))


def test_nobody_else_may_read_it(path: Path) -> None:
    talk(adult(path), (WRONG, "63C2"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_memory_of_another_card_is_refused(path: Path) -> None:
    talk(adult(path), (WRONG, "63C2"))
    with pytest.raises(ConfigurationError, match="another card"):
        find_persona("child").card(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"historical_bytes": "0081544C928684370200000001", "pin": "12345G", "pin_tries": 3}',
        '{"historical_bytes": "0081544C928684370200000001", "pin": "246802", "pin_tries": -1}',
        '{"historical_bytes": "0081544C928684370200000001", "pin": "246802", "pin_tries": 3, "colour": "red"}',
        '{"historical_bytes": "0081544C928684370200000001", "pin": "246802", "pin_tries": 3,'
        ' "records": {"DF99/EF05": ["00"]}}',
    ],
)
def test_a_file_that_is_no_memory_is_refused_and_not_quoted(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        adult(path)
    assert "246802" not in str(caught.value) and path.read_text(encoding="utf-8") == text


def test_a_memory_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        adult(tmp_path)


def test_a_memory_may_be_given_to_the_card_itself(path: Path) -> None:
    historical_bytes = bytes.fromhex("0081544C928684370200000001")
    memory = CardMemory(path)
    assert memory.load(historical_bytes) is None
    memory.store(CardState(historical_bytes="0081544C928684370200000001", pin="246802", pin_tries=1))
    card = SoftwareCard(b"\x3b\x6d\x00\x00" + historical_bytes, [], memory=CardMemory(path))
    talk(card, ("0020000000", "63C1"), ("0020000003246802", "9000"), ("0020000000", "63C3"))
    assert memory.load(historical_bytes) == CardState(
        historical_bytes="0081544C928684370200000001", pin="246802", pin_tries=3
    )
