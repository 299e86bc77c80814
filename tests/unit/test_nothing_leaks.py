"""Canaries: a person and a PIN that exist nowhere else, planted in a card, and looked for beside the answers.

Logs at DEBUG, traces, errors with their chains, standard error of the command, answers of the bridge that say no: in
UTF-8, GBK, hex, packed digits and base64.
"""

from __future__ import annotations

import base64
import io
import logging
import os
import subprocess
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from cardio.apdu.trace import TraceLog
from cardio.card.runner import on_card
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardioError, CardRemovedError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.security.credentials import Credentials
from cardio.security.pin.pin import Pin
from cardio.security.sam.key_file import SoftSam
from service.app import create_app
from service.gate.policy import Access
from service.gate.scopes import Scope
from service.ports.binding import bind_loopback
from service.security import SecurityContext
from service.server import BridgeServer
from simulators.card.faults import PulledCard
from simulators.crypto.published_keys import key_file, root_key
from simulators.personas.persona import Persona, find_persona
from simulators.readers.software_reader import SoftwareReader, SoftwareReaders
from tests.pcsc import wait_until
from tests.unit.service.bridge import FIRST, Bridge
from tests.unit.service.clerk_page import ClerkPage
from tests.warm_cardio import warm_command

NAME, NUMBER, CARD_NUMBER, ADDRESS = "金丝雀儿", "119900195311270023", "C4N4RY000", "金丝雀路 53 号"
PIN, NEW_PIN, WRONG_PIN = "80573914", "41937508", "60284917"
TEXTS = (NAME, NUMBER, CARD_NUMBER, ADDRESS)


def forms(text: str) -> set[bytes]:
    """A canary as it could stand somewhere."""
    raw = {text.encode("utf-8"), text.encode("gb18030")}
    if text.isdecimal():
        raw.add(bytes.fromhex(text + "F" * (len(text) % 2)))
    found = set(raw)
    for one in raw:
        found |= {one.hex().encode(), one.hex().upper().encode(), base64.b64encode(one).rstrip(b"=")}
        found |= {repr(one)[2:-1].encode(), one.hex(" ").encode(), one.hex(" ").upper().encode()}
    return found


CANARIES = {form: text for text in (*TEXTS, PIN, NEW_PIN, WRONG_PIN) for form in forms(text)}
KEYS = {root_key(key.name, "SM4", 16).hex().upper().encode(): key.name for key in layout_of(3).keys}


def leaks(*places: str | bytes) -> set[str]:
    """The canaries and keys that are found."""
    whole = b"\n".join(
        place.encode("utf-8", "backslashreplace") if isinstance(place, str) else place for place in places
    )
    return {text for form, text in (CANARIES | KEYS).items() if form in whole}


def canary() -> Persona:
    base = find_persona("third-sm4")
    files = {path: dict(items) for path, items in base.files.items()}
    files["SSSE/EF05"]["card_number"] = CARD_NUMBER
    files["SSSE/EF06"] |= {"name": NAME, "social_security_number": NUMBER}
    files["DF01/EF06"] = {"residence": ADDRESS}
    return base.model_copy(update={"files": files, "pin": PIN})


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.touch(0o600)
    path.write_text(key_file(layout_of(3).keys))
    return path


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, at DEBUG."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def test_the_scan_finds_what_is_there() -> None:
    assert leaks(f"x{NAME}x") == {NAME} and leaks(NAME.encode("gb18030")) == {NAME}
    assert leaks(bytes.fromhex(PIN)) == {PIN} and leaks(f"002000 0004{PIN}") == {PIN}
    assert leaks(PIN.encode().hex()) == {PIN} and leaks(base64.b64encode(NUMBER.encode())) == {NUMBER}
    assert leaks("nothing", b"\x00") == set()


class Ready:
    def __init__(self, sam: SoftSam) -> None:
        self.sam = sam

    def open(self) -> SoftSam:
        return self.sam


