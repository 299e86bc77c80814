"""The whole line by its commands: `cardio sim run` → vpcd → pcscd → `cardio read`, `watch`, `serve`."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

from cardio.models.readers import ReaderStatus
from simulators.personas.persona import find_persona
from tests.pcsc import Daemon, Slot, wait_until

pytestmark = pytest.mark.pcsc
CARDIO = Path(sys.executable).with_name("cardio")


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([CARDIO, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=10)


def lines_of(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def test_a_card_from_one_process_is_read_by_another(slot: Slot) -> None:
    with running("sim", "run", "rare-name", "--vpcd", f"127.0.0.1:{slot.port}", "--json") as card:
        assert json.loads(lines_of(card.stdout).readline())["inserted"]
        slot.wait_for(ReaderStatus.CARD)
        done = subprocess.run(
            [CARDIO, "read", "--reader", slot.reader.name, "--json"], capture_output=True, text=True, check=True
        )
        document = json.loads(done.stdout)
        assert document["holder"]["name"] == "测\U0002cb3e㐂龴"
        assert (document["reader"], document["simulated"]) == (slot.reader.name, False)
        listed = json.loads(
            subprocess.run([CARDIO, "readers", "--json"], capture_output=True, text=True, check=True).stdout
        )
        assert slot.reader.name in [r["name"] for r in listed["readers"] if not r["simulated"]]
        doctor = subprocess.run(
            [CARDIO, "doctor", "--reader", slot.reader.name], capture_output=True, text=True, check=True
        )
        assert "✗" not in doctor.stdout
    slot.wait_for(ReaderStatus.EMPTY)
    empty = subprocess.run(
        [CARDIO, "read", "--reader", slot.reader.name, "--json"], capture_output=True, text=True, check=False
    )
    assert empty.returncode == 1 and json.loads(empty.stdout)["error"]["code"] == "no-card"


def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself, and says nothing was put in."""
    done = subprocess.run([CARDIO, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert "已插卡" not in done.stdout and "inserted" not in done.stdout.replace('"inserted": false', "")
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("kind", ["run", "psam"])
def test_a_slot_that_has_a_card_takes_no_other(slot: Slot, kind: str) -> None:
    slot.insert(find_persona("adult").card())
    words = ["sim", kind, *(["child"] if kind == "run" else []), "--vpcd", f"127.0.0.1:{slot.port}"]
    done = ended(*words)
    assert done.returncode == 69 and "该卡槽已有卡" in done.stderr and "处理：" in done.stderr
    document = json.loads(ended(*words, "--json").stdout)
    assert document["error"]["code"] == "no-virtual-reader"


@pytest.mark.parametrize("behaviour", ["silent", "closes", "talks"])
def test_what_listens_and_is_no_virtual_reader_gets_no_card(behaviour: str) -> None:
    """Another program has the port: it was told that the card is in."""
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            line, _ = other.accept()
            with line:
                if behaviour == "talks":
                    line.sendall(b"\x00\x04SSH-2.0-other\r\n")
                if behaviour != "closes":
                    line.recv(1)  # until the other side gives up

        thread = threading.Thread(target=answer)
        thread.start()
        done = ended("sim", "run", "adult", "--vpcd", f"127.0.0.1:{other.getsockname()[1]}")
        thread.join(10)
    assert done.returncode == 69 and "虚拟读卡器（vpcd）" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["ends", "killed"])
def test_pcscd_that_ends_under_a_card_is_told(slot: Slot, daemon: Daemon, how: int) -> None:
    card = subprocess.Popen(
        [CARDIO, "sim", "run", "adult", "--vpcd", f"127.0.0.1:{slot.port}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "已插卡 adult" in lines_of(card.stdout).readline()
    daemon.stop(how)
    _, said = card.communicate(timeout=20)
    daemon.start()
    assert card.returncode == 69
    assert "错误：127.0.0.1" in said and "已断开" in said and "处理：" in said and "pcscd" in said


def test_a_card_that_is_pulled_by_its_own_command_ends_well(slot: Slot) -> None:
    card = subprocess.Popen(
        [CARDIO, "sim", "run", "adult", "--vpcd", f"127.0.0.1:{slot.port}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "已插卡 adult" in lines_of(card.stdout).readline()
    card.send_signal(signal.SIGINT)
    _, said = card.communicate(timeout=20)
    assert (card.returncode, said) == (0, "")


@pytest.mark.parametrize(
    ("fault", "seen", "code"),
    [
        ("mute", ReaderStatus.MUTE, "card-mute"),
        ("bank-card", ReaderStatus.CARD, "not-a-social-security-card"),
        ("endless-6c", ReaderStatus.CARD, "card-garbled"),
    ],
)
def test_a_faulty_card_has_its_words_and_its_status(fault: str, seen: ReaderStatus, code: str, slot: Slot) -> None:
    with running("sim", "run", "adult", "--vpcd", f"127.0.0.1:{slot.port}", "--fault", fault):
        slot.wait_for(seen)
        for arguments in (["--json"], []):
            done = subprocess.run(
                [CARDIO, "read", "--reader", slot.reader.name, *arguments], capture_output=True, text=True, check=False
            )
            assert done.returncode == 1 and "Traceback" not in done.stderr
            if arguments:
                assert json.loads(done.stdout)["error"]["code"] == code
            else:
                assert "错误：" in done.stderr and "处理：" in done.stderr and done.stdout == ""


def test_watch_tells_events_one_json_object_a_line(slot: Slot) -> None:
    with running("watch", "--json") as watch, running("sim", "run", "adult", "--vpcd", f"127.0.0.1:{slot.port}"):
        for line in lines_of(watch.stdout):
            event = json.loads(line)
            if event["kind"] == "card-inserted":
                assert event["reader"] == slot.reader.name and event["atr"].startswith("3B6D")
                break


class Bridge:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        started = json.loads(lines_of(process.stdout).readline())
        self.process = process
        self.client = httpx.Client(
            base_url=started["address"],
            headers={"Authorization": "Bearer " + Path(started["token_file"]).read_text(encoding="ascii").strip()},
            timeout=15,
        )
        wait_until(self._answers, "the bridge answers")

    def _answers(self) -> bool:
        try:
            return self.client.get("/livez").status_code == 200
        except httpx.TransportError:
            return False

    def status(self, reader: str) -> str | None:
        readers = self.client.get("/v1/readers").json()["readers"]
        return next((r["status"] for r in readers if r["name"] == reader), None)


@pytest.fixture
def bridge(slot: Slot) -> Iterator[Bridge]:
    with running("serve", "--port", "0", "--json") as process:
        made = Bridge(process)
        yield made
        made.client.close()


def test_the_bridge_reads_real_pcsc_and_survives_its_restart(bridge: Bridge, daemon: Daemon, slot: Slot) -> None:

    path = f"/v1/readers/{slot.reader.name}/card"
    wait_until(lambda: bridge.status(slot.reader.name) == "empty", "the reader is listed")
    assert bridge.client.get(path).json()["code"] == "no-card"
    slot.insert(find_persona("adult").card())
    wait_until(lambda: bridge.status(slot.reader.name) == "card", "the card is seen")
    assert bridge.client.get(path).json()["holder"]["name"] == "测试甲"
    assert bridge.client.get("/readyz").status_code == 200
    daemon.stop(signal.SIGKILL)
    wait_until(lambda: bridge.client.get("/readyz").status_code == 503, "it says that PC/SC is down")
    listing = bridge.client.get("/v1/readers").json()
    assert listing["readers"] == [] and listing["problems"][0]["code"] == "pcsc-unavailable"
    gone = bridge.client.get(path)
    assert (gone.status_code, gone.json()["code"]) == (503, "pcsc-unavailable")
    slot.pull()
    daemon.start()
    slot.insert(find_persona("child").card())
    wait_until(lambda: bridge.status(slot.reader.name) == "card", "the reader is back")
    assert bridge.client.get(path).json()["holder"]["name"] == "测小小"


def test_an_insertion_reaches_the_stream_and_sigterm_ends_it_soon(bridge: Bridge, slot: Slot) -> None:

    wait_until(lambda: bridge.status(slot.reader.name) == "empty", "the reader is listed")
    with bridge.client.stream("GET", "/v1/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: state"
        slot.insert(find_persona("adult").card())
        assert any(line == "event: card-inserted" for line in lines)
        started = time.monotonic()
        bridge.process.terminate()
        bridge.process.wait(5)
        assert time.monotonic() - started < 2
