"""Code tables: the words behind the codes on a card. The data are CSV files in ``codes/``."""

from __future__ import annotations

import csv
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

# 市辖区, 县, 直辖县级: xx0100, xx0200, xx9000 and xxxx01 only group what is below them.
_UNNAMED_UNIT = re.compile(r"[1-9]\d(?:(?:01|02|90)00|\d\d01)")
_FOLDER = files("cardio.filesystem") / "codes"


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

    def look_up(self, code: str) -> Code:
        if self.by_region:
            return Code(code, self._region_name(code), None)
        label, label_en = self.rows.get(code, (None, None))
        return Code(code, label, label_en)

    def _region_name(self, code: str) -> str | None:
        """Province, prefecture and county in one name; units without a name of their own take the one above."""
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
    """Loads a table, once.

    Raises:
        KeyError: there is no table of this name.
    """
    entry = _catalogue()[name]
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8") as stream:
        rows = {row["code"]: (row["label"], row.get("label_en") or None) for row in csv.DictReader(stream)}
    return CodeTable(
        name=name,
        title=entry["title"],
        source=entry["source"],
        rows=MappingProxyType(rows),
        by_region=entry.get("form") == "region",
    )
