"""The reader's own key pad: the PIN goes from the holder's fingers to the card, and this program never sees it.

PC/SC part 10, version 2.02.09: features by control codes (§2.2), PIN_VERIFY_STRUCTURE (§2.5.2) and PIN_MODIFY_STRUCTURE
(§2.5.3), all numbers little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from cardio.apdu.command_watch import CommandWatch
from cardio.apdu.effect import CommandEffect

VERIFY_DIRECT, MODIFY_DIRECT = 0x06, 0x07
SECONDS = 30
"""The seconds that the holder has before the first key."""
_SECONDS_BETWEEN = 15
_BCD_LEFT = 0x81
"""bmFormatString: offsets in bytes, the PIN at the beginning of the data, left-justified, packed digits."""
_KEY_OR_FULL = 0x03
"""bEntryValidationCondition: the validation key, or the last digit."""
_CHINESE = 0x0804
_ENTRY_LENGTH = 6
_FILL = b"\xff"


@runtime_checkable
class PinPadConnection(Protocol):
    """The interface of a connection through a reader that accepts control codes."""

    def feature_list(self) -> bytes:
        """Return the answer to GET_FEATURE_REQUEST: tag, 04, control code (big-endian), one after another."""

    def control(self, code: int, data: bytes) -> bytes:
        """Send a control code.

        Raises:
            CardioError: the reader or the card is gone, or refuses.
        """


def parse_features(answer: bytes) -> dict[int, int]:
    """Return the control codes by feature; of a malformed list, the entries before the error."""
    found: dict[int, int] = {}
    for start in range(0, len(answer) - _ENTRY_LENGTH + 1, _ENTRY_LENGTH):
        tag, length, code = struct.unpack_from(">BBI", answer, start)
        if length != _ENTRY_LENGTH - 2:
            break
        found[tag] = code
    return found


def verify_structure(digits: int) -> bytes:
    """Return PIN_VERIFY_STRUCTURE for VERIFY: ``00 20 00 00 Lc`` and the packed digits.

    Args:
        digits: the number of digits of the PIN.
    """
    size = (digits + 1) // 2
    command = bytes((0x00, 0x20, 0x00, 0x00, size)) + _FILL * size
    head = struct.pack(
        "<BBBBBHBBHB3xI",
        SECONDS,
        _SECONDS_BETWEEN,
        _BCD_LEFT,
        size,  # bmPINBlockString: no length inside, a block of this many bytes
        0,  # bmPINLengthFormat
        digits << 8 | digits,  # wPINMaxExtraDigit: least and most
        _KEY_OR_FULL,
        1,  # bNumberMessage
        _CHINESE,
        0,  # bMsgIndex
        len(command),
    )
    return head + command


def modify_structure(digits: int) -> bytes:
    """Return PIN_MODIFY_STRUCTURE for CHANGE PIN: ``80 5E 01 00 Lc``, old, ``FF``, new; the new one is entered
    twice.
    """
    size = (digits + 1) // 2
    command = bytes((0x80, 0x5E, 0x01, 0x00, 2 * size + 1)) + _FILL * (2 * size + 1)
    head = struct.pack(
        "<BBBBBBBHBBBHBBB3xI",
        SECONDS,
        _SECONDS_BETWEEN,
        _BCD_LEFT,
        size,
        0,
        0,  # bInsertionOffsetOld
        size + 1,  # bInsertionOffsetNew
        digits << 8 | digits,
        0x03,  # bConfirmPIN: the present one is requested, the new one twice
        _KEY_OR_FULL,
        3,  # bNumberMessage
        _CHINESE,
        0,
        1,
        2,
        len(command),
    )
    return head + command


class PinPad:
    """A key pad of a reader."""

    def __init__(
        self,
        connection: PinPadConnection,
        features: dict[int, int],
        watch: Callable[[], CommandWatch] = CommandWatch,
    ) -> None:
        """Set up for a connected card.

        Args:
            connection: the connection to the card.
            features: control codes by feature.
            watch: returns the watch that is called for every entry, as for every command.
        """
        self._connection = connection
        self._features = features
        self._watch = watch

    def verify(self, digits: int) -> bytes:
        """Make the holder enter the PIN, and the card check it.

        Args:
            digits: the number of digits of the PIN.

        Returns:
            the status word of the card, or the pad's own: 6400 time is over, 6401 cancelled, 6402 the new PINs differ,
                6403 too short or too long.
        """
        return self._entered(CommandEffect.PIN, VERIFY_DIRECT, verify_structure(digits))

    @property
    def modifies(self) -> bool:
        return MODIFY_DIRECT in self._features

    def modify(self, digits: int) -> bytes:
        """Make the holder enter the present PIN, and the new one twice. Return a status word as `verify` does."""
        return self._entered(CommandEffect.PIN_CHANGE, MODIFY_DIRECT, modify_structure(digits))

    def _entered(self, effect: CommandEffect, feature: int, structure: bytes) -> bytes:
        """Wait for the holder, who may take longer than a card, and for the card's answer."""
        answer: bytes | None = None
        watch = self._watch()
        watch.begin(effect, limited=False)
        try:
            answer = self._connection.control(self._features[feature], structure)
        finally:
            watch.end(answer)
        return answer


def pin_pad_of(connection: object, watch: Callable[[], CommandWatch] = CommandWatch) -> PinPad | None:
    """Return the key pad of the reader that a card is in; None where it has none.

    Args:
        connection: the connection to the card.
        watch: returns the watch that is called for every entry.
    """
    if not isinstance(connection, PinPadConnection):
        return None
    features = parse_features(connection.feature_list())
    return PinPad(connection, features, watch) if VERIFY_DIRECT in features else None
