"""Leases, card sessions and queues: two callers do not fight, and a swapped card is noticed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from cardio.security.credentials import Credentials
from service.gate.context import RequestContext
from service.gate.scopes import Caller, Scope
from service.readers.errors import LeasedError, LeaseLostError
from service.readers.lease import Lease, LeaseBook, TakeoverRequested
from service.readers.managed_reader import ManagedReader
from simulators.card.faults import FaultyCard
from simulators.personas.persona import find_persona
from tests.pcsc import wait_until
from tests.unit.service.bridge import FIRST, SECOND, Bridge, events_in

MINE, YOURS = (Caller(origin, frozenset(), grant=origin) for origin in ("a", "b"))


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge(scopes=frozenset(Scope))
    yield made
    made.stop()


def test_a_leased_reader_answers_only_its_owner(bridge: Bridge) -> None:
    bridge.app.state.bridge.running.registry.managed(FIRST).lease = LeaseBook(clock=lambda: 0.0)
    lease = bridge.client.post(f"/v1/readers/{FIRST}/lease", json={"seconds": 30, "purpose": "挂号"})
    assert lease.status_code == 201
    mine = {"Cardio-Lease": lease.json()["lease"]}
    before = bridge.commands
    for path in ("card", "card/files", "card/pin", "card/nhsa-1101"):
        refused = bridge.client.get(f"/v1/readers/{FIRST}/{path}")
        assert (refused.status_code, refused.json()["code"]) == (409, "reader-leased")
        assert refused.json()["lease"]["purpose"] == "挂号" and 0 < int(refused.headers["retry-after"]) <= 30
    assert bridge.commands == before
    assert bridge.client.post("/v1/driver/iReadCardBas", json={"reader": FIRST}).json()["code"] == "reader-leased"
    assert bridge.client.get(f"/v1/readers/{FIRST}/card", headers=mine).status_code == 200
    assert bridge.client.get(f"/v1/readers/{SECOND}/card").status_code == 200, "the other reader is free"
    listed = bridge.client.get("/v1/readers").json()["readers"][0]
    assert listed["lease"] == {"owner": "local", "purpose": "挂号", "seconds_left": 30}
    assert lease.json()["lease"] not in json.dumps(listed)
    assert bridge.client.delete(f"/v1/readers/{FIRST}/lease", headers=mine).status_code == 204
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200
    lost = bridge.client.get(f"/v1/readers/{FIRST}/card", headers=mine)
    assert (lost.status_code, lost.json()["code"]) == (409, "lease-lost")


def test_a_revoked_page_loses_its_lease(bridge: Bridge) -> None:
    page, grant = bridge.pair("https://his.example", Scope.BASIC)
    assert page.post(f"/v1/readers/{FIRST}/lease", json={}).status_code == 201
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 409
    bridge.client.delete(f"/v1/grants/{grant}")
    wait_until(lambda: bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200, "the reader is free")


def test_a_take_over_is_asked_for_first() -> None:
    now = [0.0]
    book = LeaseBook(clock=lambda: now[0])
    first = book.claim(MINE, "挂号", 60, take_over=False)
    assert isinstance(first, Lease)
    with pytest.raises(LeasedError):
        book.claim(YOURS, "", 60, take_over=False)
    with pytest.raises(LeasedError):
        book.claim(MINE, "", 60, take_over=False)  # the other tab of the same page
    assert book.claim(YOURS, "", 60, take_over=True) == TakeoverRequested(5.0)
    assert isinstance(book.claim(YOURS, "", 60, take_over=True), TakeoverRequested)
    book.keep(first.id)  # the owner says no
    now[0] = 6
    assert book.claim(YOURS, "", 60, take_over=True) == TakeoverRequested(5.0)
    now[0] = 11.1  # the owner says nothing
    second = book.claim(YOURS, "", 60, take_over=True)
    assert isinstance(second, Lease) and second.grant == "b"
    with pytest.raises(LeaseLostError):
        book.check(first.id)
    book.check(second.id)
    now[0] = 71.2
    book.check(None)
    with pytest.raises(LeaseLostError):
        book.keep(second.id)


def test_the_owner_hears_that_somebody_asks(bridge: Bridge) -> None:
    page, _ = bridge.pair("https://his.example", Scope.BASIC)
    bridge.client.post(f"/v1/readers/{FIRST}/lease", json={"seconds": 60})
    with bridge.client.stream("GET", "/v1/events") as stream:
        events = events_in(stream)
        assert next(events)["type"] == "cardio.state"
        asked = page.post(f"/v1/readers/{FIRST}/lease", json={"take_over": True, "purpose": "急诊"})
        assert (asked.status_code, asked.json()["state"]) == (202, "asked")
        event = next(events)
        assert (event["type"], event["data"]["by"], event["data"]["purpose"]) == (
            "cardio.lease-asked", "页面 (https://his.example)", "急诊",
        )  # fmt: skip


def test_a_caller_names_the_card_it_saw_and_gets_no_other(bridge: Bridge) -> None:
    answer = bridge.client.get(f"/v1/readers/{FIRST}/card")
    session = answer.headers["cardio-card-session"]
    named = {"Cardio-Card-Session": session}
    assert bridge.client.get(f"/v1/readers/{FIRST}/card/files/SSSE/EF06", headers=named).status_code == 200
    bridge.readers.insert(FIRST, "child", None)
    wait_until(
        lambda: bridge.client.get("/v1/readers").json()["readers"][0]["card_session"] not in (session, None), "swapped"
    )
    for call in (
        bridge.client.get(f"/v1/readers/{FIRST}/card", headers=named),
        bridge.client.get(f"/v1/readers/{FIRST}/card/pin", headers=named),
        bridge.client.post("/v1/driver/iVerifyPIN", headers=named, json={"pin": "123456", "reader": FIRST}),
        bridge.client.post("/v1/driver/iReadCardBas_HSM_Step1", headers=named, json={"reader": FIRST}),
    ):
        assert (call.status_code, call.json()["code"], call.json()["driver_code"]) == (409, "card-changed", -22)
    bridge.readers.remove(FIRST)
    wait_until(lambda: bridge.client.get("/v1/readers").json()["readers"][0]["status"] == "empty", "it is empty")
    gone = bridge.client.get(f"/v1/readers/{FIRST}/card", headers=named)
    assert (gone.status_code, gone.json()["code"]) == (404, "no-card")


def test_a_swap_that_the_watcher_has_not_told_yet_is_noticed_too(bridge: Bridge) -> None:
    """The card is swapped behind the bridge's back, and the call comes before the event."""
    session = bridge.client.get(f"/v1/readers/{FIRST}/card").headers["cardio-card-session"]
    reader = bridge.readers.reader(FIRST)
    assert reader is not None
    listeners, reader._listeners = reader._listeners, []
    bridge.readers.insert(FIRST, "child", None)
    answer = bridge.client.get(f"/v1/readers/{FIRST}/card", headers={"Cardio-Card-Session": session})
    assert (answer.json()["code"], answer.json()["driver_code"]) == ("card-changed", -22)
    unnamed = bridge.client.get(f"/v1/readers/{FIRST}/card")
    assert unnamed.json()["holder"]["name"] == "测小小" and "cardio-card-session" not in unnamed.headers
    reader._listeners = listeners


