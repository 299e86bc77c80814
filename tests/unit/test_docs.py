"""The documents that are made from the code are fresh, and the README's links lead somewhere."""

import re
from pathlib import Path

import pytest

from scripts.make_docs import REFERENCE, pages

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", list(pages()))
def test_a_reference_page_is_what_the_code_says_now(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == pages()[name], "stale: run make docs"


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} → {target}"
