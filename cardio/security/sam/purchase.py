"""A SAM's computation for a debit (消费): MAC1, with which the card deducts the amount, and the check of the card's
MAC2.

The process key is the debit key (DPK) over the card's random, its transaction number and the last two bytes of the
terminal's (终端交易序号); the texts of both MACs: docs/algorithms.md, after 人社信息函〔2012〕38号.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from cardio.security.algorithms import pad, suite_for
from cardio.security.errors import TerminalNumberMissingError
from cardio.security.sam.base import Authorisation, CardKey, Mac2, Purchase

Mac = Callable[[CardKey, bytes, bytes], bytes]


def authorise_by_mac(mac: Mac, purchase: Purchase) -> Authorisation:
    """Authorise a debit with a SAM that computes MACs with the debit key itself.

    Such a SAM keeps no number of its own, so the card's number is used.
    """
    number = purchase.transaction_number.to_bytes(4, "big")
    text = pad(purchase.text_of_mac1, suite_for(purchase.key.algorithm).block)
    return Authorisation(number, mac(purchase.key, purchase.factor(number), text))


def check_by_mac(mac: Mac, purchase: Purchase, terminal_transaction_number: bytes, mac2: bytes) -> Mac2:
    text = pad(purchase.text_of_mac2, suite_for(purchase.key.algorithm).block)
    expected = mac(purchase.key, purchase.factor(terminal_transaction_number), text)
    return Mac2.RIGHT if hmac.compare_digest(expected, mac2) else Mac2.WRONG


def packed_terminal_number(number: str | None) -> bytes:
    """Return 终端机编号 packed in six bytes.

    Raises:
        TerminalNumberMissingError: the SAM has none.
    """
    if number is None:
        raise TerminalNumberMissingError()
    return bytes.fromhex(number)
