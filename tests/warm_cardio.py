"""The `cardio` command without its start: a process that has everything imported, and forks for each call.

The shim that stands for `cardio` hands over its streams, arguments, folder and environment; a fork of the warm process
does the rest with `cardio.cli.main.run`, as the installed command does. It ends when the shim is killed. With `--cards`
PC/SC has two software cards there: a holder's in `Counter 0`, and a PSAM with the published test keys in `PSAM 1`.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

SHIM = """#!{python} -IS
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({path!r})
    call = dict(arguments=sys.argv[1:], folder=os.getcwd(), environment=dict(os.environ))
    socket.send_fds(line, [json.dumps(call).encode() + b"\\n"], [0, 1, 2])
    answers = line.makefile()
    process = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda given, _: os.kill(process, given))
    sys.exit(int(answers.readline()))
"""
_LONGEST_CALL = 1 << 18
_ROOT = Path(__file__).parents[1]


def write_shim(place: Path, path: str) -> None:
    """Writes a command that has its work done by the warm process at this socket."""
    place.write_text(SHIM.format(python=sys.executable, path=path), encoding="utf-8")
    place.chmod(0o755)


@cache
def warm_command() -> Path:
    """`cardio` without its start, until pytest ends: hundreds of starts of Python are minutes."""
    folder = Path(mkdtemp(prefix="cardio-warm-"))
    atexit.register(rmtree, folder, ignore_errors=True)
    process = ExitStack()
    atexit.register(process.close)
    command = folder / "cardio"
    write_shim(command, process.enter_context(warm(folder)))
    return command


@contextmanager
def warm(folder: Path, *arguments: str) -> Iterator[str]:
    """A warm process until the end of the block; gives its socket in this folder."""
    place = str(folder / "door")
    command = [sys.executable, "-m", "tests.warm_cardio", place, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "warm\n"
            yield place
        finally:
            process.terminate()


def _put_cards_in() -> None:
    """In the readers of this machine's PC/SC are software cards."""
    from cardio.readers import pcsc
    from cardio.readers.base import Reader
    from simulators.personas.persona import find_persona
    from simulators.readers.software_reader import SoftwareReader
    from simulators.sam.psam import SoftwarePsam

    def readers(_: object) -> list[Reader]:
        card = find_persona("adult").card()
        return [SoftwareReader("Counter 0", card), SoftwareReader("PSAM 1", SoftwarePsam())]

    pcsc.PcscSource.readers = readers  # type: ignore[method-assign, assignment]


def _look_at_cards(*more: str) -> None:
    """Load layouts, tables and personas before the forks: each command would load them once."""
    from cardio.cli.main import main

    kept, nowhere = (os.dup(1), os.dup(2)), os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    with TemporaryDirectory() as home:
        os.environ.update(XDG_CACHE_HOME=home, XDG_CONFIG_HOME=home, CARDIO_BRIDGE_FILE=os.devnull)
        for call in ("dump --reader sim:whole", "read --reader sim:third-generation", *more):
            main(call.split())
    for number, stream in enumerate(kept, 1):
        os.dup2(stream, number)


def _run(call: dict[str, Any], streams: list[int]) -> None:
    """Becomes the command; does not come back."""
    from cardio.cli.main import run

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", closefd=False) for number, mode in enumerate(("r", "w", "w"))
    )
    sys.argv = ["cardio", *call["arguments"]]
    run()


def _answer(line: socket.socket) -> None:
    """Runs one call in a process of its own, and tells its caller how it ended."""
    sent, streams, _, _ = socket.recv_fds(line, _LONGEST_CALL, 3)
    while not sent.endswith(b"\n"):
        sent += line.recv(_LONGEST_CALL)
    process = os.fork()
    if process == 0:
        line.close()
        try:
            _run(json.loads(sent), streams)
        finally:
            os._exit(70)
    for stream in streams:
        os.close(stream)
    line.sendall(b"%d\n" % process)
    ended_at = os.pidfd_open(process)
    if ended_at not in select.select([line.fileno(), ended_at], [], [])[0]:  # the shim was killed
        os.kill(process, signal.SIGKILL)
    _, ended = os.waitpid(process, 0)
    status = os.waitstatus_to_exitcode(ended)
    line.sendall(b"%d\n" % (128 - status if status < 0 else status))


def serve(path: str, *, with_cards: bool) -> None:
    """Answer calls at a socket, until it is ended or the other end of its standard input is closed."""
    from importlib import import_module

    from cardio.cli.main import commands

    commands()
    for name in ("service.app", "service.bootstrap", "service.server", "service.cli.demonstration"):
        import_module(name)
    if with_cards:
        _put_cards_in()
        _look_at_cards("conformance --reader sim:adult", "identify --sam psam:1")
    else:
        _look_at_cards()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(16)
        print("warm", flush=True)
        while sys.stdin not in select.select([door, sys.stdin], [], [])[0]:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                try:
                    _answer(line)
                finally:
                    os._exit(0)
            line.close()


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    serve(sys.argv[1], with_cards="--cards" in sys.argv[2:])
