"""The SDK before others than its bridge: no program there, another program there, or the browser in between."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import ARGUMENTS, CHROMIUM, Served
from tests.browser.elsewhere import TRY, Elsewhere, SdkDesk, closed_port, fake_bridge, find

pytestmark = pytest.mark.browser
HIS = "--host-resolver-rules=MAP his.test 127.0.0.1"
REMEMBER = "localStorage.setItem('cardio-bridge', JSON.stringify({ grant: 'g', token: 'the-token' }))"


@pytest.fixture
def his(browser: Browser, elsewhere: Elsewhere) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(elsewhere.address)
    yield page
    context.close()


def test_nobody_is_there(his: Page) -> None:
    found = find(his, f"{{ ports: [{closed_port()}] }}")
    assert (found["name"], found["state"], found["reason"]) == ("CardioError", "not-running", None)
    assert found["title"] == "没有找到读卡服务" and found["remedy"] == "请启动 cardio，然后重试。"
    assert found["title_en"] and found["remedy_en"]


def token_went_out(stranger: Elsewhere, token: str) -> bool:
    return any("authorization" in headers or token in path for _, path, headers in stranger.asked)


def test_a_stranger_on_the_port_never_sees_the_token(browser: Browser, elsewhere: Elsewhere) -> None:
    served = Served("adult")
    desk = SdkDesk(browser, served, elsewhere)
    desk.pair()
    desk.value("window.subscription = bridge.subscribe({ onEvent() {} })")
    desk.page.wait_for_function("subscription.state === 'live'")
    token = desk.page.evaluate("JSON.parse(localStorage.getItem('cardio-bridge')).token")
    served.process.kill()
    served.process.communicate()
    stranger = Elsewhere(fake_bridge({}, proof="0" * 64), port=int(served.address.rpartition(":")[2]))
    try:
        # The page that is open, its stream, and the page anew.
        desk.page.wait_for_function("subscription.error && subscription.error.state === 'imposter'", timeout=15_000)
        assert desk.run("return await bridge.read()")["state"] == "imposter"
        found = find(desk.page, f"{{ address: '{served.address}' }}")
        assert found["state"] == "imposter" and "信息科" in found["remedy"]
        assert desk.run("return await bridge.read()")["state"] == "imposter"
        assert stranger.asked and not token_went_out(stranger, token)
    finally:
        desk.close()
        stranger.stop()


def test_a_stranger_cannot_pass_the_question_on_to_the_real_bridge(desk: SdkDesk) -> None:
    desk.pair()
    token = desk.page.evaluate("JSON.parse(localStorage.getItem('cardio-bridge')).token")

    def relay(request: BaseHTTPRequestHandler) -> bool:
        if not request.path.startswith("/v1/hello"):
            return fake_bridge({})(request)
        with urllib.request.urlopen(desk.served.address + request.path) as answer:
            proof = json.loads(answer.read())["proof"]
        assert proof
        return fake_bridge({}, proof=proof)(request)

    stranger = Elsewhere(relay)
    try:
        assert find(desk.page, f"{{ address: '{stranger.address}' }}")["state"] == "imposter"
        assert not token_went_out(stranger, token)
        # With the real one at another port, the real one is found.
        real = int(desk.served.address.rpartition(":")[2])
        assert find(desk.page, f"{{ ports: [{stranger.port}, {real}] }}")["port"] == real
    finally:
        stranger.stop()


def test_a_bridge_that_does_not_know_the_page_gets_no_token(his: Page) -> None:
    his.evaluate("localStorage.setItem('cardio-bridge', JSON.stringify({ grant: 'other', token: 'secret' }))")
    stranger = Elsewhere(fake_bridge({}))
    try:
        assert find(his, f"{{ address: '{stranger.address}' }}")["revoked"] is True
        assert his.evaluate(TRY, "return await bridge.read()")["state"] == "revoked"
        assert not token_went_out(stranger, "secret")
    finally:
        stranger.stop()


@pytest.mark.parametrize("kind", ["silent to pages", "says something else"])
def test_another_program_on_the_port(his: Page, kind: str) -> None:
    his.evaluate(REMEMBER)

    def other(request: BaseHTTPRequestHandler) -> bool:
        body = b'{"service":"printer"}'
        request.send_response(200)
        if kind == "says something else":
            request.send_header("Access-Control-Allow-Origin", "*")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
        return True

    program = Elsewhere(other)
    try:
        assert find(his, f"{{ ports: [{program.port}] }}")["state"] == "imposter"
        assert not token_went_out(program, "the-token")
    finally:
        program.stop()


def test_one_that_does_not_answer_in_time(his: Page) -> None:
    wait = threading.Event()

    def silent(request: BaseHTTPRequestHandler) -> bool:
        wait.wait(10)
        return True

    program = Elsewhere(silent)
    try:
        found = find(his, f"{{ ports: [{program.port}], timeout: 300 }}")
        assert found["state"] == "timeout"
        aborted = find(
            his,
            f"{{ ports: [{program.port}], signal: (() => {{ const c = new AbortController();"
            " setTimeout(() => c.abort(), 50); return c.signal; })() }",
        )
        assert aborted["state"] == "aborted"
    finally:
        wait.set()
        program.stop()


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("bridge.request('/v1/readers/r/card/pin/unblock', { method: 'POST', timeout: 300 })", 1),
        ("bridge.request('/v1/readers/r/card/files/DF01/EF06', { method: 'POST', body: {}, timeout: 300 })", 1),
        ("bridge.driver('iWriteCard', {}, { timeout: 300 })", 1),
        ("bridge.driver('iDoDebit', {}, { timeout: 300, idempotencyKey: 'k' })", 1),
        ("bridge.driver('iReadCard', { pin: '123456' }, { timeout: 300 })", 1),
        ("bridge.driver('iReadCardBas', {}, { timeout: 300 })", 0),
        ("bridge.request('/v1/readers/r/card/pin', { timeout: 300 })", 0),
        ("bridge.read('r', { timeout: 300 })", 0),
    ],
)
def test_a_bridge_that_falls_silent_in_the_midst_of_a_call(his: Page, call: str, reason: int) -> None:
    """What spends or changes is not to be done again for want of an answer; a reading is."""
    wait, answer = threading.Event(), fake_bridge({})

    def silent(request: BaseHTTPRequestHandler) -> bool:
        if not request.path.startswith("/v1/hello"):
            wait.wait(10)
        return answer(request)

    bridge = Elsewhere(silent)
    try:
        his.evaluate(REMEMBER)
        find(his, f"{{ address: '{bridge.address}' }}")
        error = his.evaluate(TRY, f"return await {call}")
        assert (error["state"], error["reason"]) == ("timeout", "outcome-unknown" if reason else None)
        assert ("未知" in error["title"]) == ("请勿直接重做" in error["remedy"]) == bool(reason)
    finally:
        wait.set()
        bridge.stop()


def test_a_pairing_that_nobody_confirms(his: Page) -> None:
    begun = {"request": "r", "secret": "s", "code": "123 456", "scopes": ["basic"], "expires_in": 120, "confirm": ""}
    bridge = Elsewhere(fake_bridge({"/v1/pairing": begun, "/v1/pairing/r": {"state": "expired", "token": None}}))
    try:
        find(his, f"{{ address: '{bridge.address}' }}")
        assert his.evaluate(TRY, "return await bridge.pair()")["state"] == "pairing-expired"
    finally:
        bridge.stop()


# -- the browser in between ---------------------------------------------------------------------------


def test_the_pages_own_policy(browser: Browser, served: Served) -> None:
    strict = Elsewhere(headers={"Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-eval'"})
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(strict.address)
        found = find(page, f"{{ address: '{served.address}' }}")
        assert (found["state"], found["reason"]) == ("blocked-by-browser", "page-policy")
        assert "connect-src" in found["remedy"]
    finally:
        context.close()
        strict.stop()


@pytest.fixture
def public(browser: Browser, elsewhere: Elsewhere) -> Iterator[Browser]:
    """Chromium that takes the hospital's server for one on the internet."""
    spaces = f"--ip-address-space-overrides=127.0.0.1:{elsewhere.port}=public"
    chromium = browser.browser_type.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, spaces, HIS])
    yield chromium
    chromium.close()


