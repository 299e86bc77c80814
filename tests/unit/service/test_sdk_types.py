"""The browser client's TypeScript types, held against the OpenAPI description: field by field, both ways."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
TYPES = (ROOT / "service" / "web" / "sdk" / "cardio-bridge.d.ts").read_text("utf-8")
SCHEMAS: dict[str, Any] = json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text("utf-8"))["components"][
    "schemas"
]
NAMES = {
    "ReaderInfo": "DeskInfo",
    "Coded": "CodedValue",
    "Debit": "DebitRecord",
    "DriverResult": "DriverAnswered",
    "Item": "ItemContent",
}
"""Interfaces that the client calls otherwise than the description does."""
INDEX = "[]"
"""The member that stands for all others, as in ``{ [name: string]: number }``."""
OF_THE_OWNER = {"manage", "metrics"}
"""Scopes that no page of another site is granted, and that the client does not offer."""
NOT_SENT = {"Nhsa1101": {"proof"}}
"""Fields that the client adds itself."""
_WORD = re.compile(r"""\s*(?:("[^"]*")|([A-Za-z_]\w*)|(\?:|\[\]|=>|[{}()<>|&;:,\[\]]))""")


@dataclass
class TypeScript:
    """A type as TypeScript has it, as far as these files use the language."""

    nullable: bool = False
    literals: set[str] = field(default_factory=set)
    names: list[str] = field(default_factory=list)
    members: dict[str, TypeScript] | None = None
    item: TypeScript | None = None


class Parser:
    def __init__(self, text: str) -> None:
        self.words = [next(part for part in found if part) for found in _WORD.findall(text)]
        self.at = 0

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def take(self, wanted: str | None = None) -> str:
        word = self.peek()
        assert wanted is None or word == wanted, (wanted, word, self.words[self.at - 8 : self.at + 4])
        self.at += 1
        return word

    def union(self) -> TypeScript:
        if self.peek() == "|":
            self.take()
        made = self.intersection()
        while self.peek() == "|":
            self.take()
            other = self.intersection()
            made = TypeScript(
                made.nullable or other.nullable,
                made.literals | other.literals,
                made.names + other.names,
                made.members or other.members,
                made.item or other.item,
            )
        return made

    def intersection(self) -> TypeScript:
        made = self.array()
        while self.peek() == "&":
            self.take()
            other = self.array()
            both = {**members_of(made), **members_of(other)}
            made = TypeScript(members=both)
        return made

    def array(self) -> TypeScript:
        made = self.single()
        while self.peek() == "[]":
            self.take()
            made = TypeScript(item=made)
        return made

    def single(self) -> TypeScript:
        word = self.take()
        if word == "readonly":
            word = self.take()
        if word == "(":
            made = self.union()
            self.take(")")
            return made
        if word == "{":
            return TypeScript(members=self.members())
        if word.startswith('"'):
            return TypeScript(literals={word.strip('"')})
        if word == "null":
            return TypeScript(nullable=True)
        if self.peek() == "<":
            depth = 0
            while True:
                depth += {"<": 1, ">": -1}.get(self.take(), 0)
                if depth == 0:
                    return TypeScript(names=[word])
        return TypeScript(names=[word])

    def members(self) -> dict[str, TypeScript]:
        found: dict[str, TypeScript] = {}
        while self.peek() != "}":
            if self.peek() == "[":  # an index signature
                while self.take() != "]":
                    pass
                self.take(":")
                found[INDEX] = self.union()
            else:
                name = self.take()
                if name == "readonly":
                    name = self.take()
                assert self.take() in (":", "?:")
                found[name] = self.union()
            if self.peek() == ";":
                self.take()
        self.take("}")
        return found


def declared() -> dict[str, TypeScript]:
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", TYPES, flags=re.DOTALL)
    found = {}
    for name, start in ((m[1], m.end()) for m in re.finditer(r"export interface (\w+) \{", text)):
        if not re.search(r"=>|\w+\s*\(", text[start : text.index("\n}", start)]):  # methods are no data
            found[name] = TypeScript(members=Parser(text[start : text.index("\n}", start) + 2]).members())
    for m in re.finditer(r"export type (\w+) =([^;]*);", text):
        if "Envelope" not in m[2] and "=>" not in m[2]:
            found[m[1]] = Parser(m[2]).union()
    return found


