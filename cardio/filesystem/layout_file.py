"""Loading layouts from TOML, and refusing what cannot be right."""

from __future__ import annotations

import tomllib
from collections import Counter
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cardio.errors import LayoutError
from cardio.filesystem.access import PIN
from cardio.filesystem.codes import table_names
from cardio.filesystem.layout import File, Format, Item, Kind, Layout, Structure

GENERATIONS = (1, 2, 3)
DEFAULT_GENERATION = 2

_ADAPTER: TypeAdapter[Layout] = TypeAdapter(Layout)
_DEFAULT_KIND = {Format.AN: Kind.TEXT, Format.CN: Kind.DIGITS, Format.B: Kind.HEX, Format.B_TLV: Kind.ITEMS}


@cache
def layout_of(generation: int) -> Layout:
    """The layout of a generation (1, 2 or 3)."""
    folder = files("cardio.filesystem") / "layouts"
    return load_layout(Path(str(folder / f"{generation}.0.toml")))


def layout_for_version(spec_version: str | None) -> Layout:
    """The layout for a 规范版本 as it stands on a card ("1.00", "2.01"): its first character decides."""
    first = (spec_version or "")[:1]
    return layout_of(int(first) if first in {str(g) for g in GENERATIONS} else DEFAULT_GENERATION)


def load_layout(path: Path) -> Layout:
    """Reads one layout file, with the layout that it extends, and checks it.

    Raises:
        LayoutError: unreadable, unknown words, or facts that contradict each other; the text names the place.
    """
    document = _merged(path)
    prepared = _prepared(document, path)
    try:
        layout = _ADAPTER.validate_python(prepared)
    except ValidationError as error:
        # A misspelt word shows as one that is missing and one that is unknown: the unknown one says more.
        found = sorted(
            error.errors(), key=lambda one: one["type"] not in ("extra_forbidden", "unexpected_keyword_argument")
        )[0]
        place = _place(prepared, found["loc"])
        raise LayoutError(f"{path.name}：{place}：{found['msg']}", f"{path.name}: {place}: {found['msg']}") from error
    _check(layout, path)
    return layout


def _place(prepared: dict[str, Any], location: tuple[int | str, ...]) -> str:
    """Where an error is, by the names that people use: ``DF04/EF06 length``."""
    names: list[str] = []
    inside: Any = prepared
    for step in location:
        try:
            inside = inside[step]
        except (KeyError, IndexError, TypeError):
            inside = None
        name = (
            next((inside[key] for key in ("path", "id", "name") if key in inside), None)
            if isinstance(inside, dict)
            else None
        )
        if isinstance(name, str):
            names = [name] if "path" in inside else [*names, name]
        elif isinstance(step, str) and step not in ("applications", "files", "items"):
            names.append(step)
    return " ".join(names)


