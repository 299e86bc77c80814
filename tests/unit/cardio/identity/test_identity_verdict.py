"""One word for all checks: what may never be said, whatever the card, the proofs and the policy."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.bilingual import Bilingual
from cardio.identity import CheckName, ChipProof, CodeProof, Decision, HolderProof, LossList, Policy, Verdict
from cardio.models.reading import CardReading
from tests.unit.cardio.identity.test_identity import (
    CARD,
    CODE,
    FRESH,
    GENUINE,
    HOLDER,
    NOW,
    PROVED,
    READING,
    RIGHT,
    judged,
    outcome,
    unread,
    warned,
    with_card,
    with_holder,
    with_policy,
)

WHY = Bilingual("无", "none")

# What each check must have seen before it can say "passed": by hand, beside the code.
NEEDS: dict[str, set[str]] = {
    "chip-genuine": {"chip"},
    "identification-code": {"identification_code", "code"},
    "identification-code-region": {"identification_code"},
    "card-number": {"card_number"},
    "card-dates": {"issue_date", "expiry_date"},
    "loss-list": {"identification_code", "list"},
    "holder-pin": {"pin"},
    "name": {"name"},
    "id-number": {"social_security_number"},
    "birth-date": {"social_security_number", "birth_date"},
    "sex": {"social_security_number", "sex"},
    "region-of-id": {"social_security_number"},
}
OF_CARD = ("identification_code", "card_number", "issue_date", "expiry_date")
OF_HOLDER = ("social_security_number", "name", "birth_date", "sex")
FACTS = (*OF_CARD, *OF_HOLDER, "holder", "chip", "code", "pin", "list")
WEIGHTS = st.fixed_dictionaries(
    {name: st.sampled_from(["required", "optional", "ignored"]) for name in CheckName}
    | {name: st.sampled_from(["required", "optional"]) for name in (CheckName.CHIP_GENUINE, CheckName.LOSS_LIST)}
).filter(lambda weights: "required" in weights.values())
POLICIES = st.builds(
    lambda weights, test_keys: with_policy(weights, accept_test_keys=test_keys), WEIGHTS, st.booleans()
)


def lacking(missing: set[str]) -> CardReading:
    holder = HOLDER.model_copy(update={name: None for name in OF_HOLDER if name in missing})
    return READING.model_copy(
        update={
            "card": CARD.model_copy(update={name: None for name in OF_CARD if name in missing}),
            "holder": None if "holder" in missing else holder,
        }
    )


@given(
    missing=st.sets(st.sampled_from(FACTS)),
    why=st.lists(st.sampled_from(["needs-key", "missing", "undecodable"]), max_size=2),
    policy=POLICIES,
)
def test_nothing_is_passed_that_was_not_done(missing: set[str], why: list[str], policy: Policy) -> None:
    reading = lacking(missing).model_copy(update={"unread": tuple(unread("SSSE/EF06", None, one) for one in why)})
    verdict = judged(
        reading,
        chip=ChipProof("not-done", reason=WHY) if "chip" in missing else GENUINE,
        code=CodeProof("not-done", reason=WHY) if "code" in missing else RIGHT,
        holder=HolderProof("not-done", reason=WHY) if "pin" in missing else PROVED,
        loss_list=None if "list" in missing else FRESH,
        policy=policy,
    )
    gone = missing | (set(OF_HOLDER) if "holder" in missing else set())
    for one in verdict.checks:
        if NEEDS[one.check] & gone or one.weight == "ignored":
            assert one.outcome != "passed", one.check
        assert one.detail and one.detail_en
    consistent(verdict)


NAMES = st.none() | st.text(max_size=20)
READINGS = st.builds(
    lambda card, holder, code, item: READING.model_copy(
        update={
            "card": CARD.model_copy(update=card),
            "holder": None if holder is None else HOLDER.model_copy(update=holder),
            "warnings": warned(code, item),
        }
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "identification_code": st.none() | st.just(CODE) | st.text("0123456789ABCDEF", max_size=34),
            "card_number": st.none() | st.text(max_size=10),
            "issue_date": st.none() | st.dates(),
            "expiry_date": st.none() | st.dates(),
            "generation": st.sampled_from([1, 2, 3]),
        },
    ),
    st.none()
    | st.fixed_dictionaries(
        {},
        optional={
            "social_security_number": NAMES | st.from_regex(r"[1-9][0-9]{16}[0-9Xx]", fullmatch=True),
            "name": NAMES,
            "birth_date": st.none() | st.dates(),
        },
    ),
    st.sampled_from(["control-characters", "corrupt-data", "expired"]),
    st.sampled_from([*OF_CARD, *OF_HOLDER]),
)
CHIPS = st.builds(ChipProof, st.sampled_from(["genuine", "forged"]), test_keys=st.booleans()) | st.just(
    ChipProof("not-done", reason=WHY)
)
CODES = st.builds(
    CodeProof, st.sampled_from(["right", "wrong", "not-computed-by-issuer"]), test_keys=st.booleans()
) | st.just(CodeProof("not-done", reason=WHY))
PINS = st.sampled_from([PROVED, HolderProof("failed"), HolderProof("not-done", reason=WHY)])
LISTS = st.none() | st.builds(
    LossList,
    st.datetimes(datetime(2026, 11, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),
    codes=st.sampled_from([frozenset(), frozenset({CODE[:24]})]),
)


def consistent(verdict: Verdict) -> None:
    """What each verdict promises, and what it may not be given for."""
    required = {one.outcome for one in verdict.checks if one.weight == "required"}
    failures = {str(one.check) for one in verdict.checks if one.outcome == "failed"}
    if verdict.verdict is Decision.VERIFIED:
        assert required == {"passed"} and not failures
    if "failed" in required or failures & {"chip-genuine", "loss-list"}:
        assert verdict.verdict is Decision.REFUSED
    elif "not-done" in required:
        assert verdict.verdict is Decision.NOT_VERIFIED


@given(reading=READINGS, chip=CHIPS, code=CODES, pin=PINS, listed=LISTS, policy=POLICIES)
def test_any_card_gets_a_verdict_that_keeps_its_promises(
    reading: CardReading, chip: ChipProof, code: CodeProof, pin: HolderProof, listed: LossList | None, policy: Policy
) -> None:
    verdict = judged(reading, chip=chip, code=code, holder=pin, loss_list=listed, policy=policy)
    consistent(verdict)
    if chip.outcome == "forged" and (policy.accept_test_keys or not chip.test_keys):
        assert verdict.verdict is Decision.REFUSED
    if chip.test_keys and not policy.accept_test_keys:
        assert outcome(verdict, "chip-genuine") == "not-done"
    if listed is not None and listed.codes and (reading.card.identification_code or "").startswith(CODE[:24]):
        assert verdict.verdict is Decision.REFUSED


@given(reading=READINGS, policy=POLICIES)
def test_the_verdict_says_nothing_of_the_holder(reading: CardReading, policy: Policy) -> None:
    canaries = {"name": "测试金丝雀", "social_security_number": "119900197708090027", "birth_date": date(1977, 8, 9)}
    holder = HOLDER.model_copy(update=canaries)
    text = judged(reading.model_copy(update={"holder": holder}), policy=policy).model_dump_json()
    assert "金丝雀" not in text and "1199001977" not in text and "1977-08-09" not in text and "19770809" not in text


BAD: dict[str, dict[str, Any]] = {
    "chip-genuine": {"chip": ChipProof("forged")},
    "identification-code": {"code": CodeProof("wrong")},
    "identification-code-region": {"reading": with_card(identification_code="430200D15600000400000013FFFFFFFF")},
    "card-number": {"reading": with_card(card_number="D21435690")},
    "card-dates": {"reading": with_card(expiry_date=date(2020, 1, 1))},
    "loss-list": {"loss_list": LossList(NOW, codes=frozenset({CODE[:24]}))},
    "holder-pin": {"holder": HolderProof("failed")},
    "name": {"reading": with_holder(name="测试1")},
    "id-number": {"reading": with_holder(social_security_number="110105194912310021")},
    "birth-date": {"reading": with_holder(birth_date=date(1950, 1, 1))},
    "sex": {"reading": with_holder(sex=HOLDER.sex.model_copy(update={"code": "1"}) if HOLDER.sex else None)},
}
UNDONE: dict[str, dict[str, Any]] = {
    "chip-genuine": {"chip": ChipProof("not-done", reason=WHY)},
    "identification-code": {"code": CodeProof("not-computed-by-issuer")},
    "identification-code-region": {"reading": with_card(identification_code="439900D15600000500000013FFFFFFFF")},
    "card-number": {"reading": with_card(card_number=None)},
    "card-dates": {"reading": with_card(expiry_date=None)},
    "loss-list": {"loss_list": None},
    "holder-pin": {"holder": HolderProof("not-done", reason=WHY)},
    "sex": {"reading": with_holder(sex=None)},
    "birth-date": {"reading": with_holder(birth_date=None)},
}


@pytest.mark.parametrize(("check", "weight"), [*product(BAD, ("required", "optional"))])
def test_a_check_that_fails_refuses_or_at_least_keeps_verified_away(check: str, weight: str) -> None:
    verdict = judged(**BAD[check], policy=with_policy({check: weight}))
    assert [str(one.check) for one in verdict.checks if one.outcome == "failed"] == [check]
    always = check in ("chip-genuine", "loss-list")
    assert verdict.verdict == ("refused" if weight == "required" or always else "not-verified")


@pytest.mark.parametrize(("check", "weight"), [*product(UNDONE, ("required", "optional"))])
def test_a_check_that_is_not_done_matters_where_it_is_required(check: str, weight: str) -> None:
    verdict = judged(**UNDONE[check], policy=with_policy({check: weight}))
    assert [str(one.check) for one in verdict.checks if one.outcome != "passed"] == [check]
    assert verdict.verdict == ("not-verified" if weight == "required" else "verified")


@pytest.mark.parametrize("check", [check for check in BAD if check not in ("chip-genuine", "loss-list")])
def test_a_check_that_is_ignored_is_left_out_and_said_to_be(check: str) -> None:
    for facts in (BAD[check], {}):
        verdict = judged(**facts, policy=with_policy({check: "ignored"}))
        left_out = next(one for one in verdict.checks if one.check == check)
        assert (left_out.outcome, left_out.detail) == ("not-done", "本单位的策略不核对此项")
        assert verdict.verdict is Decision.VERIFIED


def test_the_answer_whole() -> None:
    listed = LossList(datetime(2026, 11, 22, 0, 30, tzinfo=UTC), codes=frozenset({"0" * 24}), origin="lost.txt")
    document = judged(loss_list=listed, now=NOW + timedelta(seconds=1)).model_dump(mode="json")
    assert document.pop("checks")[0] == {
        "check": "chip-genuine",
        "title": "芯片真伪",
        "title_en": "genuine chip",
        "outcome": "passed",
        "weight": "required",
        "detail": "内部认证通过（3DES，PSAM 卡）",
        "detail_en": "internal authentication succeeded (3DES, PSAM card)",
        "driver_code": None,
    }
    assert document == {
        "reader": "r",
        "simulated": False,
        "time": "2026-11-22T03:00:01Z",
        "verdict": "verified",
        "title": "核验通过",
        "title_en": "verified",
        "card": {
            "identification_code": CODE,
            "card_number": "D2143569X",
            "region": {"code": "430200", "name": "湖南省株洲市"},
        },
        "chip": {"algorithm": "3DES", "sam": "psam", "test_keys": False},
        "policy": {"name": "everything", "origin": ""},
        "loss_list": {"origin": "lost.txt", "updated": "2026-11-22T00:30:00Z", "age_hours": 2, "entries": 1},
    }
    assert judged(loss_list=None).loss_list is None
