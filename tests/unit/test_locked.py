"""What is installed and bundled is locked: one version of each package, with hashes, and nothing beside it."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKED = ROOT / "packaging" / "locked"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)[^\n]*((?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)*)", re.MULTILINE)


def _pins(name: str) -> dict[str, set[str]]:
    """The versions of each package in a lock file. A package may have one for each version of Python."""
    pins: dict[str, set[str]] = {}
    for package, version, hashes in _PIN.findall((LOCKED / f"{name}.txt").read_text()):
        assert hashes, f"{package} has no hash in {name}.txt"
        pins.setdefault(canonicalize_name(package), set()).add(version)
    return pins


def _wanted(*extras: str) -> list[Requirement]:
    project = PROJECT["project"]
    texts = [*project["dependencies"], *(text for extra in extras for text in project["optional-dependencies"][extra])]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("service", _wanted("service", "shell")),
        ("readers", [Requirement(text) for text in PROJECT["project"]["optional-dependencies"]["pcsc"]]),
        ("building", [Requirement(text) for text in PROJECT["build-system"]["requires"]]),
        ("development", _wanted("pcsc", "service", "shell", "dev")),
    ],
)
def test_the_lock_has_what_the_project_wants(name: str, wanted: list[Requirement]) -> None:
    pins = _pins(name)
    for requirement in wanted:
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement} is not in {name}.txt: make lock"
        assert all(requirement.specifier.contains(version) for version in versions), (
            f"{requirement}: {versions}: make lock"
        )


def test_a_package_has_one_version_everywhere() -> None:
    whole = _pins("development")
    for name in ("service", "readers", "building"):
        assert {package: whole.get(package) for package in _pins(name)} == _pins(name), name


def test_nothing_of_ecdsa_is_used_that_its_advisory_is_about() -> None:
    statements = json.loads((LOCKED / "cardio.openvex.json").read_text())["statements"]
    assert [statement["vulnerability"]["name"] for statement in statements] == ["CVE-2024-23342"]
    used = set()
    for path in (path for floor in ("cardio", "service") for path in (ROOT / floor).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ecdsa":
                used |= {f"{node.module}.{alias.name}" for alias in node.names}
            if isinstance(node, ast.Import):
                assert not any(alias.name.split(".")[0] == "ecdsa" for alias in node.names), path
    # Signing (SigningKey.sign_digest) is what the advisory is about; these are a curve's points, and DER.
    curve = {"CurveFp", "INFINITY", "PointJacobi"}
    assert used == {"ecdsa.der", *(f"ecdsa.ellipticcurve.{name}" for name in curve)}
