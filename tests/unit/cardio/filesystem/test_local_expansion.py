"""A region's TOML: what it adds is everywhere, and what it may not do is refused with file, line and rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardio.card.runner import on_card
from cardio.errors import LayoutError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import GENERATIONS, SHIPPED, inspect_layout, layout_of, load_layout
from cardio.filesystem.layouts.page import layout_page
from cardio.filesystem.layouts.registry import Expansion, LayoutChoice, shipped_expansions
from cardio.models.base import CodedValue
from cardio.models.conformance import RuleOutcome
from simulators.personas.persona import Persona, find_persona
from simulators.readers.software_reader import SoftwareReader

# A city that is none: 9901 is in no province.
CITY = """\
extends = ["2.0", "3.0"]
regions = ["9901"]
title = "某市社会保障卡"
title_en = "Some city"
source = "invented"

[keys]
UKEF0C = { title = "更新", application = "DF01", id = "90", length = 16, versions = 1 }

[codes.service_level]
title = "服务等级"
rows = [["1", "普通", "standard"], ["2", "优先"]]

[topics.city]
title = "市民服务"
title_en = "citizen services"
report = "insurance"

[applications.DF01.files.EF0C]
title = "市民服务信息文件"
title_en = "Citizen services"
structure = "variable"
read = "free"
update = "UKEF0C"
topic = "city"
items = [
  { tag = "F0", name = "level", label = "等级", label_en = "lv", format = "an", length = 1, codes = "service_level" },
  { tag = "F1", name = "until", label = "有效期", label_en = "until", format = "cn", length = 4, kind = "date" },
]

[applications.DF04.files.EF05]
items = [
  { tag = "F4", name = "local_flag", label = "地方标志", label_en = "local flag", format = "an", length = 1 },
]

[applications.DF0A]
title = "市民卡"
title_en = "City card"
file_id = "DF0A"

