"""The effect of a command on the card when its answer never comes: nothing, a spent try, or a change.

The instruction decides it (ISO/IEC 7816-4:2020 §11, LD/T 32.5), so that no caller can forget to set it. An unknown
command counts as one that changes the card.
"""

from __future__ import annotations

from enum import Enum

from cardio.apdu.instruction import Instruction, InstructionClass, PurseInstruction


class CommandEffect(Enum):
    """The effects of commands, from harmless to grave."""

    NONE = "none"
    """The command reads, or makes the card compute something."""
    KEY = "key"
    """The command presents a key: a wrong one costs a try of that key."""
    PIN = "pin"
    """The command presents a PIN: a wrong one costs a try."""
    CHANGE = "change"
    """The command changes the card's content."""
    PIN_CHANGE = "pin-change"
    """The command replaces the PIN, or restores its tries."""
    DEBIT = "debit"
    """The command deducts an amount."""


CHANGES = frozenset({CommandEffect.CHANGE, CommandEffect.PIN_CHANGE, CommandEffect.DEBIT})
"""The effects that stay once the card has confirmed them."""

_VERIFIES = frozenset({Instruction.VERIFY, Instruction.VERIFY_TAGGED})
_CHANGES_PIN = frozenset({Instruction.CHANGE_REFERENCE_DATA, Instruction.CHANGE_PIN, Instruction.RESET_RETRY_COUNTER})
_GETS_DATA = frozenset({Instruction.GET_DATA, Instruction.GET_DATA_TAGGED})
_READS = _GETS_DATA | {
    Instruction.SELECT,
    Instruction.READ_BINARY,
    Instruction.READ_BINARY_TAGGED,
    Instruction.READ_RECORD,
    Instruction.READ_RECORD_TAGGED,
    Instruction.GET_CHALLENGE,
    Instruction.GET_RESPONSE,
    Instruction.INTERNAL_AUTHENTICATE,
}
_FOR_THIS_POWER_UP = frozenset(
    {
        Instruction.MANAGE_CHANNEL,
        Instruction.MANAGE_SECURITY_ENVIRONMENT,
        Instruction.PERFORM_SECURITY_OPERATION,
    }
)
"""The instructions that leave nothing on the card after power-off."""
_PROPRIETARY = 0x80
"""The CLA bit of the classes in which each application defines its own instructions (ISO/IEC 7816-4 §5.4.1)."""
_BANK_CLASSES = frozenset({InstructionClass.BANK, InstructionClass.BANK_WITH_MAC})
_READS_OF_BANK_CARDS = _GETS_DATA | {Instruction.GET_CHALLENGE, Instruction.GET_RESPONSE}
_PURSE_CLASSES = _BANK_CLASSES | {InstructionClass.PURSE}
_INITIALIZES = frozenset({PurseInstruction.INITIALIZE_TRANSACTION, Instruction.INITIALIZE_TRANSACTION})


def effect_of(cla: int, ins: int, *, has_data: bool) -> CommandEffect:
    """Return the effect of a command, by its header and whether it has data."""
    if (cla, ins) == (InstructionClass.PURSE, PurseInstruction.DEBIT):
        return CommandEffect.DEBIT
    if ins in _VERIFIES:
        return CommandEffect.PIN if has_data else CommandEffect.NONE
    if ins in _CHANGES_PIN:
        return CommandEffect.PIN_CHANGE
    if ins == Instruction.EXTERNAL_AUTHENTICATE:
        return CommandEffect.KEY
    if _asks(cla, ins) or ins in _FOR_THIS_POWER_UP:
        return CommandEffect.NONE
    return CommandEffect.CHANGE


def effect_from_outside(cla: int, ins: int, *, has_data: bool) -> CommandEffect:
    """Return the effect of a command from outside, as `effect_of` does: it is harmless only if it does nothing
    but ask.
    """
    effect = effect_of(cla, ins, has_data=has_data)
    if effect in (CommandEffect.PIN, CommandEffect.PIN_CHANGE):
        return effect
    asks_tries = ins in _VERIFIES and not has_data
    if ins in _READS or asks_tries:
        # FF88, 90B0, E0B2: an instruction that reads in the standard's own classes may do anything in other classes.
        known = not cla & _PROPRIETARY or (cla in _BANK_CLASSES and ins in _READS_OF_BANK_CARDS)
        return CommandEffect.NONE if known else CommandEffect.CHANGE
    return CommandEffect.NONE if _asks(cla, ins) else CommandEffect.CHANGE


def _asks(cla: int, ins: int) -> bool:
    """Return True if a command only asks: no right is used, nothing is spent or changed."""
    asks_purse = cla in _PURSE_CLASSES and ins in _INITIALIZES
    asks_bank = cla in _BANK_CLASSES and ins in (Instruction.GET_TRANSACTION_PROOF, Instruction.GET_BALANCE)
    return ins in _READS or asks_purse or asks_bank
