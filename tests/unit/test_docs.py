"""The documents that are made from the code are fresh, and the README's links lead somewhere."""

import re
from pathlib import Path

import pytest

from scripts.make_docs import REFERENCE, pages

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", list(pages()))
def test_a_reference_page_is_what_the_code_says_now(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == pages()[name], "stale: run make docs"


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "README.en.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda p: p.name
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} → {target}"


def test_the_threat_model_names_tests_that_exist() -> None:
    """A row that names no test promises what nothing holds."""
    file = None
    rows = [line for line in (ROOT / "docs" / "threat-model.md").read_text("utf-8").splitlines() if ".py" in line]
    assert len(rows) >= 25
    for line in rows:
        for path, name in re.findall(r"((?:[a-z_]+/)+test_[a-z_]+\.py)?(?:::(test_[a-z_0-9]+))?", line.split("|")[3]):
            if path:
                file = ROOT / "tests" / path
                assert file.is_file(), path
            if name:
                assert file is not None
                assert f"def {name}(" in file.read_text("utf-8"), f"{path or file.name}::{name}"


def test_every_row_of_the_threat_model_names_a_test() -> None:
    rows = [
        line
        for line in (ROOT / "docs" / "threat-model.md").read_text("utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| attack")
    ]
    assert [line for line in rows if ".py" not in line.split("|")[3]] == []
