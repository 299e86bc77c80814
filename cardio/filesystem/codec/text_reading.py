"""The text of an item: the readable part, and notes on it for a person.

Issuers cut names where the field ends, fill with characters in place of 00, write check characters in lower case, and
put a question mark or a private code point where their program had no character. The value is given all the same.
"""

from __future__ import annotations

import re
from enum import StrEnum
from unicodedata import category, normalize

from cardio.filesystem.codec.check_digits import FAULTS
from cardio.filesystem.codec.text import decode_text, trim
from cardio.filesystem.layouts.model import Format, Item, Kind

FREE_TEXT_LENGTH = 30
"""The least length, in bytes, of items that hold free text: names, addresses, institutions."""
_FALSE_FILL = "0?"
_LEAST_FILL = 2
_LONGEST_CHARACTER = 4
_SUBSTITUTES = frozenset("?？□〓\ufffd")
"""The characters that programs write in place of a character that they do not know."""
_LOWER_CHECK = {
    "GB 11643": re.compile(r"[0-9]{17}x", re.ASCII),
    "GB 11714": re.compile(r"[0-9A-Z]{8}x", re.ASCII),
    "V2.0 appendix A": re.compile(r"[0-9A-Z]{8}x", re.ASCII),
}
"""The patterns of numbers with a lower-case check character: their capital form is right, or they are wrong in either
case.
"""
_SEPARATORS = re.compile(r"[\s-]+")


class TextNote(StrEnum):
    """A note on a text for a person; the values are the codes of warnings."""

    CUT = "cut-text"
    """The text ends within a character, which is left out."""
    FULL = "full-text"
    """The text fills its field: the original may be longer."""
    FILL = "fill-characters"
    """Characters that only fill the field are left out."""
    SUBSTITUTES = "substitute-characters"
    """The text has a sign in place of a character that a program did not know."""
    PRIVATE_USE = "private-use"
    """The text has a character whose meaning is known only where the card was written."""
    NORMALISED = "normalised"
    """The text is given as its standard writes it, and stands otherwise on the card."""


def read_text(raw: bytes, room: int) -> tuple[str | None, bool, bool]:
    """Return the text of a field, whether control characters were removed, and whether its end was cut.

    Args:
        raw: the bytes of the field.
        room: the bytes that the field has room for. A field cuts a character only at its end.

    Raises:
        DecodeError: the bytes are not GB18030.
    """
    content = trim(raw)
    whole = _whole_characters(content) if len(content) > room - _LONGEST_CHARACTER else content
    if not whole or whole == content:
        return *decode_text(raw), False
    return *decode_text(whole), True


def for_people(item: Item, text: str, content: bytes, room: int) -> tuple[str | None, frozenset[TextNote]]:
    """Return a text in the form for people, None if only fill is left, and the notes on it.

    Args:
        item: the definition of the item.
        text: the decoded text of the item.
        content: its bytes, without fill, joined with those of its extension.
        room: the bytes that there is room for.
    """
    if item.format is not Format.AN or item.kind is not Kind.TEXT or item.codes is not None:
        return text, frozenset()
    notes = set()
    if item.check is None and room >= FREE_TEXT_LENGTH:
        if _fills(content, room):
            unfilled = _without_false_fill(text)
            notes.add(TextNote.FULL if unfilled == text else TextNote.FILL)
            text = unfilled
        if _SUBSTITUTES & set(text):
            notes.add(TextNote.SUBSTITUTES)
    elif _is_false_fill(text, room):
        text = ""
        notes.add(TextNote.FILL)
    if any(category(character) == "Co" for character in text):
        notes.add(TextNote.PRIVATE_USE)
    standard = standard_form(item, text)
    if standard != text:
        notes.add(TextNote.NORMALISED)
    return standard or None, frozenset(notes)


def standard_form(item: Item, text: str) -> str:
    """Return a number with a check character as its standard writes it: ASCII capitals without separators.

    A number with a wrong check character stays as it stands, except that a lower-case x at its end becomes a capital.
    """
    if item.check is None or not text:
        return text
    candidate = _SEPARATORS.sub("", normalize("NFKC", text)).upper()
    if FAULTS[item.check](candidate) is None:
        return candidate
    return text[:-1] + "X" if _LOWER_CHECK[item.check].fullmatch(text) else text


def _whole_characters(content: bytes) -> bytes:
    """Return the content without the incomplete character at its end, if it breaks off within one."""
    try:
        content.decode("gb18030")
    except UnicodeDecodeError as error:
        if error.end >= len(content) and error.reason.startswith("incomplete"):
            return content[: error.start]
    return content


def _fills(content: bytes, room: int) -> bool:
    """Return True if no further character fits: no byte is left, or one byte after a Chinese character."""
    return len(content) == room or (len(content) == room - 1 and content[-1:] > b"\x7f")


def _without_false_fill(text: str) -> str:
    """Return the text without a 0 or ? at the end that only fills the field; a number at the end of
    an address stays.
    """
    bare = text.rstrip(text[-1]) if text[-1] in _FALSE_FILL else text
    length = len(text) - len(bare)
    if length < _LEAST_FILL or (text[-1] == "0" and bare[-1:].isascii() and bare):
        return text
    return bare.rstrip()


def _is_false_fill(text: str, room: int) -> bool:
    """Return True if a short field is full of one character of fill."""
    return len(text) == room >= _LEAST_FILL and text[0] in _FALSE_FILL and len(set(text)) == 1
