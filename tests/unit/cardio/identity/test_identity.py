"""The identity verdict over one good card (which the other tests share), and what was proved with keys and PIN."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from cardio.bilingual import Bilingual
from cardio.card.runner import read_card
from cardio.filesystem.capabilities import CapabilityCache
from cardio.identity import (
    CHECKS,
    CheckName,
    ChipProof,
    CodeProof,
    Decision,
    HolderProof,
    LossList,
    Policy,
    Verdict,
    Weight,
    default_policy,
    verify,
)
from cardio.models.base import CodedValue, Region
from cardio.models.reading import Card, CardReading, Derived, Holder, Unread, Warning
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.conftest import TODAY

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
CODE = "430200D1560000050000001300000000"
# 11010519491231002X is the published example of GB 11643, D2143569X that of V2.0 appendix A.
CARD = Card(
    generation=2,
    algorithm="3DES",
    atr="3B6D00000081314731865043020000000013",
    historical_bytes=None,
    region=Region(code="430200", name="湖南省株洲市"),
    identification_code=CODE,
    card_class=None,
    spec_version="2.00",
    issuer_number=None,
    issue_date=date(2016, 5, 20),
    expiry_date=date(2036, 5, 20),
    card_number="D2143569X",
)
HOLDER = Holder(
    social_security_number="11010519491231002X",
    name="测试甲",
    sex=CodedValue(code="2", label="女", label_en="female"),
    ethnic_group=None,
    birthplace=None,
    birth_date=date(1949, 12, 31),
    nationality=None,
    residence=None,
    household_registration=None,
)
READING = CardReading(
    reader="r",
    simulated=False,
    card=CARD,
    holder=HOLDER,
    derived=Derived(age=76, citizen=True, days_to_expiry=3467),
    unread=(),
    warnings=(),
)
GENUINE = ChipProof("genuine", algorithm="3DES", sam="psam")
RIGHT = CodeProof("right")
PROVED = HolderProof("proved")
FRESH = LossList(datetime(2026, 11, 22, 0, 0, tzinfo=UTC))
EVERYTHING = Policy(name="everything", max_loss_list_age_hours=24, checks={name: Weight.REQUIRED for name in CheckName})
WHY = Bilingual("未插 PSAM 卡", "no PSAM card")


def judged(
    reading: CardReading = READING,
    *,
    chip: ChipProof = GENUINE,
    code: CodeProof = RIGHT,
    holder: HolderProof = PROVED,
    policy: Policy = EVERYTHING,
    loss_list: LossList | None = FRESH,
    now: datetime = NOW,
) -> Verdict:
    return verify(reading, chip, code, holder, policy, loss_list, now)


def outcome(verdict: Verdict, check: str) -> str:
    return next(str(one.outcome) for one in verdict.checks if one.check == check)


def detail(verdict: Verdict, check: str) -> str:
    return next(one.detail + " " + one.detail_en for one in verdict.checks if one.check == check)


def with_card(**changes: Any) -> CardReading:
    return READING.model_copy(update={"card": CARD.model_copy(update=changes)})


def with_holder(**changes: Any) -> CardReading:
    return READING.model_copy(update={"holder": HOLDER.model_copy(update=changes)})


def with_policy(checks: Mapping[str, str] | None = None, **changes: Any) -> Policy:
    weights: dict[str, str] = {str(name): "required" for name in CheckName} | dict(checks or {})
    return Policy.model_validate({"name": "own", "max_loss_list_age_hours": 24, "checks": weights, **changes})


def unread(file: str, item: str | None, reason: str, text: str = "细节", code: int | None = -27010) -> Unread:
    return Unread(
        file=file,
        item=item,
        reason=reason,
        detail=text,
        detail_en="why",
        driver_code=code,
        remedy="办法",
        remedy_en="do",
    )


def warned(code: str, item: str) -> tuple[Warning, ...]:
    return (Warning(code=code, item=item, detail="19491231", detail_en="19491231"),)


def sex_code(code: str) -> CodedValue:
    return CodedValue(code=code, label=None, label_en=None)


def test_a_good_card_passes_every_check_and_is_verified() -> None:
    verdict = judged()
    assert [(str(one.check), str(one.outcome)) for one in verdict.checks] == [(name, "passed") for name in CheckName]
    assert (verdict.verdict, verdict.title) == (Decision.VERIFIED, "核验通过")
    assert detail(verdict, "chip-genuine") == (
        "内部认证通过（3DES，PSAM 卡） internal authentication succeeded (3DES, PSAM card)"
    )


def test_each_check_is_in_the_table_once_with_words_in_both_languages() -> None:
    assert [check.name for check in CHECKS] == list(CheckName)
    for check in CHECKS:
        assert any("\u4e00" <= c <= "\u9fff" for c in check.title.zh) and check.title.en.isascii()


@pytest.mark.parametrize(
    ("proofs", "check", "expected", "code"),
    [
        ({"chip": ChipProof("forged", algorithm="SM4", sam="hsm")}, "chip-genuine", "failed", -21),
        ({"chip": ChipProof("not-done", reason=WHY, driver_code=-2201)}, "chip-genuine", "not-done", -2201),
        ({"chip": ChipProof("genuine")}, "chip-genuine", "passed", None),
        ({"code": CodeProof("wrong")}, "identification-code", "failed", None),
        ({"code": CodeProof("not-computed-by-issuer")}, "identification-code", "not-done", None),
        ({"code": CodeProof("not-done", reason=WHY, driver_code=-24)}, "identification-code", "not-done", -24),
        ({"holder": HolderProof("failed")}, "holder-pin", "failed", -51),
        ({"holder": HolderProof("not-done", reason=WHY)}, "holder-pin", "not-done", None),
    ],
)
def test_what_was_proved(proofs: dict[str, Any], check: str, expected: str, code: int | None) -> None:
    verdict = judged(**proofs)
    assert outcome(verdict, check) == expected
    assert next(one.driver_code for one in verdict.checks if one.check == check) == code
    if expected == "not-done" and "issuer" not in detail(verdict, check):
        assert detail(verdict, check) == "未插 PSAM 卡 no PSAM card"


@pytest.mark.parametrize("make", [ChipProof, CodeProof, HolderProof])
def test_what_was_not_done_says_why(make: Any) -> None:
    for reason in (None, Bilingual("", ""), Bilingual("未做", "")):
        with pytest.raises(ValueError, match="reason"):
            make("not-done", reason=reason)


def test_test_keys_prove_nothing_either_way() -> None:
    for proof in ("genuine", "forged"):
        verdict = judged(chip=ChipProof(proof, algorithm="3DES", sam="soft", test_keys=True))
        assert outcome(verdict, "chip-genuine") == outcome(verdict, "identification-code") == "not-done"
        assert "测试密钥" in detail(verdict, "chip-genuine")
        assert (verdict.verdict, verdict.chip.test_keys) == (Decision.NOT_VERIFIED, True)
    assert outcome(judged(code=CodeProof("right", test_keys=True)), "identification-code") == "not-done"
    assert outcome(judged(code=CodeProof("wrong", test_keys=True)), "identification-code") == "not-done"


def test_a_laboratory_may_accept_test_keys_and_the_answer_says_so() -> None:
    laboratory = with_policy(accept_test_keys=True)
    verdict = judged(chip=ChipProof("genuine", "3DES", "soft", test_keys=True), policy=laboratory)
    assert verdict.verdict is Decision.VERIFIED and verdict.chip.test_keys
    assert "测试密钥" in detail(verdict, "chip-genuine") and "test keys" in detail(verdict, "chip-genuine")
    forged = judged(chip=ChipProof("forged", "3DES", "soft", test_keys=True), policy=laboratory)
    assert forged.verdict is Decision.REFUSED


def shown(persona: str, **changes: Any) -> dict[str, str]:
    reading = read_card(
        SoftwareReader("r", find_persona(persona).card()), capabilities=CapabilityCache(None), today=TODAY
    )
    verdict = judged(reading, policy=default_policy(), **changes)
    return {"": str(verdict.verdict), **{str(one.check): str(one.outcome) for one in verdict.checks}}


def test_software_cards_by_the_shipped_policy() -> None:
    adult = shown("adult", code=CodeProof("not-computed-by-issuer"))
    assert adult[""] == "verified" and adult["region-of-id"] == adult["identification-code"] == "not-done"
    assert shown("adult", loss_list=None)[""] == "not-verified"
    assert shown("third-generation")[""] == "verified"
    closed = shown("third-closed")
    assert (closed[""], closed["name"], closed["card-dates"]) == ("not-verified", "not-done", "passed")
    foreigner = shown("foreigner")
    assert (foreigner[""], foreigner["name"], foreigner["id-number"]) == ("not-verified", "passed", "not-done")
    field = shown("field")
    assert (field["card-dates"], field["birth-date"], field["name"]) == ("not-done", "not-done", "passed")
    for persona in ("rare-name", "long-name", "first-generation", "child"):
        assert shown(persona)["name"] == "passed"
