"""A client of the bridge on this machine, for programs: it finds the bridge, makes it prove itself, and sends requests.

Use the bridge if it holds a reader exclusively, or has readers that this program has not. The client needs httpx (``pip
install cardio[service]``).

>>> with BridgeClient.connect() as bridge:                           # doctest: +SKIP
...     reading = bridge.read()
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit
from uuid import UUID

from cardio.config.paths import config_folder
from cardio.config.private_file import read_private
from cardio.debits.errors import OUTCOME_UNKNOWN, DebitUnknownError
from cardio.errors import CardioError, NoReaderError, ReaderError, UsageError
from cardio.models.readers import ReaderInfo, ReaderStatus
from cardio.models.reading import CardReading, Proof
from cardio.readers.base import choose_name
from cardio.security.errors import PinOutcomeUnknownError, WriteOutcomeUnknownError

if TYPE_CHECKING:
    import httpx

DEFAULT_PORT = 12340
ADDRESS_VARIABLE = "CARDIO_BRIDGE"
_SECONDS = 70.0
_CONNECT_SECONDS = 2.0
_TOKEN_LIMIT = 4096
_MOST_PROOFS = 3
"""The number of tries to connect again when the bridge closes the connection at that moment."""
_PLACE = re.compile(r"[A-Za-z0-9._:\[\]-]+")
"""A host, with or without a port; no user name."""


class BridgeNotRunningError(ReaderError):
    code = "bridge-not-running"
    title = "本机没有运行读卡服务"
    title_en = "No bridge is running on this machine"
    remedy = "请启动读卡服务：systemctl --user start cardio，或 cardio serve。"
    remedy_en = "Start the bridge: systemctl --user start cardio, or cardio serve."
    never_reached = True
    """True if it is certain that the request did not reach the bridge."""


class ImposterError(CardioError):
    """An error for another program that listens at the bridge's port; it was not sent the token."""

    code = "imposter"
    title = "该端口上的程序不是读卡服务"
    title_en = "What listens at this port is not the bridge"
    remedy = "请勿继续，联系信息科查明占用端口的程序。"
    remedy_en = "Do not go on; have your IT department find out what listens there."
    exit_status = 77


class BridgeError(CardioError):
    """An error that the bridge returned: with its own words, codes and remedy."""

    code = "bridge"

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(
            str(problem.get("detail", "")), str(problem.get("detail_en", "")), driver_code=problem.get("driver_code")
        )
        self.problem = dict(problem)
        self.code = str(problem.get("code", "error"))  # type: ignore[misc] # an answer's own, not the class's
        self.title = str(problem.get("title", CardioError.title))
        self.title_en = str(problem.get("title_en", CardioError.title_en))
        self.status = int(problem.get("status", 500))  # type: ignore[misc] # likewise
        self.retryable = bool(problem.get("retryable", False))  # type: ignore[misc] # likewise
        self.remedy = str(problem.get("remedy", CardioError.remedy))
        self.remedy_en = str(problem.get("remedy_en", CardioError.remedy_en))
        word = problem.get("sw")
        self.status_word = int(word, 16) if isinstance(word, str) else None
        number = problem.get("hresult")
        self.hresult = int(number, 16) if isinstance(number, str) else None


def checked_address(address: str) -> str:
    """Return the address of a bridge in the form that is used: scheme, host, and a port if there is one.

    Raises:
        UsageError: it is no address; the text says how one is written.
    """
    try:
        parts = urlsplit(address)
        has_host = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
        is_bridges = has_host and _PLACE.fullmatch(parts.netloc) and address.rstrip("/").endswith(parts.netloc)
    except ValueError:  # unbalanced brackets, or an invalid port
        is_bridges = False
    if not is_bridges:
        example = f"http://127.0.0.1:{DEFAULT_PORT}"
        raise UsageError(
            f"“{address}”不是服务地址；应写作 {example}",
            f"{address!r} is no address of a bridge; write it as {example}",
        )
    return f"{parts.scheme}://{parts.netloc}"


def default_token_file() -> Path:
    """Return ``$XDG_CONFIG_HOME/cardio/token``, else ``~/.config/cardio/token``."""
    return config_folder() / "token"


