"""An HSM (加密机) at the authority, asked over HTTP.

Authorities' services differ. The request is common to all: a key by its address, the factors of a card, a challenge and
data. `HsmTransport` carries one request; `HttpHsmTransport` speaks the protocol of the software HSM. Another
authority's service needs a class with the same two methods (docs/security.en.md).

A request only computes and changes nothing, so a request without an answer is sent once more.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Protocol

from cardio.security.algorithms import CRYPTOGRAM_LENGTH, MAC_LENGTH
from cardio.security.errors import (
    AlgorithmNotSupportedError,
    HsmAnswerError,
    SamError,
)
from cardio.security.sam.base import Authorisation, CardKey, Mac2, Purchase, SamKind, key_missing
from cardio.security.sam.purchase import authorise_by_mac, check_by_mac

ALGORITHM_MARKS = {"3DES": "01", "SSF33": "02", "SM4": "03"}
"""算法标识, as driver functions write it."""


class HsmTransport(Protocol):
    """The interface of a transport to one HSM."""

    def ask(self, operation: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask for ``cryptogram``, ``mac``, ``encipher`` or ``certificate``; bytes are hex on both sides.

        The answer repeats ``request_id``, ``key_address`` and ``challenge``, and has ``result``, or ``error`` with a
        ``code`` (``no-key``, ``algorithm``, ``version``, or another).

        Raises:
            HsmUnreachableError: there was no answer in time.
            HsmAnswerError: the response is malformed.
        """

    def test_keys(self) -> bool:
        """Return True if the HSM says that its keys are the published ones.

        Raises:
            HsmUnreachableError, HsmAnswerError: as for `ask`.
        """


class HsmClient:
    """The client of an authority's HSM; no key ever leaves the HSM."""

    kind: SamKind = "hsm"

    def __init__(self, line: HsmTransport, *, terminal_number: str | None = None) -> None:
        self._line = line
        self.terminal_number = terminal_number
        self._test_keys: bool | None = None

    @property
    def test_keys(self) -> bool:
        if self._test_keys is None:
            self._test_keys = self._line.test_keys()
        return self._test_keys

    def close(self) -> None:
        """Do nothing: the transport stays open for the next card."""

    def identity(self, key: CardKey) -> bytes:
        return f"hsm {self._place} {self.terminal_number or ''}".encode()

    def label(self, key: CardKey) -> str:
        return f"hsm:{self._place}"

    @property
    def _place(self) -> str:
        """Return the HSM's address, if the transport has one."""
        return str(getattr(self._line, "place", ""))

    def versions(self, key: CardKey) -> tuple[int, ...]:
        return ()

    def unavailable_reason(self, key: CardKey) -> SamError | None:
        """Return None: only the HSM knows its keys. An unknown algorithm is left to it as well."""
        return None

    def cryptogram(self, key: CardKey, challenge: bytes, source: bytes) -> bytes:
        return self._ask("cryptogram", key, challenge, CRYPTOGRAM_LENGTH, source=source)

    def certificate(self, key: CardKey, data: bytes) -> bytes | None:
        try:
            return self._ask("certificate", key, None, MAC_LENGTH, data=data)
        except AlgorithmNotSupportedError:
            return None

    def mac(self, key: CardKey, challenge: bytes, data: bytes, initial_value: bytes | None = None) -> bytes:
        return self._ask("mac", key, challenge, MAC_LENGTH, data=data, initial_value=initial_value)

    def encipher(self, key: CardKey, challenge: bytes, block: bytes) -> bytes:
        return self._ask("encipher", key, challenge, len(block), data=block)

    def purchase_index(self) -> int | None:
        return None

    def authorise_purchase(self, purchase: Purchase) -> Authorisation:
        return authorise_by_mac(self.mac, purchase)

    def check_purchase(self, purchase: Purchase, terminal_transaction_number: bytes, mac2: bytes) -> Mac2:
        return check_by_mac(self.mac, purchase, terminal_transaction_number, mac2)

    def _ask(self, operation: str, key: CardKey, challenge: bytes | None, length: int, **data: bytes | None) -> bytes:
        question: dict[str, Any] = {
            "request_id": secrets.token_hex(8).upper(),
            "key": key.name,
            "key_address": key.address,
            "algorithm": ALGORITHM_MARKS[key.algorithm],
            "version": key.version,
            "historical_bytes": key.factors.card.hex().upper(),
            "city": key.factors.city_code,
            "challenge": _hex(challenge),
            **{name: _hex(value) for name, value in data.items()},
        }
        answer = self._line.ask(operation, question)
        if answer.get("request_id") != question["request_id"]:
            raise _wrong("加密机的应答与请求不符（请求编号不同）", "the HSM answered another request")
        if "error" in answer:
            raise _refused(key, answer["error"])
        if any(answer.get(name) != question[name] for name in ("key_address", "challenge")):
            raise _wrong(
                "加密机的应答与请求不符（密钥地址或随机数不同）", "the HSM answered for another key or challenge"
            )
        try:
            result = bytes.fromhex(answer["result"])
        except (KeyError, TypeError, ValueError):
            raise _wrong("加密机的结果不是十六进制", "the HSM's result is no hex") from None
        if len(result) != length:
            raise _wrong(
                f"加密机的结果为 {len(result)} 字节，应为 {length} 字节",
                f"the HSM's result has {len(result)} bytes, not {length}",
            )
        return result


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex().upper()


def _wrong(detail: str, detail_en: str) -> HsmAnswerError:
    return HsmAnswerError(detail, detail_en)


def _refused(key: CardKey, error: object) -> SamError:
    code = error.get("code") if isinstance(error, Mapping) else None
    if code in ("no-key", "version"):
        return key_missing(key.name, "加密机", "the HSM")
    if code == "algorithm":
        return AlgorithmNotSupportedError(f"加密机不支持 {key.algorithm}", f"the HSM does not support {key.algorithm}")
    shown = code if isinstance(code, str) and code.isascii() and len(code) <= 40 else "?"
    return _wrong(f"加密机拒绝了请求：{shown}", f"the HSM refused the request: {shown}")
