"""Every fenced block of the documents is run or checked; a table says of the others why they cannot be."""

from __future__ import annotations

import ast
import builtins
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from cardio.card.runner import on_card
from cardio.cli.main import build_parser, commands
from cardio.driver.hsm_steps import HsmSteps
from cardio.filesystem.layouts.loader import load_layout
from cardio.identity.loss_list import LossList
from cardio.identity.policy import Policy
from cardio.pki.layout import load_pki_layout
from cardio.readers.pcsc import PcscSource
from cardio.security.sam.key_file import SoftSam
from cardio.security.settings import SecuritySettings
from service.settings import BridgeSettings
from simulators.personas.persona import find_persona, load_persona
from simulators.readers.software_reader import SoftwareReader
from tests import warm_cardio
from tests.unit.doc_blocks import ROOT, Block, blocks, documents, language, stem
from tests.unit.doc_session import Session
from tests.unit.test_worked_examples import STEPS

DOCUMENTS = documents()
BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
_MACHINE = "takes a machine of its own: tests/packaging/test_doc_commands.py runs it"
_VPCD = "needs pcscd and a virtual reader: tests/packaging/test_doc_commands.py runs it"
_DIAGRAM = "a diagram"
_MAKE = "installs into the source tree: tests/integration/test_make_run.py"

NOT_RUN: dict[tuple[str, str], str] = {
    ("README", "make run"): _MAKE,
    ("README", "make test"): _MAKE,
    ("README", "make setup"): "tests/unit/test_setup.py",
    ("README", "sudo apt install"): _MACHINE,
    ("development", "reader → transport → Channel"): _DIAGRAM,
    ("first-card", "make setup"): "tests/unit/test_setup.py",
    ("first-card", "sudo apt install"): _MACHINE,
    ("operating", "packaging/deb/"): "builds a package: tests/packaging/test_deb.py",
    ("operating", "sudo "): _MACHINE,
    ("operating", "apt-get install"): _MACHINE,
    ("operating", "install -"): _MACHINE,
    ("operating", "journalctl --user -u"): "needs a desktop's session of a clerk with a lasting journal",
    ("operating", "journalctl"): _MACHINE,
    ("pages", "[Unit]"): "a systemd unit that starts a browser: tests/packaging/test_desktop.py",
    ("pages", "apt-get install"): "fetches packages; the fonts are Debian's",
    ("simulator", "apt-get install"): "fetches packages; scripts/setup.sh installs the same ones for the tests",
    ("simulator", "pcscd --foreground"): _VPCD,
    ("simulator", "cardio sim run adult --memory"): "needs a virtual reader: tests/integration/test_debits_killed.py",
    ("simulator", "cardio sim run"): _VPCD,
    ("simulator", "cardio sim psam"): _VPCD,
    ("simulator", "opensc-tool"): _VPCD,
    ("threat-model", "web page ─┐"): _DIAGRAM,
    ("his-in-ci", "pip install"): "fetches packages; what they hold is held by tests/unit/test_locked.py",
}
"""The document in both of its editions, and what the block or the command contains: why it is not run here."""
_SHAPES = "tests/unit/test_doc_shapes.py::test_"
CHECKED: dict[tuple[str, str], str] = {
    ("README", "running; open in"): f"{_SHAPES}the_demonstration_says_what_the_readme_shows",
    ("algorithms", "openssl"): "tests/unit/test_worked_examples.py::test_openssl_gives_what_is_printed",
    ("architecture", "gate → routes → driver"): f"{_SHAPES}the_packages_of_the_architecture_are_there",
    ("bridge", "event: card-inserted"): f"{_SHAPES}an_event_has_the_members_that_the_document_shows",
    ("browser-client", "sequenceDiagram"): f"{_SHAPES}the_calls_of_the_pairing_diagram_are_addresses_of_the_bridge",
    ("debits", "NEW → PREPARED"): f"{_SHAPES}the_states_of_a_debit_are_those_of_the_journal",
    ("debits", "iDoDebit_HSM_Step1"): f"{_SHAPES}the_fields_of_the_debit_steps_are_those_of_the_driver",
    ("debits", "pPayInfo    "): "tests/unit/test_doc_blocks.py::test_the_fields_of_a_debit_are_those_of_its_example",
    ("identity", "# updated ="): "tests/unit/test_doc_blocks.py::test_the_loss_list_is_one",
    ("operating", "0 3 * * *"): f"{_SHAPES}the_line_of_the_crontab_makes_a_backup",
    ("operating", "py -3.11"): f"{_SHAPES}windows_installs_what_the_project_has_and_starts_what_it_runs",
    ("operating", "Register-ScheduledTask"): f"{_SHAPES}windows_installs_what_the_project_has_and_starts_what_it_runs",
}
"""The blocks that a test of their own reads from the document, and that test."""
TESTS_OF = re.compile(r"tests/[\w/]+\.py")
PROGRAMS = re.compile(r"(?:\.venv/bin/)?(?:cardio|python) |printf |echo |curl |openssl |pytest |[A-Za-z]\w*=")
"""The beginnings of commands that are run: such commands stay in the home that they are given."""
ENDS: dict[str, set[int]] = {
    "cardio identify": {0, 1},
    "cardio conformance": {0, 1},
    "cardio doctor": {0, 1, 69},
    "cardio readers": {0, 69},  # it lists them, and says that none is real
}
"""The exit codes of commands that report a finding by them."""
SERVED: dict[str, tuple[str, ...]] = {"audit": ("--simulate", "whole"), "bridge": ("--simulate", "whole"), "pages": ()}
"""Documents whose commands ask a bridge that they do not start."""
VOLATILE = (
    (r"\b20\d{12}\b|\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-]\d\d:\d\d)?", "TIME"),
    (r"\d+ days left|还有 \d+ 天|\d+ years|\d+ 岁", "DAYS"),
    (r"127\.\d+\.\d+\.\d+:\d+", "ADDRESS"),
    (r"\b[0-9a-f]{16}\b", "ID"),
)


