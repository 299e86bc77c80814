"""The functions of the national driver interface by name: the arguments, the right and the work of each.

To add a function, write its work and add one row: to `_WHOLE` if one call does it, to `_FIRST` or `_NEXT` if it is one
of several steps, to `_DEBITS` if it is a debit. HTTP, dialects, page and browser client find it there.

Functions in steps (``…_HSM_Step1``) work on a card that is held between the steps: see `cardio.driver.hsm_steps`.
Debits need a journal, and this library has none: `cardio.driver.debits` is for a program that has one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, get_args

from cardio.card.social_security_card import SocialSecurityCard
from cardio.driver.basic_info import BasicLayout, basic_text
from cardio.driver.hsm_steps import HsmSteps
from cardio.errors import CardChangedError, NoSuchFileError, NotSupportedError, UsageError
from cardio.filesystem.address import Address, values_at
from cardio.filesystem.card_file_system import ISSUER_FILE, text_of
from cardio.filesystem.codec.text_reading import standard_form
from cardio.security.errors import NoPinPadError
from cardio.security.pin.pin import Pin

Right = Literal["basic", "files", "write", "pin", "settle"]
READ_BASIC = "iReadCardBas"
_CODE = re.compile(r"[0-9A-Fa-f]{32}")
_LONGEST = 60_000
_ILLEGAL, _MALFORMED_CODE = -23, -20


def argument(default: Any, description: str, *, least: int | None = None, most: int | None = None) -> Any:
    """Declare an argument of the interface.

    Args:
        default: the value without the argument.
        description: the content, for callers.
        least: the smallest number.
        most: the greatest number, or the greatest number of characters of a text.
    """
    return field(default=default, metadata={"description": description, "least": least, "most": most})


@dataclass(frozen=True, slots=True, repr=False)
class DriverArguments:
    """The arguments of a call, by the interface's own names; arguments that a function does not use are ignored."""

    iType: int = argument(3, "1 contact, 2 contactless, 3 contact first, 4 contactless first", least=1, most=4)
    iAuthType: int = argument(2, "1 by PIN, 2 by key, 0 free", least=0, most=2)
    pCardInfo: str = argument("", "卡识别码|卡号|", most=200)
    pFileAddr: str = argument("", "SSSEEF05|01|07|$", most=8192)
    pWriteData: str = argument("", "", most=_LONGEST)
    pPayInfo: str = argument("", "自付金额|统筹金额|YYYYMMDDhhmmss|", most=200)
    pKey: str = argument("", "what the HSM gave", most=8192)
    pin: str | None = argument(None, "where the reader has no key pad", most=16)
    """The PIN. The interface itself has no argument for it, vendors' libraries have."""
    newPin: str | None = argument(None, "where the reader has no key pad", most=16)
    acceptLastTry: bool = argument(False, "the holder consents to spend the last try of the PIN")
    """True if the holder consents to spend the last try of the PIN. The interface has no argument for this either."""
    layout: BasicLayout = argument("11", "of the basic information")
    idempotencyKey: str = argument("", "names a debit", most=200)
    """The name of a debit. A caller that asks again with the same key gets the result of the debit, and is not debited
    again.
    """
    deviceNumber: str = ""
    """终端设备号 as the site has set it; without it the reader's own. No caller passes it."""

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """Build the arguments from names in any case and values as callers send them: numbers also as texts.

        Raises:
            UsageError: a value has another type.
        """
        known = {one.name.lower(): one for one in fields(cls) if one.name != "deviceNumber"}
        values: dict[str, Any] = {}
        for name, value in given.items():
            one = known.get(name.lower())
            if one is None or value is None:
                continue
            values[one.name] = _READERS.get(str(one.type), _text)(name, value)
        if values.get("layout", "11") not in get_args(BasicLayout):
            raise UsageError("layout 应为 11、13 或 colon", "layout is 11, 13 or colon")
        return cls(**values)


