"""Blocks of the documents that are no commands, each against what it shows: states, packages, events, addresses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from cardio.debits.transaction import TRANSITIONS, DebitState
from service.settings import BridgeSettings
from tests import warm_cardio
from tests.unit.doc_blocks import ROOT, Block, blocks, documents, language, stem
from tests.unit.doc_session import Session

S = DebitState


def blocks_with(document: str, text: str) -> list[Block]:
    """The blocks with a text, of both editions of a document."""
    found = [one for path in documents() if stem(path) == document for one in blocks(path) if text in one.text]
    assert found, f"{document}: no block has {text}"
    return found


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with warm_cardio.warm(tmp_path_factory.mktemp("warm"), "--cards") as place:
        yield place


def test_the_states_of_a_debit_are_those_of_the_journal() -> None:
    for block in blocks_with("debits", "NEW → PREPARED"):
        straight, otherwise = block.text.splitlines()
        chain = [S(name.strip().lower()) for name in straight.split("→")]
        assert all(after in TRANSITIONS[before] for before, after in pairwise(chain))
        assert set(chain) | {S.ABORTED, S.UNKNOWN, S.MANUAL} == set(S)
        assert re.findall(r"[A-Z]{3,}", otherwise) == [
            "SENT",
            "ABORTED",
            "SENT",
            "UNKNOWN",
            "COMMITTED",
            "ABORTED",
            "MANUAL",
        ]
        before_sent = chain[: chain.index(S.SENT)]
        assert all(S.ABORTED in TRANSITIONS[one] and S.UNKNOWN not in TRANSITIONS[one] for one in before_sent)
        assert S.UNKNOWN in TRANSITIONS[S.SENT]
        assert TRANSITIONS[S.UNKNOWN] == {S.COMMITTED, S.ABORTED, S.MANUAL}


def test_the_fields_of_the_debit_steps_are_those_of_the_driver() -> None:
    """The example beside them is the answer to a first step; the authority's answer to it goes into a second step."""
    for block in blocks_with("debits", "iDoDebit_HSM_Step1"):
        first, second = block.text.splitlines()
        (example,) = [one for one in blocks(block.document) if one.text.startswith("$ cardio sim step debit")]
        (words,) = example.cardio_calls()
        assert first.count("|") == words[3].count("|") == 8
        done = subprocess.run(
            [Path(sys.executable).with_name("cardio"), *words], capture_output=True, text=True, check=True
        )
        assert second.count("|") == done.stdout.strip().count("|") == 3


def test_the_packages_of_the_architecture_are_there() -> None:
    """The second column of the diagram names packages: above of the bridge, below of the library."""
    (block,) = blocks_with("architecture", "gate → routes → driver")
    bridge, _, library = block.text.partition("\ncardio ")
    service = re.findall(r"^service   (.*?)  ", bridge, re.MULTILINE)[0]
    columns = [
        part.split("  ")[0] for part in re.findall(r"^ {9} ?(\S.*)$", f"          {library.lstrip()}", re.MULTILINE)
    ]
    for root, names, least in (("service", service, 4), ("cardio", " ".join(columns), 9)):
        packages = re.findall(r"[a-z]+", names)
        assert len(packages) >= least
        for name in packages:
            assert (ROOT / root / name / "__init__.py").is_file(), f"{root}.{name}"


def test_the_calls_of_the_pairing_diagram_are_addresses_of_the_bridge() -> None:
    (block,) = blocks_with("browser-client", "sequenceDiagram")
    paths: dict[str, dict[str, Any]] = json.loads((ROOT / "docs/reference/openapi.json").read_text("utf-8"))["paths"]
    calls = re.findall(r"P->>B: (GET|POST) (/v1/[^\s?]+)", block.text)
    assert len(calls) == block.text.count("P->>B:")
    for method, path in calls:
        pattern = re.compile("".join("[^/]+" if part == "…" else re.escape(part) for part in re.split("(…)", path)))
        assert any(
            pattern.fullmatch(re.sub(r"\{\w+\}", "x", one)) and method.lower() in methods
            for one, methods in paths.items()
        ), f"no {method} {path}"


