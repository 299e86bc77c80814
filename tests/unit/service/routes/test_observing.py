"""Figures and logs: what they say, and that no holder is in them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from service.gate.scopes import Scope
from service.observability import logs
from tests.unit.service.bridge import FIRST, Bridge

CANARIES = ("测试甲", "119900197708090027", "A00000011", "370200D15600000500000001FFFFFFFF", "123456", "654321")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    loggers = [logging.getLogger(name) for name in ("cardio", "service", "uvicorn.error")]
    before = [(one.handlers, one.propagate, one.level) for one in loggers]
    stream = io.StringIO()
    logs.configure("json", "DEBUG", stream)
    yield stream
    for one, (handlers, propagate, level) in zip(loggers, before, strict=True):
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)


def test_a_day_at_the_counter_leaves_nobody_in_log_and_figures(log: io.StringIO) -> None:
    bridge = Bridge(scopes=frozenset(Scope))
    try:
        bridge.client.get(f"/v1/readers/{FIRST}/card")
        bridge.client.get("/v1/readers/测试甲/card")
        bridge.client.post("/v1/driver/iReadCardBas", json={"reader": FIRST})
        bridge.client.post(f"/v1/readers/{FIRST}/card/pin/verify", json={"pin": "654321"})
        bridge.client.post("/v1/driver/iVerifyPIN", json={"reader": FIRST, "pin": "123456"})
        bridge.client.get(f"/v1/readers/{FIRST}/trace")
        bridge.caller(None, "https://evil.example").get("/v1/readers")
        bridge.caller("wrong").get("/v1/readers")
        bridge.client.request("测试甲".encode().hex().upper(), "/v1/readers")
        figures = bridge.client.get("/metrics").text
    finally:
        bridge.stop()
    text = log.getvalue()
    for canary in CANARIES:
        assert canary not in text and canary not in figures
        assert canary.encode("gb18030").hex().upper() not in text.upper()
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"time", "level", "logger", "event"} <= lines[0].keys()
    requests = [line for line in lines if line["event"] == "request"]
    assert [line["route"] for line in requests[:3]] == [
        "/v1/readers/{reader:path}/card", "/v1/readers/{reader:path}/card", "/v1/driver/{function}",
    ]  # fmt: skip
    assert all(line["request_id"] and line["milliseconds"] >= 0 for line in requests)
    assert {line["code"] for line in lines if line["event"] == "refused"} == {"wrong-origin", "no-token"}
    for figure in (
        'cardio_requests_total{method="GET",route="/v1/readers/{reader:path}/card",status="200"} 1.0',
        'cardio_refused_total{code="wrong-origin"} 1.0',
        'cardio_card_reads_total{outcome="ok"} 1.0',
        'cardio_events_total{kind="card-inserted"} 2.0',
        "cardio_readers 2.0",
        "cardio_cards 2.0",
        "cardio_pcsc_up 1.0",
    ):
        assert figure in figures, figure
    assert 'method="other"' in figures


def test_an_exception_is_logged_by_its_kind_only(log: io.StringIO) -> None:
    try:
        raise ValueError("测试甲 119900197708090027")
    except ValueError:
        logging.getLogger("cardio.service").exception("a reading failed")
    line = json.loads(log.getvalue())
    assert line["error"] == "ValueError" and "测试甲" not in log.getvalue()
    logs.configure("text", "DEBUG", log)
    logs.note(logging.INFO, "request", route="/v1/readers", status=200)
    assert "request route=/v1/readers status=200" in log.getvalue()
