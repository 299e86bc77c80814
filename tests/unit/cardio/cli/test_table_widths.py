"""Every table fits a terminal of 80 columns, in each language. Those of the bridge: tests/unit/service/cli."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cardio.cli.table import Columns, display_width, hanging, indented, lines_of, stacked, wrapped
from tests.unit.cardio.cli.terminal import on_terminal

ROOT = Path(__file__).parents[4]
WHOLE = ("--reader", "sim:whole")
TABLES: dict[str, list[tuple[str, ...]]] = {
    "files": [("files", "--reader", one) for one in ("sim:adult", "sim:whole", "sim:third-generation")],
    "read": [("read", "--reader", one) for one in ("sim:adult", "sim:long-name", "sim:field", "sim:third-closed")],
    "reports": [("insurance", *WHOLE), ("employment", *WHOLE)],
    "identify": [("identify", "--reader", "sim:adult"), ("identify", "--reader", "sim:third-generation")],
    "pki": [("pki", "show", "--reader", "sim:third-generation")],
    "readers": [("readers",)],
    "layouts": [("layouts",)],
    "sim": [("sim", "list")],
}
"""By the module that prints the table."""
LISTS = [("conformance", "--all", "--reader", "sim:adult"), ("doctor", "--reader", "sim:field"), ("dump", *WHOLE)]
"""They have no columns, or those of others."""
IN_OTHER_TESTS = {"debits", "audit", "pair", "actions", "commands", "output"}
"""The bridge's, the shell's, and the table itself."""


def test_no_table_is_forgotten() -> None:
    sources = [one for part in ("cardio", "service", "simulators") for one in (ROOT / part / "cli").rglob("*.py")]
    printing = {one.stem for one in sources if re.search(r"\.(long_)?table\(", one.read_text(encoding="utf-8"))}
    assert printing == set(TABLES) | IN_OTHER_TESTS


@pytest.mark.parametrize("command", [one for made in TABLES.values() for one in made] + LISTS, ids=" ".join)
@pytest.mark.parametrize("locale", ["zh_CN.UTF-8", "en_US.UTF-8"])
def test_a_table_fits(command: tuple[str, ...], locale: str) -> None:
    shown = on_terminal(*command, streams="stdout", locale=locale, told={"XDG_CONFIG_HOME": "/nowhere"})
    assert len(shown.lines) > 5
    for line in shown.lines:
        assert display_width(line) <= 80, line


@pytest.mark.parametrize("locale", ["zh_CN.UTF-8", "en_US.UTF-8"])
def test_the_shells_tables_fit(locale: str) -> None:
    lines = ["ls", "select 养老保险", "ls", "show", "raw", "item 70", "help", "tree", "insurance"]
    shown = on_terminal("shell", *WHOLE, streams="stdout", locale=locale, given="\n".join(lines))
    assert shown.status == 0 and len(shown.lines) > 100
    for line in shown.lines:
        assert display_width(line) <= 80, line


@pytest.mark.parametrize("columns", [24, 40])
def test_a_very_narrow_terminal_has_the_cells_under_each_other(columns: int) -> None:
    shown = on_terminal("files", "--reader", "sim:adult", streams="stdout", columns=columns, locale="en_US.UTF-8")
    assert all(display_width(line) <= columns for line in shown.lines)
    at = next(number for number, line in enumerate(shown.lines) if "SSSE/EF05" in line)
    assert shown.lines[at].split() == ["file", "SSSE/EF05"]
    assert [line.split()[0] for line in shown.lines[at + 1 : at + 4]] == ["title", "structure", "read"]


def test_the_reasons_of_closed_files_stand_below_the_tree() -> None:
    lines = on_terminal("files", "--reader", "sim:adult", streams="stdout").lines
    numbers = {found.group(1) for line in lines if (found := re.search(r"\d/EF.*✗ (\d)", line))}
    told = {found.group(1) for line in lines if (found := re.match(r"✗ (\d)  (needs-|internal)", line))}
    assert numbers and numbers == told


def test_a_cell_is_broken_and_stays_as_far_in() -> None:
    columns = Columns(2, 40)
    rows = [["file", "title", "read"], ["  DF01/EF05", "Household registration of all", "PIN or key"]]
    for row in rows:
        columns.measure(row)
    widths = columns.fitted()
    assert widths is not None and sum(widths) + 4 <= 40
    lines = ["  ".join(cells).rstrip() for cells in lines_of(rows[1], widths)]
    assert lines[0].startswith("  DF01/EF05") and all(line.startswith(" " * 11) for line in lines[1:])
    assert " ".join(" ".join(line[11:].split()) for line in lines).count("registration") == 1
    assert indented("  one two", 6) == ["  one", "  two"]


def test_without_a_terminal_nothing_is_broken() -> None:
    columns = Columns(2, None)
    columns.measure(["a" * 300, "b"])
    assert columns.fitted() == [300, 1]


def test_numbers_and_names_are_kept_whole_and_bytes_are_not() -> None:
    assert wrapped("5f3a90c1d2e4b6a7", 10) == ["5f3a90c1d2e4b6a7"]
    assert wrapped("AB" * 20, 16) == ["AB" * 8, "AB" * 8, "AB" * 4]
    columns = Columns(2, 30)
    columns.measure(["5f3a90c1d2e4b6a7", "3B6D00000081544C", "2026-11-30"])
    assert columns.fitted() is None, "three that are whole take 44: they are stacked"


def test_the_gap_becomes_narrower_before_cells_are_stacked() -> None:
    columns = Columns(2, 44)
    columns.measure(["5f3a90c1d2e4b6a7", "3B6D00000081544C", "2026-11-30"])
    assert (columns.fitted(), columns.gap) == ([16, 16, 10], 1)
    columns = Columns(2, 46)
    columns.measure(["5f3a90c1d2e4b6a7", "3B6D00000081544C", "2026-11-30"])
    assert (columns.fitted(), columns.gap) == ([16, 16, 10], 2)


def test_cells_under_each_other_have_the_titles_of_their_columns() -> None:
    shown = list(stacked(["7", "", "一二三四五六"], ["number", "none", "words"], 16, 2))
    assert shown == [("number  ", "7"), ("words   ", "一二三四"), ("        ", "五六")]
    assert list(stacked(["7", "x"], None, 16, 2)) == [("", "7"), ("  ", "x")]


def test_a_text_hangs_behind_its_lead() -> None:
    assert list(hanging("✗ pcsc ", "one two three four five", 23)) == ["✗ pcsc one two three", "       four five"]
    assert list(hanging("✗ ", "one two", None)) == ["✗ one two"]
