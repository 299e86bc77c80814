"""What a person and a card are known by: what stands of it is given, and what cannot be read is no empty field."""

from __future__ import annotations

from typing import Any

import pytest

from cardio.card.runner import on_card, read_card
from cardio.card.social_security_card import SocialSecurityCard
from cardio.driver.basic_info import BasicLayout, basic_text, colon_fields, thirteen_fields
from cardio.driver.functions import CardFunction, DriverArguments, find_function
from cardio.driver.nhsa import nhsa_1101
from cardio.driver.return_codes import code_of
from cardio.errors import CardioError, FileUnreadableError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.models.reading import CardReading
from simulators.card.base import AnyCard
from simulators.personas.persona import Persona, find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.conftest import TODAY
from tests.unit.cardio.filesystem.test_memory import Tampered

NOTHING = CapabilityCache(None)
# 阿卜杜热合曼.麦麦提吐尔逊江测试孜 in GB18030, cut at thirty bytes: the last, CA, is the first half of 试.
CUT_NAME = "B0A2B2B7B6C5C8C8BACFC2FC2EC2F3C2F3CCE1CDC2B6FBD1B7BDADB2E2CA"


def changed(persona: str, file: str, *, omit: tuple[str, ...] = (), **values: Any) -> Persona:
    found = find_persona(persona)
    omitted = found.omit | {f"{file}/{name}" for name in omit}
    return found.model_copy(update={"files": found.files | {file: found.files[file] | values}, "omit": omitted})


def read(card: Persona | AnyCard) -> CardReading:
    reader = SoftwareReader("r", card.card() if isinstance(card, Persona) else card)
    return read_card(reader, capabilities=NOTHING, today=TODAY)


def driver(card: Persona | AnyCard, function: str = "iReadCardBas", **arguments: str) -> tuple[int, str]:
    """The return code and the text, as a caller of the national interface has them."""
    found = find_function(function)
    assert isinstance(found, CardFunction)
    work, given = found.work, DriverArguments(**arguments)  # type: ignore[arg-type]
    reader = SoftwareReader("r", card.card() if isinstance(card, Persona) else card)

    def do(held: SocialSecurityCard) -> str:
        return work(held, given)

    try:
        return 0, on_card(reader, do, capabilities=NOTHING)
    except CardioError as error:
        return code_of(error), error.remedy


def notes(reading: CardReading) -> list[tuple[str, str | None]]:
    return [(warning.code, warning.item) for warning in reading.warnings]


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", ["absent", "blank"])
def test_a_name_that_breaks_off_within_a_character_is_given_as_far_as_it_stands(extension: str) -> None:
    """any-rule issues 294 and 297: names of thirty bytes and more, where a writer kept thirty."""
    omit = ("name_extension",) if extension == "absent" else ()
    persona = changed("adult", "SSSE/EF06", omit=omit, name=f"hex:{CUT_NAME}", name_extension=None)
    reading = read(persona)
    assert reading.holder is not None and reading.holder.name == "阿卜杜热合曼.麦麦提吐尔逊江测"
    assert notes(reading) == [("cut-text", "name")]
    assert driver(persona)[0] == 0 and "|阿卜杜热合曼.麦麦提吐尔逊江测|" in driver(persona)[1]


@pytest.mark.parametrize(
    ("file", "item", "raw"),
    [
        ("SSSE/EF06", "name", "0102" * 15),
        ("SSSE/EF06", "name", "07" + "00" * 29),
        ("SSSE/EF06", "social_security_number", "01" * 18),
        ("SSSE/EF05", "card_number", "01" * 9),
    ],
)
def test_nothing_but_control_characters_is_no_empty_field(file: str, item: str, raw: str) -> None:
    values: dict[str, Any] = {item: f"hex:{raw}"}
    persona = changed("adult", file, **values)
    reading = read(persona)
    assert [(one.item, one.reason) for one in reading.unread if one.item == item] == [(item, "undecodable")]
    assert driver(persona)[0] == -15


