"""Layouts: the shipped ones say what the specification says, and what cannot be right is refused."""

from pathlib import Path

import pytest

from cardio.errors import LayoutError
from cardio.filesystem.codes.tables import code_table, table_names
from cardio.filesystem.layouts.access import AccessCondition
from cardio.filesystem.layouts.loader import layout_of, load_layout
from cardio.filesystem.layouts.model import Kind, Structure
from cardio.filesystem.layouts.registry import NATIONAL

WHOLE_CARD = Path(__file__).parent / "whole_card.toml"


def test_the_records_of_the_basic_files_are_those_of_table_9() -> None:
    issuer = layout_of(2).file("SSSE/EF05")
    holder = layout_of(2).file("SSSE/EF06")
    assert issuer is not None and holder is not None
    assert issuer.record_shape == ((1, 16), (2, 1), (3, 4), (4, 12), (5, 4), (6, 4), (7, 9))
    assert holder.record_shape == ((8, 18), (9, 30), (0x4E, 20), (0x0A, 1), (0x0B, 1), (0x0C, 3), (0x0D, 4))
    assert sum(2 + n for _, n in issuer.record_shape) == 64
    assert sum(2 + n for _, n in holder.record_shape) == 91


def test_a_first_generation_card_has_no_name_extension() -> None:
    holder = layout_of(1).file("SSSE/EF06")
    assert holder is not None
    assert [tag for tag, _ in holder.record_shape] == [0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D]


def test_a_third_generation_card_closes_the_holders_file_and_is_else_as_2_0() -> None:
    second, third = layout_of(2), layout_of(3)
    holder = third.file("SSSE/EF06")
    assert holder is not None and str(holder.read) == "RKSSSE"
    own = [file.path for file in third.files() if second.file(file.path) is None]
    assert own == ["SSSE/EF0D"]
    assert third.file("SSSE/EF05") == second.file("SSSE/EF05")


@pytest.mark.parametrize(
    ("version", "generation"), [("1.0", 1), ("1.00", 1), ("2.01", 2), ("3.00", 3), ("", 2), (None, 2), ("9", 2)]
)
def test_the_first_character_of_the_version_decides(version: str | None, generation: int) -> None:
    assert NATIONAL.choose(version, None).generation == generation


def test_the_form_carries_the_whole_card() -> None:
    """One file of every structure, format and control that card.md §1.4 and §2 know."""
    layout = load_layout(WHOLE_CARD)
    files = {file.path: file for file in layout.files()}
    assert {file.structure for file in files.values()} == set(Structure)
    degrees = files["DF01/EF15"]
    assert degrees.record_shape == ((0x2A, 1), (0x40, 52), (0x40, 52), (0x40, 52))
    assert [child.tag for child in degrees.items[1].items] == [0x57, 0x58, 0x59]
    assert degrees.sfi == 0x15
    work = files["DF02/EF07"]
    assert sum(item.length for item in work.items) == 85 and work.records == 4
    offline = files["DF04/EF06"].read
    assert offline.missing_right == "needs-pin-and-key"
    assert not offline.allows({"PIN"}) and offline.allows({"PIN", "RK1DF04"})
    assert files["DF04/EF08"].update == AccessCondition.parse("never")
    assert files["DF04/EF08"].items[4].kind is Kind.AMOUNT
    assert files["SSSE/EF08"].size == 4096
    assert files["DF01/EF16"].use == "reserved"
    revised = files["DF01/EF0A"].items[0].revised
    assert revised is not None and (revised.name, revised.length) == ("nationality", 3)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('tag = "2A"', 'tag = "40"', "DF01/EF15"),
        ('format = "cn", length = 1', 'format = "bcd", length = 1', "DF01/EF15 education format"),
        ('codes = "sex"', 'codes = "sexes"', "DF01/EF15/education"),
        ("length = 52", "length = 53", "DF01/EF15/degree"),
        ("length = 52", "length = 200", "DF01/EF15/degree"),
        ('structure = "cyclic"\nrecords = 4', 'structure = "cyclic"', "DF02/EF07"),
        ('structure = "transparent"\nsize = 4096', 'structure = "transparent"', "SSSE/EF08"),
        ('read = "PIN and RK1DF04"', 'read = "PIN and RK9DF04"', "DF04/EF06"),
        ('read = "PIN and RK1DF04"', 'read = "PIN RK1DF04"', "DF04/EF06 read"),
        ('title_en = "Offline"', 'titel_en = "Offline"', "DF04/EF06 titel_en"),
        ('revised_with = "last_year_wages"', 'revised_with = "wages"', "DF01/EF0A/wages_date"),
        ("length = 3 } }", "length = 5 } }", "DF01/EF0A/contribution_base"),
        ("generation = 2", "generation = two", "whole"),
        ("files.EF16]", "files.EF2F]", "DF01/EF2F"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_place(tmp_path: Path, old: str, new: str, place: str) -> None:
    text = WHOLE_CARD.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "whole.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(LayoutError, match=place) as caught:
        load_layout(path)
    assert "whole.toml" in caught.value.detail


def test_an_extension_changes_what_it_says_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "region.toml"
    path.write_text(
        'extends = "2.0"\n[applications.DF01.files.EF06]\nitems = [{ tag = "F0", name = "local", label = "地方项",'
        ' label_en = "local", format = "an", length = 4 }]\n',
        encoding="utf-8",
    )
    residence = load_layout(path).file("DF01/EF06")
    assert residence is not None and residence.record_shape[-1] == (0xF0, 4)
    assert residence.title == "常住地信息文件"


def test_code_tables() -> None:
    for name in table_names():
        assert code_table(name).rows
    assert code_table("sex").look_up("2").label == "女"
    assert code_table("ethnic_groups").look_up("20").label == "傈僳族"
    regions = code_table("regions")
    assert regions.look_up("370202").label == "山东省青岛市市南区"
    assert regions.look_up("110101").label == "北京市东城区"
    assert regions.look_up("310100").label == "上海市"
    assert regions.look_up("429004").label == "湖北省仙桃市"
    assert regions.look_up("999999").label is None
    assert code_table("countries").look_up("DEU").label_en == "Germany"
