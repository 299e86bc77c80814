"""`make run`, as it is typed: everything works at the simulated readers, and no card in a real one is touched."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from cardio.models.readers import ReaderStatus
from simulators.personas.persona import find_persona
from tests.integration.bridges import client_for
from tests.pcsc import Slot, wait_until

pytestmark = pytest.mark.pcsc
ROOT = Path(__file__).parents[2]
ADULT, RARE, PAYING, CLOSED, FORGED = (f"Simulated Reader {number:02}" for number in range(5))
PIN = "123456"
CARD_INFO = "370200D15600000500000013FFFFFFFF|A00000011|"
FORGED_CARD = -21
STARTED = datetime.now()


def token_of(address: str, ticket: str) -> str:
    """What the page that the link opens gets for its ticket."""
    answer = httpx.post(
        f"{address}/v1/pages/session", json={"ticket": ticket}, headers={"Origin": address}, trust_env=False, timeout=20
    )
    return str(answer.json()["token"])


class Run:
    """What `make run` started: its process group, what it says, and its page's rights."""

    def __init__(self, process: subprocess.Popen[str], said: str, link: re.Match[str]) -> None:
        self.process = process
        self.said = said
        self.client = client_for(link[1], token_of(link[1], link[2]))
        wait_until(lambda: len(self.readers()) >= 5, "the simulated readers are listed")

    def readers(self) -> list[dict[str, Any]]:
        return list(self.client.get("/v1/readers").json()["readers"])

    def card(self, reader: str) -> httpx.Response:
        return self.client.get(f"/v1/readers/{reader}/card")

    def debit(self, time: str, *, reader: str = PAYING, key: str | None = None) -> httpx.Response:
        order = {"reader": reader, "pCardInfo": CARD_INFO, "pPayInfo": f"0.1|0.2|{time}|", "pin": PIN}
        headers = {"Idempotency-Key": key or str(uuid4())}
        return self.client.post("/v1/driver/iDoDebit", json=order, headers=headers)

    def interrupt(self) -> tuple[int, str]:
        """Ctrl-C: every process of the terminal's group is told. Gives make's status and what was said since."""
        os.killpg(self.process.pid, signal.SIGINT)
        rest, _ = self.process.communicate(timeout=20)
        return self.process.returncode, rest


