"""The PIN of a software card (个人密码): presented, changed, and set again by the issuer."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

from cardio.filesystem.layouts.access import PIN
from simulators.card.apdu import (
    BLOCKED,
    NOT_ALLOWED,
    OK,
    WRONG_DATA,
    WRONG_LENGTH,
    WRONG_P1_P2,
    CommandRefused,
    command_data,
    required_data,
    tries_answer,
)
from simulators.card.authentication import MAC_LENGTH, CardAuthentication
from simulators.card.persistent_state import CardState
from simulators.card.volatile_state import VolatileState

_SEPARATOR = b"\xff"
_UNBLOCKING_KEY = "PUK"


class PinCommands:
    """The commands of the PIN. A try is used up, and saved, before the comparison: cutting the power saves no try."""

    def __init__(
        self, session: VolatileState, authentication: CardAuthentication, state: CardState, keep: Callable[[], None]
    ) -> None:
        """Prepare the commands.

        Args:
            session: the volatile state.
            authentication: the commands that need keys.
            state: the persistent state.
            keep: saves the persistent state.
        """
        self._session = session
        self._authentication = authentication
        self._state = state
        self._keep = keep

    def verify(self, command: bytes) -> bytes:
        """Carry out VERIFY (校验个人密码); without data it returns the number of tries left."""
        if command[2] or command[3]:
            return WRONG_P1_P2
        if self._state.pin_tries == 0:
            return BLOCKED
        data = b"" if len(command) == 4 else command_data(command)
        if data == b"":
            return tries_answer(self._state.pin_tries)
        if data is None or not 2 <= len(data) <= 8:
            return WRONG_LENGTH
        self._compare(data)
        self._restore(self._state.pin)
        self._session.rights.add(PIN)
        return OK

    def change(self, command: bytes) -> bytes:
        """Carry out CHANGE PIN (修改个人密码) with the old PIN, FF, and the new PIN.

        It is no VERIFY and gives no right.
        """
        if (command[2], command[3]) != (0x01, 0x00):
            return WRONG_P1_P2
        old, separator, new = required_data(command).partition(_SEPARATOR)
        if not separator or not _is_pin(old) or not _is_pin(new):
            return WRONG_DATA
        if self._state.pin_tries == 0:
            return BLOCKED
        self._compare(old)
        self._restore(new.hex().upper())
        return OK

    def unblock_or_reload(self, command: bytes) -> bytes:
        """Carry out PIN UNBLOCK (PIN解锁) with P2 00, or RELOAD PIN (重装PIN) with 01.

        A terminal must have authenticated with PUK.
        """
        if command[2] or command[3] not in (0x00, 0x01):
            return WRONG_P1_P2
        reloading = command[3] == 0x01
        block_size = self._authentication.block_size if reloading else 0
        required_data(command, block_size + MAC_LENGTH)
        # The right ends when SSSE is left, so this is SSSE and its maintenance key.
        if _UNBLOCKING_KEY not in self._session.rights:
            return NOT_ALLOWED
        block = self._authentication.without_mac(command)
        self._restore(_pin_in(self._authentication.deciphered(block)) if reloading else self._state.pin)
        return OK

    def _compare(self, pin: bytes) -> None:
        """Compare a PIN with the card's and use up a try.

        Raises:
            CommandRefused: it is another PIN; the right of an earlier VERIFY is lost.
        """
        self._state.pin_tries -= 1
        self._keep()
        if not hmac.compare_digest(pin, bytes.fromhex(self._state.pin)):
            self._session.rights.discard(PIN)
            raise CommandRefused(tries_answer(self._state.pin_tries))

    def _restore(self, pin: str) -> None:
        self._state.pin, self._state.pin_tries = pin, self._session.quirks.pin_tries
        self._keep()


def packed(digits: str) -> str:
    """Return digits in hex, two in a byte, an odd one filled with F."""
    return digits if len(digits) % 2 == 0 else digits + "F"


def _is_pin(raw: bytes) -> bool:
    return 2 <= len(raw) <= 8 and re.fullmatch("[0-9]+F?", raw.hex().upper()) is not None


def _pin_in(block: bytes) -> str:
    """Return the PIN of a plain block: its length, the PIN, 80 and zeros.

    Raises:
        CommandRefused: the block has another form.
    """
    pin, rest = block[1 : 1 + block[0]], block[1 + block[0] :]
    if not _is_pin(pin) or rest != b"\x80".ljust(len(rest), b"\x00"):
        raise CommandRefused(WRONG_DATA)
    return pin.hex().upper()
