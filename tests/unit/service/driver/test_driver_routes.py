"""The national driver's functions over HTTP: the exact strings, the guard, the codes in words, the steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cardio.driver.functions import FUNCTIONS
from cardio.driver.return_codes import driver_codes, explain
from cardio.filesystem.layouts.loader import layout_of
from cardio.security.sam.key_file import SoftSam
from service.gate.scopes import Scope
from service.security import SecurityContext
from simulators.crypto.published_keys import key_file
from simulators.sam.hsm_driver_steps import general_step_1_to_2, pin_step_2_to_3, read_step_1_to_2
from tests.pcsc import wait_until
from tests.unit.service.bridge import FIRST, SECOND, Bridge
from tests.unit.service.routes.test_security_routes import Ready

THIRD, FOURTH = "Simulated Reader 02", "Simulated Reader 03"
ADULT = "370200D15600000500000001FFFFFFFF|A00000011|"
PERSONALISED_READER = FOURTH


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge("adult", "third-closed", "whole", "personalised", scopes=frozenset(Scope))
    yield made
    made.stop()


@pytest.fixture
def with_keys(tmp_path: Path) -> Iterator[Bridge]:
    keys = tmp_path / "keys.toml"
    keys.touch(0o600)
    keys.write_text(key_file(layout_of(3).keys))
    security = SecurityContext(sam=Ready(SoftSam.load(keys)))
    made = Bridge("adult", "third-closed", "whole", "personalised", scopes=frozenset(Scope), security=security)
    yield made
    made.stop()


def call(bridge: Bridge, function: str, reader: str = FIRST, **arguments: object) -> httpx.Response:
    return bridge.client.post(f"/v1/driver/{function}", json={"reader": reader, **arguments})


def output(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    assert answer.json()["return"] == 0
    text: str = answer.json()["pOutInfo"]
    return text


def code(answer: httpx.Response) -> int:
    problem = answer.json()
    assert answer.status_code >= 400 and problem["remedy"] and problem["remedy_en"] and problem["detail"]
    number: int = problem["driver_code"]
    return number


def test_the_functions_are_those_of_the_standard_set() -> None:
    assert sorted(FUNCTIONS) == sorted(
        [
            "iReadCardBas", "iReadCardBas_HSM_Step1", "iReadCardBas_HSM_Step2",
            "iReadCard", "iReadCard_HSM_Step1", "iReadCard_HSM_Step2",
            "iWriteCard", "iWriteCard_HSM_Step1", "iWriteCard_HSM_Step2",
            "iVerifyPIN", "iChangePIN",
            "iReloadPIN", "iReloadPIN_HSM_Step1", "iReloadPIN_HSM_Step2", "iReloadPIN_HSM_Step3",
            "iUnblockPIN", "iUnblockPIN_HSM_Step1", "iUnblockPIN_HSM_Step2", "iUnblockPIN_HSM_Step3",
            "iDoDebit", "iDoDebit_HSM_Step1", "iDoDebit_HSM_Step2", "iReadDebitRecord",
            "iReadICCardNum",  # no function of the set, and yet what a counter calls every day
        ]
    )  # fmt: skip


def test_the_banks_card_number(bridge: Bridge) -> None:
    assert output(call(bridge, "iReadICCardNum")) == "6200000000000000005"
    assert output(call(bridge, "iReadCardBas")).startswith("370200|"), "the card is found again"
    basic = bridge.client.post("/v1/grants", json={"name": "x", "scopes": ["basic"]}).json()
    refused = bridge.caller(basic["token"]).post("/v1/driver/iReadICCardNum", json={"reader": FIRST})
    assert (refused.status_code, refused.json()["code"]) == (403, "no-scope")
    place = f"/v1/simulator/readers/{FIRST}/card"
    bridge.client.put(place, json={"persona": "first-generation"}).raise_for_status()
    wait_until(lambda: code(call(bridge, "iReadICCardNum")) == -27266, "a card without a bank")


def test_the_basic_information_in_three_layouts(bridge: Bridge) -> None:
    answer = call(bridge, "iReadCardBas", iType=3)
    assert output(answer) == (
        "370200|119900197708090027|A00000011|370200D15600000500000001FFFFFFFF|测试甲|0081544C928684370200000001|"
        "2.00|20160520|20360520|000000000000|Simulated-Reader-00|"
    )
    assert answer.json()["fields"]["name"] == "测试甲" and answer.headers["cardio-card-session"]
    assert output(call(bridge, "iReadCardBas", layout="13")) == (
        "370200D15600000500000001FFFFFFFF|3|2.00|915600000237020037020001|20160520|20360520|A00000011|"
        "119900197708090027|测试甲|2|01|370200|19770809|"
    )
    assert output(call(bridge, "iReadCardBas", layout="colon")) == (
        "370200D15600000500000001FFFFFFFF:3:2.00:915600000237020037020001:20160520:20360520:A00000011:"
        "119900197708090027:测试甲::2:01:370200:19770809"
    )
    assert code(call(bridge, "iReadCardBas", reader=SECOND)) == -2201, "no PSAM: the caller goes on with the HSM"


def test_general_reading_has_the_shape_of_its_address_and_a_guard(bridge: Bridge) -> None:
    address = "SSSEEF05|01|07|$SSSEEF06|08|09|$"
    assert output(call(bridge, "iReadCard", pCardInfo=ADULT, pFileAddr=address)) == (
        "SSSEEF05|370200D15600000500000001FFFFFFFF|A00000011|$SSSEEF06|119900197708090027|测试甲|$"
    )
    assert output(call(bridge, "iReadCard", pCardInfo=ADULT, pFileAddr="3F00EF06|08|09|4E|0A|$")).startswith(
        "3F00EF06|"
    )
    other = "370200D15600000500000009FFFFFFFF|A00000011|"
    assert code(call(bridge, "iReadCard", pCardInfo=other, pFileAddr=address)) == -22
    assert code(call(bridge, "iReadCard", pCardInfo=ADULT.replace("A0000", "B0000"), pFileAddr=address)) == -22
    assert code(call(bridge, "iReadCard", pCardInfo="", pFileAddr=address)) == -23
    assert code(call(bridge, "iReadCard", pCardInfo="12|3|", pFileAddr=address)) == -20
    assert code(call(bridge, "iReadCard", pCardInfo=ADULT, pFileAddr="nonsense")) == -14
    assert code(call(bridge, "iReadCard", pCardInfo=ADULT, pFileAddr="")) == -14


def test_readers_are_chosen_by_itype(bridge: Bridge) -> None:
    unnamed = "/v1/driver/iReadCardBas"
    assert bridge.client.post(unnamed, json={"iType": 1}).json()["code"] == "several-cards"
    for reader in bridge.readers.readers()[1:]:
        bridge.readers.remove(reader.name)
    wait_until(lambda: output(bridge.client.post(unnamed, json={"iType": 1})).startswith("370200|"), "one is left")
    assert code(bridge.client.post(unnamed, json={"iType": 2})) == -2, "no card on a contactless reader"
    bridge.readers.remove(FIRST)
    assert code(call(bridge, "iReadCardBas")) == -2
    assert bridge.client.post("/v1/driver/iNonsense", json={}).json()["driver_code"] == -13
    assert call(bridge, "iReadCardBas", reader="nobody").json()["code"] == "reader-not-found"


def test_the_pin_with_and_without_a_key_pad(bridge: Bridge) -> None:
    assert output(call(bridge, "iVerifyPIN", pin="123456")) == ""
    assert code(call(bridge, "iVerifyPIN", pin="654321")) == -51
    assert code(call(bridge, "iVerifyPIN", pin="12")) == -33
    no_pad = call(bridge, "iVerifyPIN")
    assert no_pad.json()["code"] == "no-pin-pad"
    assert output(call(bridge, "iChangePIN", pin="123456", newPin="246802")) == ""
    assert output(call(bridge, "iVerifyPIN", pin="246802")) == ""


def test_reading_by_pin_takes_the_pin_and_its_scope(bridge: Bridge) -> None:
    last = {"reader": FOURTH, "pCardInfo": personalised(bridge), "pFileAddr": "DF04EF08:1|$"}
    place = "/v1/driver/iReadCard"
    assert code(bridge.client.post(place, json=last)) == -27010
    opened = output(bridge.client.post(place, json=last | {"iAuthType": 1, "pin": "123456"}))
    assert opened.startswith("DF04EF08:1|") and opened.count("^") == 6
    records = call(bridge, "iReadDebitRecord", reader=THIRD, iAuthType=1, pin="123456")
    assert output(records).count("^") == 6 * output(records).count("|") > 0
    page = bridge.client.post("/v1/grants", json={"name": "x", "scopes": ["files"]}).json()
    refused = bridge.caller(page["token"]).post(place, json=last | {"iAuthType": 1, "pin": "123456"})
    assert (refused.status_code, refused.json()["code"]) == (403, "no-scope")


def test_writing_is_read_back_as_it_was_passed(with_keys: Bridge) -> None:
    bridge = with_keys
    info = personalised(bridge)
    address, data = "DF01EF06|23|28|$", "DF01EF06|测试市测试路 7 号|13900000007|$"
    assert output(call(bridge, "iWriteCard", reader=FOURTH, pCardInfo=info, pFileAddr=address, pWriteData=data)) == ""
    assert output(call(bridge, "iReadCard", reader=FOURTH, pCardInfo=info, pFileAddr=address)) == data
    for wrong in ("DF01EF06|x|$", "DF01EF05|x|y|$", "x", "DF01EF06|x|y|$DF01EF06|x|y|$"):
        answer = call(bridge, "iWriteCard", reader=FOURTH, pCardInfo=info, pFileAddr=address, pWriteData=wrong)
        assert code(answer) == -23
    assert output(call(bridge, "iReadCard", reader=FOURTH, pCardInfo=info, pFileAddr=address)) == data


def personalised(bridge: Bridge) -> str:
    answer = bridge.client.get(f"/v1/readers/{FOURTH}/card").json()["card"]
    return f"{answer['identification_code']}|{answer['card_number']}|"


def test_a_closed_card_in_two_steps_with_the_authoritys_answer(bridge: Bridge) -> None:
    step_1 = output(call(bridge, "iReadCardBas_HSM_Step1", reader=SECOND))
    held = bridge.client.get(f"/v1/readers/{SECOND}/card")
    assert held.status_code == 200, "the same caller begins something else: what was held is let go"
    assert code(call(bridge, "iReadCardBas_HSM_Step2", pKey=read_step_1_to_2(step_1))) == -14
    step_1 = output(call(bridge, "iReadCardBas_HSM_Step1", reader=SECOND))
    basic = call(bridge, "iReadCardBas_HSM_Step2", pKey=read_step_1_to_2(step_1))
    assert output(basic) == (
        "320200|319900199912310046|G00000074|320200D15600000500000009FFFFFFFF|测试壬|"
        "0081544C978684329900000009|3.00|20220202|20420202|000000000000|Simulated-Reader-01|"
    )
    forged = "00" * 8 + step_1.split("|")[5] + "|" + "00" * 16 + "|"
    call(bridge, "iReadCardBas_HSM_Step1", reader=SECOND)
    assert code(call(bridge, "iReadCardBas_HSM_Step2", pKey=forged)) == -22


def test_another_caller_waits_while_a_card_is_held_between_steps(bridge: Bridge) -> None:
    page, grant = bridge.pair("https://his.example", Scope.BASIC, Scope.FILES)
    first = page.post("/v1/driver/iReadCardBas_HSM_Step1", json={"reader": SECOND})
    assert first.status_code == 200
    other = bridge.client.get(f"/v1/readers/{SECOND}/card")
    assert (other.status_code, other.json()["code"]) == (409, "reader-held")
    stolen = call(bridge, "iReadCardBas_HSM_Step2", pKey=read_step_1_to_2(first.json()["pOutInfo"]))
    assert stolen.json()["code"] == "step-order", "the steps are the page's"
    bridge.client.delete(f"/v1/grants/{grant}")
    for _ in range(100):
        if bridge.client.get(f"/v1/readers/{SECOND}/card").status_code == 200:
            break
    else:
        raise AssertionError("the card of a revoked page is let go")


def test_files_and_pins_in_steps(bridge: Bridge) -> None:
    info = personalised(bridge)
    card = bridge.client.get(f"/v1/readers/{FOURTH}/card").json()["card"]
    historical, city = card["historical_bytes"], card["region"]["code"]
    step = output(call(bridge, "iReadCard_HSM_Step1", reader=FOURTH, pCardInfo=info, pFileAddr="DF01EF06|23|$"))
    assert step.count("|") == 4 and len(step.split("|")[1]) == 6
    answer = general_step_1_to_2(step, historical, city)
    assert output(call(bridge, "iReadCard_HSM_Step2", pKey=answer)).startswith("DF01EF06|")
    assert code(call(bridge, "iReadCard_HSM_Step1", reader=FOURTH, pCardInfo=info, pFileAddr="SSSEEF05|07|$")) == -2204
    step = output(call(bridge, "iUnblockPIN_HSM_Step1", reader=FOURTH, pCardInfo=info))
    step_2 = output(call(bridge, "iUnblockPIN_HSM_Step2", pKey=general_step_1_to_2(step, historical, city)))
    assert output(call(bridge, "iUnblockPIN_HSM_Step3", pKey=pin_step_2_to_3(step_2, historical, city))) == ""
    step = output(call(bridge, "iReloadPIN_HSM_Step1", reader=FOURTH, pCardInfo=info, newPin="135790"))
    step_2 = output(call(bridge, "iReloadPIN_HSM_Step2", pKey=general_step_1_to_2(step, historical, city)))
    assert output(call(bridge, "iReloadPIN_HSM_Step3", pKey=pin_step_2_to_3(step_2, historical, city))) == ""
    assert output(call(bridge, "iVerifyPIN", reader=FOURTH, pin="135790")) == ""
    assert code(call(bridge, "iReloadPIN_HSM_Step1", reader=FOURTH, pCardInfo="", newPin="135790")) == -23


def test_every_code_has_words_cause_and_next_step(bridge: Bridge) -> None:
    listed = {one["code"]: one for one in bridge.client.get("/v1/driver/codes").json()["codes"]}
    # The table of the interface, by hand.
    small = (0, 1, 2, 3, 4, 5, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 31, 32, 33, 34, 35, 36, 41, 42, 51, 52)
    large = (
        2201, 2202, 2203, 2204, 25536, 25537, 25538, 26368, 26881, 27009, 27010, 27011, 27012, 27013, 27016, 27264,
        27265, 27266, 27267, 27272, 37634, 37635, 37891, 37894,
    )  # fmt: skip
    # None of the interface's: a debit's outcome is not known; the last one's reached no caller; proof is required; a
    # PIN's outcome is not known, a write's.
    own = (202, 203, 204, 205, 206, 210, 211, 212)
    table = [-code for code in (*small, *large, *own)]
    assert sorted(listed) == sorted(table)
    for one in listed.values():
        assert all(one[name] for name in ("title", "title_en", "cause", "cause_en", "remedy", "remedy_en"))
    assert listed[-2]["title"] == "无卡" and listed[-27010]["title"] == "不满足安全条件"
    assert "6982" in listed[-27010]["cause"] and "6F00" in explain(-0x6F00).cause
    assert explain(-999).title == "未知返回码 -999" and set(driver_codes()) == set(table)


def test_nhsa_1101_is_ready_to_post(bridge: Bridge) -> None:
    answer = bridge.client.get(f"/v1/readers/{FIRST}/card/nhsa-1101")
    assert answer.json() == {
        "mdtrt_cert_type": "03", "mdtrt_cert_no": "A00000011", "card_sn": "370200D15600000500000001FFFFFFFF",
        "begntime": None, "psn_cert_type": "01", "certno": "119900197708090027", "psn_name": "测试甲",
    }  # fmt: skip
    closed = bridge.client.get(f"/v1/readers/{SECOND}/card/nhsa-1101")
    assert (closed.status_code, closed.json()["driver_code"]) == (403, -2201)
    bridge.readers.insert(FIRST, "foreigner", None)
    foreigner = bridge.client.get(f"/v1/readers/{FIRST}/card/nhsa-1101").json()
    assert foreigner["psn_cert_type"] == "90"
