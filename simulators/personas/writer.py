"""The writer of a new persona's file: only its differences from another one, with all other items in comments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from cardio.errors import CannotWriteError, UsageError
from cardio.filesystem.codes.tables import REGION_DIGITS
from cardio.filesystem.layouts.loader import layout_of, load_layout
from cardio.filesystem.layouts.model import File, Item, Layout
from cardio.filesystem.layouts.registry import Expansion
from simulators.personas.persona import Persona, find_persona

_EXAMPLES = {
    "date": "1990-01-31",
    "time": "2026-01-31T09:30:00",
    "month": '"2026-05"',
    "amount": "12345",
    "number": "12",
    "hex": '"00FF"',
}


def write_persona(path: Path, *, like: str, layout: Path | None = None) -> None:
    """Write a new file; an existing one is not touched.

    Args:
        path: the new file.
        like: the persona that it extends.
        layout: a region's layout: the card gets its region's code, and the region's own files come first.

    Raises:
        LayoutError: the layout is wrong.
        UsageError: the file exists, or there is no such persona.
        CannotWriteError: the file cannot be written.
    """
    if path.suffix != ".toml":
        raise UsageError("文件名应以 .toml 结尾", "the file's name must end with .toml")
    persona = find_persona(like)
    expansion = Expansion.load(layout) if layout is not None else None
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write("\n".join(_lines(persona, path, expansion)) + "\n")
    except FileExistsError as error:
        raise UsageError(f"{path} 已存在", f"{path} exists already") from error
    except OSError as error:
        raise CannotWriteError(f"无法写入 {path}：{error}", f"cannot write {path}: {error}") from error


def _lines(persona: Persona, path: Path, expansion: Expansion | None) -> Iterator[str]:
    holder = persona.files.get("SSSE/EF06", {})
    name = json.dumps(path.stem, ensure_ascii=False)
    yield "# 一张模拟卡：只写与底本不同之处；人物须为虚构。docs/simulator.md 有说明。"
    yield "# A software card: only what differs from what it extends. Invent the person; see docs/simulator.en.md."
    yield f'extends = "{persona.id}"'
    yield f"title = {name}"
    yield f"title_en = {name}"
    layout = persona.card_layout()
    if expansion is None:
        yield '# layout = "my-region.toml"'
    else:
        layout = load_layout(expansion.path, generation=persona.generation)
        yield f"layout = {json.dumps(str(expansion.path.resolve()), ensure_ascii=False)}"
    yield '# pin = "123456"'
    yield ""
    if expansion is not None:
        code = str(persona.files["SSSE/EF05"]["identification_code"])
        yield '[files."SSSE/EF05"]   # 发卡地区 / the issuing region'
        yield f'identification_code = "{expansion.regions[0].ljust(REGION_DIGITS, "0")}{code[REGION_DIGITS:]}"'
        yield ""
    yield '[files."SSSE/EF06"]'
    yield f"name = {json.dumps(str(holder.get('name', '测试')), ensure_ascii=False)}"
    yield f"# social_security_number = {json.dumps(str(holder.get('social_security_number', '')))}"
    yield ""
    yield "# 其余文件和数据项，去掉行首的 # 即可使用 / every other file and item: take the # away to use it."
    written = {"SSSE/EF06"} | ({"SSSE/EF05"} if expansion is not None else set())
    national = layout_of(persona.generation)
    # A region's own files come first: the author wants to fill these.
    for file in sorted(layout.files(), key=lambda file: file == national.file(file.path)):
        if file.path not in written and not file.internal:
            yield f'# [files."{file.path}"]   # {file.title} / {file.title_en}'
            yield from _file(layout, file)


def _file(layout: Layout, file: File) -> Iterator[str]:
    if file.structure == "transparent":
        yield '# content = "file:photo.jpg"' if file.content == "photo" else '# content = "hex:00FF"'
    elif not file.has_tags:
        inside = ", ".join(f"{item.name} = {_example(layout, item)}" for item in file.items)
        yield f"# records = [{{ {inside} }}]"
    else:
        for item in file.items:
            example = _example(layout, item)
            yield f"# {item.name} = {f'[{example}]' if file.repeats(item) > 1 else example}   # {item.label}"


def _example(layout: Layout, item: Item) -> str:
    """Return a value that the item accepts; for a code, the first one of its table."""
    if item.items:
        return "{ " + ", ".join(f"{inside.name} = {_example(layout, inside)}" for inside in item.items) + " }"
    if item.codes is not None:
        return json.dumps(next(iter(layout.code_table(item.codes).rows)))
    if item.format == "an" and item.kind == "text":
        return json.dumps("文字" if item.length >= 4 else "1", ensure_ascii=False)
    if item.kind == "digits":
        return json.dumps("1" * min(6, 2 * item.length))
    return _EXAMPLES[item.kind]