def _number(name: str, value: object) -> int:
    text = str(value).strip() if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"-?[0-9]{1,6}", text):
        raise UsageError(f"{name} 应为数字", f"{name} is a number")
    return int(text)


def _text(name: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise UsageError(f"{name} 应为文本", f"{name} is a text")
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name} 应为 true 或 false", f"{name} is true or false")
    return value


_READERS: dict[str, Callable[[str, object], Any]] = {"int": _number, "bool": _flag}
"""The function that reads a value, by the type of its field; all others are texts."""


@dataclass(frozen=True, slots=True)
class _Function:
    """The arguments and the right of a function. Its work is in the subclasses."""

    name: str
    arguments: tuple[str, ...]
    right: Right

    @property
    def changes_card(self) -> bool:
        """Return True if it must not be retried automatically after a card reset."""
        return self.right in ("write", "pin", "settle")

    @property
    def optional(self) -> tuple[str, ...]:
        """Return the arguments that the interface itself does not have: the function accepts them, and works
        without.
        """
        return _OPTIONAL.get(self.name, ())

    @property
    def example(self) -> Mapping[str, int | str]:
        """Return example arguments. ``YYYYMMDDhhmmss`` stands for the time of the call."""
        names = (*self.arguments, *self.optional)
        return {name: _EXAMPLES_OF.get(self.name, {}).get(name, _EXAMPLES.get(name, "")) for name in names}


