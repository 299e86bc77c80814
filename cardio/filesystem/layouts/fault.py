"""A fault of a layout file, and its line in the file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cardio.bilingual import Bilingual
from cardio.errors import LayoutError


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a layout, and its place: ``DF04/EF05/medical_region``."""

    place: str
    zh: str
    en: str
    rule: Bilingual | None = None
    """The rule for local expansion that it breaks."""

    def error(self, path: Path) -> LayoutError:
        """Return the fault as an error that names file, line, place and rule."""
        line = line_of(path.read_text(encoding="utf-8-sig"), self.place)
        where = path.name if line is None else f"{path.name}:{line}"
        rule = f"（V2.0 §6：{self.rule.zh}）" if self.rule else ""
        rule_en = f" (V2.0 §6: {self.rule.en})" if self.rule else ""
        return LayoutError(f"{where}：{self.place}：{self.zh}{rule}", f"{where}: {self.place}: {self.en}{rule_en}")


def line_of(text: str, place: str) -> int | None:
    """Return the line of a layout file that defines a place: its application, its file, or its item."""
    steps = [step for step in re.split(r"[/ ]", place) if step]
    lines = text.splitlines()
    found = None
    for header in (r"\[applications\.{0}\.files\.{1}\]", r"\[(?:applications|keys|codes|topics)\.{0}\b"):
        needed = 2 if "{1}" in header else 1
        if len(steps) >= needed:
            pattern = re.compile(header.format(*map(re.escape, steps[:needed])))
            found = next((number for number, line in enumerate(lines, 1) if pattern.match(line.strip())), None)
            if found is not None:
                rest = steps[needed:]
                break
    if found is None:
        word = re.compile(rf"^{re.escape(steps[0])}\b") if steps else None
        return next((n for n, line in enumerate(lines, 1) if word is not None and word.match(line)), None)
    for step in rest:
        names_it = re.compile(rf'name = "{re.escape(step)}"|^\s*{re.escape(step)} = |tag = "{re.escape(step)}"')
        for number in range(found, len(lines) + 1):
            if number > found and lines[number - 1].startswith("["):
                break
            if names_it.search(lines[number - 1]):
                found = number
                break
    return found