@contextmanager
def make_run(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Run]:
    """`make run` with settings and cache in a folder. What it needs has been set up: the tests run in it."""
    homes = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CONFIG", "CACHE")}
    command = ["make", "--old-file=.venv/.run-ready", "run", f"BIN={Path(sys.executable).parent}", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env=os.environ | homes | dict(environment or {}),
    )  # fmt: skip
    said = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        link = re.search(r"(http://127(?:\.\d+){3}:\d+)/#ticket=(\S+)", said)
        assert link is not None, said
        run = Run(process, said, link)
        try:
            yield run
        finally:
            run.client.close()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=20)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where no PC/SC service runs."""
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(tmp_path / "nothing"))
    return tmp_path


def second(number: int) -> str:
    return f"{STARTED + timedelta(seconds=number):%Y%m%d%H%M%S}"


# -- everything works --------------------------------------------------------------------------------


def test_everything_can_be_seen_and_done(alone: Path) -> None:
    with make_run(alone, "PORT=0") as run:
        scopes = run.client.get("/v1/me").json()["scopes"]
        assert {"basic", "files", "pin", "write", "settle", "apdu"} <= set(scopes)
        assert run.card(ADULT).json()["holder"]["name"] == "测试甲"
        # Closed, and opened by the test keys; the copy of one falls.
        assert run.card(CLOSED).json()["holder"]["name"] == "测试壬"
        forged = run.card(FORGED)
        assert (forged.status_code, forged.json()["code"]) == (422, "forged-card")
        asked = run.client.post("/v1/driver/iReadCardBas", json={"reader": FORGED, "iType": 1}).json()
        assert asked["driver_code"] == FORGED_CARD
        checks = run.client.post(f"/v1/readers/{CLOSED}/card/verification", json={"pin": PIN}).json()["checks"]
        outcomes = {one["check"]: one["outcome"] for one in checks}
        assert (outcomes["chip-genuine"], outcomes["holder-pin"]) == ("passed", "passed")
        verified = run.client.post(f"/v1/readers/{CLOSED}/card/pin/verify", json={"pin": PIN})
        assert verified.json() == {"tries_left": None} or verified.json()["tries_left"] > 0
        wrong = run.client.post(f"/v1/readers/{ADULT}/card/pin/verify", json={"pin": "654321"})
        assert wrong.json()["code"] == "wrong-pin"
        written = run.client.post(
            f"/v1/readers/{PAYING}/card/files/DF01/EF06", json={"values": {"residence": "测试市测试路 1 号"}}
        )
        assert written.status_code == 200, written.json()
        debit = run.debit(second(1))
        assert (debit.json()["return"], debit.json()["debit"]["state"]) == (0, "delivered")
        assert [one["outcome"] for one in run.client.get("/v1/debits").json()["debits"]] == ["done"]


def test_a_debit_works_after_every_start_and_with_every_fresh_card(alone: Path) -> None:
    for start in range(2):
        with make_run(alone, "PORT=0") as run:
            for number in range(3):
                # The very same second and card as at the start before: nothing of it was kept.
                done = run.debit(second(number))
                assert done.status_code == 200 and done.json()["return"] == 0, (start, number, done.json())
                fresh = run.client.put(f"/v1/simulator/readers/{PAYING}/card", json={"persona": "whole"})
                assert fresh.status_code == 204
            assert run.interrupt()[0] != 0
    assert not list((alone / "config" / "cardio").glob("debits*"))


def test_a_debit_that_was_lost_is_found_with_the_fresh_card_too(alone: Path) -> None:
    """The person's next card knows what was taken: else its witnesses would say that nothing was."""
    with make_run(alone, "PORT=0") as run:
        place = f"/v1/simulator/readers/{PAYING}/card"
        run.client.put(place, json={"persona": "whole", "fault": "lost-debit"})
        key = str(uuid4())
        assert run.debit(second(1), key=key).json()["return"] == -202
        run.client.put(place, json={"persona": "whole"})
        found = run.debit(second(1), key=key).json()
        assert (found["return"], found["debit"]["outcome"]) == (0, "done")
        assert run.debit(second(2)).json()["return"] == 0


