"""The kind of card that an ATR, or the name of an application, belongs to (card_kinds.toml).

An ATR proves nothing. It only supplies the words for a card that has refused to be a social security card, and never
turns a card into a social security card.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter

_Pattern = Annotated[str, Field(pattern=r"^[0-9A-F.]+$")]
"""A pattern of hex digits, in which "." stands for any digit.

An ATR that a reader has built for a contactless card has TD1 as its first interface byte (PC/SC part 3 §3.1.3.2.3).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardKind:
    """A kind of card that appears at counters."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    title: str
    title_en: str
    atr: tuple[_Pattern, ...]
    names: tuple[_Pattern, ...] = ()
    ours: bool = False
    """True if cards with such an ATR may be social security cards."""
    source: str
    confidence: str


@cache
def card_kinds() -> tuple[CardKind, ...]:
    """Return all known kinds, the more specific first."""
    text = (files("cardio.filesystem") / "card_kinds.toml").read_text(encoding="utf-8")
    return TypeAdapter(tuple[CardKind, ...]).validate_python(tomllib.loads(text)["kinds"])


def kind_of_atr(atr: bytes) -> CardKind | None:
    """Return the kind that an ATR names; None if it names none."""
    digits = atr.hex().upper()
    return next((kind for kind in card_kinds() if any(_begins(digits, one) for one in kind.atr)), None)


def kind_of_name(name: bytes) -> CardKind | None:
    """Return the kind whose cards have an application of this name (AID); None if it is not known."""
    digits = name.hex().upper()
    return next((kind for kind in card_kinds() if any(_begins(digits, one) for one in kind.names)), None)


def _begins(digits: str, pattern: str) -> bool:
    return len(digits) >= len(pattern) and all(
        wanted in (".", digit) for wanted, digit in zip(pattern, digits, strict=False)
    )
