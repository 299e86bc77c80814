"""The counter, beyond its first page: what is copied, printed and shown, and what never stays."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import APIResponse, Browser, Locator, Page, Request, Route, expect

from tests.browser.conftest import Served
from tests.browser.elsewhere import found_in, simulate, wait_held

IS_ABOUT_PAGES = True

pytestmark = pytest.mark.browser
WATCH_BLOBS = """window.blobs = { made: [], gone: [] };
const { createObjectURL, revokeObjectURL } = URL;
URL.createObjectURL = (blob) => { const url = createObjectURL.call(URL, blob); blobs.made.push(url); return url; };
URL.revokeObjectURL = (url) => { blobs.gone.push(url); revokeObjectURL.call(URL, url); };"""
WATCH_PRINT = """window.printed = [];
window.print = () => {
    const slip = document.querySelector('.slip');
    printed.push([slip.innerText, getComputedStyle(slip).display]);
    setTimeout(() => dispatchEvent(new Event('afterprint')));
};"""


def desk(page: Page, number: int = 0) -> Locator:
    return page.locator(f"article[data-reader='Simulated Reader 0{number}']")


@pytest.fixture
def whole(browser: Browser) -> Iterator[tuple[Page, Served]]:
    """A counter with one card that holds everything, in a browser that may use the clipboard."""
    served = Served("whole")
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(WATCH_BLOBS + WATCH_PRINT)
    page.goto(served.link)
    expect(desk(page).locator(".name")).to_have_text("测＊＊")
    yield page, served
    context.close()
    served.stop()
    assert errors == []


def clipboard(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_the_free_fields_come_first(page: Page) -> None:
    served = Served("adult")
    held: list[tuple[Route, APIResponse]] = []
    try:
        page.goto(served.link)
        expect(desk(page).locator(".name")).to_be_visible()
        simulate(served, "DELETE")
        expect(desk(page)).to_contain_text("请插入社会保障卡")
        # The bridge reads, and the page's own answer is held back: it has the events only.
        page.route("**/v1/readers/*/card", lambda route: held.append((route, route.fetch())))
        simulate(served, "PUT", {"persona": "whole", "fault": None})
        expect(desk(page).locator(".name")).to_have_text("测＊＊")
        expect(desk(page)).to_contain_text("正在读取其余信息")
        expect(desk(page)).not_to_contain_text("常住地")
        wait_held(page, held)
        route, response = held.pop()
        route.fulfill(response=response)
        expect(desk(page)).to_contain_text("常住地")
        expect(desk(page)).not_to_contain_text("正在读取其余信息")
    finally:
        served.stop()


def test_a_bridge_that_reads_by_itself_is_not_asked_again(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDIO_BRIDGE_AUTO_READ", "true")
    served = Served("adult")
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/card") and request.method == "GET":
            asked.append(request.url)

    try:
        page.goto(served.link)
        expect(desk(page).locator(".name")).to_be_visible()
        page.on("request", note)
        simulate(served, "PUT", {"persona": "child", "fault": None})
        desk(page).get_by_role("button", name="显示").click()
        expect(desk(page).locator(".name")).to_have_text("测小小")
        expect(desk(page)).not_to_contain_text("正在读取其余信息")
        assert asked == []
        # Of a failure the event tells the code only: the page asks once more, for the words.
        simulate(served, "PUT", {"persona": "adult", "fault": "bank-card"})
        expect(desk(page).get_by_role("alert")).to_contain_text("这不是社会保障卡")
    finally:
        served.stop()


def test_one_field_is_copied_and_people_who_hear_the_page_are_told(whole: tuple[Page, Served]) -> None:
    page, _ = whole
    desk(page).get_by_role("button", name="复制社会保障号码").click()
    expect(page.locator("[data-voice]")).to_have_text("已复制社会保障号码")
    assert clipboard(page) == "119900197708090027"
    # Copied is not shown.
    assert not found_in(page, "119900197708090027")
    desk(page).get_by_role("button", name="显示").click()
    desk(page).get_by_role("button", name="复制姓名").click()
    expect(page.locator("[data-voice]")).to_have_text("已复制姓名")
    assert clipboard(page) == "测试甲"
    for field in ("性别", "出生日期", "常住地", "卡号", "发卡地区", "有效期至"):
        expect(desk(page).get_by_role("button", name=f"复制{field}")).to_be_visible()


def test_the_input_of_1101_is_copied(whole: tuple[Page, Served]) -> None:
    page, _ = whole
    desk(page).get_by_role("button", name="复制医保 1101 入参").click()
    expect(page.locator("[data-voice]")).to_have_text("已复制医保 1101 入参")
    copied = json.loads(clipboard(page))
    assert copied["mdtrt_cert_type"] == "03" and copied["certno"] == "119900197708090027"


def test_the_clerk_sees_how_far_the_card_was_proved(page: Page, served: Served) -> None:
    words: dict[str, tuple[str, dict[str, object]]] = {
        "genuine": (
            "真伪已核验：内部认证通过（3DES，PSAM 卡）",
            {"outcome": "genuine", "detail": "内部认证通过（3DES，PSAM 卡）"},
        ),
        "not-possible": ("真伪未核验：卡片拒绝内部认证", {"outcome": "not-possible", "detail": "卡片拒绝内部认证"}),
        "test-keys": (
            "测试密钥核验，不能证明真伪：内部认证通过",
            {"outcome": "genuine", "test_keys": True, "detail": "内部认证通过"},
        ),
    }
    said: dict[str, object] = {}

    def change(route: Route) -> None:
        answer = route.fetch()
        document = answer.json()
        document["proof"] |= said
        route.fulfill(response=answer, json=document)

    page.goto(served.link)
    proof = desk(page).locator(".proof")
    expect(proof).to_have_text("真伪未核验：本机没有 PSAM 卡或加密机")
    expect(proof).to_have_attribute("data-proof", "not-asked")
    page.route("**/card?fresh=true", change)
    for state, (text, changed) in words.items():
        said.clear()
        said.update(changed)
        desk(page).get_by_role("button", name="重新读卡").click()
        expect(proof).to_have_text(text)
        expect(proof).to_have_attribute("data-proof", state)
    page.get_by_role("button", name="English").click()
    expect(proof).to_contain_text("Checked with test keys, which prove nothing")


def test_a_slip_is_printed_and_then_gone(whole: tuple[Page, Served]) -> None:
    page, _ = whole
    page.emulate_media(media="print")
    desk(page).get_by_role("button", name="打印凭条", include_hidden=True).dispatch_event("click")
    page.wait_for_function("() => printed.length === 1")
    text, display = page.evaluate("printed[0]")
    assert display == "block"
    for part in ("测试甲", "119900197708090027", "A00000011", "读卡时间"):
        assert part in text
    expect(page.locator(".slip")).to_have_count(0)
    page.emulate_media(media="screen")
    assert not found_in(page, "测试甲")


def test_the_photo_is_asked_for_and_forgotten(whole: tuple[Page, Served]) -> None:
    page, _ = whole
    expect(desk(page).get_by_role("button", name="照片")).to_have_count(0)
    desk(page).get_by_role("button", name="显示").click()
    desk(page).get_by_role("button", name="照片").click()
    photo = desk(page).get_by_role("img", name="持卡人照片")
    expect(photo).to_be_visible()
    page.wait_for_function("() => document.querySelector('.photo').naturalWidth > 0")
    desk(page).get_by_role("button", name="隐藏").click()
    expect(photo).to_have_count(0)
    assert page.evaluate("blobs.made.length === 1 && blobs.gone.includes(blobs.made[0])")


def test_when_the_card_leaves_nothing_of_its_holder_stays(whole: tuple[Page, Served]) -> None:
    page, served = whole
    desk(page).get_by_role("button", name="显示").click()
    desk(page).get_by_role("button", name="照片").click()
    expect(desk(page).get_by_role("img", name="持卡人照片")).to_be_visible()
    simulate(served, "DELETE")
    expect(desk(page)).to_contain_text("请插入社会保障卡")
    assert not found_in(page, "测试甲", "119900") and page.locator(".photo").count() == 0
    assert page.evaluate("blobs.made.every((url) => blobs.gone.includes(url))")
    # The next card is masked again, whatever was shown before.
    simulate(served, "PUT", {"persona": "adult", "fault": None})
    expect(desk(page).locator(".name")).to_have_text("测＊＊")


def test_a_problem_of_one_step_leaves_the_reading(page: Page, served: Served) -> None:
    page.goto(served.link)
    desk(page).get_by_role("button", name="显示").click()
    desk(page).get_by_role("button", name="照片").click()
    expect(desk(page).get_by_role("alert")).to_be_visible()
    expect(desk(page).locator(".name")).to_have_text("测试甲")
    desk(page).get_by_role("button", name="知道了").click()
    expect(desk(page).get_by_role("alert")).to_have_count(0)


def test_rare_characters_are_named(page: Page) -> None:
    served = Served("rare-name")
    try:
        page.goto(served.link)
        expect(desk(page).locator(".name")).to_have_text("测＊＊＊")
        desk(page).get_by_role("button", name="显示").click()
        expect(desk(page).locator(".name")).to_contain_text("测𬬾(U+2CB3E)")
        rare = page.evaluate(
            """import('/static/lib/rare.js').then(({ canShow, needsName, codePoint }) => ({
                letter: canShow('A'), nobody: canShow('\\u{50000}'), unassigned: canShow('\\u2FE1'),
                own: needsName('\\ue000'), beyond: needsName('\\u{2CB3E}'), plain: needsName('A'),
                name: codePoint('\\ue000'),
            }))"""
        )
        assert rare == {
            "letter": True, "nobody": False, "unassigned": False,
            "own": True, "beyond": True, "plain": False, "name": "U+E000",
        }  # fmt: skip
    finally:
        served.stop()


def test_the_focus_stays_where_it_was(page: Page, served: Served) -> None:
    page.goto(served.link)
    expect(desk(page, 1)).to_contain_text("持卡人信息需授权读取")
    show = desk(page).get_by_role("button", name="显示")
    show.focus()
    simulate(served, "DELETE", number=1)
    expect(desk(page, 1)).to_contain_text("请插入社会保障卡")
    page.get_by_role("button", name="English").evaluate("button => button.click()")
    expect(desk(page).get_by_role("button", name="Show")).to_be_focused()


def test_a_reader_name_is_text(page: Page, served: Served) -> None:
    page.goto(served.link)
    expect(desk(page).locator("h2")).to_contain_text("Simulated Reader 00")
    assert page.locator("[style]").count() == 0, "the page's policy forbids style attributes"
