"""What a SAM computes for a debit (消费): MAC1, which lets the card move money, and the check of the card's MAC2.

The process key is the debit key (DPK) over the card's random, its transaction number and the last two bytes of the
terminal's (终端交易序号); the texts of both MACs: docs/debits.md, after 人社信息函〔2012〕38号.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cardio.security.algorithms import pad, suite_for
from cardio.security.errors import TerminalNumberMissingError
from cardio.security.sam import CardKey

Mac = Callable[[CardKey, bytes, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Purchase:
    """One debit, as the card has begun it."""

    key: CardKey
    """With the version group that the card named."""
    challenge: bytes
    """Four bytes of the card's."""
    transaction_number: int
    """The card's, before the debit."""
    amounts: bytes
    """个人账户, 自付, 统筹: four bytes each, in fen."""
    transaction_type: int
    terminal_number: bytes
    """Six bytes, packed."""
    time: bytes
    """Seven bytes, packed: YYYYMMDDhhmmss."""
    algorithm_number: int
    """算法标识, as the card named it; a PSAM card wants it back."""

    @property
    def text_of_mac1(self) -> bytes:
        return self.amounts + bytes((self.transaction_type,)) + self.terminal_number + self.time

    @property
    def text_of_mac2(self) -> bytes:
        return self.amounts

    def factor(self, terminal_transaction_number: bytes) -> bytes:
        """What the process key is made from: eight bytes."""
        return self.challenge + self.transaction_number.to_bytes(2, "big") + terminal_transaction_number[-2:]


@dataclass(frozen=True, slots=True)
class Authorisation:
    """With what the terminal moves the card's money."""

    terminal_transaction_number: bytes
    """终端交易序号, four bytes."""
    mac1: bytes


def authorise_by_mac(mac: Mac, purchase: Purchase) -> Authorisation:
    """For SAMs that compute MACs with the debit key itself; they keep no number of their own, so the card's serves."""
    number = purchase.transaction_number.to_bytes(4, "big")
    text = pad(purchase.text_of_mac1, suite_for(purchase.key.algorithm).block)
    return Authorisation(number, mac(purchase.key, purchase.factor(number), text))


def check_by_mac(mac: Mac, purchase: Purchase, terminal_transaction_number: bytes, mac2: bytes) -> bool:
    """Whether MAC2 is right."""
    text = pad(purchase.text_of_mac2, suite_for(purchase.key.algorithm).block)
    expected = mac(purchase.key, purchase.factor(terminal_transaction_number), text)
    return hmac.compare_digest(expected, mac2)


def packed_terminal_number(number: str | None) -> bytes:
    """终端机编号 in six bytes. Raises: TerminalNumberMissingError: the SAM has none."""
    if number is None:
        raise TerminalNumberMissingError()
    return bytes.fromhex(number)
