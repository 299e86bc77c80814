"""How the code is laid out: one name for one thing, and no module that stands loose."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("cardio", "service", "simulators")
AT_THE_TOP = {
    "cardio": {"__init__.py", "bilingual.py", "client.py", "errors.py"},
    "service": {"__init__.py", "app.py", "bootstrap.py", "security.py", "server.py", "settings.py", "state.py"},
    "simulators": {"__init__.py"},
}
"""Modules that stand beside the folders; each is a floor of its own, or no floor at all."""


def modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


def test_no_public_class_name_is_given_twice() -> None:
    names = Counter(
        node.name
        for package in PACKAGES
        for file in modules(package)
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_stands_loose_at_the_top(package: str) -> None:
    assert {file.name for file in (ROOT / package).glob("*.py")} == AT_THE_TOP[package]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_with_modules_is_a_package(package: str) -> None:
    """A folder without `__init__.py` is not installed, and no contract sees it."""
    folders = {file.parent for file in modules(package)}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
