"""Colours: on a terminal that shows them, for a person who has not turned them off, and nowhere else."""

from __future__ import annotations

import io
import json
import os
import subprocess

import pytest

from cardio.cli.colour import Colour, is_coloured, marked, painted
from tests.unit.cardio.cli.terminal import SEQUENCE, on_terminal
from tests.warm_cardio import warm_command

RED, YELLOW, DIM = "\x1b[1;31m", "\x1b[33m", "\x1b[2m"
NOBODY = ("read", "--reader", "sim:nobody")
ADULT = ("read", "--reader", "sim:adult")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("locale", "first"), [("zh_CN.UTF-8", "错误："), ("en_US.UTF-8", "Error: ")])
def test_an_errors_first_line_is_red_and_no_other(locale: str, first: str) -> None:
    what, remedy, *rest = on_terminal(*NOBODY, locale=locale).terminal.split("\r\n")
    assert what.startswith(RED + first) and what.endswith("\x1b[0m") and SEQUENCE.sub("", what).endswith("]")
    assert remedy and not SEQUENCE.search(remedy) and rest == [""]


def test_names_are_dim_and_values_are_not() -> None:
    for line in on_terminal(*ADULT).terminal.split("\r\n")[:-1]:
        assert not SEQUENCE.search(line) or line.startswith(DIM)
        assert "\x1b[0m" not in line.partition("\x1b[0m")[2], "one name in a line"
    assert f"{DIM}姓名\x1b[0m " in on_terminal(*ADULT).terminal


def test_a_warning_is_yellow() -> None:
    shown = on_terminal("read", "--reader", "sim:field", streams="stderr").terminal
    heeded = [line for line in shown.split("\r\n") if "注意" in line]
    assert heeded and all(line.startswith(YELLOW) for line in heeded)


def test_marks_have_a_colour() -> None:
    shown = on_terminal("identify", "--reader", "sim:adult").terminal
    assert "\x1b[32m✓\x1b[0m" in shown
    assert "\x1b[31m✗\x1b[0m" in on_terminal("files", "--reader", "sim:adult").terminal


@pytest.mark.parametrize("told", [{"NO_COLOR": "1"}, {"NO_COLOR": "0"}, {"TERM": "dumb"}])
def test_it_can_be_turned_off(told: dict[str, str]) -> None:
    for arguments in (ADULT, NOBODY):
        shown = on_terminal(*arguments, told=told)
        assert len(shown.terminal) > 40 and "\x1b" not in shown.terminal


def test_an_empty_variable_turns_nothing_off() -> None:
    """https://no-color.org: it counts when it is not empty."""
    assert RED in on_terminal(*NOBODY, told={"NO_COLOR": ""}).terminal


@pytest.mark.parametrize("arguments", [ADULT, NOBODY, ("files", "--reader", "sim:adult"), ("sim", "list")])
def test_a_pipe_has_none_even_where_a_build_server_asks_for_it(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [warm_command(), *arguments], capture_output=True, check=False, timeout=60,
        env=os.environ | {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TERM": "xterm-256color"},
    )  # fmt: skip
    assert done.stdout + done.stderr and b"\x1b" not in done.stdout + done.stderr


def test_each_stream_is_looked_at_by_itself() -> None:
    answer = on_terminal("read", "--reader", "sim:field", streams="stdout")
    assert DIM in answer.terminal and "注意" in answer.pipe and "\x1b" not in answer.pipe
    notes = on_terminal("read", "--reader", "sim:field", streams="stderr")
    assert YELLOW in notes.terminal and "姓名" in notes.pipe and "\x1b" not in notes.pipe


@pytest.mark.parametrize("arguments", [ADULT, NOBODY, ("dump", "--reader", "sim:whole")])
def test_a_document_has_none_on_a_terminal_either(arguments: tuple[str, ...]) -> None:
    shown = on_terminal(*arguments, "--json", columns=200).terminal
    assert "\x1b" not in shown and isinstance(json.loads(shown), dict)


@pytest.mark.parametrize("arguments", [ADULT, ("identify", "--reader", "sim:adult"), ("sim", "list")])
def test_nothing_moves_by_it(arguments: tuple[str, ...]) -> None:
    coloured = on_terminal(*arguments, columns=300).terminal
    plain = on_terminal(*arguments, columns=300, told={"NO_COLOR": "1"}).terminal
    assert coloured != plain and SEQUENCE.sub("", coloured) == plain


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", True),
        ({}, "win32", False),
        ({"WT_SESSION": "6f0e"}, "win32", True),
        ({"ConEmuANSI": "ON"}, "win32", True),
        ({"ConEmuANSI": "OFF"}, "win32", False),
        ({"WT_SESSION": "6f0e", "NO_COLOR": "1"}, "win32", False),
    ],
)
def test_a_windows_console_has_to_be_known(environment: dict[str, str], platform: str, expected: bool) -> None:
    assert is_coloured(Terminal(), environment, platform) is expected
    assert is_coloured(io.StringIO(), environment, platform) is False


def test_a_closed_stream_is_no_terminal() -> None:
    closed = Terminal()
    closed.close()
    assert is_coloured(io.StringIO(), {}) is False
    gone = io.StringIO()
    gone.close()
    assert is_coloured(gone, {}) is False


def test_blanks_and_texts_without_a_mark_stay() -> None:
    assert painted("  name   ", Colour.LABEL) == "  \x1b[2mname\x1b[0m   "
    assert painted("   ", Colour.LABEL) == "   " and painted("name", None) == "name"
    assert marked("✗ 2") == "\x1b[31m✗\x1b[0m 2" and marked("–") == "–" and marked("") == ""