@dataclass(frozen=True, slots=True)
class CardFunction(_Function):
    """A function that one call does, on the present card."""

    work: Callable[[SocialSecurityCard, DriverArguments], str]

    @property
    def step(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class StepFunction(_Function):
    """A function that is one of several calls, on a card that is held between them."""

    first: bool
    work: Callable[[HsmSteps, DriverArguments], str]

    @property
    def step(self) -> int:
        """Return the number of the call, from 1."""
        return int(self.name[-1])


@dataclass(frozen=True, slots=True)
class DebitFunction(_Function):
    """A function that takes money, and so needs a journal (`cardio.driver.debits`): whole (0), or the first or second
    step.
    """

    step: Literal[0, 1, 2]


DriverFunction = CardFunction | StepFunction | DebitFunction
"""One function of the interface."""


# -- functions on a card ------------------------------------------------------------------------


def _read_basic(card: SocialSecurityCard, given: DriverArguments) -> str:
    return basic_text(card, given.layout, device=given.deviceNumber)


def _read(card: SocialSecurityCard, given: DriverArguments) -> str:
    address = Address.parse(given.pFileAddr)
    guard(card, given.pCardInfo)
    return card.values(address)


def _write(card: SocialSecurityCard, given: DriverArguments) -> str:
    address = Address.parse(given.pFileAddr)
    values = values_at(address, given.pWriteData)
    guard(card, given.pCardInfo)
    # All values are checked before any of them is written.
    changes = [card.prepare(file, wanted) for file, wanted in values]
    for change in changes:
        card.write(change)
    return ""


def _verify_pin(card: SocialSecurityCard, given: DriverArguments) -> str:
    card.verify_pin()
    return ""


def _change_pin(card: SocialSecurityCard, given: DriverArguments) -> str:
    if given.newPin is None:
        card.change_pin_on_pad()
    else:
        card.change_pin(Pin(given.newPin))
    return ""


def _reload_pin(card: SocialSecurityCard, given: DriverArguments) -> str:
    guard(card, given.pCardInfo)
    card.reload_pin(_new_pin(given))
    return ""


def _unblock_pin(card: SocialSecurityCard, given: DriverArguments) -> str:
    guard(card, given.pCardInfo)
    card.unblock_pin()
    return ""


def _read_debits(card: SocialSecurityCard, given: DriverArguments) -> str:
    """Return each record's fields joined by ``^``, each record closed by ``|``; empty records are left out."""
    file = card.layout.details_file
    if file is None:
        raise NoSuchFileError()
    numbers = range(1, (file.records or 1) + 1)
    text = card.values(Address.parse("".join(f"{file.path}:{number}|$" for number in numbers)))
    records = [part.split("|")[1] for part in text.split("$") if part]
    return "".join(f"{record}|" for record in records if record.strip("^"))


def _read_bank_number(card: SocialSecurityCard, given: DriverArguments) -> str:
    return card.bank_number()


def _new_pin(given: DriverArguments) -> Pin:
    if given.newPin is None:
        raise NoPinPadError("读卡器的密码键盘不能给出新密码", "a key pad does not give the new PIN away")
    return Pin(given.newPin)


# -- functions in steps -------------------------------------------------------------------------


def _guarded(
    step: Callable[[HsmSteps, DriverArguments], str],
) -> Callable[[HsmSteps, DriverArguments], str]:
    def check_first(steps: HsmSteps, given: DriverArguments) -> str:
        guard(steps.card, given.pCardInfo)
        return step(steps, given)

    return check_first


def _read_basic_2(steps: HsmSteps, given: DriverArguments) -> str:
    return steps.read_basic_2(given.pKey, device=given.deviceNumber)


_WHOLE: tuple[tuple[str, tuple[str, ...], Right, Callable[[SocialSecurityCard, DriverArguments], str]], ...] = (
    (READ_BASIC, ("iType",), "basic", _read_basic),
    ("iReadCard", ("iType", "iAuthType", "pCardInfo", "pFileAddr"), "files", _read),
    ("iWriteCard", ("iType", "pCardInfo", "pFileAddr", "pWriteData"), "write", _write),
    ("iVerifyPIN", ("iType",), "pin", _verify_pin),
    ("iChangePIN", ("iType",), "pin", _change_pin),
    ("iReloadPIN", ("iType", "pCardInfo"), "pin", _reload_pin),
    ("iUnblockPIN", ("iType", "pCardInfo"), "pin", _unblock_pin),
    ("iReadDebitRecord", ("iType",), "files", _read_debits),
    ("iReadICCardNum", ("iType",), "files", _read_bank_number),
)
_FIRST: tuple[tuple[str, tuple[str, ...], Right, Callable[[HsmSteps, DriverArguments], str]], ...] = (
    ("iReadCardBas_HSM_Step1", ("iType",), "basic", lambda steps, given: steps.read_basic_1()),
    (
        "iReadCard_HSM_Step1", ("iType", "pCardInfo", "pFileAddr"), "files",
        _guarded(lambda steps, given: steps.read_1(given.pFileAddr)),
    ),
    (
        "iWriteCard_HSM_Step1", ("iType", "pCardInfo", "pFileAddr"), "write",
        _guarded(lambda steps, given: steps.write_1(given.pFileAddr)),
    ),
    (
        "iReloadPIN_HSM_Step1", ("iType", "pCardInfo"), "pin",
        _guarded(lambda steps, given: steps.reload_1(_new_pin(given))),
    ),
    ("iUnblockPIN_HSM_Step1", ("iType", "pCardInfo"), "pin", _guarded(lambda steps, given: steps.unblock_1())),
)  # fmt: skip
_NEXT: tuple[tuple[str, tuple[str, ...], Right, Callable[[HsmSteps, DriverArguments], str]], ...] = (
    ("iReadCardBas_HSM_Step2", ("pKey",), "basic", _read_basic_2),
    ("iReadCard_HSM_Step2", ("pKey",), "files", lambda steps, given: steps.read_2(given.pKey)),
    (
        "iWriteCard_HSM_Step2", ("pKey", "pWriteData"), "write",
        lambda steps, given: steps.write_2(given.pKey, given.pWriteData),
    ),
    ("iReloadPIN_HSM_Step2", ("pKey",), "pin", lambda steps, given: steps.pin_2("iReloadPIN", given.pKey)),
    ("iReloadPIN_HSM_Step3", ("pKey",), "pin", lambda steps, given: steps.pin_3("iReloadPIN", given.pKey)),
    ("iUnblockPIN_HSM_Step2", ("pKey",), "pin", lambda steps, given: steps.pin_2("iUnblockPIN", given.pKey)),
    ("iUnblockPIN_HSM_Step3", ("pKey",), "pin", lambda steps, given: steps.pin_3("iUnblockPIN", given.pKey)),
)  # fmt: skip
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "iVerifyPIN": ("pin",),
    "iChangePIN": ("pin", "newPin"),
    "iReloadPIN": ("newPin",),
    "iReloadPIN_HSM_Step1": ("newPin",),
    "iDoDebit": ("pin", "idempotencyKey"),
    "iDoDebit_HSM_Step1": ("pin", "idempotencyKey"),
    "iDoDebit_HSM_Step2": ("pin", "idempotencyKey"),
}
_EXAMPLES: Mapping[str, int | str] = {
    "iType": 3, "iAuthType": 2, "pCardInfo": "卡识别码|卡号|", "pFileAddr": "SSSEEF05|01|07|$",
    "pPayInfo": "0.10|0.20|YYYYMMDDhhmmss|",
}  # fmt: skip
_EXAMPLES_OF: Mapping[str, Mapping[str, str]] = {
    "iWriteCard": {"pFileAddr": "DF01EF06|"},
    "iWriteCard_HSM_Step1": {"pFileAddr": "DF01EF06|"},
}
_DEBITS = (
    DebitFunction("iDoDebit", ("iType", "pCardInfo", "pPayInfo"), "settle", 0),
    DebitFunction("iDoDebit_HSM_Step1", ("iType", "pCardInfo", "pPayInfo"), "settle", 1),
    DebitFunction("iDoDebit_HSM_Step2", ("pKey",), "settle", 2),
)
FUNCTIONS: dict[str, DriverFunction] = {
    **{name: CardFunction(name, takes, right, work) for name, takes, right, work in _WHOLE},
    **{name: StepFunction(name, takes, right, True, work) for name, takes, right, work in _FIRST},
    **{name: StepFunction(name, takes, right, False, work) for name, takes, right, work in _NEXT},
    **{function.name: function for function in _DEBITS},
}
"""Every function of the interface's standard set."""


