"""The holder at a reader's PIN pad, played by a script, for the pad that tests put in front of a virtual reader.

The pad's driver passes PIN structures (PC/SC part 10) to the card as ``FF C2 01 feature Lc structure``. This module
stands between it and a software card, enters digits, and passes the finished command on.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulators.card.base import AnyCard

_PSEUDO = bytes.fromhex("FFC201")
_VERIFY, _MODIFY = 0x06, 0x07
TIMEOUT, CANCEL = b"\x64\x00", b"\x64\x01"
_MISMATCH, _WRONG_SIZE = b"\x64\x02", b"\x64\x03"


@dataclass(frozen=True, slots=True)
class Entry:
    """The action of the holder: digits, or nothing, or the cancel key."""

    present: str = ""
    new: str = ""
    again: str = ""
    """The new PIN, entered the second time."""
    instead: bytes | None = None
    """The answer in place of an entry: `TIMEOUT` or `CANCEL`."""


class CardWithPinPad:
    """A card in a reader with a PIN pad."""

    def __init__(self, card: AnyCard, entries: list[Entry]) -> None:
        """Put a card behind a PIN pad.

        Args:
            card: the card.
            entries: the entries, taken from the front; more may be added later. Without any the holder enters nothing.
        """
        self._card = card
        self._entries = entries
        self.atr = card.atr
        self.structures: list[bytes] = []
        """The structures that arrived at the pad."""

    def reset(self) -> None:
        self._card.reset()

    def transmit(self, command: bytes) -> bytes:
        if command[:3] != _PSEUDO:
            return self._card.transmit(command)
        feature, structure = command[3], command[5:]
        self.structures.append(structure)
        if not self._entries:
            return TIMEOUT
        entry = self._entries.pop(0)
        if entry.instead is not None:
            return entry.instead
        return self._verify(structure, entry) if feature == _VERIFY else self._modify(structure, entry)

    def _verify(self, structure: bytes, entry: Entry) -> bytes:
        most, least = structure[5], structure[6]
        if not least <= len(entry.present) <= most:
            return _WRONG_SIZE
        finished = bytearray(structure[19:])
        _put(finished, 5, entry.present)
        return self._card.transmit(bytes(finished))

    def _modify(self, structure: bytes, entry: Entry) -> bytes:
        old_at, new_at, most, least, confirm = structure[5], structure[6], structure[7], structure[8], structure[9]
        if confirm & 0x01 and entry.new != entry.again:
            return _MISMATCH
        if not all(least <= len(digits) <= most for digits in (entry.present, entry.new)):
            return _WRONG_SIZE
        finished = bytearray(structure[24:])
        if confirm & 0x02:
            _put(finished, 5 + old_at, entry.present)
        _put(finished, 5 + new_at, entry.new)
        return self._card.transmit(bytes(finished))


def _put(command: bytearray, place: int, digits: str) -> None:
    packed = bytes.fromhex(digits + "F" * (len(digits) % 2))
    command[place : place + len(packed)] = packed