def test_in_no_log_trace_or_error_of_the_library(keys: Path, log: io.StringIO) -> None:
    said: list[str] = []

    def attempt(work: Callable[[SocialSecurityCard], object], pin: str, pulled_after: int | None = None) -> None:
        trace = TraceLog()
        card = canary().card()
        reader = SoftwareReader("r", card)
        if pulled_after is not None:
            reader.insert(PulledCard(card, pulled_after, reader.remove))
        credentials = Credentials(sam=Ready(SoftSam.load(keys)), pin=Pin(pin))
        try:
            on_card(
                reader, work, capabilities=CapabilityCache(None), credentials=credentials, trace=trace, repeat=False
            )
        except CardioError as error:
            said.append("".join(traceback.format_exception(error)) + repr(error) + str(vars(error)))
        said.extend(one.line() for one in trace.exchanges)
        said.extend(repr(one) for one in trace.exchanges)
        # The data of software cards may be shown, but no PIN.
        with_data = " ".join(one.line(with_data=True) for one in trace.exchanges) + repr(
            [one.command for one in trace.exchanges]
        )
        assert leaks(with_data) & {PIN, NEW_PIN, WRONG_PIN} == set()
        said.append(repr(credentials) + repr(credentials.sam))

    works: list[Callable[[SocialSecurityCard], object]] = [
        lambda card: card.read(),
        lambda card: card.tree(),
        lambda card: card.verify_pin(),
        lambda card: card.change_pin(Pin(NEW_PIN)),
        lambda card: card.reload_pin(Pin(NEW_PIN)),
        lambda card: card.write(card.prepare("DF01/EF06", {"residence": "测试路 1 号"})),
        lambda card: card.prepare("DF01/EF06", {"no_such_item": ADDRESS}),
    ]
    for work in works:
        for pin in (PIN, WRONG_PIN):
            for pulled_after in (None, 4, 8, 10):
                attempt(work, pin, pulled_after)
    assert len(said) > 500
    assert leaks(*said, log.getvalue()) == set()


