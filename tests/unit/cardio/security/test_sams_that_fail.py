"""PSAM cards and HSMs that are missing, wrong, slow, down or lying: each its own error, and what it costs the card."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from cardio.apdu.trace import TraceLog
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardioError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.security.credentials import Credentials
from cardio.security.sam.base import Sam
from cardio.security.sam.hsm import HsmClient
from cardio.security.sam.hsm_http import ANSWER_SECONDS, HttpHsmTransport
from cardio.security.sam.psam import PsamCard, PsamSettings
from cardio.security.settings import SecuritySettings
from simulators.card.base import AnyCard
from simulators.card.faults import FaultyCard
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from simulators.sam.hsm import Fault, SoftwareHsm
from simulators.sam.psam import SoftwarePsam
from tests.pcsc import wait_until

EXTERNAL = 0x82


class Made:
    def __init__(self, make: Callable[[], Sam]) -> None:
        self.make = make

    def open(self) -> Sam:
        return self.make()


def hindered(make: Callable[[], Sam], persona: str = "third-closed") -> tuple[CardioError | None, TraceLog]:
    """What hinders the reading of a closed card, and what was sent to it."""
    trace = TraceLog()
    reader = SoftwareReader("r", find_persona(persona).card())
    with SocialSecurityCard(
        reader.connect(),
        reader,
        capabilities=CapabilityCache(None),
        trace=trace,
        credentials=Credentials(sam=Made(make)),
    ) as card:
        try:
            card.read(supplement=False)
        except CardioError as error:
            return error, trace
        return card.refusal_of_holder(), trace


def presented(trace: TraceLog) -> int:
    return sum(one.command[1] == EXTERNAL for one in trace.exchanges)


# -- PSAM ---------------------------------------------------------------------------------------------


def psam_in(card: AnyCard | None, settings: PsamSettings | None = None) -> Callable[[], Sam]:
    slot = SoftwareReader("slot", card)
    return lambda: PsamCard.connect(slot, settings)


@pytest.mark.parametrize(
    ("card", "settings", "code", "driver_code"),
    [
        (None, None, "no-sam", -2201),
        (SoftwarePsam(algorithms=("3DES",)), None, "algorithm-not-supported", -2202),
        (SoftwarePsam(algorithms=("SM4",), keys=["IRK"]), None, "key-not-in-sam", -2203),
        (SoftwarePsam(algorithms=("SM4",), levels=2, region="32"), PsamSettings(levels=3), "psam-key-level", -24),
        (SoftwarePsam(algorithms=("SM4",)), PsamSettings(region="43"), "psam-key-level", -24),
    ],
)
def test_a_psam_that_is_missing_or_wrong(
    card: AnyCard | None, settings: PsamSettings | None, code: str, driver_code: int
) -> None:
    error, trace = hindered(psam_in(card, settings))
    assert error is not None and (error.code, error.driver_code) == (code, driver_code)
    assert presented(trace) == 0


def test_a_card_of_a_person_in_the_psam_slot() -> None:
    error, trace = hindered(psam_in(find_persona("adult").card()))
    assert error is not None and error.driver_code in (-2202, -24) and presented(trace) == 0


class Pulled:
    """A PSAM card that is pulled after so many commands."""

    def __init__(self, commands: int) -> None:
        self.card = SoftwarePsam(algorithms=("SM4",))
        self.atr = self.card.atr
        self.left = commands
        self.pull: Callable[[], None] = lambda: None

    def reset(self) -> None:
        self.card.reset()

    def transmit(self, command: bytes) -> bytes:
        self.left -= 1
        if self.left < 0:
            self.pull()
        return self.card.transmit(command)


@pytest.mark.parametrize("commands", range(8))
def test_a_psam_that_is_pulled_at_any_command(commands: int) -> None:
    card = Pulled(commands)
    slot = SoftwareReader("slot", card)
    card.pull = slot.remove
    error, trace = hindered(lambda: PsamCard.connect(slot))
    assert error is not None and error.code == "no-sam" and "PSAM" in error.detail
    assert presented(trace) == 0


def test_a_psam_that_hangs_costs_one_commands_time_and_lets_its_slot_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work with the card may take a minute; it does not wait that long for the PSAM card."""
    monkeypatch.setattr("cardio.security.sam.psam_connection.COMMAND_SECONDS", 0.2)
    asked, ever, hangs = threading.Event(), threading.Event(), False

    def fault(card: AnyCard, command: bytes) -> bytes:
        if hangs:
            asked.set()
            ever.wait(30)
        return card.transmit(command)

    slot = SoftwareReader("slot", FaultyCard(SoftwarePsam(), fault))
    psam = PsamCard.connect(slot)
    hangs = True
    error, _ = hindered(lambda: psam)
    assert asked.is_set() and error is not None and error.code == "sam-failed"
    again, _ = hindered(lambda: psam)
    assert again is not None and again.code == "sam-failed", "it is not waited for anew"
    psam.close()
    hangs = False
    ever.set()
    free = threading.Event()

    def take() -> None:
        slot.connect().close()
        free.set()

    threading.Thread(target=take, daemon=True).start()
    assert free.wait(10), "the thread that hung has let the slot go"


