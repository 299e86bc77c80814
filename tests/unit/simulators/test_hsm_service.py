"""The software HSM by itself, over HTTP: what it computes, what it refuses, how it fails on demand.

The expected bytes are openssl's: the keys go down as tests/unit/simulators/test_psam_card.py tells, for the card below.
"""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from simulators.sam.hsm import FAULTS, SoftwareHsm

RANDOM = "1122334455667788"
SOURCE = "0102030405060708"
# TEST1DRKSSSE.... becomes D8EF49EADD97AAE4D819964A89041C3D, with RANDOM 78BBCD9E0565C7F8; printf 0102030405060708 |
# xxd -r -p | openssl enc -des-ecb -nopad -K 78BBCD9E0565C7F8 -provider legacy -provider default | xxd -p
CRYPTOGRAM = "150B18D7C1763B69"
REQUEST = {
    "request_id": "request-1",
    "key": "RKSSSE",
    "key_address": "004C0A",
    "algorithm": "01",
    "version": None,
    "historical_bytes": "0081544C968684430154455354",
    "city": "430100",
    "challenge": RANDOM,
    "source": SOURCE,
}
STK = REQUEST | {"key": "STK", "key_address": "017309"}
CERTIFICATE = REQUEST | {
    "key": "IRK",
    "key_address": "000008",
    "challenge": None,
    "data": "430100D15600000554455354",
}


@pytest.fixture
def hsm() -> Iterator[SoftwareHsm]:
    with SoftwareHsm() as running:
        yield running


