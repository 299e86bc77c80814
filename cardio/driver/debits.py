"""Debits in the national interface's own strings: ``iDoDebit`` and its two HSM steps.

No source gives the fields of a debit's result; cardio uses those of the card's own record, then those for the issuer.
"""

from __future__ import annotations

import re

from cardio.debits.execution import DEFAULT_LIMITS, begin_debit, recording_abort, send_or_recover
from cardio.debits.limits import DebitLimits
from cardio.debits.purse import Amounts, debit_key, purse_of, yuan
from cardio.debits.transaction import DebitEntry, DebitIntent, DebitOrder, DebitResult
from cardio.driver.hsm_steps import HsmSteps, joined
from cardio.errors import UsageError
from cardio.security.sam.base import Authorisation
from cardio.security.sam.purchase import packed_terminal_number

FUNCTION = "iDoDebit"
_ILLEGAL, _BAD_LENGTH = -23, -42
_STEP_2 = re.compile(r"([0-9A-Fa-f]{8})\|([0-9]{14})\|([0-9A-Fa-f]{8})\|?", re.ASCII)
_YUAN = re.compile(r"[0-9]{1,8}(?:\.[0-9]{1,2})?", re.ASCII)


def parse_pay_info(text: str) -> DebitOrder:
    """Parse ``个人自付金额|统筹支付金额|交易时间|``: two amounts in yuan and YYYYMMDDhhmmss, as
    ``0.1|0.2|20151118185001|``.

    Nothing is taken from the personal account: so it is in online settlement (模式1), and the HSM form has no field for
    it.

    Raises:
        UsageError: −23, the text has another form.
    """
    fields = text.strip().removesuffix("|").split("|")
    if len(fields) != 3:
        raise UsageError(
            "pPayInfo 应为 自付金额|统筹金额|YYYYMMDDhhmmss|",
            "pPayInfo is SELF-PAID|POOLED FUND|YYYYMMDDhhmmss|",
            driver_code=_ILLEGAL,
        )
    self_paid, pooled_fund, time = fields
    return DebitOrder(Amounts(0, _fen(self_paid), _fen(pooled_fund)), time)


def _fen(text: str) -> int:
    if not _YUAN.fullmatch(text):
        raise UsageError(
            "金额应为元，最多两位小数", "an amount is in yuan, with two decimals at most", driver_code=_ILLEGAL
        )
    yuan, _, rest = text.partition(".")
    return int(yuan) * 100 + int(rest.ljust(2, "0"))


def result_text(result: DebitResult) -> str:
    """Return ``交易序号|终端机编号|交易时间|个人账户金额|自付金额|统筹金额|终端交易序号|TAC|``, amounts in yuan.

    交易序号 is the number with which the card began. TAC is empty if the card's answer was lost and it has no other.
    """
    amounts = (result.personal_account_amount, result.self_paid_amount, result.pooled_fund_amount)
    return joined(
        [
            str(result.transaction_number),
            result.terminal_number,
            result.time,
            *map(yuan, amounts),
            result.terminal_transaction_number,
            result.tac or "",
        ]
    )


def debit_1(
    steps: HsmSteps,
    order: DebitOrder,
    entry: DebitEntry,
    terminal_number: str | None,
    limits: DebitLimits = DEFAULT_LIMITS,
) -> str:
    """Return ``算法标识|密钥地址|随机数|交易序号|金额|交易类型|终端机编号|交易时间|`` for the HSM, which makes MAC1 of
    them.

    The process key's factor is the random, the number and the number again. The text of MAC1 is four zero bytes and the
    last four fields.

    Raises:
        CardioError: an error occurred; nothing was taken.
    """
    card = steps.card
    steps.restart()
    with recording_abort(entry):
        key = debit_key(card.layout, None)
        intent = begin_debit(card, order, entry, key, packed_terminal_number(terminal_number), limits)
    steps.expect(FUNCTION, 2, lambda answer: result_text(_finish(steps, intent, entry, answer)))
    purse = purse_of(card.layout)
    return joined(
        [
            steps.algorithm_mark,
            steps.address_of(key),
            intent.challenge,
            f"{intent.transaction_number:04X}",
            bytes(intent.amounts)[4:].hex().upper(),
            f"{purse.transaction_type:02X}",
            intent.terminal_number,
            intent.time,
        ]
    )


def debit_2(steps: HsmSteps, answer: str) -> str:
    """Finish a debit with ``终端交易序号|交易时间|MAC1|``: ``0000`` and the card's number, the same time, eight hex
    digits.

    Raises:
        CardioError: as for `cardio.debits.execution.debit`.
    """
    return steps.run_step(FUNCTION, 2, answer)


def _finish(steps: HsmSteps, intent: DebitIntent, entry: DebitEntry, answer: str) -> DebitResult:
    with recording_abort(entry):
        authorisation = _authorisation(intent, answer)
    return send_or_recover(steps.card, intent, authorisation, entry, check=False)


def _authorisation(intent: DebitIntent, answer: str) -> Authorisation:
    """Parse the HSM's answer.

    Raises:
        UsageError: the text has another form, or belongs to another debit.
    """
    found = _STEP_2.fullmatch(answer)
    if found is None:
        raise UsageError(
            "pKey 应为 终端交易序号|交易时间|MAC1|",
            "pKey is TERMINAL TRANSACTION NUMBER|TIME|MAC1|",
            driver_code=_BAD_LENGTH,
        )
    number, time, mac1 = found.groups()
    if time != intent.time or int(number, 16) != intent.transaction_number:
        raise UsageError("pKey 属于另一笔消费", "pKey belongs to another debit", driver_code=_ILLEGAL)
    return Authorisation(bytes.fromhex(number), bytes.fromhex(mac1))
