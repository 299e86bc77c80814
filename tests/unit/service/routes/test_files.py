"""The whole card over HTTP, over a real socket, with software readers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import simulators.personas.persona
from tests.unit.service.routes.test_bridge import FIRST, SECOND, Bridge

CARD = f"/v1/readers/{FIRST}/card"
CLOSED = f"/v1/readers/{SECOND}/card"


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    made = Bridge("whole", "personalised")
    yield made
    made.stop()


def test_the_tree(bridge: Bridge) -> None:
    tree = bridge.client.get(f"{CARD}/files").json()
    assert [application["id"] for application in tree["applications"]] == ["SSSE", *(f"DF0{n}" for n in range(1, 8))]
    closed = bridge.client.get(f"{CLOSED}/files").json()
    files = {file["file"]: file for application in closed["applications"] for file in application["files"]}
    assert (files["DF03/EF07"]["readable"], files["DF03/EF07"]["reason"]) == (False, "needs-pin-or-key")


def test_one_file_as_the_command_line_gives_it(bridge: Bridge) -> None:
    document = bridge.client.get(f"{CARD}/files/DF03/EF19").json()
    assert (document["file"], document["structure"], document["opened_by"]) == ("DF03/EF19", "fixed", "free")
    item = document["records"][0]["items"][0]
    assert "value" not in item and item["items"][0]["value"]["label"] == "城镇企业职工基本养老保险"
    closed = bridge.client.get(f"{CLOSED}/files/DF03/EF19")
    assert closed.status_code == 200 and closed.json()["unread"][0]["reason"] == "needs-pin-or-key"


@pytest.mark.parametrize("name", ["DF3/EF05", "SSSE/5", "XX/EF05"])
def test_what_is_no_name_of_a_file_is_a_malformed_question(bridge: Bridge, name: str) -> None:
    refused = bridge.client.get(f"{CARD}/files/{name}")
    assert (refused.status_code, refused.json()["code"]) == (400, "usage")


@pytest.mark.parametrize("name", ["DF03/EF55", "DF09/EF05", "DF04/EF09"])
def test_a_file_that_the_layout_lacks_is_not_there(bridge: Bridge, name: str) -> None:
    refused = bridge.client.get(f"{CARD}/files/{name}")
    assert (refused.status_code, refused.json()["code"]) == (404, "no-such-file")


def test_the_photo(bridge: Bridge) -> None:
    answer = bridge.client.get(f"{CARD}/photo")
    assert answer.headers["content-type"] == "image/jpeg" and answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.content == (Path(simulators.personas.persona.__file__).parent / "photo.jpg").read_bytes()
    closed = bridge.client.get(f"{CLOSED}/photo")
    assert (closed.status_code, closed.json()["code"]) == (403, "access-not-granted")
    bridge.readers.insert(SECOND, "whole-first", None)
    missing = bridge.client.get(f"{CLOSED}/photo")
    assert (missing.status_code, missing.json()["code"]) == (404, "no-photo")
    bridge.readers.insert(SECOND, "personalised", None)


def test_reports(bridge: Bridge) -> None:
    insurance = bridge.client.get(f"{CARD}/insurance").json()
    assert {"pension", "unemployment", "medical", "work_injury", "maternity", "vouchers"} <= set(insurance["sections"])
    assert insurance["sections"]["pension"]["values"][0]["file"] == "DF03/EF07"
    assert {total["unit"] for total in insurance["totals"]} == {"fen", "months"}
    employment = bridge.client.get(f"{CARD}/employment").json()
    assert employment["sections"]["certificate"]["values"]


@pytest.mark.parametrize("what", ["files", "files/DF03/EF07", "photo", "insurance", "employment"])
def test_nobody_gets_in_without_the_token(bridge: Bridge, what: str) -> None:
    refused = bridge.client.get(f"{CARD}/{what}", headers={"Authorization": "Bearer x"})
    assert refused.status_code == 401
    foreign = bridge.client.get(f"{CARD}/{what}", headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403


def test_the_description_knows_the_addresses(bridge: Bridge) -> None:
    paths = bridge.client.get("/openapi.json").json()["paths"]
    photo = paths["/v1/readers/{reader}/card/photo"]["get"]["responses"]
    assert set(photo["200"]["content"]) == {"image/jpeg", "image/bmp"}
    for status in ("401", "403", "404", "409", "502", "503", "504"):
        assert photo[status]["content"].keys() == {"application/problem+json"}
    assert set(paths["/v1/readers/{reader}/card/files/{application}/{file}"]["get"]["responses"]) >= {"200", "400"}