def _merged(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LayoutError(f"{path.name}：{error}", f"{path.name}: {error}") from error
    base = document.pop("extends", None)
    if base is None:
        return document
    beside = path.with_name(f"{base}.toml")
    shipped = Path(str(files("cardio.filesystem") / "layouts" / f"{base}.toml"))
    return _overlay(_merged(beside if beside.exists() else shipped), document)


def _overlay(base: dict[str, Any], extension: dict[str, Any]) -> dict[str, Any]:
    """Tables merge, lists of items grow, anything else is replaced."""
    merged = dict(base)
    for key, value in extension.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _overlay(base[key], value)
        elif isinstance(value, list) and isinstance(base.get(key), list):
            merged[key] = [*base[key], *value]
        else:
            merged[key] = value
    return merged


def _prepared(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """From TOML's tables, keyed by name, to the lists of the layout, each with its name inside."""
    applications = []
    for application_id, application in document.get("applications", {}).items():
        listed = [
            {**file, "path": f"{application_id}/{file_id}", "items": [_item(i) for i in file.get("items", [])]}
            for file_id, file in application.get("files", {}).items()
        ]
        applications.append({**application, "id": application_id, "files": listed})
    keys = [{**key, "name": name} for name, key in document.get("keys", {}).items()]
    return {**document, "applications": applications, "keys": keys, "origin": str(path)}


def _item(item: dict[str, Any]) -> dict[str, Any]:
    """An item that does not say what its value means has the meaning that goes with its format."""
    prepared = dict(item)
    if "kind" not in item and item.get("format") in list(Format):
        prepared["kind"] = Kind.CODE if "codes" in item else _DEFAULT_KIND[Format(item["format"])]
    if "items" in item:
        prepared["items"] = [_item(inner) for inner in item["items"]]
    if "revised" in item:
        prepared["revised"] = _item(item["revised"])
    return prepared


def _check(layout: Layout, path: Path) -> None:
    def refuse(place: str, zh: str, en: str) -> None:
        raise LayoutError(f"{path.name}：{place}：{zh}", f"{path.name}: {place}: {en}")

    if not layout.applications:
        refuse("applications", "没有任何应用", "there is no application")
    known_keys = {key.name for key in layout.keys} | {PIN}
    for file in layout.files():
        unknown = (file.read.names | file.update.names) - known_keys
        if unknown:
            refuse(file.path, f"未定义的密钥 {sorted(unknown)}", f"keys not defined: {sorted(unknown)}")
        if not 1 <= file.sfi <= 30:
            refuse(file.path, "短文件标识应为 1 至 30", "the short file identifier must be 1 to 30")
        for place, zh, en in _file_faults(file):
            refuse(place, zh, en)


def _file_faults(file: File) -> list[tuple[str, str, str]]:
    faults = []
    tags = Counter(item.tag for item in file.items if item.tag is not None)
    names = {item.name for item in file.items}
    for tag, count in tags.items():
        if count > 1:
            faults.append((file.path, f"标签 {tag:02X} 重复", f"tag {tag:02X} stands twice"))
    if file.structure is Structure.TRANSPARENT and file.size is None:
        faults.append((file.path, "透明文件缺少 size", "a transparent file needs a size"))
    if file.structure in (Structure.CYCLIC, Structure.FIXED) and file.records is None:
        faults.append((file.path, "缺少记录数 records", "a file of equal records needs their number"))
    for item in file.items:
        place = f"{file.path}/{item.name}"
        if file.structure is Structure.VARIABLE and item.tag is None:
            faults.append((place, "缺少标签", "a record of a variable-length file has a tag"))
        for other in (item.extends, item.revised_with):
            if other is not None and other not in names:
                faults.append((place, f"没有数据项 {other}", f"there is no item {other}"))
        faults += _item_faults(place, item)
    return faults


def _item_faults(place: str, item: Item) -> list[tuple[str, str, str]]:
    faults = []
    if not 1 <= item.length <= 0x7F and item.format is not Format.B:
        faults.append((place, "长度应为 1 至 127", "the length must be 1 to 127"))
    if (item.kind is Kind.CODE) != (item.codes is not None):
        faults.append((place, "代码项须有代码表", "a code needs a code table, and nothing else does"))
    if item.codes is not None and item.codes not in table_names():
        faults.append((place, f"没有代码表 {item.codes}", f"there is no code table {item.codes}"))
    if (item.format is Format.B_TLV) != bool(item.items):
        faults.append((place, "嵌套项与格式不符", "items inside go with the format b-tlv, and only with it"))
    inner = sum(child.record_length if child.tag is not None else child.length for child in item.items)
    if item.items and inner != item.length:
        faults.append((place, f"嵌套项共 {inner} 字节", f"the items inside take {inner} bytes, not {item.length}"))
    for child in item.items:
        faults += _item_faults(f"{place}/{child.name}", child)
    if item.revised is not None and item.revised.length > item.length:
        faults.append((place, "新含义长于该项", "the revised meaning is longer than the item"))
    return faults
