"""Code tables: the words behind the codes on a card. ``codes/tables.toml`` lists them; long ones are CSV files."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

# 市辖区, 县, 直辖县级: xx0100, xx0200, xx9000 and xxxx01 only group the units below them.
_UNNAMED_UNIT = re.compile(r"[1-9]\d(?:(?:01|02|90)00|\d\d01)")
_FOLDER = files("cardio.filesystem") / "codes"


REGION_DIGITS = 6
"""The length of a region code (GB/T 2260); a 卡识别码 begins with the region code of its issuer."""


@dataclass(frozen=True, slots=True)
class Code:
    """A code with its words; both are None where the table does not know the code."""

    code: str
    label: str | None
    label_en: str | None


@dataclass(frozen=True, slots=True)
class CodeTable:
    """One table, by name: ``code_table("sex").look_up("1").label == "男"``."""

    name: str
    title: str
    source: str
    rows: MappingProxyType[str, tuple[str, str | None]]
    by_region: bool = False
    data: str | None = None
    """The origin of the rows and their date, if they are not from the standard itself."""

    def look_up(self, code: str) -> Code:
        if self.by_region:
            return Code(code, self._region_name(code), None)
        label, label_en = self.rows.get(code, (None, None))
        return Code(code, label, label_en)

    def _region_name(self, code: str) -> str | None:
        """Join the names of province, prefecture and county; a unit without a name of its own takes the one above."""
        if code not in self.rows and not _UNNAMED_UNIT.fullmatch(code):
            return None
        levels = dict.fromkeys((code[:2] + "0000", code[:4] + "00", code))
        return "".join(self.rows[level][0] for level in levels if level in self.rows) or None


@cache
def _catalogue() -> dict[str, dict[str, Any]]:
    return tomllib.loads((_FOLDER / "tables.toml").read_text(encoding="utf-8"))


def table_names() -> frozenset[str]:
    return frozenset(_catalogue())


@cache
def code_table(name: str) -> CodeTable:
    """Load a table, once.

    Raises:
        KeyError: there is no table of this name.
    """
    return make_table(name, _catalogue()[name])


def make_table(name: str, entry: Mapping[str, Any]) -> CodeTable:
    """Build a table from its entry in TOML: ``title``, ``source``, and ``rows`` of code, 中文 and English.

    Raises:
        ValueError: a row is malformed, or a code stands twice.
        KeyError: title or source is missing.
    """
    if "rows" in entry:
        listed = [_row(row) for row in entry["rows"]]
    else:
        with (_FOLDER / f"{name}.csv").open(encoding="utf-8") as stream:
            listed = [(row["code"], row["label"], row.get("label_en") or None) for row in csv.DictReader(stream)]
    rows = {code: (label, label_en) for code, label, label_en in listed}
    if len(rows) != len(listed):
        raise ValueError(f"{name}: a code stands twice")
    return CodeTable(
        name=name,
        title=entry["title"],
        source=entry["source"],
        rows=MappingProxyType(rows),
        by_region=entry.get("form") == "region",
        data=entry.get("data"),
    )


def _row(row: Any) -> tuple[str, str, str | None]:
    if not isinstance(row, list) or len(row) not in (2, 3) or not all(isinstance(cell, str) for cell in row):
        raise ValueError(f"a row is [code, 中文] or [code, 中文, English], not {row!r}")
    return row[0], row[1], row[2] if len(row) == 3 else None
