"""A document in two editions: Chinese and English say the same, so far as a program can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EDITIONS = [("README.md", "README.en.md")]
_BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)#]+)")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def without_words(text: str) -> str:
    """A code block without its comments, and without what a program answers in its own language."""
    lines = [re.sub(r"\s*(?:# |  # ).*", "", line) for line in text.splitlines()]
    return "\n".join(line for line in lines if line.startswith(("$", "make", " ", "from", "try", "except")))


@pytest.mark.parametrize(("chinese", "english"), EDITIONS)
def test_two_editions_have_the_same_parts(chinese: str, english: str) -> None:
    levels = [re.findall(r"^(#+) ", re.sub(_BLOCK, "", text_of(one)), re.MULTILINE) for one in (chinese, english)]
    assert levels[0] == levels[1]
    links = [sorted(set(_LINK.findall(text_of(one))) - {chinese, english}) for one in (chinese, english)]
    # Each edition has pictures of its own language.
    assert [re.sub(r"-(zh|en)\.png", ".png", one) for one in links[0]] == [
        re.sub(r"-(zh|en)\.png", ".png", one) for one in links[1]
    ]
    rows = [re.findall(r"^\| (`.*?) \|", text_of(one), re.MULTILINE) for one in (chinese, english)]
    assert rows[0] == rows[1] and len(rows[0]) > 10
    items = [len(re.findall(r"^- ", text_of(one), re.MULTILINE)) for one in (chinese, english)]
    assert items[0] == items[1]


@pytest.mark.parametrize(("chinese", "english"), EDITIONS)
def test_two_editions_have_the_same_commands(chinese: str, english: str) -> None:
    blocks = [
        [(kind, without_words(code)) for kind, code in _BLOCK.findall(text_of(one))] for one in (chinese, english)
    ]
    assert blocks[0] == blocks[1] and len(blocks[0]) >= 5


@pytest.mark.parametrize(("chinese", "english"), EDITIONS)
def test_an_edition_is_in_its_language(chinese: str, english: str) -> None:
    prose = re.sub(_BLOCK, "", text_of(english))
    told = [
        line for line in prose.splitlines() if _CHINESE.search(line) and "社会保障卡" not in line and "中文" not in line
    ]
    assert told == []
    paragraphs = [one for one in re.sub(_BLOCK, "", text_of(chinese)).split("\n\n") if len(one) > 60]
    assert [one for one in paragraphs if not _CHINESE.search(one)] == []


@pytest.mark.parametrize(("chinese", "english"), EDITIONS)
def test_each_leads_to_the_other(chinese: str, english: str) -> None:
    assert f"]({english})" in text_of(chinese)[:200] and f"]({chinese})" in text_of(english)[:200]
