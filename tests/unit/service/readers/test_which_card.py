"""Which card a call means that names no reader, and what a card session stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cardio.models.readers import EventKind
from cardio.readers import scard
from cardio.readers.card_choice import ReaderPolicy
from cardio.readers.supervision import Supervisor
from service.app import SiteOptions
from service.gate.scopes import Scope
from simulators.card.base import AnyCard
from simulators.card.faults import with_fault
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader, SoftwareReaders
from simulators.sam.psam import SoftwarePsam
from tests.pcsc import wait_until
from tests.unit.service.bridge import FIRST, SECOND, Bridge

ADULT, CHILD, THIRD = "测试甲", "测试丙", "Simulated Reader 02"
Make = Callable[..., Bridge]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Bridge] = []

    def start(*personas: str, **settings: Any) -> Bridge:
        made.append(Bridge(*personas, scopes=frozenset(Scope), **settings))
        return made[-1]

    yield start
    for bridge in made:
        bridge.stop()


def put(bridge: Bridge, reader: str, card: AnyCard) -> None:
    """Puts a card in as a person does, and waits until the bridge knows."""
    before = session(bridge, reader)
    slot = bridge.readers.reader(reader)
    assert slot is not None
    slot.insert(card)
    wait_until(lambda: session(bridge, reader) not in (None, before), f"{reader} has its card")


def swap_unseen(bridge: Bridge, reader: str, card: AnyCard) -> None:
    """Puts another card in between two looks of the reader: no event, and the same event counter."""
    slot = bridge.readers.reader(reader)
    assert slot is not None
    card.reset()
    slot._card = card


def session(bridge: Bridge, reader: str) -> str | None:
    listed = bridge.client.get("/v1/readers").json()["readers"]
    found: str | None = next(one["card_session"] for one in listed if one["name"] == reader)
    return found


def driver(bridge: Bridge, function: str = "iReadCardBas", **arguments: Any) -> Any:
    return bridge.client.post(f"/v1/driver/{function}", json=arguments)


# -- which reader --------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["bank-card"])
def test_a_card_that_is_none_of_ours_gives_way(make: Make, fault: str) -> None:
    bridge = make("adult", "child")
    put(bridge, FIRST, with_fault(find_persona("adult").card(), fault))
    answer = driver(bridge, iType=3)
    assert answer.json()["fields"]["name"] == find_persona_name("child"), answer.text
    assert bridge.client.get("/v1/readers/-/chosen").json()["reader"] == SECOND


def find_persona_name(persona: str) -> str:
    bridge = Bridge(persona)
    try:
        name: str = bridge.client.get(f"/v1/readers/{FIRST}/card").json()["holder"]["name"]
    finally:
        bridge.stop()
    return name


def test_two_social_security_cards_are_not_chosen_between_and_the_choice_is_said(make: Make) -> None:
    bridge = make("adult", "child")
    for answer in (driver(bridge), bridge.client.get("/v1/readers/-/chosen")):
        assert (answer.status_code, answer.json()["code"]) == (409, "several-cards")
        assert FIRST in answer.json()["detail"] and SECOND in answer.json()["detail"]
    assert driver(bridge, reader=SECOND).status_code == 200
    named = bridge.client.post(
        "/v1/driver/iReadCardBas", json={}, headers={"Cardio-Card-Session": session(bridge, FIRST) or ""}
    )
    assert named.json()["fields"]["name"] == ADULT, "the session that the caller names is a choice"


def test_a_card_beside_is_asked_once(make: Make) -> None:
    bridge = make("adult", "child")
    put(bridge, FIRST, with_fault(find_persona("adult").card(), "bank-card"))
    driver(bridge)
    counts = []
    for named in ({"reader": SECOND}, {}):
        before = bridge.commands
        assert driver(bridge, **named).status_code == 200
        counts.append(bridge.commands - before)
    assert counts[0] == counts[1], "the card that is meant is read, and no other is touched"


def test_a_mute_card_beside_is_not_passed_over(make: Make) -> None:
    bridge = make("adult", "child")
    put(bridge, SECOND, with_fault(find_persona("child").card(), "mute"))
    answer = driver(bridge)
    assert (answer.status_code, answer.json()["code"]) == (502, "card-mute")


def test_the_sams_slot_is_never_the_patients(make: Make) -> None:
    bridge = make("adult", "child", site_options=SiteOptions(auto_read=True, reader_policy=ReaderPolicy(sam=(FIRST,))))
    put(bridge, FIRST, SoftwarePsam())
    assert driver(bridge).json()["fields"]["name"] == find_persona_name("child")
    listed = {one["name"]: one["counts"] for one in bridge.client.get("/v1/readers").json()["readers"]}
    assert listed == {FIRST: False, SECOND: True}
    slot = bridge.readers.reader(SECOND)
    assert slot is not None
    slot.remove()
    wait_until(lambda: session(bridge, SECOND) is None, "it is out")
    assert driver(bridge).json()["driver_code"] == -2, "no card: the SAM is none"


def test_a_psam_in_the_patients_reader_is_no_patient(make: Make) -> None:
    bridge = make("adult")
    put(bridge, FIRST, SoftwarePsam())
    answer = driver(bridge)
    assert (answer.json()["code"], answer.json()["driver_code"]) == ("not-a-social-security-card", -1)


def test_only_the_readers_of_the_setting_count(make: Make) -> None:
    bridge = make("adult", "child", site_options=SiteOptions(reader_policy=ReaderPolicy(use=("reader 01",))))
    assert driver(bridge).json()["fields"]["name"] == find_persona_name("child")


def test_another_pages_leased_reader_gives_way(make: Make) -> None:
    bridge = make("adult", "child")
    page, _ = bridge.pair("https://his.example", Scope.BASIC)
    assert page.post(f"/v1/readers/{FIRST}/lease", json={}).status_code == 201
    assert driver(bridge).json()["fields"]["name"] == find_persona_name("child")


def test_a_token_that_another_program_has_for_itself_gives_way(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """scdaemon (GnuPG) opens a token exclusively: PC/SC answers SCARD_E_SHARING_VIOLATION (yubikey.rs #456)."""
    bridge = make("adult", "child")

    def refuse(reader: SoftwareReader) -> Any:
        if reader.name == FIRST:
            raise scard.error_for(scard.E_SHARING_VIOLATION)
        return connect(reader)

    connect, name = SoftwareReader.connect, find_persona_name("child")
    monkeypatch.setattr(SoftwareReader, "connect", refuse)
    assert driver(bridge).json()["fields"]["name"] == name
    assert driver(bridge, reader=FIRST).json()["code"] == "reader-busy"


# -- what a session stands for -------------------------------------------------------------------


def read(bridge: Bridge, named: str | None = None) -> Any:
    headers = {} if named is None else {"Cardio-Card-Session": named}
    return bridge.client.get(f"/v1/readers/{FIRST}/card", headers=headers)


def test_a_card_that_was_swapped_unseen_is_not_given_under_the_session_of_the_last(make: Make) -> None:
    bridge = make("adult")
    kinds: list[str] = []
    first = read(bridge).headers["Cardio-Card-Session"]
    bridge.app.state.bridge.running.hub.on_published.append(lambda kind, data: kinds.append(kind))
    swap_unseen(bridge, FIRST, find_persona("child").card())
    refused = read(bridge, first)
    assert (refused.status_code, refused.json()["code"], refused.json()["driver_code"]) == (409, "card-changed", -22)
    assert kinds[:2] == [EventKind.CARD_REMOVED, EventKind.CARD_INSERTED], "pages learn of it"
    second = session(bridge, FIRST)
    assert second not in (None, first)
    assert read(bridge, second).json()["holder"]["name"] == find_persona_name("child")
    assert read(bridge, first).status_code == 409


def test_a_plain_reading_after_an_unseen_swap_is_the_new_cards(make: Make) -> None:
    bridge = make("adult")
    first = read(bridge).headers["Cardio-Card-Session"]
    swap_unseen(bridge, FIRST, find_persona("child").card())
    answer = read(bridge)
    assert answer.json()["holder"]["name"] == find_persona_name("child")
    assert answer.headers["Cardio-Card-Session"] == session(bridge, FIRST) != first


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "card/photo", None),
        ("GET", "card/files/SSSE/EF06", None),
        ("GET", "card/insurance", None),
        ("GET", "card/nhsa-1101", None),
        ("POST", "card/verification", {}),
        ("POST", "card/pin/verify", {"pin": "123456"}),
        ("POST", "card/files/DF01/EF06", {"values": {"residence": "测试路1号"}}),
        ("DRIVER", "iReadICCardNum", {}),
        ("DRIVER", "iReadCard", {"pFileAddr": "SSSEEF06|09|$", "pCardInfo": "CARD"}),
        ("DRIVER", "iReadCardBas_HSM_Step1", {}),
        ("DRIVER", "iVerifyPIN", {"pin": "123456"}),
    ],
)
def test_nothing_is_read_written_or_presented_under_the_session_of_another_card(
    make: Make, method: str, path: str, body: Any
) -> None:
    bridge = make("adult")
    reading = read(bridge)
    first, shown = reading.headers["Cardio-Card-Session"], reading.json()["card"]
    if body and "pCardInfo" in body:
        body = {**body, "pCardInfo": f"{shown['identification_code']}|{shown['card_number']}|"}
    card = find_persona("whole").card()
    swap_unseen(bridge, FIRST, card)
    sent: list[bytes] = []
    transmit = card.transmit

    def watched(command: bytes) -> bytes:
        sent.append(command)
        return transmit(command)

    card.transmit = watched  # type: ignore[method-assign]
    headers = {"Cardio-Card-Session": first}
    if method == "DRIVER":
        answer = bridge.client.post(f"/v1/driver/{path}", json={"reader": FIRST, **body}, headers=headers)
    else:
        answer = bridge.client.request(method, f"/v1/readers/{FIRST}/{path}", json=body, headers=headers)
    assert answer.json()["code"] == "card-changed", answer.text
    presented = [one.hex() for one in sent if one[1] in (0x20, 0x82, 0x88, 0xDC, 0xD6, 0xE2, 0x5E, 0x24)]
    assert presented == [], "no PIN, no key, no change"


