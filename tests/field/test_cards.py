"""Cards of the field: each file in ``cards/`` is a report, and its outcome must be the right one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cardio.errors import CardioError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.readers.base import Reader
from simulators.readers.software_reader import SoftwareReader
from tests.field.quirky_card import FieldCase, QuirkyCard, cases
from tests.field.steps import STEPS


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_in_process(case: FieldCase, store: CapabilityCache) -> None:
    reader = SoftwareReader("Counter A 00 00")

    def insert() -> QuirkyCard:
        card = case.card()
        reader.insert(card)
        return card

    run_steps(case, reader, insert, store)


def run_steps(case: FieldCase, reader: Reader, insert: Callable[[], QuirkyCard], store: CapabilityCache) -> None:
    """Makes the calls of a case one after another; ``do = "insert"`` puts in a fresh card of its kind."""
    card = insert()
    for step in case.steps:
        if step["do"] == "insert":
            card = insert()
            continue
        before = len(card.commands)
        outcome, code = None, None
        try:
            outcome = STEPS[step["do"]](reader, store, step)
        except CardioError as error:
            code = error.code
        assert code == step.get("error"), (case.title, step)
        assert_gives(outcome, step.get("gives", {}))
        if "commands" in step:
            assert len(card.commands) - before == step["commands"], [one.hex() for one in card.commands[before:]]
        for sent in step.get("never", ()):
            assert not [one for one in card.commands if one.startswith(bytes.fromhex(sent))], f"{sent} was sent"


def assert_gives(outcome: Any, wanted: Mapping[str, Any]) -> None:
    for path, value in wanted.items():
        assert _at(outcome, path) == value, (path, outcome)


def _at(value: Any, path: str) -> Any:
    """What stands at a dotted path; ``*`` gathers it from each of a list, TOML's lack of null is the text ``null``."""
    first, _, rest = path.partition(".")
    if first == "*":
        return [_at(one, rest) for one in value]
    value = value[int(first)] if isinstance(value, (list, tuple)) else value[first]
    found = _at(value, rest) if rest else value
    return "null" if found is None else found