def test_an_extension_that_breaks_off_is_no_different() -> None:
    persona = changed(
        "adult", "SSSE/EF06", name="hex:" + "B2E2" * 15, name_extension="hex:" + "CAD4" * 9 + "BCD7BC"[:4]
    )
    assert notes(read(persona)) == [("full-text", "name")]
    persona = changed(
        "adult", "SSSE/EF06", name="hex:41" + "B2E2" * 14 + "CA", name_extension="hex:D4" + "B2E2" * 9 + "CA"
    )
    reading = read(persona)
    assert reading.holder is not None and reading.holder.name == "A" + "测" * 14 + "试" + "测" * 9
    assert notes(reading) == [("cut-text", "name")]


@pytest.mark.parametrize(
    ("raw", "name", "note"),
    [
        ("B2E2" * 15, "测" * 15, "full-text"),
        # Fourteen characters and a dot: half a character would go in, and no whole one.
        ("2E" + "B2E2" * 14 + "00", "." + "测" * 14, "full-text"),
        (b"MUSTERMANN BEISPIEL ERIKA TEST".hex(), "MUSTERMANN BEISPIEL ERIKA TEST", "full-text"),
        ("B2E2CAD4BCD7" + "30" * 24, "测试甲", "fill-characters"),
        ("B2E2CAD4BCD7" + "3F" * 24, "测试甲", "fill-characters"),
        ("B2E23FBCD7" + "00" * 25, "测?甲", "substitute-characters"),
        ("B2E2A1F5BCD7" + "00" * 24, "测□甲", "substitute-characters"),
        ("B2E2AAA1BCD7" + "00" * 24, "测\ue000甲", "private-use"),
        ("30" * 30, None, "fill-characters"),
    ],
)
def test_what_a_person_would_want_to_know_of_a_name(raw: str, name: str | None, note: str) -> None:
    reading = read(changed("adult", "SSSE/EF06", omit=("name_extension",), name=f"hex:{raw}"))
    assert reading.holder is not None and reading.holder.name == name
    assert notes(reading) == [(note, "name")]


def test_an_ordinary_name_and_one_that_goes_on_need_no_word() -> None:
    assert notes(read(find_persona("adult"))) == []
    assert notes(read(find_persona("long-name"))) == []


# -- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "number"),
    [
        # Its check digit would be 1 (352 modulo 11 is 0): a small x is put right all the same.
        ("11990019770809005x", "11990019770809005X"),
        ("11990019770809005X", "11990019770809005X"),
        ("11990019770809006x", "11990019770809006X"),
    ],
)
def test_a_small_x_is_the_standards_capital(written: str, number: str) -> None:
    persona = changed("adult", "SSSE/EF06", social_security_number=written)
    reading = read(persona)
    assert reading.holder is not None and reading.holder.social_security_number == number
    assert (("normalised", "social_security_number") in notes(reading)) is (written != number)
    assert nhsa_1101(reading).certno == number
    assert driver(persona)[1].split("|")[1] == number
    # The file shows what the card has.
    with SocialSecurityCard(
        (reader := SoftwareReader("r", persona.card())).connect(), reader, capabilities=NOTHING
    ) as card:
        item = card.file("SSSE/EF06").records[0].items[0]
    assert (item.raw, item.value) == (written.encode().hex().upper(), written)


def test_the_card_number_too_and_what_was_read_is_still_the_guard_of_the_card() -> None:
    """Spec example D2143569X; written small on the card."""
    persona = changed("adult", "SSSE/EF05", card_number="d2143569x")
    reading = read(persona)
    assert reading.card.card_number == "D2143569X" and notes(reading) == [("normalised", "card_number")]
    info = f"{reading.card.identification_code}|{reading.card.card_number}|"
    assert driver(persona, "iReadCard", pCardInfo=info, pFileAddr="SSSEEF06|08|$")[0] == 0
    other = f"{reading.card.identification_code}|D21435691|"
    assert driver(persona, "iReadCard", pCardInfo=other, pFileAddr="SSSEEF06|08|$")[0] == -22


