"""A layout as a Markdown page: every application, file and item."""

from __future__ import annotations

from collections.abc import Iterator

from cardio.filesystem.layouts.loader import layout_of, load_layout
from cardio.filesystem.layouts.model import Application, File, Format, Item, Layout, Purse, Structure
from cardio.filesystem.layouts.registry import Expansion

_STRUCTURES = {
    Structure.VARIABLE: "变长记录 variable",
    Structure.CYCLIC: "循环 cyclic",
    Structure.FIXED: "定长记录 fixed",
    Structure.TRANSPARENT: "透明 transparent",
    Structure.INTERNAL: "卡内 internal",
}
_CONFIDENCE = (
    "How well a fact is known: S the specification itself, M several public sources, 1 one source, I inferred."
)
_HEADER = ("record", "tag", "名称", "name", "format", "length", "notes")


def layout_page(layout: Layout, *, base: Layout | None = None) -> str:
    """Return the page of a layout.

    Args:
        layout: the layout.
        base: a layout whose content the page leaves out.
    """
    lines = [f"# {layout.title} / {layout.title_en}\n", f"Source: {layout.source}. {_CONFIDENCE}\n"]
    if layout.note:
        lines.append(f"{layout.note}\n")
    for application in layout.applications:
        files = [(file, base.file(file.path) if base else None) for file in application.files]
        new = [(file, known) for file, known in files if file != known]
        if new:
            lines += _application(application)
            for file, known in new:
                lines += _file(file, known)
    if layout.purse is not None and (base is None or layout.purse != base.purse):
        lines += _purse(layout.purse)
    keys = [key for key in layout.keys if base is None or key not in base.keys]
    if keys:
        lines += [
            "## 密钥 / Keys\n",
            "| name | 用途 | application | id | bytes | versions |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| `{key.name}` | {key.title} | {key.application} | {key.id:02X} | {key.length} | {key.versions} |"
            for key in keys
        ]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def expansion_page(expansion: Expansion) -> str:
    """Return the page of a region's file: its additions to each generation that it extends, and its code tables."""
    pages = []
    for generation in expansion.generations:
        layout = load_layout(expansion.path, generation=generation)
        head, _, rest = layout_page(layout, base=layout_of(generation)).partition("\n")
        lines = [head, "", f"Extends {generation}.0, for cards of {', '.join(expansion.regions)}.", rest]
        for table in layout.codes.values():
            lines += [f"## {table.name} {table.title}\n", "| code | 中文 | English |", "|---|---|---|"]
            lines += [f"| {code} | {label} | {label_en or ''} |" for code, (label, label_en) in table.rows.items()]
            lines.append("")
        pages.append("\n".join(lines).rstrip("\n") + "\n")
    return "\n".join(pages)


def _purse(purse: Purse) -> Iterator[str]:
    yield "## 交易 / Debits\n"
    facts = [f"in {purse.application}", f"keys {', '.join(purse.purchase_keys)}", f"TAC by {purse.transaction_key}"]
    facts.append(f"transaction type {purse.transaction_type:02X}")
    yield "; ".join(facts) + _reliability(purse.source, purse.confidence, purse.note) + "\n"


def _application(application: Application) -> Iterator[str]:
    yield f"## {application.id} {application.title} / {application.title_en}\n"
    name = application.name.hex().upper() if application.name else "–"
    facts = [f"file id {application.file_id:04X}", f"name `{name}`"]
    if application.label:
        facts.append(f"label {application.label}")
    if application.advisory:
        facts.append("only advised by the specification")
    yield "; ".join(facts) + _reliability(application.source, application.confidence, application.note) + "\n"


def _file(file: File, known: File | None) -> Iterator[str]:
    """Yield the lines of a file. Of a known file, yield only the items that it adds."""
    yield f"### {file.path} {file.title} / {file.title_en}\n"
    facts = [_STRUCTURES[file.structure], f"read: {file.read}", f"update: {file.update}", file.use]
    if file.records:
        facts.append(f"at least {file.records} records")
    if file.record_size and file.structure is not Structure.VARIABLE:
        facts.append(f"{file.record_size} bytes each")
    if file.size:
        facts.append(" or ".join(f"{size}" for size in file.sizes) + " bytes")
    yield "; ".join(facts) + _reliability(file.source, file.confidence, file.note) + "\n"
    if file.record_titles:
        titles = ", ".join(f"{number} {title}" for number, title in enumerate(file.record_titles, 1))
        yield f"Records: {titles}.\n"
    if not file.items:
        return
    yield "| " + " | ".join(_HEADER) + " |"
    yield "|" + "---|" * len(_HEADER)
    number = 1
    for item in file.items:
        if known is not None and item in known.items:
            number += 0 if item.stray else file.repeats(item)
            continue
        last = number + file.repeats(item) - 1
        place = "–" if item.stray or not file.has_tags else f"{number}" if last == number else f"{number}–{last}"
        yield _row(place, item, file)
        number = last + (0 if item.stray else 1)
        for inside in item.items:
            yield _row("", inside, file, depth=1)
    yield ""


def _row(place: str, item: Item, file: File, *, depth: int = 0) -> str:
    indent = "· " * depth
    tag = f"{item.tag:02X}" if item.tag is not None else "–"
    length = str(item.length) if item.length else "unknown"
    if depth and item.format is Format.AN and item.tag is None:
        length += " character" if item.length == 1 else " characters"
    cells = (place, indent + tag, indent + item.label, f"`{item.name}`", f"{item.format} ({item.kind})", length)
    return "| " + " | ".join(map(_plain, (*cells, "; ".join(_notes(item, file))))) + " |"


def _plain(text: str) -> str:
    """Replace characters that would be markup in a table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def _notes(item: Item, file: File) -> Iterator[str]:
    yield item.label_en
    if item.codes:
        yield f"codes: {item.codes}"
    if item.check:
        yield f"check digit: {item.check}"
    if item.optional:
        yield "some issuers leave it out"
    if item.extends:
        yield f"goes on where `{item.extends}` ends"
    if item.alternative:
        yield f"here or in {item.alternative}"
    if item.stray:
        yield "some issuers write it here"
    if item.revised is not None:
        yield f"with EE: {item.revised.label} `{item.revised.name}` ({item.revised.format} {item.revised.length})"
    for variant in item.variants:
        yield f"also {variant.format} {variant.length} ({variant.source})"
    if (item.source, item.confidence) != (file.source, file.confidence):
        yield f"{item.source} ({item.confidence})"
    if item.note:
        yield item.note


def _reliability(source: str | None, confidence: str | None, note: str | None) -> str:
    origin_text = f". Source: {source} ({confidence})" if source else ""
    return origin_text + (f". {note}" if note else "") + "."
