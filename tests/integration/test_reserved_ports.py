"""`cardio reserve` of a clerk, and another user of the machine who wants the bridge's ports while no bridge runs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.integration.users import CLERK, OTHER, bridge_of, does, doing, home_of
from tests.pcsc import wait_until


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in probes]
    for one in probes:
        one.close()
    return ports


class Desk:
    """A clerk's folder and settings, and the commands that are run there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.dialect, self.later = free_ports(3)
        self.settings = folder / "bridge.toml"
        self.write(self.port)
        self.shown = folder / "config" / "shown"
        window = folder / "zenity"
        window.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{self.shown}\n')
        window.chmod(0o755)

    def write(self, port: int) -> None:
        self.settings.write_text(f"port = {port}\n[dialects]\njson = true\njson_port = {self.dialect}\n")
        self.settings.chmod(0o644)

    def start(self, *words: str, terminal: int | None = None, **more: str) -> subprocess.Popen[str]:
        places = {"HOME": f"{self.folder}/config", "XDG_CONFIG_HOME": f"{self.folder}/config"}
        places |= {"XDG_CACHE_HOME": f"{self.folder}/cache", "XDG_STATE_HOME": f"{self.folder}/config"}
        environment = os.environ | places | {"CARDIO_BRIDGE_FILE": str(self.settings), "LANG": "C.UTF-8"} | more
        environment["PATH"] = f"{self.folder}:{environment['PATH']}"
        return subprocess.Popen(
            [*bridge_of(CLERK), *words, "--lang", "en"], env=environment, text=True,
            stdin=terminal or subprocess.DEVNULL, stdout=terminal or subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def told(self, *words: str) -> str:
        """Run a command that ends well, and return its output."""
        process = self.start(*words)
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        return told

    def answers(self, port: int | None = None) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port or self.port}/livez", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @contextmanager
    def reserving(self, *, display: str = "") -> Iterator[subprocess.Popen[str]]:
        """`cardio reserve`, once it has reported to its service manager that it is ready."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service_manager:
            address = f"\0cardio-reserve-{id(service_manager)}"
            service_manager.bind(address)
            service_manager.settimeout(30)
            process = self.start("reserve", NOTIFY_SOCKET=address.replace("\0", "@"), DISPLAY=display)
            try:
                assert service_manager.recv(100) == b"READY=1"
                yield process
            finally:
                process.kill()
                process.communicate()

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[str]]:
        process = self.start("serve", "--no-pcsc", "--simulate", "adult")
        try:
            wait_until(lambda: process.poll() is not None or self.answers(), "the bridge answers", 30)
            assert process.poll() is None, process.communicate()
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with home_of(CLERK) as folder:
        yield Desk(folder)


def taken_by_other(port: int) -> list[str]:
    found: list[str] = does(OTHER, {"do": "bind", "port": port})
    return found


def refuses(port: int) -> bool:
    """Return True if nothing listens there, as at a free port."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_another_user_gets_no_port_of_the_bridge_while_it_does_not_run(desk: Desk) -> None:
    assert len(taken_by_other(desk.port)) > 1, "without a reservation any user takes a free port"
    with desk.reserving():
        for port in (desk.port, desk.dialect):
            assert refuses(port) and taken_by_other(port) == []
        assert taken_by_other(desk.later) != []


def test_the_bridge_has_its_ports_and_leaves_them_reserved_however_it_ends(desk: Desk) -> None:
    with desk.reserving():
        for signal_number in (signal.SIGKILL, signal.SIGTERM):
            with desk.serving() as bridge, doing(OTHER, {"do": "bind", "port": desk.port, "seconds": 6}) as other:
                assert desk.answers(), f"ended with {bridge.poll()}"
                assert not refuses(desk.dialect), f"ended with {bridge.poll()}"
                bridge.send_signal(signal_number)
                bridge.wait(timeout=10)
                assert other.end() == [], "not at the moment of the bridge's end"
            assert refuses(desk.port) and taken_by_other(desk.port) == []


def test_a_second_bridge_of_the_same_user_is_refused(desk: Desk) -> None:
    with desk.reserving(), desk.serving():
        second = desk.start("serve", "--no-pcsc", "--simulate", "adult")
        _, told = second.communicate(timeout=30)
        assert second.returncode == 78 and "Is cardio running already?" in told
        assert desk.answers()


