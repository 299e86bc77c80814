"""What the command prints arrives, into a pipe, a file, a terminal of another encoding; or it says that it cannot."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

CARDIO = Path(sys.executable).with_name("cardio")
CANNOT_WRITE, PIPE_CLOSED, NO_READER = 74, 141, 69


def shell(line: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    """A line as a person types it; its output as bytes."""
    return subprocess.run(
        ["bash", "-c", line.replace("cardio", shlex.quote(str(CARDIO)), 1)],
        capture_output=True,
        timeout=60,
        env=os.environ | more,
        check=False,
    )


@pytest.fixture(autouse=True)
def no_pcsc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine where the PC/SC service does not run."""
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(tmp_path / "nothing"))


def test_the_programs_that_tests_start_are_told_nothing_about_python() -> None:
    """Else they would flush, or encode, as no user's do."""
    seen = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout
    assert [line for line in seen.splitlines() if line.startswith("PYTHON")] == []


@pytest.mark.parametrize("arguments", ["--help", "read --help", "serve --help", "sim run --help", "--version"])
def test_what_argparse_and_the_command_print_goes_into_a_pipe_and_a_file(arguments: str, tmp_path: Path) -> None:
    word = b"cardio 0." if arguments == "--version" else "示例 examples:".encode()
    if arguments == "sim run --help":
        word = "示例 example:".encode()
    piped = shell(f"cardio {arguments} | cat; exit ${{PIPESTATUS[0]}}")
    assert (piped.returncode, word in piped.stdout) == (0, True)
    filed = shell(f"cardio {arguments} > {tmp_path / 'out'}")
    assert (filed.returncode, word in (tmp_path / "out").read_bytes()) == (0, True)


@pytest.mark.parametrize(
    "arguments", ["--help", "read --help", "--version", "read --reader sim:adult", "readers --json", "sim list"]
)
def test_a_full_disk_is_told_in_words_with_its_status(arguments: str) -> None:
    done = shell(f"cardio {arguments} > /dev/full")
    said = done.stderr.decode()
    assert done.returncode == CANNOT_WRITE
    assert "错误：输出无法写入" in said and "处理：请检查磁盘空间" in said and "Traceback" not in said


def test_an_error_keeps_its_status_where_nobody_can_be_told() -> None:
    for line in ("cardio read --reader sim:nobody 2>/dev/full", "cardio read --reader sim:nobody 2>&-"):
        assert shell(line).returncode == NO_READER
    done = shell("cardio read --reader sim:nobody --json 2>/dev/full")
    assert done.returncode == NO_READER and json.loads(done.stdout)["error"]["code"] == "reader-not-found"


def test_an_answer_stands_where_what_is_beside_it_cannot_be_written() -> None:
    done = shell("cardio read --reader sim:adult 2>/dev/full")
    assert done.returncode == 0 and "测试甲" in done.stdout.decode()


@pytest.mark.parametrize("arguments", ["--help", "read --help", "sim list", "read --reader sim:adult --json"])
def test_a_pipe_that_closes_at_once_is_no_error_in_words(arguments: str) -> None:
    """The reading end is closed before the command writes."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [CARDIO, *arguments.split()], stdout=write_end, stderr=subprocess.PIPE, timeout=60, check=False
        )
    finally:
        os.close(write_end)
    assert done.returncode == PIPE_CLOSED
    assert "错误" not in done.stderr.decode() and b"Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("arguments", ["--help", "read --reader sim:adult", "sim list --json"])
def test_a_stream_that_is_closed_disturbs_no_other(arguments: str, closed: str) -> None:
    done = shell(f"cardio {arguments} {closed}")
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert bool(done.stdout) == (">&-" not in closed.replace("2>&-", ""))


# -- encodings ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def gbk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a terminal in zh_CN.GBK: the locale is made here, for most machines have it not."""
    folder = tmp_path_factory.mktemp("locales")
    subprocess.run(
        ["localedef", "-i", "zh_CN", "-f", "GBK", str(folder / "zh_CN.GBK")], check=True, capture_output=True
    )
    return {"LOCPATH": str(folder), "LANG": "zh_CN.GBK", "LC_ALL": "zh_CN.GBK"}


EVERYTHING: Sequence[str] = (
    "--help",
    "read --help",
    "read --reader sim:adult",
    "read --reader sim:rare-name",
    "read --reader sim:nobody",
    "read",
    "readers",
    "doctor",
    "sim list",
    "files --reader sim:whole",
    "nothing",
)


@pytest.mark.parametrize("arguments", EVERYTHING)
def test_a_gbk_terminal_gets_gbk_on_both_streams(arguments: str, gbk: dict[str, str]) -> None:
    done = shell(f"cardio {arguments}", **gbk)
    plain = shell(f"cardio {arguments}", LC_ALL="C.UTF-8")
    assert done.returncode == plain.returncode and b"Traceback" not in done.stderr
    for stream, expected in ((done.stdout, plain.stdout), (done.stderr, plain.stderr)):
        text = stream.decode("gbk")  # raises where it is in another encoding
        chinese = [character for character in expected.decode() if "一" <= character <= "鿿"]
        if chinese:
            assert chinese[0] in text


def test_json_under_gbk_is_json_in_every_encoding(gbk: dict[str, str]) -> None:
    """A name that GBK has not would else be escaped as Python does it, which is no JSON."""
    done = shell("cardio read --reader sim:rare-name --json", **gbk)
    for encoding in ("gbk", "utf-8", "ascii"):
        assert json.loads(done.stdout.decode(encoding))["holder"]["name"] == "测\U0002cb3e㐂龴"


@pytest.mark.parametrize(
    "locale",
    [{"LC_ALL": "POSIX"}, {"LC_ALL": "C"}, {"LANG": "", "LC_ALL": "", "LC_CTYPE": ""}, {"LC_ALL": "zh_CN.nowhere"}],
    ids=["POSIX", "C", "none", "unknown"],
)
@pytest.mark.parametrize("arguments", EVERYTHING)
def test_a_posix_locale_brings_no_traceback(arguments: str, locale: dict[str, str]) -> None:
    done = shell(f"cardio {arguments}", **locale)
    assert done.returncode in (0, 2, NO_READER) and b"Traceback" not in done.stdout + done.stderr
    assert done.stdout or done.stderr


def test_an_error_that_nobody_planned_for_is_told_by_kind_and_place_and_not_by_its_message() -> None:
    """Its message may quote what was read from a card."""
    code = (
        "import cardio.cli.main as command\n"
        "def main():\n    raise ValueError('119900197708090027')\n"
        "command.main = main\ncommand.run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (70, b"")
    assert "错误：程序内部错误（ValueError，<string>:3）" in said and "处理：" in said
    assert "119900197708090027" not in said and "Traceback" not in said
