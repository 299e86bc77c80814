"""The systemd units and the polkit rule, where systemd and polkit run."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.integration import stranger
from tests.packaging.conftest import PACKAGING
from tests.packaging.machine import Machine
from tests.pcsc import wait_until

ACTIONS = ("org.debian.pcsc-lite.access_pcsc", "org.debian.pcsc-lite.access_card")
# As pcscd has it where it asks polkit, but closed to everybody: what is granted is granted by our rule.
_POLICY = """<?xml version="1.0"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/PolicyKit/1/policyconfig.dtd">
<policyconfig>{actions}</policyconfig>
"""
_ACTION = (
    '<action id="{name}"><description>x</description><message>x</message><defaults><allow_any>no</allow_any>'
    "<allow_inactive>no</allow_inactive><allow_active>no</allow_active></defaults></action>"
)
# What an administrator writes who closes PC/SC.
_SITE = """polkit.addRule(function(action, subject) {{
    if (action.id.indexOf("org.debian.pcsc-lite.") == 0 && {refused}) {{ return polkit.Result.NO; }}
}});
"""


@pytest.fixture(scope="module")
def system(installed: Machine) -> Iterator[Machine]:
    """The system unit runs."""
    installed.run("systemctl", "start", "cardio")
    wait_until(lambda: installed.answers("/livez") is not None, "the bridge answers")
    yield installed
    installed.run("systemctl", "stop", "cardio")


def test_units_are_well_formed(installed: Machine) -> None:
    _start_manager(installed)
    for unit in ("cardio", "cardio-ports"):
        checked = installed.attempt("systemd-analyze", "verify", f"/usr/lib/systemd/system/{unit}.service")
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
        words = ["systemd-analyze", "--user", "verify", f"/usr/lib/systemd/user/{unit}.service"]
        checked = installed.attempt(*words, user="clerk")
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_the_system_unit_is_exposed_as_little_as_the_document_says(installed: Machine) -> None:
    judged = installed.run("systemd-analyze", "security", "--no-pager", "cardio.service").splitlines()[-1]
    level = re.search(r"cardio\.service: ([\d.]+)", judged)
    assert level is not None
    # Neither without netlink nor in a user namespace of its own could it tell the clerks from other users.
    assert float(level[1]) <= 1.1, judged
    for name in ("operating.md", "operating.en.md"):
        assert level[1] in (PACKAGING.parent / "docs" / name).read_text(encoding="utf-8")


def test_the_system_unit_reads_cards_within_its_walls(system: Machine) -> None:
    # Ready means that pcscd answered: through the unit's filters, and without a device.
    wait_until(lambda: system.answers("/readyz") is not None, "PC/SC answers")
    process = system.run("systemctl", "show", "--property", "MainPID", "--value", "cardio").strip()
    status = system.run("cat", f"/proc/{process}/status")
    assert re.search(r"^NoNewPrivs:\s1$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\s0+$", status, re.MULTILINE)
    assert system.run("stat", "--format", "%U", f"/proc/{process}") == "cardio\n"


def test_the_system_unit_reads_a_card(system: Machine) -> None:
    # pcscd's virtual reader stands on this machine as any reader does; a software card is put in.
    card = subprocess.Popen(system.command("cardio", "sim", "run", "adult", "--vpcd", "127.0.0.1:35963", user="clerk"))
    token = system.run("cat", "/var/lib/cardio/token").strip()
    address = "http://127.0.0.1:12340/v1/readers"
    ask = ["curl", "--silent", "--fail", "--header", f"Authorization: Bearer {token}"]
    try:
        wait_until(lambda: '"card"' in system.run(*ask, address), "the bridge sees the card")
        reading = json.loads(system.run(*ask, f"{address}/Virtual%20PCD%2000%2000/card"))
        assert reading["holder"]["name"] == "测试甲"
        assert 'cardio_card_reads_total{outcome="' in system.run(*ask, "http://127.0.0.1:12340/metrics")
    finally:
        system.run("pkill", "-u", "clerk", "cardio")
        card.wait(timeout=10)


def test_its_token_is_its_own_and_not_in_the_journal(system: Machine) -> None:
    assert system.run("stat", "--format", "%U %a", "/var/lib/cardio/token") == "cardio 600\n"
    token = system.run("cat", "/var/lib/cardio/token").strip()
    assert len(token) > 30
    assert token not in system.run("journalctl", "--no-pager")


def test_it_stops_when_told(system: Machine) -> None:
    system.run("systemctl", "restart", "cardio")
    assert system.run("systemctl", "show", "--property", "Result", "--value", "cardio") == "success\n"
    assert "killing" not in system.run("journalctl", "--no-pager", "--unit", "cardio").lower()
    wait_until(lambda: system.answers("/livez") is not None, "the bridge answers again")


def test_another_user_gets_no_port_of_the_system_unit_while_it_is_stopped(system: Machine) -> None:
    assert taken(system, "clerk") == []
    system.run("systemctl", "stop", "cardio")
    assert system.answers("/livez") is None and taken(system, "clerk") == []
    system.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "cardio-ports")
    wait_until(lambda: taken(system, "clerk") == [], "its reservation is started anew", 30)
    system.run("systemctl", "start", "cardio")
    wait_until(lambda: system.answers("/livez") is not None, "the bridge answers again")


def test_a_wrong_configuration_is_told_once(machine: Machine) -> None:
    machine.install()
    machine.run("sh", "-c", "mkdir -p /var/lib/cardio && echo short >/var/lib/cardio/token")
    machine.run("sh", "-c", "chmod 600 /var/lib/cardio/token && chown -R cardio: /var/lib/cardio")
    machine.attempt("systemctl", "start", "cardio")
    wait_until(
        lambda: machine.attempt("systemctl", "is-active", "cardio").stdout == "failed\n", "the unit has given it up"
    )
    assert machine.run("systemctl", "show", "--property", "NRestarts", "--value", "cardio") == "0\n"
    assert "token" in machine.run("journalctl", "--no-pager", "--unit", "cardio")


def test_a_clerk_has_a_bridge_of_their_own(machine: Machine) -> None:
    machine.run("useradd", "--create-home", "clerk")
    machine.install()
    machine.run("systemctl", "--global", "enable", "cardio")
    _start_manager(machine)
    wait_until(lambda: machine.answers("/readyz") is not None, "the clerk's bridge has started with the session")
    assert machine.run("stat", "--format", "%U %a", "/home/clerk/.config/cardio/token") == "clerk 600\n"
    assert machine.run("cat", "/home/clerk/.config/cardio/token").strip() not in machine.run("journalctl", "--no-pager")
    machine.run("useradd", "other")
    machine.run("systemctl", "--user", "kill", "--signal=STOP", "cardio", user="clerk")
    machine.run("systemctl", "--user", "kill", "--signal=KILL", "cardio", user="clerk")
    assert taken(machine, "other") == [], "between an end and the next start"
    wait_until(lambda: machine.answers("/readyz") is not None, "the clerk's bridge is back", 60)
    before = machine.run("systemctl", "--user", "show", "--property", "MainPID", "cardio", user="clerk")
    machine.install()
    assert machine.run("systemctl", "--user", "show", "--property", "MainPID", "cardio", user="clerk") != before
    assert machine.run("systemctl", "--user", "is-active", "cardio-ports", user="clerk") == "active\n"
    machine.run("dpkg", "--remove", "cardio")
    assert machine.answers("/livez") is None and taken(machine, "other") != []


def test_root_and_system_users_get_none(machine: Machine) -> None:
    # The login screen's manager, or an administrator's over ssh, would take the port from the clerk.
    machine.install()
    machine.run("systemctl", "--global", "enable", "cardio")
    machine.run("systemctl", "start", "user@0.service")
    assert machine.answers("/livez") is None
    asked = machine.run("env", "XDG_RUNTIME_DIR=/run/user/0", "systemctl", "--user", "show", "cardio")
    assert "ConditionResult=no" in asked


def test_polkit_lets_the_systems_bridge_use_readers(system: Machine) -> None:
    written = _POLICY.format(actions="".join(_ACTION.format(name=name) for name in ACTIONS))
    subprocess.run(
        system.command("tee", "/usr/share/polkit-1/actions/org.debian.pcsc-lite.policy"),
        input=written,
        text=True,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    system.run("systemctl", "restart", "polkit")
    bridge = system.run("systemctl", "show", "--property", "MainPID", "--value", "cardio").strip()
    somebody = subprocess.Popen(system.command("setpriv", "--reuid=nobody", "--clear-groups", "sleep", "60"))
    try:
        wait_until(lambda: system.succeeds("pgrep", "-u", "nobody", "sleep"), "another user is there")
        other = system.run("pgrep", "-u", "nobody", "sleep").split()[0]
        for action in ACTIONS:
            assert system.succeeds("pkcheck", "--action-id", action, "--process", bridge)
            assert not system.succeeds("pkcheck", "--action-id", action, "--process", other)
        assert not system.succeeds("pkcheck", "--action-id", "org.freedesktop.login1.reboot", "--process", bridge)
    finally:
        system.run("pkill", "-u", "nobody", "sleep")
        somebody.wait()


@pytest.fixture
def clerks_process(system: Machine) -> Iterator[str]:
    """A process of the clerk's who sits in front of the machine: a session at its seat, which is active."""
    system.run("systemctl", "start", "systemd-logind")
    login = ["-p", "User=clerk", "-p", "PAMName=login", "-E", "XDG_SEAT=seat0", "-E", "XDG_SESSION_CLASS=user"]
    system.run("systemd-run", "--quiet", "--unit=seated", *login, "sleep", "infinity")
    wait_until(lambda: system.succeeds("pgrep", "-u", "clerk", "sleep"), "the clerk sits there")
    yield system.run("pgrep", "-u", "clerk", "sleep").split()[0]
    system.run("systemctl", "stop", "seated")


