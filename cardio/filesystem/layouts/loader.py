"""The loader of layouts from TOML, which refuses layouts that cannot be right."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cardio.errors import LayoutError
from cardio.filesystem.codes.tables import make_table
from cardio.filesystem.layouts.fault import Fault
from cardio.filesystem.layouts.model import Application, File, Format, Item, Key, Kind, Layout, Purse, Topic, Variant
from cardio.filesystem.layouts.regional import rule_violations

GENERATIONS = (1, 2, 3)
DEFAULT_GENERATION = 2
SHIPPED = Path(str(files("cardio.filesystem") / "layouts"))

_DEFAULT_KIND = {Format.AN: Kind.TEXT, Format.CN: Kind.DIGITS, Format.B: Kind.HEX, Format.B_TLV: Kind.ITEMS}
_INHERITED = ("source", "confidence")
_APPLICATION_ID = re.compile("DF[0-9A-F]{2}")
_TOML_LINE = re.compile(r"at line (\d+)")


@cache
def _adapter() -> TypeAdapter[Layout]:
    return TypeAdapter(Layout)


@cache
def layout_of(generation: int) -> Layout:
    """Return the national layout of a generation (1, 2 or 3)."""
    return load_layout(SHIPPED / f"{generation}.0.toml")


def generation_of(spec_version: str | None) -> int:
    """Return the generation of a 规范版本 as it stands on a card ("1.00", "2.01"). Its first character decides."""
    first = (spec_version or "")[:1]
    return int(first) if first in {str(g) for g in GENERATIONS} else DEFAULT_GENERATION


def load_layout(path: Path, *, generation: int | None = None) -> Layout:
    """Read one layout file, with the layout that it extends, and check it.

    Args:
        path: the layout file.
        generation: the generation to extend, where the file extends several.

    Raises:
        LayoutError: the file is unreadable, has unknown words, has facts that contradict each other, or expands a
            region against the rules. The text names the file, the line where it is known, and the place.
    """
    if path.parent == SHIPPED and not path.is_symlink():  # a test has inspected the shipped layouts
        return _layout_and_violations(path, generation)[0]
    layout, faults = inspect_layout(path, generation=generation)
    if faults:
        raise faults[0].error(path)
    return layout


def inspect_layout(path: Path, *, generation: int | None = None) -> tuple[Layout, list[Fault]]:
    """Read a layout file as `load_layout` does, but return all faults instead of raising the first.

    Raises:
        LayoutError: the file is unreadable, or has unknown words.
    """
    from cardio.filesystem.layouts.checks import layout_faults  # shipped layouts need no check, so the import is late

    layout, faults = _layout_and_violations(path, generation)
    return layout, [*faults, *layout_faults(layout)]


def _layout_and_violations(path: Path, generation: int | None) -> tuple[Layout, list[Fault]]:
    """Read a layout; return it with its violations of the rules for regions."""
    _, own = read_toml(path)
    try:
        base = _base(path, own, generation)
        faults = rule_violations(base, own) if base is not None and path.parent != SHIPPED else []
        merged = _overlay(base or {}, {key: value for key, value in own.items() if key != "extends"})
        prepared = _prepared(merged, path)
    except (TypeError, AttributeError, ValueError, KeyError) as error:
        raise LayoutError(
            f"{path}：表格结构不对（{error}）", f"{path}: its tables are not as they should be"
        ) from error
    try:
        layout = _adapter().validate_python(prepared)
    except ValidationError as error:
        if faults:  # a layout that breaks a rule may also fail to load; the rule says more
            raise faults[0].error(path) from error
        # A misspelt word causes two errors: one missing word and one unknown word. The unknown one says more.
        found = sorted(
            error.errors(), key=lambda one: one["type"] not in ("extra_forbidden", "unexpected_keyword_argument")
        )[0]
        raise Fault(_place(prepared, found["loc"]), *_words(found)).error(path) from error
    return layout, faults


def extended_layouts(document: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the layouts that a document extends.

    Raises:
        LayoutError: ``extends`` is neither a text nor a list of texts.
    """
    named = document.get("extends", ())
    listed = (named,) if isinstance(named, str) else named
    if not isinstance(listed, (list, tuple)) or not all(isinstance(one, str) for one in listed):
        raise LayoutError('extends 应为 "2.0" 等', 'extends must be "2.0" or the like')
    return tuple(listed)


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a file's text and its parsed content.

    Raises:
        LayoutError: the file is missing, not UTF-8, or not TOML; the text names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise LayoutError(f"{path}：请另存为 UTF-8", f"{path}: save it as UTF-8") from error
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise LayoutError(f"{path}：不能读取（{why}）", f"{path}: cannot be read ({why})") from error
    except tomllib.TOMLDecodeError as error:
        found = _TOML_LINE.search(str(error))
        where = f"{path}:{found[1]}" if found else str(path)
        hint, hint_en = (
            "TOML 语法错误，或上一行缺少逗号、引号、括号",
            "TOML; or a comma, quote or bracket is missing before",
        )
        raise LayoutError(f"{where}：{hint}（{error}）", f"{where}: {hint_en} ({error})") from error