def of(block: Block, table: dict[tuple[str, str], Any], text: str) -> Any:
    """Return the entry of a table for a text in a block; None if there is none."""
    return next((said for (name, part), said in table.items() if name == stem(block.document) and part in text), None)


def is_left_out(block: Block, text: str) -> bool:
    """Return True if this module does not run a text: a test of its own reads it, or it is not run."""
    return of(block, CHECKED, text) is not None or of(block, NOT_RUN, text) is not None


def called(block: Block) -> str:
    return f"{block.document.name}-{' '.join(block.text.split())[:40]}"


def of_kind(kind: str) -> pytest.MarkDecorator:
    """The blocks of a kind that are run, as a test's parameters."""
    chosen = [one for one in BLOCKS if one.kind == kind and not is_left_out(one, one.text)]
    assert chosen
    return pytest.mark.parametrize("block", chosen, ids=called)


def steady(text: str) -> str:
    """A text without what is another at each time, and without the width of columns."""
    lines = []
    for line in re.sub(r"(?<=,)\n +", "", text.strip()).splitlines():
        line = re.sub(r"(?<=[:,]) ", "", line) if line.startswith("{") else re.sub(r"[ \t]+", " ", line).strip()
        for pattern, name in VOLATILE:
            line = re.sub(pattern, name, line)
        lines.append(line)
    return "\n".join(lines)


def answers_so(said: str, printed: str) -> bool:
    """Return True if a command answers what the document prints; `…` stands for anything."""
    parts = [re.escape(part) for part in steady(printed).split("…")]
    return re.fullmatch(r"[\s\S]*?".join(parts), steady(said)) is not None


