"""PC/SC that is not installed, does not run, is closed to this user, or is not built in: each says what to do."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from cardio.readers.absence import service_fault
from tests.integration.bridges import CARDIO, served
from tests.pcsc import wait_until

pytestmark = pytest.mark.pcsc
NO_READER, NOT_PERMITTED = 69, 77
DAEMON = "/usr/sbin/pcscd"

NOT_INSTALLED = ["unshare", "--mount", "bash", "-c", f'mount --bind /dev/null {DAEMON} && exec "$@"', "hidden"]
"""Before a command: it runs where pcscd is not installed."""
AS_A_USER = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
"""Before a command: root's right to open everything is not given to it."""
_MISSING = "import sys; sys.modules['smartcard'] = None; from cardio.cli.main import run; sys.argv[0] = 'cardio'; run()"
NO_PYSCARD = [sys.executable, "-c", _MISSING]
"""In place of the command: pyscard cannot be imported."""


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the socket of pcscd would be, and is not."""
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(tmp_path / "pcscd.comm"))
    return tmp_path / "pcscd.comm"


def cardio(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def says(before: list[str], program: list[str], status: int, code: str, *words: str) -> None:
    """`read` and `doctor` say it in words, and `read --json` with its code."""
    read, doctor = (cardio(*before, *program, command) for command in ("read", "doctor"))
    assert (read.returncode, doctor.returncode) == (status, status)
    for text in (read.stderr, doctor.stdout):
        for word in words:
            assert word in text, f"{word} is not in: {text}"
    problem = json.loads(cardio(*before, *program, "read", "--json").stdout)["error"]
    assert problem["code"] == code and words[-1] in problem["remedy"]


def test_not_installed(nothing: Path) -> None:
    says(
        NOT_INSTALLED,
        [str(CARDIO)],
        NO_READER,
        "pcsc-not-installed",
        "未安装智能卡服务",
        "sudo apt install pcscd libccid",
    )


def test_not_running(nothing: Path) -> None:
    says([], [str(CARDIO)], NO_READER, "pcsc-unavailable", "智能卡服务未运行", "sudo ")
    assert "apt install" not in cardio(CARDIO, "read").stderr


def test_a_socket_that_a_dead_service_has_left_is_one_that_does_not_run(nothing: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(nothing))
    nothing.chmod(0o666)
    says([], [str(CARDIO)], NO_READER, "pcsc-unavailable", "智能卡服务未运行", "sudo ")


@pytest.mark.parametrize("closed", ["socket", "folder"])
def test_not_permitted(nothing: Path, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = nothing.parent / "run"
    folder.mkdir()
    place = folder / "pcscd.comm"
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(place))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        (place if closed == "socket" else folder).chmod(0)
        says(AS_A_USER, [str(CARDIO)], NOT_PERMITTED, "not-permitted", "不能访问智能卡服务", "权限")
        assert "pcscd）：sudo" not in cardio(*AS_A_USER, CARDIO, "read").stderr
    folder.chmod(0o700)


def test_a_service_that_starts_and_dies_while_it_is_asked_is_closed_to_nobody(nothing: Path) -> None:
    """Its socket comes and goes between two looks at it."""
    done = threading.Event()

    def restart() -> None:
        while not done.is_set():
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(nothing))
                listening.listen()
            nothing.unlink()

    service = threading.Thread(target=restart)
    service.start()
    try:
        faults = {service_fault().code for _ in range(10_000)}
    finally:
        done.set()
        service.join()
    assert faults == {"pcsc-unavailable"}


def test_pyscard_is_missing(nothing: Path) -> None:
    """What adds it names every package, as setup does."""
    packages = "libpcsclite-dev gcc libc6-dev pkg-config python3-dev"
    says([], NO_PYSCARD, NO_READER, "pcsc-support-missing", "pyscard", packages)
    assert "pcscd）" not in cardio(*NO_PYSCARD, "read").stderr


def test_set_up_installs_what_the_remedies_name() -> None:
    script = (Path(__file__).parents[2] / "scripts" / "setup.sh").read_text()
    for package in "libpcsclite-dev gcc libc6-dev pkg-config python3-dev pcscd libccid".split():
        assert package in script


@pytest.mark.parametrize(
    ("program", "code"), [((str(CARDIO),), "pcsc-unavailable"), (tuple(NO_PYSCARD), "pcsc-support-missing")]
)
def test_a_bridge_tells_the_same_over_http(tmp_path: Path, nothing: Path, program: tuple[str, ...], code: str) -> None:
    with served(tmp_path, program=program) as bridge:

        def told() -> bool:
            return bool(bridge.client.get("/v1/readers").json()["problems"])

        wait_until(told, "the bridge has looked")
        listed = bridge.client.get("/v1/readers").json()["problems"]
        ready = bridge.client.get("/readyz")
        assert [problem["code"] for problem in listed] == [code]
        assert (ready.status_code, ready.json()["code"]) == (503, code)
        assert bridge.client.get("/v1/status").json()["pcsc"] == "down"
        # A driver call that names no reader says the same, and sends no clerk to look at a cable.
        driver = bridge.client.post("/v1/driver/iReadCardBas", json={"iType": 1}).json()
        assert (driver["code"], driver["driver_code"], driver["remedy"]) == (code, -11, listed[0]["remedy"])


def status_of(client: httpx.Client) -> str:
    return str(client.get("/v1/status").json()["pcsc"])


@pytest.mark.parametrize("program", [(str(CARDIO),), tuple(NO_PYSCARD)], ids=["no-service", "no-pyscard"])
def test_simulated_readers_stand_beside_a_pcsc_that_is_not_there(
    tmp_path: Path, nothing: Path, program: tuple[str, ...]
) -> None:
    """It is never said to be up; and it raises no alarm: the bridge is ready."""
    with served(tmp_path, "--simulate", "adult", program=program) as bridge:
        wait_until(lambda: status_of(bridge.client) == "down", "PC/SC is told to be down")
        assert bridge.client.get("/readyz").status_code == 200
        listing = bridge.client.get("/v1/readers").json()
        assert [reader["simulated"] for reader in listing["readers"]] == [True]
        assert (
            bridge.client.get(f"/v1/readers/{listing['readers'][0]['name']}/card").json()["holder"]["name"] == "测试甲"
        )


def test_pcsc_that_is_left_out_is_neither_up_nor_down(tmp_path: Path) -> None:
    with served(tmp_path, "--simulate", "adult", "--no-pcsc") as bridge:
        assert status_of(bridge.client) == "off"
        assert bridge.client.get("/readyz").status_code == 200
