"""The functions of the national driver, as programs and pages are told of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.gate.scopes import Scope
from tests.unit.service.bridge import Bridge


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge(scopes=frozenset(Scope))
    yield made
    made.stop()


def test_every_function_says_what_it_takes_and_needs(bridge: Bridge) -> None:
    listed = {one["name"]: one for one in bridge.client.get("/v1/driver/functions").json()["functions"]}
    assert len(listed) == 24
    assert listed["iReadCardBas"] == {
        "name": "iReadCardBas", "arguments": ["iType"], "optional": [], "scope": "basic", "step": 0,
        "changes_card": False, "example": {"iType": 3},
    }  # fmt: skip
    debit = listed["iDoDebit"]
    assert debit["arguments"] == ["iType", "pCardInfo", "pPayInfo"] and debit["optional"] == ["pin", "idempotencyKey"]
    assert (debit["scope"], debit["step"], debit["changes_card"]) == ("settle", 0, True)
    assert debit["example"]["pPayInfo"] == "0.10|0.20|YYYYMMDDhhmmss|"
    assert {name: one["step"] for name, one in listed.items() if name.startswith("iReloadPIN")} == {
        "iReloadPIN": 0, "iReloadPIN_HSM_Step1": 1, "iReloadPIN_HSM_Step2": 2, "iReloadPIN_HSM_Step3": 3,
    }  # fmt: skip


def test_what_is_listed_is_what_can_be_called(bridge: Bridge) -> None:
    """No function, and no argument of one, is told that the call does not know."""
    for one in bridge.client.get("/v1/driver/functions").json()["functions"]:
        given = {name: value for name, value in one["example"].items() if name != "idempotencyKey"}
        answer = bridge.client.post(f"/v1/driver/{one['name']}", json=given)
        problem = answer.json()
        assert problem.get("code") not in ("not-supported", "not-found", "internal-error"), one["name"]
        assert "extra" not in problem.get("detail_en", "").lower(), one["name"]


def test_any_token_may_ask_and_no_page_that_was_not_let_in(bridge: Bridge) -> None:
    page, _ = bridge.pair("https://his.example", Scope.BASIC)
    assert page.get("/v1/driver/functions").status_code == 200
    assert bridge.caller(None).get("/v1/driver/functions").status_code == 401
    assert bridge.caller(None, "https://evil.example").get("/v1/driver/functions").status_code == 403
