"""The verdict: every check by itself, then one decision by the site's policy. Nothing is read or sent here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cardio.bilingual import Bilingual
from cardio.identity import data_checks, proof_checks
from cardio.identity.facts import FactFinding, Facts, NotDoneError, not_done
from cardio.identity.loss_list import LossList
from cardio.identity.model import (
    CheckName,
    CheckResult,
    ChipUsed,
    Decision,
    LossListUsed,
    Outcome,
    PolicyUsed,
    Verdict,
    VerifiedCard,
    Weight,
)
from cardio.identity.policy import NEVER_IGNORED, Policy
from cardio.identity.proofs import ChipProof, CodeProof, HolderProof
from cardio.models.reading import CardReading


@dataclass(frozen=True, slots=True)
class IdentityCheck:
    """One check: its name, its title, and its function."""

    name: CheckName
    title: Bilingual
    judge: Callable[[Facts], FactFinding]


CHECKS = (
    IdentityCheck(CheckName.CHIP_GENUINE, Bilingual("芯片真伪", "genuine chip"), proof_checks.chip_genuine),
    IdentityCheck(
        CheckName.IDENTIFICATION_CODE,
        Bilingual("卡识别码的认证码", "authentication code of the identification code"),
        proof_checks.identification_code,
    ),
    IdentityCheck(
        CheckName.IDENTIFICATION_CODE_REGION,
        Bilingual("卡识别码的结构", "structure of the identification code"),
        data_checks.identification_code_region,
    ),
    IdentityCheck(
        CheckName.CARD_NUMBER, Bilingual("卡号校验位", "check character of the card number"), data_checks.card_number
    ),
    IdentityCheck(CheckName.CARD_DATES, Bilingual("卡片有效期", "card within its dates"), data_checks.card_dates),
    IdentityCheck(CheckName.LOSS_LIST, Bilingual("挂失名单", "not reported lost"), proof_checks.loss_list),
    IdentityCheck(CheckName.HOLDER_PIN, Bilingual("持卡人密码", "holder proved by PIN"), proof_checks.holder_pin),
    IdentityCheck(CheckName.NAME, Bilingual("姓名格式", "name well formed"), data_checks.name),
    IdentityCheck(
        CheckName.ID_NUMBER,
        Bilingual("社会保障号码校验位", "check digit of the social security number"),
        data_checks.id_number,
    ),
    IdentityCheck(
        CheckName.BIRTH_DATE, Bilingual("出生日期与号码", "date of birth against the number"), data_checks.birth_date
    ),
    IdentityCheck(CheckName.SEX, Bilingual("性别与号码", "sex against the number"), data_checks.sex),
    IdentityCheck(
        CheckName.REGION_OF_ID, Bilingual("号码的行政区划", "region of the number"), data_checks.region_of_id
    ),
)
"""Every check, in the order in which they are shown."""

DECISIONS = {
    Decision.VERIFIED: Bilingual("核验通过", "verified"),
    Decision.NOT_VERIFIED: Bilingual("未能核验", "not verified"),
    Decision.REFUSED: Bilingual("拒绝", "refused"),
}


def verify(
    reading: CardReading,
    chip: ChipProof,
    code: CodeProof,
    holder: HolderProof,
    policy: Policy,
    loss_list: LossList | None,
    now: datetime,
) -> Verdict:
    """Judge one card.

    Args:
        reading: the reading of the card.
        chip: the proof of the chip, or why there is none.
        code: the proof of the identification code, or why there is none.
        holder: the proof of the holder, or why there is none.
        policy: the site's policy.
        loss_list: the loss list; None where the site has none.
        now: the time, with its zone.

    Raises:
        ValueError: ``now`` has no zone.
    """
    if now.utcoffset() is None:
        raise ValueError("now must have a zone")
    facts = Facts(reading, chip, code, holder, policy, loss_list, now)
    checks = tuple(_result(check, facts) for check in CHECKS)
    decision = decide(checks)
    title = DECISIONS[decision]
    card = reading.card
    return Verdict(
        reader=reading.reader,
        simulated=reading.simulated,
        time=now.astimezone(UTC),
        verdict=decision,
        title=title.zh,
        title_en=title.en,
        card=VerifiedCard(
            identification_code=card.identification_code, card_number=card.card_number, region=card.region
        ),
        chip=ChipUsed(algorithm=chip.algorithm, sam=chip.sam, test_keys=chip.test_keys),
        checks=checks,
        policy=PolicyUsed(name=policy.name, origin=policy.origin),
        loss_list=None if loss_list is None else _used(loss_list, now),
    )


def decide(checks: Sequence[CheckResult]) -> Decision:
    """Return one decision for all checks.

    A failed required check refuses the card. A forged chip or a lost card refuses it whatever their weight. For
    ``verified`` every required check must have passed, and none of the other checks that were made may have failed.
    """
    failures = [check for check in checks if check.outcome is Outcome.FAILED]
    if any(check.weight is Weight.REQUIRED or check.check in NEVER_IGNORED for check in failures):
        return Decision.REFUSED
    required = [check for check in checks if check.weight is Weight.REQUIRED]
    if failures or not required or any(check.outcome is not Outcome.PASSED for check in required):
        return Decision.NOT_VERIFIED
    return Decision.VERIFIED


def _result(check: IdentityCheck, facts: Facts) -> CheckResult:
    weight = facts.policy.checks[check.name]
    if weight is Weight.IGNORED:
        finding = not_done("本单位的策略不核对此项", "this site's policy leaves it out")
    else:
        try:
            finding = check.judge(facts)
        except NotDoneError as missing:
            finding = missing.finding
    return CheckResult(
        check=check.name,
        title=check.title.zh,
        title_en=check.title.en,
        outcome=finding.outcome,
        weight=weight,
        detail=finding.words.zh,
        detail_en=finding.words.en,
        driver_code=finding.driver_code,
    )


def _used(loss_list: LossList, now: datetime) -> LossListUsed:
    age = max(loss_list.age(now) // timedelta(hours=1), 0)
    return LossListUsed(origin=loss_list.origin, updated=loss_list.updated, age_hours=age, entries=loss_list.entries)
