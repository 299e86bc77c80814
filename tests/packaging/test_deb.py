"""The Debian package on a machine: what it brings works, and what it leaves is what Debian promises."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.packaging.conftest import PACKAGING, ROOT
from tests.packaging.machine import Machine
from tests.pcsc import wait_until

SETTINGS = "/etc/cardio/bridge.toml"


def test_the_command_is_there(installed: Machine) -> None:
    version = installed.run("dpkg-query", "--show", "--showformat", "${Version}", "cardio")
    assert installed.run("cardio", "--version") == f"cardio {version.replace('~', '')}\n"


def test_the_manual_page_and_the_completions_are_there(installed: Machine) -> None:
    for page in ("man1", "zh_CN/man1"):
        assert ".TH CARDIO 1" in installed.run("zcat", f"/usr/share/man/{page}/cardio.1.gz")
    asked = (
        "source /usr/share/bash-completion/completions/cardio; COMP_WORDS=(cardio re); COMP_CWORD=1; _cardio; "
        'echo "${COMPREPLY[@]}"'
    )
    assert installed.run("bash", "-c", asked).split() == ["readers", "read", "reserve"]
    for script in ("zsh/vendor-completions/_cardio", "fish/vendor_completions.d/cardio.fish"):
        assert "identify" in installed.run("cat", f"/usr/share/{script}")


def test_a_clerk_reads_a_card(installed: Machine) -> None:
    reading = json.loads(installed.run("cardio", "read", "--reader", "sim:adult", "--json", user="clerk"))
    assert reading["holder"]["name"] == "测试甲"


def test_it_reaches_the_pcsc_service(installed: Machine) -> None:
    # The service is there and has no reader: only a pyscard that fits this Python and this libpcsclite can say so.
    found = json.loads(installed.run("cardio", "readers", "--json", user="clerk"))
    assert "pcsc-unavailable" not in json.dumps(found)
    assert installed.run("systemctl", "is-active", "pcscd.service") == "active\n"


def test_a_clerk_runs_the_bridge(installed: Machine) -> None:
    words = ["cardio", "serve", "--simulate", "--no-pcsc", "--port", "0", "--json"]
    bridge = subprocess.Popen(installed.command(*words, user="clerk"), stdout=subprocess.PIPE, text=True)
    try:
        assert bridge.stdout is not None
        address = json.loads(bridge.stdout.readline())["address"]
        assert "alive" in installed.run("curl", "--silent", "--fail", f"{address}/livez")
    finally:
        # There, since what is here is only nsenter, which passes no signal on.
        installed.run("pkill", "-u", "clerk", "cardio")
        bridge.communicate(timeout=10)


def test_nothing_was_started_or_enabled(machine: Machine) -> None:
    machine.install()
    assert machine.attempt("systemctl", "is-active", "cardio").stdout == "inactive\n"
    assert machine.attempt("systemctl", "is-enabled", "cardio").stdout == "disabled\n"
    assert machine.attempt("systemctl", "--global", "is-enabled", "cardio").stdout == "disabled\n"
    assert machine.answers("/livez") is None


def test_files_are_roots_and_as_they_were_packed(installed: Machine) -> None:
    assert installed.run("dpkg", "--verify", "cardio") == ""
    wrong = [
        "(",
        "!",
        "-user",
        "root",
        "-o",
        "!",
        "-group",
        "root",
        "-o",
        "-perm",
        "/go+w",
        "-o",
        "-perm",
        "/u+s,g+s",
        ")",
    ]
    assert installed.run("find", "/opt/cardio", "/etc/cardio", "!", "-type", "l", *wrong) == ""


def test_running_it_writes_nothing_below_opt(installed: Machine) -> None:
    # Python would compile there whatever was not packed compiled: a purge would leave it behind.
    installed.run("cardio", "read", "--reader", "sim:adult")
    installed.run("cardio", "--help")
    listed = installed.run("dpkg", "--listfiles", "cardio").splitlines()
    assert set(installed.run("find", "/opt/cardio").splitlines()) <= set(listed)


def test_nothing_names_the_place_or_the_time_of_the_build(package: Path, tmp_path: Path) -> None:
    archive = tmp_path / "data.tar"
    with archive.open("wb") as stream:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", package], stdout=stream, check=True)
    with tarfile.open(archive) as members:
        assert len({member.mtime for member in members}) == 1, "the same sources would give another package tomorrow"
    places = ["/tmp/tmp\\.", "\\.pyenv", str(ROOT)]
    assert [place for place in places if re.search(place.encode(), archive.read_bytes())] == []


def test_bundled_packages_are_listed(installed: Machine) -> None:
    listed = installed.run("cat", "/usr/share/doc/cardio/bundled-packages.txt").splitlines()
    names = [line.split()[0] for line in listed]
    assert {"cardio", "cryptography", "fastapi", "pyscard"} <= set(names)
    assert "pip" not in names
    assert all(line.endswith(")") for line in listed)


def test_the_environment_does_not_change_the_program(installed: Machine) -> None:
    installed.run(
        "sh", "-c", "mkdir -p /home/clerk/x/cardio && echo 'raise SystemExit(9)' >/home/clerk/x/cardio/__init__.py"
    )
    assert installed.succeeds("sh", "-c", "cd /home/clerk/x && PYTHONPATH=/home/clerk/x cardio --version", user="clerk")


def test_an_upgrade_restarts_what_runs_and_keeps_settings(machine: Machine) -> None:
    machine.install()
    machine.run("sh", "-c", f"echo '# ours' >>{SETTINGS}")
    machine.run("systemctl", "start", "cardio")
    before = machine.run("systemctl", "show", "--property", "MainPID", "cardio")
    machine.install()
    assert machine.run("systemctl", "is-active", "cardio") == "active\n"
    assert machine.run("systemctl", "show", "--property", "MainPID", "cardio") != before
    assert machine.run("tail", "-n1", SETTINGS) == "# ours\n"


def test_an_upgrade_starts_nothing_that_did_not_run(machine: Machine) -> None:
    machine.install()
    machine.install()
    assert machine.attempt("systemctl", "is-active", "cardio").stdout == "inactive\n"


def test_removing_stops_it_and_keeps_settings_and_token(machine: Machine) -> None:
    machine.install()
    machine.run("sh", "-c", f"echo '# ours' >>{SETTINGS}")
    machine.run("systemctl", "enable", "--now", "cardio")
    wait_until(lambda: machine.answers("/livez") is not None, "the bridge answers")
    machine.run("dpkg", "--remove", "cardio")
    assert machine.answers("/livez") is None
    assert machine.run("tail", "-n1", SETTINGS) == "# ours\n"
    assert machine.succeeds("test", "-s", "/var/lib/cardio/token")
    assert not machine.succeeds("test", "-e", "/opt/cardio")
    assert not machine.succeeds("test", "-e", "/usr/bin/cardio")


def test_a_purge_gives_journal_and_audit_log_to_root(machine: Machine) -> None:
    """The next system user gets the same number: of what the last one had nothing may be that user's."""
    machine.install()
    machine.run("systemctl", "enable", "--now", "cardio")
    wait_until(lambda: machine.answers("/livez") is not None, "the bridge answers")
    state = "/var/lib/cardio"
    number = machine.run("id", "-u", "cardio").strip()
    machine.run("sh", "-ec", f"""
        touch /root/roots /var/spool/other && chmod 0644 /root/roots && mkdir {state}/sub /srv/money
        for one in debits.sqlite debits.key debits.sqlite-wal debits-archive-1.sqlite sub/debits.old; do
          echo kept >{state}/$one
        done
        echo kept >/srv/money/debits.sqlite
        chmod 0666 {state}/debits.* {state}/debits-* /srv/money/debits.sqlite
        ln -s /root/roots {state}/debits.link
        ln -s /root/nowhere {state}/audit.link
        ln /var/spool/other {state}/debits.other
        chown -hR cardio: {state} /srv/money
        chown root:root /var/spool/other
    """)  # fmt: skip
    machine.run("dpkg", "--purge", "cardio")
    listed = machine.run("find", state, "/srv/money", "-printf", "%p %U %G %m %y\n").splitlines()
    assert sorted(listed) == sorted([
        f"{state} 0 0 700 d",
        f"{state}/audit.key 0 0 600 f",
        f"{state}/audit.sqlite 0 0 600 f",
        f"{state}/debits.sqlite 0 0 600 f",
        f"{state}/debits.key 0 0 600 f",
        f"{state}/debits.sqlite-wal 0 0 600 f",
        f"{state}/debits-archive-1.sqlite 0 0 600 f",
        "/srv/money 0 0 755 d",
        "/srv/money/debits.sqlite 0 0 600 f",
    ])  # fmt: skip
    assert machine.run("stat", "-c", "%U %a", "/root/roots") == "root 644\n"
    assert machine.run("stat", "-c", "%U %a %h", "/var/spool/other") == "root 644 1\n"
    assert not machine.succeeds("test", "-e", "/root/nowhere")
    machine.run("useradd", "--system", "--uid", number, "another")
    owned = machine.run("find", "/etc", "/home", "/opt", "/srv", "/usr", "/var", "-xdev", "-user", "another")
    assert owned == "" and not machine.succeeds("cat", f"{state}/debits.key", user="another")


