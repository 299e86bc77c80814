"""Text on the card: GB18030, left-aligned, filled with 00 (and, in the field, with FF or blanks)."""

from __future__ import annotations

import csv
from codecs import getincrementaldecoder
from functools import cache
from importlib.resources import files
from unicodedata import category

from cardio.errors import DecodeError

FILL = b"\x00\xff\x20"
# Controls, marks that reorder text on a screen, line ends; and letters of Korean that look like nothing.
_UNSHOWABLE_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp"})
_UNSHOWABLE = frozenset("\u115f\u1160\u3164\uffa0")


@cache
def _since_2022() -> tuple[dict[int, int], dict[int, int]]:
    """Python's codec is of the year 2000: code points that GB 18030 has moved since, both ways."""
    table = files("cardio.filesystem") / "codes" / "gb18030_2022.csv"
    with table.open(encoding="utf-8") as stream:
        pairs = [(int(row["python"][2:], 16), int(row["unicode"][2:], 16)) for row in csv.DictReader(stream)]
    # Characters beyond FFFF have four-byte codes of their own; their old two-byte codes are only read.
    return dict(pairs), {new: old for old, new in pairs if new <= 0xFFFF}


def trim(raw: bytes) -> bytes:
    """Takes the fill away: cuts at the first 00, then strips FF and blanks from the end.

    Neither byte can end a GB18030 character, so no character is damaged.
    """
    return raw.split(b"\x00", 1)[0].rstrip(b"\xff\x20")


def is_fill(raw: bytes, fills: bytes = FILL) -> bool:
    """Return whether there is nothing but one byte of fill, or nothing at all."""
    return not raw or (raw[0] in fills and raw.count(raw[0]) == len(raw))


def decode_text(raw: bytes) -> tuple[str | None, bool]:
    """The text in a field, None when the field is empty, and whether control characters were taken out.

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
    """Return whether the last character of a text lacks a byte."""
    try:
        raw.decode("gb18030")
    except UnicodeDecodeError as error:
        return error.end >= len(raw)
    return False


def text_across(raw: bytes, boundary: int) -> tuple[str, str]:
    """The text in a field and its extension, joined: the characters that end within ``boundary`` bytes, and the rest.

    Raises:
        DecodeError: the bytes are not GB18030.
    """
    whole = decode_text(raw)[0] or ""
    decoder = getincrementaldecoder("gb18030")()
    fitting = len(decoder.decode(raw[:boundary].split(b"\x00", 1)[0]).lstrip())
    return whole[:fitting], whole[fitting:]


def encode_text(text: str) -> bytes:
    """The bytes of a text, without fill."""
    return text.translate(_since_2022()[1]).encode("gb18030")


def join_split_text(head: bytes, tail: bytes) -> bytes:
    """One text from a field and its extension: bytes first, since a character may lie across the gap."""
    rest = trim(tail)
    if not rest:
        return head
    start = head.split(b"\x00", 1)[0].rstrip(b"\xff")
    # An issuer that would not split a character filled the last byte with a blank.
    unsplit = start.rstrip(b" ")
    if len(unsplit) != len(start) and unsplit and unsplit[-1] >= 0x30 and rest[0] >= 0x80 and unsplit[-2:-1] >= b"\x80":
        start = unsplit
    return start + rest
