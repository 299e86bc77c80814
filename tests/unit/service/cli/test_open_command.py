"""`cardio open`: finds the user's own bridge or starts it, opens the browser, and says what is in the way."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path

import httpx
import pytest

from cardio.cli.main import main
from cardio.cli.output import Output
from cardio.client import BridgeClient, BridgeNotRunningError, default_token_file
from cardio.errors import UsageError
from service.cli.open import open_command
from service.cli.running_bridge import reach
from service.gate.errors import PortHeldError
from tests.pcsc import wait_until
from tests.unit.service.bridge import TOKEN, Bridge
from tests.warm_cardio import warm_command

CARDIO = Path(sys.executable).with_name("cardio")
BROWSER = """#!/bin/sh
printf '%s\\n' "$@" >"$NOTED.new" && mv "$NOTED.new" "$NOTED"
"""
SYSTEMCTL = """#!/bin/sh
# The clerk's service manager with the unit `cardio`: what it starts is the real bridge.
echo "$*" >>"$FOLDER/systemctl"
case "$*" in
  *LoadState*) echo "$LOAD" ;;
  *ActiveState*) kill -0 "$(cat "$FOLDER/pid" 2>/dev/null)" 2>/dev/null && echo active || echo failed ;;
  *start*) $SERVE >/dev/null 2>&1 & echo $! >"$FOLDER/pid"; exit "$STARTS" ;;