# What is run, and what is not


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.name)
def test_every_block_is_run_or_it_is_said_why_not(document: Path) -> None:
    for block in blocks(document):
        if block.is_of_commands:
            assert block.commands(), f"no command in: {block.text}"
            for command in block.commands():
                in_tables = of(block, GIVEN, command.text) or is_left_out(block, command.text)
                safe = in_tables or PROGRAMS.match(command.text)
                assert safe, f"{document.name}: neither run nor in the table:\n{command.text}"
        elif block.kind not in ("python", "toml", "json", "yaml"):
            assert is_left_out(block, block.text), f"{document.name}: neither run nor in the table:\n{block.text}"
        if block.file and block.file.startswith("test_"):
            assert any(c.text.startswith("pytest") for one in blocks(document) for c in one.commands()), block.file


def test_every_entry_of_the_table_leaves_something_out() -> None:
    texts = [(stem(b.document), c.text) for b in BLOCKS if b.is_of_commands for c in b.commands()]
    texts += [(stem(b.document), b.text) for b in BLOCKS if not b.is_of_commands]
    table = NOT_RUN | CHECKED
    matched = {key for key in table for name, text in texts if key[0] == name and key[1] in text}
    assert set(table) - matched == set() and not set(NOT_RUN) & set(CHECKED)


def test_the_tests_that_the_table_names_are_there() -> None:
    for reason in NOT_RUN.values():
        for name in TESTS_OF.findall(reason):
            assert (ROOT / name).is_file(), reason
    for place in CHECKED.values():
        name, _, test = place.partition("::")
        assert f"def {test}(" in (ROOT / name).read_text(encoding="utf-8"), place


def test_the_worked_examples_are_all_run_beside() -> None:
    printed = [block for block in BLOCKS if stem(block.document) == "algorithms"]
    assert {"\n# ".join(step) + "\n" for step in STEPS} == {block.text for block in printed}


def test_an_answer_that_is_another_is_noticed() -> None:
    printed = "name   Wang\n…\nends 2036-05-20 10:00\n"
    assert answers_so("name Wang\nsex  1\nends 2041-01-01 11:30", printed)
    assert not answers_so("name Li\nsex 1\nends 2041-01-01 11:30", printed)
    assert not answers_so("name Wang\nsex 1\nends 2041-01-01 11:30\nand more", printed)
    assert answers_so('{"a":1,"b":[2,3],"c":4}', '{"a": 1, "b": […],\n "c": 4}')
    assert not answers_so('{"a":1,"b":[2],"c":5}', '{"a": 1, …, "c": 4}')


# Commands


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The socket of a process that has the command imported."""
    with warm_cardio.warm(tmp_path_factory.mktemp("warm"), "--cards") as place:
        yield place


def _pair(session: Session) -> dict[str, str]:
    """A page asks to be let in."""
    asked = httpx.post(
        f"http://127.0.0.1:{session.port}/v1/pairing",
        json={"name": "示例医院 HIS", "scopes": ["basic", "pin"]},
        headers={"Origin": "https://his.example-hospital.cn"},
        trust_env=False,
    )
    return {"482913": asked.raise_for_status().json()["code"].replace(" ", "")}


def _grant(session: Session) -> dict[str, str]:
    """The page that was let in."""
    listed = httpx.get(
        f"http://127.0.0.1:{session.port}/v1/grants",
        headers={"Authorization": f"Bearer {session.token}"},
        trust_env=False,
    )
    return {"5f3a90c1d2e4": listed.raise_for_status().json()["grants"][-1]["grant"]}


def _policy_and_list(session: Session) -> dict[str, str]:
    """The document's own policy and loss list."""
    own = [one for one in BLOCKS if stem(one.document) == "identity"]
    session.write("policy.toml", next(one.text for one in own if one.kind == "toml"), more=False)
    session.write("lost.txt", next(one.text for one in own if "# updated = " in one.text), more=False)
    return {}


