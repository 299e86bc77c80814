"""The bridge's own page as tests have it: it follows the events, sees the questions, and answers them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import httpx

from tests.pcsc import wait_until
from tests.unit.service.bridge import Bridge, events_in

Result = TypeVar("Result")


class ClerkPage:
    """Open from its making to `close`; ``events`` is all that it was told."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self.events: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._callers = ThreadPoolExecutor(4)
        self._stream: httpx.Response | None = None
        self._closing = False
        self._thread.start()
        wait_until(lambda: bool(self.events), "the page follows")

    def _follow(self) -> None:
        try:
            with self._bridge.client.stream("GET", "/v1/events?questions=true&readings=true", timeout=30) as stream:
                self._stream = stream
                for event in events_in(stream):
                    self.events.append(event)
                    if self._closing:
                        return
        except (httpx.HTTPError, httpx.StreamError):
            return  # the bridge has ended

    def begin(self, work: Callable[[], Result]) -> Future[Result]:
        """A call that may wait for the clerk."""
        return self._callers.submit(work)

    def question(self) -> dict[str, Any]:
        """The one question that is open, when there is one."""
        found: list[dict[str, Any]] = []

        def asked() -> bool:
            found[:] = self.questions()
            return bool(found)

        wait_until(asked, "the clerk is asked")
        assert len(found) == 1
        return found[0]

    def questions(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self._bridge.client.get("/v1/questions").json()["questions"]
        return listed

    def answer(self, question: dict[str, Any], answer: str = "yes", **entered: str) -> httpx.Response:
        body = {"answer": answer, **entered}
        return self._bridge.client.post(f"/v1/questions/{question['question']}/answer", json=body)

    def outcome(self, question: dict[str, Any]) -> str:
        """How a question ended, as the events tell."""
        found: list[str] = []

        def told() -> bool:
            found[:] = [
                one["data"]["outcome"]
                for one in list(self.events)
                if one["type"] == "cardio.question-answered" and one["data"]["question"] == question["question"]
            ]
            return bool(found)

        wait_until(told, "the question has ended")
        return found[0]

    def close(self) -> None:
        """The page is closed: what it followed ends with the bridge, at the latest."""
        self._closing = True
        self._callers.shutdown(wait=False)