def test_what_it_left_behind_is_gone(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passing = alone / "tmp"
    passing.mkdir()
    with make_run(alone, "PORT=0", environment={"TMPDIR": str(passing)}) as run:
        assert run.debit(second(1)).json()["return"] == 0
        assert [one.name for one in passing.glob("cardio-demo-*/*.sqlite")] == ["debits.sqlite"]
        run.interrupt()
    assert list(passing.iterdir()) == []


# -- how it starts and ends --------------------------------------------------------------------------


def test_it_says_the_pin_and_what_is_optional(alone: Path) -> None:
    with make_run(alone, "PORT=0") as run:
        assert PIN in run.said and "可选：真实读卡器暂不可用（智能卡服务未运行）" in run.said
        assert "错误" not in run.said


def test_ctrl_c_ends_it_without_an_error_of_make(alone: Path) -> None:
    with make_run(alone, "PORT=0") as run:
        started = time.monotonic()
        status, rest = run.interrupt()
        assert status == -signal.SIGINT and time.monotonic() - started < 10
        assert "***" not in rest and "Error" not in rest and "Traceback" not in rest


@pytest.mark.parametrize("chosen", [True, False], ids=["chosen", "not-chosen"])
def test_a_port_that_is_taken(alone: Path, chosen: bool) -> None:
    """The one that was chosen is refused in words; without a choice a free one is found, and told."""
    with socket.create_server(("127.0.0.1", 0 if chosen else 12340)) as other:
        port = other.getsockname()[1]
        if chosen:
            done = subprocess.run(
                ["make", "--old-file=.venv/.run-ready", "run", f"BIN={Path(sys.executable).parent}", f"PORT={port}"],
                cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 2 and f"127.0.0.1:{port}" in done.stderr and "错误：" in done.stderr
            assert "make run PORT=" in done.stderr
        else:
            with make_run(alone) as run:
                assert "端口 12340 已被占用，改用" in run.said and "PORT=" in run.said
                assert run.card(ADULT).json()["holder"]["name"] == "测试甲"


def test_a_port_of_ones_own(alone: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with make_run(alone, f"PORT={port}") as run:
        assert f":{port}/#ticket=" in run.said
        assert str(run.client.base_url).rstrip("/").endswith(f":{port}")


def test_a_home_that_cannot_be_written_hinders_nothing(alone: Path) -> None:
    (alone / "file").write_text("")
    with make_run(alone, "PORT=0", environment={"XDG_CONFIG_HOME": str(alone / "file")}) as run:
        assert run.card(CLOSED).json()["holder"]["name"] == "测试壬"
        assert run.debit(second(1)).json()["return"] == 0


# -- real readers beside -----------------------------------------------------------------------------


def no_scope(answer: httpx.Response) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (403, "no-scope"), problem
    assert "演示模式" in problem["detail"] and "--demo" in problem["remedy"]


def test_a_real_reader_beside_is_read_and_otherwise_left_alone(tmp_path: Path, slot: Slot) -> None:
    """Test keys never meet its card; PIN, writing and money are refused before anything is sent."""
    with make_run(tmp_path, "PORT=0") as run:
        name = slot.reader.name
        slot.insert(find_persona("whole").card())
        wait_until(
            lambda: any(r["name"] == name and r["status"] == ReaderStatus.CARD for r in run.readers()),
            "the card is seen",
        )
        assert run.card(ADULT).json()["holder"]["name"] == "测试甲"
        assert run.card(name).json()["simulated"] is False
        place = f"/v1/readers/{name}/card"
        no_scope(run.client.post(f"{place}/pin/verify", json={"pin": PIN}))
        no_scope(run.client.get(f"{place}/pin"))
        no_scope(run.client.post(f"{place}/verification", json={"pin": PIN}))
        no_scope(run.client.post(f"{place}/files/DF01/EF06", json={"values": {"residence": "测试路"}}))
        no_scope(run.debit(second(1), reader=name))
        for function in ("iVerifyPIN", "iWriteCard", "iChangePIN", "iDoDebit_HSM_Step1"):
            given = {"reader": name, "pCardInfo": CARD_INFO, "pPayInfo": f"0.1|0.2|{second(2)}|", "pin": PIN}
            headers = {"Idempotency-Key": str(uuid4())}
            no_scope(run.client.post(f"/v1/driver/{function}", json=given, headers=headers))
        exchanges = run.client.get(f"/v1/readers/{name}/trace").json()["exchanges"]
        assert not {one["header"][:4] for one in exchanges} & {"0020", "00DC", "B028", "0082"}
        slot.remove()
        slot.insert(find_persona("third-closed").card())
        wait_until(lambda: "card" in run.card(name).json(), "the closed card is read")
        closed = run.card(name).json()
        assert closed["card"]["card_number"] == "G00000074" and closed["holder"] is None
        assert run.card(CLOSED).json()["holder"]["name"] == "测试壬"


def test_pcsc_may_come_later_and_go_under_way(tmp_path: Path, slot: Slot, daemon: Any) -> None:
    daemon.stop()
    with make_run(tmp_path, "PORT=0") as run:

        def state() -> str:
            return str(run.client.get("/v1/status").json()["pcsc"])

        wait_until(lambda: state() == "down", "PC/SC is told to be down")
        assert run.client.get("/readyz").status_code == 200
        daemon.start()
        wait_until(lambda: any(r["name"] == slot.reader.name for r in run.readers()), "the real reader is listed")
        assert state() == "up"
        daemon.stop()
        wait_until(lambda: state() == "down", "PC/SC is told to be down again")
        assert [reader["simulated"] for reader in run.readers()] == [True] * 5
        assert run.card(ADULT).json()["holder"]["name"] == "测试甲"
    daemon.start()


def test_the_ready_line_is_one_json_document(alone: Path) -> None:
    process = subprocess.Popen(
        [Path(sys.executable).with_name("cardio"), "serve", "--demo", "--port", "0", "--json"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert list(ready) == ["address", "page", "token_file", "dialects", "dialect_problems"]
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=20)
    assert rest == ""
