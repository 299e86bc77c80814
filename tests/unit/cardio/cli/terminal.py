"""A terminal for tests: a command runs on a real pty, and its sequences are taken away or acted on."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from tests.warm_cardio import warm_command

CARDIO = Path(sys.executable).with_name("cardio")
SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")
_TOLD = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TERM", "COLUMNS")


@dataclass(frozen=True)
class Shown:
    """The output of a command: on the terminal, and into the pipe that stood in the place of a stream."""

    terminal: str
    pipe: str
    status: int

    @property
    def lines(self) -> list[str]:
        """The text that stands there at the end, after carriage returns and without colours."""
        return [_line(SEQUENCE.sub("", line)) for line in self.terminal.replace("\r\n", "\n").split("\n")]


def _line(written: str) -> str:
    shown = ""
    for part in written.split("\r"):
        shown = part + shown[len(part) :]
    return shown.rstrip()


def on_terminal(
    *arguments: str,
    streams: Literal["both", "stdout", "stderr"] = "both",
    columns: int = 80,
    locale: str = "zh_CN.UTF-8",
    given: str = "",
    told: Mapping[str, str] = MappingProxyType({}),
) -> Shown:
    """Run a command with these streams on a terminal, the other one in a pipe.

    ``given`` comes in by a pipe, ``told`` are more environment variables.
    """
    inside, outside = pty.openpty()
    fcntl.ioctl(outside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("LC_") and name not in _TOLD
    }
    process = subprocess.Popen(
        [warm_command(), *arguments],
        stdin=subprocess.PIPE,
        stdout=outside if streams != "stderr" else subprocess.PIPE,
        stderr=outside if streams != "stdout" else subprocess.PIPE,
        env=environment | {"LANG": locale, "PYTHONUTF8": "1", "TERM": "xterm-256color"} | dict(told),
    )
    os.close(outside)
    assert process.stdin is not None
    process.stdin.write(given.encode())
    process.stdin.close()
    with ThreadPoolExecutor(1) as pool:  # a pipe that is not emptied would stop the command
        pipe = process.stdout or process.stderr
        piped = pool.submit(pipe.read) if pipe is not None else None
        said = b""
        with suppress(OSError):  # the terminal is gone when its program has ended
            while part := os.read(inside, 65536):
                said += part
        os.close(inside)
        beside = piped.result() if piped is not None else b""
    if pipe is not None:
        pipe.close()
    return Shown(said.decode(), beside.decode(), process.wait(60))