def _base(path: Path, own: dict[str, Any], generation: int | None) -> dict[str, Any] | None:
    """Return the document that a file extends, merged with all that it extends itself."""
    named = extended_layouts(own)
    if not named:
        return None
    wanted = f"{generation}.0" if generation is not None and len(named) > 1 else named[0]
    if wanted not in named:
        raise LayoutError(f"{path.name}：不扩展 {wanted}", f"{path.name}: does not extend {wanted}")
    place = SHIPPED / f"{wanted}.toml"
    if not re.fullmatch(r"[0-9a-z.]+", wanted) or not place.exists():
        raise LayoutError(f"{path.name}：extends：没有结构 {wanted}", f"{path.name}: extends: there is no {wanted}")
    _, document = read_toml(place)
    below = _base(place, document, None)
    return _overlay(below or {}, {key: value for key, value in document.items() if key != "extends"})


def _overlay(base: dict[str, Any], extension: dict[str, Any]) -> dict[str, Any]:
    """Merge tables, extend lists of items, and replace anything else."""
    merged = dict(base)
    for key, value in extension.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _overlay(base[key], value)
        elif key == "items" and isinstance(value, list) and isinstance(base.get(key), list):
            merged[key] = [*base[key], *value]
        else:
            merged[key] = value
    return merged


def _prepared(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """Turn TOML's tables, keyed by name, into the lists of the layout, each with its name inside."""
    applications = []
    for application_id, application in document.get("applications", {}).items():
        listed = [_file(f"{application_id}/{name}", file) for name, file in application.get("files", {}).items()]
        own_id = {"file_id": application_id} if _APPLICATION_ID.fullmatch(application_id) else {}
        applications.append({**own_id, **application, "id": application_id, "files": listed})
    named = {key: _named(document.get(key, {})) for key in ("keys", "topics")}
    codes = {}
    for name, entry in document.get("codes", {}).items():
        try:
            codes[name] = make_table(name, {"source": document.get("source", ""), "title": name, **entry})
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise LayoutError(f"{path.name}：代码表 {name}：{error}", f"{path.name}: codes {name}: {error}") from error
    return {**document, **named, "codes": codes, "applications": applications, "origin": str(path)}


def _named(tables: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**table, "name": name} for name, table in tables.items()]


def _file(path: str, file: dict[str, Any]) -> dict[str, Any]:
    inherited = {key: file[key] for key in _INHERITED if key in file}
    return {**file, "path": path, "items": [_item(item, inherited) for item in file.get("items", [])]}


def _item(item: dict[str, Any], inherited: dict[str, Any]) -> dict[str, Any]:
    """Complete an item: an item without a kind gets the default kind of its format."""
    prepared = {**inherited, **item}
    if "kind" not in item and item.get("format") in list(Format):
        prepared["kind"] = Kind.CODE if "codes" in item else _DEFAULT_KIND[Format(item["format"])]
    passed_on = {key: prepared[key] for key in _INHERITED if key in prepared}
    if "items" in item:
        prepared["items"] = [_item(inner, passed_on) for inner in item["items"]]
    if "revised" in item:
        prepared["revised"] = _item(item["revised"], passed_on)
    return prepared


_KNOWN_WORDS = tuple(
    {field.name for kind in (Layout, Application, File, Item, Key, Purse, Topic, Variant) for field in fields(kind)}
)


def _words(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return pydantic's error in words for people who write layouts."""
    word = str(found["loc"][-1])
    match found["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            near = get_close_matches(word, _KNOWN_WORDS, n=1)
            zh, en = (f"，是否应为 {near[0]}？", f"; did you mean {near[0]}?") if near else ("", "")
            return f"不认识“{word}”{zh}", f"there is no word {word!r}{en}"
        case "missing":
            return f"缺少 {word}", f"{word} is missing"
        case "enum" | "literal_error":
            allowed = found["ctx"]["expected"]
            return f"{word} 应为 {allowed.replace(' or ', '、')}，而不是 {found['input']}", f"{word} must be {allowed}"
        case _:
            return f"{word} 的值不对（{found['msg']}）", f"{word}: {found['msg']}"


def _place(prepared: dict[str, Any], location: tuple[int | str, ...]) -> str:
    """Return the place of an error, by the names that people use: ``DF04/EF06 length``."""
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
