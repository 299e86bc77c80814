"""The checks of the card's own data: numbers, dates, name."""

from __future__ import annotations

import re
from unicodedata import category

from cardio.filesystem.card_file_system import HOLDER_FILE, ISSUER_FILE
from cardio.filesystem.codec.check_digits import (
    SEX_CODES,
    birth_digits,
    card_number_fault,
    identity_number_fault,
    is_citizens_pattern,
    sex_code,
)
from cardio.filesystem.codes.tables import REGION_DIGITS, code_table
from cardio.filesystem.layouts.loader import layout_of
from cardio.identity.facts import FactFinding, Facts, NotDoneError, failed, not_done, of_unread, passed

_CODE = re.compile(r"[0-9A-F]{32}")
_CUT_SHORT = frozenset({"card-error", "garbled", "undecodable", "incomplete"})
"""The reasons for which the card may have more of a name than was read."""
_SUBSTITUTES = frozenset("\ufffd?？□〓")
"""The characters that programs write in place of a character that they do not know."""


def identification_code_region(facts: Facts) -> FactFinding:
    """Check the structure of 卡识别码 (V2.0 table 10): city code, the system's registered identifier, serial number."""
    code = facts.of_card(facts.reading.card.identification_code, "identification_code")
    file = layout_of(facts.reading.card.generation).file(ISSUER_FILE)
    fixed = next((item.fixed for item in file.items if item.name == "identification_code"), None) if file else None
    offset, content = fixed or (0, b"")
    if _CODE.fullmatch(code) is None:
        return failed("卡识别码不是 16 字节", "the identification code is not 16 bytes")
    if bytes.fromhex(code)[offset : offset + len(content)] != content:
        return failed("卡识别码中没有社会保障系统的注册标识", "it lacks the registered identifier of the system")
    region = code[:REGION_DIGITS]
    if not _is_known_region(region):
        return not_done(f"应用城市代码 {region} 不在 GB/T 2260 中", f"the city code {region} is not in GB/T 2260")
    return passed("应用城市代码和注册标识正确", "city code and registered identifier are right")


def card_number(facts: Facts) -> FactFinding:
    """Check the check character of the card number (V2.0 appendix A)."""
    fault = card_number_fault(facts.of_card(facts.reading.card.card_number, "card_number"))
    return failed(*fault) if fault else passed("卡号校验位正确", "the check character is right")


def card_dates(facts: Facts) -> FactFinding:
    """Check that the card is issued and not yet expired."""
    card, today, grace = facts.reading.card, facts.today, facts.policy.expiry_grace_days
    for item in ("issue_date", "expiry_date"):
        facts.refuse_corrupt(item)
    if card.issue_date is not None and card.issue_date > today:
        return failed(f"发卡日期 {card.issue_date} 晚于今天", f"issued on {card.issue_date}, after today")
    over = (today - card.expiry_date).days if card.expiry_date is not None else 0
    if over > grace:
        return failed(f"卡片已于 {card.expiry_date} 过期", f"expired on {card.expiry_date}")
    issued = facts.of_card(card.issue_date, "issue_date")
    expires = facts.of_card(card.expiry_date, "expiry_date")
    if over > 0:
        return passed(
            f"卡片已于 {expires} 过期，在宽限的 {grace} 天之内", f"expired on {expires}, within {grace} days of grace"
        )
    return passed(f"{issued} 至 {expires} 有效", f"good from {issued} to {expires}")


def name(facts: Facts) -> FactFinding:
    """Check that the name is plausible: letters of any script, and no trace of a failed conversion."""
    holder = facts.holder
    if facts.has_warning("control-characters", "name"):
        return failed("姓名中有控制字符", "there are control characters in the name")
    if holder.name is None and facts.unread(HOLDER_FILE, "name") is None:
        return failed("卡内姓名为空", "the card holds an empty name")
    text = facts.of_holder(holder.name, "name")
    kinds = {category(character) for character in text}
    if _SUBSTITUTES & set(text):
        return failed("姓名中有替代缺字的符号", "there is a sign in the name that stands for a lost character")
    if kinds & {"Nd", "No"}:
        return failed("姓名中有数字", "there is a digit in the name")
    if kinds & {"Cc", "Cf", "Zl", "Zp"}:
        return failed("姓名中有控制字符", "there are control characters in the name")
    # Newer characters for names are in no table of Python's yet (Cn), or have private code points (Co).
    if not any(kind[0] == "L" or kind in ("Cn", "Co", "Nl") for kind in kinds):
        return failed("姓名中没有文字", "there is no letter in the name")
    if facts.has_warning("cut-text", "name") or facts.has_warning("full-text", "name"):
        return not_done(
            "姓名写到数据项末尾为止，可能不完整，请对照证件", "the name ends where its field does: compare the document"
        )
    extension = facts.unread(HOLDER_FILE, "name_extension")
    if extension is not None and extension.reason in _CUT_SHORT:
        return of_unread(extension)
    return passed("姓名完整规范", "the name is well formed")


def id_number(facts: Facts) -> FactFinding:
    """Check the check digit of a citizen's number (GB 11643)."""
    fault = identity_number_fault(_citizens_number(facts))
    return failed(*fault) if fault else passed("校验位正确", "the check digit is right")


def birth_date(facts: Facts) -> FactFinding:
    """Compare the date of birth with digits 7 to 14 of a citizen's number."""
    born = facts.of_holder(facts.holder.birth_date, "birth_date")
    if born > facts.today:
        return failed("出生日期晚于今天", "the date of birth is in the future")
    if f"{born:%Y%m%d}" != birth_digits(_citizens_number(facts)):
        return failed("出生日期与社会保障号码不一致", "the date of birth differs from the number")
    return passed("出生日期与社会保障号码一致", "the date of birth agrees with the number")


def sex(facts: Facts) -> FactFinding:
    """Compare the sex with the seventeenth digit of a citizen's number."""
    stated = facts.of_holder(facts.holder.sex, "sex").code
    number = _citizens_number(facts)
    if stated not in SEX_CODES:
        return not_done("卡内性别未说明", "the card does not state the sex")
    if stated != sex_code(number):
        return failed("性别与社会保障号码不一致", "the sex differs from the number")
    return passed("性别与社会保障号码一致", "the sex agrees with the number")


def region_of_id(facts: Facts) -> FactFinding:
    """Check that a citizen's number begins with a present or former region code of GB/T 2260."""
    if not _is_known_region(_citizens_number(facts)[:REGION_DIGITS]):
        return not_done(
            "前六位不在现行和历史行政区划代码表中",
            "its first six digits are no region code, current or former, that is known",
        )
    return passed("前六位是行政区划代码", "its first six digits are a region code")


def _citizens_number(facts: Facts) -> str:
    """Return the citizen's number.

    Raises:
        NotDoneError: it was not read, or GB 11643 does not describe it.
    """
    number = facts.of_holder(facts.holder.social_security_number, "social_security_number")
    if facts.reading.derived.citizen is False or not is_citizens_pattern(number):
        raise NotDoneError(
            not_done(
                "不是公民身份号码（编配给外国人等的号码），校验规则不适用，请核对证件",
                "not a citizen's number but an assigned one, which follows no public rule: look at the document",
            )
        )
    return number


def _is_known_region(code: str) -> bool:
    """Return True if a code is in the table, or groups codes that are (市辖区, 县, 直辖县级)."""
    table = code_table("regions")
    if code in table.rows:
        return True
    grouping = table.look_up(code).label is not None
    return grouping and (code.endswith("00") or f"{code[:4]}00" in table.rows)
