"""The Python in the documents runs as it is printed there, without a reader."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
CARDIO = Path(sys.executable).with_name("cardio")
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("name", ["identity.md", "security.en.md", "security.md", "simulator.en.md", "simulator.md"])
def test_the_examples_of_a_page_run(name: str) -> None:
    blocks = _BLOCK.findall((DOCS / name).read_text(encoding="utf-8"))
    assert blocks
    for block in blocks:
        exec(compile(block, name, "exec"), {})  # noqa: S102 - our own documents


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a command finds beside `make run`: its home, and the address of the bridge."""
    home = tmp_path_factory.mktemp("home")
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "CARDIO_"))}
    environment = theirs | {"HOME": str(home), "LC_ALL": "C.UTF-8"}
    command = [str(CARDIO), "serve", "--demo", "--no-pcsc", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield environment | {"CARDIO_BRIDGE": json.loads(process.stdout.readline())["address"]}
        finally:
            process.terminate()


@pytest.mark.parametrize("name", ["first-card.md", "first-card.en.md"])
def test_the_first_card_is_read_as_the_page_says(name: str, demonstration: dict[str, str]) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    (program,) = _BLOCK.findall(page)
    (request,) = re.findall(r"^\$ (printf .*\n  curl .*)$", page, re.MULTILINE)
    request = request.replace("http://127.0.0.1:12340", demonstration["CARDIO_BRIDGE"])
    (card,) = re.findall(r"^\$ \.venv/bin/cardio (read --reader sim:.*)$", page, re.MULTILINE)
    commands: list[list[str]] = [[str(CARDIO), *card.split()], [sys.executable, "-c", program], ["bash", "-c", request]]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, env=demonstration, timeout=60)
        assert "测试甲" in done.stdout and done.returncode == 0, done
