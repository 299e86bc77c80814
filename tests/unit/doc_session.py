"""A shell in a home of its own, for the commands of one document: what they answer, and how they end."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.warm_cardio import write_shim

_MARK = "@@ended"
_START = r"""
curl() { command curl --silent "$@"; }  # it shows how far it is where its answer goes to no terminal
await() {  # until it is so, or half a minute is over
  for _ in $(seq 300); do if "$@" >/dev/null 2>&1; then return 0; fi; sleep 0.1; done; return 1
}
in_front() {  # a server, until it says how it is stopped
  "$@" >in-front.log 2>&1 & local it=$!
  await grep -q Ctrl-C in-front.log || { cat in-front.log; kill $it; return 1; }
  kill $it; wait $it; return 0
}
"""
_SERVERS = re.compile(r"cardio (serve|sim hsm)\b")
_PATIENCE = 60.0


class Session:
    """The commands of one document, one after another."""

    def __init__(self, home: Path, warm: str, locale: str) -> None:
        self.home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        tools = home / ".tools"
        tools.mkdir(parents=True)
        write_shim(tools / "cardio", warm)
        own = {
            "HOME": str(home),
            "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LC_MESSAGES": locale,
            "CARDIO_BRIDGE": f"http://127.0.0.1:{self.port}",
            "CARDIO_BRIDGE_PORT": str(self.port),
            "CARDIO_BRIDGE_FILE": os.devnull,
            "TMPDIR": str(home),
            "BROWSER": "echo",
        }
        self.environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "PYTEST_", "LC_", "LANG"))
        } | own
        self._shell = subprocess.Popen(
            ["bash", "--norc", "-o", "pipefail"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            cwd=home,
            env=self.environment,
            start_new_session=True,
        )
        self._tell(_START)

    def _tell(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text + "\n")
        self._shell.stdin.flush()

    def run(self, command: str) -> tuple[int, str]:
        """The command's status, and all that it writes. A server is waited for until it serves."""
        here = f"http://127.0.0.1:{self.port}"
        command = command.replace("127.0.0.1:12340", f"127.0.0.1:{self.port}").replace(".venv/bin/", "")
        if command.endswith("&"):
            told = (
                f"{command[:-1]} >behind.log 2>&1 & await grep -q Ctrl-C behind.log && await curl --fail {here}/livez"
            )
        elif _SERVERS.match(command):
            told = f"in_front {command}"
        else:
            told = command
        self._tell(f"{{ {told}\n}} </dev/null 2>&1; printf '\\n{_MARK} %s\\n' $?")
        assert self._shell.stdout is not None
        answer: list[str] = []
        overdue = threading.Timer(_PATIENCE, self._kill)
        overdue.start()
        try:
            for line in self._shell.stdout:
                if line.startswith(_MARK):
                    return int(line.split()[1]), "".join(answer).strip("\n")
                answer.append(line)
        finally:
            overdue.cancel()
        raise AssertionError(f"the shell ended, or took too long, at: {command}\n{''.join(answer)}")

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)

    def write(self, name: str, text: str, *, more: bool) -> None:
        with (self.home / name).open("a" if more else "w", encoding="utf-8") as stream:
            stream.write(text)

    def serve(self, *options: str) -> None:
        """Starts a demonstration of the bridge that lives as long as the session."""
        status, said = self.run(f"cardio serve --demo --no-pcsc {shlex.join(options)} &")
        assert status == 0, said + (self.home / "behind.log").read_text(encoding="utf-8")

    def stop(self) -> None:
        """Ends what was started in the background."""
        status, said = self.run("kill $(jobs -p); wait")
        assert status == 0, said

    @property
    def token(self) -> str:
        return (self.home / ".config" / "cardio" / "token").read_text(encoding="ascii").strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            self._tell("kill $(jobs -p) 2>/dev/null; wait; exit")
        try:
            self._shell.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._kill()
            self._shell.communicate()
            raise
