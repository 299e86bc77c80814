"""What the package puts on a clerk's desktop: log in, click the icon, and cards are read; nothing is typed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.browser.conftest import ARGUMENTS
from tests.packaging.conftest import ROOT
from tests.packaging.machine import Machine
from tests.pcsc import wait_until

ICON, AUTOSTART = "/usr/share/applications/cardio.desktop", "/etc/xdg/autostart/cardio.desktop"
NOTED = "/home/clerk/noted-link"
# What a desktop environment pulls in as a session begins; systemd runs the autostart entries from there.
_SESSION = "[Unit]\nWants=xdg-desktop-autostart.target\n"
_XDG_OPEN = f'#!/bin/sh\nprintf %s "$1" >{NOTED}.new && mv {NOTED}.new {NOTED}\n'
LISTEN = "import socket; listener = socket.create_server(('127.0.0.1', 12340))"
BIND = f'/usr/bin/python3 -c "{LISTEN}"'
_ENTER = """#!/bin/sh
exec {command} chromium "$@"
"""


def log_in(machine: Machine) -> None:
    """A login to a desktop: the user's own manager starts, and with the session what stands in autostart."""
    uid = machine.run("id", "-u", "clerk").strip()
    write(machine, "/etc/systemd/user/desktop-session.target", _SESSION)
    machine.run("systemctl", "start", f"user@{uid}.service")
    machine.run("systemctl", "--user", "start", "desktop-session.target", user="clerk")


def write(machine: Machine, path: str, text: str, mode: str = "644") -> None:
    subprocess.run(
        machine.command("sh", "-c", f"mkdir -p {Path(path).parent} && cat >{path} && chmod {mode} {path}"),
        input=text,
        text=True,
        check=True,
    )


def entry(machine: Machine, path: str) -> dict[str, str]:
    """A desktop entry's lines."""
    lines = machine.run("cat", path).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def click(machine: Machine) -> str:
    """What the icon runs, in the clerk's session; gives the link that the browser was started with."""
    machine.run("rm", "-f", NOTED)
    words = entry(machine, ICON)["Exec"].split()
    done = machine.attempt("env", "DISPLAY=:0", *words, user="clerk")
    assert done.returncode == 0, done.stdout + done.stderr
    return machine.run("cat", NOTED)


@contextmanager
def browser_of_clerk(machine: Machine, folder: Path) -> Iterator[BrowserContext]:
    """Chromium on that machine, started by the clerk, with a profile that stays."""
    profile = folder / "profile"
    program = folder / "chromium"
    command = " ".join(machine.command("env", "HOME=/home/clerk", user="clerk"))
    program.write_text(_ENTER.format(command=command))
    program.chmod(0o755)
    machine.run("sh", "-c", f"mkdir -p {profile} && chown clerk: {profile} && chmod 755 {folder}")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(profile, executable_path=program, args=ARGUMENTS)
        yield context
        context.close()


def expect_card(page: Page) -> None:
    expect(page.locator("article .name").first).to_have_text("测＊＊", timeout=30_000)
    assert page.get_by_role("alert").count() == 0


@pytest.fixture
def desktop(machine: Machine) -> Machine:
    """The package is installed, a clerk and another user have accounts, and PC/SC has a reader."""
    for user in ("clerk", "other"):
        machine.run("useradd", "--create-home", user)
    write(machine, "/usr/local/bin/xdg-open", _XDG_OPEN, "755")
    machine.install()
    machine.run("systemctl", "start", "pcscd.socket")
    return machine


@contextmanager
def card_in(machine: Machine) -> Iterator[None]:
    """A software card in pcscd's virtual reader, which stands on this machine as any reader does."""
    wait_until(lambda: ":35963" in machine.run("ss", "--listening", "--tcp", "--numeric"), "the reader is there")
    card = subprocess.Popen(machine.command("cardio", "sim", "run", "adult", "--vpcd", "127.0.0.1:35963", user="other"))
    try:
        yield
    finally:
        machine.run("pkill", "-u", "other", "cardio")
        card.wait(timeout=10)