def test_a_reservation_that_comes_later_has_the_ports_too(desk: Desk) -> None:
    with desk.serving() as bridge, desk.reserving() as reserving:
        assert desk.answers()
        bridge.kill()
        bridge.wait()
        assert taken_by_other(desk.port) == []
        with desk.serving():
            assert desk.answers()
        assert reserving.poll() is None
    assert taken_by_other(desk.port) != [], "and has given it back"


def test_the_reservation_ends_and_starts_beside_a_bridge(desk: Desk) -> None:
    with desk.reserving() as first, desk.serving() as bridge:
        first.kill()
        first.wait()
        assert taken_by_other(desk.port) == []
        with desk.reserving():
            bridge.kill()
            bridge.wait()
            assert taken_by_other(desk.port) == []


def test_the_user_is_told_when_another_user_has_the_port_and_gets_it_afterwards(desk: Desk) -> None:
    with doing(OTHER, {"do": "squat", "port": desk.port}) as squatter:
        with desk.reserving(display=":0") as reserving:
            wait_until(desk.shown.exists, "a window is shown", 30)
            text = desk.shown.read_text(encoding="utf-8")
            assert f"端口 {desk.port} 由用户 {OTHER} 的程序占用" in text and "不是您的读卡服务" in text
            assert text.count("--error") == 1, "once"
            squatter.end()
            wait_until(lambda: taken_by_other(desk.port) == [], "the port is the clerk's", 30)
            reserving.terminate()
            assert f"the user {OTHER} has port {desk.port}" in reserving.communicate()[1]
    assert desk.shown.read_text(encoding="utf-8") == text


def test_ports_follow_the_settings_and_stay_while_those_are_wrong(desk: Desk) -> None:
    with desk.reserving() as reserving:
        desk.write(desk.later)
        wait_until(lambda: taken_by_other(desk.later) == [], "the new port is reserved", 30)
        assert taken_by_other(desk.port) != [] and taken_by_other(desk.dialect) == []
        desk.settings.write_text("port = ")
        with pytest.raises(subprocess.TimeoutExpired):
            reserving.wait(timeout=5)
        assert taken_by_other(desk.later) == []


def test_wrong_settings_at_the_start_leave_the_usual_port_to_nobody_else(desk: Desk) -> None:
    desk.settings.write_text("port = ")
    with desk.reserving():
        assert taken_by_other(12340) == []


def test_a_port_that_another_user_has_without_listening_is_told_and_no_bridge_starts_beside_it(desk: Desk) -> None:
    """It could listen for a moment, between two looks, once the bridge is down."""
    with doing(OTHER, {"do": "keep", "port": desk.port}), desk.reserving(display=":0"):
        wait_until(desk.shown.exists, "a window is shown", 30)
        assert f"端口 {desk.port} 由其他用户的程序占用" in desk.shown.read_text(encoding="utf-8")
        bridge = desk.start("serve", "--no-pcsc", "--simulate", "adult")
        assert "another user" in bridge.communicate(timeout=30)[1] and bridge.returncode == 78
        doctor = desk.start("doctor")
        assert f"another user's program has port {desk.port}" in doctor.communicate(timeout=60)[0]


def test_a_notice_that_has_no_receiver_ends_nothing(desk: Desk) -> None:
    process = desk.start("reserve", NOTIFY_SOCKET="@nobody-listens-here")
    try:
        wait_until(lambda: taken_by_other(desk.port) == [], "the port is reserved", 30)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def served_in_a_terminal(desk: Desk, session: str = "", ends_by: int = signal.SIGINT) -> Iterator[int]:
    """A bridge that a person has started in a terminal, until the block ends it, by Ctrl-C; gives the terminal."""
    terminal, of_the_bridge = os.openpty()
    process = desk.start("serve", "--no-pcsc", "--simulate", "adult", terminal=of_the_bridge, XDG_RUNTIME_DIR=session)
    os.close(of_the_bridge)
    try:
        wait_until(lambda: process.poll() is not None or desk.answers(), "the bridge answers", 30)
        assert process.poll() is None
        yield terminal
        process.send_signal(ends_by)
        process.wait(timeout=30)
    finally:
        process.kill()
        process.communicate()
        os.close(terminal)


def shown_in(terminal: int) -> str:
    return " ".join(os.read(terminal, 100_000).decode().split())


