"""The changes of an OpenAPI description that break callers of an older one.

    python -m scripts.openapi_breaks OLD NEW

They are: an address, method or answer that is gone; a new required part of a request; a request that may contain less;
an answer with more kinds of a value than callers know, or without a part that they rely on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Node = Mapping[str, Any]
_LIMITS_DOWN, _LIMITS_UP = ("maxLength", "maximum", "maxItems", "maxProperties"), ("minLength", "minimum", "minItems")


def breaks(old: Node, new: Node) -> list[str]:
    """Return every break with its place; none if callers of the old description can go on."""
    return sorted(set(_Comparison(old, new).all()))


class _Comparison:
    def __init__(self, old: Node, new: Node) -> None:
        self._old = old
        self._new = new
        self._compared: set[tuple[str | None, str | None, bool]] = set()

    def all(self) -> Iterator[str]:
        for path, operations in self._old["paths"].items():
            for method, operation in operations.items():
                other = self._new["paths"].get(path, {}).get(method)
                place = f"{method.upper()} {path}"
                if other is None:
                    yield f"{place}: is gone"
                    continue
                yield from self._request(place, operation, other)
                yield from self._answers(place, operation, other)

    def _request(self, place: str, old: Node, new: Node) -> Iterator[str]:
        before, after = ({(p["in"], p["name"].lower()): p for p in one.get("parameters", [])} for one in (old, new))
        for key, parameter in before.items():
            if key not in after:
                yield f"{place}: parameter {key[1]} is gone"
            else:
                yield from self._schema(f"{place} {key[1]}", parameter["schema"], after[key]["schema"], request=True)
        for key, parameter in after.items():
            if parameter.get("required") and not before.get(key, {}).get("required"):
                yield f"{place}: parameter {key[1]} is required now"
        old_body, new_body = (one.get("requestBody", {}).get("content", {}) for one in (old, new))
        for kind, content in old_body.items():
            if kind not in new_body:
                yield f"{place}: takes no {kind} any more"
            else:
                yield from self._schema(f"{place} body", content["schema"], new_body[kind]["schema"], request=True)
        if new.get("requestBody", {}).get("required") and not old.get("requestBody"):
            yield f"{place}: a body is required now"

    def _answers(self, place: str, old: Node, new: Node) -> Iterator[str]:
        for status, answer in old["responses"].items():
            if not status.startswith("2"):
                continue
            other = new["responses"].get(status)
            if other is None:
                yield f"{place}: no answer {status} any more"
                continue
            for kind, content in answer.get("content", {}).items():
                if kind not in other.get("content", {}):
                    yield f"{place}: {status} is no {kind} any more"
                elif "schema" in content:
                    schema = other["content"][kind].get("schema", {})
                    yield from self._schema(f"{place} {status}", content["schema"], schema, request=False)

    def _schema(self, place: str, old: Node, new: Node, *, request: bool) -> Iterator[str]:
        key = (old.get("$ref"), new.get("$ref"), request)
        if key[0] is not None and key in self._compared:
            return
        self._compared.add(key)
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        before, after = _kinds(old), _kinds(new)
        lost, gained = before - after, after - before
        if request and lost:
            yield f"{place}: may not be {', '.join(sorted(lost))} any more"
        if not request and gained:
            yield f"{place}: may be {', '.join(sorted(gained))} now"
        yield from self._values(place, old, new, request=request)
        properties = old.get("properties", {})
        for name, one in properties.items():
            other = new.get("properties", {}).get(name)
            if other is None:
                if not (request and new.get("additionalProperties", True)):
                    yield f"{place}: {name} is gone"
                continue
            yield from self._schema(f"{place}.{name}", one, other, request=request)
        required_before, required_after = set(old.get("required", ())), set(new.get("required", ()))
        wanted = required_after - required_before if request else required_before - required_after
        for name in sorted(wanted & (set(new.get("properties", {})) | set(properties))):
            yield f"{place}: {name} is {'required' if request else 'not always there'} now"
        if "items" in old and "items" in new:
            yield from self._schema(f"{place}[]", old["items"], new["items"], request=request)
        for one, other in zip(_choices(old), _choices(new), strict=False):
            yield from self._schema(place, one, other, request=request)

    @staticmethod
    def _values(place: str, old: Node, new: Node, *, request: bool) -> Iterator[str]:
        if "enum" in old and "enum" in new:
            changed = set(old["enum"]) - set(new["enum"]) if request else set(new["enum"]) - set(old["enum"])
            if changed:
                yield f"{place}: {', '.join(map(str, sorted(changed)))} is {'refused' if request else 'new'}"
        if not request:
            return
        for name in _LIMITS_DOWN:
            if name in new and new[name] < old.get(name, float("inf")):
                yield f"{place}: {name} is smaller"
        for name in _LIMITS_UP:
            if name in new and new[name] > old.get(name, float("-inf")) and new[name] > 0:
                yield f"{place}: {name} is larger"
        if "pattern" in new and new["pattern"] != old.get("pattern"):
            yield f"{place}: another pattern"


def _resolved(schema: Node, document: Node) -> Node:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _choices(schema: Node) -> list[Node]:
    found: list[Node] = schema.get("anyOf") or schema.get("oneOf") or []
    return [one for one in found if one.get("type") != "null"]


def _kinds(schema: Node) -> set[str]:
    if "anyOf" in schema or "oneOf" in schema:
        listed = schema.get("anyOf") or schema.get("oneOf") or []
        return {kind for one in listed for kind in ({"object"} if "$ref" in one else _kinds(one))}
    kinds = schema.get("type", "object" if "properties" in schema else "any")
    return {kinds} if isinstance(kinds, str) else set(kinds)


def main() -> int:
    old, new = (json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:3])
    found = breaks(old, new)
    print("\n".join(found) or "nothing breaks")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