@pytest.mark.browser
def test_log_in_click_read_close_click_again(desktop: Machine, tmp_path: Path) -> None:
    log_in(desktop)
    wait_until(lambda: desktop.answers("/readyz") is not None, "the bridge has started with the session", 60)
    assert desktop.run("systemctl", "--user", "is-active", "cardio", user="clerk") == "active\n"
    token = desktop.run("cat", "/home/clerk/.config/cardio/token").strip()
    with card_in(desktop):
        for _ in range(2):
            link = click(desktop)
            assert token not in link
            # Every user of the machine sees a browser's command line, and may be quicker with the link than its page.
            assert spend(desktop, link, user="other") == 401
            with browser_of_clerk(desktop, tmp_path) as browser:
                page = browser.new_page()
                page.goto(link)
                expect_card(page)
                assert spend(desktop, link, user="clerk") == 401, "it was used"
    assert token not in desktop.run("journalctl", "--no-pager")
    assert link.partition("#ticket=")[2] not in desktop.run("journalctl", "--no-pager")


def spend(machine: Machine, link: str, *, user: str) -> int:
    """What a local user's program gets who has seen a link and claims to be the bridge's page."""
    page, _, ticket = link.partition("#ticket=")
    address = "/".join(page.split("/")[:3])
    words = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]
    words += ["--header", f"Origin: {address}", "--json", json.dumps({"ticket": ticket})]
    return int(machine.run(*words, f"{address}/v1/pages/session", user=user))


def test_the_icon_starts_the_bridge_where_it_does_not_run(desktop: Machine) -> None:
    desktop.run("systemctl", "start", f"user@{desktop.run('id', '-u', 'clerk').strip()}.service")
    assert desktop.answers("/livez") is None, "a login without a desktop starts nothing"
    link = click(desktop)
    assert re.match(r"http://127(\.\d+){3}:12340/#ticket=", link)
    assert desktop.answers("/livez") is not None
    assert spend(desktop, link, user="clerk") == 200


def test_another_users_bridge_at_the_port_is_named(desktop: Machine) -> None:
    log_in(desktop)
    wait_until(lambda: desktop.answers("/livez") is not None, "the clerk's bridge has started", 60)
    told = desktop.attempt("env", "DISPLAY=:0", "cardio", "open", user="other")
    assert told.returncode == 77 and "用户 clerk" in told.stderr and "注销" in told.stderr
    assert not desktop.succeeds("test", "-e", NOTED)


def test_at_login_a_window_tells_of_another_users_program_at_the_port(desktop: Machine) -> None:
    """A browser would show that program's page to a user who typed the address."""
    shown = "/home/clerk/shown"
    write(desktop, "/usr/local/bin/zenity", f'#!/bin/sh\nprintf "%s\\n" "$@" >>{shown}\n', "755")
    squatter = subprocess.Popen(
        desktop.command("/usr/bin/python3", "-c", f"{LISTEN}; import signal; signal.pause()", user="other")
    )
    try:
        wait_until(lambda: ":12340" in desktop.run("ss", "-ltn"), "another user's program has the port")
        log_in(desktop)
        wait_until(lambda: "12340" in desktop.run("journalctl", "--no-pager"), "the log has it", 60)
        assert not desktop.succeeds("test", "-s", shown), "there is no display yet"
        # The session brings the display when it has one; the unit may be older.
        desktop.run("systemctl", "--user", "set-environment", "DISPLAY=:0", user="clerk")
        wait_until(lambda: desktop.succeeds("test", "-s", shown), "a window is shown", 60)
        text = desktop.run("cat", shown)
        assert "端口 12340 由用户 other 的程序占用" in text and "不是您的读卡服务" in text and "联系信息科" in text
    finally:
        desktop.run("pkill", "-u", "other", "python3")
        squatter.wait(timeout=10)
    wait_until(lambda: not desktop.succeeds("sh", "-c", BIND, user="other"), "the port is the clerk's now", 30)
    click(desktop)
    assert desktop.answers("/livez") is not None


