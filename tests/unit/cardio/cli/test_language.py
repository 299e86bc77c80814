"""The command speaks the language of its user; its help, its errors and its answers, each in that one."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cardio.cli.language import Language, help_in, language_of, title_in
from cardio.cli.main import build_parser, commands
from cardio.cli.table import display_width, wrapped
from tests.warm_cardio import warm_command

CARDIO = Path(sys.executable).with_name("cardio")
CHINESE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
ENGLISH_WORD = re.compile(r"\b(the|of|is|are|and|what|this|with)\b")


def cardio(*arguments: str, locale: str = "C.UTF-8") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    return subprocess.run(
        [warm_command(), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        env=environment | {"LANG": locale, "PYTHONUTF8": "1"},
    )


def on_terminal(columns: int, *arguments: str, locale: str) -> str:
    """What the command shows on a terminal that is so wide."""
    inside, outside = pty.openpty()
    fcntl.ioctl(outside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    process = subprocess.Popen(
        [warm_command(), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=outside,
        stderr=subprocess.DEVNULL,
        env=environment | {"LANG": locale, "PYTHONUTF8": "1", "COLUMNS": "7", "NO_COLOR": "1"},
    )
    os.close(outside)
    said = b""
    with suppress(OSError):  # the terminal is gone when its program has ended
        while part := os.read(inside, 65536):
            said += part
    os.close(inside)
    assert process.wait(60) in (0, 1)
    return said.decode()


def widest(text: str) -> int:
    return max(display_width(line) for line in text.splitlines())


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, Language.BOTH),
        ({"LANG": "C.UTF-8"}, Language.BOTH),
        ({"LANG": "POSIX"}, Language.BOTH),
        ({"LANG": "zh_CN.GBK"}, Language.CHINESE),
        ({"LANG": "zh"}, Language.CHINESE),
        ({"LANG": "en_GB.UTF-8"}, Language.ENGLISH),
        ({"LANG": "de_DE.UTF-8"}, Language.BOTH),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, Language.ENGLISH),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN"}, Language.CHINESE),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, Language.CHINESE),
    ],
)
def test_the_language_is_that_of_the_locale(environment: dict[str, str], language: Language) -> None:
    assert language_of([], environment) is language


@pytest.mark.parametrize(
    "arguments", [["read", "--lang", "en"], ["--lang=en", "read"], ["read", "--lang=en", "--json"]]
)
def test_an_option_names_another(arguments: list[str]) -> None:
    assert language_of(arguments, {"LANG": "zh_CN.UTF-8"}) is Language.ENGLISH
    assert language_of(["read", "--lang", "both"], {"LANG": "zh_CN.UTF-8"}) is Language.BOTH


@pytest.mark.parametrize(
    ("text", "chinese", "english"),
    [
        ("显示版本 / show the version", "显示版本", "show the version"),
        ("样例 / 故障 / faults", "样例 / 故障", "faults"),
        ("读甲 / read a / b", "读甲", "read a / b"),
        ("  cardio open      读卡台 / the counter", "  cardio open      读卡台", "  cardio open      the counter"),
        ("  cardio read", "  cardio read", "  cardio read"),
        ("  cardio x      11 项 / 11 items", "  cardio x      11 项", "  cardio x      11 items"),
    ],
)
def test_a_text_is_declared_in_both(text: str, chinese: str, english: str) -> None:
    assert help_in(Language.CHINESE, text) == chinese
    assert help_in(Language.ENGLISH, text) == english
    assert help_in(Language.BOTH, text) == text
    assert title_in(Language.ENGLISH, "读卡器 reader") == "reader" and title_in(Language.CHINESE, "ATR") == "ATR"


@pytest.mark.parametrize("name", ["", *(command.name for command in commands())])
def test_every_help_is_in_one_language(name: str) -> None:
    arguments = [name, "--help"] if name else ["--help"]
    chinese = cardio(*arguments, locale="zh_CN.UTF-8").stdout
    english = cardio(*arguments, locale="en_US.UTF-8").stdout
    assert chinese.startswith("用法: cardio") and "选项" in chinese and "options" not in chinese
    assert english.startswith("usage: cardio") and "options" in english
    assert not CHINESE.search(re.sub(r"养老保险|姓名|上海市测试路1号|[，：（）、…]", "", english)), english
    said = "\n".join(re.sub(r"--[a-z-]+", "", line) for line in chinese.splitlines() if CHINESE.search(line))
    assert not ENGLISH_WORD.search(said), said


@pytest.mark.parametrize(
    ("locale", "there", "absent"), [("zh_CN.UTF-8", "错误：", "Error"), ("en_US.UTF-8", "Error:", "错误")]
)
def test_an_error_is_in_one_language(locale: str, there: str, absent: str) -> None:
    said = cardio("read", "--reader", "sim:nobody", locale=locale).stderr
    assert said.startswith(there) and absent not in said and "[reader-not-found]" in said
    assert len(said.splitlines()) == 2, "what happened, and what to do"


@pytest.mark.parametrize(
    ("arguments", "chinese", "english"),
    [
        (["rea"], "没有命令 rea，是否想输入 read", "there is no command rea; did you mean read?"),
        (["read", "--pin-padd"], "没有选项 --pin-padd，是否想输入 --pin-pad", "did you mean --pin-pad?"),
        (["sim", "lst"], "是否想输入 list", "did you mean list?"),
        (["read", "--reader"], "--reader 后面缺少一个值", "--reader wants a value"),
        (["show"], "缺少参数：FILE", "missing arguments: FILE"),
        (["read", "one"], "多余的参数：one", "too many arguments: one"),
        (["sim", "list", "--port", "1"], "选项 --port 不能用在这里", "the option --port does not belong here"),
        (["serve", "--port", "99999"], "--port：“99999”不是端口，应为 0 至 65535", "--port: a port is 0 to 65535"),
    ],
)
def test_wrong_usage_says_what_was_probably_meant(arguments: list[str], chinese: str, english: str) -> None:
    for locale, words in (("zh_CN.UTF-8", chinese), ("en_US.UTF-8", english)):
        done = cardio(*arguments, locale=locale)
        assert done.returncode == 2 and words in done.stderr and "--help" in done.stderr, done.stderr
        assert ("Error" in done.stderr) == (locale == "en_US.UTF-8")


def actions_of(parser: ArgumentParser) -> Iterator[tuple[tuple[str, ...], ArgumentParser]]:
    """Every command, and every action of a command, with the words that call it."""
    for action in parser._actions:
        for name, sub in action.choices.items() if isinstance(action.choices, dict) else ():
            yield (name,), sub
            yield from (((name, *words), inner) for words, inner in actions_of(sub))


def test_general_options_stand_behind_the_command_or_behind_its_action() -> None:
    found = dict(actions_of(build_parser()))
    assert {("read",), ("sim", "list"), ("pin", "status"), ("keys", "resume"), ("pki", "verify")} <= set(found)
    for words, parser in found.items():
        options = {option: action for action in parser._actions for option in action.option_strings}
        for option in ("--help", "--json", "--lang"):
            assert option in options, f"{' '.join(words)} {option}"
            assert options[option].default == SUPPRESS, f"{' '.join(words)} undoes an {option} before it"


@pytest.mark.parametrize(
    "arguments", [["sim", "list", "--lang", "en"], ["sim", "--lang", "en", "list"], ["--lang=en", "sim", "list"]]
)
def test_a_language_is_taken_wherever_it_is_named(arguments: list[str]) -> None:
    done = cardio(*arguments, locale="zh_CN.UTF-8")
    assert done.returncode == 0 and done.stdout == cardio("sim", "list", locale="en_US.UTF-8").stdout, done.stderr


@pytest.mark.parametrize("arguments", [["keys", "status", "--json"], ["keys", "--json", "status"]])
def test_json_is_given_wherever_it_is_asked_for(arguments: list[str]) -> None:
    done = cardio(*arguments, "--lang", "en")
    assert "stopped" in json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("command", [["read"], ["identify"], ["files"], ["sim", "list"]])
@pytest.mark.parametrize("locale", ["zh_CN.UTF-8", "en_US.UTF-8"])
def test_an_answer_is_in_one_language(command: list[str], locale: str) -> None:
    reader = [] if command[0] == "sim" else ["--reader", "sim:adult"]
    said = cardio(*command, *reader, locale=locale).stdout
    both = cardio(*command, *reader).stdout
    assert widest(said) < widest(both)
    if locale.startswith("zh"):
        assert not ENGLISH_WORD.search(re.sub(r"\w+ and \w+|needs-[a-z-]+", "", said)), said


@pytest.mark.parametrize("locale", ["zh_CN.UTF-8", "en_US.UTF-8"])
def test_an_answer_fits_the_terminal_and_a_program_reads_a_line_a_row(locale: str) -> None:
    for command in ("read", "identify"):
        said = on_terminal(80, command, "--reader", "sim:adult", locale=locale)
        assert 40 < widest(said) <= 80, said
        plain = cardio(command, "--reader", "sim:adult", locale=locale).stdout
        assert len(plain.splitlines()) <= len(said.splitlines())
    assert widest(on_terminal(80, "read", "--reader", "sim:adult", locale="C.UTF-8")) <= 80, "in both languages too"
    assert widest(on_terminal(200, "read", "--reader", "sim:adult", locale="C.UTF-8")) > 80


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("one two three", ["one two", "three"]),
        ("一二三四五六", ["一二三四", "五六"]),
        ("一二三四，五六", ["一二三", "四，五六"]),
        ("incomprehensible", ["incomprehensible"]),
        ("ab 一二三 cd", ["ab 一二", "三 cd"]),
    ],
)
def test_a_text_is_broken_at_blanks_and_between_characters(text: str, lines: list[str]) -> None:
    assert wrapped(text, 8) == lines


def test_json_is_the_same_in_every_language() -> None:
    answers = {
        cardio("read", "--reader", "sim:adult", "--json", locale=one).stdout for one in ("zh_CN.UTF-8", "C.UTF-8")
    }
    assert len(answers) == 1


def test_every_text_of_the_parser_is_declared_in_both_languages() -> None:
    def texts(parser: object) -> list[str]:
        found: list[str] = []
        for action in parser._actions:  # type: ignore[attr-defined]
            found += [action.help] if action.help and action.help != "==SUPPRESS==" else []
            for sub in action.choices.values() if isinstance(action.choices, dict) else ():
                found += texts(sub)
        return found

    for text in texts(build_parser()):
        assert CHINESE.search(help_in(Language.CHINESE, text)), text
        assert not CHINESE.search(re.sub(r"[，：（）、…]", "", help_in(Language.ENGLISH, text))), text
