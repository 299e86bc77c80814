"""The mark that tells one card from another within a session: a hash of its EF05 and its ATR that names no person."""

from __future__ import annotations

import hashlib

from cardio.filesystem.reading.result import FileReading

_TELLING = ("identification_code", "card_number")
"""The items of EF05 that no two cards share and that stay for a card's life; its dates may be written anew."""


def card_mark(issuer: FileReading, atr: bytes) -> bytes:
    """Return a hash of 卡识别码, 卡号 and the ATR. If the card has neither item, hash everything that its EF05 holds.

    An item that was never written is left out. A card that gives nothing of EF05 is known by its ATR alone.

    Args:
        issuer: the reading of EF05.
        atr: the card's ATR; contactless readers build one ATR for all cards of a kind.
    """
    tags = {item.tag for item in issuer.file.items if item.name in _TELLING}
    telling = [record for record in issuer.records if record.tag in tags and not _is_blank(record.value)]
    hasher = hashlib.sha256(len(atr).to_bytes(1, "big") + atr)
    for record in sorted(telling or issuer.records, key=lambda one: one.tag):
        hasher.update(record.tag.to_bytes(2, "big") + len(record.value).to_bytes(2, "big") + record.value)
    return hasher.digest()


def _is_blank(value: bytes) -> bool:
    """Return True if all bytes of a value are the same: it was filled, and never written."""
    return len(set(value)) < 2