def nameless(persona: str, **changes: Any) -> AnyCard:
    """A card whose EF05 does not say which card it is, and that gives its holder all the same."""
    found = find_persona(persona)
    return found.model_copy(update={"omit": found.omit | {"SSSE/EF05"}, **changes}).card()


@pytest.mark.parametrize("next_persona", ["child", "nameless child"])
def test_a_card_that_did_not_say_who_it_is_has_its_session_for_itself_too(make: Make, next_persona: str) -> None:
    bridge = make("adult")
    put(bridge, FIRST, nameless("adult"))
    answer = read(bridge)
    first = answer.headers["Cardio-Card-Session"]
    assert answer.json()["holder"]["name"] == ADULT
    assert read(bridge, first).json()["holder"]["name"] == ADULT
    swap_unseen(bridge, FIRST, nameless("child") if "nameless" in next_persona else find_persona("child").card())
    refused = read(bridge, first)
    assert (refused.status_code, refused.json()["code"]) == (409, "card-changed"), refused.text


def blank(persona: str, number: str) -> AnyCard:
    """A card whose identification code was never written, behind one ATR for all cards of its kind."""
    found = find_persona(persona)
    files = {path: dict(items) for path, items in found.files.items()}
    files["SSSE/EF05"] |= {"identification_code": f"hex:{'FF' * 16}", "card_number": number}
    alike = {"files": files, "fill": None, "historical_bytes": find_persona("adult").historical_bytes}
    return found.model_copy(update=alike).card()