def test_the_sites_rule_has_the_last_word(system: Machine, clerks_process: str) -> None:
    """pcscd's own default lets in who sits in front of the machine; a site closes that for its clerks, or for all."""
    opened = "".join(_ACTION.format(name=name) for name in ACTIONS)
    opened = opened.replace("<allow_active>no<", "<allow_active>yes<")
    put(system, "/usr/share/polkit-1/actions/org.debian.pcsc-lite.policy", _POLICY.format(actions=opened))
    rule = "/etc/polkit-1/rules.d/60-site.rules"
    bridge = system.run("systemctl", "show", "--property", "MainPID", "--value", "cardio").strip()
    try:
        assert [admitted(system, one) for one in (bridge, clerks_process)] == [{True}, {True}]
        put(system, rule, _SITE.format(refused='subject.user == "clerk"'))
        assert [admitted(system, one) for one in (bridge, clerks_process)] == [{True}, {False}]
        put(system, rule, _SITE.format(refused="true"))
        assert [admitted(system, one) for one in (bridge, clerks_process)] == [{False}, {False}]
    finally:
        system.run("rm", "-f", rule)
        system.run("systemctl", "restart", "polkit")


def admitted(machine: Machine, process: str) -> set[bool]:
    return {machine.succeeds("pkcheck", "--action-id", action, "--process", process) for action in ACTIONS}


