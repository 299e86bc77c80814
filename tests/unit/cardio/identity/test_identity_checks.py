"""What stands on the card, judged by itself: each check in both directions, and when it is not done at all."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from cardio.identity import Decision
from cardio.models.reading import Derived
from tests.unit.cardio.identity.test_identity import (
    CODE,
    READING,
    detail,
    judged,
    outcome,
    sex_code,
    unread,
    warned,
    with_card,
    with_holder,
    with_policy,
)

CARD_CASES = [
    # V2.0 table 10: city code, D156000005, serial, 认证码.
    ("identification-code-region", {"identification_code": "430200D15600000400000013FFFFFFFF"}, "failed"),
    ("identification-code-region", {"identification_code": "430200D15600000500000013"}, "failed"),
    ("identification-code-region", {"identification_code": "430299D15600000500000013FFFFFFFF"}, "not-done"),
    ("identification-code-region", {"identification_code": "439900D15600000500000013FFFFFFFF"}, "not-done"),
    ("identification-code-region", {"identification_code": "110100D15600000500000013FFFFFFFF"}, "passed"),
    ("identification-code-region", {"identification_code": "119901D15600000500000013FFFFFFFF"}, "not-done"),
    ("identification-code-region", {"identification_code": None}, "not-done"),
    ("identification-code", {"identification_code": None}, "not-done"),
    ("card-number", {"card_number": "D21435690"}, "failed"),
    ("card-number", {"card_number": "D2143569"}, "failed"),
    ("card-number", {"card_number": "B00000131"}, "passed"),
    ("card-number", {"card_number": None}, "not-done"),
    ("card-dates", {"issue_date": date(2026, 11, 22)}, "passed"),
    ("card-dates", {"issue_date": date(2026, 11, 23)}, "failed"),
    ("card-dates", {"expiry_date": date(2026, 11, 22)}, "passed"),
    ("card-dates", {"expiry_date": date(2026, 11, 21)}, "failed"),
    ("card-dates", {"expiry_date": date(9999, 12, 31)}, "passed"),
    ("card-dates", {"expiry_date": None}, "not-done"),
    ("card-dates", {"issue_date": None}, "not-done"),
    ("card-dates", {"issue_date": None, "expiry_date": date(2020, 1, 1)}, "failed"),
    ("card-dates", {"issue_date": date(2027, 1, 1), "expiry_date": None}, "failed"),
    ("loss-list", {"identification_code": None}, "not-done"),
    ("loss-list", {"identification_code": CODE[:-2]}, "not-done"),
]


@pytest.mark.parametrize(("check", "changes", "expected"), CARD_CASES)
def test_what_stands_in_the_issuers_file(check: str, changes: dict[str, Any], expected: str) -> None:
    assert outcome(judged(with_card(**changes)), check) == expected


HOLDER_CASES = [
    ("id-number", {"social_security_number": "110105194912310021"}, "failed"),
    ("id-number", {"social_security_number": "11010519491231002x"}, "passed"),
    ("id-number", {"social_security_number": "DEU000000TESTCARD5"}, "not-done"),
    ("id-number", {"social_security_number": "911124198108030024"}, "not-done"),
    ("id-number", {"social_security_number": "110105491231002"}, "not-done"),
    ("id-number", {"social_security_number": None}, "not-done"),
    ("birth-date", {"birth_date": date(1949, 12, 30)}, "failed"),
    ("birth-date", {"birth_date": None}, "not-done"),
    ("birth-date", {"social_security_number": None}, "not-done"),
    ("birth-date", {"social_security_number": "DEU000000TESTCARD5"}, "not-done"),
    # Digits 7 to 14 are compared whatever the check digit.
    ("birth-date", {"social_security_number": "110105194912310021"}, "passed"),
    ("birth-date", {"social_security_number": "110105204912310021", "birth_date": date(2049, 12, 31)}, "failed"),
    ("sex", {"sex": sex_code("1")}, "failed"),
    ("sex", {"sex": sex_code("1"), "social_security_number": "110105194912310039"}, "passed"),
    ("sex", {"sex": sex_code("9")}, "not-done"),
    ("sex", {"sex": sex_code("0")}, "not-done"),
    ("sex", {"sex": None}, "not-done"),
    ("sex", {"social_security_number": None}, "not-done"),
    ("sex", {"social_security_number": "DEU000000TESTCARD5"}, "not-done"),
    ("region-of-id", {"social_security_number": "110103194912310021"}, "passed"),  # 崇文区, until 2009
    ("region-of-id", {"social_security_number": "119900197708090027"}, "not-done"),
    ("region-of-id", {"social_security_number": "119901197708090027"}, "not-done"),
    ("region-of-id", {"social_security_number": "DEU000000TESTCARD5"}, "not-done"),
    ("region-of-id", {"social_security_number": None}, "not-done"),
    ("name", {"name": "测\U0002cb3e㐂龴"}, "passed"),
    ("name", {"name": "测试热合曼·测试艾力"}, "passed"),
    ("name", {"name": "MUSTERMANN-BEISPIEL ERIKA TESTPERSON"}, "passed"),
    ("name", {"name": "〇"}, "passed"),
    ("name", {"name": "\U0002ebf0\ue863"}, "passed"),  # CJK extension I, which Python 3.11 does not know; private use
    ("name", {"name": "测试1"}, "failed"),
    ("name", {"name": "测试１"}, "failed"),
    ("name", {"name": "测\ufffd甲"}, "failed"),
    ("name", {"name": "测?甲"}, "failed"),
    ("name", {"name": "测□甲"}, "failed"),
    ("name", {"name": "测\u202e甲"}, "failed"),
    ("name", {"name": "测\x07甲"}, "failed"),
    ("name", {"name": "·"}, "failed"),
    ("name", {"name": None}, "failed"),
]


@pytest.mark.parametrize(("check", "changes", "expected"), HOLDER_CASES)
def test_what_stands_in_the_holders_file(check: str, changes: dict[str, Any], expected: str) -> None:
    assert outcome(judged(with_holder(**changes)), check) == expected


def test_days_are_those_of_china() -> None:
    # 16:00 UTC is midnight in Beijing.
    last_day = with_card(expiry_date=date(2026, 11, 22))
    before, after = datetime(2026, 11, 22, 15, 59, tzinfo=UTC), datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
    assert outcome(judged(last_day, now=before), "card-dates") == "passed"
    assert outcome(judged(last_day, now=after), "card-dates") == "failed"
    with pytest.raises(ValueError, match="zone"):
        judged(now=datetime(2026, 11, 22))


def test_a_policy_may_grant_days_of_grace() -> None:
    grace = with_policy(expiry_grace_days=30)
    assert outcome(judged(with_card(expiry_date=date(2026, 10, 23)), policy=grace), "card-dates") == "passed"
    assert "宽限" in detail(judged(with_card(expiry_date=date(2026, 10, 23)), policy=grace), "card-dates")
    assert outcome(judged(with_card(expiry_date=date(2026, 10, 22)), policy=grace), "card-dates") == "failed"


def test_a_foreigners_number_is_not_judged_by_the_rule_of_citizens() -> None:
    foreign = READING.model_copy(update={"derived": Derived(age=None, citizen=False, days_to_expiry=None)})
    verdict = judged(foreign)
    for check in ("id-number", "birth-date", "sex", "region-of-id"):
        assert outcome(verdict, check) == "not-done" and "公民身份号码" in detail(verdict, check)
    assert outcome(verdict, "name") == "passed"


def test_a_closed_holders_file_leaves_its_checks_undone_with_the_readings_reason() -> None:
    reading = READING.model_copy(
        update={"holder": None, "unread": (unread("SSSE/EF06", None, "needs-key", "6982 不满足安全条件", -2201),)}
    )
    verdict = judged(reading)
    for check in ("name", "id-number", "birth-date", "sex", "region-of-id"):
        assert outcome(verdict, check) == "not-done"
        assert detail(verdict, check) == "SSSE/EF06：6982 不满足安全条件。办法 SSSE/EF06: why. do"
    assert [one.driver_code for one in verdict.checks if one.check == "name"] == [-2201]
    assert verdict.verdict is Decision.NOT_VERIFIED


def test_the_reason_of_the_item_goes_before_that_of_its_file() -> None:
    both = (unread("SSSE/EF06", None, "card-error", "文件"), unread("SSSE/EF06", "name", "missing", "该项"))
    other = (unread("DF01/EF06", "name", "missing", "别处"),)
    reading = with_holder(name=None).model_copy(update={"unread": (*other, *both)})
    assert (outcome(judged(reading), "name"), "该项" in detail(judged(reading), "name")) == ("not-done", True)
    reading = with_card(card_number=None).model_copy(update={"unread": (unread("SSSE/EF05", None, "card-error"),)})
    assert "SSSE/EF05：细节" in detail(judged(reading), "card-number")


@pytest.mark.parametrize("reason", ["card-error", "garbled", "undecodable", "incomplete"])
def test_a_name_whose_rest_was_not_read_is_not_passed(reason: str) -> None:
    reading = READING.model_copy(update={"unread": (unread("SSSE/EF06", "name_extension", reason),)})
    assert outcome(judged(reading), "name") == "not-done"


def test_an_issuer_that_writes_no_name_extension_spoils_no_name() -> None:
    reading = READING.model_copy(update={"unread": (unread("SSSE/EF06", "name_extension", "missing"),)})
    assert outcome(judged(reading), "name") == "passed"


def test_control_characters_that_the_reading_left_out_still_count() -> None:
    reading = READING.model_copy(update={"warnings": warned("control-characters", "name")})
    assert outcome(judged(reading), "name") == "failed"


@pytest.mark.parametrize("code", ["cut-text", "full-text"])
def test_a_name_that_ends_where_its_field_does_is_not_passed(code: str) -> None:
    reading = READING.model_copy(update={"warnings": warned(code, "name")})
    assert outcome(judged(reading), "name") == "not-done"


@pytest.mark.parametrize(
    ("item", "check"),
    [
        ("identification_code", "identification-code-region"),
        ("identification_code", "identification-code"),
        ("identification_code", "loss-list"),
        ("card_number", "card-number"),
        ("issue_date", "card-dates"),
        ("expiry_date", "card-dates"),
        ("name", "name"),
        ("social_security_number", "id-number"),
        ("birth_date", "birth-date"),
        ("sex", "sex"),
        ("social_security_number", "region-of-id"),
    ],
)
def test_a_value_that_the_card_itself_doubts_is_not_judged(item: str, check: str) -> None:
    doubted = READING.model_copy(update={"warnings": warned("corrupt-data", item)})
    assert outcome(judged(doubted), check) == "not-done"
    expired = with_card(expiry_date=date(2020, 1, 1)).model_copy(update={"warnings": doubted.warnings})
    if check == "card-dates":
        assert outcome(judged(expired), check) == "not-done"


def test_reasons_quote_nothing_of_the_holders() -> None:
    partial = with_holder(birth_date=None).model_copy(update={"warnings": warned("partial-date", "birth_date")})
    garbled = (unread("SSSE/EF06", "birth_date", "undecodable", "出生日期：19491231"),)
    broken = with_holder(birth_date=None).model_copy(update={"unread": garbled})
    for reading, words in ((partial, "不完整"), (broken, "无法解读")):
        verdict = judged(reading)
        assert outcome(verdict, "birth-date") == "not-done" and words in detail(verdict, "birth-date")
        assert "1949" not in verdict.model_dump_json()
