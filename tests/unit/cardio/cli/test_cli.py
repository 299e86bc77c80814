"""The command as people and programs run it: a process of its own, its output, its exit status.

Most are forks of a process that has started already; what is about the start itself is started.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.warm_cardio import warm_command

CARDIO = Path(sys.executable).with_name("cardio")


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [warm_command(), *arguments], capture_output=True, text=True, timeout=60, env=os.environ | more, check=False
    )


@pytest.fixture(autouse=True)
def no_pcsc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine where the PC/SC service does not run."""
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(tmp_path / "nothing"))


def test_a_person_reads_a_software_card() -> None:
    done = run("read", "--reader", "sim:adult")
    assert done.returncode == 0
    assert "姓名" in done.stdout and "测试甲" in done.stdout and "social security number" in done.stdout
    # Columns are straight: every value begins at the same place on the screen.
    assert "DF01/EF05、DF01/EF06、DF01/EF0A" in done.stderr


def test_a_program_gets_one_json_document_and_nothing_else() -> None:
    done = run("read", "--reader", "sim:long-name", "--json")
    document = json.loads(done.stdout)
    assert list(document) == ["reader", "simulated", "card", "holder", "derived", "unread", "warnings", "proof"]
    assert (document["proof"]["outcome"], document["proof"]["reason"]) == ("not-asked", "no-sam")
    assert document["holder"]["name"] == "测试热合曼·测试艾力·测试逊㐂江·测试"
    assert (document["reader"], document["simulated"]) == ("sim:long-name", True)


def test_how_far_the_card_was_proved_is_said(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    assert run("sim", "keys", str(keys)).returncode == 0
    assert "真伪未核验：本机没有 PSAM 卡或加密机" in run("read", "--reader", "sim:adult").stdout
    said = "真伪已核验：内部认证通过（3DES，密钥文件，测试密钥）"
    sam = ("--reader", "sim:adult", "--sam", f"soft:{keys}")
    assert said in run("read", *sam).stdout
    driver = run("read", "--driver", *sam)
    assert said in driver.stderr and driver.stdout.count("|") == 11
    assert json.loads(run("read", "--driver", "--json", *sam).stdout)["proof"]["outcome"] == "genuine"
    assert said in run("show", "SSSE/EF06", *sam).stderr
    assert json.loads(run("files", "--json", *sam).stdout)["proof"]["outcome"] == "genuine"
    settings = tmp_path / "security.toml"
    settings.write_text("require_proof = true\n", encoding="utf-8")
    for command in (("read",), ("read", "--driver"), ("show", "SSSE/EF06"), ("dump",)):
        refused = run(*command, "--reader", "sim:adult", "--json", CARDIO_SECURITY=str(settings))
        assert (refused.returncode, json.loads(refused.stdout)["error"]["code"]) == (1, "proof-required")
    assert run("read", *sam, CARDIO_SECURITY=str(settings)).returncode == 0


def test_the_driver_string() -> None:
    done = run("read", "--reader", "sim:adult", "--driver")
    assert done.stdout == (
        "370200|119900197708090027|A00000011|370200D15600000500000001FFFFFFFF|测试甲|"
        "0081544C928684370200000001|2.00|20160520|20360520|000000000000|sim-adult|\n"
    )


def test_the_driver_string_of_a_closed_card_is_refused_with_its_number() -> None:
    done = run("read", "--reader", "sim:third-closed", "--driver", "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"], error["driver_code"]) == (1, "access-not-granted", -2201)


def test_a_trace_goes_to_stderr_with_the_data_of_software_cards() -> None:
    done = run("read", "--reader", "sim:adult", "--basic", "--json", "--trace")
    json.loads(done.stdout)
    assert "00A404000F7378312E73682EC9E7BBE1B1A3D5CF" in done.stderr


