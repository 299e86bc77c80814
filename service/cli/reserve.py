"""The command ``cardio reserve``: it keeps the bridge's ports for its user while no bridge runs. A unit runs it."""

from __future__ import annotations

import math
import os
import socket
import time
from argparse import ArgumentParser, Namespace

from cardio.cli.command import Command
from cardio.cli.output import Output

_SECONDS = 2.0
"""The time between two looks at the settings, and two tries for a port that another program has."""
_SECONDS_UNTIL_TOLD_AGAIN = 600.0
"""A program that opens and closes a port all the time must not fill the clerk's desktop with windows."""
_NOTIFY_SOCKET = "NOTIFY_SOCKET"


def _add_arguments(parser: ArgumentParser) -> None:
    """Add nothing: the ports are those of the settings."""


def _run(options: Namespace, output: Output) -> int:
    from cardio.errors import UsageError
    from service.cli import desktop
    from service.ports.reservation import PortReservations, is_supported, port_held, stranger_at

    if not is_supported():
        raise UsageError("此系统不支持保留端口", "this system does not keep a reserved port from other users")
    ports = _ports()
    reservations = PortReservations()
    told_at: dict[tuple[int, int], float] = {}
    while True:
        missing = reservations.hold(ports)
        _notify_ready()
        for port in sorted(missing):
            user = stranger_at(port, os.getuid())
            if user is None or time.monotonic() - told_at.get((port, user), -math.inf) < _SECONDS_UNTIL_TOLD_AGAIN:
                continue
            told_at[port, user] = time.monotonic()
            error = port_held(port, user)
            output.note(output.words(error.detail, error.detail_en))
            if desktop.is_started_by_icon():
                desktop.show_problem(error)
        time.sleep(_SECONDS)
        ports = _ports(ports)


def _ports(known: set[int] | None = None) -> set[int]:
    """Return the ports of the bridge and of its enabled dialects.

    Args:
        known: the ports of the last look: they stay while the settings are wrong.

    Raises:
        ConfigurationError: the settings are wrong at the first look.
    """
    from cardio.errors import ConfigurationError
    from service.settings import BridgeSettings

    try:
        settings = BridgeSettings.load()
    except ConfigurationError:
        if known is None:
            raise
        return known
    return {settings.port, *settings.dialects.ports.values()} - {0}


def _notify_ready() -> None:
    """Report to systemd that the ports were tried, so that the bridge is started after that (sd_notify(3))."""
    address = os.environ.pop(_NOTIFY_SOCKET, "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service_manager:
            service_manager.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)


reserve_command = Command(
    name="reserve",
    help="为本用户保留读卡服务的端口 / keep the bridge's ports for this user while it does not run",
    examples="  cardio reserve                          由系统服务运行 / a unit runs it; Ctrl-C ends it",
    add_arguments=_add_arguments,
    run=_run,
)
