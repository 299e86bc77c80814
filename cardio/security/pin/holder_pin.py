"""The holder's PIN on one card: how many tries are left, verify, change, unblock, reload.

Unblocking and reloading need the authority's key: external authentication with PUK, then a MAC with the key of SSSE.
"""

from __future__ import annotations

from dataclasses import replace

from cardio.apdu.channel import Flow
from cardio.apdu.command import CommandApdu
from cardio.apdu.instruction import Instruction, InstructionClass
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord, describe
from cardio.errors import AccessNotGrantedError, CardRefusedError
from cardio.filesystem.layouts.access import PIN
from cardio.readers.pin_pad import PinPad
from cardio.security.authenticator import SSSE_MAC_KEY, CardAuthenticator
from cardio.security.errors import MacRefusedError, NoPinPadError
from cardio.security.pin.count import PinCount
from cardio.security.pin.pin import Pin, change, reload_block

UNBLOCK_KEY = "PUK"
UNBLOCK = CommandApdu(InstructionClass.BANK_WITH_MAC, Instruction.CHANGE_REFERENCE_DATA, 0x00, 0x00)
RELOAD = CommandApdu(InstructionClass.BANK_WITH_MAC, Instruction.CHANGE_REFERENCE_DATA, 0x00, 0x01)


class HolderPin:
    """The flows for the PIN. The environment (SSSE) must be current, and `CardAuthenticator.bind` must have run."""

    def __init__(self, authenticator: CardAuthenticator) -> None:
        self._authenticator = authenticator

    def count(self) -> Flow[PinCount]:
        """Return how many tries are left, as far as that can be known without spending a try that matters."""
        with self._authenticator.pin.exclusive():
            return (yield from self._authenticator.pin.count())

    def verify(self) -> Flow[None]:
        """Present the holder's PIN.

        Raises:
            WrongPinError, PinBlockedError, LastTryError and others: see `CardPin.submit`.
        """
        yield from self._authenticator.present(PIN)
        with self._authenticator.pin.exclusive():
            yield from self._authenticator.pin.probe_after_success()

    def change_on_pad(self) -> Flow[None]:
        """Make the holder enter the present PIN and twice the new one, on the reader's key pad.

        Raises:
            NoPinPadError: the reader has no key pad, or its key pad cannot change a PIN.
            WrongPinError, PinBlockedError, LastTryError and others: as for `verify`.
        """
        yield from self._authenticator.on_pad(_modify)

    def change(self, new: Pin) -> Flow[None]:
        """Replace the PIN that the credentials hold. A wrong old PIN costs a try.

        Raises:
            WrongPinError, PinBlockedError, LastTryError and others: as for `verify`.
            AccessNotGrantedError: the present PIN was not given.
        """
        self._authenticator.admit(PIN)
        old = self._authenticator.holders_pin
        if old is None:
            raise AccessNotGrantedError("未提供原密码", "the present PIN was not given")
        card_pin = self._authenticator.pin
        with card_pin.exclusive():
            yield from card_pin.submit(old, change(old, new), accept_last_try=self._authenticator.accepts_last_try)

    def unblock(self) -> Flow[None]:
        """Restore the tries; the PIN stays as it was.

        Raises:
            SamError: the keys for it are not available.
            AuthenticationFailedError, KeyBlockedError, MacRefusedError, CardRefusedError: the card refuses.
        """
        yield from self._authenticator.present(UNBLOCK_KEY)
        expect_success((yield from self._authenticator.secured(UNBLOCK, SSSE_MAC_KEY)))
        self._authenticator.pin.unblocked()

    def reload(self, new: Pin) -> Flow[None]:
        """Set a new PIN without the old one, and restore the tries.

        Raises:
            SamError: the keys for it are not available.
            AuthenticationFailedError, KeyBlockedError, MacRefusedError, CardRefusedError: the card refuses.
        """
        yield from self._authenticator.present(UNBLOCK_KEY)
        terminal = self._authenticator.terminal
        challenge = yield from terminal.challenge()
        enciphered = terminal.encipher(SSSE_MAC_KEY, challenge, lambda block: reload_block(new, block))
        command = replace(RELOAD, data=enciphered)
        expect_success((yield from self._authenticator.secured(command, SSSE_MAC_KEY, challenge)))
        self._authenticator.pin.unblocked()


def _modify(pad: PinPad, digits: int) -> bytes:
    if not pad.modifies:
        raise NoPinPadError("读卡器的密码键盘不能修改密码", "the reader's key pad cannot change a PIN")
    return pad.modify(digits)


def expect_success(response: ResponseApdu) -> None:
    """Check that the card has executed the command.

    Raises:
        MacRefusedError: the card says that the MAC is wrong.
        CardRefusedError: the card refuses for another reason.
    """
    status_word = response.status_word
    if status_word == StatusWord.MAC_WRONG:
        raise MacRefusedError(status_word=status_word)
    if status_word != StatusWord.SUCCESS:
        meaning = describe(status_word)
        raise CardRefusedError(
            f"密码未重置：{status_word:04X} {meaning.zh}",
            f"the PIN was not reset: {status_word:04X} {meaning.en}",
            status_word=status_word,
        )
