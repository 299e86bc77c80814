"""The commands of the documents that take a machine of their own, run as they are printed: systemd, apt, pcscd."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.packaging.conftest import ROOT
from tests.packaging.machine import Machine
from tests.packaging.test_desktop import write
from tests.pcsc import wait_until
from tests.unit.doc_blocks import Block, blocks

EDITIONS = (ROOT / "docs" / "operating.md", ROOT / "docs" / "operating.en.md")
TOKEN = "/etc/prometheus/cardio-token"  # noqa: S105 - a place
# Prometheus is not installed: this unit keeps what it is given, where the document's drop-in has put it.
_PROMETHEUS = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'cat {file} >/root/scraped-with'\n"


def block_with(text: str, document: Path = EDITIONS[1]) -> Block:
    (found,) = [one for one in blocks(document) if text in one.text]
    return found


def commands(text: str) -> list[str]:
    """The commands of a block, the same in both editions."""
    here, there = ([one.text for one in block_with(text, edition).commands()] for edition in EDITIONS)
    assert here == there
    return there


def command(text: str) -> str:
    """The one command with a text."""
    (found,) = [one for one in commands(text) if text in one]
    return found


def drop_in(text: str) -> str:
    """The text for the editor of `systemctl edit`: the comments of the document from the command's line on."""
    lines = iter(block_with(text).text.splitlines())
    first = next(line for line in lines if text in line)
    return "\n".join(re.sub(r"^.*?# ", "", line) for line in (first, *lines)) + "\n"


def shell(machine: Machine, text: str, user: str | None = None) -> str:
    return machine.run("sh", "-ec", text, user=user)


def without_recommended_packages(machine: Machine) -> None:
    """Prevent that apt fetches the packages that are only recommended: these machines have no network."""
    write(machine, "/etc/apt/apt.conf.d/99-no-network", 'APT::Install-Recommends "false";\n')


def test_the_commands_for_each_desk_install_package_settings_and_policy(machine: Machine) -> None:
    work = "/root/work"
    without_recommended_packages(machine)
    shell(machine, f"mkdir {work} && cp /package/cardio_*.deb {work}/")
    write(machine, f"{work}/bridge.toml", "# the site's\n")
    policy = (ROOT / "packaging/policies/linux/cardio.json").read_text(encoding="utf-8")
    write(machine, f"{work}/cardio.json", policy)
    for one in commands("install -m 0644 bridge.toml"):
        shell(machine, f"cd {work} && {one}")
    assert machine.run("cat", "/etc/cardio/bridge.toml") == "# the site's\n"
    assert machine.run("cat", "/etc/opt/chrome/policies/managed/cardio.json") == policy
    assert machine.succeeds("cardio", "--version")


def test_the_first_command_installs_the_package(machine: Machine) -> None:
    without_recommended_packages(machine)
    shell(machine, f"cd /package && {command('sudo apt install ./cardio_')}")
    assert machine.succeeds("cardio", "--version")


@pytest.mark.parametrize("document", ["README.md", "README.en.md", "docs/first-card.md", "docs/first-card.en.md"])
def test_the_packages_that_readers_need_are_debians(installed: Machine, document: str) -> None:
    (found,) = [
        one.text for block in blocks(ROOT / document) for one in block.commands() if "apt install pcscd" in one.text
    ]
    shell(installed, found)


@pytest.fixture(scope="module")
def system(installed: Machine) -> Iterator[Machine]:
    """The system unit runs, with a log in JSON, and lets a clerk in by a link."""
    installed.run("useradd", "--create-home", "clerk1")
    shell(installed, "groupadd clerks && usermod -aG clerks clerk1")
    settings = block_with('groups = ["clerks"]').text
    write(installed, "/etc/cardio/bridge.toml", f'log_format = "json"\nlog_level = "INFO"\n{settings}')
    installed.run("systemctl", "start", "cardio")
    wait_until(lambda: installed.answers("/livez") is not None, "the bridge answers")
    yield installed
    installed.run("systemctl", "stop", "cardio")


def test_the_units_user_makes_a_link_for_a_clerk(system: Machine) -> None:
    link = shell(system, command("cardio open --print --for clerk1")).strip()
    assert re.fullmatch(r"http://127(\.\d+){3}:12340/\S*#ticket=\S+", link)


def test_a_drop_in_lets_the_unit_reach_an_hsm(system: Machine) -> None:
    assert command("systemctl edit cardio")
    write(system, "/etc/systemd/system/cardio.service.d/override.conf", drop_in("systemctl edit cardio"))
    system.run("systemctl", "daemon-reload")
    allowed = system.run("systemctl", "show", "--property", "IPAddressAllow", "--value", "cardio")
    assert "10.20.30.40" in allowed.split() or "10.20.30.40/32" in allowed.split()


