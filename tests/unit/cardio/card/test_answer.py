"""From cards to answers: every persona, and what is said beside the values."""

from __future__ import annotations

from datetime import date

import pytest

from cardio.card.runner import read_card
from cardio.filesystem.capabilities import CapabilityCache
from cardio.models.base import CodedValue
from cardio.models.reading import CardReading
from simulators.personas.persona import Persona, find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.conftest import TODAY

NOTHING = CapabilityCache(None)


def read(persona: Persona | str, **changes: object) -> CardReading:
    found = find_persona(persona) if isinstance(persona, str) else persona
    return read_card(SoftwareReader("r", found.card()), capabilities=NOTHING, today=TODAY)


def changed(persona: str, file: str, **values: object) -> Persona:
    found = find_persona(persona)
    return found.model_copy(update={"files": found.files | {file: found.files[file] | values}})


def test_the_answer_of_a_common_card_whole() -> None:
    reading = read("adult").model_dump(mode="json")
    closed = [u.pop("file") for u in reading["unread"]]
    assert closed == ["DF01/EF05", "DF01/EF06", "DF01/EF0A"]
    assert {(u["reason"], u["driver_code"]) for u in reading["unread"]} == {("needs-pin-or-key", -27010)}
    assert reading["card"] == {
        "generation": 2,
        "algorithm": "3DES",
        "atr": "3B6D00000081544C928684370200000001",
        "historical_bytes": "0081544C928684370200000001",
        "region": {"code": "370200", "name": "山东省青岛市"},
        "identification_code": "370200D15600000500000001FFFFFFFF",
        "card_class": {"code": "3", "label": "成年人卡", "label_en": "adult's card"},
        "spec_version": "2.00",
        "issuer_number": "915600000237020037020001",
        "issue_date": "2016-05-20",
        "expiry_date": "2036-05-20",
        "card_number": "A00000011",
    }
    assert reading["holder"] == {
        "social_security_number": "119900197708090027",
        "name": "测试甲",
        "sex": {"code": "2", "label": "女", "label_en": "female"},
        "ethnic_group": {"code": "01", "label": "汉族", "label_en": "Han"},
        "birthplace": {"code": "370200", "label": "山东省青岛市", "label_en": None},
        "birth_date": "1977-08-09",
        "nationality": None,
        "residence": None,
        "household_registration": None,
    }
    assert reading["derived"] == {"age": 49, "citizen": True, "days_to_expiry": 3467}
    assert (reading["reader"], reading["simulated"], reading["warnings"]) == ("r", True, [])


@pytest.mark.parametrize(
    ("persona", "name"),
    [
        ("first-generation", "测试丙"),
        ("long-name", "测试热合曼·测试艾力·测试逊㐂江·测试"),
        ("rare-name", "测\U0002cb3e㐂龴"),
        ("foreigner", "MUSTERMANN-BEISPIEL ERIKA TESTPERSON"),
        ("child", "测小小"),
        ("field", "测试庚"),
        ("third-generation", "测试辛"),
    ],
)
def test_names_come_out_whole(persona: str, name: str) -> None:
    holder = read(persona).holder
    assert holder is not None and holder.name == name


def test_a_foreigner_with_an_open_common_application() -> None:
    reading = read("foreigner")
    assert reading.holder is not None
    assert reading.holder.nationality == CodedValue(code="DEU", label="德国", label_en="Germany")
    assert reading.holder.residence == "上海市黄浦区测试弄 8 号"
    assert reading.holder.ethnic_group is None and reading.holder.birthplace is None
    assert reading.derived.citizen is False
    assert reading.unread == ()
    assert [w.code for w in reading.warnings] == ["check-digit"]


def test_a_closed_third_generation_card_gives_the_card_and_no_holder() -> None:
    reading = read("third-closed")
    assert reading.holder is None and reading.card.card_number == "G00000074"
    first = reading.unread[0]
    assert (first.file, first.reason, first.driver_code) == ("SSSE/EF06", "needs-key", -2201)
    assert "PSAM" in first.remedy