class BridgeClient:
    """The connection to one bridge for the owner of a token.

    Another program can take the port the moment the bridge has ended. So the token is sent only over a connection on
    which the bridge has proved itself, even hours after `connect`.
    """

    def __init__(self, client: httpx.Client, token: str, grant: str) -> None:
        self._client = client
        self._token, self._grant = token, grant

    @classmethod
    def connect(cls, address: str | None = None, *, token: str | None = None, grant: str = "local") -> Self:
        """Find the bridge and make it prove that it knows the token, before the token is sent.

        Args:
            address: ``http://127.0.0.1:12340``; without it ``$CARDIO_BRIDGE``, else the default port.
            token: the token of ``grant``; without it that of the token file.
            grant: the name of the grant that the token belongs to.

        Raises:
            BridgeNotRunningError: no program answers there, or there is no token file: the bridge never ran here.
            ImposterError: the answering program does not know the token.
            ConfigurationError: other users may read the token file.
            UsageError: the address is none.
        """
        import ssl

        import httpx

        place = checked_address(address or os.environ.get(ADDRESS_VARIABLE) or f"http://127.0.0.1:{DEFAULT_PORT}")
        if token is None:
            path = default_token_file()
            if not path.exists():
                raise BridgeNotRunningError()
            token = read_private(path, "令牌文件", "token file", limit=_TOKEN_LIMIT).strip()
        # Proxies are for other machines: these requests stay on this machine.
        client = httpx.Client(
            base_url=place,
            timeout=httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS),
            trust_env=False,
            # Over plain http no certificate is looked at, and to load all of the system's takes long.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if place.startswith("http:") else True,
        )
        try:
            _expect_proof(client, token, grant)
        except BaseException:  # an interruption too: the connection does not stay open
            client.close()
            raise
        return cls(client, token, grant)

    def readers(self) -> list[ReaderInfo]:
        """Return the readers of the bridge.

        Raises:
            BridgeError: the bridge returned an error.
        """
        listed = self.get("/v1/readers")["readers"]
        return [ReaderInfo(**{name: one[name] for name in ReaderInfo.model_fields}) for one in listed]

    def read(self, reader: str | None = None, *, supplement: bool = True, fresh: bool = False) -> CardReading:
        """Return who the card in a reader belongs to.

        Args:
            reader: a name, a part of one, or a number; without it the reader with a card.
            supplement: ask for residence, registration and nationality too.
            fresh: make the bridge ask the card, even if it has been read already and has not left since.

        Raises:
            NoReaderError, ReaderNotFoundError: no reader is meant.
            BridgeError: the bridge returned an error.
        """
        name = self.choose(reader)
        asked = {"supplement": str(supplement).lower(), "fresh": str(fresh).lower()}
        answer = self.get(f"/v1/readers/{quote(name, safe='')}/card", **asked)
        return CardReading.model_validate_json(json.dumps(answer))

    def driver(self, function: str, *, idempotency_key: str | UUID | None = None, **arguments: Any) -> str:
        """Run a function of the national interface and return its output.

        Args:
            function: the name of the function.
            idempotency_key: names a debit: a second request with the same key returns its result, and never debits
                again.
            arguments: the function's arguments.

        Raises:
            BridgeError: the bridge returned an error, with its `driver_code`.
            DebitUnknownError: a debit was sent and its outcome is unknown, or the bridge's answer was lost: ask again
                with the same key.
            PinOutcomeUnknownError, WriteOutcomeUnknownError: the bridge's answer was lost, and the function spends a
                try of the PIN or changes the card.
            UsageError: the key is no printable ASCII.
        """
        return self.driver_with_proof(function, idempotency_key=idempotency_key, **arguments)[0]

    def driver_with_proof(
        self, function: str, *, idempotency_key: str | UUID | None = None, **arguments: Any
    ) -> tuple[str, Proof | None]:
        """Run a function as `driver` does; return its output and the proof of the card, None where no card was
        needed.
        """
        key = "" if idempotency_key is None else str(idempotency_key)
        if not (key.isascii() and key.isprintable()):
            raise UsageError("Idempotency-Key 只能用可打印的 ASCII 字符", "an Idempotency-Key is printable ASCII")
        place = f"/v1/driver/{quote(function, safe='')}"
        try:
            answer = self._ask("POST", place, json=arguments, headers={"Idempotency-Key": key} if key else {})
        except BridgeNotRunningError as error:
            unknown_outcome = _outcome_of(function, arguments, key)
            if unknown_outcome is None or error.never_reached:
                raise
            raise unknown_outcome("未收到服务的应答，结果未知", "the bridge's answer was lost") from error
        if answer["return"] == OUTCOME_UNKNOWN:
            unknown = DebitUnknownError()
            unknown.debit_id = (answer.get("debit") or {}).get("id")
            raise unknown
        proof = answer.get("proof")
        return str(answer["pOutInfo"]), None if proof is None else Proof.model_validate(proof)

    def choose(self, wanted: str | None) -> str:
        """Return the full name of the reader that is meant; without a name the bridge chooses.

        Raises:
            NoReaderError, ReaderNotFoundError: there is no reader, none is meant, or several are.
            BridgeError: a person has to choose (``several-cards``).
        """
        if wanted is None:
            return str(self.get("/v1/readers/-/chosen")["reader"])
        infos = self.readers()
        if not infos:
            raise NoReaderError()
        with_card = [info.name for info in infos if info.status is not ReaderStatus.EMPTY]
        return choose_name([info.name for info in infos], wanted, with_card.__contains__)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield every event from now on, as CloudEvents objects; end when the bridge stops.

        Raises:
            BridgeError: the bridge returned an error.
        """
        import httpx

        asked = self._client.build_request(
            "GET", "/v1/events", timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
            headers=self._authorization, extensions={"trace": _refuse_new_connection},
        )  # fmt: skip
        stream = self._send(asked, stream=True)
        with closing(stream):
            if stream.status_code != 200:
                stream.read()
                raise BridgeError(stream.json())
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, Any], *, seconds: float | None = _SECONDS) -> dict[str, Any]:
        """Send a POST request and return the answer.

        Args:
            path: the path of the request.
            body: its JSON object.
            seconds: the time limit of the answer; None: no limit.
        """
        waiting = {} if seconds == _SECONDS else {"timeout": seconds}
        return self._ask("POST", path, json=dict(body), **waiting)

    def delete(self, path: str) -> None:
        self._ask("DELETE", path)

    def download(self, path: str, target: IO[bytes]) -> None:
        """Write the answer to a POST request into a file, without a time limit.

        Raises:
            BridgeError: the bridge returned an error.
            BridgeNotRunningError: the connection failed.
            OSError: the file cannot be written.
        """
        import httpx

        asked = self._client.build_request(
            "POST", path, timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
            headers=self._authorization, extensions={"trace": _refuse_new_connection},
        )  # fmt: skip
        try:
            with closing(self._send(asked, stream=True)) as stream:
                if stream.status_code != 200:
                    stream.read()
                    raise BridgeError(stream.json())
                for chunk in stream.iter_bytes():
                    target.write(chunk)
        except httpx.TransportError as error:
            raise BridgeNotRunningError() from error

    def _ask(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        import httpx

        headers = self._authorization | given.pop("headers", {})
        asked = self._client.build_request(
            method, path, headers=headers, extensions={"trace": _refuse_new_connection}, **given
        )
        try:
            answer = self._send(asked)
        except httpx.TransportError as error:
            lost = BridgeNotRunningError()
            lost.never_reached = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise lost from error
        if answer.status_code == 204:
            return {}
        try:
            document = answer.json()
        except ValueError:
            raise BridgeError({"status": answer.status_code}) from None
        if answer.is_success:
            return dict(document)
        raise BridgeError(document)

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _send(self, asked: httpx.Request, *, stream: bool = False) -> httpx.Response:
        """Send a request over a connection on which the bridge has proved itself.

        Raises:
            BridgeNotRunningError, ImposterError: no program, or another one, listens there now. Nothing was sent.
        """
        for _ in range(_MOST_PROOFS):
            try:
                return self._client.send(asked, stream=stream)
            except _NewConnectionError:
                _expect_proof(self._client, self._token, self._grant)
        raise BridgeNotRunningError()

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _NewConnectionError(Exception):
    """An error for a request with a token that would open a connection: the program at its other end is not known."""


def _refuse_new_connection(event: str, _: Mapping[str, Any]) -> None:
    if event == "connection.connect_tcp.started":
        raise _NewConnectionError()


def _outcome_of(function: str, arguments: Mapping[str, Any], key: str) -> type[CardioError] | None:
    """Return the error for a lost answer to a function; None where the function only reads."""
    if key or function.startswith("iDoDebit"):
        return DebitUnknownError
    if "PIN" in function or arguments.get("pin") is not None:
        return PinOutcomeUnknownError
    return None if function.startswith("iRead") else WriteOutcomeUnknownError


def _expect_proof(client: httpx.Client, token: str, grant: str) -> None:
    import httpx

    nonce = secrets.token_hex(32)
    port = client.base_url.port or (443 if client.base_url.scheme == "https" else 80)
    message = f"cardio-hello|{nonce}|{port}".encode()
    expected = hmac.new(hashlib.sha256(token.encode()).digest(), message, hashlib.sha256).hexdigest()
    try:
        answer = client.get("/v1/hello", params={"nonce": nonce, "grant": grant}, timeout=_CONNECT_SECONDS)
        proof = answer.json().get("proof") if answer.status_code == 200 else None
    except httpx.TransportError as error:
        raise BridgeNotRunningError() from error
    except (ValueError, AttributeError):
        proof = None
    if not isinstance(proof, str) or not hmac.compare_digest(proof.encode(), expected.encode()):
        raise ImposterError()
