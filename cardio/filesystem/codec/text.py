"""Text on the card: GB18030, left-aligned, filled with 00 (and, in the field, with FF or blanks)."""

from __future__ import annotations

import csv
from codecs import getincrementaldecoder
from functools import cache
from importlib.resources import files
from unicodedata import category

from cardio.errors import DecodeError

FILL = b"\x00\xff\x20"
# Control characters, marks that reorder text on a screen, line ends; and Korean letters that are invisible.
_UNSHOWABLE_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp"})
_UNSHOWABLE = frozenset("\u115f\u1160\u3164\uffa0")


@cache
def _since_2022() -> tuple[dict[int, int], dict[int, int]]:
    """Return the code points that GB 18030 has moved since 2000, both ways: Python's codec is of the year 2000."""
    table = files("cardio.filesystem") / "codes" / "gb18030_2022.csv"
    with table.open(encoding="utf-8") as stream:
        pairs = [(int(row["python"][2:], 16), int(row["unicode"][2:], 16)) for row in csv.DictReader(stream)]
    # Characters beyond FFFF have four-byte codes of their own; their old two-byte codes are only read.
    return dict(pairs), {new: old for old, new in pairs if new <= 0xFFFF}


def trim(raw: bytes) -> bytes:
    """Remove the fill: cut at the first 00, then strip FF and blanks from the end.

    No GB18030 character ends in one of these bytes, so no character is damaged.
    """
    return raw.split(b"\x00", 1)[0].rstrip(b"\xff\x20")


def is_fill(raw: bytes, fills: bytes = FILL) -> bool:
    """Return True if there is only one byte value of fill, or nothing at all."""
    return not raw or (raw[0] in fills and raw.count(raw[0]) == len(raw))


def decode_text(raw: bytes) -> tuple[str | None, bool]:
    """Return the text in a field, or None if the field is empty, and whether control characters were removed.

    Raises:
        DecodeError: the bytes are not GB18030.
    """
    try:
        text = trim(raw).decode("gb18030").translate(_since_2022()[0])
    except UnicodeDecodeError as error:
        raise DecodeError(
            f"第 {error.start + 1} 个字节起不是有效的 GB18030 文字",
            f"not GB18030 text from byte {error.start + 1} on",
        ) from error
    shown = "".join(c for c in text if category(c) not in _UNSHOWABLE_CATEGORIES and c not in _UNSHOWABLE).strip()
    return shown or None, shown != text.strip()


def ends_within_character(raw: bytes) -> bool:
    """Return True if the last character of a text lacks a byte."""
    try:
        raw.decode("gb18030")
    except UnicodeDecodeError as error:
        return error.end >= len(raw)
    return False


def text_across(raw: bytes, boundary: int) -> tuple[str, str]:
    """Return the text of a field and its extension, joined and split again: the characters that end within the field,
    and the rest.

    Args:
        raw: the joined bytes of the field and its extension.
        boundary: the number of bytes of the field.

    Raises:
        DecodeError: the bytes are not GB18030.
    """
    whole = decode_text(raw)[0] or ""
    decoder = getincrementaldecoder("gb18030")()
    fitting = len(decoder.decode(raw[:boundary].split(b"\x00", 1)[0]).lstrip())
    return whole[:fitting], whole[fitting:]


def encode_text(text: str) -> bytes:
    """Return the bytes of a text, without fill."""
    return text.translate(_since_2022()[1]).encode("gb18030")


def join_split_text(head: bytes, tail: bytes) -> bytes:
    """Join the bytes of a field and its extension. Bytes are joined before decoding, since a character may cross the
    gap.
    """
    rest = trim(tail)
    if not rest:
        return head
    start = head.split(b"\x00", 1)[0].rstrip(b"\xff")
    # An issuer that did not want to split a character filled the last byte with a blank.
    unsplit = start.rstrip(b" ")
    if len(unsplit) != len(start) and unsplit and unsplit[-1] >= 0x30 and rest[0] >= 0x80 and unsplit[-2:-1] >= b"\x80":
        start = unsplit
    return start + rest
