"""The counter asks its clerk: a driver call waits for consent, or for a PIN, and goes on or not."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from websockets.sync.client import connect

from tests.browser.conftest import Served
from tests.browser.elsewhere import closed_port, found_in, simulate
from tests.browser.test_pages_access import CLIPPED, violations

IS_ABOUT_PAGES = True

pytestmark = pytest.mark.browser
READER = "Simulated Reader 00"
RIGHT, WRONG, OTHER, NEW = "123456", "999999", "888888", "246802"


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("CARDIO_BRIDGE_SCOPES", "basic,files,pin")
    made = Served("adult")
    yield made
    made.stop()


def post(served: Served, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the bridge answers to a program; a problem too."""
    request = urllib.request.Request(
        f"{served.address}{path}",
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {served.token}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as refused:
        found = json.load(refused)
    return found


def begin(served: Served, function: str, **arguments: object) -> Future[dict[str, Any]]:
    """A driver call that may wait for the clerk."""
    done: Future[dict[str, Any]] = Future()

    def call() -> None:
        done.set_result(post(served, f"/v1/driver/{function}", {"reader": READER, **arguments}))

    threading.Thread(target=call, daemon=True).start()
    return done


def outcome(page: Page, done: Future[dict[str, Any]]) -> dict[str, Any]:
    expect(question(page)).to_have_count(0)
    return done.result(15)


def spend_two_tries(served: Served) -> None:
    for wrong in (WRONG, OTHER):
        answer = post(served, f"/v1/readers/{READER.replace(' ', '%20')}/card/pin/verify", {"pin": wrong})
        assert answer["code"] == "wrong-pin"


def opened(page: Page, served: Served) -> None:
    page.goto(served.link)
    expect(page.locator(".connection")).to_have_attribute("data-state", "live")
    expect(page.locator(".name")).to_be_visible()


def question(page: Page) -> Locator:
    return page.locator(".question")


def test_the_clerk_consents_and_the_call_goes_on(page: Page, counter: Served) -> None:
    opened(page, counter)
    spend_two_tries(counter)
    done = begin(counter, "iVerifyPIN", pin=RIGHT)
    expect(question(page)).to_contain_text("持卡人密码只剩最后一次机会")
    expect(question(page)).to_contain_text("本机")
    expect(page.locator("[data-voice]")).to_have_text("持卡人密码只剩最后一次机会")
    expect(page).to_have_title("待确认：社会保障卡读卡台 · cardio")
    expect(question(page).locator("h2")).to_be_focused()
    assert not done.done()
    question(page).get_by_role("button", name="持卡人同意，继续").click()
    assert outcome(page, done)["return"] == 0
    expect(page).to_have_title("社会保障卡读卡台 · cardio")


def test_the_clerk_declines(page: Page, counter: Served) -> None:
    opened(page, counter)
    spend_two_tries(counter)
    done = begin(counter, "iVerifyPIN", pin=RIGHT)
    question(page).get_by_role("button", name="不继续").click()
    problem = outcome(page, done)
    assert (problem["code"], problem["driver_code"]) == ("last-try-declined", -31)


def test_the_clerk_does_not_answer_a_dialects_call(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decard's client gives up after ten seconds: it is answered before; a later consent counts for its next call."""
    port = closed_port()
    for name, value in {
        "SCOPES": "basic,files,pin", "DIALECTS__DECARD": "true", "DIALECTS__DECARD_PORT": str(port),
        "DIALECTS__PROGRAMS": "true", "DIALECTS__SCOPES": "basic,files,pin",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"CARDIO_BRIDGE_{name}", value)
    served = Served("adult")
    try:
        opened(page, served)
        with connect(f"ws://127.0.0.1:{port}/", proxy=None) as socket:
            call = json.dumps({"func": "iVerifyPIN", "in": ["3"]})
            for wrong in (WRONG, OTHER):
                socket.send(call)
                question(page).get_by_label("密码").fill(wrong)
                page.keyboard.press("Enter")
                expect(question(page)).to_have_count(0)
                assert json.loads(socket.recv(10))["result"] == "-51"
            socket.send(call)
            question(page).get_by_label("密码").fill(RIGHT)
            page.keyboard.press("Enter")
            expect(question(page)).to_contain_text("最后一次")
            reply = json.loads(socket.recv(10))
            assert reply["result"] == "-32" and f"{served.address}/" in reply["out"][0]
            question(page).get_by_role("button", name="持卡人同意，继续").click()
            expect(question(page)).to_have_count(0)
            socket.send(call)
            question(page).get_by_label("密码").fill(RIGHT)
            page.keyboard.press("Enter")
            assert json.loads(socket.recv(10)) == {"func": "iVerifyPIN", "result": "0", "out": [""]}
    finally:
        served.stop()


def test_a_question_goes_with_its_card(page: Page, counter: Served) -> None:
    opened(page, counter)
    done = begin(counter, "iVerifyPIN")
    expect(question(page)).to_be_visible()
    simulate(counter, "DELETE")
    assert outcome(page, done)["driver_code"] == -22


def test_a_new_pin_is_typed_twice_and_stays_nowhere(page: Page, counter: Served) -> None:
    opened(page, counter)
    done = begin(counter, "iChangePIN")
    expect(question(page)).to_contain_text("请持卡人设置新密码")
    question(page).get_by_label("原密码").fill(RIGHT)
    question(page).get_by_label("新密码", exact=True).fill(NEW)
    question(page).get_by_label("再次输入新密码").fill("246803")
    question(page).get_by_role("button", name="确定").click()
    expect(question(page).get_by_role("alert")).to_contain_text("两次输入的密码不一致")
    question(page).get_by_label("再次输入新密码").fill(NEW)
    question(page).get_by_role("button", name="确定").click()
    assert outcome(page, done)["return"] == 0
    assert not found_in(page, NEW, RIGHT)
    assert begin(counter, "iVerifyPIN", pin=NEW).result(15)["return"] == 0


def test_a_question_that_was_asked_before_the_page_was_open(page: Page, counter: Served) -> None:
    spend_two_tries(counter)
    refused = begin(counter, "iVerifyPIN", pin=RIGHT).result(15)
    assert refused["driver_code"] == -51 and f"{counter.address}/" in refused["remedy"]
    opened(page, counter)
    question(page).get_by_role("button", name="持卡人同意，继续").click()
    expect(question(page)).to_have_count(0)
    assert begin(counter, "iVerifyPIN", pin=RIGHT).result(15)["return"] == 0


def test_nobody_is_taken_away_from_what_they_do(page: Page, counter: Served) -> None:
    opened(page, counter)
    show = page.get_by_role("button", name="显示")
    show.focus()
    done = begin(counter, "iVerifyPIN")
    expect(question(page)).to_be_visible()
    expect(show).to_be_focused()
    question(page).get_by_role("button", name="取消").click()
    assert outcome(page, done)["driver_code"] == -31


@pytest.mark.parametrize("kind", ["consent", "entry"])
def test_a_question_is_clean_by_axe_and_fits(page: Page, counter: Served, kind: str) -> None:
    page.set_viewport_size({"width": 1024, "height": 768})
    opened(page, counter)
    if kind == "consent":
        spend_two_tries(counter)
        done = begin(counter, "iVerifyPIN", pin=RIGHT)
    else:
        done = begin(counter, "iChangePIN")
        question(page).get_by_role("button", name="确定").click()
        expect(question(page).get_by_role("alert")).to_be_visible()
    expect(question(page)).to_be_visible()
    assert violations(page) == [] and page.evaluate(CLIPPED) == []
    page.set_viewport_size({"width": 512, "height": 384})
    page.get_by_role("button", name="English").click()
    expect(question(page)).to_contain_text("PIN")
    assert violations(page) == [] and page.evaluate(CLIPPED) == []
    question(page).get_by_role("button", name="Do not continue" if kind == "consent" else "Cancel").click()
    outcome(page, done)
