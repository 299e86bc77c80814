"""`cardio serve` as a process: how it ends, why it does not start, who can read its secrets, what its log says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from smartcard import scard as raw
from websockets.sync.client import connect

from cardio.models.readers import ReaderStatus
from cardio.readers import named_calls
from cardio.readers.pcsc import PcscSource
from simulators.card.faults import FaultyCard
from simulators.personas.persona import find_persona
from tests.integration.bridges import CARDIO, NAME, BridgeProcess, Events, InCommand, client_for, refused, served, start
from tests.pcsc import Daemon, Slot, wait_until

pytestmark = pytest.mark.pcsc
ADULT = find_persona("adult")
NOBODY = "65534"
END_SECONDS = 2.0
BAD_CONFIGURATION = 78


@pytest.fixture
def folder() -> Iterator[Path]:
    """A home that everybody may enter: what is secret in it must be so by itself."""
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)  # noqa: S103 - as it says
        yield Path(made)


def put_in(bridge: BridgeProcess, slot: Slot) -> None:
    slot.insert(ADULT.card())
    bridge.wait_for(slot.reader.name, ReaderStatus.CARD)


# -- how it ends -------------------------------------------------------------------------------------


def ends_in_time(bridge: BridgeProcess, how: int = signal.SIGTERM, status: int = -signal.SIGTERM) -> None:
    """By the very signal, as a service manager expects of what it has stopped; a person's Ctrl-C is status 130."""
    started = time.monotonic()
    bridge.process.send_signal(how)
    bridge.process.wait(10)
    assert time.monotonic() - started < END_SECONDS
    assert bridge.process.returncode == status
    assert "Traceback" not in bridge.written and " ERROR " not in bridge.written


@pytest.mark.parametrize(
    ("how", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)], ids=["terminated", "interrupted"]
)
def test_open_streams_and_sockets_do_not_hold_it_up(folder: Path, slot: Slot, how: int, status: int) -> None:
    dialects = {"CARDIO_BRIDGE_DIALECTS__JSON": "true", "CARDIO_BRIDGE_DIALECTS__PROGRAMS": "true"}
    with ExitStack() as opened:
        bridge = opened.enter_context(served(folder, environment=dialects))
        bridge.wait_for(slot.reader.name, ReaderStatus.EMPTY)
        for _ in range(3):
            stream = opened.enter_context(bridge.client.stream("GET", "/v1/events"))
            lines = stream.iter_lines()
            assert next(lines) == "event: state"
            events = opened.enter_context(Events(bridge.address, bridge.token))
            events.wait_for("state", None, 1)
            opened.enter_context(connect(f"ws://127.0.0.1:{bridge.dialects['json']}", proxy=None))
        ends_in_time(bridge, how, status)


def test_cards_that_do_not_answer_do_not_hold_it_up(folder: Path, slots: list[Slot], slot: Slot) -> None:
    """One is being read, one is in a first step, one is held between two steps."""
    faults = [InCommand(), InCommand()]
    _, stepped, held = slots[:3]
    slot.insert(FaultyCard(ADULT.card(), faults[0]))
    stepped.insert(FaultyCard(ADULT.card(), faults[1]))
    held.insert(find_persona("third-closed").card())
    answers: list[httpx.Response] = []
    try:
        with served(folder) as bridge:
            for one in slots[:3]:
                bridge.wait_for(one.reader.name, ReaderStatus.CARD)
            assert bridge.driver("iReadCardBas_HSM_Step1", reader=held.reader.name).status_code == 200
            waiting = [
                threading.Thread(target=lambda: answers.append(bridge.card(slot.reader.name))),
                threading.Thread(
                    target=lambda: answers.append(bridge.driver("iReadCardBas_HSM_Step1", reader=stepped.reader.name))
                ),
            ]
            for thread in waiting:
                thread.start()
            assert all(fault.asked.wait(5) for fault in faults)
            ends_in_time(bridge)
            for thread in waiting:
                thread.join(5)
        for answer in answers:
            refused(answer, 503, "stopping")
        assert len(answers) == 2
    finally:
        for fault in faults:
            fault.told.set()
        for one in slots[:3]:
            one.remove()


