"""How far a card was proved: what it says of itself never spares it the question, and what it is given hangs on it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardio.apdu.trace import TraceLog
from cardio.card.social_security_card import SocialSecurityCard
from cardio.driver.basic_info import read_basic
from cardio.driver.hsm_steps import HsmSteps
from cardio.driver.nhsa import nhsa_1101
from cardio.driver.return_codes import code_of, driver_codes
from cardio.errors import CardioError, ConfigurationError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.filesystem.layouts.registry import NATIONAL
from cardio.identity import default_policy
from cardio.identity.identify import identify
from cardio.security.credentials import Credentials
from cardio.security.errors import (
    ContactSlotNeededError,
    ForgedCardError,
    HsmUnreachableError,
    KeyNotInSamError,
    NoSamError,
    ProofDeclinedError,
    ProofRequiredError,
    SamError,
    SamFailedError,
)
from cardio.security.pin.pin import Pin
from cardio.security.proof import ProofPolicy
from cardio.security.sam.base import CardKey, Sam
from cardio.security.sam.key_file import KeyFile, SoftSam
from cardio.security.settings import SecuritySettings
from simulators.card.base import AnyCard
from simulators.crypto.published_keys import key_file
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from simulators.sam.hsm_driver_steps import read_step_1_to_2
from tests.copied_card import NAME, SECOND, THIRD, CopiedCard
from tests.unit.cardio.identity.test_identity import NOW

SELECT, READ, FETCH, INTERNAL, EXTERNAL, VERIFY = 0xA4, 0xB2, 0xC0, 0x88, 0x82, 0x20
KEYS = KeyFile.model_validate(tomllib.loads(key_file(layout_of(3).keys)))


class Source:
    def __init__(self, make: Callable[[], Sam]) -> None:
        self.open = make


SOFT = Source(lambda: SoftSam(KEYS))


class Changing:
    """A genuine card whose answers are changed on the way."""

    def __init__(self, persona: str, change: Callable[[bytes, bytes], bytes], atr: bytes | None = None) -> None:
        self._card = find_persona(persona).card()
        self._change = change
        self.atr = atr or self._card.atr

    def reset(self) -> None:
        self._card.reset()

    def transmit(self, command: bytes) -> bytes:
        return self._change(command, self._card.transmit(command))


def replacing(old: str, new: str) -> Callable[[bytes, bytes], bytes]:
    return lambda command, answer: answer.replace(bytes.fromhex(old), bytes.fromhex(new))


class Desk:
    """One card, held once, and what is sent to it."""

    def __init__(self, card: AnyCard, sam: Source | None = SOFT, *, pin: str | None = None, **policy: Any) -> None:
        self.reader = SoftwareReader("r", card)
        self.log = TraceLog()
        self.credentials = Credentials(
            sam=sam, pin=None if pin is None else Pin(pin), proof_policy=ProofPolicy(**policy)
        )
        self.card = self.connect()

    def connect(self) -> SocialSecurityCard:
        return SocialSecurityCard(
            self.reader.connect(),
            self.reader,
            capabilities=CapabilityCache(None),
            layouts=NATIONAL,
            credentials=self.credentials,
            trace=self.log,
        )

    def sent(self, instruction: int) -> list[str]:
        return [one.command.hex().upper() for one in self.log.exchanges if one.command[1] == instruction]

    @property
    def runs(self) -> list[int]:
        """The INS bytes of what was sent, each run of READ RECORD as one."""
        all_of_them = [one.command[1] for one in self.log.exchanges]
        return [
            one for one, before in zip(all_of_them, [0, *all_of_them], strict=False) if (one, before) != (READ, READ)
        ]


def software(persona: str) -> AnyCard:
    return find_persona(persona).card()


Way = Callable[[SocialSecurityCard], object]
WAYS: dict[str, Way] = {
    "read": lambda card: card.read(supplement=False),
    "iReadCardBas": read_basic,
    "nhsa-1101": lambda card: nhsa_1101(card.read(supplement=False)),
    "file": lambda card: card.file("SSSE/EF06"),
    "dump": lambda card: card.dump(),
    "photo": lambda card: card.photo(),
    "PIN": lambda card: card.verify_pin(),
    "write": lambda card: card.prepare("DF01/EF06", {"telephone": "00000000000"}),
    "bank number": lambda card: card.bank_number(),
}
GARBLED_FCI = "6F03FF" + "9000"
UNKNOWN_ALGORITHM = "6F1C840F" + NAME + "A50988011E9F0C03860107" + "9000"
CLAIMS = {
    "version 2.00": {"EF05-3": "0304322E3030" + "9000"},
    "version 1.0": {"EF05-3": "0304312E3000" + "9000"},
    "version 9.99": {"EF05-3": "0304392E3939" + "9000"},
    "version of zeros": {"EF05-3": "030400000000" + "9000"},
    "version of signs": {"EF05-3": "0304FFFEFDFC" + "9000"},
    "no version": {"EF05-3": "6A83"},
    "unknown algorithm": {"fci": UNKNOWN_ALGORITHM},
    "garbled FCI": {"fci": GARBLED_FCI},
    "no FCI": {"select": "9000"},
    "3DES": {"fci": "6F1C840F" + NAME + "A50988011E9F0C03860101" + "9000"},
    "2.00 and no algorithm": {"EF05-3": "0304322E3030" + "9000", "fci": "6F16840F" + NAME + "A50388011E" + "9000"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("claim", CLAIMS)
def test_what_a_copy_says_of_itself_spares_it_nothing(claim: str, way: str) -> None:
    copy = CopiedCard.of(THIRD, **CLAIMS[claim])
    desk = Desk(copy, pin="123456")
    with pytest.raises(ForgedCardError):
        WAYS[way](desk.card)
    assert desk.sent(INTERNAL) and not copy.was_given_a_key and not copy.was_given_a_pin


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("proof", ["08B6B3146B624BA09000", "00000000000000009000"], ids=["recorded", "zeros"])
def test_a_copy_of_the_second_generation_is_asked_too(proof: str, way: str) -> None:
    copy = CopiedCard.of(SECOND, proof=proof)
    with pytest.raises(ForgedCardError):
        WAYS[way](Desk(copy, pin="123456").card)
    assert not copy.was_given_a_key and not copy.was_given_a_pin


# -- genuine ones ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("persona", "algorithm"),
    [("adult", "3DES"), ("first-generation", "3DES"), ("third-closed", "SM4"), ("third-generation", "SM4")],
)
def test_a_genuine_card_is_said_to_be_so(persona: str, algorithm: str) -> None:
    desk = Desk(software(persona))
    proof = desk.card.read(supplement=False).proof
    assert (proof.outcome, proof.reason, proof.sam, proof.test_keys) == ("genuine", None, "soft", True)
    assert proof.algorithm == algorithm and "内部认证通过" in proof.detail and "测试密钥" in proof.detail
    assert desk.card.file("SSSE/EF06").proof == proof == desk.card.tree().proof == desk.card.report("insurance").proof


def test_what_asking_costs() -> None:
    """By hand: INTERNAL AUTHENTICATION, and its answer fetched. Both fetch the FCI, since credentials are there."""
    plain, asked = Desk(software("adult"), None), Desk(software("adult"))
    plain.card.read(supplement=False)
    asked.card.read(supplement=False)
    assert plain.runs == [SELECT, FETCH, READ]
    assert asked.runs == [SELECT, FETCH, READ, INTERNAL, FETCH, READ]
    assert asked.card.counts.commands == plain.card.counts.commands + 2
    # T=0 (ISO 7816-3): five header bytes, a procedure byte, 17 of data, SW; then header, procedure byte, 8 of data, SW.
    assert asked.card.counts.characters == plain.card.counts.characters + (5 + 1 + 17 + 2) + (5 + 1 + 8 + 2)
    [command] = asked.sent(INTERNAL)
    assert command[:10] == "0088000011" and command[-2:] == "01" and len(command) == 2 * (5 + 17)


def test_a_card_is_asked_once_for_as_long_as_it_is_held() -> None:
    desk = Desk(software("personalised"), pin="123456")
    desk.card.read()
    desk.card.file("DF01/EF06")
    desk.card.dump()
    desk.card.verify_pin()
    assert identify(desk.card, default_policy(), None, NOW).chip.algorithm == "3DES"
    desk.card.write(desk.card.prepare("DF01/EF05", {"household_type": "20"}))
    assert len(desk.sent(INTERNAL)) == 1
    desk.card.close()
    with desk.connect() as card:
        card.read(supplement=False)
    assert len(desk.sent(INTERNAL)) == 2


def test_the_answer_of_a_card_does_not_count_for_the_next_one() -> None:
    desk = Desk(software("third-sm4"))
    assert desk.card.read(supplement=False).proof.is_genuine
    desk.card.close()
    card = find_persona("third-sm4").card()
    recorded = CopiedCard.of(THIRD, atr=card.atr.hex())
    desk.reader.insert(recorded)
    with desk.connect() as held, pytest.raises(ForgedCardError):
        held.read(supplement=False)


def test_an_sm4_card_whose_fci_says_nothing_is_asked_by_sm4_too() -> None:
    card = Changing("third-closed", lambda command, answer: b"\x90\x00" if command[1] == 0xA4 else answer)
    desk = Desk(card)
    assert desk.card.read(supplement=False).proof.algorithm == "SM4"


def test_its_keys_are_of_the_algorithm_that_has_proved_it() -> None:
    """A wrong one would cost the card a try, with each reading."""
    desk = Desk(Changing("third-closed", lambda command, answer: b"\x90\x00" if command[1] == 0xA4 else answer))
    for _ in range(2):
        assert desk.card.read(supplement=False).holder is not None
    assert all(one.startswith("0082000A11") for one in desk.sent(EXTERNAL)) and len(desk.sent(INTERNAL)) == 2


def test_a_card_that_says_it_is_another_is_asked_anew() -> None:
    """As behind a shim that lets a genuine card answer, and then speaks for itself."""
    told = {"code": "320200D15600000500000014"}

    def change(command: bytes, answer: bytes) -> bytes:
        return answer.replace(bytes.fromhex("320200D156000005"), bytes.fromhex(told["code"][:16]))

    desk = Desk(Changing("third-sm4", change))
    assert desk.card.read(supplement=False).proof.is_genuine
    told["code"] = "320300D156000005"
    with pytest.raises(ForgedCardError):
        desk.card.read(supplement=False)
    assert len(desk.sent(INTERNAL)) == 2


# -- claims that fit no generation -------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        replacing("0304332E3030", "0304322E3030"),
        replacing("0304332E3030", "0304392E3939"),
        replacing("0304332E3030", "030400000000"),
        replacing("9F0C03860103", "9F0C03860107"),
        replacing("9F0C03860103", "9F0C7F860103"),
    ],
    ids=["2.00 and SM4", "9.99", "zeros", "unknown algorithm", "garbled"],
)
def test_a_right_answer_beside_claims_that_fit_nothing_is_no_proof(change: Callable[[bytes, bytes], bytes]) -> None:
    desk = Desk(Changing("third-generation", change))
    reading = desk.card.read(supplement=False)
    assert reading.holder is not None
    assert (reading.proof.outcome, reading.proof.reason) == ("not-possible", "claims-contradict")
    assert read_basic(desk.card).count("|") == 11 and desk.card.proof == reading.proof
    strict = Desk(Changing("third-generation", change), require=True)
    for way in ("read", "iReadCardBas", "file", "nhsa-1101"):
        with pytest.raises(ProofRequiredError):
            WAYS[way](strict.card)


def test_claims_that_no_sam_here_can_judge_get_no_pin() -> None:
    without_sm4 = KEYS.model_copy(update={"keys": {"3DES": KEYS.keys["3DES"]}})
    desk = Desk(CopiedCard.of(THIRD, fci=GARBLED_FCI), Source(lambda: SoftSam(without_sm4)), pin="123456")
    reading = desk.card.read(supplement=False)
    assert (reading.proof.outcome, reading.proof.reason) == ("not-possible", "claims-contradict")
    with pytest.raises(CardioError) as raised:
        desk.card.verify_pin()
    assert raised.value.code == "claims-contradict" and desk.sent(VERIFY) == []
    with pytest.raises(CardioError):
        read_basic(desk.card)


@pytest.mark.parametrize("recorded", [THIRD, SECOND], ids=["third", "second"])
@pytest.mark.parametrize("record", ["6A83", "0110" + "FF" * 16 + "9000", "0110" + "00" * 16 + "9000", "0101FF9000"])
def test_a_card_that_does_not_say_what_its_keys_hang_on_is_not_proved(record: str, recorded: dict[str, str]) -> None:
    copy = CopiedCard.of(recorded, **{"EF05-1": record})
    desk = Desk(copy, pin="123456")
    reading = desk.card.read(supplement=False)
    assert (reading.proof.outcome, reading.proof.reason) == ("not-possible", "card-garbled")
    desk.card.file("DF01/EF06")
    with pytest.raises(CardioError):
        desk.card.verify_pin()
    assert not copy.was_given_a_key and not copy.was_given_a_pin


def test_a_copy_without_ef05_is_not_proved() -> None:
    copy = CopiedCard.of(THIRD, **{f"EF05-{number}": "6A83" for number in range(1, 8)})
    desk = Desk(copy, pin="123456")
    reading = desk.card.read(supplement=False)
    assert reading.holder is not None and reading.proof.outcome == "not-possible"
    for way in ("iReadCardBas", "PIN", "write"):
        with pytest.raises(CardioError):
            WAYS[way](desk.card)
    assert not copy.was_given_a_key and not copy.was_given_a_pin


# -- cards that decline ------------------------------------------------------------------------------

DECLINES = ["6D00", "6A88", "6A86", "6985", "6984", "6700", "6982", "63C2", "6C08", "9000", "00", "", "0102039000"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", DECLINES)
def test_a_third_generation_card_that_declines_gets_nothing(answer: str, way: str) -> None:
    copy = CopiedCard.of(THIRD, proof=answer)
    desk = Desk(copy, pin="123456")
    with pytest.raises((ProofDeclinedError, ForgedCardError)) as raised:
        WAYS[way](desk.card)
    assert raised.value.driver_code == -21
    assert not copy.was_given_a_key and not copy.was_given_a_pin


@pytest.mark.parametrize("answer", ["6D00", "6A88", "6C08", "00"])
def test_a_declining_card_is_refused_in_a_verdict(answer: str) -> None:
    copy = CopiedCard.of(THIRD, proof=answer)
    verdict = identify(Desk(copy, pin="123456").card, default_policy(), None, NOW)
    chip = next(one for one in verdict.checks if one.check == "chip-genuine")
    assert (chip.outcome, chip.driver_code, verdict.verdict) == ("failed", -21, "refused")
    assert not copy.was_given_a_pin


@pytest.mark.parametrize("answer", ["6D00", "6A88", "6985", "6C08", "00"])
def test_an_older_card_may_decline_and_that_is_said(answer: str) -> None:
    copy = CopiedCard.of(SECOND, proof=answer)
    desk = Desk(copy, pin="123456")
    reading = desk.card.read(supplement=False)
    assert reading.holder is not None
    assert (reading.proof.outcome, reading.proof.reason) == ("not-possible", "declined")
    assert read_basic(desk.card)
    strict = Desk(CopiedCard.of(SECOND, proof=answer), pin="123456", old_cards_may_decline=False)
    for way in WAYS.values():
        with pytest.raises(ProofDeclinedError):
            way(strict.card)
    assert not strict.sent(EXTERNAL) and not [one for one in strict.sent(VERIFY) if len(one) > 10]


@pytest.mark.parametrize(
    "claim", ["version 9.99", "version of zeros", "no version", "unknown algorithm", "garbled FCI"]
)
def test_claims_that_fit_nothing_are_no_leave_to_decline(claim: str) -> None:
    copy = CopiedCard.of(THIRD, proof="6D00", **CLAIMS[claim])
    desk = Desk(copy, pin="123456")
    for way in ("read", "iReadCardBas", "file", "PIN", "write"):
        with pytest.raises(ProofDeclinedError):
            WAYS[way](desk.card)
    assert not copy.was_given_a_key and not copy.was_given_a_pin


# -- SAMs that cannot -------------------------------------------------------------------------------


class Failing(SoftSam):
    fault: type[SamError] = SamFailedError

    def cryptogram(self, key: CardKey, challenge: bytes, source: bytes) -> bytes:
        raise self.fault()


class Lacking(SoftSam):
    def unavailable_reason(self, key: CardKey) -> SamError | None:
        return KeyNotInSamError() if key.name == "IRK" else super().unavailable_reason(key)


def unreachable() -> Sam:
    sam = Failing(KEYS)
    sam.fault = HsmUnreachableError
    return sam


def empty_slot() -> Sam:
    raise NoSamError("PSAM 卡槽：读卡器中没有卡", "PSAM slot: no card")


@pytest.mark.parametrize(
    ("make", "outcome", "reason", "pin_is_sent"),
    [
        (lambda: Lacking(KEYS), "not-possible", "key-not-in-sam", True),
        (lambda: Failing(KEYS), "not-possible", "sam-failed", False),
        (unreachable, "not-possible", "hsm-unreachable", False),
        (empty_slot, "not-asked", "no-sam", False),
    ],
    ids=["lacks the key", "fails", "is not reached", "is not there"],
)
def test_a_sam_that_cannot_ask(make: Callable[[], Sam], outcome: str, reason: str, pin_is_sent: bool) -> None:
    """An older card is read, and it is said why it was not proved. A PIN waits for a SAM that has only failed now."""
    desk = Desk(software("personalised"), Source(make), pin="123456")
    reading = desk.card.read(supplement=False)
    assert reading.holder is not None
    assert (reading.proof.outcome, reading.proof.reason) == (outcome, reason)
    if pin_is_sent:
        desk.card.verify_pin()
    else:
        with pytest.raises(SamError):
            desk.card.verify_pin()
    assert bool([one for one in desk.sent(VERIFY) if len(one) > 10]) == pin_is_sent
    with pytest.raises(ProofRequiredError):
        Desk(software("personalised"), Source(make), pin="123456", require=True).card.verify_pin()


def test_a_contactless_card_cannot_be_asked() -> None:
    atr = bytes.fromhex("3B8D800100814E4323869715990000000042")
    desk = Desk(Changing("personalised", lambda command, answer: answer, atr), pin="123456")
    proof = desk.card.read(supplement=False).proof
    assert (proof.outcome, proof.reason) == ("not-possible", ContactSlotNeededError.code)
    assert desk.sent(INTERNAL) == [] and desk.sent(EXTERNAL) == []
    desk.card.verify_pin()


# -- settings ----------------------------------------------------------------------------------------


def test_a_site_may_leave_readings_alone() -> None:
    desk = Desk(software("personalised"), pin="123456", when="before-keys")
    reading = desk.card.read(supplement=False)
    assert (reading.proof.outcome, reading.proof.reason) == ("not-asked", "setting") and desk.sent(INTERNAL) == []
    desk.card.verify_pin()
    assert len(desk.sent(INTERNAL)) == 1 and desk.card.proof.is_genuine
    copy = CopiedCard.of(SECOND)
    ways: tuple[Way, ...] = (
        lambda card: card.verify_pin(),
        lambda card: card.file("DF01/EF06"),
        lambda card: card.read(),
    )
    for work in ways:
        with pytest.raises(ForgedCardError):
            work(Desk(copy, pin="123456", when="before-keys").card)
    assert not copy.was_given_a_key and not copy.was_given_a_pin


@pytest.mark.parametrize("way", [*WAYS, "steps"])
def test_where_proof_is_required_there_is_none_without_a_sam(way: str) -> None:
    desk = Desk(software("personalised"), None, pin="123456", require=True)
    ways: dict[str, Way] = {**WAYS, "steps": lambda card: HsmSteps(card).unblock_1()}
    work = ways[way]
    with pytest.raises(ProofRequiredError) as raised:
        work(desk.card)
    code = code_of(raised.value)
    assert (raised.value.code, code) == ("proof-required", -210) and code in driver_codes()
    assert "PSAM" in raised.value.detail and not desk.sent(EXTERNAL) and not desk.sent(VERIFY)


def test_where_proof_is_required_the_proved_card_is_read_as_ever() -> None:
    for persona in ("personalised", "third-closed"):
        desk = Desk(software(persona), pin="123456", require=True)
        assert read_basic(desk.card) and desk.card.file("SSSE/EF06").records
        desk.card.verify_pin()


def test_a_callers_own_hsm_proves_the_card_as_well() -> None:
    desk = Desk(software("third-closed"), None, require=True)
    steps = HsmSteps(desk.card)
    step_1 = steps.read_basic_1()
    assert steps.proof.outcome == "not-asked"
    assert steps.read_basic_2(read_step_1_to_2(step_1)).split("|")[4] == "测试壬"
    assert (steps.proof.outcome, steps.proof.sam) == ("genuine", "hsm")


def test_a_card_that_fails_before_a_callers_hsm_gets_none_of_its_keys() -> None:
    """As long as it is held: the next function does not ask it again, and would compute for a copy."""
    for copy, error in (
        (CopiedCard.of(THIRD), ForgedCardError),
        (CopiedCard.of(THIRD, proof="6D00"), ProofDeclinedError),
        (CopiedCard.of(THIRD, proof="6D00", **CLAIMS["version 9.99"]), ProofDeclinedError),
    ):
        steps = HsmSteps(Desk(copy, None).card)
        with pytest.raises(error):
            steps.read_basic_2(read_step_1_to_2(steps.read_basic_1()))
        with pytest.raises(error):
            step_1 = steps.read_1("DF01EF06|$")
            steps.read_2("00" * 8 + step_1.split("|")[3] + "|")
        assert not copy.was_given_a_key


@pytest.mark.parametrize("require", [False, True])
def test_a_right_answer_before_a_callers_hsm_is_no_proof_beside_claims_that_fit_nothing(require: bool) -> None:
    desk = Desk(Changing("third-generation", replacing("0304332E3030", "0304392E3939")), None, require=require)
    steps = HsmSteps(desk.card)
    answer = read_step_1_to_2(steps.read_basic_1())
    if require:
        with pytest.raises(ProofRequiredError):
            steps.read_basic_2(answer)
    else:
        assert steps.read_basic_2(answer).count("|") == 11
    assert (steps.proof.outcome, steps.proof.reason) == ("not-possible", "claims-contradict")


def test_in_steps_the_sam_of_the_desk_asks_the_card_and_opens_nothing() -> None:
    copy = CopiedCard.of(SECOND)
    desk = Desk(copy, pin="123456")
    first_steps: tuple[Callable[[HsmSteps], str], ...] = (
        lambda steps: steps.read_1("DF01EF06|23|$"),
        lambda steps: steps.write_1("SSSEEF05|06|$"),
        lambda steps: steps.unblock_1(),
    )
    for step in first_steps:
        with pytest.raises(ForgedCardError):
            step(HsmSteps(desk.card))
    assert not copy.was_given_a_key


def test_the_settings_of_a_site(tmp_path: Path) -> None:
    path = tmp_path / "security.toml"
    assert SecuritySettings().proof_policy == ProofPolicy("always", False, True)
    path.write_text('prove_cards = "before-keys"\nrequire_proof = true\nold_cards_may_decline = false\n')
    policy = SecuritySettings.load(path).proof_policy
    assert policy == ProofPolicy("before-keys", True, False) and policy.challenges_every_card
    path.write_text('require_proof = "yes, please"\n')
    with pytest.raises(ConfigurationError):
        SecuritySettings.load(path)
