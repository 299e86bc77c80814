"""The bank's application of software cards: bytes by hand, after EMV book 3."""

from __future__ import annotations

import pytest

from simulators.personas.persona import find_persona
from tests.unit.simulators.test_card import talk

SELECT = "00A4040008A000000333010101"
OF_SSSE = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"
HOLDER = "5F200B544553542F4E4F424F4459"
FCI_WITH_PDOL = "6F238408A000000333010101A517500A50424F432044454249549F38089F660495059F3704"


def test_behind_processing_options() -> None:
    record = f"70185A086200000000000003{HOLDER}9000"
    talk(
        find_persona("third-closed").card(),
        (SELECT, "6125"),
        ("00C0000025", FCI_WITH_PDOL + "9000"),
        ("00C0000025", "6D00"),
        ("00B2020C00", "6985"),
        ("80A80000028300", "6700"),
        ("80A800000F830D" + "00" * 13, "610C"),
        ("00C0000010", "6C0C"),
        ("80A800000F830D" + "00" * 13, "610C"),
        ("00C000000C", "770A82027C009404080102009000"),
        ("00B2020C1A", record),
        ("00B2020C00", record),
        ("00B2020C05", "6C1A"),
        ("00B2030C00", "6A83"),
        ("0084000008", "6D00"),
        (SELECT, "6125"),
        ("00B2020C00", "6985"),
    )


def test_on_the_track_and_back_in_the_other_environment() -> None:
    card = find_persona("adult").card()
    assert card.transmit(bytes.fromhex(SELECT)) == bytes.fromhex("611A")
    answer = card.transmit(bytes.fromhex("00B2011400")).hex().upper()
    assert answer.startswith("70") and "6200000000000000005D3012201" in answer and answer.endswith(HOLDER + "9000")
    assert answer[4:6] == "57"
    assert card.transmit(bytes.fromhex(OF_SSSE)).hex().startswith("61")
    assert card.transmit(bytes.fromhex("00B2011400")).hex() != answer.lower(), "another application is current"


@pytest.mark.parametrize("name", ["A0000003", "A0000000031010", "A000000333010102", "A00000033301010101"])
def test_other_names(name: str) -> None:
    talk(find_persona("adult").card(), (f"00A40400{len(name) // 2:02X}{name}", "6A82"))


def test_by_the_first_part_of_its_name() -> None:
    talk(find_persona("adult").card(), ("00A4040005A000000333", "611A"))