def test_a_reading_that_fails_is_told_of_its_own_card(bridge: Bridge) -> None:
    """The card is swapped while it is read: its end is not the next card's, for which a page would show it."""
    desk = bridge.app.state.bridge.running.registry.managed(FIRST)
    reader = bridge.readers.reader(FIRST)
    assert reader is not None
    sessions: list[str | None] = [desk.card_session]

    def session_changes() -> None:
        wait_until(lambda: desk.card_session not in (*sessions, None), "the watcher has told")
        sessions.append(desk.card_session)

    def swapped(card: Any, command: bytes) -> bytes:
        if len(sessions) == 2:
            reader.insert(find_persona("child").card())
            session_changes()
        answer: bytes = card.transmit(command)
        return answer

    reader.insert(FaultyCard(find_persona("adult").card(), swapped))
    session_changes()
    with bridge.client.stream("GET", "/v1/events?readings=true") as stream:
        told = events_in(stream)
        assert next(told)["type"] == "cardio.state"
        assert bridge.client.get(f"/v1/readers/{FIRST}/card").json()["code"] == "card-removed"
        assert bridge.client.get(f"/v1/readers/{FIRST}/card").json()["holder"]["name"] == "测小小"
        first, second = (one["data"] for one in islice((e for e in told if e["type"] == "cardio.read-finished"), 2))
    _, old, new = sessions
    assert (first["outcome"], first["card_session"]) == ("card-removed", old)
    assert (second["outcome"], second["card_session"]) == ("ok", new)


