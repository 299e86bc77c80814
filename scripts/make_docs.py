"""The maker of the reference pages from the data and the code: ``make docs``. A test fails when the pages are stale."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cardio.debits.errors
import cardio.errors
import cardio.pki.errors
import cardio.security.errors
import service.audit.errors
import service.cli.errors
import service.debits.errors
import service.driver.errors
import service.gate.errors
import service.gate.scopes
import service.http.errors
import service.questions.errors
import service.readers.errors
import simulators.readers.vpcd
from cardio.driver.return_codes import driver_codes
from cardio.errors import CardioError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.codes.tables import code_table, table_names
from cardio.filesystem.layouts.loader import GENERATIONS, layout_of
from cardio.filesystem.layouts.page import expansion_page, layout_page
from cardio.filesystem.layouts.registry import NATIONAL, shipped_expansions
from scripts.python_interface import python_interface
from service.app import create_app
from service.readers.simulated import SimulatedReaders
from simulators.card.faults import FAULTS
from simulators.personas.persona import personas

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
_LONGEST_TABLE = 80
"""The largest number of codes of a table that is printed in full."""
_MADE = "<!-- Made by `make docs` from the code and its data. Do not edit. -->\n"


def pages() -> dict[str, str]:
    """Return every reference page by file name."""
    return {
        "errors.md": _errors(),
        "codes.md": _codes(),
        "driver-codes.md": _driver_codes(),
        "openapi.json": _openapi(),
        "python.md": _MADE + "\n" + python_interface(),
        "personas.md": _personas(),
        **layout_pages(),
    }


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
    """Yield the errors that an answer can carry, by their modules."""
    for module in (
        cardio.errors,
        cardio.debits.errors,
        cardio.security.errors,
        cardio.pki.errors,
        service.http.errors,
        service.gate.errors,
        service.audit.errors,
        service.readers.errors,
        service.questions.errors,
        service.debits.errors,
        service.driver.errors,
        service.cli.errors,
        service.gate.scopes,
        simulators.readers.vpcd,
    ):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, CardioError) and kind.__module__ == module.__name__:
                if kind not in (CardioError, service.http.errors.GateError, service.http.errors.RetryLaterError):
                    yield kind


def layout_pages() -> dict[str, str]:
    """Return a page for each generation, and one for the additions of the shipped regions."""
    shown = {
        f"layout-{generation}.0.md": _MADE + "\n" + layout_page(layout_of(generation)) for generation in GENERATIONS
    }
    regions = [_MADE + "\n# 地方扩展 / Regions\n\nWhat each region that is shipped adds to its generation.\n"]
    regions += [
        expansion_page(expansion).replace("\n#", "\n##").replace("# ", "## ", 1) for expansion in shipped_expansions()
    ]
    return shown | {"layout-regions.md": "\n".join(regions)}


def _openapi() -> str:
    """Return the bridge's description, with the simulator's addresses."""
    app = create_app([], capabilities=CapabilityCache(None), layouts=NATIONAL, simulated=SimulatedReaders([]))
    return json.dumps(app.openapi(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _driver_codes() -> str:
    lines = [_MADE, "# 返回码 / Return codes of the national driver interface\n"]
    lines += ["All other numbers are a card's status word with a minus: −27010 is 6982.\n"]
    lines += ["| code | 含义 / meaning | 原因 / cause | 处理 / what to do now |", "|---|---|---|---|"]
    lines += [
        f"| {one.code} | {one.title} / {one.title_en} | {one.cause} / {one.cause_en} | {one.remedy} / {one.remedy_en} |"
        for one in sorted(driver_codes().values(), key=lambda one: -one.code)
    ]
    return "\n".join(lines) + "\n"


def _codes() -> str:
    lines = [
        _MADE,
        "# 代码表 / Code tables\n",
        "A code that its table does not know shows as itself, with a warning.\n",
    ]
    lines += ["| name | 名称 | follows | codes | data |", "|---|---|---|---|---|"]
    for name in sorted(table_names()):
        table = code_table(name)
        lines.append(
            f"| `{name}` | {table.title} | {table.source} | {len(table.rows)} | {table.data or 'typed from it'} |"
        )
    for name in sorted(table_names()):
        table = code_table(name)
        if len(table.rows) <= _LONGEST_TABLE:
            lines += ["", f"## {name} {table.title}\n", "| code | 中文 | English |", "|---|---|---|"]
            lines += [f"| {code} | {label} | {label_en or ''} |" for code, (label, label_en) in table.rows.items()]
    return "\n".join(lines) + "\n"


def _personas() -> str:
    lines = [_MADE, "# 模拟卡样例 / Personas\n", "Invented people; `cardio sim list` shows them too.\n"]
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
