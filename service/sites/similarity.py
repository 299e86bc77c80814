"""The similarity of two host names: one within the other, a few letters changed, the same to the eye."""

from __future__ import annotations

import re

from service.sites.confusables import skeleton

_SHORTEST_WITHIN = 5
"""The length from which a name is looked for within others.

Shorter names stand in many others by chance, so only whole labels are compared.
"""
_LETTERS_OF_A_CHARACTER = 3
"""The number of letters that a Chinese character counts as: two of them make a name (协和)."""
_READ_AS = str.maketrans("i2345789", "lzeastbg")
"""Digits that are read as letters, and i as l. 1 and 0 look like letters, and are in the table of what looks alike."""
_FUZZY_FROM = 8
_SEPARATORS = re.compile(r"[.\-_]")


def squeezed(name: str) -> str:
    """Return the skeleton of a name without dots and hyphens, which a reader passes over."""
    return _SEPARATORS.sub("", skeleton(name))


def read_loosely(name: str) -> str:
    """Return the name that a reader sees if digits are read as letters: ``h0sp1ta1`` and ``hospital`` are one."""
    return squeezed(name).translate(_READ_AS)


def weight(name: str) -> int:
    """Return the information in a name, counted in letters."""
    return sum(_LETTERS_OF_A_CHARACTER if "\u3400" <= one <= "\u9fff" else 1 for one in name)


def allowed_changes(length: int) -> int:
    """Return the number of letters that may differ before two names of this length are no longer confused."""
    return 0 if length < 4 else 1 if length < 12 else 2


def are_close(one: str, other: str) -> bool:
    """Return True if few letters differ between two labels, but not none."""
    limit = allowed_changes(min(len(one), len(other)))
    return one != other and abs(len(one) - len(other)) <= limit and changes(one, other, limit) <= limit


def changes(one: str, other: str, limit: int) -> int:
    """Return the number of letters to insert, delete, change or exchange with a neighbour.

    This is Damerau and Levenshtein's distance, with neighbours exchanged at most once.

    Returns:
        ``limit + 1`` if there are more than ``limit``.
    """
    before, last = list[int](), list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, its in enumerate(other, 1):
            cost = min(last[column] + 1, now[column - 1] + 1, last[column - 1] + (letter != its))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == its:
                cost = min(cost, before[column - 2] + 1)
            now.append(cost)
        if min(now) > limit:
            return limit + 1
        before, last = last, now
    return min(last[-1], limit + 1)


def is_contained(name: str, host: str) -> bool:
    """Return True if a name stands in another, regardless of dots and hyphens; both are squeezed."""
    return weight(name) >= _SHORTEST_WITHIN and name in host


def is_nearly_contained(name: str, host: str) -> bool:
    """Return True if a name of some length stands in another with few letters changed; both are squeezed."""
    if len(name) < _FUZZY_FROM:
        return False
    limit = allowed_changes(len(name))
    # With so few changes at least one of the name's parts has none.
    size = len(name) // (limit + 1)
    parts = [name[at * size :] if at == limit else name[at * size : (at + 1) * size] for at in range(limit + 1)]
    if not any(part in host for part in parts):
        return False
    return _least_changes_within(name, host) <= limit


def _least_changes_within(name: str, host: str) -> int:
    """Return the smallest number of changes that make a name a part of a host (Sellers' algorithm)."""
    last = [0] * (len(host) + 1)
    for row, letter in enumerate(name, 1):
        now = [row]
        for column, its in enumerate(host, 1):
            now.append(min(last[column] + 1, now[column - 1] + 1, last[column - 1] + (letter != its)))
        last = now
    return min(last)
