"""Callers of the field: each file in ``callers/`` is a script of one, and what it is answered must be right.

A file says which dialect the caller speaks, what the site has set (``trusted``, ``programs``), and its steps. A step
``open`` may be ``refused`` with a status; ``leak`` opens a socket, asks, and leaves it open, so many times.
"""

from __future__ import annotations

import json
import threading
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
import websocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from service.driver import conversation
from service.driver.registry import dialects
from service.gate.origin_advice import as_origin
from service.gate.policy import DialectRule
from service.gate.scopes import DEFAULT_SCOPES
from simulators.sam.hsm_driver_steps import read_step_1_to_2
from tests.unit.service.bridge import FIRST, Bridge

FOLDER = Path(__file__).parent / "callers"
_SECONDS = 30


def scripts() -> list[Any]:
    return [
        pytest.param(tomllib.loads(path.read_text("utf-8")), id=path.stem) for path in sorted(FOLDER.glob("*.toml"))
    ]


class _Socket(Protocol):
    def send(self, message: str) -> object: ...

    def recv(self) -> str | bytes: ...

    def close(self) -> object: ...


class _Patient:
    """A socket that waits no longer than a test may."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def send(self, message: str) -> None:
        self._socket.send(message)

    def recv(self) -> str | bytes:
        return self._socket.recv(_SECONDS)

    def close(self) -> None:
        self._socket.close()


@dataclass
class Caller:
    """One script while it runs."""

    script: Mapping[str, Any]
    bridge: Bridge
    hang: threading.Event
    sockets: dict[str, _Socket] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    """What earlier steps gave, for later ones: ``{token}``, ``{authority}``."""

    def run(self) -> None:
        for step in self.script["step"]:
            getattr(self, f"_{step['do'].replace('-', '_')}")(step)

    def _opened(self, step: Mapping[str, Any]) -> _Socket:
        port = self.bridge.dialect_ports[self.script["dialect"]]
        path = self._filled(step.get("path", "/"))
        if self.script.get("client") == "websocket-client":
            made: _Socket = websocket.create_connection(f"ws://127.0.0.1:{port}{path}", timeout=_SECONDS)
            return made
        origin = step.get("origin", self.script.get("origin"))
        return _Patient(self.bridge.socket(path, port=port, origin=origin))

    def _filled(self, text: str) -> str:
        for name, value in self.words.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def _open(self, step: Mapping[str, Any]) -> None:
        if "refused" not in step:
            self.sockets[step.get("as", "")] = self._opened(step)
            return
        with pytest.raises(InvalidStatus) as refused:
            self._opened(step)
        answer = refused.value.response
        assert answer.status_code == step["refused"]
        assert step["says"] in answer.body.decode(), answer.body.decode()

    def _send(self, step: Mapping[str, Any]) -> None:
        self.sockets[step.get("on", "")].send(self._filled(step["message"]))

    def _expect(self, step: Mapping[str, Any]) -> None:
        reply = self.sockets[step.get("on", "")].recv()
        assert isinstance(reply, str)
        self._check(reply, step)
        if "keep" in step:
            self.words["authority"] = read_step_1_to_2(json.loads(reply)[step["keep"]])

    @staticmethod
    def _check(reply: str, step: Mapping[str, Any]) -> None:
        assert "exactly" in step or "gives" in step or "contains" in step
        assert reply == step.get("exactly", reply)
        assert step.get("contains", "") in reply
        document = json.loads(reply)
        assert {name: document[name] for name in step.get("gives", {})} == step.get("gives", {}), reply

    def _leak(self, step: Mapping[str, Any]) -> None:
        for _ in range(step["times"]):
            socket = self._opened(step)
            socket.send(step["message"])
            reply = socket.recv()
            assert isinstance(reply, str)
            self._check(reply, step)

    def _close(self, step: Mapping[str, Any]) -> None:
        self.sockets.pop(step.get("on", "")).close()

    def _pair(self, step: Mapping[str, Any]) -> None:
        made = self.bridge.client.post("/v1/grants", json={"name": "HIS", "scopes": step["scopes"]})
        self.words["token"] = made.json()["token"]

    def _take_out(self, step: Mapping[str, Any]) -> None:
        self.bridge.readers.remove(FIRST)

    def _put_in(self, step: Mapping[str, Any]) -> None:
        self.bridge.readers.insert(FIRST, step["persona"], None)

    def _let_answer(self, step: Mapping[str, Any]) -> None:
        self.hang.set()


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


@pytest.mark.parametrize("script", scripts())
def test_caller(script: Mapping[str, Any], hang: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    assert script["title"] and script["source"]
    kind = dialects()[script["dialect"]]
    if "answer_within" in script:
        assert kind.patience is not None
        monkeypatch.setattr(conversation, "_MARGIN", kind.patience - script["answer_within"])
    rule = DialectRule(kind.name, programs=script.get("programs", False), scopes=DEFAULT_SCOPES)
    trusted = {as_origin(one): DEFAULT_SCOPES for one in script.get("trusted", ())}
    bridge = Bridge(script.get("persona", "adult"), dialects=[rule], trusted=trusted)
    caller = Caller(script, bridge, hang)
    try:
        if script.get("card") == "hangs":
            _hang(bridge, hang)
        caller.run()
    finally:
        hang.set()
        for socket in caller.sockets.values():
            socket.close()
        bridge.stop()


def _hang(bridge: Bridge, hang: threading.Event) -> None:
    """The card answers nothing until the event."""
    reader: Any = bridge.readers.reader(FIRST)
    card = reader.card
    transmit = card.transmit

    def wait(command: bytes) -> bytes:
        hang.wait(_SECONDS)
        answer: bytes = transmit(command)
        return answer

    card.transmit = wait