def test_a_purge_gives_root_what_stands_on_another_disk_and_leaves_containers_alone(machine: Machine) -> None:
    """The administrator has moved the journal and left a link; a container's user has the same number by chance."""
    machine.install()
    machine.run("sh", "-ec", """
        rm -rf /var/lib/cardio && mkdir -p /data/cardio /var/lib/docker/layer && ln -s /data/cardio /var/lib/cardio
        cd /data && touch cardio/debits.sqlite cardio/token other /var/lib/docker/layer/file
        chown -R cardio: /data/cardio /var/lib/docker/layer
    """)  # fmt: skip
    number = machine.run("id", "-u", "cardio").strip()
    machine.run("dpkg", "--purge", "cardio")
    listed = machine.run("find", "/data", "/var/lib/docker/layer/file", "-printf", "%p %U %m\n").splitlines()
    assert sorted(listed) == sorted([
        "/data 0 755",
        "/data/cardio 0 755",
        "/data/cardio/debits.sqlite 0 600",
        "/data/cardio/token 0 600",
        "/data/other 0 644",
        f"/var/lib/docker/layer/file {number} 644",
    ])  # fmt: skip
    assert not machine.succeeds("test", "-L", "/var/lib/cardio")


def test_a_purge_leaves_nothing(machine: Machine) -> None:
    before = machine.files()
    machine.install()
    machine.run("systemctl", "enable", "--now", "cardio")
    machine.run("systemctl", "--global", "enable", "cardio")
    wait_until(lambda: machine.answers("/livez") is not None, "the bridge answers")
    machine.run("dpkg", "--purge", "cardio")
    assert machine.files() == before
    assert not machine.succeeds("getent", "passwd", "cardio")
    assert not machine.succeeds("getent", "group", "cardio")
    assert machine.attempt("systemctl", "is-active", "cardio").stdout == "inactive\n"


