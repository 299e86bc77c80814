"""Makes the reference pages from the data and the code: ``make docs``. A test fails when they are stale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cardio.errors
import service.desks
import service.gate
import simulators.vpcd
from cardio.errors import CardioError
from cardio.filesystem.layout import File, Layout
from cardio.filesystem.layout_file import GENERATIONS, layout_of
from simulators.faults import FAULTS
from simulators.personas import personas

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
_MADE = "<!-- Made by `make docs` from the code and its data. Do not edit. -->\n"


def pages() -> dict[str, str]:
    """Every reference page by file name."""
    return {"errors.md": _errors(), "layouts.md": _layouts(), "personas.md": _personas()}


def _errors() -> str:
    lines = [_MADE, "# 错误 / Errors\n"]
    lines += ["Every answer that says no carries one of these slugs as `code`; `remedy` is what the clerk does now.\n"]
    lines += ["| code | 发生了什么 / what happened | 现在怎么办 / what to do now | HTTP | exit | driver code |"]
    lines += ["|---|---|---|---|---|---|"]
    for kind in sorted(_kinds(), key=lambda kind: (kind.__module__, kind.exit_status, kind.code)):
        lines.append(
            f"| `{kind.code}` | {kind.title} / {kind.title_en} | {kind.remedy} / {kind.remedy_en} "
            f"| {kind.status} | {kind.exit_status} | {kind.driver_code if kind.driver_code is not None else '–'} |"
        )
    lines += ["", "A refusal by the card itself (`card-error`) has the driver code −(status word): 6A83 is −27267."]
    return "\n".join(lines) + "\n"


def _kinds() -> Iterator[type[CardioError]]:
    """The errors that an answer can carry, by the modules that they live in."""
    for module in (cardio.errors, service.gate, service.desks, simulators.vpcd):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, CardioError) and kind.__module__ == module.__name__:
                if kind not in (CardioError, service.gate.GateError):
                    yield kind


def _layouts() -> str:
    lines = [_MADE, "# 文件和数据项 / Files and items\n"]
    lines += ["What cardio knows of each card generation, from `cardio/filesystem/layouts/`.\n"]
    for generation in GENERATIONS:
        layout = layout_of(generation)
        lines += [f"## {layout.title} / {layout.title_en}\n", f"Source: {layout.source}\n"]
        for file in layout.files():
            lines += _file(layout, file)
    return "\n".join(lines) + "\n"


def _file(layout: Layout, file: File) -> list[str]:
    lines = [f"### {file.path} {file.title} / {file.title_en}\n"]
    lines += [f"Structure {file.structure}; read: {file.read}; update: {file.update}.\n"]
    lines += ["| record | tag | 名称 | name | format | length | codes |", "|---|---|---|---|---|---|---|"]
    for number, item in enumerate(file.items, 1):
        tag = f"{item.tag:02X}" if item.tag is not None else "–"
        notes = [item.codes or ""]
        if item.optional:
            notes.append("some issuers leave it out")
        if item.revised is not None:
            notes.append(f"ending in EE: {item.revised.name} ({item.revised.format} {item.revised.length})")
        lines.append(
            f"| {number} | {tag} | {item.label} | `{item.name}` | {item.format} ({item.kind}) | {item.length} "
            f"| {'; '.join(note for note in notes if note)} |"
        )
    return [*lines, ""]


def _personas() -> str:
    lines = [_MADE, "# 软件卡角色 / Personas\n", "Invented people; `cardio sim list` shows them too.\n"]
    lines += ["| id | generation | 说明 | description |", "|---|---|---|---|"]
    lines += [f"| `{p.id}` | {p.generation} | {p.title} | {p.title_en} |" for p in personas().values()]
    lines += ["", f"Faults for `--fault`: {', '.join(f'`{fault}`' for fault in FAULTS)}"]
    return "\n".join(lines) + "\n"


def main() -> None:
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
        print(REFERENCE / name)


if __name__ == "__main__":
    main()
