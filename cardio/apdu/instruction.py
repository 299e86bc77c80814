"""Instruction bytes (INS) by their names: ISO/IEC 7816-4:2020 §5.4.2; PBOC and LD/T 32.5 for the purse and the PIN.

In the class of account transactions the same byte is another command (LD/T 32.5 §8): `PurseInstruction`.
"""

from __future__ import annotations

from enum import IntEnum


class InstructionClass(IntEnum):
    """The class bytes (CLA) that cardio sends."""

    INTERINDUSTRY = 0x00
    BANK = 0x80
    BANK_WITH_MAC = 0x84
    PURSE = 0xB0
    """Account transactions (账户交易) of LD/T 32.5."""


class Instruction(IntEnum):
    VERIFY = 0x20
    VERIFY_TAGGED = 0x21
    MANAGE_SECURITY_ENVIRONMENT = 0x22
    CHANGE_REFERENCE_DATA = 0x24
    """Also the form that unblocks and reloads a PIN (LD/T 32.5)."""
    PERFORM_SECURITY_OPERATION = 0x2A
    RESET_RETRY_COUNTER = 0x2C
    INITIALIZE_TRANSACTION = 0x50
    GET_TRANSACTION_PROOF = 0x5A
    GET_BALANCE = 0x5C
    CHANGE_PIN = 0x5E
    """The command of bank cards."""
    MANAGE_CHANNEL = 0x70
    EXTERNAL_AUTHENTICATE = 0x82
    GET_CHALLENGE = 0x84
    INTERNAL_AUTHENTICATE = 0x88
    SELECT = 0xA4
    READ_BINARY = 0xB0
    READ_BINARY_TAGGED = 0xB1
    READ_RECORD = 0xB2
    READ_RECORD_TAGGED = 0xB3
    GET_RESPONSE = 0xC0
    GET_DATA = 0xCA
    GET_DATA_TAGGED = 0xCB
    UPDATE_BINARY = 0xD6
    UPDATE_RECORD = 0xDC
    APPEND_RECORD = 0xE2


class PurseInstruction(IntEnum):
    """The instruction bytes in the class of account transactions."""

    GET_BALANCE = 0x26
    INITIALIZE_TRANSACTION = 0x28
    CREDIT = 0x2A
    DEBIT = 0x2C