def test_what_the_field_gets_wrong_is_said_item_by_item() -> None:
    reading = read("field")
    assert reading.card.issue_date == date(2012, 5, 4)
    assert reading.card.expiry_date is None
    assert reading.card.card_number == "G00000074"
    assert reading.card.spec_version == "2.0"
    assert [(w.code, w.item) for w in reading.warnings] == [("partial-date", "expiry_date")]
    undecodable = reading.unread[0]
    assert (undecodable.file, undecodable.item, undecodable.reason) == ("SSSE/EF06", "birth_date", "undecodable")
    assert "19700230" in undecodable.detail


def test_values_that_are_no_text_spoil_nothing_else() -> None:
    reading = read(changed("adult", "SSSE/EF06", name="hex:80" + "41" * 29, ethnic_group="hex:AB"))
    assert reading.holder is not None
    assert reading.holder.name is None and reading.holder.ethnic_group is None
    assert reading.holder.social_security_number == "119900197708090027"
    assert [u.item for u in reading.unread if u.file == "SSSE/EF06"] == ["name", "ethnic_group"]


def test_a_wrong_check_digit_is_a_warning_and_no_refusal() -> None:
    reading = read(changed("adult", "SSSE/EF06", social_security_number="119900197708090028"))
    assert reading.holder is not None and reading.holder.social_security_number == "119900197708090028"
    assert [(w.code, w.item) for w in reading.warnings] == [("check-digit", "social_security_number")]
    reading = read(changed("adult", "SSSE/EF05", card_number="A00000012"))
    assert [(w.code, w.item) for w in reading.warnings] == [("check-digit", "card_number")]


def test_an_unknown_code_shows_as_itself_with_a_warning() -> None:
    reading = read(changed("adult", "SSSE/EF06", ethnic_group="88"))
    assert reading.holder is not None
    assert reading.holder.ethnic_group == CodedValue(code="88", label=None, label_en=None)
    assert [(w.code, w.item) for w in reading.warnings] == [("unknown-code", "ethnic_group")]


def test_an_expired_card_is_said_to_be_so() -> None:
    reading = read(changed("adult", "SSSE/EF05", expiry_date=date(2026, 5, 20)))
    assert reading.derived.days_to_expiry == -186
    assert [w.code for w in reading.warnings] == ["expired"]


@pytest.mark.parametrize(
    ("born", "age"),
    [(date(1977, 11, 22), 49), (date(1977, 11, 23), 48), (date(2026, 11, 22), 0), (date(2027, 1, 1), None)],
)
def test_age_is_counted_in_birthdays(born: date, age: int | None) -> None:
    assert read(changed("adult", "SSSE/EF06", birth_date=born)).derived.age == age


def test_control_characters_are_left_out_and_said() -> None:
    reading = read(changed("adult", "SSSE/EF06", name="测\u202e试"))
    assert reading.holder is not None and reading.holder.name == "测试"
    assert [(w.code, w.item) for w in reading.warnings] == [("control-characters", "name")]


def test_a_blank_card_gives_empty_values_and_says_so() -> None:
    every = ["social_security_number", "name", "name_extension", "sex", "ethnic_group", "birthplace", "birth_date"]
    blank = find_persona("adult").model_copy(update={"omit": frozenset(f"SSSE/EF06/{name}" for name in every)})
    reading = read(blank)
    assert reading.holder is not None and reading.holder.name is None
    assert ("SSSE/EF06", "empty") in [(u.file, u.reason) for u in reading.unread]


def test_items_of_a_rewritten_first_generation_card_have_their_new_meaning() -> None:
    """V2.0 appendix C: a value that ends in EE; the date follows its neighbour."""
    persona = find_persona("first-generation")
    rewritten = persona.model_copy(
        update={
            "quirks": persona.quirks.model_copy(update={"open_files": frozenset({"DF01/EF0A"})}),
            "files": persona.files
            | {
                "DF01/EF0A": {
                    "contribution_base": "hex:444555EE",
                    "last_year_wages": "hex:3133EEEE",
                    "wages_date": "hex:19990101",
                }
            },
        }
    )
    reading = read(rewritten)
    assert reading.holder is not None
    assert reading.holder.nationality == CodedValue(code="DEU", label="德国", label_en="Germany")
