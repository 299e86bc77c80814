"""What programs, the console, the figures and the doctor say of debits."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import pty
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from cardio.client import BridgeClient, BridgeError, BridgeNotRunningError
from cardio.debits.errors import DebitUnknownError
from cardio.errors import UsageError
from service.cli.doctor_checks import bridge_findings
from simulators.card.base import AnyCard
from tests.unit.cardio.debits.debits import DEBIT
from tests.unit.service.bridge import SECOND, TOKEN
from tests.unit.service.debits.debit_desk import CARD, DONE, LATER, PAY, Desk, pulled, write_owners_token
from tests.warm_cardio import warm_command

ASKED = {"reader": SECOND, "pCardInfo": CARD, "pPayInfo": PAY, "pin": "123456"}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    write_owners_token()
    yield made
    made.bridge.stop()


def debits(desk: Desk, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [warm_command(), "debits", *arguments, "--address", desk.bridge.address],
        capture_output=True, text=True, timeout=60, env=dict(os.environ), check=False,
    )  # fmt: skip


def at_a_terminal(desk: Desk, answer: str, *arguments: str) -> tuple[str, int]:
    """With a person who answers what is asked; gives all that stands on the screen."""
    ours, theirs = pty.openpty()
    command = [str(warm_command()), "debits", *arguments, "--address", desk.bridge.address]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(os.environ)) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # the end of a terminal
            while part := os.read(ours, 4096):
                asked = b"[y/N]" in said
                said += part
                if not asked and b"[y/N]" in said:
                    os.write(ours, answer.encode() + b"\n")
    os.close(ours)
    return said.decode(), process.returncode


def test_the_programs_client(desk: Desk) -> None:
    desk.put(desk.card, pulled(desk.reader, done=True))
    with BridgeClient.connect(desk.bridge.address, token=TOKEN) as client:
        with pytest.raises(BridgeError) as without:
            client.driver("iDoDebit", **ASKED)
        assert without.value.code == "no-idempotency-key"
        with pytest.raises(DebitUnknownError) as unknown:
            client.driver("iDoDebit", idempotency_key="k", **ASKED)
        assert unknown.value.debit_id == client.get("/v1/debits")["debits"][0]["id"]
        desk.put(desk.card)
        assert client.driver("iDoDebit", idempotency_key="k", **ASKED) == DONE
        with pytest.raises(UsageError):
            client.driver("iDoDebit", idempotency_key="键", **ASKED)
        name = UUID("11111111-2222-4333-8444-555555555555")
        later = ASKED | {"pPayInfo": LATER}
        assert client.driver("iDoDebit", idempotency_key=name, **later).startswith("13|")
    assert desk.debits == 2


def test_an_answer_that_never_reaches_the_program_is_unknown(desk: Desk) -> None:
    """The bridge goes down before it answers: that is not "no bridge is running, start it"."""
    with (
        BridgeClient.connect(desk.bridge.address, token=TOKEN) as client,
        socket.create_server(("127.0.0.1", 0)) as line,
    ):
        client._client.base_url = httpx.URL(f"http://127.0.0.1:{line.getsockname()[1]}")  # the line, before it breaks

        def prove_and_break() -> None:
            """Proves itself as the bridge does, takes the next request and closes."""
            accepted = line.accept()[0]
            with accepted, accepted.makefile("rb") as asked:
                nonce = asked.readline().split(b"nonce=")[1].split(b"&")[0].decode()
                while asked.readline().strip():
                    pass
                message = f"cardio-hello|{nonce}|{line.getsockname()[1]}".encode()
                key = hashlib.sha256(TOKEN.encode()).digest()
                body = json.dumps({"proof": hmac.new(key, message, hashlib.sha256).hexdigest()}).encode()
                accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                assert asked.readline().startswith(b"POST /v1/driver/iDoDebit ")

        breaking = threading.Thread(target=prove_and_break)
        breaking.start()
        with pytest.raises(DebitUnknownError):
            client.driver("iDoDebit", idempotency_key="k", **ASKED)
        breaking.join(5)
        line.close()
        with pytest.raises(BridgeNotRunningError):  # it was never reached
            client.driver("iDoDebit", idempotency_key="k", **ASKED)


def test_the_console(desk: Desk) -> None:
    assert "没有待处理的消费" in debits(desk).stdout
    desk.put(desk.card, pulled(desk.reader, done=True))
    desk.call()
    assert "未知 UNKNOWN" in debits(desk).stdout
    desk.put(desk.card)
    desk.call()
    debit = json.loads(debits(desk, "--json").stdout)["debits"][0]["id"]
    shown = debits(desk, "show", debit).stdout
    assert "已扣款 taken" in shown and "AC0B188C" in shown and "0.20" in shown
    refused = debits(desk, "resolve", debit, "--outcome", "none", "--yes")
    assert refused.returncode == 1 and "没有疑问" in refused.stderr
    for arguments in (("resolve", debit), ("settled",), ("show",)):
        assert debits(desk, *arguments).returncode == 2
    assert json.loads(debits(desk, "settled", debit, "--json").stdout)["state"] == "settled"
    assert "没有待处理的消费" in debits(desk).stdout and debit in debits(desk, "--all").stdout


def test_a_person_decides_on_the_console(desk: Desk) -> None:
    desk.put(desk.card, pulled(desk.reader, done=False))
    debit = desk.call().json()["debit"]["id"]
    nobody = debits(desk, "resolve", debit, "--outcome", "none")
    assert nobody.returncode == 2 and "--yes" in nobody.stderr
    for answer in ("n", "", "no"):
        said, status = at_a_terminal(desk, answer, "resolve", debit, "--outcome", "none")
        assert status == 1 and "不可更改" in said and "0.20" in said and "未认定" in said, said
        assert desk.bridge.client.get(f"/v1/debits/{debit}").json()["outcome"] == "unknown"
    said, status = at_a_terminal(desk, "y", "resolve", debit, "--outcome", "none")
    assert status == 0 and "未认定" not in said
    assert desk.call().json()["code"] == "debit-not-done"


def leave_a_debit(desk: Desk) -> None:
    """A caller leaves while the card works on its debit, by the key ``left``."""
    begun, answers = threading.Event(), threading.Event()

    def slow(card: AnyCard, command: bytes) -> bytes:
        if command[:2] == DEBIT:
            begun.set()
            assert answers.wait(10)
        return card.transmit(command)

    desk.put(desk.card, slow)
    body = json.dumps(ASKED | {"pPayInfo": LATER}).encode()
    head = (
        f"POST /v1/driver/iDoDebit HTTP/1.1\r\nHost: 127.0.0.1:{desk.bridge.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nIdempotency-Key: left\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", desk.bridge.port), timeout=5) as line:
        line.sendall(head.encode() + body)
        assert begun.wait(5)
    answers.set()
    desk.bridge.client.get(f"/v1/readers/{SECOND}/card").raise_for_status()  # comes when the debit is over


def test_the_console_tells_of_a_result_that_reached_nobody(desk: Desk) -> None:
    leave_a_debit(desk)
    debit = json.loads(debits(desk, "--json").stdout)["debits"][0]["id"]
    for _ in range(2):
        listed = debits(desk).stdout
        assert "结果未送达 UNDELIVERED" in listed and "cardio debits acknowledged" in listed
        assert "结果未送达 UNDELIVERED" in debits(desk, "show", debit).stdout
    assert desk.call(key="k2").json()["code"] == "debit-undelivered", "a list that was printed is no person's word"
    assert debits(desk, "acknowledged").returncode == 2
    said = debits(desk, "acknowledged", debit)
    assert said.returncode == 0 and "UNDELIVERED" not in said.stdout
    assert "UNDELIVERED" not in debits(desk).stdout and "acknowledged" not in debits(desk).stdout
    assert desk.call(key="k2").status_code == 200


def test_figures_and_doctor(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDIO_BRIDGE_PORT", str(desk.bridge.port))
    monkeypatch.setenv("CARDIO_BRIDGE_SCOPES", "basic,settle")

    def figures() -> list[str]:
        text = desk.bridge.client.get("/metrics").text
        return [text.partition(f"\ncardio_debits_{name} ")[2].partition("\n")[0] for name in ("unknown", "unsettled")]

    def reached_nobody() -> str:
        text = desk.bridge.client.get("/metrics").text
        return text.partition("\ncardio_debits_undelivered ")[2].partition("\n")[0]

    def finding() -> str:
        return next(one.state for one in bridge_findings() if one.check == "debits")

    assert figures() == ["0.0", "0.0"] and finding() == "ok"
    desk.put(desk.card, pulled(desk.reader, done=True))
    desk.call()
    assert figures() == ["1.0", "0.0"] and finding() == "bad"
    desk.put(desk.card)
    desk.call()
    assert figures() == ["0.0", "1.0"] and finding() == "ok"
    assert reached_nobody() == "0.0"
    leave_a_debit(desk)
    assert reached_nobody() == "1.0" and figures() == ["0.0", "2.0"] and finding() == "bad"
    assert reached_nobody() == "1.0", "no caller of this debit has read that"
    desk.call(key="left", pPayInfo=LATER)
    assert reached_nobody() == "0.0" and finding() == "ok"
    monkeypatch.setenv("CARDIO_BRIDGE_SCOPES", "basic")
    assert not [one for one in bridge_findings() if one.check == "debits"]
