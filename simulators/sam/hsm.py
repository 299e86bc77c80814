"""The software HSM (加密机): an HTTP service that computes for one card at a time with the published test keys.

It listens on this computer alone, keeps nothing and logs nothing. It shows the faults of such services on demand.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cardio.filesystem.layouts.loader import GENERATIONS, layout_of
from cardio.filesystem.layouts.model import Key
from simulators.crypto import card_crypto as cryptography
from simulators.crypto.published_keys import root_key

ALGORITHM_NAMES = {"01": "3DES", "03": "SM4"}
"""The names of the algorithms by their marks; 02 is SSF33, which is not published."""
Fault = Literal["slow", "down", "status", "garbage", "lie", "other-request", "other-key", "half"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
_STATUSES = {"bad-request": 400, "no-key": 404, "algorithm": 422, "version": 422}
_OPERATIONS = {f"/v1/{name}": name for name in ("cryptogram", "mac", "encipher", "certificate")}
_MOST_BYTES = 64 * 1024
_DRAINED_BYTES = 16 * _MOST_BYTES
"""The bytes of a body that is too large that are read and discarded, so that its sender gets the answer."""
_CERTIFIED_BYTES = 12


def key_address(key: Key) -> str:
    """Return an HSM's name for a key: its address (密钥地址) and its index, six hex digits; zeros for unknown parts."""
    return f"{key.hsm or 0:04X}{(key.psam or 0) & 0xFF:02X}"


class HsmRequestRefused(Exception):
    """The reason why nothing is computed: one of the service's error codes, and a text."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or _STATUSES[code]


_Hex = Annotated[str, Field(pattern="^([0-9A-F]{2})+$")]


class _Request(BaseModel):
    """The members of a request: those of every operation, and those of some."""

    model_config = ConfigDict(strict=True)

    request_id: Annotated[str, Field(min_length=1, max_length=200)]
    key: str
    key_address: Annotated[str, Field(pattern="^[0-9A-F]{6}$")]
    algorithm: Literal["01", "02", "03"]
    version: int | None = None
    historical_bytes: Annotated[str, Field(pattern="^([0-9A-F]{2}){8,}$")]
    city: Annotated[str, Field(pattern="^[0-9]{6}$")]
    challenge: Annotated[str, Field(pattern="^[0-9A-F]{16}$")] | None
    source: Annotated[str, Field(pattern="^[0-9A-F]{16}$")] | None = None
    data: _Hex | None = None
    initial_value: _Hex | None = None


def _computed(operation: str, document: object) -> dict[str, Any]:
    """Return the answer to a request.

    Raises:
        HsmRequestRefused: the request cannot be answered.
    """
    try:
        request = _Request.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise HsmRequestRefused("bad-request", f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    algorithm, sub_key = _sub_key(request)
    compute = _certificate if operation == "certificate" else partial(_under_process_key, operation)
    return {
        "request_id": request.request_id,
        "key_address": request.key_address,
        "challenge": request.challenge,
        "result": compute(request, algorithm, sub_key).hex().upper(),
    }


def _sub_key(request: _Request) -> tuple[str, bytes]:
    """Return the algorithm and the card's key."""
    keys = {key.name: key for generation in GENERATIONS for key in layout_of(generation).keys}
    key = keys.get(request.key)
    if key is None:
        raise HsmRequestRefused("no-key", f"no key {request.key}")
    address, index = request.key_address[:4], request.key_address[4:]
    known = key_address(key)
    if (key.hsm is not None and address != known[:4]) or (key.psam is not None and index != known[4:]):
        raise HsmRequestRefused("bad-request", f"{request.key} is at {known}, not at {request.key_address}")
    algorithm = ALGORITHM_NAMES.get(request.algorithm)
    if algorithm is None:
        raise HsmRequestRefused("algorithm", "SSF33 is not published")
    version = 1 if request.version is None else request.version
    if not 1 <= version <= key.versions:
        raise HsmRequestRefused("version", f"{request.key} has the versions 1 to {key.versions}")
    root = root_key(key.name, algorithm, key.length, version)
    historical_bytes = bytes.fromhex(request.historical_bytes)
    return algorithm, cryptography.card_key(algorithm, root, historical_bytes, request.city)


def _under_process_key(operation: str, request: _Request, algorithm: str, sub_key: bytes) -> bytes:
    """Return the cryptogram, MAC or cipher text of one exchange."""
    if request.challenge is None:
        raise HsmRequestRefused("bad-request", "challenge: eight bytes are needed")
    process_key = cryptography.process_key(algorithm, sub_key, bytes.fromhex(request.challenge))
    if operation == "cryptogram":
        if request.source is None:
            raise HsmRequestRefused("bad-request", "source: eight bytes are needed")
        return cryptography.cryptogram(algorithm, process_key, bytes.fromhex(request.source))
    size = cryptography.block_size(algorithm)
    data = bytes.fromhex(request.data or "")
    if not data or len(data) % size:
        raise HsmRequestRefused("bad-request", f"data: whole blocks of {size} bytes are needed")
    if operation == "encipher":
        return cryptography.enciphered(algorithm, process_key, data)
    initial_value = bytes(size) if request.initial_value is None else bytes.fromhex(request.initial_value)
    if len(initial_value) != size:
        raise HsmRequestRefused("bad-request", f"initial_value: {size} bytes are needed")
    return cryptography.padded_mac(algorithm, process_key, data, initial_value)


