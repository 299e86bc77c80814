"""Completion in a real bash, and the manual page in a real man."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.warm_cardio import warm_command


def made(shell: str, *more: str) -> str:
    return subprocess.run(
        [warm_command(), "completion", shell, *more], capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = tmp_path_factory.mktemp("completion") / "cardio"
    script.write_text(made("bash"))
    return script


def completed(script: Path, line: str) -> list[str]:
    """What bash offers at the end of a line."""
    words = line.split(" ")
    array = " ".join(f"'{word}'" for word in words)
    begin = f'source "{script}"; COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; _cardio; '
    asked = begin + 'printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True, timeout=20)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("cardio re", ["readers", "read", "reserve"]),
        ("cardio read --pin", ["--pin", "--pin-pad", "--pin-stdin"]),
        ("cardio serve --log-level D", ["DEBUG"]),
        ("cardio read --lang ", ["zh", "en", "both"]),
        ("cardio completion f", ["fish"]),
        ("cardio sim l", ["list"]),
        ("cardio nothing --x", []),
        ("cardio --j", ["--json"]),
        ("cardio --lang ", ["zh", "en", "both"]),
        ("cardio --lang = e", ["en"]),
        ("cardio --lang = en identi", ["identify"]),
        ("cardio --json --lang en re", ["readers", "read", "reserve"]),
        ("cardio --json sim l", ["list"]),
        ("cardio --lang zh serve --log-level D", ["DEBUG"]),
    ],
)
def test_bash_completes(bash_script: Path, line: str, offered: list[str]) -> None:
    assert completed(bash_script, line) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_the_options_before_a_command_too(shell: str) -> None:
    """``--version`` has no other place."""
    said = made(shell, "--lang", "en")
    named = {"bash": "'')", "zsh": "'')", "fish": "not __fish_seen_subcommand_from"}[shell]
    before = [line for line in said.splitlines() if named in line]
    for option in ("version", "json", "lang"):
        assert any(option in line for line in before), option


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_every_command_and_option(shell: str) -> None:
    script = made(shell, "--lang", "zh")
    for word in ("identify", "accept-last-try", "读取持卡人和卡的基本信息"):
        assert word in script
    assert script.count("\n") > 20 and "None" not in script


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["SYNOPSIS", "OPTIONS", "--json", "read who the card belongs to"]),
        ("zh", ["退出状态", "选项", "读取持卡人"]),
    ],
)
def test_the_manual_page_is_one(tmp_path: Path, language: str, words: list[str]) -> None:
    page = tmp_path / "cardio.1"
    page.write_text(made("man", "--lang", language))
    assert page.read_text().startswith(".TH CARDIO 1")
    man = shutil.which("man")
    assert man is not None, "make test installs man-db"
    shown = subprocess.run(
        [man, "-l", str(page)], capture_output=True, text=True, check=True, timeout=60,
        env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MAN_KEEP_FORMATTING": ""},
    )  # fmt: skip
    assert "warning" not in shown.stderr and all(word in shown.stdout for word in words)
    assert made("man", "--lang", language) == page.read_text(), "the same program has the same page"
