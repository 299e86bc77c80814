"""The holder's PIN (个人密码), and the commands that carry it."""

from __future__ import annotations

from dataclasses import dataclass, field

from cardio.apdu.command import CommandApdu
from cardio.apdu.instruction import Instruction, InstructionClass
from cardio.security.algorithms import pad
from cardio.security.errors import PinFormatError

SHORTEST, LONGEST = 4, 16
_RELOAD_LONGEST = 8


@dataclass(frozen=True, slots=True)
class Pin:
    """A PIN of four to sixteen digits. No repr shows them, and they leave this object only in a command to the card.

    Raises:
        PinFormatError: it is empty, too short or long, or not of digits; nothing has been sent then.
    """

    digits: str = field(repr=False)

    def __post_init__(self) -> None:
        if not (self.digits.isascii() and self.digits.isdecimal()):
            raise PinFormatError("密码只能由数字组成，不能为空", "a PIN is made of digits and is not empty")
        if not SHORTEST <= len(self.digits) <= LONGEST:
            raise PinFormatError(
                f"密码应为 {SHORTEST} 至 {LONGEST} 位数字", f"a PIN has {SHORTEST} to {LONGEST} digits"
            )

    @property
    def packed(self) -> bytes:
        """Return the digits packed, two in a byte; an odd last one is filled with F."""
        return bytes.fromhex(self.digits + "F" * (len(self.digits) % 2))


def verify(pin: Pin) -> CommandApdu:
    """Return the command VERIFY (校验个人密码)."""
    return CommandApdu(InstructionClass.INTERINDUSTRY, Instruction.VERIFY, 0x00, 0x00, pin.packed)


def tries_left() -> CommandApdu:
    """Return VERIFY without data: it asks how many tries are left and spends none (ISO/IEC 7816-4 §11.6.6)."""
    return CommandApdu(InstructionClass.INTERINDUSTRY, Instruction.VERIFY, 0x00, 0x00)


def change(old: Pin, new: Pin) -> CommandApdu:
    """Return the command CHANGE PIN (修改个人密码)."""
    return CommandApdu(InstructionClass.BANK, Instruction.CHANGE_PIN, 0x01, 0x00, old.packed + b"\xff" + new.packed)


def reload_block(pin: Pin, block: int) -> bytes:
    """Return the plain data of RELOAD PIN: a length byte, the PIN, ``80`` and zeros to a whole block.

    Args:
        pin: the new PIN.
        block: the bytes of a block.

    Raises:
        PinFormatError: the PIN has more than eight digits, for which there is no form.
    """
    if len(pin.digits) > _RELOAD_LONGEST:
        raise PinFormatError(
            f"重置的密码最多 {_RELOAD_LONGEST} 位", f"a PIN that is reloaded has at most {_RELOAD_LONGEST} digits"
        )
    return pad(bytes((len(pin.packed),)) + pin.packed, block)
