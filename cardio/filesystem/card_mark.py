"""What tells one card from another within a session: what its EF05 and its ATR say, as a hash that names no person."""

from __future__ import annotations

import hashlib

from cardio.filesystem.reading.result import FileReading

_TELLING = ("identification_code", "card_number")
"""Items of EF05 that no two cards share and that stay as they are for a card's life; its dates may be written anew."""


def card_mark(issuer: FileReading, atr: bytes) -> bytes:
    """A hash of 卡识别码, 卡号 and the ATR; where a card has neither item, of all that its EF05 holds.

    An item that was never written tells nothing. A card that gives nothing of EF05 is known by its ATR alone.

    Args:
        issuer: what reading EF05 gave.
        atr: of the card; contactless readers make up one ATR for all cards of a kind.
    """
    tags = {item.tag for item in issuer.file.items if item.name in _TELLING}
    telling = [record for record in issuer.records if record.tag in tags and not _is_blank(record.value)]
    told = hashlib.sha256(len(atr).to_bytes(1, "big") + atr)
    for record in sorted(telling or issuer.records, key=lambda one: one.tag):
        told.update(record.tag.to_bytes(2, "big") + len(record.value).to_bytes(2, "big") + record.value)
    return told.digest()


def _is_blank(value: bytes) -> bool:
    """Return whether a value is one byte over and over: filled, and never written."""
    return len(set(value)) < 2