def _certificate(request: _Request, algorithm: str, sub_key: bytes) -> bytes:
    """Return the 认证码 of a 卡识别码: a MAC with the card's key itself."""
    if algorithm != "3DES":
        raise HsmRequestRefused("algorithm", f"how {algorithm} makes a certificate is not known")
    if request.challenge is not None:
        raise HsmRequestRefused("bad-request", "challenge: a certificate has none")
    data = bytes.fromhex(request.data or "")
    if len(data) != _CERTIFIED_BYTES:
        raise HsmRequestRefused("bad-request", f"data: {_CERTIFIED_BYTES} bytes are needed")
    return cryptography.mac(algorithm, sub_key, data)


class SoftwareHsm:
    """One service. ``fault`` and ``seconds`` may be changed at any time; ``requests`` counts the POSTs that came in."""

    def __init__(self, port: int = 0) -> None:
        """Prepare the service.

        Args:
            port: the port; 0 takes any free one.
        """
        self.fault: Fault | None = None
        self.seconds = 3.0
        """The delay of the fault ``slow``."""
        self.requests = 0
        self._counting = threading.Lock()
        self._stopping = threading.Event()
        self._port = port
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Return ``http://127.0.0.1:port``.

        Raises:
            RuntimeError: the service is not running.
        """
        if self._server is None:
            raise RuntimeError("the software HSM is not running")
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Start to listen; if it listens already, nothing happens."""
        if self._server is not None:
            return
        self._stopping.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), partial(_Handler, self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop to listen; a second time does nothing."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        self._stopping.set()
        server.shutdown()
        server.server_close()
        self._thread.join()

    def __enter__(self) -> SoftwareHsm:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def count(self) -> None:
        with self._counting:
            self.requests += 1

    def delay_answer(self) -> None:
        """Wait as the fault ``slow`` does, but not beyond the end of the service."""
        self._stopping.wait(self.seconds)


class _Handler(BaseHTTPRequestHandler):
    """One connection with one request: HTTP/1.0, so that nothing is answered after `SoftwareHsm.stop`."""

    timeout = 10.0

    def __init__(self, hsm: SoftwareHsm, *connection: Any) -> None:
        self._hsm = hsm
        super().__init__(*connection)

    def handle(self) -> None:
        """Handle the connection; a caller that is gone needs no answer."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: requests name cards."""

    def do_GET(self) -> None:
        if self.path == "/v1/hello":
            self._answer(200, {"service": "cardio-software-hsm", "test_keys": True})
        else:
            self._refuse(None, HsmRequestRefused("bad-request", f"no path {self.path}", 404))

    def do_POST(self) -> None:
        self._hsm.count()
        request_id: str | None = None
        try:
            document = self._document()
            if isinstance(document, dict) and isinstance(document.get("request_id"), str):
                request_id = document["request_id"]
            if self.path not in _OPERATIONS:
                raise HsmRequestRefused("bad-request", f"no path {self.path}", 404)
            self._answer(200, _computed(_OPERATIONS[self.path], document))
        except HsmRequestRefused as refusal:
            self._refuse(request_id, refusal)

    def _document(self) -> Any:
        """Return the body, which is JSON in UTF-8.

        Raises:
            HsmRequestRefused: the body is too large, or no JSON.
        """
        told = self.headers.get("Content-Length", "")
        if not (told.isascii() and told.isdecimal()):
            raise HsmRequestRefused("bad-request", "a Content-Length is needed", 411)
        length = int(told)
        if length > _MOST_BYTES:
            self.rfile.read(min(length, _DRAINED_BYTES))
            raise HsmRequestRefused("bad-request", f"a body has at most {_MOST_BYTES} bytes", 413)
        try:
            return json.loads(self.rfile.read(length).decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise HsmRequestRefused("bad-request", "the body is not JSON") from error

    def _refuse(self, request_id: str | None, refusal: HsmRequestRefused) -> None:
        error = {"code": refusal.code, "message": str(refusal)}
        self._answer(refusal.status, {"request_id": request_id, "error": error})

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        """Send an answer, or what the fault makes of it."""
        fault = self._hsm.fault
        if fault == "down":
            return
        if fault == "slow":
            self._hsm.delay_answer()
        if "result" in document:
            document = _falsified(document, fault)
        body = json.dumps(document).encode("utf-8")
        if fault == "status":
            status, body = 500, b"internal error"
        elif fault == "garbage":
            body = b"\x00\xff<html>"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if fault == "status" else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault == "half" else body)


def _falsified(document: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
    """Return a result as a service gives it that lies, or confuses its callers or its keys."""
    match fault:
        case "lie":
            return document | {"result": bytes(byte ^ 0xFF for byte in bytes.fromhex(document["result"])).hex().upper()}
        case "other-request":
            return document | {"request_id": f"{document['request_id']}-other"}
        case "other-key":
            return document | {"key_address": f"{int(document['key_address'], 16) ^ 0xFFFFFF:06X}"}
        case _:
            return document