def test_a_number_in_full_width_digits_is_a_number() -> None:
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in "119900197708090027")
    reading = read(changed("adult", "SSSE/EF06", social_security_number="hex:" + wide.encode("gb18030").hex()))
    assert reading.holder is not None and reading.holder.social_security_number == "119900197708090027"
    assert ("normalised", "social_security_number") in notes(reading)


def test_an_assigned_number_stays_as_it_is() -> None:
    reading = read(changed("adult", "SSSE/EF06", social_security_number="hex:" + b"deu123456789012345".hex()))
    assert reading.holder is not None and reading.holder.social_security_number == "deu123456789012345"


# -- what cannot be read ----------------------------------------------------------------------------------------------

ILLEGAL = "hex:80" + "41" * 29
BY_NUMBER = find_persona("adult").model_copy(
    update={"quirks": find_persona("adult").quirks.model_copy(update={"record_modes": frozenset({4})})}
)
UNREADABLE: dict[str, tuple[Persona | AnyCard, int]] = {
    "a name that is no text": (changed("adult", "SSSE/EF06", name=ILLEGAL), -15),
    "a number that is no text": (changed("adult", "SSSE/EF06", social_security_number="hex:80" + "31" * 17), -15),
    "a card number that is no text": (changed("adult", "SSSE/EF05", card_number="hex:80" + "31" * 8), -15),
    "no record of the name": (changed("adult", "SSSE/EF06", omit=("name",)), -15),
    "no record of the number": (changed("adult", "SSSE/EF06", omit=("social_security_number",)), -15),
    "a record that the card cannot read": (Tampered(BY_NUMBER.card(), {"00B20234": "6581"}), -0x6581),
    "a record that is none": (Tampered(BY_NUMBER.card(), {"00B20234": "087F31329000"}), -15),
    "an identification code that cannot be read": (Tampered(BY_NUMBER.card(), {"00B2012C": "6F00"}), -0x6F00),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_could_not_be_read_is_no_empty_field(case: str) -> None:
    card, code = UNREADABLE[case]
    for layout in ("11", "13", "colon"):
        returned, remedy = driver(card, layout=layout)
        assert returned == code and "重读" in remedy, layout
    with pytest.raises(FileUnreadableError) as caught:
        nhsa_1101(read(card))
    assert "为空" not in caught.value.detail


def test_one_field_alone_is_no_empty_answer_either() -> None:
    info = "370200D15600000500000001FFFFFFFF|"
    persona = changed("adult", "SSSE/EF06", name=ILLEGAL)
    assert driver(persona, "iReadCard", pCardInfo=info, pFileAddr="SSSEEF06|08|09|$")[0] == -15
    assert driver(persona, "iReadCard", pCardInfo=info, pFileAddr="SSSEEF06|08|$")[0] == 0


@pytest.mark.parametrize("layout", ["11", "13", "colon"])
def test_a_blank_card_gives_empty_fields(layout: BasicLayout) -> None:
    """A card that was not yet personalised: its holder's file is empty, its card number blank."""
    everything = ("social_security_number", "name", "name_extension", "sex", "ethnic_group", "birthplace", "birth_date")
    blank = changed("third-generation", "SSSE/EF06", omit=everything)
    blank = blank.model_copy(
        update={"files": blank.files | {"SSSE/EF05": blank.files["SSSE/EF05"] | {"card_number": "hex:" + "00" * 9}}}
    )
    reader = SoftwareReader("r", blank.card())
    text = on_card(reader, lambda card: basic_text(card, layout), capabilities=NOTHING)
    separator = ":" if layout == "colon" else "|"
    assert text.split(separator).count("") >= 3


def test_a_date_that_cannot_be_decoded_hinders_nobody() -> None:
    """The field's persona was born on 30 February."""
    assert driver(find_persona("field"))[0] == 0
    reading = read(find_persona("field"))
    assert thirteen_fields(reading) and colon_fields(reading)
