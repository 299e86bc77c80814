"""终端设备号: the number of the reader, field 11 of the national interface's basic information.

The interface says only that it is the reader's serial number (LD/T 33-2015; driver documents). Callers count the
fields, and some cut empty ones from the end first, so it is never empty here. It is kept short: the whole text of
iReadCardBas must fit into the 256 bytes of GBK that old callers have for it.
"""

from __future__ import annotations

import hashlib
from typing import Protocol, runtime_checkable

MOST_BYTES = 32
_KEPT_BYTES = 23
_HASH_DIGITS = 8


@runtime_checkable
class ReaderWithSerial(Protocol):
    """The interface of a connection through a reader that may know its own serial number."""

    def reader_serial(self) -> bytes:
        """Return the serial number; empty where the reader or its driver has none."""


def is_device_number(text: str) -> bool:
    """Return True if a text can be sent as 终端设备号 as it is."""
    return bool(text.strip()) and "|" not in text and text.isprintable() and 0 < _width(text) <= MOST_BYTES


def device_number(reader: str, serial: bytes = b"") -> str:
    """Return the reader's serial number if it is usable, else a number made of its name; never empty."""
    written = _tidy(serial.split(b"\0")[0].decode("ascii", "ignore"))
    if len(set(written)) > 1 and _width(written) <= MOST_BYTES:  # cheap readers all have the serial number 000000
        return written
    name = _tidy(reader)
    if name and _width(name) <= MOST_BYTES:
        return name
    # A cut name alone could stand for two readers.
    digest = hashlib.sha256(reader.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS].upper()
    return "-".join(part for part in (_cut(name), digest) if part)


def _tidy(text: str) -> str:
    """Keep letters and digits that GBK has; replace everything else by single hyphens."""
    kept = "".join(one if one.isalnum() and _width(one) else " " for one in text)
    return "-".join(kept.split())


def _cut(text: str) -> str:
    while _width(text) > _KEPT_BYTES:
        text = text[:-1]
    return text.rstrip("-")


def _width(text: str) -> int:
    """Return the bytes in GBK; 0 for a text that GBK does not have."""
    try:
        return len(text.encode("gbk"))
    except UnicodeEncodeError:
        return 0
