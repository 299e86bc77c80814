"""The committed description is true, and what was promised to callers stays so."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from scripts.make_docs import REFERENCE, pages
from scripts.openapi_breaks import breaks

RELEASED = REFERENCE / "openapi-released.json"
"""What callers have been promised. It changes with a release, or by a decision that stands in the CHANGELOG."""


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(pages()["openapi.json"])
    return document


def test_nothing_that_was_promised_is_broken(described: dict[str, Any]) -> None:
    assert breaks(json.loads(RELEASED.read_text(encoding="utf-8")), described) == []


def test_it_is_openapi_3_1_and_says_what_every_refusal_looks_like(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1")
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation["description"] or operation["summary"], (path, method)
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert answer["content"] == problem, (path, method, status)


def gone(document: Any) -> None:
    del document["paths"]["/v1/readers"]


def required(document: Any) -> None:
    schema = document["components"]["schemas"]["LeaseAsked"]
    schema["required"] = ["purpose"]


def shorter(document: Any) -> None:
    document["components"]["schemas"]["LeaseAsked"]["properties"]["purpose"]["maxLength"] = 3


def less(document: Any) -> None:
    del document["components"]["schemas"]["CardReading"]["properties"]["holder"]


def sometimes(document: Any) -> None:
    document["components"]["schemas"]["CardReading"]["required"].remove("card")


def other(document: Any) -> None:
    document["components"]["schemas"]["DeskInfo"]["properties"]["event_counter"]["type"] = "string"


def more_values(document: Any) -> None:
    document["components"]["schemas"]["ReaderStatus"]["enum"].append("asleep")


def fewer_values(document: Any) -> None:
    document["components"]["schemas"]["Scope"]["enum"].remove("settle")


def no_header(document: Any) -> None:
    operation = document["paths"]["/v1/readers/{reader}/card"]["get"]
    operation["parameters"] = [one for one in operation["parameters"] if one["name"] != "cardio-card-session"]


def other_answer(document: Any) -> None:
    responses = document["paths"]["/v1/readers/{reader}/lease"]["post"]["responses"]
    responses["200"] = responses.pop("201")


@pytest.mark.parametrize(
    "change",
    [gone, required, shorter, less, sometimes, other, more_values, fewer_values, no_header, other_answer],
)
def test_each_kind_of_break_is_found(described: dict[str, Any], change: Callable[[Any], None]) -> None:
    changed = copy.deepcopy(described)
    change(changed)
    assert changed != described and breaks(described, changed)


def test_what_is_only_added_breaks_nobody(described: dict[str, Any]) -> None:
    changed = copy.deepcopy(described)
    changed["paths"]["/v1/new"] = changed["paths"]["/v1/readers"]
    schemas = changed["components"]["schemas"]
    schemas["CardReading"]["properties"]["new"] = {"type": "string"}
    schemas["CardReading"]["required"].append("new")
    schemas["LeaseAsked"]["properties"]["new"] = {"type": "string"}
    schemas["LeaseAsked"]["properties"]["purpose"]["maxLength"] = 800
    schemas["Scope"]["enum"].append("new")
    assert [one for one in breaks(described, changed) if "scope" not in one.lower()] == []