@pytest.mark.parametrize("arguments", [("read",), ("readers",), ("doctor",)])
def test_without_pcsc_the_status_is_69_and_the_remedy_is_said(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 69
    assert "pcscd" in done.stdout + done.stderr and "Traceback" not in done.stderr
    document = json.loads(run(*arguments, "--json").stdout)
    if "findings" in document:
        assert document["findings"][-1]["state"] == "bad" and "pcscd" in document["findings"][-1]["remedy"]
    else:
        assert document["error"]["code"] == "pcsc-unavailable" and document["error"]["remedy"]


def test_readers_lists_the_simulated_ones_too() -> None:
    document = json.loads(run("readers", "--json").stdout)
    assert {"sim:adult", "sim:third-closed"} <= {reader["name"] for reader in document["readers"]}
    assert all(reader["simulated"] for reader in document["readers"])


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ((), 2),
        (("nothing",), 2),
        (("read", "--nothing"), 2),
        (("read", "--reader", "sim:nobody"), 69),
        (("sim", "run", "nobody"), 2),
        (("sim", "run", "adult", "--vpcd", "nowhere"), 2),
        (("sim", "run", "adult", "--vpcd", "127.0.0.1:1"), 69),
        (("sim", "run", "adult", "--vpcd", "a..b:1"), 69),
        (("sim", "run", "adult", "--vpcd", "127.0.0.1:" + "9" * 5000), 2),
        (("watch", "--seconds", "inf"), 2),
        (("watch", "--seconds", "-1"), 2),
        (("serve", "--port", "99999"), 2),
        (("serve", "--port", "-1"), 2),
        (("serve", "--no-pcsc"), 2),
        (("sim", "run", "/nonexistent/persona.toml"), 78),
        (("sim", "run", "adult", "--fault", "broken"), 2),
        (("serve", "--simulate", "nobody", "--port", "0"), 2),
        (("serve", "--simulate", "--no-pcsc", "--token-file", "/proc/nothing/token"), 78),
        (("--version",), 0),
    ],
)
def test_exit_statuses_and_never_a_traceback(arguments: tuple[str, ...], status: int) -> None:
    done = run(*arguments)
    assert done.returncode == status
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["readers", "watch", "read", "doctor", "serve", "sim"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert "示例 examples:" in done.stdout and f"cardio {command}" in done.stdout
    assert command in run("--help").stdout


def test_personas_and_faults_are_listed() -> None:
    assert "long-name" in run("sim", "list").stdout
    document = json.loads(run("sim", "list", "--json").stdout)
    assert {"adult", "field"} <= {persona["id"] for persona in document["personas"]}
    assert "mute" in document["faults"]


def test_a_doctor_finds_what_is_odd_about_a_card() -> None:
    done = run("doctor", "--reader", "sim:field")
    assert done.returncode == 0
    assert "9600 bit/s" in done.stdout and "19700230" in done.stdout


def test_help_imports_none_of_the_heavy_libraries() -> None:
    """`--help` must be quick: it is what people type first."""
    code = (
        "import sys; from cardio.cli.main import build_parser; build_parser().format_help();"
        "print(sorted({'fastapi', 'pydantic', 'construct', 'smartcard', 'uvicorn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments", [("read", "--nothing"), ("nothing",), ("sim",), ("read", "--reader", "sim:nobody")]
)
def test_wrong_usage_is_a_document_too(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, "--json")
    error = json.loads(done.stdout)["error"]
    assert done.returncode in (2, 69) and error["code"] in ("usage", "reader-not-found") and error["remedy"]


@pytest.mark.parametrize(
    ("shell", "statuses"),
    [
        ("read --reader sim:adult > /dev/full", {74}),
        ("read --reader sim:adult --json > /dev/full", {74}),
        ("--version > /dev/full", {74}),
        ("read --reader sim:adult >&-", {0}),
        ("read --reader sim:adult 2>&-", {0}),
        ("read --reader sim:nobody 2>&-", {69}),
        ("read --reader sim:adult <&- >&- 2>&-", {0}),
    ],
)
def test_streams_that_are_full_or_closed_bring_no_traceback(shell: str, statuses: set[int]) -> None:
    done = subprocess.run(f"{CARDIO} {shell}", shell=True, capture_output=True, text=True, timeout=60, check=False)  # noqa: S602
    assert done.returncode in statuses and "Traceback" not in done.stdout + done.stderr
    assert "错误" not in done.stdout


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_a_terminal_without_chinese_brings_no_traceback(environment: dict[str, str]) -> None:
    for arguments in (("--help",), ("read", "--help"), ("read", "--reader", "sim:adult"), ("sim", "list")):
        done = run(*arguments, **environment)
        assert done.returncode == 0 and "Traceback" not in done.stderr


def test_readers_can_be_narrowed_down() -> None:
    document = json.loads(run("readers", "--reader", "sim:adult", "--json").stdout)
    assert [reader["name"] for reader in document["readers"]] == ["sim:adult"]


def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{CARDIO} sim list | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 141) and "Traceback" not in done.stderr
