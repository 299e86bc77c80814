"""The page of the Python interface, made from the public names in each room's ``__init__``."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from itertools import pairwise
from types import FunctionType
from typing import Any

from pydantic import BaseModel

ROOMS = ("", "apdu", "card", "debits", "driver", "filesystem", "identity", "models", "pki", "readers", "security")
_SECTIONS = ("Args:", "Returns:", "Raises:", "Yields:")


def python_interface() -> str:
    """Return the page in Markdown."""
    lines = ["# Python 接口 / The Python interface\n"]
    lines += [
        "What stands here is public, and kept or changed with a word in the [changes](../../CHANGELOG.md). Everything "
        "else may change. Amounts are in fen (分), times in seconds, dates are `datetime.date`; errors are one tree, "
        "[`cardio.errors`](errors.md).\n"
    ]
    for room in ROOMS:
        lines += _room(import_module(f"cardio.{room}" if room else "cardio"))
    return "\n".join(lines) + "\n"


def _room(package: Any) -> Iterator[str]:
    text, _, example = inspect.cleandoc(package.__doc__ or "").partition("\n\nExample:\n")
    yield f"## {package.__name__}\n"
    yield text.replace("\n\n", "\0").replace("\n", " ").replace("\0", "\n\n") + "\n"
    yield f"```pycon\n{textwrap.dedent(example).strip()}\n```\n"
    for name in package.__all__:
        yield from _entry(name, getattr(package, name), import_module(_home(package, name)))


def _home(package: Any, name: str) -> str:
    homes: dict[str, str] = package._HOMES
    return f"{package.__name__}.{homes[name]}"


def _entry(name: str, value: Any, module: Any) -> Iterator[str]:
    if isinstance(value, type):
        fields = issubclass(value, BaseModel)  # its fields are listed
        yield f"### {name}{'' if fields else _signature(value)}\n"
        yield from _described(value.__doc__ if value.__doc__ and not value.__doc__.startswith(f"{name}(") else None)
        if issubclass(value, BaseModel):
            for field, info in value.model_fields.items():
                yield f"- `{field}` {info.description or ''}".rstrip()
            yield ""
        members = [one for one in value.__mro__ if one.__module__.startswith(("cardio.", "service."))]
        shown = {member: kind for kind in reversed(members) for member in vars(kind) if not member.startswith("_")}
        for member in sorted(shown):
            yield from _member(member, vars(shown[member])[member])
        yield ""
    elif isinstance(value, FunctionType):
        yield f"### {name}{_signature(value)}\n"
        yield from _described(value.__doc__)
    else:
        yield f"### {name}\n"
        yield from _described(_note_under(module, name))


def _member(name: str, value: Any) -> Iterator[str]:
    inner = value.__func__ if isinstance(value, classmethod | staticmethod) else value
    if isinstance(inner, FunctionType):
        yield f"- `{name}{_signature(inner)}` {_first(inner.__doc__)}".rstrip()
    elif isinstance(inner, property) and inner.fget is not None:
        yield f"- `{name}` {_first(inner.fget.__doc__)}".rstrip()
    elif isinstance(inner, cached_property):
        yield f"- `{name}` {_first(inner.func.__doc__)}".rstrip()


def _signature(value: Any) -> str:
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    parts = [one.replace(annotation=inspect.Parameter.empty) for one in found.parameters.values() if one.name != "self"]
    kinds = [str(one) if one.default is inspect.Parameter.empty else f"{one.name}=…" for one in parts]
    stars = next((index for index, one in enumerate(parts) if one.kind is inspect.Parameter.KEYWORD_ONLY), None)
    if stars is not None and not any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parts):
        kinds.insert(stars, "*")
    return f"({', '.join(kinds)})"


def _first(docstring: str | None) -> str:
    return inspect.cleandoc(docstring or "").partition("\n\n")[0].partition("\nRaises:")[0].replace("\n", " ")


def _described(docstring: str | None) -> Iterator[str]:
    """Yield a docstring in Markdown, its sections as lists."""
    if not docstring:
        return
    paragraph: list[str] = []
    section = ""
    for line in [*inspect.cleandoc(docstring).splitlines(), ""]:
        words = line.strip()
        if any(words.startswith(one) for one in _SECTIONS):
            section, _, rest = words.partition(":")
            paragraph = [f"**{section}:** {rest.strip()}".rstrip()]
        elif section and line.startswith(" ") and ":" in words and len(line) - len(line.lstrip()) == 4:
            paragraph.append(f"\n- {words}")
        elif words:
            paragraph.append(words)
        elif paragraph:
            yield " ".join(paragraph).replace(" \n", "\n") + "\n"
            paragraph, section = [], ""


def _note_under(module: Any, name: str) -> str | None:
    """Return the text under an assignment; None if there is none."""
    body = ast.parse(inspect.getsource(module)).body
    for statement, following in pairwise(body):
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(one, ast.Name) and one.id == name for one in targets):
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                return str(following.value.value)
    return None
