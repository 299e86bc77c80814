"""Texts that look alike: the skeleton of UTS #39, which replaces each character by the one that it looks like."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from importlib.resources import files

_LETTERS_THAT_MERGE = (("vv", "w"), ("cl", "d"))
"""Pairs of letters that look like one letter and that Unicode's table leaves out."""
_REMEMBERED = 4096
"""The size of the cache: one host is compared with all admitted hosts."""


@lru_cache(maxsize=_REMEMBERED)
def skeleton(text: str) -> str:
    """Return the skeleton of a text in lower case; two texts with one skeleton look the same at a glance."""
    table = _prototypes()
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    seen = "".join(table.get(one, one) for one in plain if unicodedata.category(one) != "Cf")
    # A digit's prototype can be a capital: 0 is O.
    folded = unicodedata.normalize("NFD", seen).casefold()
    for pair, letter in _LETTERS_THAT_MERGE:
        folded = folded.replace(pair, letter)
    return folded


@cache
def _prototypes() -> dict[str, str]:
    table = {}
    for line in (files("service.sites") / "confusables.txt").read_text(encoding="ascii").splitlines():
        if line.startswith("#"):
            continue
        character, _, prototype = line.partition("\t")
        table[chr(int(character, 16))] = "".join(chr(int(one, 16)) for one in prototype.split(" "))
    return table
