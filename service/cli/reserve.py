"""The command ``cardio reserve``: it keeps the bridge's ports for its user while no bridge runs. A unit runs it."""

from __future__ import annotations

import math
import os
import socket
import time
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cardio.cli.command import DONE, Command
from cardio.cli.output import Output

if TYPE_CHECKING:
    from service.gate.errors import PortHeldError

_LOOK_SECONDS = 2.0
"""The time between two looks at the settings, and two tries for a port that another program has."""
_WINDOW_SECONDS = 10.0
"""The time between two tries to show a window: the desktop may come later, or have no program for it."""
_TOLD_SECONDS = 600.0
"""The time for which a port is not told of again: a program that opens and closes it must not flood the desktop."""
_OLD_CONNECTIONS_SECONDS = 70.0
"""The time in which connections of an earlier bridge end: TIME_WAIT lasts for a minute."""
_NOTIFY_SOCKET = "NOTIFY_SOCKET"


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--end",
        action="store_true",
        help="放开终端中的服务结束后仍保留的端口 / give back what a bridge of a terminal left reserved",
    )


def _run(options: Namespace, output: Output) -> int:
    from cardio.errors import UsageError
    from service.ports.reservation import PortReservations, is_supported
    from service.settings import DEFAULT_PORT

    if not is_supported():
        raise UsageError("此系统不支持保留端口", "this system does not keep a reserved port from other users")
    if options.end:
        return _give_back(output)
    reservations, notices = PortReservations(), _Notices(output)
    ports = _Ports(DEFAULT_PORT, frozenset())
    while True:
        ports = _ports(ports)
        refused = reservations.reserve({ports.bridge, *ports.dialects} - {0})
        _notify_ready()
        notices.update(refused, ports.bridge)
        time.sleep(_LOOK_SECONDS)


def _give_back(output: Output) -> int:
    from service.ports.keeper import end_keeper
    from service.settings import BridgeSettings

    keeper = end_keeper(BridgeSettings.load().keeper_path)
    ports = [] if keeper is None else sorted(keeper.ports)
    if output.as_json:
        output.document({"ports": ports})
    elif keeper is None:
        output.text("没有保留的端口", "no port is reserved")
    else:
        output.text(output.label("已放开端口", "given back") + output.colon + output.listed(map(str, ports)))
    return DONE


@dataclass(frozen=True, slots=True)
class _Ports:
    """The ports by the settings of the moment; 0 for any."""

    bridge: int
    dialects: frozenset[int]


@dataclass(slots=True)
class _Notices:
    """The notices to the user about ports that another program has."""

    output: Output
    _refused_at: dict[int, float] = field(default_factory=dict)
    _logged_at: dict[int, float] = field(default_factory=dict)
    _shown_at: dict[int, float] = field(default_factory=dict)
    _tried_at: float = -math.inf

    def update(self, refused: set[int], bridge_port: int) -> None:
        """Tell of the ports that are refused now, each once until it has been free, and once in some minutes.

        Args:
            refused: the ports that other sockets have.
            bridge_port: the port for which a window is shown. A vendor's service at a dialect's port is for the log:
                the bridge runs without that dialect, and says so.
        """
        now = time.monotonic()
        self._refused_at = {port: self._refused_at.get(port, now) for port in refused}
        for port in sorted(refused):
            error = self._error_of(port, now)
            if error is not None:
                self._tell(port, error, now, has_window=port == bridge_port)

    def _error_of(self, port: int, now: float) -> PortHeldError | None:
        """Return the error for a refused port; None while this user's own programs explain it."""
        from service.gate.tcp_table import has_connections
        from service.ports.reservation import has_own_listener, other_user_at, port_held

        user = other_user_at(port, os.getuid())
        is_new = now - self._refused_at[port] < _OLD_CONNECTIONS_SECONDS
        if user is None and (has_own_listener(port, os.getuid()) or (is_new and has_connections(port))):
            return None
        return port_held(port, user)

    def _tell(self, port: int, error: PortHeldError, now: float, *, has_window: bool) -> None:
        from service.cli import desktop

        if self._is_due(self._logged_at.get(port), port, now):
            self._logged_at[port] = now
            self.output.note(self.output.words(error.detail, error.detail_en))
        if has_window and self._is_due(self._shown_at.get(port), port, now) and now - self._tried_at >= _WINDOW_SECONDS:
            self._tried_at = now
            if desktop.show_problem_from_unit(error):
                self._shown_at[port] = now

    def _is_due(self, told_at: float | None, port: int, now: float) -> bool:
        return told_at is None or (told_at < self._refused_at[port] and now - told_at >= _TOLD_SECONDS)


def _ports(known: _Ports) -> _Ports:
    """Return the ports of the bridge and of its enabled dialects.

    Args:
        known: the ports of the last look: they stay while the settings are wrong.
    """
    from cardio.errors import ConfigurationError
    from service.settings import BridgeSettings

    try:
        settings = BridgeSettings.load()
    except (ConfigurationError, ValueError, RecursionError):  # the last two are tomllib's, for absurd files
        return known
    return _Ports(settings.port, frozenset(settings.dialects.ports.values()))


def _notify_ready() -> None:
    """Report to systemd that the ports were tried, so that the bridge is started after that (sd_notify(3))."""
    address = os.environ.pop(_NOTIFY_SOCKET, "")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service_manager:
            service_manager.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)


reserve_command = Command(
    name="reserve",
    help="为本用户保留读卡服务的端口 / keep the bridge's ports for this user while it does not run",
    examples=(
        "  cardio reserve                          由系统服务运行 / a unit runs it; Ctrl-C ends it\n"
        "  cardio reserve --end                    放开已保留的端口 / give back what a terminal's bridge left"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