def test_an_event_has_the_members_that_the_document_shows(warm: str, tmp_path: Path) -> None:
    with Session(tmp_path / "home", warm, "C.UTF-8") as session:
        session.serve("--simulate", "whole")
        bridge = httpx.Client(
            base_url=f"http://127.0.0.1:{session.port}",
            headers={"Authorization": f"Bearer {session.token}"},
            trust_env=False,
            timeout=20,
        )
        with bridge, bridge.stream("GET", "/v1/events") as stream:
            lines = stream.iter_lines()
            next(lines)
            place = "/v1/simulator/readers/Simulated%20Reader%2000/card"
            with httpx.Client(base_url=bridge.base_url, headers=bridge.headers, trust_env=False) as other:
                other.delete(place).raise_for_status()
                other.put(place, json={"persona": "whole"}).raise_for_status()
            event: list[str] = []
            for line in lines:
                event = [*event, line] if line else []
                if line.startswith("data:") and any("card-inserted" in one for one in event):
                    break
    for block in blocks_with("bridge", "event: card-inserted"):
        shown_event, shown_id, shown_data = block.text.split("\n", 2)
        assert [one.partition(":")[0] for one in event] == ["event", "id", "data"]
        assert event[0] == shown_event
        assert re.fullmatch(r"id: [0-9a-f]+-\d+", event[1]) and re.fullmatch(r"id: [0-9a-f]+-\d+", shown_id)
        shown, real = json.loads(shown_data.removeprefix("data: ")), json.loads(event[2].removeprefix("data: "))
        assert set(shown) == set(real)
        assert set(shown["data"]) == set(real["data"])
        assert (shown["type"], shown["specversion"]) == (real["type"], real["specversion"])
        assert shown["sequence"] == shown["id"].rpartition("-")[2]


def test_the_demonstration_says_what_the_readme_shows(warm: str, tmp_path: Path) -> None:
    for number, block in enumerate(blocks_with("README", "running; open in")):
        with Session(tmp_path / str(number), warm, "C.UTF-8") as session:
            session.serve()
            said = (session.home / "behind.log").read_text(encoding="utf-8")
        pattern = re.escape(block.text.strip()).replace(
            re.escape("127.x.y.z:12340"), rf"127(\.\d+){{3}}:{session.port}"
        )
        assert re.search(pattern.replace("…", r"[\w-]+"), said), said


def test_windows_installs_what_the_project_has_and_starts_what_it_runs() -> None:
    """The commands need Windows; what they name of cardio is looked up, and the program's start is run."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for block in blocks_with("operating", "py -3.11"):
        (version, extras) = re.findall(r"cardio-([\d.]+)-py3-none-any\.whl\[([\w,]+)\]", block.text)[0]
        assert version == project["version"] and set(extras.split(",")) <= set(project["optional-dependencies"])
        (python,) = re.findall(r"py -([\d.]+) ", block.text)
        assert project["requires-python"].startswith(f">={python}")
        (variable, place) = re.findall(r"setx /M (\w+) (\S+)", block.text)[0]
        assert place.endswith("bridge.toml") and variable == f"{BridgeSettings.model_config['env_prefix']}FILE"
    for block in blocks_with("operating", "Register-ScheduledTask"):
        (options, code, command) = re.findall(r"""\$run = '(\S+) -c "(.*?)" (\w+)'""", block.text)[0]
        done = subprocess.run(
            [sys.executable, options, "-c", code, command, "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 and "cardio serve" in done.stdout, done.stderr


def test_the_line_of_the_crontab_makes_a_backup(warm: str, tmp_path: Path) -> None:
    for number, block in enumerate(blocks_with("operating", "0 3 * * *")):
        line = re.sub(r"\s+# .*", "", block.text.strip())
        *when, command = line.split(None, 5)
        assert all(re.fullmatch(r"\*|\d{1,2}", one) for one in when)
        assert not re.search(r"(?<!\\)%", command), "cron takes a bare % for the end of the command"
        with Session(tmp_path / str(number), warm, language(block.document)) as session:
            session.serve()
            command = command.replace("\\%", "%").replace("/srv/backup", str(session.home))
            status, said = session.run(command)
            assert status == 0, said
            (backup,) = session.home.glob("debits-20*.sqlite")
            assert session.run(f"cardio debits verify --file {backup}")[0] == 0