def test_local_network_access_refused_and_granted(elsewhere: Elsewhere, served: Served, public: Browser) -> None:
    refusing = public.new_context()
    page = refusing.new_page()
    page.goto(elsewhere.address)
    found = find(page, f"{{ address: '{served.address}' }}")
    assert (found["state"], found["reason"]) == ("blocked-by-browser", "permission-denied")
    assert "网站设置" in found["remedy"] and "site settings" in found["remedy_en"]
    refusing.close()
    granting = public.new_context()
    granting.grant_permissions(["local-network-access"], origin=elsewhere.address)
    page = granting.new_page()
    page.goto(elsewhere.address)
    assert find(page, f"{{ address: '{served.address}' }}")["paired"] is False
    # Once the person has allowed it, Chromium wants no word of the bridge: a stranger's page asks for pairing.
    code = page.evaluate(
        """() => new Promise((resolve, reject) => {
            const scopes = ['basic'];
            bridge.pair({ name: 'x', scopes, onCode: (asked) => resolve(asked.code) }).catch(reject);
        })"""
    )
    assert len(code) == 7
    granting.close()


def test_an_http_page_of_the_internet_is_told_of_the_way_out(
    elsewhere: Elsewhere, served: Served, public: Browser
) -> None:
    page = public.new_page()
    page.goto(f"http://his.test:{elsewhere.port}/")
    found = find(page, f"{{ address: '{served.address}' }}")
    assert (found["state"], found["reason"]) == ("not-running", "insecure-page")
    assert "https" in found["remedy"] and "https" in found["remedy_en"]
    page.close()