def _first_step(_: Session) -> dict[str, str]:
    """The whole answer of a first step, which the document shortens."""
    answer = on_card(SoftwareReader("r", find_persona("adult").card()), lambda card: HsmSteps(card).read_basic_1())
    return {"320200|0081…|03|3202…|…|": answer}


def _region(session: Session) -> dict[str, str]:
    """A structure of one's own: the one that docs/regions.md makes."""
    made = next(one.text for one in BLOCKS if stem(one.document) == "regions" and one.kind == "toml")
    session.write("my-region.toml", made, more=False)
    return {}


def _debit(session: Session) -> dict[str, str]:
    """The debit that the document's first block made."""
    listed = httpx.get(
        f"http://127.0.0.1:{session.port}/v1/debits?peek=true",
        headers={"Authorization": f"Bearer {session.token}"},
        trust_env=False,
    )
    return {"5f3a90c1d2e4b6a7": listed.raise_for_status().json()["debits"][0]["id"]}


def _unknown_debit(session: Session) -> dict[str, str]:
    """A debit whose card took the money and did not answer; the person's word is given beforehand."""
    headers = {"Authorization": f"Bearer {session.token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{session.port}", headers=headers, trust_env=False) as client:
        fault = {"persona": "whole", "fault": "lost-debit"}
        client.put("/v1/simulator/readers/Simulated%20Reader%2000/card", json=fault).raise_for_status()
        order = {
            "pCardInfo": "370200D15600000500000013FFFFFFFF|A00000011|",
            # Two seconds on: another debit of this desk may have been made within this second.
            "pPayInfo": f"0.3|0.4|{datetime.now() + timedelta(seconds=2):%Y%m%d%H%M%S}|",
            "pin": "123456",
        }
        client.post("/v1/driver/iDoDebit", json=order, headers={"Idempotency-Key": "lost"}, timeout=30)
        (lost,) = (one for one in client.get("/v1/debits?peek=true").json()["debits"] if one["state"] == "unknown")
    return {"5f3a90c1d2e4b6a7": lost["id"], "--outcome": "--yes --outcome"}


def _restored(session: Session) -> dict[str, str]:
    """The bridge does not run, and the backup is the one that the document's commands have made."""
    session.stop()
    return {"/media/backup/": f"{session.home}/"}


def _archive(session: Session) -> dict[str, str]:
    """The archive that the document's commands have made."""
    (made,) = session.home.rglob("debits-archive-*.sqlite")
    return {"debits-archive-20261130-120000.sqlite": str(made)}


def _used_desk(session: Session) -> dict[str, str]:
    """The uses of a card that the document lists, by a page and by the owner, and two more."""
    origin = "https://his.example.cn"
    bridge, card = f"http://127.0.0.1:{session.port}", "/v1/readers/Simulated%20Reader%2000/card"
    owner = {"Authorization": f"Bearer {session.token}"}
    with httpx.Client(base_url=bridge, headers=owner, trust_env=False, timeout=30) as client:
        wanted = {"name": "HIS", "scopes": ["basic"]}
        asked = httpx.post(f"{bridge}/v1/pairing", json=wanted, headers={"Origin": origin}, trust_env=False).json()
        listed = client.get("/v1/pairing").json()["requests"]
        request = next(one["request"] for one in listed if one["code"] == asked["code"])
        client.post(f"/v1/pairing/{request}/approve", json={"scopes": ["basic"]}).raise_for_status()
        page = httpx.get(
            f"{bridge}/v1/pairing/{asked['request']}",
            headers={"Origin": origin, "Authorization": f"Bearer {asked['secret']}"},
            trust_env=False,
        ).json()
        by_page = {"Origin": origin, "Authorization": f"Bearer {page['token']}"}
        httpx.get(f"{bridge}{card}", headers=by_page, trust_env=False, timeout=30).raise_for_status()
        client.post("/v1/driver/iVerifyPIN", json={"pin": "111111"})
        for _ in range(2):
            client.get(card).raise_for_status()
        numbered = session.run("cardio audit --last 4 --json")[1]
    first = json.loads(numbered)["entries"][0]["number"]
    return {"1201": str(first), "1202": str(first + 1), "ACS ACR39U 00": "Simulated Reader 00"}


