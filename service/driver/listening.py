"""The ports of the enabled dialects. A port that another program holds is tried again until it is free."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cardio.errors import ConfigurationError
from service.driver.errors import DialectPortTakenError
from service.gate.policy import DialectRule
from service.gate.port_holder import port_holder

Bind = Callable[[int], list[socket.socket]]


@dataclass(frozen=True, slots=True)
class Opened:
    """The port of a dialect that was opened."""

    rule: DialectRule
    port: int
    sockets: tuple[socket.socket, ...]


class DialectPorts:
    """The dialects that listen, and the reasons why others do not. May be used from any thread."""

    def __init__(self, wanted: Mapping[DialectRule, int], bind: Bind) -> None:
        """Prepare without opening a port.

        Args:
            wanted: the enabled dialects, with their ports.
            bind: opens a port.
        """
        self._bind = bind
        self._missing = dict(wanted)
        self._problems: dict[DialectRule, DialectPortTakenError] = {}
        self._lock = threading.Lock()

    def open(self) -> list[Opened]:
        """Open the ports that are free and were not opened before."""
        opened = []
        for rule, port in list(self._missing.items()):
            try:
                sockets = self._bind(port)
            except (ConfigurationError, OSError):
                with self._lock:
                    self._problems[rule] = taken_port(rule.name, port)
                continue
            with self._lock:
                del self._missing[rule]
                self._problems.pop(rule, None)
            opened.append(Opened(rule, sockets[0].getsockname()[1], tuple(sockets)))
        return opened

    @property
    def complete(self) -> bool:
        """Return True if every enabled dialect listens."""
        return not self._missing

    def problems(self) -> list[tuple[str, int, DialectPortTakenError]]:
        """Return the dialects that do not listen: name, port and reason."""
        with self._lock:
            return [(rule.name, self._missing[rule], error) for rule, error in self._problems.items()]


def taken_port(name: str, port: int) -> DialectPortTakenError:
    """Return the error for a dialect whose port is taken, with the program that has it."""
    holder = port_holder(port)
    who = "" if holder is None else holder.words
    return DialectPortTakenError(
        f"兼容接口 {name} 的端口 {port} 被其他程序占用" + (f"：{who}" if who else "，系统未告知是哪个程序"),
        f"port {port} of the dialect {name} is taken by another program" + (f": {who}" if who else ""),
    )
