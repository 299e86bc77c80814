import json
from datetime import timedelta
from pathlib import Path

import pytest

from cardio.card.runner import read_card
from cardio.filesystem.capabilities import (
    AccessMethod,
    Addressing,
    CapabilityCache,
    FamilyCapabilities,
    Reference,
    family_of,
)
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.conftest import TODAY

METHOD = AccessMethod(reference=Reference.SFI, addressing=Addressing.ALL)


def test_a_family_is_the_atr_without_its_serial_number() -> None:
    first = family_of(bytes.fromhex("3B6D0000 0081544C928684 370200000001"))
    second = family_of(bytes.fromhex("3B6D0000 0081544C928684 999999999999"))
    assert first == second == "3B6D00000081544C928684"
    assert family_of(bytes.fromhex("3B6D0000 0081544C928650 370200000001")) != first
    assert family_of(bytes.fromhex("3B00")) == "3B00"
    assert family_of(b"") == ""


def test_software_cards_have_a_file_of_their_own(tmp_path: Path) -> None:
    kept = tmp_path / "cache" / "cardio" / "simulated-manners.json"
    read_card(SoftwareReader("Simulated Reader 00", find_persona("adult").card()), today=TODAY)
    assert "3B6D00000081544C928684" in json.loads(kept.read_text())["families"]
    assert not kept.with_name("manners.json").exists()


def test_what_was_learnt_is_there_for_the_next_process(store: CapabilityCache) -> None:
    capabilities = store.load("F", TODAY)
    capabilities.files["SSSE/EF05"] = METHOD
    capabilities.algorithms[2] = "3DES"
    store.save("F", capabilities)
    assert store.load("F", TODAY).files == {"SSSE/EF05": METHOD}
    assert store.load("F", TODAY).algorithms == {2: "3DES"}
    assert store.load("G", TODAY) == FamilyCapabilities(learnt_on=TODAY, issuers_on=TODAY)


def test_what_an_issuers_cards_hold_is_believed_for_a_day(store: CapabilityCache) -> None:
    capabilities = store.load("F", TODAY)
    capabilities.files["SSSE/EF05"] = METHOD
    capabilities.algorithms[2] = "SSF33"
    capabilities.issuer("9156", "2.0").closed.add("DF01/EF05")
    store.save("F", capabilities)
    assert store.load("F", TODAY).issuer("9156", "2.0").closed == {"DF01/EF05"}
    tomorrow = store.load("F", TODAY + timedelta(days=1))
    assert (tomorrow.issuers, tomorrow.algorithms) == ({}, {})
    assert tomorrow.files == {"SSSE/EF05": METHOD}
    assert store.load("F", TODAY + timedelta(days=31)).files == {}
    assert store.load("F", TODAY - timedelta(days=1)).files == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"families": 3}',
        b"\xff\xfe",
        b'{"families": {"F": {"files": {"x": 1}}}}',
        b'{"version": 2, "families": {}}',
        b'{"families": {"F": {"learnt_on": "2026-11-22", "issuer_shapes": {"SSSE/EF05": [[1, -500]]}}}}',
        b'{"families": {"F": {"learnt_on": "2026-11-22", "issuer_shapes": {"SSSE/EF05": [[99999, 4]]}}}}',
        b'{"families": {"F": {"learnt_on": "2026-11-22", "applications": {"DF01": 999}}}}',
        b'{"families": {"F": {"learnt_on": "2026-11-22", "algorithms": {"2": "<script>"}}}}',
    ],
)
def test_a_damaged_file_is_as_good_as_none(store: CapabilityCache, content: bytes) -> None:
    assert store.path is not None
    store.path.write_bytes(content)
    assert store.load("F", TODAY).files == {}
    store.save("F", FamilyCapabilities(learnt_on=TODAY, files={"SSSE/EF05": METHOD}))
    assert store.load("F", TODAY).files == {"SSSE/EF05": METHOD}


def test_a_place_that_cannot_be_written_costs_nothing_but_the_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = CapabilityCache(tmp_path / "file" / "manners.json")
    store.save("F", FamilyCapabilities(files={"SSSE/EF05": METHOD}))
    assert store.load("F", TODAY).files == {}


def test_the_file_names_nobody(store: CapabilityCache) -> None:
    reading = read_card(SoftwareReader("r", find_persona("field").card()), capabilities=store)
    assert store.path is not None
    kept = store.path.read_text(encoding="utf-8")
    holder, card = reading.holder, reading.card
    assert holder is not None
    for personal in (
        holder.name,
        holder.social_security_number,
        card.card_number,
        card.identification_code,
        "00000007",
    ):
        assert personal and personal not in kept


def test_what_says_the_same_is_not_written_again(store: CapabilityCache) -> None:
    """Each write costs a quarter of a reading; the order in which a set was filled is nothing new."""
    assert store.path is not None
    paths = [f"DF{number:02X}/EF05" for number in range(40)]
    capabilities = store.load("F", TODAY)
    capabilities.issuer("9156", "2.0").closed.update(paths)
    store.save("F", capabilities)
    written = store.path.stat().st_ino
    again = store.load("F", TODAY)
    again.issuer("9156", "2.0").closed = set()
    for path in reversed(paths):
        again.issuer("9156", "2.0").closed.add(path)
    store.save("F", again)
    assert store.path.stat().st_ino == written


def test_families_are_bounded(store: CapabilityCache) -> None:
    store.save("F", FamilyCapabilities(learnt_on=TODAY, files={"SSSE/EF05": METHOD}))
    assert store.path is not None
    whole = json.loads(store.path.read_text())
    whole["families"] = {f"X{number}": whole["families"]["F"] for number in range(600)}
    store.path.write_text(json.dumps(whole))
    store.save("NEW", FamilyCapabilities(learnt_on=TODAY, files={"SSSE/EF05": METHOD}))
    assert len(json.loads(store.path.read_text())["families"]) == 500
    assert store.load("NEW", TODAY).files
