"""The status words of a reader's key pad when the holder has not entered a PIN (PC/SC part 10 §2.5.6)."""

from __future__ import annotations

from cardio.security.errors import (
    PinEntryCancelledError,
    PinEntryError,
    PinEntryMismatchError,
    PinEntryTimeoutError,
    PinFormatError,
)

_ERRORS: dict[int, type[PinEntryError]] = {
    0x6400: PinEntryTimeoutError,
    0x6401: PinEntryCancelledError,
    0x6402: PinEntryMismatchError,
    0x6403: PinFormatError,
}


def entry_error_of(status_word: int) -> PinEntryError | None:
    """Return the error for a status word of the pad's own; None for one of the card's."""
    kind = _ERRORS.get(status_word)
    return None if kind is None else kind()
