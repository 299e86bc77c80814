"""Names of readers: bytes to PC/SC, a readable text to people and programs.

PC/SC defines no encoding (pcsc-lite hands ``FRIENDLYNAME`` and the USB strings through as they are), and readers made
in China have names in UTF-8 and in GBK. A name in UTF-8 is its own text. Every other name gets a mark at its end, so
that two readers whose names differ only in their bytes have two texts::

    德卡T10 00 00             UTF-8
    德卡T10 00 00 [GBK]       the same text in GBK
    Lecteur à puce [Latin-1]
    ?T10 [5F0E9A27C3B1D840]   nothing that can be shown: the beginning of its SHA-256
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable

_ENCODINGS = {"GBK": "gb18030", "Latin-1": "latin-1"}
"""The encodings that are tried in this order on a name that is not UTF-8; the key is the mark."""
_MARK = re.compile(r" \[(GBK|Latin-1|[0-9A-F]{16})\]$")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""The Unicode categories that a terminal or a page does not show, or that change the text beside them."""


def readable_name(raw: bytes) -> str:
    """Return the text that stands for a name of PC/SC, the same at any time and on any machine."""
    text = _decoded(raw, "utf-8")
    if text is not None and _MARK.search(text) is None:
        return text
    for mark, encoding in _ENCODINGS.items():
        text = _decoded(raw, encoding)
        if text is not None:
            return f"{text} [{mark}]"
    shown = "".join("?" if _is_hidden(character) else character for character in raw.decode("utf-8", "replace"))
    return f"{shown} [{hashlib.sha256(raw).hexdigest()[:16].upper()}]"


def raw_name(name: str, present: Callable[[], Iterable[bytes]]) -> bytes | None:
    """Return the bytes that a readable name stands for; None where there is no such reader.

    Args:
        name: the readable name.
        present: returns the names of the present readers; called only where the text alone is not enough.
    """
    marked = _MARK.search(name)
    encoding = "utf-8" if marked is None else _ENCODINGS.get(marked[1])
    if encoding is not None:
        try:
            raw = (name if marked is None else name[: marked.start()]).encode(encoding)
        except UnicodeEncodeError:
            return None
        if readable_name(raw) == name:
            return raw
    return next((raw for raw in present() if readable_name(raw) == name), None)


def _decoded(raw: bytes, encoding: str) -> str | None:
    """Return the text, if all its characters can be shown and it encodes to the same bytes; else None."""
    try:
        text = raw.decode(encoding)
        same = text.encode(encoding) == raw
    except UnicodeError:
        return None
    return text if same and not any(map(_is_hidden, text)) else None


def _is_hidden(character: str) -> bool:
    return character == "\N{REPLACEMENT CHARACTER}" or unicodedata.category(character) in _HIDDEN
