"""What a command leaves behind on the card when its answer never comes: nothing, a spent try, or a change.

Decided by the instruction (ISO/IEC 7816-4:2020 §11, LD/T 32.5), so that no caller can forget to say it. A command that
is not known here counts as one that changes the card.
"""

from __future__ import annotations

from enum import Enum


class CommandEffect(Enum):
    """From harmless to grave."""

    NONE = "none"
    """It reads, or has the card compute something."""
    KEY = "key"
    """It presents a key: a wrong one costs a try of that key."""
    PIN = "pin"
    """It presents a PIN: a wrong one costs a try."""
    CHANGE = "change"
    """It changes what the card holds."""
    PIN_CHANGE = "pin-change"
    """It replaces the PIN, or restores its tries."""
    DEBIT = "debit"
    """It moves money."""


CHANGES = frozenset({CommandEffect.CHANGE, CommandEffect.PIN_CHANGE, CommandEffect.DEBIT})
"""What stays when the card has said that it is done."""

_SELECT, _MANAGE_CHANNEL, _SECURITY_ENVIRONMENT, _SECURITY_OPERATION = 0xA4, 0x70, 0x22, 0x2A
_READ_BINARY, _READ_RECORD, _GET_DATA = (0xB0, 0xB1), (0xB2, 0xB3), (0xCA, 0xCB)
_GET_CHALLENGE, _GET_RESPONSE, _INTERNAL_AUTHENTICATION, _EXTERNAL_AUTHENTICATION = 0x84, 0xC0, 0x88, 0x82
_VERIFY = (0x20, 0x21)
_CHANGE_PIN = (0x24, 0x5E)
"""CHANGE REFERENCE DATA, also the form that unblocks and reloads (LD/T 32.5), and CHANGE PIN of bank cards."""
_RESET_RETRY_COUNTER = 0x2C
_READS = frozenset(
    {_SELECT, *_READ_BINARY, *_READ_RECORD, *_GET_DATA, _GET_CHALLENGE, _GET_RESPONSE, _INTERNAL_AUTHENTICATION}
)
_FOR_THIS_POWER_UP = frozenset({_MANAGE_CHANNEL, _SECURITY_ENVIRONMENT, _SECURITY_OPERATION})
"""Nothing of it is left on the card."""
_PROPRIETARY = 0x80
"""The CLA bit of classes in which an instruction means what an application likes (ISO/IEC 7816-4 §5.4.1)."""
_BANK_CLASSES = (0x80, 0x84)
_READS_OF_BANK_CARDS = frozenset({*_GET_DATA, _GET_CHALLENGE, _GET_RESPONSE})
_PURSE_CLASSES = (0xB0, *_BANK_CLASSES)
_INITIALIZE, _TRANSACTION_PROOF, _BALANCE = (0x28, 0x50), 0x5A, 0x5C
_PURSE_DEBIT = (0xB0, 0x2C)


def effect_of(cla: int, ins: int, *, has_data: bool) -> CommandEffect:
    """What a command leaves behind, by its header and whether it carries data."""
    if (cla, ins) == _PURSE_DEBIT:
        return CommandEffect.DEBIT
    if ins in _VERIFY:
        return CommandEffect.PIN if has_data else CommandEffect.NONE
    if ins in _CHANGE_PIN or ins == _RESET_RETRY_COUNTER:
        return CommandEffect.PIN_CHANGE
    if ins == _EXTERNAL_AUTHENTICATION:
        return CommandEffect.KEY
    if _asks(cla, ins) or ins in _FOR_THIS_POWER_UP:
        return CommandEffect.NONE
    return CommandEffect.CHANGE


def effect_from_outside(cla: int, ins: int, *, has_data: bool) -> CommandEffect:
    """As `effect_of`, for a command that comes from outside: it is harmless only if it does nothing but ask."""
    effect = effect_of(cla, ins, has_data=has_data)
    if effect in (CommandEffect.PIN, CommandEffect.PIN_CHANGE):
        return effect
    asks_tries = ins in _VERIFY and not has_data
    if ins in _READS or asks_tries:
        # FF88, 90B0, E0B2: that an instruction reads in the standard's own classes says nothing of other ones.
        known = not cla & _PROPRIETARY or (cla in _BANK_CLASSES and ins in _READS_OF_BANK_CARDS)
        return CommandEffect.NONE if known else CommandEffect.CHANGE
    return CommandEffect.NONE if _asks(cla, ins) else CommandEffect.CHANGE


def _asks(cla: int, ins: int) -> bool:
    """Whether a command only asks: no right is used, nothing is spent or changed."""
    asks_purse = cla in _PURSE_CLASSES and ins in _INITIALIZE
    asks_bank = cla in _BANK_CLASSES and ins in (_TRANSACTION_PROOF, _BALANCE)
    return ins in _READS or asks_purse or asks_bank
