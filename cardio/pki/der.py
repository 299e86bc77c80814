"""DER, the encoding of certificates (ITU-T X.690), read one level at a time so that damage stays local."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ecdsa import der

SEQUENCE, OBJECT = 0x30, 0x06
DAMAGE = (der.UnexpectedDER, ValueError, IndexError)
"""The errors of decoding malformed bytes."""
_LENGTH_SIZE = 5
"""The limit of the bytes that give a length: four gigabytes are enough for a certificate."""


class Element(NamedTuple):
    """One object: tag and content."""

    tag: int
    value: bytes
    whole: bool
    """True if its content is as long as it announces."""


def announced_length(start: bytes) -> int | None:
    """Return the length of a certificate, header included, by its first bytes; None if these begin no certificate."""
    if start[:1] != bytes((SEQUENCE,)):
        return None
    try:
        length, size = der.read_length(start[1:])
    except DAMAGE:
        return None
    return int(1 + size + length) if size <= _LENGTH_SIZE else None


def elements(data: bytes) -> Iterator[Element]:
    """Yield the objects one after the other, up to the first malformed one; the last may be truncated."""
    while data:
        try:
            length, size = der.read_length(data[1:])
        except DAMAGE:
            return
        end = 1 + size + length
        yield Element(data[0], data[1 + size : end], end <= len(data))
        data = data[end:]


def children(data: bytes) -> list[Element]:
    """Return the objects inside another.

    Raises:
        ValueError: there is none, or one is not whole.
    """
    found = list(elements(data))
    if not found or not all(one.whole for one in found):
        raise ValueError("cut short")
    return found


def object_identifier(element: Element) -> str:
    """Return an OID, as ``2.5.4.3``.

    Raises:
        ValueError, UnexpectedDER: it is none.
    """
    if element.tag != OBJECT or not element.value:
        raise ValueError("no object identifier")
    numbers, _ = der.remove_object(bytes((OBJECT,)) + der.encode_length(len(element.value)) + element.value)
    return ".".join(map(str, numbers))