def _anchor(session: Session) -> dict[str, str]:
    """The end of the log as it is."""
    found = re.search(r"(\d+):[0-9a-f]{64}", session.run("cardio audit verify")[1])
    assert found
    return {"1204:9f3a…": found[0], "1204": found[1]}


def _ended(session: Session) -> dict[str, str]:
    """The demonstration has been stopped, as the document says."""
    session.stop()
    return {}


def _said(**instead: str) -> Callable[[Session], dict[str, str]]:
    """The lines that a person enters at a terminal, given in a pipe."""
    return lambda _: {f"cardio {words.replace('_', ' ')}": other for words, other in instead.items()}


def _other_port(session: Session) -> dict[str, str]:
    """The session's own port is a port of one's own."""
    return {"12399": str(session.port)}


GIVEN: dict[tuple[str, str], Callable[[Session], dict[str, str]]] = {
    ("bridge", "pair approve"): _pair,
    ("bridge", "pair revoke"): _grant,
    ("pages", "cardio open --address"): _other_port,
    ("audit", "cardio audit --last"): _used_desk,
    ("audit", "cardio audit verify"): _anchor,
    ("debits", "--outcome none"): _unknown_debit,
    ("debits", "5f3a90c1d2e4b6a7"): _debit,
    ("debits", "cardio debits restored"): lambda _: {"restored": "restored --yes"},
    ("debits", "cardio debits restore /media"): _restored,
    ("debits", "cardio debits archive"): lambda _: {"2026-01-01": datetime.now(UTC).isoformat()},
    ("debits", "debits-archive-"): _archive,
    ("debits", "/media/backup/"): lambda session: {"/media/backup/": f"{session.home}/"},
    ("first-card", "make run"): lambda _: {"make run": "cardio serve --demo --no-pcsc &"},
    ("first-card", "cardio readers"): _ended,
    ("first-card", "bin/cardio serve"): lambda _: {"cardio serve": "cardio serve &"},
    ("security", "--pin"): lambda _: {"cardio show": "echo 123456 | cardio show", "--pin": "--pin-stdin"},
    ("security", "cardio pin verify"): _said(pin_verify="echo 123456 | cardio pin verify --pin-stdin"),
    ("security", "cardio pin change"): _said(pin_change="printf '123456\\n654321\\n' | cardio pin change --pin-stdin"),
    ("security", "cardio pin unblock"): lambda _: {"…": "psam:1"},
    ("security", "cardio pin reload"): lambda _: {"cardio": "echo 654321 | cardio", "…": "psam:1 --pin-stdin"},
    ("security", "cardio write"): lambda _: {"--sam": "--yes --sam"},
    ("identity", "--policy policy.toml"): _policy_and_list,
    ("conformance", "my-region.toml"): _region,
    ("simulator", "cardio sim hsm"): lambda _: {"sim hsm": "sim hsm --port 0"},
    ("simulator", "cardio sim step read"): _first_step,
}
"""The files that a command needs, and what stands in for the names in the document's command and its answer."""
OF_COMMANDS = [one for one in DOCUMENTS if any(b.is_of_commands for b in blocks(one)) and stem(one) != "algorithms"]