def test_an_http_page_of_the_intranet_pairs_and_reads(browser: Browser, elsewhere: Elsewhere, served: Served) -> None:
    """Without a secure context: no WebCrypto, so the module computes the proof by itself."""
    chromium = browser.browser_type.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, HIS])
    desk = SdkDesk(chromium, served, elsewhere)
    try:
        desk.page.goto(f"http://his.test:{elsewhere.port}/")
        assert desk.page.evaluate("[isSecureContext, typeof crypto.subtle]") == [False, "undefined"]
        desk.pair()
        assert desk.value("return (await bridge.read('Simulated Reader 00')).holder.name") == "测试甲"
    finally:
        desk.close()
        chromium.close()


# RFC 4231, sections 4.2 to 4.8 (4.6 is of a truncated output)
VECTORS = [
    (b"\x0b" * 20, b"Hi There"),
    (b"Jefe", b"what do ya want for nothing?"),
    (b"\xaa" * 20, b"\xdd" * 50),
    (bytes(range(1, 26)), b"\xcd" * 50),
    (b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First"),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.",
    ),
]
GIVEN = [
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
]


def test_the_modules_own_hmac(his: Page) -> None:
    own = """async ([key, message]) => {
        const { hmacSha256 } = await import('/sdk/cardio-bridge.js');
        const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
        return [...hmacSha256(bytes(key), bytes(message))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    }"""
    for (key, message), expected in zip(VECTORS, GIVEN, strict=True):
        assert his.evaluate(own, [key.hex(), message.hex()]) == expected
    for length in (0, 1, 55, 56, 63, 64, 65, 119, 120, 500):
        key, message = bytes(range(length % 200)), bytes(length)
        expected = hmac.new(key, message, hashlib.sha256).hexdigest()
        assert his.evaluate(own, [key.hex(), message.hex()]) == expected
