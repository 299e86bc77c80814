"""The bridge's sockets: one listener of one user, whatever starts at the same moment."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from cardio.errors import ConfigurationError
from service.ports.binding import bind_loopback
from service.ports.reservation import PortReservations

# Binds at the moment that it reads, and keeps what it got until its input ends.
_BRIDGE = """
import json, sys
from cardio.errors import ConfigurationError
from service.ports.binding import bind_loopback
print("ready", flush=True)
for line in sys.stdin:
    try:
        got = bind_loopback(int(line))
    except ConfigurationError:
        got = []
    print(json.dumps(len(got)), flush=True)
    sys.stdin.readline()
    for one in got:
        one.close()
    print("closed", flush=True)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Starting:
    """A process that is about to be a bridge."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _BRIDGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.read() == "ready"

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def write(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()


@pytest.mark.parametrize("reserved", [False, True])
def test_of_two_bridges_that_start_together_exactly_one_listens(reserved: bool) -> None:
    both = [Starting(), Starting()]
    reservations = PortReservations()
    try:
        for _ in range(25):
            port = free_port()
            if reserved:
                assert reservations.reserve({port}) == set()
            for one in both:
                one.write(str(port))
            assert sorted(json.loads(one.read()) for one in both) == [0, 2]
            for one in both:
                one.write("close")
            assert {one.read() for one in both} == {"closed"}
            reservations.close()
    finally:
        reservations.close()
        for one in both:
            one.process.kill()
            one.process.communicate()


def test_a_program_that_listens_keeps_its_port_from_the_bridge() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ConfigurationError, match="another user"):
        bind_loopback(other.getsockname()[1])


def usual_server() -> list[socket.socket]:
    """A vendor's, or a bridge of before: with SO_REUSEADDR."""
    return [socket.create_server(("127.0.0.1", 0))]


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("serve", [lambda: bind_loopback(0), usual_server])
def test_connections_of_an_earlier_program_keep_no_bridge_from_starting(
    serve: Callable[[], list[socket.socket]], ended: bool
) -> None:
    """The server's side has closed first, so TIME_WAIT is at its port; or it has left the port, not the connection."""
    first = serve()
    port = first[0].getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)) as caller:
        accepted, _ = first[0].accept()
        if ended:
            accepted.close()
            caller.recv(1)
        for one in first:
            one.close()
        again = bind_loopback(port)
        accepted.close()
    assert [one.getsockname()[1] for one in again] == [port, port]
    for one in again:
        one.close()