[applications.DF0A.files.EF05]
title = "借书证"
title_en = "Library card"
structure = "cyclic"
records = 2
read = "free"
update = "never"
items = [{ name = "book", label = "图书", label_en = "book", format = "an", length = 20 }]
"""


@pytest.fixture
def city(tmp_path: Path) -> Path:
    path = tmp_path / "city.toml"
    path.write_text(CITY, encoding="utf-8")
    return path


def citizen(city: Path) -> Persona:
    whole = find_persona("whole")
    issuer = whole.files["SSSE/EF05"] | {"identification_code": "990100D15600000500000013FFFFFFFF"}
    files = whole.files | {
        "SSSE/EF05": issuer,
        "DF01/EF0C": {"level": "2", "until": "20301231"},
        "DF04/EF05": whole.files["DF04/EF05"] | {"local_flag": "7"},
        "DF0A/EF05": {"records": [{"book": "测试之书"}]},
    }
    return whole.model_copy(update={"layout": city, "files": files})


def test_a_regions_file_changes_parser_tree_report_conformance_and_page_without_python(
    city: Path, tmp_path: Path
) -> None:
    reader = SoftwareReader("r", citizen(city).card())
    layouts = LayoutChoice.installed(tmp_path)
    local, tree, report, conformance, added = on_card(
        reader,
        lambda card: (
            card.file("DF01/EF0C"),
            card.tree(),
            card.report("insurance"),
            card.conformance(),
            card.file("DF04/EF05"),
        ),
        layouts=layouts,
        capabilities=CapabilityCache(None),
    )
    level = local.records[0].items[0].value
    assert isinstance(level, CodedValue) and (level.code, level.label, level.label_en) == ("2", "优先", None)
    assert str(local.records[1].items[0].value) == "2030-12-31"
    assert added.records[-1].items[0].value == "7" and added.warnings == ()
    assert [(a.id, a.title) for a in tree.applications][-1] == ("DF0A", "市民卡")
    assert {f.file for a in tree.applications for f in a.files} >= {"DF01/EF0C", "DF0A/EF05", "DF03/EF07"}
    assert [item.label for item in report.sections["city"].values] == ["等级", "有效期"]
    places = {check.place for check in conformance.checks if check.outcome is RuleOutcome.PASS}
    assert {"DF01/EF0C/level", "DF0A/EF05"} <= places
    page = layout_page(load_layout(city, generation=2), base=layout_of(2))
    assert "### DF01/EF0C 市民服务信息文件" in page and "| 1 | F0 | 等级 | `level` | an (code) | 1 |" in page


def test_without_the_file_the_same_card_shows_unknown_bytes(city: Path) -> None:
    reader = SoftwareReader("r", citizen(city).card())
    content = on_card(
        reader, lambda card: card.file("DF04/EF05"), layouts=LayoutChoice(), capabilities=CapabilityCache(None)
    )
    last = content.records[-1].items[0]
    assert (last.tag, last.name, last.value) == ("F4", "F4", "37")
    assert [warning.code for warning in content.warnings] == ["unknown-item"]


def test_the_longest_region_wins_and_ones_own_comes_first(city: Path, tmp_path: Path) -> None:
    (tmp_path / "district.toml").write_text(CITY.replace('"9901"', '"990102"').replace("某市", "某区"), "utf-8")
    (tmp_path / "jiangsu.toml").write_text(CITY.replace('"9901"', '"32"').replace("某市", "我省"), "utf-8")
    choice = LayoutChoice.installed(tmp_path)
    assert choice.choose("2.00", "990101").title == "某市社会保障卡"
    assert choice.choose("2.00", "990102").title == "某区社会保障卡"
    assert choice.choose("3.00", "990101").generation == 3
    assert choice.choose("1.00", "990101") is layout_of(1)
    assert choice.choose("2.00", "320100").title == "我省社会保障卡"
    assert LayoutChoice.installed(tmp_path / "none").choose("2.0", "320100").title == "江苏省社会保障卡（V2.0）"
    assert choice.choose("2.00", None) is layout_of(2)


MEDICAL, OWN = "[applications.DF04.files.EF05]\n", "[applications.DF0A]\n"
UNTOUCHED, ENVIRONMENT, CYCLIC = "不得更改或挪用", "SSSE 下国家文件", "循环文件可增加记录"
BREACHES = [
    # what is put in place of what, what stands in the line that is named, the rule
    ('file_id = "DF0A"', 'file_id = "DF04"', 'file_id = "DF04"', UNTOUCHED),
    ('file_id = "DF0A"', 'file_id = "DF09"', 'file_id = "DF09"', "DF0A 起"),
    ("[applications.DF01.files.EF0C]", "[applications.DF01.files.EF0B]", "[applications.DF01.files.EF0B]", "EF0C 起"),
    ('tag = "F0"', 'tag = "2E"', 'tag = "2E"', UNTOUCHED),
    ('tag = "F4"', 'tag = "8F"', 'tag = "8F"', UNTOUCHED),
    ('tag = "F4"', 'tag = "90"', 'tag = "90"', UNTOUCHED),
    (MEDICAL, f"{MEDICAL}update = 'PIN'\n", "update = 'PIN'", UNTOUCHED),
    (MEDICAL, "[applications.DF04.files.EF08]\n", "[applications.DF04.files.EF08]", CYCLIC),
    (MEDICAL, "[applications.SSSE.files.EF06]\n", "[applications.SSSE.files.EF06]", ENVIRONMENT),
    (MEDICAL, "[applications.DF01.files.EF16]\n", "[applications.DF01.files.EF16]", "预留文件"),
    (OWN, f"[applications.DF02.files.EF07]\nrecords = 3\n{OWN}", "records = 3", CYCLIC),
    ("UKEF0C = {", "UK1DF01 = {", "UK1DF01 = {", UNTOUCHED),
    ('source = "invented"\n', 'source = "invented"\ngeneration = 1\n', "generation = 1", UNTOUCHED),
    (OWN, f"[applications.DF02]\nname = 'AA'\n{OWN}", "name = 'AA'", UNTOUCHED),
]


@pytest.mark.parametrize(("old", "new", "named", "rule"), BREACHES, ids=[new.strip() for _, new, _, _ in BREACHES])
def test_a_breach_is_refused_with_file_line_and_rule(tmp_path: Path, old: str, new: str, named: str, rule: str) -> None:
    text = CITY.replace(old, new)
    assert text != CITY
    path = tmp_path / "city.toml"
    path.write_text(text, encoding="utf-8")
    line = text[: text.index(named)].count("\n") + 1
    with pytest.raises(LayoutError) as caught:
        load_layout(path, generation=2)
    assert caught.value.detail.startswith(f"city.toml:{line}："), caught.value.detail
    assert rule in caught.value.detail and "V2.0 §6" in caught.value.detail
    assert not any("\u4e00" <= character <= "\u9fff" for character in caught.value.detail_en)


HEAD = 'extends = "2.0"\nregions = ["9901"]\ntitle = "t"\ntitle_en = "t"\nsource = "s"\n'
DF0A = '[applications.DF0A]\ntitle = "t"\ntitle_en = "t"\n'
ITEM = '{ tag = "F4", name = "f", label = "l", label_en = "l", format = "an", length = 1 }'
MEDICAL_ITEMS = "[applications.DF04.files.EF05]\nitems = [{}]\n"
LOCAL_FILE = 'title = "t"\ntitle_en = "t"\nstructure = "variable"\nread = "free"\nupdate = "never"\nitems = [{}]\n'
EVASIONS = [
    '[codes.sex]\ntitle = "x"\nrows = [["1", "女"], ["2", "男"]]\n',
    '[topics.pension]\ntitle = "x"\ntitle_en = "x"\nreport = "employment"\n',
    '[applications.DF03.files.EF07]\ntopic = "medical"\n',
    MEDICAL_ITEMS.format(ITEM.replace("F4", "0x81")),
    MEDICAL_ITEMS.format(ITEM.replace("F4", "f4")),
    MEDICAL_ITEMS.format(ITEM.replace("length = 1", "length = 1, repeat = 0")),
    MEDICAL_ITEMS.format(ITEM.replace("length = 1", "length = 1, repeat = 1000000000")),
    MEDICAL_ITEMS.format(ITEM.replace("length = 1", "length = -300")),
    MEDICAL_ITEMS.format(ITEM.replace('label = "l"', 'label = "\\u001b"')),
    MEDICAL_ITEMS.format(ITEM.replace("length = 1", 'length = 1, not_before = "x"')),
    "[applications.DF04.files.ef0c]\n" + LOCAL_FILE.format(ITEM),
    DF0A + 'name = "D15600000502"\n',
    DF0A + 'label = "社会保险信息区1"\n',
    "keys = 'x'\n",
    "codes = 3\n",
    "applications = []\n",
    "[applications.DF0A]\nfiles = [1]\n",
    DF0A + '[applications.DF0A.files.EF05]\nitems = ["a"]\n',
    DF0A + "[applications.DF0A.files.EF05]\nitems = { a = 1 }\n",
]


@pytest.mark.parametrize("more", EVASIONS, ids=range(len(EVASIONS)))
def test_no_way_around_the_rules_and_no_traceback(tmp_path: Path, more: str) -> None:
    path = tmp_path / "evil.toml"
    path.write_text(HEAD + more, encoding="utf-8")
    with pytest.raises(LayoutError):
        load_layout(path)


@pytest.mark.parametrize("extends", ["2", '"mid"', '"../2.0"', '"evil"', "[1]"])
def test_only_the_national_layouts_can_be_extended(tmp_path: Path, extends: str) -> None:
    (tmp_path / "mid.toml").write_text(HEAD, encoding="utf-8")
    path = tmp_path / "evil.toml"
    path.write_text(HEAD.replace('"2.0"', extends), encoding="utf-8")
    with pytest.raises(LayoutError):
        load_layout(path)
    assert len(LayoutChoice.installed(tmp_path).problems) == 1


def test_more_records_of_a_national_cyclic_file_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "city.toml"
    path.write_text(CITY + "\n[applications.DF02.files.EF07]\nrecords = 9\n", encoding="utf-8")
    file = load_layout(path, generation=2).file("DF02/EF07")
    assert file is not None and file.records == 9 and len(file.items) == 4


WRONG = [
    ('format = "cn", length = 4, kind = "date"', 'format = "bcd", length = 4', "DF01/EF0C until format：format 应为"),
    ("length = 20", "length = 200", "1 至 127"),
    ('format = "cn", length = 4, kind = "date"', 'format = "cn", length = 3, kind = "date"', "date 不能写成 cn 3"),
    ('rows = [["1", "普通", "standard"], ["2", "优先"]]', 'rows = [["101", "a"]]', "代码有 3 位，放不下"),
    ('file_id = "DF0A"', 'file_id = "DF0B"', "应为 DF0A"),
    ('structure = "variable"', 'structure = "variable"\nlenght = 3', "是否应为 length"),
    ('structure = "variable"', 'structure = "linear"', "structure 应为"),
    ('title = "借书证"\n', "", "缺少 title"),
    ('codes = "service_level"', 'codes = "colours"', "没有代码表 colours"),
    ('tag = "F1"', 'tag = "F0"', "标签 F0 重复"),
    ('name = "until"', 'name = "level"', "名称重复"),
    ('update = "UKEF0C"', 'update = "UKEF0D"', "未定义的密钥"),
    ('topic = "city"', 'topic = "town"', "没有主题 town"),
    ('rows = [["1", "普通", "standard"], ["2", "优先"]]', 'rows = [["1", "a"], ["1", "b"]]', "a code stands twice"),
    ('rows = [["1", "普通", "standard"], ["2", "优先"]]', 'rows = ["1"]', "a row is"),
    ("records = 2\n", "", "缺少记录数"),
    ("structure = ", "strukture = ", "是否应为 structure"),
    ('extends = ["2.0", "3.0"]', 'extends = "9.0"', "9.0"),
    ("[keys]", "[keys", "city.toml"),
]


@pytest.mark.parametrize(("old", "new", "said"), WRONG, ids=[said for _, _, said in WRONG])
def test_what_cannot_be_is_refused_with_place_and_reason(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in CITY
    path = tmp_path / "city.toml"
    path.write_text(CITY.replace(old, new), encoding="utf-8")
    with pytest.raises(LayoutError) as caught:
        load_layout(path, generation=2 if "9.0" not in new else None)
    assert said in caught.value.detail and "city.toml" in caught.value.detail


NO_EXPANSIONS = ["", 'regions = ["9"]', 'regions = "32"', "regions = []", 'regions = ["abc"]', "regions = [", "\xff"]


@pytest.mark.parametrize("regions", NO_EXPANSIONS)
def test_a_file_that_is_none_is_left_out_and_stops_nobody(city: Path, tmp_path: Path, regions: str) -> None:
    """A clerk elsewhere must not stand still for it."""
    bad = tmp_path / "bad.toml"
    bad.write_bytes(
        CITY.replace('regions = ["9901"]', regions).encode("latin-1" if regions == "\xff" else "utf-8", "ignore")
    )
    choice = LayoutChoice.installed(tmp_path)
    assert choice.choose("2.00", "990100").title == "某市社会保障卡"
    assert [str(bad) in problem.detail or "bad.toml" in problem.detail for problem in choice.problems] == [True]
    with pytest.raises(LayoutError):
        Expansion.load(bad)


def test_a_file_with_the_mark_of_windows_is_read(city: Path) -> None:
    city.write_text(CITY, encoding="utf-8-sig")
    assert load_layout(city, generation=2).title == "某市社会保障卡"


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_shipped_layouts_contradict_nothing(generation: int) -> None:
    """They are not checked again at each start."""
    layout, faults = inspect_layout(SHIPPED / f"{generation}.0.toml")
    assert faults == [] and layout == layout_of(generation)


def test_the_shipped_regions_keep_the_rules() -> None:
    assert {region for expansion in shipped_expansions() for region in expansion.regions} == {"32", "3304"}
    for expansion in shipped_expansions():
        for generation in expansion.generations:
            _, faults = inspect_layout(expansion.path, generation=generation)
            assert faults == []
    jiangsu = load_layout(Expansion.load(shipped_expansions()[0].path).path)
    file = jiangsu.file("SSSE/EF0D")
    assert file is not None and [tag for tag, _ in file.record_shape] == [0xEA, 0xEB, 0xEC, 0xED]


def test_items_whose_length_nobody_knows_are_read_as_they_come(tmp_path: Path) -> None:
    whole = find_persona("whole")
    issuer = whole.files["SSSE/EF05"] | {"identification_code": "330400D15600000500000014FFFFFFFF"}
    files = whole.files | {
        "SSSE/EF05": issuer,
        "SSSE/EF0C": {"item_f0": "hex:0102030405", "item_f1": "hex:AA"},
        "DF04/EF0C": {"records": ["hex:11223344", "hex:55667788"]},
    }
    for modes in ({0, 4, 5}, {4}, {0, 2}):
        quirks = whole.quirks.model_copy(update={"record_modes": frozenset(modes)})
        card = whole.model_copy(update={"files": files, "quirks": quirks}).card()
        local, cyclic = on_card(
            SoftwareReader("r", card),
            lambda card: (card.file("SSSE/EF0C"), card.file("DF04/EF0C")),
            capabilities=CapabilityCache(None),
        )
        assert [record.items[0].value for record in local.records] == ["0102030405", "AA"]
        if 4 in modes:
            assert [record.items[0].raw for record in cyclic.records] == ["11223344", "55667788"]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_item_says_its_source_and_how_well_it_is_known(generation: int) -> None:
    layout = layout_of(generation)
    for file in layout.files():
        assert file.source and file.confidence and file.title_en.isascii()
        for item in file.items:
            for one in (item, *item.items, *((item.revised,) if item.revised else ())):
                assert one.source and one.confidence, f"{file.path}/{one.name}"
                assert one.label and one.label_en.isascii()
                assert one.codes is None or layout.code_table(one.codes).rows
