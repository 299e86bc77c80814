"""The progress of long work: one line of a terminal, rewritten, and gone before anything else is said."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cardio.cli.language import Language
from cardio.cli.output import Output
from cardio.errors import NoCardError
from tests.unit.cardio.cli.terminal import on_terminal

LONG = [("dump",), ("files",), ("insurance",), ("employment",), ("conformance",)]


@pytest.mark.parametrize("command", LONG, ids=" ".join)
@pytest.mark.parametrize(("locale", "words"), [("zh_CN.UTF-8", "读取文件 "), ("en_US.UTF-8", "reading files ")])
def test_reading_a_whole_card_says_how_far_it_is(command: tuple[str, ...], locale: str, words: str) -> None:
    shown = on_terminal(*command, "--reader", "sim:whole", streams="stderr", locale=locale)
    said = [part for part in shown.terminal.split("\r") if part.startswith(words)]
    assert len(said) > 5 and len(said) == len(set(said)), "each is said once"
    assert said[0].startswith(f"{words}1/") and "\n" not in "".join(said), "in one line"
    assert not any(words in line for line in shown.lines), "it is gone"
    assert words not in shown.pipe


@pytest.mark.parametrize("command", LONG, ids=" ".join)
def test_what_is_printed_where_it_stood_is_whole(command: tuple[str, ...]) -> None:
    both = on_terminal(*command, "--reader", "sim:whole")
    answer = on_terminal(*command, "--reader", "sim:whole", streams="stdout")
    notes = on_terminal(*command, "--reader", "sim:whole", streams="stderr")
    assert [line for line in both.lines if line] == [line for line in [*answer.lines, *notes.lines] if line]


@pytest.mark.parametrize("told", [("--json",), ()])
def test_a_program_is_told_nothing_of_it(told: tuple[str, ...]) -> None:
    piped = on_terminal("dump", "--reader", "sim:whole", *told, streams="stdout")
    assert "读取文件" not in piped.pipe and "\r" not in piped.pipe and piped.status == 0
    if told:
        assert on_terminal("dump", "--reader", "sim:whole", *told, streams="stderr").terminal == ""


def test_a_terminal_without_a_cursor_is_told_nothing_of_it() -> None:
    assert (
        "读取文件" not in on_terminal("dump", "--reader", "sim:whole", streams="stderr", told={"TERM": "dumb"}).terminal
    )


class Written:
    """An output whose standard error is a terminal, and what has come there."""

    def __init__(self, language: Language = Language.CHINESE) -> None:
        self._inside, outside = pty.openpty()
        os.set_blocking(self._inside, False)
        self._stderr = os.fdopen(outside, "w", encoding="utf-8")
        self._stdout = open(os.devnull, "w", encoding="utf-8")
        fcntl.ioctl(outside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 40, 0, 0))
        self.output = Output(as_json=False, language=language, stdout=self._stdout, stderr=self._stderr)

    def text(self) -> str:
        said = b""
        with suppress(BlockingIOError):
            while part := os.read(self._inside, 65536):
                said += part
        return said.decode()

    def close(self) -> None:
        self._stderr.close()
        self._stdout.close()
        os.close(self._inside)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    made = Written()
    yield made
    made.close()


ERASED = "\r" + " " * len("xxxx 3/10") + "\r"


@pytest.mark.parametrize("what", ["error", "text", "note", "end", "close"])
def test_whatever_comes_next_finds_the_line_empty(written: Written, what: str) -> None:
    progress = written.output.progress("读卡", "reading")
    assert progress is not None
    progress(3, 10)
    assert written.text() == "读卡 3/10"
    match what:
        case "error":
            written.output.error(NoCardError())
        case "text":
            written.output.text("x")
        case "note":
            written.output.note("x")
        case "end":
            progress(10, 10)
        case _:
            written.output.close()
    assert written.text().startswith(ERASED)
    written.output.close()
    assert written.text() == "", "once"


def test_of_very_many_the_hundredth_part_is_said(written: Written) -> None:
    progress = written.output.progress("核对", "checking")
    assert progress is not None
    for done in range(0, 100_000, 500):
        progress(done, 100_000)
    said = [part for part in written.text().split("\r") if part.strip()]
    assert said == [f"核对 {part} %" for part in range(100)], "each once, however often it is told"


def test_what_does_not_fit_into_one_line_is_not_begun(written: Written) -> None:
    progress = written.output.progress("很长的工作" * 8, "long")
    assert progress is not None
    progress(1, 10)
    assert written.text() == ""