def keepers(desk: Desk) -> list[int]:
    """The keepers of a desk: other tests have bridges of the same user at the same time."""
    found = subprocess.run(
        ["pgrep", "--uid", str(CLERK), "--full", "ports/keeper_process.py"],
        capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    return [int(one) for one in found if f"HOME={desk.folder}/config".encode() in surroundings_of(one)]


def surroundings_of(process: str) -> list[bytes]:
    """The variables of a process; none of one that has just ended."""
    try:
        return Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


@pytest.fixture
def kept_desk(desk: Desk) -> Iterator[Desk]:
    """A desk in whose terminals bridges are started; no keeper outlives the test."""
    yield desk
    for one in keepers(desk):
        os.kill(one, signal.SIGKILL)


def test_a_bridge_of_a_terminal_leaves_its_ports_to_its_user(kept_desk: Desk) -> None:
    with served_in_a_terminal(kept_desk) as terminal:
        listed = ", ".join(map(str, sorted((kept_desk.port, kept_desk.dialect))))
        assert f"port {listed} stays yours until you log out" in shown_in(terminal)
    for port in (kept_desk.port, kept_desk.dialect):
        assert refuses(port) and taken_by_other(port) == []
    with kept_desk.serving():
        assert kept_desk.answers(), "the next bridge has its ports"
    assert "given back" in kept_desk.told("reserve", "--end")
    wait_until(lambda: taken_by_other(kept_desk.port) != [], "the port is free")
    assert "no port is reserved" in kept_desk.told("reserve", "--end")


def test_a_bridge_that_is_killed_in_its_terminal_leaves_them_too(kept_desk: Desk) -> None:
    with served_in_a_terminal(kept_desk, ends_by=signal.SIGKILL):
        pass
    assert not kept_desk.answers() and taken_by_other(kept_desk.port) == []


def test_bridges_of_a_terminal_one_after_the_other_leave_one_keeper_of_all_their_ports(kept_desk: Desk) -> None:
    for port in (kept_desk.port, kept_desk.later):
        before, kept_desk.port = kept_desk.port, port
        kept_desk.write(port)
        for _ in range(2):
            with served_in_a_terminal(kept_desk):
                wait_until(lambda: len(keepers(kept_desk)) == 1, "one keeper")
    for port in (before, kept_desk.later, kept_desk.dialect):
        assert taken_by_other(port) == []


def test_the_ports_are_given_back_when_the_user_has_logged_out(kept_desk: Desk) -> None:
    session = kept_desk.folder / "config" / "runtime"
    session.mkdir()
    os.chown(session, CLERK, CLERK)
    with served_in_a_terminal(kept_desk, str(session)):
        pass
    assert taken_by_other(kept_desk.port) == []
    session.rmdir()
    wait_until(lambda: keepers(kept_desk) == [], "the keeper has ended", 30)
    assert taken_by_other(kept_desk.port) != []


def test_a_bridge_without_a_terminal_leaves_no_process(desk: Desk) -> None:
    with desk.serving():
        assert keepers(desk) == []
    assert keepers(desk) == [] and taken_by_other(desk.port) != []


@pytest.mark.parametrize("record", ["", "{}", "[]", '{"process": "x"}', '{"process": 1, "started": "0", "ports": [1]}'])
def test_a_damaged_record_ends_no_other_process(kept_desk: Desk, record: str) -> None:
    place = kept_desk.folder / "config" / "cardio"
    place.mkdir(mode=0o700)
    (place / "keeper.json").write_text(record)
    (place / "keeper.json").chmod(0o600)
    for one in (place, place / "keeper.json"):
        os.chown(one, CLERK, CLERK)
    with served_in_a_terminal(kept_desk) as terminal:
        assert "stays yours until you log out" in shown_in(terminal)
    assert taken_by_other(kept_desk.port) == []


def test_a_record_that_is_no_private_file_is_not_used_and_the_person_is_warned(kept_desk: Desk) -> None:
    place = kept_desk.folder / "config" / "cardio"
    place.mkdir(mode=0o700)
    os.chown(place, CLERK, CLERK)
    (place / "keeper.json").symlink_to(kept_desk.settings)
    with served_in_a_terminal(kept_desk) as terminal:
        assert "type nothing into a page that it shows then" in shown_in(terminal)
    assert keepers(kept_desk) == []
