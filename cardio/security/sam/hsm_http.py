"""The HTTP transport to an HSM: JSON over POST, with time limits, and one repetition of a request without an answer."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from cardio.errors import ConfigurationError
from cardio.security.errors import HsmAnswerError, HsmUnreachableError

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 4.0
"""The time limit of one request, in seconds. The clerk must get a result within ten seconds, so there is time for one
repetition.
"""
_ATTEMPTS = 2
_LARGEST_ANSWER = 65536


class HttpHsmTransport:
    """The transport that sends a request as ``POST {url}/v1/{operation}``.

    A request changes nothing at the HSM, so it may be sent twice. A wrong answer is final.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        certificates: str | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Set up without connecting.

        Args:
            url: the address of the HSM.
            token: sent as bearer token.
            certificates: the authority's CA file, for https.
            connect_seconds: the time limit of connecting.
            answer_seconds: the time limit of one answer.

        Raises:
            ConfigurationError: httpx is not installed, or the address is no address.
        """
        try:
            import httpx
        except ImportError as error:
            raise ConfigurationError(
                "没有安装加密机连接所需的 httpx，请安装：pip install httpx",
                "httpx, which the line to the HSM needs, is not installed: pip install httpx",
            ) from error
        self._httpx = httpx
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._client = httpx.Client(
                base_url=url,
                headers=headers,
                verify=certificates or True,
                timeout=httpx.Timeout(answer_seconds, connect=connect_seconds),
                trust_env=False,
                follow_redirects=False,
            )
            if self._client.base_url.scheme not in ("http", "https") or not self._client.base_url.host:
                raise ValueError("neither http nor https")
            at = self._client.base_url
            self.place = f"{at.scheme}://{at.host}" + (f":{at.port}" if at.port else "")  # no user name, no password
        except (httpx.InvalidURL, ValueError, OSError) as error:
            raise ConfigurationError(f"加密机地址 {url}：{error}", f"HSM address {url}: {error}") from error
        self._seconds = answer_seconds

    def close(self) -> None:
        self._client.close()

    def ask(self, operation: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._answer("POST", f"/v1/{operation}", question)

    def test_keys(self) -> bool:
        return self._answer("GET", "/v1/hello", None).get("test_keys") is not False

    def _answer(self, method: str, path: str, question: Mapping[str, Any] | None) -> Mapping[str, Any]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                status, body = self._exchange(method, path, question)
                break
            except self._httpx.HTTPError as error:
                if attempt == _ATTEMPTS:
                    # The error names address and cause, never the request.
                    raise HsmUnreachableError(
                        f"加密机没有应答（{type(error).__name__}）", f"the HSM gave no answer ({type(error).__name__})"
                    ) from error
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise HsmAnswerError(
                f"加密机的应答不是 JSON（HTTP {status}）", f"the HSM's answer is no JSON (HTTP {status})"
            )
        if status >= 400 and "error" not in answer:
            raise HsmAnswerError(f"加密机返回 HTTP {status}", f"the HSM answered HTTP {status}")
        return answer

    def _exchange(self, method: str, path: str, question: Mapping[str, Any] | None) -> tuple[int, bytes]:
        """Make one attempt, and enforce its time limit even if the answer arrives very slowly."""
        deadline = time.monotonic() + self._seconds
        with self._client.stream(method, path, json=question) as response:
            body = b""
            for part in response.iter_bytes():
                body += part
                if len(body) > _LARGEST_ANSWER:
                    raise HsmAnswerError("加密机的应答过长", "the HSM's answer is too long")
                if time.monotonic() > deadline:
                    raise self._httpx.ReadTimeout("too slow")
            return response.status_code, body
