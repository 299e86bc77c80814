"""Host names in letters other than ASCII: their readable form, and the scripts that are mixed in them."""

from __future__ import annotations

import unicodedata

_ENCODED = "xn--"
_SHOWABLE = ("L", "M", "N")
"""The general categories of characters that a name may show: letters, their marks, digits."""
FILLERS = "\u115f\u1160\u3164\uffa0\u2800"
"""Letters and symbols that show nothing."""
_COMMON = frozenset({"DIGIT", "HYPHEN-MINUS", "MIDDLE", "COMBINING", "FULL", "LOW"})
"""First words of names in the Unicode database that belong to no script."""
_SCRIPT_OF = {"CJK": "HAN", "IDEOGRAPHIC": "HAN", "KATAKANA-HIRAGANA": "KATAKANA"}
_TOGETHER = (
    frozenset({"LATIN", "HAN"}),
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
)
"""Scripts that are written together (UTS #39 §5.2, Highly Restrictive)."""


def readable(host: str) -> str:
    """Return a host's name in its own letters; a label that cannot be shown safely stays as it is sent."""
    return ".".join(map(_readable_label, host.split(".")))


def _readable_label(label: str) -> str:
    if not label.startswith(_ENCODED):
        return label
    try:
        text = label.removeprefix(_ENCODED).encode("ascii").decode("punycode")
        written_back = text.encode("punycode").decode("ascii")
    except (UnicodeError, ValueError, OverflowError):
        return label
    # No browser writes a second spelling of the same letters, and invisible characters must not hide in a name.
    honest = written_back == label.removeprefix(_ENCODED) and unicodedata.normalize("NFC", text) == text
    return text if honest and not text.isascii() and _is_showable(text) else label


def _is_showable(text: str) -> bool:
    if unicodedata.category(text[0]).startswith("M"):
        return False
    return all(one == "-" or (unicodedata.category(one)[0] in _SHOWABLE and one not in FILLERS) for one in text)


def is_right_to_left(text: str) -> bool:
    """Return True if the text has letters that are written from right to left: beside others they change places."""
    return any(unicodedata.bidirectional(one) in ("R", "AL", "AN") for one in text)


def mixed_scripts(host: str) -> tuple[str, ...]:
    """Return the scripts that stand in one label and are never written together; empty if there is no such label."""
    for label in readable(host).split("."):
        scripts = {script for one in label if (script := _script(one)) is not None}
        if not label.isascii() and len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
            return tuple(sorted(scripts))
    return ()


def _script(character: str) -> str | None:
    """Return the script, which is the first word of the character's name: ``CYRILLIC SMALL LETTER A``."""
    word = unicodedata.name(character, "UNKNOWN").split(" ")[0]
    return None if word in _COMMON else _SCRIPT_OF.get(word, word)