def test_it_ends_while_pcsc_is_away(folder: Path, daemon: Daemon, slot: Slot) -> None:
    with served(folder) as bridge:
        bridge.wait_for(slot.reader.name, ReaderStatus.EMPTY)
        daemon.stop()
        wait_until(lambda: not bridge.is_ready(), "it says that PC/SC is down")
        ends_in_time(bridge)
    daemon.start()


def test_it_ends_when_it_is_told_in_the_moment_before_it_waits(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancel that comes just before PC/SC is asked to wait ends nothing."""
    entering, cancelled = threading.Event(), threading.Event()
    change, cancel = named_calls.status_change, raw.SCardCancel

    def late(context: Any, milliseconds: int, questions: list[tuple[bytes, int]]) -> Any:
        if all(known for _, known in questions):  # what was not known is answered at once
            entering.set()
            cancelled.wait(5)
        return change(context, milliseconds, questions)

    def early(context: Any) -> Any:
        result = cancel(context)
        cancelled.set()
        return result

    monkeypatch.setattr(named_calls, "status_change", late)
    monkeypatch.setattr(raw, "SCardCancel", early)
    watch = PcscSource().watch(lambda event: None)
    assert entering.wait(5)
    started = time.monotonic()
    watch.stop()
    assert time.monotonic() - started < END_SECONDS


# -- why it does not start ---------------------------------------------------------------------------


def serve(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`cardio serve` where it ends by itself."""
    homes = {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(
        [CARDIO, "serve", *arguments], capture_output=True, text=True, timeout=30, check=False, env=os.environ | homes
    )


def test_a_port_that_is_taken(folder: Path, daemon: object) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = serve(folder, "--port", str(port))
        assert done.returncode == BAD_CONFIGURATION and done.stdout == ""
        assert f"127.0.0.1:{port}" in done.stderr and "错误：" in done.stderr and "处理：" in done.stderr
        document = json.loads(serve(folder, "--json", "--port", str(port)).stdout)
        assert document["error"]["code"] == "configuration" and document["error"]["remedy"]


def test_a_dialects_port_that_is_taken(folder: Path, daemon: object) -> None:
    """A vendor's service has it: the bridge starts, names that program, and takes the port when it is free."""
    with socket.create_server(("127.0.0.1", 0)) as vendor:
        port = vendor.getsockname()[1]
        dialects = {"JSON": "true", "JSON_PORT": str(port), "DECARD": "true", "DECARD_PORT": "0", "PROGRAMS": "true"}
        environment = {f"CARDIO_BRIDGE_DIALECTS__{name}": value for name, value in dialects.items()}
        with served(folder, environment=environment) as bridge:
            assert list(bridge.dialects) == ["decard"], "the other one listens"
            status = bridge.client.get("/v1/status").json()
            (problem,) = status["dialect_problems"]
            assert status["dialects"]["json"] is None and (problem["name"], problem["port"]) == ("json", port)
            assert f"PID {os.getpid()}" in problem["problem"]["detail"]
            assert str(port) in bridge.written and str(os.getpid()) in bridge.written
            vendor.close()
            wait_until(lambda: bridge.client.get("/v1/status").json()["dialects"]["json"] == port, "it comes", 20)
            with connect(f"ws://127.0.0.1:{port}", proxy=None) as caller:
                caller.send('{"function":"iReadCardBas","iType":3}')
                assert json.loads(caller.recv(10))["functionName"] == "iReadCardBas"
            assert "Traceback" not in bridge.written


def test_a_token_that_others_may_read(folder: Path, daemon: object) -> None:
    token = folder / "config" / "cardio" / "token"
    token.parent.mkdir(parents=True)
    token.write_text("T" * 43)
    token.chmod(0o644)
    done = serve(folder, "--port", "0")
    assert done.returncode == BAD_CONFIGURATION and done.stdout == ""
    assert "chmod 600" in done.stderr and "T" * 43 not in done.stderr
    token.chmod(0o600)
    with served(folder) as bridge:
        assert bridge.token == "T" * 43


# -- who can read its secrets ------------------------------------------------------------------------


def as_nobody(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip


_CALLS = """
import sys, urllib.error, urllib.request
for token in ("", "x" * 43):
    for path in ("/v1/readers", "/v1/status", "/v1/grants", "/metrics", "/v1/events"):
        request = urllib.request.Request(sys.argv[1] + path)
        if token:
            request.add_header("Authorization", "Bearer " + token)
        try:
            print(urllib.request.urlopen(request, timeout=5).status)
        except urllib.error.HTTPError as error:
            print(error.code)
"""


def test_another_user_of_this_machine_learns_nothing(folder: Path, slot: Slot) -> None:
    with served(folder) as bridge:
        home = folder / "config" / "cardio"
        made = bridge.client.post("/v1/grants", json={"name": "收费", "scopes": ["basic"]}).json()
        assert client_for_once(bridge, made["token"]) == 200
        for open_folder in (folder / "config", home):
            open_folder.chmod(0o755)
        assert "token" in as_nobody("ls", str(home)).stdout, "it gets as far as the files"
        for name in ("token", "grants.json"):
            assert (home / name).stat().st_mode & 0o777 == 0o600
            read = as_nobody("cat", str(home / name))
            assert read.returncode != 0 and read.stdout == "" and "ermission" in read.stderr
        for secret in (made["token"], bridge.token):
            assert secret not in (home / "grants.json").read_text()
            assert secret not in (Path(f"/proc/{bridge.process.pid}/cmdline").read_text())
        called = as_nobody("/usr/bin/python3", "-c", _CALLS, bridge.address)
        assert called.stdout.split() == ["401"] * 10, called.stderr
        assert as_nobody("cat", f"/proc/{bridge.process.pid}/environ").returncode != 0


def client_for_once(bridge: BridgeProcess, token: str) -> int:
    with client_for(bridge.address, token) as client:
        return client.get("/v1/readers").status_code


# -- what its log says -------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_the_log_is_json_and_has_nobody_in_it(folder: Path, slot: Slot, level: str) -> None:
    environment = {f"CARDIO_BRIDGE_DIALECTS__{name}": "true" for name in ("JSON", "DECARD", "PROGRAMS")}
    with served(folder, "--log-format", "json", "--log-level", level, environment=environment) as bridge:
        put_in(bridge, slot)
        name = slot.reader.name
        reading = bridge.card(name).json()
        assert reading["holder"]["name"] == NAME
        basic = bridge.driver("iReadCardBas", reader=name).json()["pOutInfo"]
        for message, port in (
            ('{"function":"iReadCardBas","iType":3}', bridge.dialects["json"]),
            ('{"func":"iReadCardBas","in":["3"]}', bridge.dialects["decard"]),
        ):
            with connect(f"ws://127.0.0.1:{port}", proxy=None) as caller:
                caller.send(message)
                assert basic in str(caller.recv(10))
        secrets = {part for part in basic.split("|") if len(part) > 8} | {NAME, reading["card"]["card_number"]}
        # Callers may say what they like, also what they have read: a path, a query, a body, a header.
        number = reading["card"]["card_number"]
        bridge.card(NAME)
        bridge.client.get(f"/v1/{quote(NAME)}", params={"name": NAME})
        bridge.client.get(f"/v1/readers/{quote(name)}/card/files/{number}/{number}")
        bridge.driver("iReadCard", reader=name, pCardInfo=f"{basic.split('|')[3]}|{number}|", pFileAddr="SSSEEF06|09|$")
        bridge.driver("iReadCard", reader=name, pCardInfo=basic, pFileAddr=NAME)
        bridge.client.get("/v1/readers", headers={"Cardio-Lease": number, "X-Request-ID": number})
        bridge.client.post("/v1/driver/iReadCardBas", content=basic.encode())
        slot.remove()
        bridge.wait_for(name, ReaderStatus.EMPTY)
        bridge.card(name)
    text = bridge.written
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"time", "level", "logger", "event"} <= set.intersection(*(set(line) for line in lines))
    assert [line["event"] for line in lines].count("request") > 10
    forms = {form(secret) for secret in secrets | {bridge.token} for form in (str, quote, json.dumps)}
    told = [form for form in forms if form.strip('"').lower() in text.lower()]
    assert told == []


def test_a_start_that_fails_says_why_in_its_words(folder: Path, daemon: object) -> None:
    """A setting that is not known is named, before anything listens."""
    process, log = start(folder, environment={"CARDIO_BRIDGE_LIMITS__BURST": "none"})
    out, _ = process.communicate(timeout=20)
    assert process.returncode == BAD_CONFIGURATION and "Traceback" not in log.read_text()
    assert "limits.burst" in json.loads(out)["error"]["detail"]