def find_function(name: str) -> DriverFunction:
    """Return a function by its name.

    Raises:
        NotSupportedError: the interface has no such function, or cardio does not have it.
    """
    found = FUNCTIONS.get(name)
    if found is None:
        raise NotSupportedError(f"没有函数 {name[:40]}", f"there is no function {name[:40]!r}")
    return found


def parse_card_info(text: str) -> tuple[str, str]:
    """Parse ``卡识别码|卡号|…``: return the identification code in capitals, and the card's number, which may be left
    out.
    """
    code, number, *_ = [*text.strip().split("|"), ""]
    return code.strip().upper(), number.strip()


def guard(card: SocialSecurityCard, card_info: str) -> None:
    """Compare ``卡识别码|卡号|`` with the present card: the guard against a card swapped between two calls.

    Raises:
        UsageError: −23, nothing was passed; −20, no identification code.
        CardChangedError: −22, it is another card.
    """
    code, number = parse_card_info(card_info)
    if not code:
        raise UsageError("pCardInfo 为空", "pCardInfo is empty", driver_code=_ILLEGAL)
    if not _CODE.fullmatch(code):
        raise UsageError(
            "卡识别码不是 32 位十六进制数", "the identification code is not 32 hex", driver_code=_MALFORMED_CODE
        )
    issuer = card.file_system.contents.files[ISSUER_FILE]
    own_code, own_number = text_of(issuer, "identification_code"), text_of(issuer, "card_number")
    # A reading gives the number as its standard writes it, which may differ from the card.
    item = next((item for item in issuer.file.items if item.name == "card_number"), None)
    numbers = {number, (own_number or "").strip()}
    same_number = len({standard_form(item, one) for one in numbers} if item is not None else numbers) == 1
    if code != (own_code or "").upper() or (number and not same_number):
        raise CardChangedError("传入的卡信息与卡内不符", "the card in the reader is another than the one passed")