esac
"""


class Shell:
    """A user's shell with a folder of programs of the test's own, and nothing of this machine's desktop."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder / "desktop"
        self.programs = self.folder / "bin"
        self.programs.mkdir(parents=True)
        self.noted = self.folder / "noted"
        wanted = {"XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HOME", "LANG"}
        self.environment = {name: value for name, value in os.environ.items() if name in wanted} | {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "CARDIO_BRIDGE_PORT": str(port),
            "NOTED": str(self.noted),
            "FOLDER": str(self.folder),
            "LOAD": "not-found",
            "STARTS": "0",
            "SERVE": "false",
        }
        self.program("systemctl", SYSTEMCTL)

    def program(self, name: str, text: str = BROWSER) -> Path:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def open(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [warm_command(), "open", *words], env=self.environment | environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    @property
    def link(self) -> str:
        """What the browser was started with."""
        return self.noted.read_text().strip()

    @property
    def asked_systemctl(self) -> str:
        path = self.folder / "systemctl"
        return path.read_text() if path.exists() else ""


def give_token() -> None:
    file = default_token_file()
    file.parent.mkdir(parents=True)
    file.touch(0o600)
    file.write_text(TOKEN)


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge()
    give_token()
    yield made
    made.stop()


@pytest.fixture
def shell(bridge: Bridge, tmp_path: Path) -> Shell:
    return Shell(tmp_path, bridge.port)


def comes_in(link: str, page: str = "/") -> bool:
    """Whether a link lets a page of the bridge in."""
    address, _, ticket = link.partition("#ticket=")
    url = httpx.URL(address)
    own = f"http://{url.host}:{url.port}"
    answer = httpx.post(f"{own}/v1/pages/session", json={"ticket": ticket}, headers={"Origin": own}, trust_env=False)
    return url.path == page and answer.status_code == 200


def test_the_browser_is_started_with_a_link_that_lets_it_in(shell: Shell, bridge: Bridge) -> None:
    shell.program("xdg-open")
    done = shell.open(DISPLAY=":7")
    assert done.returncode == 0, done.stderr
    link = shell.link
    assert link.startswith(f"{bridge.address}/#ticket=") and TOKEN not in link
    assert bridge.address in done.stdout and "ticket" not in done.stdout + done.stderr
    assert comes_in(link)


def test_a_link_on_a_browsers_command_line_is_the_browsers_users_also_where_that_is_root(
    shell: Shell, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every user of the machine reads a command line; root's own desktop is no exception."""
    shell.program("xdg-open")
    assert shell.open(DISPLAY=":7").returncode == 0
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("service.gate.peers.PeerLookup.user_of", lambda lookup, client, server: os.getuid() + 2002)
        assert not comes_in(shell.link)
    assert comes_in(shell.link)


@pytest.mark.parametrize(
    ("browser", "given"),
    [("mine", "{link}"), ("mine --new-window", "--new-window\n{link}"), ("mine '--app=%s'", "--app={link}")],
)
def test_the_users_own_choice_comes_first(shell: Shell, browser: str, given: str) -> None:
    shell.program("mine")
    shell.program("xdg-open", "#!/bin/sh\nexit 9\n")
    assert shell.open(BROWSER=browser, DISPLAY=":7").returncode == 0
    start, _, end = given.partition("{link}")
    assert shell.link.startswith(f"{start}http://127.0.0.1") and shell.link.endswith(end)


def test_what_cannot_start_gives_way_to_the_next(shell: Shell) -> None:
    shell.program("broken", "#!/bin/sh\nexit 3\n")
    shell.program("mine")
    assert shell.open(BROWSER="'unclosed:none:broken:mine").returncode == 0
    assert comes_in(shell.link)


def test_a_browser_that_stays_is_not_waited_for(shell: Shell) -> None:
    shell.program("mine", BROWSER + 'echo $$ >"$FOLDER/browser"\nexec sleep 600\n')
    done = shell.open(BROWSER="mine")
    stays = int((shell.folder / "browser").read_text())
    try:
        assert done.returncode == 0 and comes_in(shell.link)
        os.kill(stays, 0)
    finally:
        os.kill(stays, signal.SIGKILL)


@pytest.mark.parametrize("display", [{}, {"DISPLAY": ":7"}, {"WAYLAND_DISPLAY": "wayland-0"}])
def test_without_a_browser_the_link_is_shown(shell: Shell, display: dict[str, str]) -> None:
    for name in ("xdg-open", "gio", "sensible-browser", "x-www-browser", "zenity", "kdialog", "notify-send"):
        shell.program(name, "#!/bin/sh\nexit 3\n")
    done = shell.open(**display)
    assert done.returncode == 1 and "浏览器" in done.stderr and "地址栏" in done.stderr
    assert comes_in(done.stdout.strip())


def test_the_link_is_shown_where_it_is_asked_for(shell: Shell, bridge: Bridge) -> None:
    shell.program("xdg-open")
    printed = shell.open("--print", DISPLAY=":7")
    assert printed.returncode == 0 and printed.stdout.count("\n") == 1 and comes_in(printed.stdout.strip())
    document = json.loads(shell.open("--json", DISPLAY=":7").stdout)
    assert document["expires_in"] == 600 and comes_in(document["link"])
    assert not shell.noted.exists()


@pytest.mark.parametrize(
    ("page", "path"),
    [
        ("counter", "/"), ("/", "/"), ("kiosk", "/kiosk"), ("/kiosk", "/kiosk"), ("developer", "/developer"),
        ("pair", "/pair"), ("kiosk?reader=德卡 #1", "/kiosk?reader=%E5%BE%B7%E5%8D%A1%20%231"),
    ],
)  # fmt: skip
def test_pages(shell: Shell, bridge: Bridge, page: str, path: str) -> None:
    link = shell.open(page, "--print").stdout.strip()
    assert link.partition("#ticket=")[0] == bridge.address + path
    assert comes_in(link, path.partition("?")[0])


@pytest.mark.parametrize("page", ["other", "//evil.example", "kiosk/x", "https://evil.example"])
def test_no_such_page(shell: Shell, page: str) -> None:
    done = shell.open(page, "--print")
    assert done.returncode == 2 and "kiosk" in done.stderr and done.stdout == ""


def test_a_bridge_elsewhere_is_named(shell: Shell, bridge: Bridge, tmp_path: Path) -> None:
    elsewhere = tmp_path / "token"
    default_token_file().rename(elsewhere)
    words = ("--print", "--address", bridge.address + "/", "--token-file", str(elsewhere))
    assert comes_in(shell.open(*words, CARDIO_BRIDGE_PORT="1").stdout.strip())
    less = ("--print", "--token-file", str(elsewhere))
    assert comes_in(shell.open(*less, CARDIO_BRIDGE_PORT="1", CARDIO_BRIDGE=bridge.address).stdout.strip())


NO_ADDRESSES = [
    "127.0.0.1:12340", "http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:x", "http://127.0.0.1:0", "http://",
    "ftp://127.0.0.1:12340", "http：//127.0.0.1:12340", "http://a b", "http://me@127.0.0.1", "http://127.0.0.1/kiosk",
    "http://127.0.0.1:12340/#ticket=x", "http://127.0.0.1:12340?x",
]  # fmt: skip


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_what_is_no_address_is_said_so(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    give_token()
    options = Namespace(page="counter", print=True, token_file=None)
    output = Output(as_json=False, stdout=StringIO(), stderr=StringIO())
    for option, variable in ((address, ""), (None, address)):
        monkeypatch.setenv("CARDIO_BRIDGE", variable)
        options.address = option
        with pytest.raises(UsageError) as refused:
            open_command.run(options, output)
        assert refused.value.detail == f"“{address}”不是服务地址；应写作 http://127.0.0.1:12340"


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_no_client_connects_to_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="no address of a bridge"):
        BridgeClient.connect(address, token=TOKEN)


def test_settings_that_leave_the_port_to_chance(shell: Shell) -> None:
    done = shell.open("--print", CARDIO_BRIDGE_PORT="0")
    assert done.returncode == 2 and "--address" in done.stderr


def test_a_token_file_that_others_can_read_is_not_used(shell: Shell) -> None:
    default_token_file().chmod(0o644)
    done = shell.open("--print")
    assert done.returncode == 78 and done.stdout == ""


def closed_port() -> int:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as probe:
        return probe.server_port


def test_nothing_runs_and_there_is_no_unit(tmp_path: Path) -> None:
    shell = Shell(tmp_path, closed_port())
    for with_token in (False, True):
        if with_token:
            give_token()
        done = shell.open()
        assert done.returncode == 69 and "本机没有运行读卡服务" in done.stderr
        assert "systemctl --user start cardio" in done.stderr and "cardio serve" in done.stderr
    assert "start" not in shell.asked_systemctl.split()


def test_no_service_manager_at_all(tmp_path: Path) -> None:
    shell = Shell(tmp_path, closed_port())
    shell.program("systemctl", "#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    assert shell.open().returncode == 69


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Shell]:
    """A desk where the unit is installed and does not run; what it starts is ended afterwards."""
    port = closed_port()
    shell = Shell(tmp_path, port)
    shell.environment |= {
        "LOAD": "loaded",
        "SERVE": f"{CARDIO} serve --no-pcsc --simulate adult --port {port} --log-level ERROR",
    }
    yield shell
    pid = shell.folder / "pid"
    if pid.exists() and (number := pid.read_text().strip()):
        subprocess.run(["kill", number], check=False, capture_output=True)
        wait_until(lambda: not Path(f"/proc/{number}").exists(), "the bridge has ended")


def test_the_unit_is_started_and_waited_for(stopped: Shell) -> None:
    """At the first click there is no token yet: the bridge makes it as it starts."""
    stopped.program("xdg-open")
    done = stopped.open(DISPLAY=":7")
    assert done.returncode == 0, done.stderr
    assert comes_in(stopped.link)
    again = stopped.open("--print")
    assert comes_in(again.stdout.strip())
    assert stopped.asked_systemctl.count("--user start cardio.service") == 1


@pytest.mark.parametrize("fault", [{"STARTS": "1"}, {"SERVE": "false"}])
def test_a_unit_that_does_not_start_is_told(stopped: Shell, fault: Mapping[str, str]) -> None:
    done = stopped.open("--print", **{"SERVE": "false", **fault})
    assert done.returncode == 69 and "读卡服务未能启动" in done.stderr and "cardio doctor" in done.stderr


def test_a_bridge_that_was_named_is_not_started(stopped: Shell) -> None:
    port = stopped.environment["CARDIO_BRIDGE_PORT"]
    assert stopped.open("--address", f"http://127.0.0.1:{port}").returncode == 69
    assert "start" not in stopped.asked_systemctl.split()


class _Squatter(BaseHTTPRequestHandler):
    seen: list[str] = []  # noqa: RUF012 - one for the test, read from outside

    def do_GET(self) -> None:
        self.seen.append(f"{self.command} {self.path} {self.headers}")
        body = b'{"service": "cardio", "proof": "00"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.mark.parametrize("with_token", [True, False])
def test_a_squatter_is_recognised_and_gets_nothing(stopped: Shell, with_token: bool) -> None:
    _Squatter.seen.clear()
    stopped.program("xdg-open")
    if with_token:
        give_token()
    port = int(stopped.environment["CARDIO_BRIDGE_PORT"])
    with HTTPServer(("127.0.0.1", port), _Squatter) as squatter:
        thread = threading.Thread(target=squatter.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            done = stopped.open(DISPLAY=":7")
        finally:
            squatter.shutdown()
            thread.join()
    assert done.returncode == (77 if with_token else 69), done.stderr
    assert "端口" in done.stderr if with_token else "读卡服务未能启动" in done.stderr
    assert not stopped.noted.exists(), "no browser is sent to a stranger"
    assert not any(TOKEN in one or one.startswith("POST") for one in _Squatter.seen)


def test_another_users_program_at_the_port_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.cli.running_bridge.listening_user", lambda host, port: 65534)
    with pytest.raises(PortHeldError) as held:
        reach("http://127.0.0.1:1", tmp_path / "token", None)
    assert "nobody" in held.value.detail and "注销" in held.value.remedy
    monkeypatch.setattr("service.cli.running_bridge.listening_user", lambda host, port: os.getuid())
    with pytest.raises(BridgeNotRunningError):
        reach("http://127.0.0.1:1", tmp_path / "token", None)


@pytest.mark.parametrize(
    ("program", "given"), [("zenity", "--text="), ("kdialog", "--error"), ("notify-send", "--urgency=critical")]
)
def test_an_icon_has_no_terminal_so_a_window_says_it(tmp_path: Path, program: str, given: str) -> None:
    shell = Shell(tmp_path, closed_port())
    shell.environment["PATH"] = f"{shell.programs}:/bin/none"
    shell.program("systemctl", "#!/bin/sh\nexit 1\n")
    os.symlink("/bin/mv", shell.programs / "mv")
    shell.program(program)
    assert shell.open(DISPLAY=":7").returncode == 69
    said = shell.noted.read_text()
    assert given in said and "本机没有运行读卡服务" in said and "systemctl --user start cardio" in said
    shell.noted.unlink()
    for words in (("--print",), ("--json",)):
        assert shell.open(*words, DISPLAY=":7").returncode == 69
    assert shell.open().returncode == 69, "without a desktop there are no windows"
    assert not shell.noted.exists()


def without_home(shell: Shell) -> None:
    """The user's home cannot be written, as a container's or a locked-down desk's."""
    shell.environment |= {"HOME": "/proc/nobody", "TMPDIR": str(shell.folder)}
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        shell.environment.pop(name, None)


def test_a_demonstration_that_does_not_start_leaves_nothing_behind(tmp_path: Path) -> None:
    shell = Shell(tmp_path, closed_port())
    shell.environment["TMPDIR"] = str(shell.folder)
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o644)
    done = subprocess.run(
        [CARDIO, "serve", "--demo", "--no-pcsc", "--port", "0", "--token-file", token],
        env=shell.environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 78 and str(token) in done.stderr
    assert not list(shell.folder.glob("cardio-demo-*"))


@pytest.mark.parametrize("options", [("--simulate", "adult"), ("--demo",)])
def test_the_command_that_serve_names_for_the_next_link_works(tmp_path: Path, options: tuple[str, ...]) -> None:
    shell = Shell(tmp_path, closed_port())
    if options == ("--demo",):
        without_home(shell)
    process = subprocess.Popen(
        [CARDIO, "serve", "--no-pcsc", *options, "--port", "0"],
        env=shell.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        shown: list[str] = []
        while "Ctrl-C" not in "".join(shown[-1:]):
            shown.append(process.stdout.readline())
            assert shown[-1], "it has ended: " + "".join(shown)
        text = "".join(shown)
        (kept,) = [default_token_file()] if default_token_file().exists() else shell.folder.glob("cardio-demo-*/token")
        assert kept.read_text().strip() not in text
        link = next(line.strip() for line in shown if "#ticket=" in line)
        assert comes_in(link) and not comes_in(link)
        words = shlex.split(text.partition("afterwards: ")[2].splitlines()[0])
        again = subprocess.run([*words, "--print"], env=shell.environment, capture_output=True, text=True, check=True)
        assert comes_in(again.stdout.strip())
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.parametrize("port", ["99999", "-1", "abc", "", "1.5", "８０", "0" * 5000])
def test_what_is_no_port_is_said_so(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As `make run PORT=…` hands it on."""
    assert main(["serve", "--port=" + port]) == UsageError.exit_status
    said = capsys.readouterr().err
    assert "不是端口，应为 0 至 65535" in said and "a port is 0 to 65535" in said and "_port" not in said
