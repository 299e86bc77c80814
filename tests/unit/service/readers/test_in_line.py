"""What waits in line, what is held, what is cut off: nothing is done to a card, or for a caller, that has gone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from service.gate.scopes import Scope
from simulators.card.base import AnyCard
from simulators.personas.persona import find_persona
from simulators.sam.hsm_driver_steps import general_step_1_to_2, read_step_1_to_2
from tests.pcsc import wait_until
from tests.unit.service.bridge import FIRST, SECOND, Bridge
from tests.unit.service.driver.test_driver_routes import ADULT, code, output

VERIFY = 0x20


class Gated:
    """A card that answers when it is let, and notes what it was sent."""

    def __init__(self, card: AnyCard) -> None:
        self._card = card
        self.atr = card.atr
        self.open = threading.Event()
        self.sent: list[bytes] = []

    def reset(self) -> None:
        self._card.reset()

    def transmit(self, command: bytes) -> bytes:
        self.sent.append(command)
        self.open.wait(20)
        return self._card.transmit(command)

    @property
    def pins(self) -> int:
        """How many PINs it was sent."""
        return sum(command[1] == VERIFY and len(command) > 5 for command in self.sent)


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge("adult", "third-closed", "personalised", scopes=frozenset(Scope))
    yield made
    made.stop()


def put_in(bridge: Bridge, persona: str, *, opened: bool = False) -> Gated:
    card = Gated(find_persona(persona).card())
    if opened:
        card.open.set()
    reader = bridge.readers.reader(FIRST)
    assert reader is not None
    before = bridge.client.get("/v1/readers").json()["readers"][0]["card_session"]
    reader.insert(card)
    wait_until(
        lambda: bridge.client.get("/v1/readers").json()["readers"][0]["card_session"] not in (None, before), "it is in"
    )
    return card


class Call(threading.Thread):
    """A call in the background; its answer, or how it ended."""

    def __init__(self, ask: Callable[[], httpx.Response]) -> None:
        super().__init__(daemon=True)
        self._ask = ask
        self.answer: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = self._ask()
        except httpx.TransportError:
            pass  # cut off

    @property
    def code(self) -> str:
        self.join(15)
        return "cut off" if self.answer is None else str(self.answer.json().get("code"))


def in_line(bridge: Bridge, count: int) -> None:
    desk = bridge.app.state.bridge.running.registry.managed(FIRST)
    wait_until(lambda: desk._line.waiting == count, f"{count} are in line")


def verify(client: httpx.Client) -> httpx.Response:
    return client.post(f"/v1/readers/{FIRST}/card/pin/verify", json={"pin": "654321"})


def test_a_pin_that_waits_for_one_card_is_not_sent_to_the_next(bridge: Bridge) -> None:
    first = put_in(bridge, "adult")
    slow = Call(lambda: bridge.caller("T" * 43).get(f"/v1/readers/{FIRST}/card"))
    in_line(bridge, 1)
    pin = Call(lambda: verify(bridge.caller("T" * 43)))
    in_line(bridge, 2)
    second = put_in(bridge, "child", opened=True)
    first.open.set()
    assert pin.code == "card-changed" and slow.code in ("card-removed", "None")
    assert (first.pins, second.pins) == (0, 0)


def test_a_revoked_callers_pin_leaves_the_line(bridge: Bridge) -> None:
    card = put_in(bridge, "adult")
    made = bridge.client.post("/v1/grants", json={"name": "p", "scopes": ["basic", "pin"]}).json()
    slow = Call(lambda: bridge.caller("T" * 43).get(f"/v1/readers/{FIRST}/card"))
    in_line(bridge, 1)
    pin = Call(lambda: verify(bridge.caller(made["token"])))
    in_line(bridge, 2)
    bridge.client.delete(f"/v1/grants/{made['grant']}")
    assert pin.code == "no-token"
    card.open.set()
    assert slow.code == "None"
    assert bridge.client.get(f"/v1/readers/{FIRST}/card/pin").json()["tries_left"] == 3 and card.pins == 0


def test_who_is_revoked_while_the_body_is_on_its_way_is_not_let_in(bridge: Bridge) -> None:
    made = bridge.client.post("/v1/grants", json={"name": "p", "scopes": ["basic", "pin"]}).json()
    before = len(bridge.hits), bridge.commands
    body = b'{"pin":"654321"}'
    head = (
        f"POST /v1/readers/Simulated%20Reader%2000/card/pin/verify HTTP/1.1\r\nHost: 127.0.0.1:{bridge.port}\r\n"
        f"Authorization: Bearer {made['token']}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", bridge.port), timeout=5) as line:
        line.sendall(head.encode() + body[:5])
        wait_until(lambda: made["grant"] in bridge.access.grants.last_used, "its head has been looked at")
        bridge.client.delete(f"/v1/grants/{made['grant']}")
        line.sendall(body[5:])
        assert b" 401 " in line.recv(4096)
    assert (len(bridge.hits), bridge.commands) == (before[0] + 1, before[1])  # the revocation itself


def test_a_card_is_held_only_while_a_step_is_waited_for(bridge: Bridge) -> None:
    other = bridge.caller(bridge.client.post("/v1/grants", json={"name": "p", "scopes": ["basic"]}).json()["token"])
    for address, expected in (("SSSEEF05|01|$", -2204), ("nonsense", -14)):
        refused = bridge.client.post(
            "/v1/driver/iReadCard_HSM_Step1", json={"reader": FIRST, "pFileAddr": address, "pCardInfo": ADULT}
        )
        assert code(refused) == expected
        assert other.get(f"/v1/readers/{FIRST}/card").status_code == 200
    step = output(bridge.client.post("/v1/driver/iReadCardBas_HSM_Step1", json={"reader": SECOND}))
    assert other.get(f"/v1/readers/{SECOND}/card").json()["code"] == "reader-held"
    assert other.post(f"/v1/readers/{SECOND}/lease", json={}).json()["code"] == "reader-held", "nor is it leased"
    output(bridge.client.post("/v1/driver/iReadCardBas_HSM_Step2", json={"pKey": read_step_1_to_2(step)}))
    assert other.get(f"/v1/readers/{SECOND}/card").status_code == 200, "it was the last step"


def test_steps_at_two_readers_do_not_meet(bridge: Bridge) -> None:
    third = "Simulated Reader 02"
    card = bridge.client.get(f"/v1/readers/{third}/card").json()["card"]
    info = f"{card['identification_code']}|{card['card_number']}|"
    asked = {"reader": third, "pCardInfo": info, "pFileAddr": "DF01EF06|23|$"}
    basic = output(bridge.client.post("/v1/driver/iReadCardBas_HSM_Step1", json={"reader": SECOND}))
    general = output(bridge.client.post("/v1/driver/iReadCard_HSM_Step1", json=asked))
    answer = general_step_1_to_2(general, card["historical_bytes"], card["region"]["code"])
    done = bridge.client.post("/v1/driver/iReadCard_HSM_Step2", json={"reader": third, "pKey": answer})
    assert output(done).startswith("DF01EF06|")
    done = bridge.client.post(
        "/v1/driver/iReadCardBas_HSM_Step2", json={"reader": SECOND, "pKey": read_step_1_to_2(basic)}
    )
    assert output(done).split("|")[4] == "测试壬"


def test_who_is_revoked_while_step_1_waits_holds_nothing(bridge: Bridge) -> None:
    card = put_in(bridge, "adult")
    made = bridge.client.post("/v1/grants", json={"name": "p", "scopes": ["basic"]}).json()
    slow = Call(lambda: bridge.caller("T" * 43).get(f"/v1/readers/{FIRST}/card"))
    in_line(bridge, 1)
    step = Call(lambda: bridge.caller(made["token"]).post("/v1/driver/iReadCardBas_HSM_Step1", json={"reader": FIRST}))
    in_line(bridge, 2)
    bridge.client.delete(f"/v1/grants/{made['grant']}")
    assert step.code == "no-token"
    card.open.set()
    assert slow.code == "None"
    assert bridge.client.get(f"/v1/readers/{FIRST}/card").status_code == 200
    assert bridge.app.state.bridge.running.registry.managed(FIRST).holding.owner is None


def test_the_second_of_two_files_is_looked_at_before_the_first_is_written(bridge: Bridge) -> None:
    third = "Simulated Reader 02"
    card = bridge.client.get(f"/v1/readers/{third}/card").json()["card"]
    info = f"{card['identification_code']}|{card['card_number']}|"
    address = "DF01EF06|23|$DF01EF06|28|$"
    asked = {"reader": third, "pCardInfo": info, "pFileAddr": address}
    step = output(bridge.client.post("/v1/driver/iWriteCard_HSM_Step1", json=asked))
    answer = general_step_1_to_2(step, card["historical_bytes"], card["region"]["code"])
    data = f"DF01EF06|被写入的地址|$DF01EF06|{'9' * 300}|$"
    refused = bridge.client.post("/v1/driver/iWriteCard_HSM_Step2", json={"pKey": answer, "pWriteData": data})
    assert code(refused) == -14
    step = output(bridge.client.post("/v1/driver/iReadCard_HSM_Step1", json=asked))
    answer = general_step_1_to_2(step, card["historical_bytes"], card["region"]["code"])
    assert "被写入的地址" not in output(bridge.client.post("/v1/driver/iReadCard_HSM_Step2", json={"pKey": answer}))


def test_wrong_answers_of_a_page_do_not_lock_a_key(bridge: Bridge) -> None:
    third = "Simulated Reader 02"
    card = bridge.client.get(f"/v1/readers/{third}/card").json()["card"]
    info = f"{card['identification_code']}|{card['card_number']}|"
    asked = {"reader": third, "pCardInfo": info, "pFileAddr": "DF01EF06|23|$"}
    page, _ = bridge.pair("https://his.example", Scope.BASIC, Scope.FILES)
    told = []
    for _ in range(5):
        step = output(page.post("/v1/driver/iReadCard_HSM_Step1", json=asked))
        wrong = "00" * 8 + step.split("|")[3]
        told.append(page.post("/v1/driver/iReadCard_HSM_Step2", json={"pKey": wrong}).json()["code"])
    assert told == ["authentication-failed", *["key-already-refused"] * 4]
    step = output(bridge.client.post("/v1/driver/iReadCard_HSM_Step1", json=asked))
    answer = general_step_1_to_2(step, card["historical_bytes"], card["region"]["code"])
    assert output(bridge.client.post("/v1/driver/iReadCard_HSM_Step2", json={"pKey": answer})), "the honest HSM goes on"
