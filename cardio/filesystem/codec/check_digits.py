"""Check digits of citizens' numbers (GB 11643-1999), organisations (GB 11714-1997), cards (V2.0 appendix A)."""

from __future__ import annotations

import re
from collections.abc import Callable

from cardio.bilingual import Bilingual

_IDENTITY_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_IDENTITY_CHECKS = "10X98765432"
_CARD_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def identity_check_character(first17: str) -> str:
    """Return the eighteenth character of a citizen's number."""
    total = sum(int(digit) * weight for digit, weight in zip(first17, _IDENTITY_WEIGHTS, strict=True))
    return _IDENTITY_CHECKS[total % 11]


def identity_number_fault(number: str) -> Bilingual | None:
    """Return the error in a number; None if it is a well-formed citizen's number.

    Numbers assigned to foreigners may not follow GB 11643: an error is a reason to look, not to refuse.
    """
    if not re.fullmatch(r"[0-9]{17}[0-9Xx]", number, re.ASCII):
        return Bilingual("社会保障号码不是 18 位公民身份号码", "not an 18-character citizen's number")
    if identity_check_character(number[:17]) != number[17].upper():
        return Bilingual("社会保障号码校验位不符", "the check digit of the social security number is wrong")
    return None


def is_citizens_pattern(number: str) -> bool:
    """Return True if a number has a citizen's pattern, whatever its check digit. Assigned numbers have letters, or
    begin with 9.
    """
    return re.fullmatch(r"[1-6][0-9]{16}[0-9Xx]", number, re.ASCII) is not None


def is_citizens_number(number: str) -> bool:
    """Return True if the number is one that GB 11643 gives to citizens (provinces 11 to 65, check digit right)."""
    return identity_number_fault(number) is None and number[0] in "123456"


SEX_CODES = ("2", "1")
"""The codes of female and male (GB/T 2261.1): the seventeenth digit is even, or odd."""


def birth_digits(number: str) -> str:
    """Return the date of birth in a citizen's number, YYYYMMDD."""
    return number[6:14]


def sex_code(number: str) -> str:
    """Return the sex in a citizen's number (its seventeenth digit), as GB/T 2261.1 writes it."""
    return SEX_CODES[int(number[16]) % 2]


def card_check_character(first8: str) -> str:
    """Return the ninth character of a card number: weights 3 7 9 10 5 8 4 2, modulo 11; letters count from A = 10."""
    total = sum(int(character, 36) * weight for character, weight in zip(first8, _CARD_WEIGHTS, strict=True))
    check = 11 - total % 11
    return {10: "X", 11: "0"}.get(check, str(check))


def card_number_fault(number: str) -> Bilingual | None:
    """Return the error in a card number; None if its check character is right."""
    if not re.fullmatch(r"[0-9A-Z]{8}[0-9X]", number, re.ASCII):
        return Bilingual("卡号不是 8 位字符加校验位", "not eight characters and a check character")
    if card_check_character(number[:8]) != number[8]:
        return Bilingual("卡号校验位不符", "the check character of the card number is wrong")
    return None


def organisation_code_fault(code: str) -> Bilingual | None:
    """Return the error in an organisation code; None if its check character is right. The rule is that
    of card numbers.
    """
    if card_number_fault(code) is None:
        return None
    return Bilingual("组织机构代码校验位不符", "the check character of the organisation code is wrong")


FAULTS: dict[str, Callable[[str], Bilingual | None]] = {
    "GB 11643": identity_number_fault,
    "GB 11714": organisation_code_fault,
    "V2.0 appendix A": card_number_fault,
}
"""The function that returns the error in a number, by the rule that its check digit follows."""