def test_the_system_unit_is_alone_where_it_is_chosen(desktop: Machine) -> None:
    desktop.run("systemctl", "enable", "--now", "cardio")
    wait_until(lambda: desktop.answers("/livez") is not None, "the system's bridge has started", 60)
    log_in(desktop)
    shown = desktop.run("systemctl", "--user", "show", "cardio", user="clerk")
    assert "ConditionResult=no" in shown and "ActiveState=inactive" in shown
    # The clerk has no token of that bridge; the administrator has its user make a link.
    told = desktop.attempt("cardio", "open", "--print", user="clerk")
    assert told.returncode == 77 and "用户 cardio" in told.stderr
    words = ["cardio", "open", "--print", "--token-file", "/var/lib/cardio/token"]
    link = desktop.run("setpriv", "--reuid=cardio", "--regid=cardio", "--init-groups", *words).strip()
    assert spend(desktop, link, user="clerk") == 200


def test_the_entries_are_well_formed_and_what_they_name_is_there(installed: Machine) -> None:
    checked = installed.attempt("desktop-file-validate", ICON, AUTOSTART)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    icon = entry(installed, ICON)
    assert (icon["Name[zh_CN]"], icon["Exec"], icon["Terminal"]) == ("读卡台", "cardio open", "false")
    assert re.match("<svg ", installed.run("cat", f"/usr/share/icons/hicolor/scalable/apps/{icon['Icon']}.svg"))
    assert entry(installed, AUTOSTART)["Exec"] == "systemctl --user start cardio.service"
    for path in (ICON, AUTOSTART):
        assert installed.succeeds("sh", "-c", f"command -v {entry(installed, path)['TryExec']}", user="clerk")


def test_the_administrator_can_do_without_the_autostart(desktop: Machine) -> None:
    """It is a configuration file: an upgrade keeps what the administrator wrote."""
    desktop.run("sh", "-c", f"echo Hidden=true >>{AUTOSTART}")
    desktop.install()
    assert desktop.run("tail", "-n1", AUTOSTART) == "Hidden=true\n"
    log_in(desktop)
    listed = desktop.run("systemctl", "--user", "list-units", "--all", "--no-legend", "app-cardio@*", user="clerk")
    assert listed == "" and desktop.answers("/livez") is None


def test_a_kiosks_browser_gets_a_new_link_when_the_bridge_starts_anew(desktop: Machine) -> None:
    """The user unit that docs/pages.md shows, with a browser that notes its link and stays."""
    text = (ROOT / "docs" / "pages.md").read_text(encoding="utf-8")
    unit = text.partition("cardio-kiosk\n")[2].partition("```")[0]
    assert "cardio open kiosk --print" in unit
    write(desktop, "/usr/local/bin/chromium", f'#!/bin/sh\necho "$2" >>{NOTED}\nexec sleep infinity\n', "755")
    write(desktop, "/etc/systemd/user/cardio-kiosk.service", unit)
    desktop.run("systemctl", "--global", "enable", "cardio-kiosk")
    log_in(desktop)

    def links() -> list[str]:
        return desktop.attempt("cat", NOTED).stdout.split()

    def wait_for(number: int) -> None:
        wait_until(lambda: len(links()) == number, f"the browser has its link number {number}", 60)

    for number in (1, 2, 3):
        wait_for(number)
        assert re.match(r"http://127(\.\d+){3}:12340/kiosk#ticket=", links()[-1])
        assert spend(desktop, links()[-1], user="clerk") == 200
        # By an upgrade, by a crash: the first is told to the manager, the second is not.
        words = ["restart"] if number == 1 else ["kill", "--signal=KILL"]
        desktop.run("systemctl", "--user", *words, "cardio", user="clerk")
