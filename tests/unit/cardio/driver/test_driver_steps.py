"""The driver's HSM functions: the caller carries the data, and the authority answers with the simulators' helpers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cardio.card.session import CardSession
from cardio.card.social_security_card import SocialSecurityCard
from cardio.driver.basic_info import read_basic
from cardio.driver.hsm_steps import HsmSteps
from cardio.errors import CardChangedError, CardioError, CardRemovedError, UsageError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.security.credentials import Credentials
from cardio.security.errors import (
    AuthenticationFailedError,
    ForgedCardError,
    HsmNotNeededError,
    MacRefusedError,
    StepError,
)
from cardio.security.pin.pin import Pin
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from simulators.sam.hsm_driver_steps import general_step_1_to_2, pin_step_2_to_3, read_step_1_to_2

CHALLENGE, SOURCE, OUTER = "1122334455667788", "0102030405060708", "A1A2A3A4A5A6A7A8"


def random() -> Callable[[int], bytes]:
    """Challenge, source data, and the source data of the second authentication."""
    given = iter(bytes.fromhex(one) for one in (CHALLENGE, SOURCE, OUTER, *["0F" * 8] * 20))
    return lambda size: next(given)


def steps_on(persona: str, **quirks: object) -> tuple[HsmSteps, SocialSecurityCard]:
    found = find_persona(persona)
    card = found.model_copy(update={"quirks": found.quirks.model_copy(update=quirks)}).card()
    reader = SoftwareReader("r", card)
    held = SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None), credentials=Credentials())
    return HsmSteps(held, random=random()), held


def test_a_closed_card_in_two_steps_field_by_field() -> None:
    steps, _ = steps_on("third-closed")
    fields = steps.read_basic_1().split("|")
    assert fields[:7] == [
        "320200",
        "0081544C978684329900000009",
        "03",
        "320200D15600000500000009FFFFFFFF",
        CHALLENGE,
        SOURCE,
        fields[6],
    ]
    assert len(fields[6]) == 16 and fields[7:] == [OUTER, ""]
    answer = read_step_1_to_2("|".join(fields))
    assert len(answer) == 66 and answer[16:32] == SOURCE and answer[49:65] == OUTER
    assert steps.read_basic_2(answer) == (
        "320200|319900199912310046|G00000074|320200D15600000500000009FFFFFFFF|测试壬|"
        "0081544C978684329900000009|3.00|20220202|20420202|000000000000|r|"
    )


@pytest.mark.parametrize(("persona", "mark"), [("first-generation", "01"), ("adult", "01"), ("third-generation", "03")])
def test_an_open_card_leaves_the_second_pair_empty(persona: str, mark: str) -> None:
    steps, _ = steps_on(persona)
    step_1 = steps.read_basic_1()
    assert step_1.split("|")[2] == mark and step_1.endswith(f"|{CHALLENGE}|{SOURCE}|||")
    answer = read_step_1_to_2(step_1)
    assert steps.read_basic_2(answer).count("|") == 11


def test_a_forged_card_falls_at_step_2() -> None:
    steps, _ = steps_on("third-forged")
    with pytest.raises(ForgedCardError) as caught:
        steps.read_basic_2(read_step_1_to_2(steps.read_basic_1()))
    assert caught.value.driver_code == -21


def test_a_wrong_external_answer_costs_one_try_and_begins_anew() -> None:
    steps, _ = steps_on("third-closed")
    inner, outer, _ = read_step_1_to_2(steps.read_basic_1()).split("|")
    with pytest.raises(AuthenticationFailedError) as caught:
        steps.read_basic_2(f"{inner}|{'00' * 8}{outer[16:]}|")
    assert caught.value.driver_code == -0x63C2
    with pytest.raises(StepError):
        steps.read_basic_2(f"{inner}|{outer}|")


@pytest.mark.parametrize(
    ("answer", "kind", "driver_code"),
    [
        ("", UsageError, -42),
        ("xyz|", UsageError, -42),
        ("00" * 15 + "|", UsageError, -42),
        ("00" * 8 + "FF" * 8 + "|", CardChangedError, -22),
    ],
)
def test_data_that_are_none_or_another_cards(answer: str, kind: type[CardioError], driver_code: int) -> None:
    steps, held = steps_on("adult")
    steps.read_basic_1()
    before = held.counts.commands
    with pytest.raises(kind) as caught:
        steps.read_basic_2(answer)
    assert caught.value.driver_code == driver_code and held.counts.commands == before


def test_steps_out_of_order_send_nothing() -> None:
    steps, held = steps_on("third-sm4")
    with pytest.raises(StepError) as caught:
        steps.read_basic_2("00" * 16 + "|")
    assert caught.value.driver_code == -14 and held.counts.commands == 0
    answer = general_step_1_to_2(steps.unblock_1(), held.historical_bytes.hex().upper(), "320200")
    before = held.counts.commands
    with pytest.raises(StepError):
        steps.read_2(answer)
    with pytest.raises(StepError):
        steps.pin_3("iUnblockPIN", "00")
    assert held.counts.commands == before


def test_files_behind_one_key() -> None:
    steps, held = steps_on("personalised")
    step_1 = steps.read_1("DF01EF06|23|24|$")
    mark, address, challenge, source, end = step_1.split("|")
    assert (mark, address, source, end) == ("01", "004F2E", CHALLENGE, "") and len(challenge) == 16
    answer = general_step_1_to_2(step_1, held.historical_bytes.hex().upper(), "370200")
    assert steps.read_2(answer) == "DF01EF06|山东省青岛市市南区测试路 2 号 3 单元 401|370202|$"
    with pytest.raises(HsmNotNeededError) as caught:
        steps.read_1("SSSEEF05|01|$")
    assert caught.value.driver_code == -2204


@pytest.mark.parametrize("persona", ["adult", "third-sm4"])
def test_a_pin_is_unblocked_and_reloaded_in_three_steps(persona: str) -> None:
    steps, held = steps_on(persona)
    historical, city = (
        held.historical_bytes.hex().upper(),
        find_persona(persona).files["SSSE/EF05"]["identification_code"][:6],
    )
    for function, step_1 in (("iUnblockPIN", steps.unblock_1), ("iReloadPIN", lambda: steps.reload_1(Pin("654321")))):
        step_2 = steps.pin_2(function, general_step_1_to_2(step_1(), historical, city))
        fields = step_2.split("|")
        assert fields[1] == "017309" and fields[4] == ("" if function == "iUnblockPIN" else "654321")
        assert steps.pin_3(function, pin_step_2_to_3(step_2, historical, city)) == ""
    step_2 = steps.pin_2("iUnblockPIN", general_step_1_to_2(steps.unblock_1(), historical, city))
    command = pin_step_2_to_3(step_2, historical, city)
    tampered = f"{command[:-1]}{int(command[-1], 16) ^ 1:X}"
    with pytest.raises(MacRefusedError) as caught:
        steps.pin_3("iUnblockPIN", tampered)
    assert caught.value.driver_code == -27016


def test_a_card_that_is_swapped_between_steps_ends_the_session() -> None:
    reader = SoftwareReader("r", find_persona("third-closed").card())
    with CardSession(reader, capabilities=CapabilityCache(None)) as session:
        steps = session.run(HsmSteps)
        answer = read_step_1_to_2(session.run(lambda card: steps.read_basic_1()))
        reader.insert(find_persona("third-sm4").card())
        with pytest.raises((CardRemovedError, CardioError)) as caught:
            session.run(lambda card: steps.read_basic_2(answer))
        assert caught.value.code in ("card-removed", "session-ended")
        with pytest.raises(CardioError) as caught:
            session.run(lambda card: steps.read_basic_1())
        assert caught.value.code == "session-ended"


@pytest.mark.parametrize(
    ("persona", "code"),
    [("adult", None), ("first-generation", None), ("third-generation", None), ("third-closed", -2201)],
)
def test_the_whole_flow_without_any_sam(persona: str, code: int | None) -> None:
    reader = SoftwareReader("r", find_persona(persona).card())
    with SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None)) as held:
        if code is None:
            assert read_basic(held).split("|")[9] == "000000000000"
        else:
            with pytest.raises(CardioError) as caught:
                read_basic(held)
            assert caught.value.driver_code == code