def exchange(
    hsm: SoftwareHsm, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body of one request."""
    connection = http.client.HTTPConnection(hsm.url.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def post(hsm: SoftwareHsm, operation: str, request: object) -> tuple[int, Any]:
    status, body = exchange(hsm, "POST", f"/v1/{operation}", json.dumps(request).encode())
    return status, json.loads(body)


def result(hsm: SoftwareHsm, operation: str, request: object) -> str:
    status, document = post(hsm, operation, request)
    assert status == 200, document
    found = document["result"]
    assert isinstance(found, str)
    return found


def refusal(hsm: SoftwareHsm, operation: str, request: object) -> tuple[int, str]:
    """The status and the code; every refusal has a text and tells which request it refuses."""
    status, document = post(hsm, operation, request)
    assert set(document) == {"request_id", "error"}
    assert document["error"]["message"]
    assert document["request_id"] == "request-1"
    return status, document["error"]["code"]


class TestService:
    def test_hello(self, hsm: SoftwareHsm) -> None:
        status, body = exchange(hsm, "GET", "/v1/hello")

        assert status == 200
        assert json.loads(body) == {"service": "cardio-software-hsm", "test_keys": True}
        assert hsm.requests == 0

    def test_it_listens_on_this_computer_alone(self, hsm: SoftwareHsm) -> None:
        assert hsm.url.startswith("http://127.0.0.1:")

    def test_start_and_stop(self) -> None:
        hsm = SoftwareHsm()
        with pytest.raises(RuntimeError):
            _ = hsm.url
        hsm.start()
        first = hsm.url
        hsm.start()
        assert hsm.url == first
        assert exchange(hsm, "GET", "/v1/hello")[0] == 200
        hsm.stop()
        hsm.stop()

        with pytest.raises(RuntimeError):
            _ = hsm.url
        host, _, port = first.removeprefix("http://").partition(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=10)

    def test_a_port_of_ones_own(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]

        with SoftwareHsm(port) as hsm:
            assert hsm.url == f"http://127.0.0.1:{port}"

    def test_requests_are_counted(self, hsm: SoftwareHsm) -> None:
        post(hsm, "cryptogram", REQUEST)
        post(hsm, "cryptogram", {})

        assert hsm.requests == 2

    def test_nothing_is_logged(self, hsm: SoftwareHsm, capfd: pytest.CaptureFixture[str]) -> None:
        post(hsm, "cryptogram", REQUEST)
        post(hsm, "cryptogram", {})
        exchange(hsm, "GET", "/")

        assert capfd.readouterr() == ("", "")

    def test_many_at_once(self, hsm: SoftwareHsm) -> None:
        found: list[str] = []
        callers = [threading.Thread(target=lambda: found.append(result(hsm, "cryptogram", REQUEST))) for _ in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()

        assert found == [CRYPTOGRAM] * 8
        assert hsm.requests == 8


class TestCryptogram:
    def test_the_whole_answer(self, hsm: SoftwareHsm) -> None:
        assert post(hsm, "cryptogram", REQUEST) == (
            200,
            {"request_id": "request-1", "key_address": "004C0A", "challenge": RANDOM, "result": CRYPTOGRAM},
        )

    def test_eight_historical_bytes_are_enough(self, hsm: SoftwareHsm) -> None:
        assert result(hsm, "cryptogram", REQUEST | {"historical_bytes": "8684430154455354"}) == CRYPTOGRAM

    def test_the_second_version(self, hsm: SoftwareHsm) -> None:
        # as above, from TEST2DRKSSSE....
        assert result(hsm, "cryptogram", REQUEST | {"version": 1}) == CRYPTOGRAM
        assert result(hsm, "cryptogram", REQUEST | {"version": 2}) == "4EA49559DB61BDE3"

    def test_sm4(self, hsm: SoftwareHsm) -> None:
        # openssl enc -sm4-ecb -nopad gives 19A46CA52500472D 581AA132784EA6DA, which are XORed
        assert result(hsm, "cryptogram", REQUEST | {"algorithm": "03"}) == "41BECD975D4EE1F7"

    def test_a_key_whose_address_is_not_known(self, hsm: SoftwareHsm) -> None:
        # as above, from TEST1DIRK......., with the random 8877665544332211
        request = REQUEST | {"key": "IRK", "key_address": "000008", "challenge": "8877665544332211"}

        assert result(hsm, "cryptogram", request) == "FC712D08CF850F96"


class TestMac:
    def test_single_des(self, hsm: SoftwareHsm) -> None:
        # TEST1DTK becomes 7D7B3F7E92E6FEEC, with RANDOM E491B81EE038DAE8; printf 8424000004800000 | xxd -r -p |
        # openssl enc -des-cbc -nopad -K E491B81EE038DAE8 -iv 0000000000000000 -provider legacy -provider default
        request = STK | {"data": "8424000004800000"}

        assert result(hsm, "mac", request) == "97918F79"
        assert result(hsm, "mac", request | {"initial_value": None}) == "97918F79"

    def test_an_initial_value(self, hsm: SoftwareHsm) -> None:
        # with -iv 1234567800000000
        request = STK | {"data": "8424000004800000", "initial_value": "1234567800000000"}

        assert result(hsm, "mac", request) == "B86B3AAE"

    def test_sm4(self, hsm: SoftwareHsm) -> None:
        # openssl enc -sm4-cbc -nopad gives B260ECA5 728D513A 8B68DDC1 B004F886, which are XORed; with -iv
        # 12345678000…, D4A9F347 5AC45FF2 43CD48FC 2B189272
        request = STK | {"algorithm": "03", "data": "8424000004" + "80".ljust(22, "0")}

        assert result(hsm, "mac", request) == "FB8198D8"
        assert result(hsm, "mac", request | {"initial_value": "12345678".ljust(32, "0")}) == "E6B8763B"


class TestEncipher:
    def test_blocks(self, hsm: SoftwareHsm) -> None:
        # openssl enc -des-ecb -nopad -K 78BBCD9E0565C7F8 of both blocks
        assert result(hsm, "encipher", REQUEST | {"data": SOURCE + RANDOM}) == CRYPTOGRAM + "DEBADB67369E8092"
        # the same of 0312345680000000 with STK's process key
        assert result(hsm, "encipher", STK | {"data": "0312345680000000"}) == "B73FF68803DC35D3"

    def test_sm4(self, hsm: SoftwareHsm) -> None:
        request = REQUEST | {"algorithm": "03", "data": SOURCE + "0000000000000000"}

        assert result(hsm, "encipher", request) == "19A46CA52500472D581AA132784EA6DA"


class TestCertificate:
    def test_the_mac_of_the_key_itself(self, hsm: SoftwareHsm) -> None:
        # TEST1DIRK....... becomes C3DA35734B1F721D67FDF88B0024EA2C. openssl enc -des-cbc -nopad -K C3DA35734B1F721D
        # -iv 0000000000000000 of 430100D1560000055445535480000000; its last block with -d -des-ecb -K 67FDF88B0024EA2C,
        # that with -des-ecb -K C3DA35734B1F721D: 01A2D88DA4B8C86E
        assert post(hsm, "certificate", CERTIFICATE) == (
            200,
            {"request_id": "request-1", "key_address": "000008", "challenge": None, "result": "01A2D88D"},
        )

    def test_sm4_is_not_known(self, hsm: SoftwareHsm) -> None:
        assert refusal(hsm, "certificate", CERTIFICATE | {"algorithm": "03"}) == (422, "algorithm")

    def test_no_challenge_and_twelve_bytes(self, hsm: SoftwareHsm) -> None:
        assert refusal(hsm, "certificate", CERTIFICATE | {"challenge": RANDOM}) == (400, "bad-request")
        assert refusal(hsm, "certificate", CERTIFICATE | {"data": "00" * 11}) == (400, "bad-request")
        assert refusal(hsm, "certificate", CERTIFICATE | {"data": None}) == (400, "bad-request")


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "status", "code"),
        [
            ({"key": "NONE"}, 404, "no-key"),
            ({"key": ""}, 404, "no-key"),
            ({"key": None}, 400, "bad-request"),
            ({"key_address": "004C0B"}, 400, "bad-request"),
            ({"key_address": "004D0A"}, 400, "bad-request"),
            ({"key_address": "00000A"}, 400, "bad-request"),
            ({"key_address": "004c0a"}, 400, "bad-request"),
            ({"key_address": "004C"}, 400, "bad-request"),
            ({"key": "IRK", "key_address": "000009"}, 400, "bad-request"),
            ({"algorithm": "02"}, 422, "algorithm"),
            ({"algorithm": "3DES"}, 400, "bad-request"),
            ({"version": 0}, 422, "version"),
            ({"version": 4}, 422, "version"),
            ({"version": "1"}, 400, "bad-request"),
            ({"version": True}, 400, "bad-request"),
            ({"historical_bytes": "86844301544553"}, 400, "bad-request"),
            ({"historical_bytes": "868443015445535"}, 400, "bad-request"),
            ({"historical_bytes": "86844301544553ff"}, 400, "bad-request"),
            ({"city": "4301"}, 400, "bad-request"),
            ({"city": 430100}, 400, "bad-request"),
            ({"challenge": "11223344"}, 400, "bad-request"),
            ({"challenge": None}, 400, "bad-request"),
            ({"source": "01020304"}, 400, "bad-request"),
            ({"source": None}, 400, "bad-request"),
        ],
    )
    def test_cryptogram(self, hsm: SoftwareHsm, change: dict[str, object], status: int, code: str) -> None:
        assert refusal(hsm, "cryptogram", REQUEST | change) == (status, code)

    @pytest.mark.parametrize("field", sorted(set(REQUEST) - {"request_id", "version"}))
    def test_a_field_that_is_missing(self, hsm: SoftwareHsm, field: str) -> None:
        request = {name: value for name, value in REQUEST.items() if name != field}

        assert refusal(hsm, "cryptogram", request) == (400, "bad-request")

    @pytest.mark.parametrize(
        ("operation", "change"),
        [
            ("mac", {}),
            ("mac", {"data": ""}),
            ("mac", {"data": "84240000"}),
            ("mac", {"data": SOURCE, "initial_value": "12345678"}),
            ("mac", {"data": SOURCE, "initial_value": "0" * 32}),
            ("mac", {"data": SOURCE, "algorithm": "03"}),
            ("mac", {"data": SOURCE * 2, "algorithm": "03", "initial_value": SOURCE}),
            ("mac", {"data": SOURCE, "challenge": None}),
            ("encipher", {}),
            ("encipher", {"data": SOURCE + "00"}),
            ("encipher", {"data": "xx"}),
            ("encipher", {"data": SOURCE, "algorithm": "03"}),
            ("encipher", {"data": SOURCE, "challenge": None}),
        ],
    )
    def test_data(self, hsm: SoftwareHsm, operation: str, change: dict[str, object]) -> None:
        assert refusal(hsm, operation, REQUEST | change) == (400, "bad-request")

    def test_a_key_of_one_version(self, hsm: SoftwareHsm) -> None:
        assert refusal(hsm, "encipher", STK | {"data": SOURCE, "version": 2}) == (422, "version")

    def test_which_request_is_told_only_where_it_can_be(self, hsm: SoftwareHsm) -> None:
        for body in (b"{", b"", b"\xff", b"[]", b"1", b"[" * 60000, json.dumps(REQUEST | {"request_id": 1}).encode()):
            status, answer = exchange(hsm, "POST", "/v1/cryptogram", body)
            document = json.loads(answer)

            assert (status, document["error"]["code"], document["request_id"]) == (400, "bad-request", None)

    def test_another_path(self, hsm: SoftwareHsm) -> None:
        assert refusal(hsm, "decipher", REQUEST) == (404, "bad-request")
        assert exchange(hsm, "GET", "/v1/mac")[0] == 404
        assert exchange(hsm, "POST", "/cryptogram", json.dumps(REQUEST).encode())[0] == 404

    def test_a_body_has_64_kib_at_most(self, hsm: SoftwareHsm) -> None:
        whole = json.dumps(REQUEST).encode()

        assert exchange(hsm, "POST", "/v1/cryptogram", whole.ljust(65536))[0] == 200
        status, answer = exchange(hsm, "POST", "/v1/cryptogram", whole.ljust(65537))
        assert (status, json.loads(answer)["error"]["code"]) == (413, "bad-request")

    def test_a_body_has_a_length(self, hsm: SoftwareHsm) -> None:
        for headers in ({"Transfer-Encoding": "chunked"}, {"Content-Length": "-1"}):
            assert exchange(hsm, "POST", "/v1/cryptogram", b"", headers)[0] == 411


class TestFaults:
    def test_each_is_tested_here(self) -> None:
        assert set(FAULTS) == {"slow", "down", "status", "garbage", "lie", "other-request", "other-key", "half"}

    def test_slow_answers_late_but_right(self, hsm: SoftwareHsm, monkeypatch: pytest.MonkeyPatch) -> None:
        waits: list[float] = []
        monkeypatch.setattr(hsm, "delay_answer", lambda: waits.append(hsm.seconds))
        hsm.seconds = 0.25
        assert result(hsm, "cryptogram", REQUEST) == CRYPTOGRAM
        assert waits == []

        hsm.fault = "slow"
        assert result(hsm, "cryptogram", REQUEST) == CRYPTOGRAM
        assert waits == [0.25]

    def test_a_slow_one_can_be_stopped(self, hsm: SoftwareHsm) -> None:
        hsm.fault, hsm.seconds = "slow", 3600.0
        answers: list[str] = []
        caller = threading.Thread(target=lambda: answers.append(result(hsm, "cryptogram", REQUEST)), daemon=True)
        caller.start()
        while hsm.requests == 0:
            threading.Event().wait(0.01)
        hsm.stop()
        caller.join(60)

        assert answers == [CRYPTOGRAM]

    def test_a_caller_that_hangs_up_troubles_nobody(self, hsm: SoftwareHsm, capfd: pytest.CaptureFixture[str]) -> None:
        hsm.fault, hsm.seconds = "slow", 0.1
        host, _, port = hsm.url.removeprefix("http://").partition(":")
        body = json.dumps(REQUEST).encode()
        with socket.create_connection((host, int(port)), timeout=10) as caller:
            caller.sendall(b"POST /v1/cryptogram HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        assert result(hsm, "cryptogram", REQUEST) == CRYPTOGRAM
        assert capfd.readouterr() == ("", "")

    def test_down(self, hsm: SoftwareHsm) -> None:
        hsm.fault = "down"

        with pytest.raises(http.client.RemoteDisconnected):
            post(hsm, "cryptogram", REQUEST)
        with pytest.raises(http.client.RemoteDisconnected):
            exchange(hsm, "GET", "/v1/hello")
        assert hsm.requests == 1

    def test_status(self, hsm: SoftwareHsm) -> None:
        hsm.fault = "status"

        assert exchange(hsm, "POST", "/v1/cryptogram", json.dumps(REQUEST).encode()) == (500, b"internal error")

    def test_garbage(self, hsm: SoftwareHsm) -> None:
        hsm.fault = "garbage"

        status, body = exchange(hsm, "POST", "/v1/cryptogram", json.dumps(REQUEST).encode())
        assert status == 200
        with pytest.raises(ValueError):
            json.loads(body)

    def test_half(self, hsm: SoftwareHsm) -> None:
        hsm.fault = "half"

        with pytest.raises(http.client.IncompleteRead) as broken:
            post(hsm, "cryptogram", REQUEST)
        assert broken.value.partial.startswith(b'{"request_id"')

    @pytest.mark.parametrize(
        ("fault", "field", "value"),
        [
            ("lie", "result", "EAF4E7283E89C496"),  # every bit of the right one turned over
            ("other-request", "request_id", "request-1-other"),
            ("other-key", "key_address", "FFB3F5"),
        ],
    )
    def test_an_answer_that_is_not_the_right_one(self, hsm: SoftwareHsm, fault: Any, field: str, value: str) -> None:
        _, right = post(hsm, "cryptogram", REQUEST)
        hsm.fault = fault
        status, answer = post(hsm, "cryptogram", REQUEST)

        assert status == 200
        assert answer == right | {field: value}
        assert refusal(hsm, "cryptogram", REQUEST | {"key": "NONE"}) == (404, "no-key")

    def test_it_recovers(self, hsm: SoftwareHsm) -> None:
        hsm.fault = "status"
        exchange(hsm, "POST", "/v1/cryptogram", json.dumps(REQUEST).encode())
        hsm.fault = None

        assert result(hsm, "cryptogram", REQUEST) == CRYPTOGRAM
