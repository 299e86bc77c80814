"""A text for people, in Chinese and in English."""

from __future__ import annotations

from typing import NamedTuple


class Bilingual(NamedTuple):
    """The same sentence in two languages."""

    zh: str
    en: str
