"""The software card by APDUs, expected answers written by hand from card.md §1.3, §1.4, §3.1 to §3.3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.errors import ConfigurationError, UsageError
from simulators.card.faults import FAULTS, with_fault
from simulators.card.software_card import SoftwareCard
from simulators.personas.persona import find_persona, load_persona, personas

SELECT = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"


def card_of(persona: str, **quirks: object) -> SoftwareCard:
    found = find_persona(persona)
    return found.model_copy(update={"quirks": found.quirks.model_copy(update=quirks)}).card()


def talk(card: SoftwareCard, *exchanges: tuple[str, str]) -> None:
    for command, expected in exchanges:
        assert card.transmit(bytes.fromhex(command)).hex().upper() == expected.replace(" ", ""), command


def test_select_tells_the_length_of_the_fci_and_get_response_gives_it() -> None:
    talk(
        card_of("adult"),
        (SELECT, "6118"),
        ("00C0000018", "6F16840F7378312E73682EC9E7BBE1B1A3D5CFA50388011E 9000"),
        ("00C0000018", "6985"),
        (SELECT, "6118"),
        ("00C0000000", "6C18"),
        ("00C0000005", "6F16840F73 6113"),
        ("00C0000013", "78312E73682EC9E7BBE1B1A3D5CFA50388011E 9000"),
    )


def test_the_fci_names_the_algorithm_of_a_third_generation_card() -> None:
    talk(
        card_of("third-generation"),
        (SELECT, "611E"),
        ("00C000001E", "6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA50988011E9F0C03860103 9000"),
    )


def test_data_at_once() -> None:
    talk(card_of("rare-name"), (SELECT, "6F16840F7378312E73682EC9E7BBE1B1A3D5CFA50388011E 9000"))


def test_the_root_and_what_is_not_there() -> None:
    talk(
        card_of("adult"),
        ("00A40000023F00", "6112"),
        ("00C0000012", "6F10840E315041592E5359532E4444463031 9000"),
        ("00A4000002EF05", "6A82"),
        ("00A4040008A000000333010109", "6A82"),
        ("00A4000002DDF1", "6118"),
        ("00A4000002EF05", "9000"),
        ("00A4000002EF77", "6A82"),
        ("00A4050002EF05", "6A86"),
        ("00A4000102EF05", "6A86"),
        ("00A4000003EF0500", "6700"),
        ("00A4000002EF", "6700"),
    )


def test_records_by_number_by_tag_by_sfi_and_all_at_once() -> None:
    version = "0304322E3030"
    talk(
        card_of("adult"),
        ("00B2010412", "6986"),
        ("00B2012C12", "6985"),
        (SELECT, "6118"),
        ("00B2010412", "6986"),
        ("00B2032C06", version + "9000"),
        ("00B2030406", version + "9000"),
        ("00B2032806", version + "9000"),
        ("00A4020002EF06", "9000"),
        ("00B20A0003", "0A0132 9000"),
        ("00B2040403", "0A0132 9000"),
        ("00B2043403", "0A0132 9000"),
        ("00B2080014", "0812313139393030313937373038303930303237 9000"),
        ("00B2080403", "6A83"),
        ("00B2770003", "6A83"),
        ("00B2060536" + "", "6C0B"),
        ("00B206050B", "0C03370200 0D0419770809 9000"),
        ("00B206060B", "0D0419770809 0C03370200 9000"),
        ("00B2020D40", "6A82"),
        ("00B2010700", "6A86"),
        ("00B2010300", "6A83"),
    )


def test_next_and_previous_go_from_the_record_last_read() -> None:
    talk(
        card_of("adult"),
        (SELECT, "6118"),
        ("00B2022C03", "020133 9000"),
        ("00B2030206", "0304322E3030 9000"),
        ("00B2030206", "6A83"),
        ("00B2020303", "020133 9000"),
        ("00B2020103", "020133 9000"),
    )


def test_a_name_is_cut_where_its_field_is_full_and_goes_on_in_4e() -> None:
    head = "B2E2CAD4C8C8BACFC2FCA1A4B2E2CAD4B0ACC1A6A1A4B2E2CAD4D1B7" + "8139"
    tail = "EF31BDADA1A4B2E2CAD4" + "00" * 10
    talk(
        card_of("long-name"),
        (SELECT, "6118"),
        ("00B2023420", "091E" + head + "9000"),
        ("00B2033416", "4E14" + tail + "9000"),
    )


def test_field_quirks_of_the_records_themselves() -> None:
    talk(
        card_of("field"),
        (SELECT, "6118"),
        ("00A4000002EF05", "9000"),
        ("00B203000600"[:10], "0304322E3000FF"[:12] + "9000"),
        ("00B205000A", "05083230313230353034 9000"),
        ("00B2060006", "060432303332 9000"),
        ("00B207001B", "0719473030303030303734" + "FF" * 16 + "9000"),
        ("00A4020002EF06", "9000"),
        ("00B24E0016", "6A83"),
        ("00B20C0005", "6A83"),
        ("00B2090020", "091EB2E2CAD4B8FD" + "FF" * 24 + "9000"),
        ("00B2010412", "6A86"),
        ("00B2013014", "6A86"),
    )


@pytest.mark.parametrize(
    ("answer", "short", "right", "zero"),
    [
        ("6C", "6C03", "020133 9000", "6C03"),
        ("6700", "6700", "020133 9000", "020133 9000"),
        ("ignore", "020133 9000", "020133 9000", "020133 9000"),
        ("cut", "0201 9000", "020133 9000", "020133 9000"),
    ],
)
def test_a_wrong_length_is_answered_in_four_ways(answer: str, short: str, right: str, zero: str) -> None:
    from simulators.card.quirks import WrongLength

    talk(
        card_of("adult", wrong_length=WrongLength(answer)),
        (SELECT, "6118"),
        ("00B2022C02", short),
        ("00B2022C03", right),
        ("00B2022C00", zero),
        ("00B2022C09", {"6C": "6C03", "6700": "6700"}.get(answer, "020133 9000")),
    )


def test_a_card_takes_the_p1_that_it_takes() -> None:
    talk(
        card_of("first-generation"),
        (SELECT, "6118"),
        ("00A4020002EF05", "6A86"),
        ("00A4000002EF05", "9000"),
        ("00B2012C12", "6A86"),
    )


def test_df01_opens_with_the_pin_and_closes_when_another_df_is_selected() -> None:
    card = card_of("adult")
    talk(
        card,
        (SELECT, "6118"),
        ("00A4000002DF01", "610A"),
        ("00C000000A", "6F088406D15600000500 9000"),
        ("00B201550F", "6982"),
        ("0020000003123456", "9000"),
        ("00B2025404", "38023133 9000"),
        ("00A4000002DDF1", "6118"),
        ("00A4040006D15600000500", "610A"),
        ("00B2025404", "6982"),
        ("0020000003123456", "9000"),
        ("00B2025404", "38023133 9000"),
    )
    card.reset()
    talk(card, (SELECT, "6118"), ("00A4010002DF01", "610A"), ("00B2025404", "6982"))


def test_pin_tries_are_counted_and_the_counter_is_asked_without_spending_one() -> None:
    card = card_of("adult")
    talk(
        card,
        (SELECT, "6118"),
        ("0020000003999999", "63C2"),
        ("00200000", "63C2"),
        ("0020000000", "63C2"),
        ("0020000001AA", "6700"),
        ("0020000003123456", "9000"),
        ("0020000003999999", "63C2"),
        ("0020000003999999", "63C1"),
        ("0020000003999999", "6983"),
        ("0020000003123456", "6983"),
        ("0020000103123456", "6A86"),
    )
    card.reset()
    talk(card, ("0020000003123456", "6983"))


def test_challenges_are_random_and_of_the_lengths_in_use() -> None:
    card = card_of("adult")
    first, second = (card.transmit(bytes.fromhex("0084000008")) for _ in range(2))
    assert first != second and len(first) == 10 and first[-2:] == b"\x90\x00"
    assert card.challenge == second[:-2]
    talk(card, ("0084000007", "6700"), ("0084010008", "6A86"))


def test_commands_that_there_are_not() -> None:
    talk(card_of("adult"), ("", "6700"), ("00B201", "6700"), ("80B2010412", "6E00"), ("00FE000000", "6D00"))


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_get_an_answer_of_a_card(commands: list[bytes]) -> None:
    card = card_of("adult")
    card.transmit(bytes.fromhex(SELECT))
    for command in commands:
        answer = card.transmit(command)
        assert len(answer) >= 2 and answer[-2] >> 4 in (6, 9)


@given(
    p1=st.integers(0, 255),
    p2=st.integers(0, 255),
    le=st.integers(0, 255),
    ins=st.sampled_from([0xB0, 0xB2, 0xC0, 0xA4]),
)
def test_any_parameters_get_an_answer_of_a_card(p1: int, p2: int, le: int, ins: int) -> None:
    card = card_of("adult")
    card.transmit(bytes.fromhex(SELECT))
    assert card.transmit(bytes((0, ins, p1, p2, le)))[-2] in (0x90, 0x61, 0x67, 0x69, 0x6A, 0x6B, 0x6C)


def test_personas_are_of_all_generations_and_no_real_people() -> None:
    assert {persona.generation for persona in personas().values()} == {1, 2, 3}
    for persona in personas().values():
        holder = persona.files["SSSE/EF06"]
        assert "测" in str(holder["name"]) or "BEISPIEL" in str(holder["name"]) or "TEST" in str(holder["name"])
        number = str(holder["social_security_number"])
        # County code 9900 exists in no province, so no person has this number.
        assert number[2:6] == "9900" or "TEST" in number or number.startswith("9999")
        assert len({p.atr for p in personas().values()}) == len(personas())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('sex = "2"', 'sex = "22"'),
        ('sex = "2"', 'gender = "2"'),
        ('[files."DF01/EF0A"]', '[files."DF09/EF0A"]'),
        ("generation = 2", "generation = 7"),
        ('title = "', 'titel = "'),
        ("[files", "[[files"),
    ],
)
def test_a_persona_that_cannot_be_is_refused(tmp_path: object, old: str, new: str) -> None:
    from pathlib import Path

    shipped = Path(__file__).parents[3] / "simulators" / "personas" / "adult.toml"
    path = Path(str(tmp_path)) / "mine.toml"
    path.write_text(shipped.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="mine"):
        load_persona(path).card()


def test_faults_by_name() -> None:
    for fault in FAULTS:
        assert with_fault(card_of("adult"), fault) is not None
    with pytest.raises(UsageError):
        with_fault(card_of("adult"), "broken")
    with pytest.raises(UsageError):
        find_persona("nobody")


def test_a_transparent_file_is_read_in_blocks() -> None:
    from cardio.filesystem.layouts.access import AccessCondition
    from simulators.card.files import CardApplication, CardFile

    photo = CardFile(
        "SSSE/EF08", 0xEF08, 8, "transparent", AccessCondition.parse("free"), content=bytearray(range(250))
    )
    photo.content += bytearray(50)
    name = bytes.fromhex("7378312E73682EC9E7BBE1B1A3D5CF")
    application = CardApplication("SSSE", 0xDDF1, name, None, None, {0xEF08: photo}, {8: photo})
    talk(
        SoftwareCard(b"\x3b\x00", [application]),
        (SELECT, "6113"),
        ("00B0000004", "6986"),
        ("00B0880004", "00010203 9000"),
        ("00B000F804", "F8F90000 9000"),
        ("00B0012800", "00000000 9000"),
        ("00B0012808", "6C04"),
        ("00B0012C01", "6B00"),
        ("00B201040A", "6981"),
    )