def linked_wheelhouse(folder: Path) -> Path:
    """A wheelhouse with links to the real one's files, any of which a test may replace."""
    wheelhouse = folder / "wheelhouse"
    wheelhouse.mkdir()
    for wheel in (ROOT / ".venv" / "wheelhouse").iterdir():
        (wheelhouse / wheel.name).symlink_to(wheel)
    return wheelhouse


def build_from(wheelhouse: Path, output: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PACKAGING / "deb" / "build.sh", output],
        env={**os.environ, "CARDIO_WHEELHOUSE": str(wheelhouse)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_wheel_that_was_changed_is_not_bundled(tmp_path: Path) -> None:
    wheelhouse = linked_wheelhouse(tmp_path)
    (changed,) = wheelhouse.glob("idna-*.whl")
    content = changed.read_bytes()
    changed.unlink()
    changed.write_bytes(content + b"\n")
    built = build_from(wheelhouse, tmp_path / "out")
    assert built.returncode != 0
    assert "DO NOT MATCH THE HASHES" in built.stderr and "packaging/deb/fetch.sh" in built.stderr
    assert not list((tmp_path / "out").glob("*.deb"))


@pytest.mark.parametrize(
    "more", ["idna==3.10 --hash=sha256:" + "0" * 64, "pyscard==9.9 --hash=sha256:" + "0" * 64, "-e ."]
)
def test_what_was_built_is_the_readers_packages_and_nothing_else(tmp_path: Path, more: str) -> None:
    """The wheelhouse says itself which hash they have: it must not bring anything along by that."""
    wheelhouse = linked_wheelhouse(tmp_path)
    (wheelhouse / "built.txt").unlink()
    (wheelhouse / "built.txt").write_text(f"{(ROOT / '.venv/wheelhouse/built.txt').read_text()}{more}")
    built = build_from(wheelhouse, tmp_path / "out")
    assert built.returncode != 0
    assert "built.txt names" in built.stderr and not list((tmp_path / "out").glob("*.deb"))
