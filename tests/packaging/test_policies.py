"""The browser policy templates: well formed, naming no real site, and understood by a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import PACKAGING, ROOT

POLICIES = PACKAGING / "policies"
LINUX = sorted((POLICIES / "linux").glob("*.json"))
WINDOWS = sorted((POLICIES / "windows").glob("*.reg"))
PLACEHOLDER = "https://his.example-hospital.cn"
NAMES = {"LoopbackNetworkAllowedForUrls", "LocalNetworkAccessAllowedForUrls"}


@pytest.mark.parametrize("file", LINUX, ids=lambda file: file.name)
def test_a_managed_policy_names_only_the_placeholder(file: Path) -> None:
    policy = json.loads(file.read_text(encoding="utf-8"))
    assert set(policy) < NAMES
    assert all(origins == [PLACEHOLDER] for origins in policy.values())


@pytest.mark.parametrize("file", WINDOWS, ids=lambda file: file.name)
def test_a_registry_file_says_the_same(file: Path) -> None:
    text = file.read_bytes().decode("ascii")
    assert text.startswith("Windows Registry Editor Version 5.00\r\n\r\n")
    assert text.count("\n") == text.count("\r\n"), "regedit wants its own line ends"
    keys = re.findall(
        r"^\[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\(?:Google\\Chrome|Microsoft\\Edge)\\(\w+)\]\r$", text, re.M
    )
    assert set(keys) == NAMES
    assert re.findall(r'^"\d+"="(.*)"\r$', text, re.M) == [PLACEHOLDER] * len(keys)


def test_there_are_templates() -> None:
    assert [file.name for file in (*LINUX, *WINDOWS)] == [
        "cardio-before-146.json",
        "cardio.json",
        "chrome.reg",
        "edge.reg",
    ]


@pytest.mark.browser
def test_without_a_policy_a_public_page_cannot_reach_this_machine(tmp_path: Path) -> None:
    assert _reached(tmp_path, "his.example-hospital.cn") == {"his.example-hospital.cn": None}


@pytest.mark.browser
@pytest.mark.parametrize("file", LINUX, ids=lambda file: file.name)
def test_a_policy_opens_this_machine_to_the_named_page_only(file: Path, tmp_path: Path) -> None:
    shutil.copy(file, tmp_path)
    reached = _reached(tmp_path, "his.example-hospital.cn", "other.example-hospital.cn")
    assert reached == {"his.example-hospital.cn": "reached", "other.example-hospital.cn": None}


def _reached(policies: Path, *hosts: str) -> dict[str, str | None]:
    """What pages of these hosts get from this machine, in a Chromium with the policies of a folder."""
    enter = ["unshare", "--mount", "--net", "--", sys.executable, "-m", "tests.packaging.public_page"]
    asked = subprocess.run(
        [*enter, policies, *hosts], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert asked.returncode == 0, asked.stderr
    answers: dict[str, str | None] = json.loads(asked.stdout)
    return answers