@pytest.mark.parametrize(
    ("arguments", "typed", "status"),
    [
        (["read"], PIN, 0),
        (["show", "DF01/EF06", "--trace"], PIN, 0),
        (["identify"], WRONG_PIN, 1),
        (["pin", "verify"], WRONG_PIN, 1),
        (["pin", "verify"], PIN[:3], 1),
        (["pin", "change", "--json"], f"{PIN}\n{NEW_PIN}", 0),
        (["pin", "change"], f"{WRONG_PIN}\n{NEW_PIN}", 1),
        (["write", "DF01/EF06", "residence=测试路 1 号", "--yes"], PIN, 0),
        (["write", "DF01/EF06", "residence_region=000000", "--yes"], PIN, 2),
    ],
)
def test_the_command_says_no_pin_and_on_standard_error_no_person(
    arguments: list[str], typed: str, status: int, keys: Path, tmp_path: Path
) -> None:
    persona = tmp_path / "canary.toml"
    persona.write_text(
        f'''extends = "third-sm4"
pin = "{PIN}"
[files."SSSE/EF05"]
card_number = "{CARD_NUMBER}"
[files."SSSE/EF06"]
name = "{NAME}"
social_security_number = "{NUMBER}"
[files."DF01/EF06"]
residence = "{ADDRESS}"
'''
    )
    done = subprocess.run(
        [
            warm_command(),
            *arguments,
            "--pin-stdin",
            "--sam",
            f"soft:{keys}",
            "--reader",
            f"sim:{persona}",
        ],
        input=typed + "\n",
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert done.returncode == status, done.stderr
    assert NAME in done.stdout or arguments != ["read"]  # the answer itself rightly says who it is
    assert leaks(done.stdout) & {PIN, NEW_PIN, WRONG_PIN} == set()
    # --trace shows the data of software cards, and write what it replaces: both are asked for.
    shown = set() if "--trace" in arguments or "write" in arguments else leaks(done.stderr)
    assert shown == leaks(done.stderr) & {PIN, NEW_PIN, WRONG_PIN} == set()


def test_in_no_refusal_or_log_of_the_bridge(keys: Path, log: io.StringIO) -> None:
    reader = SoftwareReader("r", canary().card())
    app = create_app(
        [SoftwareReaders([reader])],
        capabilities=CapabilityCache(None),
        security=SecurityContext(sam=Ready(SoftSam.load(keys))),
    )
    sockets = bind_loopback(0)
    port = sockets[0].getsockname()[1]
    server = BridgeServer(app, Access.for_port(port, "T" * 43, scopes=frozenset(Scope)))
    thread = threading.Thread(target=lambda: server.run(sockets=sockets), daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the bridge has started")
    refusals: list[bytes] = []
    at = f"http://127.0.0.1:{port}/v1/readers/r/card"
    with httpx.Client(headers={"Authorization": "Bearer " + "T" * 43}) as client:
        wait_until(lambda: client.get(at).status_code == 200, "the card is there")
        bodies: list[tuple[str, object]] = [
            ("/pin/verify", {"pin": WRONG_PIN}),
            ("/pin/verify", {"pin": WRONG_PIN}),
            ("/pin/verify", {"pin": [PIN]}),
            ("/pin/verify", {"pin": PIN, "extra": PIN}),
            ("/pin/verify", {"pin": PIN * 3}),
            ("/pin/verify", PIN),
            ("/pin/verify", {"pin": int(PIN)}),
            ("/pin/change", {"pin": PIN, "new_pin": NEW_PIN + "x"}),
            ("/verification", {"pin": WRONG_PIN}),
            ("/files/DF01/EF06", {"values": {"no_such": ADDRESS}}),
        ]
        for path, body in bodies:
            answer = client.post(at + path, json=body)
            assert answer.status_code in (400, 409, 422, 429), (path, answer.text)
            refusals.append(answer.content)
    server.stop()
    thread.join(5)
    assert leaks(*refusals, log.getvalue()) == set()
    assert CardRemovedError.code == "card-removed"


def test_what_is_entered_at_the_counters_page_is_in_no_event_list_or_log(keys: Path, log: io.StringIO) -> None:
    bridge = Bridge(security=SecurityContext(sam=Ready(SoftSam.load(keys))), scopes=frozenset(Scope))
    bridge.readers.reader(FIRST).insert(canary().card())  # type: ignore[union-attr]
    clerk, said = ClerkPage(bridge), list[bytes]()
    try:
        info = f"{canary_code()}|{CARD_NUMBER}|"
        entries: list[tuple[str, dict[str, str]]] = [
            ("iVerifyPIN", {"pin": WRONG_PIN}),
            ("iVerifyPIN", {"pin": PIN}),
            ("iChangePIN", {"pin": PIN, "new_pin": NEW_PIN, "new_pin_again": NEW_PIN}),
            ("iReloadPIN", {"new_pin": PIN, "new_pin_again": PIN}),
        ]
        for function, entered in entries:
            body = {"reader": FIRST, "pCardInfo": info}
            waiting = clerk.begin(partial(bridge.client.post, f"/v1/driver/{function}", json=body))
            question = clerk.question()
            said.append(repr(question).encode())
            for nonsense in (
                {**entered, "new_pin_again": WRONG_PIN},
                {name: value + "x" for name, value in entered.items()},
            ):
                if "new_pin" in entered or nonsense["pin"].endswith("x"):
                    refused = clerk.answer(question, **nonsense)
                    assert refused.status_code == 422, refused.text
                    said.append(refused.content)
            assert clerk.answer(question, **entered).status_code == 204
            outcome = waiting.result(10)
            assert outcome.status_code == (422 if entered.get("pin") == WRONG_PIN else 200), outcome.text
            said.append(outcome.content)
            assert clerk.outcome(question) == "yes"
        said.append(repr([one for one in clerk.events if "question" in one["type"]]).encode())
        book = bridge.app.state.bridge.running.questions
        said.append(repr(book.all()).encode() + repr(vars(book)).encode())
    finally:
        clerk.close()
        bridge.stop()
    assert leaks(*said, log.getvalue()) == set()


def canary_code() -> str:
    return str(canary().files["SSSE/EF05"]["identification_code"]).removeprefix("hex:")