@pytest.mark.parametrize("document", OF_COMMANDS, ids=lambda one: one.name)
def test_the_commands_of_a_document_answer_what_is_printed(document: Path, warm: str, tmp_path: Path) -> None:
    written: set[str] = set()
    with Session(tmp_path / "home", warm, language(document)) as session:
        if stem(document) in SERVED:
            session.serve(*SERVED[stem(document)])
        for block in blocks(document):
            if block.file:
                tables_only = block.file.endswith(".toml") and block.text.partition("\n")[2].startswith("[files")
                session.write(block.file, block.text, more=tables_only or block.file in written)
                written.add(block.file)
            for command in block.commands() if block.is_of_commands else []:
                if is_left_out(block, command.text):
                    continue
                text, printed = command.text, command.answer
                if given := of(block, GIVEN, text):
                    for old, new in given(session).items():
                        text, printed = text.replace(old, new), printed.replace(old, new)
                assert PROGRAMS.match(text), f"{text}: nothing of this kind is run"
                status, said = session.run(text)
                allowed = next((ends for start, ends in ENDS.items() if start in text), {0})
                assert status in allowed, f"{document.name}: {text}\nended with {status}:\n{said}"
                if printed.strip():
                    assert answers_so(said, printed), f"{text}\nsays:\n{said}\nprinted:\n{printed}"


def test_the_fields_of_a_debit_are_those_of_its_example() -> None:
    """As many of them; the example is run."""
    for document in (one for one in DOCUMENTS if stem(one) == "debits"):
        text = document.read_text(encoding="utf-8")
        for name in ("pPayInfo", "pOutInfo"):
            (named,) = re.findall(rf"^{name} +(.*\|)$", text, re.MULTILINE)
            (shown,) = re.findall(rf'"{name}": "(.*?\|)"', text)
            assert named.count("|") == shown.count("|"), f"{document.name}: {name}"


@pytest.fixture(scope="module")
def parse() -> Callable[[list[str]], object]:
    parser = build_parser(known=commands())
    return parser.parse_args


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.name)
def test_every_call_of_cardio_is_one_that_it_takes(document: Path, parse: Callable[[list[str]], object]) -> None:
    """Also of those that are not run."""
    for block in blocks(document):
        for words in block.cardio_calls():
            parse([word for word in words if word != "\\"])


# Python


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> None:
    """PC/SC has one reader, with a software card in it."""
    reader = SoftwareReader("Counter 0", find_persona("whole").card())
    monkeypatch.setattr(PcscSource, "readers", lambda _: [reader])


class EnoughSeen(Exception):
    """An event has come, and the example goes on for ever."""


def _connection(_: Block, __: Session) -> dict[str, object]:
    """The software card's, which the same document has in its other block."""
    names: dict[str, object] = {}
    exec(next(one.text for one in BLOCKS if "connection = Card()" in one.text), names)  # noqa: S102
    return names


def _until_an_event(_: Block, session: Session) -> dict[str, object]:
    """The bridge, and a `print` that has seen enough when the first event comes."""
    session.serve("--simulate", "whole")

    def show(text: object) -> None:
        builtins.print(text)
        if str(text).startswith("cardio."):
            raise EnoughSeen

    return {"print": show}


SURROUNDED: dict[tuple[str, str], Callable[[Block, Session], dict[str, object]]] = {
    ("pki", "channel = Channel(connection)"): _connection,
    ("bridge", "BridgeClient.connect()"): _until_an_event,
}
"""The names that an example has from elsewhere."""
_seen: set[str] = set()


