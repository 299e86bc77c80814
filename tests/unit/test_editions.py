"""A document in two editions: Chinese and English say the same, so far as a program can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EDITIONS = [
    ("README.md", "README.en.md"),
    ("docs/troubleshooting.md", "docs/troubleshooting.en.md"),
    ("docs/clerk.md", "docs/clerk.en.md"),
    ("docs/operating.md", "docs/operating.en.md"),
    ("docs/security.md", "docs/security.en.md"),
    ("docs/first-card.md", "docs/first-card.en.md"),
    ("docs/simulator.md", "docs/simulator.en.md"),
    ("docs/debits.md", "docs/debits.en.md"),
    ("docs/tutorials/his-in-ci.md", "docs/tutorials/his-in-ci.en.md"),
    ("docs/tutorials/identity-desk.md", "docs/tutorials/identity-desk.en.md"),
    ("docs/tutorials/simulator-developer.md", "docs/tutorials/simulator-developer.en.md"),
]
_BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)#]+)")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands_in(text: str) -> str:
    """A code block without its comments, and without what a program answers in its own language."""
    lines = [re.sub(r"\s*(?:# |  # ).*", "", line) for line in text.splitlines()]
    return "\n".join(line for line in lines if line.startswith(("$", "make", " ", "from", "try:", "except")))


def parts_of(name: str) -> dict[str, list[str]]:
    """What both editions of a document have to have alike; links lead to the other document of the same language."""
    text = text_of(name)
    prose = re.sub(_BLOCK, "", text)
    other = name.rpartition("/")[2].replace(".en.md", ".md")
    links = {re.sub(r"(\.en\.md|-(zh|en)\.png)$", "", link).removesuffix(".md") for link in _LINK.findall(text)}
    return {
        "headings": re.findall(r"^(#+) ", prose, re.MULTILINE),
        "links": sorted(links - {other.removesuffix(".md")}),
        "rows": re.findall(r"^\| (`.*?) \|", prose, re.MULTILINE),
        "tables": re.findall(r"^(\|)", prose, re.MULTILINE),
        "items": re.findall(r"^(-|\d\.) ", prose, re.MULTILINE),
        "commands": [f"{kind} {commands_in(code)}" for kind, code in _BLOCK.findall(text)],
        "names": sorted(set(re.findall(r"`([^`\n]+)`", prose))),
    }


@pytest.mark.parametrize(("chinese", "english"), EDITIONS)
def test_two_editions_have_the_same_parts(chinese: str, english: str) -> None:
    ours, theirs = parts_of(chinese), parts_of(english)
    assert ours == theirs
    assert len(ours["headings"]) > 3 and len(ours["tables"]) > 5


@pytest.mark.parametrize(("chinese", "english"), EDITIONS)
def test_an_edition_is_in_its_language(chinese: str, english: str) -> None:
    named = re.sub("社会保障卡|中文", "", re.sub(_BLOCK, "", text_of(english)))
    assert [line for line in named.splitlines() if _CHINESE.search(line)] == []
    paragraphs = [one for one in re.sub(_BLOCK, "", text_of(chinese)).split("\n\n") if len(one) > 60]
    assert [one for one in paragraphs if not _CHINESE.search(one)] == []


@pytest.mark.parametrize(("chinese", "english"), EDITIONS)
def test_each_leads_to_the_other(chinese: str, english: str) -> None:
    beginnings = text_of(chinese)[:200], text_of(english)[:200]
    assert f"]({english.rpartition('/')[2]})" in beginnings[0] and f"]({chinese.rpartition('/')[2]})" in beginnings[1]


@pytest.mark.parametrize("name", [name for pair in EDITIONS for name in pair])
def test_links_lead_to_documents_in_the_same_language(name: str) -> None:
    language = ".en.md" if name.endswith(".en.md") else ".md"
    itself = {one.rpartition("/")[2] for pair in EDITIONS if name in pair for one in pair}
    for link in set(_LINK.findall(text_of(name))) - itself:
        both = re.sub(r"(\.en)?\.md$", "", link)
        if (ROOT / name).parent.joinpath(f"{both}.en.md").exists():
            assert link == both + language, f"{name} → {link}"


@pytest.mark.parametrize("name", ["docs/troubleshooting.md", "docs/troubleshooting.en.md"])
def test_a_symptom_that_is_named_by_its_code_is_one(name: str) -> None:
    errors = re.findall(r"^\| `([a-z-]+)` ", text_of("docs/reference/errors.md"), re.MULTILINE)
    states = re.findall(r'"([a-z-]+)"', text_of("service/web/sdk/cardio-bridge.d.ts"))
    reasons = re.findall(r'"([a-z-]+)"', "".join(one.read_text() for one in (ROOT / "cardio").rglob("*.py")))
    for code in re.findall(r"^\| `([a-z0-9-]+)` \|", text_of(name), re.MULTILINE):
        assert code in {*errors, *states, *reasons}, code