def test_a_blank_identification_code_is_no_ones_mark(make: Make) -> None:
    bridge = make("adult")
    put(bridge, FIRST, blank("adult", ""))
    first = read(bridge).headers["Cardio-Card-Session"]
    swap_unseen(bridge, FIRST, blank("child", ""))
    refused = read(bridge, first)
    assert (refused.status_code, refused.json()["code"]) == (409, "card-changed"), refused.text


def test_the_same_card_put_back_unseen_is_the_same_card(make: Make) -> None:
    bridge = make("adult")
    first = read(bridge).headers["Cardio-Card-Session"]
    swap_unseen(bridge, FIRST, find_persona("adult").card())
    assert read(bridge, first).status_code == 200


def test_comparing_costs_no_command_on_a_family_that_is_known(make: Make) -> None:
    bridge = make("adult")
    first = read(bridge).headers["Cardio-Card-Session"]
    read(bridge)
    before = bridge.commands
    assert read(bridge, first).status_code == 200
    named = bridge.commands - before
    fresh = make("adult")
    read(fresh)
    before = fresh.commands
    read(fresh)
    assert named == fresh.commands - before


def test_a_source_with_its_own_reader_of_that_name_gets_no_one_elses_session(make: Make) -> None:
    beside = SoftwareReader(FIRST, find_persona("child").card())
    bridge = make("adult", sources=[SoftwareReaders([beside])], supervisor=Supervisor())
    names = [one["name"] for one in bridge.client.get("/v1/readers").json()["readers"]]
    assert sorted(names) == [FIRST, f"{FIRST} (2)"]
    assert session(bridge, FIRST) != session(bridge, f"{FIRST} (2)")


def test_a_reader_that_the_settings_name_and_that_is_not_there_is_told_and_stops_nothing(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    policy = ReaderPolicy(contactless=("Window 9",), sam=("PSAM 7",))
    bridge = make("adult", site_options=SiteOptions(reader_policy=policy))
    assert driver(bridge).json()["fields"]["name"] == ADULT
    told = [record.getMessage() for record in caplog.records if "settings name" in record.getMessage()]
    assert [name for name in ("Window 9", "PSAM 7") if any(name in one for one in told)] == ["Window 9", "PSAM 7"]