@pytest.mark.parametrize("held", [False, True], ids=["at-once", "in-steps"])
def test_what_was_done_names_the_card_it_was_done_with(bridge: Bridge, held: bool) -> None:
    """Also where the next card is in before the answer leaves."""
    desk: ManagedReader = bridge.app.state.bridge.running.registry.managed(FIRST)
    before = desk.card_session

    def work(_: object) -> str:
        bridge.readers.insert(FIRST, "child", None)
        wait_until(lambda: desk.card_session not in (before, None), "the watcher has told")
        return "done"

    doing = (
        desk.run_step(work, RequestContext(), credentials=Credentials()) if held else desk.run(work, RequestContext())
    )
    assert asyncio.run_coroutine_threadsafe(doing, bridge.app.state.bridge.running.loop).result(10) == ("done", before)


def test_a_reading_tells_the_basic_fields_first_and_only_to_who_asks(bridge: Bridge) -> None:
    with (
        bridge.client.stream("GET", "/v1/events?readings=true") as with_readings,
        bridge.client.stream("GET", "/v1/events") as without,
    ):
        told, bare = (events_in(stream) for stream in (with_readings, without))
        assert next(told)["type"] == next(bare)["type"] == "cardio.state"
        answer = bridge.client.get(f"/v1/readers/{FIRST}/card")
        basic, finished = next(told), next(told)
        assert (basic["type"], finished["type"]) == ("cardio.card-read", "cardio.read-finished")
        assert basic["data"]["reading"]["holder"]["name"] == "测试甲"
        assert finished["data"]["reading"] == answer.json() and finished["data"]["outcome"] == "ok"
        assert basic["data"]["card_session"] == answer.headers["cardio-card-session"]
        bridge.readers.insert(SECOND, "adult", "blocked")
        bridge.client.get(f"/v1/readers/{SECOND}/card")
        failed = next(one for one in told if one["type"] == "cardio.read-finished")
        assert failed["data"]["outcome"] == "card-blocked" and failed["data"]["problem"]["remedy"]
        quiet = json.dumps([next(bare), next(bare)], ensure_ascii=False)
        assert "测试甲" not in quiet and '"reading": null' in quiet
    bridge.readers.remove(FIRST)
    wait_until(lambda: bridge.client.get("/v1/readers").json()["readers"][0]["status"] == "empty", "it is empty")
    after = basic["id"].rpartition("-")[0] + f"-{int(basic['sequence']) - 1}"
    with bridge.client.stream("GET", "/v1/events?readings=true", headers={"Last-Event-ID": after}) as again:
        lines = events_in(again)
        missed = [next(lines) for _ in range(3)]
        assert [one["type"] for one in missed] == ["cardio.card-read", "cardio.read-finished", "cardio.card-removed"]
        assert "测试甲" not in json.dumps(missed, ensure_ascii=False), "forgotten when the card left"