DECLARED = declared()


def members_of(type_: TypeScript) -> dict[str, TypeScript]:
    if type_.members is not None:
        return type_.members
    return DECLARED[type_.names[0]].members or {}


def differences(type_: TypeScript, schema: dict[str, Any], place: str) -> list[str]:
    """What TypeScript and the description say otherwise of one value."""
    options = schema.get("anyOf", [schema])
    nullable = any(one.get("type") == "null" for one in options)
    rest = [one for one in options if one.get("type") != "null"]
    found = [] if nullable == type_.nullable else [f"{place}: null is {'' if nullable else 'not '}sent"]
    if len(rest) != 1:
        return found  # a value of several kinds: its fields are no longer one shape
    (one,) = rest
    if "$ref" in one:
        one = SCHEMAS[one["$ref"].rpartition("/")[2]]
    if one.get("allOf"):
        return found + differences(
            TypeScript(False, type_.literals, type_.names, type_.members, type_.item), one["allOf"][0], place
        )
    wanted = set(one["enum"]) if "enum" in one else {one["const"]} if "const" in one else None
    known = DECLARED[type_.names[0]] if type_.names and type_.names[0] in DECLARED else type_
    if wanted is not None:
        return found + (
            []
            if known.literals == wanted - OF_THE_OWNER
            else [f"{place}: {sorted(known.literals ^ (wanted - OF_THE_OWNER))}"]
        )
    kind = one.get("type")
    if kind == "array":
        if type_.item is None:
            return [*found, f"{place}: is a list"]
        return found + differences(type_.item, one["items"], f"{place}[]")
    if kind == "object" and "properties" in one:
        members = members_of(known) if known.members is not None or known.names else None
        if members is None:
            return [*found, f"{place}: is an object"]
        sent = set(one["properties"])
        if INDEX not in members:
            found += [f"{place}: {name} is not declared" for name in sorted(sent - members.keys())]
        found += [f"{place}: {name} is never sent" for name in sorted(members.keys() - sent - {INDEX})]
        for name in sorted(sent & members.keys()):
            found += differences(members[name], one["properties"][name], f"{place}.{name}")
        return found
    plain = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}.get(str(kind))
    if plain is not None and known.names[:1] != [plain]:
        found.append(f"{place}: is a {plain}, not {known}")
    return found


PAIRS = sorted((name, NAMES.get(name, name)) for name in DECLARED if NAMES.get(name, name) in SCHEMAS)


def test_most_of_what_the_client_declares_is_in_the_description() -> None:
    assert {name for name, _ in PAIRS} >= {
        "CardReading", "CardTree", "Debit", "DriverResult", "FileContent", "Item", "Me", "Nhsa1101", "Problem", "Proof",
        "ReaderInfo", "ReaderList", "Report", "Status", "Unread", "Verdict", "Warning",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "component"), PAIRS)
def test_an_interface_of_the_client_is_what_the_bridge_sends(name: str, component: str) -> None:
    type_ = DECLARED[name]
    if type_.members is not None:
        type_ = TypeScript(members={k: v for k, v in type_.members.items() if k not in NOT_SENT.get(name, ())})
    assert differences(type_, SCHEMAS[component], name) == []


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("{ reader: string; card_session: string }", "X.card_session: null is sent"),
        ("{ reader: string }", "X: card_session is not declared"),
        ("{ reader: number; card_session: string | null }", "X.reader: is a string"),
        ("{ reader: string; card_session: string | null; more: string }", "X: more is never sent"),
    ],
)
def test_a_difference_is_found(written: str, complaint: str) -> None:
    found = differences(Parser(written).union(), SCHEMAS["ChosenReader"], "X")
    assert len(found) == 1 and found[0].startswith(complaint)