def test_a_psam_of_a_province_opens_its_cards() -> None:
    psam = SoftwarePsam(algorithms=("SM4",), levels=2, region="32")
    assert hindered(psam_in(psam, PsamSettings(levels=2, region="32")))[0] is None


def test_usage_and_index_may_be_set_key_by_key() -> None:
    settings = SecuritySettings.model_validate({"psam": {"levels": 3, "keys": {"RKSSSE": "6799", "UKSSSE": "6898"}}})
    error, _ = hindered(psam_in(SoftwarePsam(algorithms=("SM4",)), PsamSettings(3, "", dict(settings.psam.keys))))
    assert error is not None and error.driver_code == -2203


# -- HSM ----------------------------------------------------------------------------------------------


@pytest.fixture
def hsm() -> Iterator[SoftwareHsm]:
    with SoftwareHsm() as made:
        yield made


def client(hsm: SoftwareHsm, answer_seconds: float = ANSWER_SECONDS) -> Callable[[], Sam]:
    return lambda: HsmClient(HttpHsmTransport(hsm.url, answer_seconds=answer_seconds))


@pytest.mark.parametrize(
    ("fault", "code", "asked"),
    [
        ("down", "hsm-unreachable", 2),
        ("slow", "hsm-unreachable", 2),
        ("half", "hsm-unreachable", 2),
        ("status", "hsm-answer", 1),
        ("garbage", "hsm-answer", 1),
    ],
)
def test_an_hsm_that_gives_no_answer_is_asked_twice_and_a_wrong_answer_is_final(
    hsm: SoftwareHsm, fault: Fault, code: str, asked: int
) -> None:
    ready = client(hsm, 1.0 if fault == "slow" else ANSWER_SECONDS)()
    assert ready.test_keys
    hsm.fault, hsm.seconds, before = fault, 3600.0, hsm.requests
    error, trace = hindered(lambda: ready)
    assert error is not None and error.code == code
    wait_until(lambda: hsm.requests - before == asked, "it was asked so often")
    assert presented(trace) == 0


@pytest.mark.parametrize("fault", ["other-request", "other-key"])
def test_an_answer_to_another_question_is_not_used(hsm: SoftwareHsm, fault: Fault) -> None:
    ready = client(hsm)()
    assert ready.test_keys
    hsm.fault = fault
    error, trace = hindered(lambda: ready)
    assert error is not None and error.code == "hsm-answer" and presented(trace) == 0


def test_a_lie_in_internal_authentication_stops_everything(hsm: SoftwareHsm) -> None:
    hsm.fault = "lie"
    error, trace = hindered(client(hsm))
    assert error is not None and error.code == "forged-card" and presented(trace) == 0


def test_a_lie_in_external_authentication_costs_one_try_and_no_more(hsm: SoftwareHsm) -> None:
    class LiesLater(HsmClient):
        def cryptogram(self, key: object, challenge: bytes, source: bytes) -> bytes:
            answer = super().cryptogram(key, challenge, source)  # type: ignore[arg-type]
            return answer if getattr(key, "name", "") == "IRK" else bytes(8)

    error, trace = hindered(lambda: LiesLater(HttpHsmTransport(hsm.url)))
    assert error is not None and (error.code, error.driver_code) == ("authentication-failed", -0x63C2)
    assert presented(trace) == 1


def test_a_good_hsm_opens_the_card(hsm: SoftwareHsm) -> None:
    assert hindered(client(hsm))[0] is None