def test_prometheus_gets_a_token_for_figures_only(system: Machine) -> None:
    system.run("mkdir", "-p", "/etc/prometheus")
    shell(system, command("pair add prometheus"))
    assert system.run("stat", "--format", "%U %a", TOKEN) == "root 600\n"
    scrape = yaml.safe_load(block_with("scrape_configs").text)["scrape_configs"][0]
    (target,) = scrape["static_configs"][0]["targets"]
    unit = _PROMETHEUS.format(file=scrape["authorization"]["credentials_file"])
    write(system, "/etc/systemd/system/prometheus.service", unit)
    dropped = drop_in("systemctl edit prometheus")
    write(system, "/etc/systemd/system/prometheus.service.d/override.conf", dropped)
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "start", "prometheus")
    ask = f'curl --silent --output /dev/null --write-out %{{http_code}} -H "Authorization: Bearer $(cat {TOKEN})"'
    assert system.run("cat", "/root/scraped-with") == system.run("cat", TOKEN)
    assert shell(system, f"{ask} http://{target}/metrics") == "200"
    assert shell(system, f"{ask} http://{target}/v1/readers") == "403"


def test_the_journal_says_what_the_bridge_did(system: Machine) -> None:
    system.attempt("curl", "--silent", "http://127.0.0.1:12340/metrics")
    follow = system.attempt("timeout", "3", "sh", "-c", command("journalctl -u cardio -f"))
    assert follow.returncode == 124 and "cardio" in follow.stdout
    faults = command("select(.status >= 500)")
    assert shell(system, faults) == "", "no answer was a fault of the bridge"
    # With another limit the same command finds the refusal.
    assert '"status": 401' in shell(system, faults.replace("500", "401"))


def test_the_administrator_reads_a_clerks_journal(machine: Machine) -> None:
    machine.run("useradd", "--create-home", "clerk")
    machine.run("useradd", "--create-home", "other")
    machine.install()
    write(machine, "/etc/cardio/bridge.toml", 'log_level = "INFO"\n')
    machine.run("systemctl", "--global", "enable", "cardio")
    uid = machine.run("id", "-u", "clerk").strip()
    machine.run("systemctl", "start", f"user@{uid}.service")
    wait_until(lambda: machine.answers("/livez") is not None, "the clerk's bridge runs")
    read = command("journalctl _SYSTEMD_USER_UNIT")
    wait_until(lambda: "/livez" in shell(machine, read), "the request is in the clerk's journal")
    assert "/livez" not in shell(machine, read.replace("id -u clerk", "id -u other"))


def test_the_system_units_journal_of_debits_is_backed_up_by_its_user(system: Machine) -> None:
    backup = command("cardio debits backup …").replace("…", "/var/lib/cardio/backup.sqlite")
    done = system.attempt("sh", "-c", backup)
    assert done.returncode == 0, done.stdout + done.stderr
    assert system.run("stat", "--format", "%U %a", "/var/lib/cardio/backup.sqlite") == "cardio 600\n"


@contextmanager
def running(machine: Machine, text: str) -> Iterator[None]:
    """A program that is ended by Ctrl-C, as the document says."""
    program = subprocess.Popen(machine.command("sh", "-c", f"exec {text.removesuffix('&')}"), stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        words = ["pkill", "--signal", "INT", "--full", text.removesuffix("&").strip()]

        def has_ended() -> bool:
            machine.attempt(*words)
            try:
                program.wait(timeout=5)
            except subprocess.TimeoutExpired:  # pcscd that is just busy with a reader: a person presses once more
                return False
            return True

        wait_until(has_ended, f"{text} ends", 60)


def test_the_simulators_cards_are_in_the_readers_of_pcscd(machine: Machine) -> None:
    machine.install()
    here, there = (
        [one.text for block in blocks(ROOT / "docs" / name) if block.is_of_commands for one in block.commands()]
        for name in ("simulator.md", "simulator.en.md")
    )
    assert here == there
    daemon, card, closed, psam = (
        next(one for one in here if one.startswith(start))
        for start in ("pcscd --fore", "cardio sim run adult --vpcd", "cardio sim run third-closed", "cardio sim psam")
    )
    listing, reading = here[here.index("opensc-tool -a")], here[here.index("cardio read")]
    assert here.index(daemon) < here.index(card) < here.index(listing) < here.index(reading)
    with running(machine, daemon):
        wait_until(lambda: ":35963" in machine.run("ss", "-ltn"), "pcscd has its readers")
        with running(machine, card):
            wait_until(lambda: machine.succeeds("sh", "-c", listing), "the reader has the card")
            assert shell(machine, listing).startswith("3b:6d:00:00:")
            assert "测试甲" in shell(machine, reading)
        with running(machine, closed), running(machine, psam):
            wait_until(lambda: machine.run("cardio", "readers").count("3B") >= 2, "both readers have their cards")
