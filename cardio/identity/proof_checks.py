"""The checks that depend on keys, on the PIN and on the loss list."""

from __future__ import annotations

import re
from datetime import timedelta

from cardio.bilingual import Bilingual
from cardio.identity.facts import FactFinding, Facts, NotDoneError, failed, not_done, passed
from cardio.identity.proofs import ChipProof, CodeProof, HolderProof
from cardio.security.errors import ForgedCardError, ProofDeclinedError, WrongPinError
from cardio.security.proof import words_for_means

_WHOLE_CODE = re.compile(r"[0-9A-F]{32}")
_WHOLE_NUMBER = re.compile(r"[0-9A-Z]{9}")
_CLOCK_SKEW = timedelta(minutes=10)
"""The greatest difference of two clocks that are both right."""


def chip_genuine(facts: Facts) -> FactFinding:
    """Judge internal authentication: whether it was made, and whether it proves anything."""
    proof = facts.chip
    if proof.outcome == "not-done":
        return _reason(proof)
    if proof.outcome == "declined":
        declined = proof.reason or Bilingual(ProofDeclinedError.title, ProofDeclinedError.title_en)
        return failed(declined.zh, declined.en, ProofDeclinedError.driver_code)
    _refuse_test_keys(proof.test_keys, facts)
    by, by_en = words_for_means(proof.algorithm, proof.sam, test_keys=proof.test_keys)
    if proof.outcome == "genuine":
        return passed(f"内部认证通过{by}", f"internal authentication succeeded{by_en}")
    code = proof.driver_code if proof.driver_code is not None else ForgedCardError.driver_code
    return failed(f"芯片真伪核验未通过，疑似伪卡{by}", f"internal authentication failed: not genuine{by_en}", code)


def identification_code(facts: Facts) -> FactFinding:
    """Check the 认证码 of the 卡识别码 (V2.0 table 10)."""
    facts.of_card(facts.reading.card.identification_code, "identification_code")
    proof = facts.code
    match proof.outcome:
        case "not-done":
            return _reason(proof)
        case "not-computed-by-issuer":
            return not_done("发卡机构未计算认证码（FFFFFFFF）", "the issuer did not compute it (FFFFFFFF)")
    # The SAM that computes the code also proves the chip: its test keys prove nothing here either.
    _refuse_test_keys(proof.test_keys or facts.chip.test_keys, facts)
    if proof.outcome == "right":
        return passed("认证码正确", "the code is right")
    return failed("认证码不正确", "the code is wrong", proof.driver_code)


def loss_list(facts: Facts) -> FactFinding:
    """Check that the card is not reported lost. A listed card is refused even if the list is old."""
    listed, card = facts.loss_list, facts.reading.card
    if listed is None:
        return not_done("未配置挂失名单", "this site has no loss list")
    age = listed.age(facts.now)
    when = f"名单更新于 {listed.updated.isoformat(' ', 'minutes')}"
    when_en = f"list of {listed.updated.isoformat(' ', 'minutes')}"
    if listed.contains(card):
        return failed(f"该卡已挂失（{when}）", f"the card is reported lost ({when_en})")
    if age > timedelta(hours=facts.policy.max_loss_list_age_hours):
        limit = facts.policy.max_loss_list_age_hours
        hours = age // timedelta(hours=1)
        return not_done(
            f"挂失名单过旧：{hours} 小时前更新，时限 {limit} 小时（{when}）",
            f"the list is too old: {hours} hours, and the limit is {limit} ({when_en})",
        )
    if age < -_CLOCK_SKEW:
        return not_done(
            f"挂失名单的更新时间晚于现在，请核对时钟（{when}）",
            f"the list is of the future: check the clock ({when_en})",
        )
    code = facts.of_card(card.identification_code, "identification_code")
    if _WHOLE_CODE.fullmatch(code) is None:
        return not_done("卡识别码不完整，无法与名单比对", "the identification code is not whole: it cannot be compared")
    if listed.numbers and _WHOLE_NUMBER.fullmatch(facts.of_card(card.card_number, "card_number")) is None:
        return not_done("卡号不完整，无法与名单比对", "the card number is not whole: it cannot be compared")
    return passed(f"不在挂失名单中（{when}）", f"not on the loss list ({when_en})")


def holder_pin(facts: Facts) -> FactFinding:
    """Check that the bearer of the card knows its PIN."""
    proof = facts.holder_proof
    match proof.outcome:
        case "proved":
            return passed("持卡人密码正确", "the holder's PIN was right")
        case "failed":
            code = proof.driver_code if proof.driver_code is not None else WrongPinError.driver_code
            return failed("持卡人密码错误", "the PIN was wrong", code)
    return _reason(proof)


def _reason(proof: ChipProof | CodeProof | HolderProof) -> FactFinding:
    zh, en = proof.reason or ("未核对", "not done")
    return not_done(zh, en, proof.driver_code)


def _refuse_test_keys(test_keys: bool, facts: Facts) -> None:
    """Check that test keys are allowed: with them a forged card looks genuine, and a genuine one forged."""
    if test_keys and not facts.policy.accept_test_keys:
        raise NotDoneError(not_done("使用的是测试密钥，不能证明卡片真伪", "made with test keys, which prove nothing"))