def put(machine: Machine, path: str, text: str) -> None:
    """Puts a file of polkit's there, and has it read."""
    subprocess.run(machine.command("tee", path), input=text, text=True, stdout=subprocess.DEVNULL, check=True)
    machine.run("systemctl", "restart", "polkit")


def test_the_rule_admits_the_system_units_user_only() -> None:
    rule = (PACKAGING / "polkit" / "50-cardio.rules").read_text(encoding="utf-8")
    code = [line.strip() for line in rule.splitlines() if not line.strip().startswith("//")]
    granting = [before for before, line in pairwise(code) if line == "return polkit.Result.YES;"]
    assert granting == ['if (subject.user == "cardio") {']


def test_the_rule_names_both_actions() -> None:
    rule = (PACKAGING / "polkit" / "50-cardio.rules").read_text(encoding="utf-8")
    assert all(f'"{action}"' in rule for action in ACTIONS)


def taken(machine: Machine, user: str) -> list[str]:
    """The ways by which a user's program could listen in the bridge's place."""
    asked = json.dumps({"do": "bind", "port": 12340})
    source = Path(stranger.__file__).read_text(encoding="utf-8")
    found: list[str] = json.loads(machine.run("/usr/bin/python3", "-I", "-c", source, asked, user=user))
    return found


def _start_manager(machine: Machine) -> None:
    """What a login does: the clerk's own service manager starts."""
    machine.run("systemctl", "start", f"user@{machine.run('id', '-u', 'clerk').strip()}.service")
