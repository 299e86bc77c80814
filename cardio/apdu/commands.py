"""Builders for the commands that reading, writing and authentication use (LD/T 32.5; ISO/IEC 7816-4 §11)."""

from __future__ import annotations

from enum import IntEnum

from cardio.apdu.command import SHORT_MAXIMUM, CommandApdu
from cardio.apdu.instruction import Instruction, InstructionClass, PurseInstruction


class RecordMode(IntEnum):
    """The low three bits of P2 of READ RECORD; they give the meaning of P1."""

    BY_IDENTIFIER = 0
    NEXT_WITH_IDENTIFIER = 2
    PREVIOUS_WITH_IDENTIFIER = 3
    BY_NUMBER = 4
    ALL_FROM_NUMBER = 5


def select_by_name(name: bytes, *, want_fci: bool) -> CommandApdu:
    """Build SELECT of an application; with ``want_fci`` the answer's control information is fetched too."""
    return CommandApdu(
        InstructionClass.INTERINDUSTRY, Instruction.SELECT, 0x04, 0x00, name, SHORT_MAXIMUM if want_fci else None
    )


def select_file(file_id: int, p1: int) -> CommandApdu:
    """Build SELECT by file id. P1 is 00 in most libraries and 02 in the others, and cards differ."""
    return CommandApdu(InstructionClass.INTERINDUSTRY, Instruction.SELECT, p1, 0x00, file_id.to_bytes(2, "big"))


def read_record(p1: int, mode: RecordMode, sfi: int, expected_length: int) -> CommandApdu:
    """Build READ RECORD; ``sfi`` 0 means the current EF."""
    return CommandApdu(
        InstructionClass.INTERINDUSTRY, Instruction.READ_RECORD, p1, sfi << 3 | mode, expected_length=expected_length
    )


def read_binary(offset: int, expected_length: int, sfi: int = 0) -> CommandApdu:
    """Build READ BINARY; with ``sfi`` the file is named too, and the offset is at most 255."""
    if sfi:
        return CommandApdu(
            InstructionClass.INTERINDUSTRY, Instruction.READ_BINARY, 0x80 | sfi, offset, expected_length=expected_length
        )
    return CommandApdu(
        InstructionClass.INTERINDUSTRY,
        Instruction.READ_BINARY,
        offset >> 8,
        offset & 0xFF,
        expected_length=expected_length,
    )


def get_challenge(length: int) -> CommandApdu:
    """Build GET CHALLENGE (取随机数) for 4, 8 or 16 bytes."""
    return CommandApdu(InstructionClass.INTERINDUSTRY, Instruction.GET_CHALLENGE, 0x00, 0x00, expected_length=length)


def external_authentication(key_id: int, data: bytes) -> CommandApdu:
    """Build EXTERNAL AUTHENTICATION (外部认证): cryptogram and source data, eight bytes each, and a key version
    byte.
    """
    return CommandApdu(InstructionClass.INTERINDUSTRY, Instruction.EXTERNAL_AUTHENTICATE, 0x00, key_id, data)


def internal_authentication(data: bytes) -> CommandApdu:
    """Build INTERNAL AUTHENTICATION (内部认证): challenge and source data, eight bytes each, and a key version byte."""
    return CommandApdu(InstructionClass.INTERINDUSTRY, Instruction.INTERNAL_AUTHENTICATE, 0x00, 0x00, data, 8)


def update_record(p1: int, mode: RecordMode, sfi: int, record: bytes) -> CommandApdu:
    """Build UPDATE RECORD (更新记录) with a whole record."""
    return CommandApdu(InstructionClass.INTERINDUSTRY, Instruction.UPDATE_RECORD, p1, sfi << 3 | mode, record)


def append_record(sfi: int, record: bytes) -> CommandApdu:
    """Build APPEND RECORD (追加记录)."""
    return CommandApdu(InstructionClass.INTERINDUSTRY, Instruction.APPEND_RECORD, 0x00, sfi << 3, record)


def update_binary(offset: int, content: bytes) -> CommandApdu:
    """Build UPDATE BINARY (更新二进制) of the current file."""
    return CommandApdu(InstructionClass.INTERINDUSTRY, Instruction.UPDATE_BINARY, offset >> 8, offset & 0xFF, content)


def initialize_for_purchase(key_index: int, amounts: bytes, terminal_number: bytes) -> CommandApdu:
    """Build INITIALIZE FOR PURCHASE (消费初始化): twelve bytes of amounts, six of the terminal's number."""
    return CommandApdu(
        InstructionClass.PURSE,
        PurseInstruction.INITIALIZE_TRANSACTION,
        0x01,
        0x01,
        bytes((key_index,)) + amounts + terminal_number,
        22,
    )


def debit_for_purchase(terminal_transaction_number: bytes, time: bytes, mac1: bytes) -> CommandApdu:
    """Build DEBIT FOR PURCHASE (消费): four bytes, seven bytes, four bytes. It deducts the amount, and is sent only
    once.
    """
    return CommandApdu(
        InstructionClass.PURSE,
        PurseInstruction.DEBIT,
        0x01,
        0x00,
        terminal_transaction_number + time + mac1,
        8,
        once=True,
    )


def get_transaction_proof(transaction_number: int) -> CommandApdu:
    """Build GET TRANSACTION PROVE (取交易认证) in the form of bank cards (PBOC): MAC2 and TAC of a debit that
    was done.
    """
    return CommandApdu(
        InstructionClass.BANK, Instruction.GET_TRANSACTION_PROOF, 0x00, 0x06, transaction_number.to_bytes(2, "big"), 8
    )


def get_response(expected_length: int) -> CommandApdu:
    return CommandApdu(
        InstructionClass.INTERINDUSTRY, Instruction.GET_RESPONSE, 0x00, 0x00, expected_length=expected_length
    )
