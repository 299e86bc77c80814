"""Memory never spoils a card: what was learnt from odd cards, and what the next good one says."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardio.card.runner import read_card
from cardio.filesystem.capabilities import CapabilityCache
from cardio.models.reading import CardReading
from simulators.card.base import AnyCard
from simulators.card.quirks import WrongLength
from simulators.card.software_card import SoftwareCard
from simulators.personas.persona import Persona, find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.conftest import TODAY

HOLDER_ITEMS = ("social_security_number", "name", "name_extension", "sex", "ethnic_group", "birthplace", "birth_date")


def read(card: AnyCard, store: CapabilityCache) -> CardReading:
    return read_card(SoftwareReader("r", card), capabilities=store, today=TODAY)


def variant(persona: Persona, quirks: dict[str, Any], omit: frozenset[str] = frozenset(), **holder: Any) -> Persona:
    return persona.model_copy(
        update={
            "quirks": persona.quirks.model_copy(update=quirks),
            "omit": frozenset(f"SSSE/EF06/{name}" for name in omit),
            "files": persona.files | {"SSSE/EF06": persona.files["SSSE/EF06"] | holder},
        }
    )


MODES = [frozenset({0, 1, 2, 3, 4, 5, 6}), frozenset({0, 4}), frozenset({0}), frozenset({4}), frozenset({5})]
QUIRKS = st.fixed_dictionaries(
    {
        "record_modes": st.sampled_from(MODES),
        "wrong_length": st.sampled_from(list(WrongLength)),
        "sfi": st.booleans(),
        "select_file_p1": st.sampled_from([frozenset({0, 2}), frozenset({0}), frozenset({2})]),
        "read_all_as_one": st.booleans(),
        "data_at_once": st.booleans(),
    }
)
ODD_CARDS = st.fixed_dictionaries(
    {
        "omit": st.sets(st.sampled_from(HOLDER_ITEMS), max_size=3).map(frozenset),
        "name": st.sampled_from(["测试", "hex:B2E2", "hex:" + "B2E2" * 20, "MUSTERMANN BEISPIEL ERIKA TES"]),
    }
)


@settings(max_examples=300)
@given(
    quirks=QUIRKS,
    history=st.lists(st.tuples(QUIRKS, ODD_CARDS, st.sampled_from(["adult", "long-name"])), max_size=3),
    persona=st.sampled_from(["adult", "long-name", "first-generation"]),
)
def test_a_good_card_is_read_right_whatever_came_before_it(
    tmp_path_factory: pytest.TempPathFactory, quirks: dict[str, Any], history: list[Any], persona: str
) -> None:
    """Odd cards of the same family and issuer first, then a good one: the same as without any memory."""
    if quirks["read_all_as_one"] and quirks["record_modes"] == frozenset({5}):
        quirks = quirks | {"read_all_as_one": False}
    store = CapabilityCache(tmp_path_factory.mktemp("memory") / "manners.json")
    good = variant(find_persona(persona), quirks)
    for odd_quirks, odd, base in history:
        card = variant(find_persona(base), odd_quirks, odd["omit"], name=odd["name"])
        same_issuer = card.files | {"SSSE/EF05": good.files["SSSE/EF05"]}
        card = card.model_copy(update={"historical_bytes": good.historical_bytes, "files": same_issuer})
        read(card.card(), store)
    fresh = read(good.card(), CapabilityCache(None))
    assert fresh.holder is not None and fresh.holder.name == good.files["SSSE/EF06"]["name"]
    remembered = read(good.card(), store)
    not_asked = {unread.item for unread in remembered.unread if unread.reason == "not-asked"}
    if "birthplace" in not_asked:
        # The one thing that memory may cost, and it is said: an optional item that the issuer's last card lacked.
        assert remembered.holder is not None
        holder = remembered.holder.model_copy(update={"birthplace": fresh.holder.birthplace})
        remembered = remembered.model_copy(update={"holder": holder})
    assert remembered.holder == fresh.holder and remembered.card == fresh.card


@given(quirks=QUIRKS, persona=st.sampled_from(["adult", "long-name", "first-generation", "third-generation"]))
def test_the_second_card_of_a_kind_is_refused_nothing_and_the_third_is_read_alike(
    tmp_path_factory: pytest.TempPathFactory, quirks: dict[str, Any], persona: str
) -> None:
    store = CapabilityCache(tmp_path_factory.mktemp("memory") / "manners.json")
    if quirks["read_all_as_one"] and quirks["record_modes"] == frozenset({5}):
        quirks = quirks | {"read_all_as_one": False}
    found = variant(find_persona(persona), quirks | {"open_files": find_persona(persona).quirks.open_files})
    readings = []
    for _ in range(3):
        statuses: list[int] = []
        reading = read_card(
            SoftwareReader("r", found.card()),
            capabilities=store,
            today=TODAY,
            trace=lambda exchange, kept=statuses: kept.append(exchange.response[-2]),  # type: ignore[misc]
        )
        readings.append((reading, set(statuses)))
    assert readings[1][1] <= {0x90, 0x61} and readings[2][1] <= {0x90, 0x61}
    assert readings[0][0] == readings[1][0] == readings[2][0]


class Tampered:
    """A good card whose answer to some commands is another."""

    def __init__(self, card: SoftwareCard, answers: dict[str, str]) -> None:
        self._card = card
        self._answers = {bytes.fromhex(command): bytes.fromhex(answer) for command, answer in answers.items()}
        self.atr = card.atr
        self.reset = card.reset

    def transmit(self, command: bytes) -> bytes:
        for prefix, answer in self._answers.items():
            if command.startswith(prefix):
                return answer
        return self._card.transmit(command)


BY_NUMBER = variant(find_persona("adult"), {"record_modes": frozenset({4})})


@pytest.mark.parametrize("answer", ["6581", "6F00", "6281", "087F31329000", "90", "00"])
def test_a_bad_first_record_costs_that_record_only(answer: str) -> None:
    """EF06 record 1, and EF05 record 1: by number, so `00 B2 01 34` and `00 B2 01 2C`."""
    reading = read(Tampered(BY_NUMBER.card(), {"00B20134": answer}), CapabilityCache(None))
    assert reading.holder is not None and reading.holder.name == "测试甲"
    assert reading.holder.social_security_number is None
    assert [(u.file, u.item) for u in reading.unread][:1] == [("SSSE/EF06", "social_security_number")]
    reading = read(Tampered(BY_NUMBER.card(), {"00B2012C": answer}), CapabilityCache(None))
    assert reading.holder is not None and reading.holder.name == "测试甲"
    assert reading.card.identification_code is None and reading.card.card_number == "A00000011"


def test_nonsense_in_the_common_application_costs_nothing_of_the_holder() -> None:
    tampered = {"00B20125": "0000", "00B2012D5B": "0000", "00B20135AD": "0000", "00B20155": "0000"}
    reading = read(Tampered(find_persona("adult").card(), tampered), CapabilityCache(None))
    assert reading.holder is not None and reading.holder.name == "测试甲"


def test_a_record_that_never_settles_on_a_length_is_that_record_alone() -> None:
    reading = read(Tampered(BY_NUMBER.card(), {"00B20434": "6C03"}), CapabilityCache(None))
    assert reading.holder is not None
    assert (reading.holder.sex, reading.holder.birth_date) == (None, date(1977, 8, 9))
    assert [(u.item, u.reason) for u in reading.unread if u.file == "SSSE/EF06"] == [("sex", "garbled")]


def test_mandatory_items_that_a_card_lacks_are_said_to_be_missing() -> None:
    card = variant(BY_NUMBER, {}, frozenset({"sex", "birth_date"})).card()
    reading = read(card, CapabilityCache(None))
    assert [(u.item, u.reason) for u in reading.unread if u.file == "SSSE/EF06"] == [
        ("sex", "missing"),
        ("birth_date", "missing"),
    ]


def test_a_record_that_swallows_its_neighbour_is_found_out() -> None:
    """0B claims six bytes and so contains 0C: read all at once it would hide it."""
    reading = read(
        variant(find_persona("adult"), {}, frozenset({"birthplace"}), ethnic_group="hex:010C03370200").card(),
        CapabilityCache(None),
    )
    assert [(u.item, u.reason) for u in reading.unread if u.file == "SSSE/EF06"] == [("ethnic_group", "undecodable")]


def test_what_other_cards_lacked_is_not_asked_for_and_that_is_said(store: CapabilityCache) -> None:
    by_tag = find_persona("field")
    read(by_tag.card(), store)
    reading = read(by_tag.model_copy(update={"omit": frozenset()}).card(), store)
    assert ("birthplace", "not-asked") in [(u.item, u.reason) for u in reading.unread]


def test_a_card_that_closes_its_holders_file_says_nothing_about_the_next(store: CapabilityCache) -> None:
    third = find_persona("third-generation")
    closed = third.model_copy(update={"quirks": third.quirks.model_copy(update={"open_files": frozenset()})})
    assert read(closed.card(), store).holder is None
    holder = read(third.card(), store).holder
    assert holder is not None and holder.name == "测试辛"


def test_a_common_application_that_fails_once_is_not_thought_absent(store: CapabilityCache) -> None:
    foreigner = find_persona("foreigner")
    by_name, by_label = "00A4040006", "00A404000E"
    ways = ("00A4000002DF01", by_name, by_label, "00A4010002DF01")
    failing = Tampered(foreigner.card(), dict.fromkeys(ways, "6F00"))
    first = read(failing, store)
    assert {(u.reason, u.driver_code) for u in first.unread} == {("card-error", -0x6F00)}
    second = read(foreigner.card(), store)
    assert second.holder is not None and second.holder.residence == "上海市黄浦区测试弄 8 号"


def test_an_open_common_application_of_a_closed_card_is_not_lost() -> None:
    third = find_persona("third-closed")
    files = third.files | {"DF01/EF06": {"residence": "江苏省无锡市测试路"}}
    opened = third.quirks.model_copy(update={"open_files": frozenset({"DF01/EF06"})})
    reading = read(third.model_copy(update={"quirks": opened, "files": files}).card(), CapabilityCache(None))
    assert reading.holder is not None and reading.holder.name is None
    assert reading.holder.residence == "江苏省无锡市测试路"
    assert reading.unread[0].driver_code == -2201


@pytest.mark.parametrize(
    "odd",
    [
        {"name": "hex:B2E2"},
        {"omit": frozenset({"name_extension"})},
        {"omit": frozenset({"birthplace"})},
        # 20 + 20 + 3 + 3 + 6 = 52 bytes: as many as records 08 and 09 of the good card.
        {"omit": frozenset({"name_extension", "birthplace"}), "name": "hex:" + "41" * 18},
        *({"name": "hex:" + "41" * size} for size in (35, 40, 43, 46, 47, 61)),
    ],
)
def test_an_answer_cut_where_a_record_ends_is_not_the_end_of_the_file(
    odd: dict[str, Any], store: CapabilityCache
) -> None:
    """A card that gives all records at once and cuts at the asked length, after one with other lengths."""
    quirks = {"record_modes": frozenset({5}), "wrong_length": WrongLength.CUT}
    read(variant(find_persona("adult"), quirks, **odd).card(), store)
    expected = read(find_persona("adult").card(), CapabilityCache(None))
    for _ in range(2):
        assert read(variant(find_persona("adult"), quirks).card(), store) == expected