@of_kind("python")
@pytest.mark.usefixtures("counter")
def test_python_runs_as_it_is_printed(block: Block, warm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = compile(block.text, block.document.name, "exec")
    if block.file:  # it is a file, which the document's commands run
        return
    form = ast.dump(ast.parse(block.text))
    if form in _seen:  # the other edition's, which differs in comments only
        return
    _seen.add(form)
    names: dict[str, object] = {}
    if surrounded := of(block, SURROUNDED, block.text):
        with Session(tmp_path / "home", warm, "C.UTF-8") as session:
            names = surrounded(block, session)
            for name in ("CARDIO_BRIDGE", "HOME"):
                monkeypatch.setenv(name, session.environment[name])
            monkeypatch.delenv("XDG_CONFIG_HOME")
            try:
                exec(program, names)  # noqa: S102 - our own documents
            except EnoughSeen:
                pass
            return
    exec(program, names)  # noqa: S102 - our own documents


# TOML, JSON, YAML


def _bridge_settings(path: Path) -> object:
    os.environ["CARDIO_BRIDGE_FILE"] = str(path)
    return BridgeSettings.load()


def loader_of(document: dict[str, Any]) -> Callable[[Path], object]:
    """Return the function of the product that loads such a file."""
    names = set(document)
    if names == {"files"}:
        return lambda path: path  # a part of a persona, which the document's commands read
    if "checks" in names:
        return Policy.load
    if "commands" in names:
        return load_pki_layout
    if "regions" in names:
        return load_layout
    if "files" in names:
        return load_persona
    if "keys" in names and "levels" in names:
        return SoftSam.load
    if names <= set(SecuritySettings.model_fields):
        return SecuritySettings.load
    assert names <= set(BridgeSettings.model_fields), f"no file of ours has {names}"
    return _bridge_settings


@of_kind("toml")
def test_a_file_is_one_that_its_reader_takes(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDIO_BRIDGE_FILE", os.devnull)
    for other in blocks(block.document):  # files of the same document may name each other
        if other.kind == "toml" and other.file:
            (tmp_path / other.file).write_text(other.text, encoding="utf-8")
    path = tmp_path / (block.file or "file.toml")
    path.write_text(block.text, encoding="utf-8")
    path.chmod(0o600)
    assert loader_of(tomllib.loads(block.text))(path)


def test_the_loss_list_is_one(tmp_path: Path) -> None:
    lists = [one for one in BLOCKS if not one.kind and "\n# updated = " in one.text]
    assert lists
    for one in lists:
        path = tmp_path / "lost.txt"
        path.write_text(one.text, encoding="utf-8")
        assert LossList.load(path).entries > 0


@pytest.fixture(scope="module")
def ask(warm: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Any]]:
    """Asks a bridge with one simulated reader."""
    with Session(tmp_path_factory.mktemp("asked") / "home", warm, "C.UTF-8") as session:
        _policy_and_list(session)
        session.serve("--simulate", "whole", "--loss-list", "lost.txt")
        headers = {"Authorization": f"Bearer {session.token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{session.port}", headers=headers, trust_env=False) as client:

            def asked(method: str, path: str) -> Any:
                return client.request(method, path, json=None if method == "GET" else {}).json()

            yield asked


_READER = "/v1/readers/Simulated%20Reader%2000/card"
ANSWERED: dict[tuple[str, str], tuple[str, str]] = {
    ("bridge", "urn:cardio:error:card-mute"): ("GET", "/v1/readers/none/card"),
    ("files", '"file": "DF03/EF19"'): ("GET", f"{_READER}/files/DF03/EF19"),
    ("identity", '"verdict": "not-verified"'): ("POST", f"{_READER}/verification"),
}
"""The request whose answer a block of JSON shows."""


def names_in(document: Any) -> set[str]:
    """Every name of a member, however deep."""
    if isinstance(document, dict):
        return set(document).union(*map(names_in, document.values()))
    return set().union(*map(names_in, document)) if isinstance(document, list) else set()


@of_kind("json")
def test_json_has_the_members_of_the_real_answer(block: Block, ask: Callable[[str, str], Any]) -> None:
    document = json.loads(re.sub(r",\s*…", "", block.text))
    asked = of(block, ANSWERED, block.text)
    assert asked, f"what is the answer that this shows?\n{block.text}"
    answer = ask(*asked)
    assert set(document) <= set(answer) and names_in(document) <= names_in(answer)


@of_kind("yaml")
def test_yaml_is_yaml(block: Block) -> None:
    assert isinstance(yaml.safe_load(block.text), dict)
