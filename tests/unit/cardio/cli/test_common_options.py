"""The options that every command has stand before its word too, before and behind that of an action, or between."""

from __future__ import annotations

import json
import re
from itertools import product

import pytest

from cardio.cli.language import Language
from cardio.cli.main import build_parser
from tests.unit.cardio.cli.test_language import CHINESE, ENGLISH_WORD, actions_of, cardio


@pytest.mark.parametrize(
    "before", [("--json",), ("--json", "--lang", "en"), ("--lang", "en", "--json"), ("--json", "--lang=zh")]
)
def test_a_document_is_asked_for_before_the_command(before: tuple[str, ...]) -> None:
    behind = cardio("read", "--reader", "sim:adult", "--json")
    done = cardio(*before, "read", "--reader", "sim:adult")
    assert done.returncode == 0 and json.loads(done.stdout)["card"] == json.loads(behind.stdout)["card"]
    assert done.stderr == behind.stderr


def test_a_language_is_asked_for_before_the_command() -> None:
    behind = cardio("read", "--reader", "sim:adult", "--lang", "en", locale="zh_CN.UTF-8")
    for before in (["--lang", "en"], ["--lang=en"]):
        done = cardio(*before, "read", "--reader", "sim:adult", locale="zh_CN.UTF-8")
        assert done.returncode == 0 and done.stdout == behind.stdout and "identification" in done.stdout


@pytest.mark.parametrize("words", [words for words, _ in actions_of(build_parser())], ids=" ".join)
def test_every_command_and_action_takes_them_at_every_place(words: tuple[str, ...]) -> None:
    """Wherever they stand, they are heard, and nothing later undoes them."""
    parser = build_parser(Language.ENGLISH)
    # Arguments that the command requires are of no interest here: only these options are parsed.
    for command in [sub for _, sub in actions_of(parser)]:
        for action in command._actions:
            action.required = False
            if not (action.option_strings or isinstance(action.choices, dict)):
                action.nargs = "?"
    for places in product(range(len(words) + 1), repeat=2):
        line = list(words)
        for place, option in sorted(zip(places, (["--json"], ["--lang", "zh"]), strict=True), reverse=True):
            line[place:place] = option
        options = parser.parse_args(line)
        assert options.json is True and options.lang == "zh", line


@pytest.mark.parametrize(("locale", "named"), [("zh_CN.UTF-8", "输出 JSON"), ("en_US.UTF-8", "print JSON")])
def test_the_general_help_names_them(locale: str, named: str) -> None:
    said = cardio("--help", locale=locale).stdout
    assert "--json" in said and "--lang" in said and named in said


def test_a_document_is_the_answer_to_no_command_and_to_the_version() -> None:
    done = cardio("--json")
    assert done.returncode == 2 and json.loads(done.stdout)["error"]["code"] == "usage" and done.stderr == ""
    told = cardio("--version", "--json")
    assert told.returncode == 0 and f"cardio {json.loads(told.stdout)['version']}\n" == cardio("--version").stdout


def test_a_language_that_is_none_is_refused_before_the_command_as_behind_it() -> None:
    for arguments in (["--lang", "fr", "read"], ["read", "--lang", "fr"]):
        done = cardio(*arguments, locale="en_US.UTF-8")
        assert done.returncode == 2 and "--lang" in done.stderr and not CHINESE.search(done.stderr), done.stderr


@pytest.mark.parametrize("words", [words for words, _ in actions_of(build_parser()) if len(words) > 1], ids=" ".join)
def test_the_help_of_an_action_is_in_one_language(words: tuple[str, ...]) -> None:
    chinese = dict(actions_of(build_parser(Language.CHINESE)))[words].format_help()
    assert chinese.startswith("用法: cardio") and "example" not in chinese
    told = "\n".join(re.sub(r"--[a-z-]+", "", line) for line in chinese.splitlines() if CHINESE.search(line))
    assert not ENGLISH_WORD.search(told), told
    english = dict(actions_of(build_parser(Language.ENGLISH)))[words].format_help()
    assert english.startswith("usage: cardio") and not CHINESE.search(re.sub(r"[，：（）、…]", "", english)), english
