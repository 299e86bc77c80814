"""A card's claims about its own kind: its version (EF05) and its algorithm (FCI), and the check that the two agree.

A claim decides how a card is asked to prove itself. It never decides that the proof is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cardio.bilingual import Bilingual
from cardio.filesystem.layouts.model import Layout

_VERSION = re.compile(r"[123](\.[0-9]{0,2})?")
"""规范版本 in the forms that cards have: 1.0, 1.00, 2.0, 2.01, 3.00 (V2.0, and dumps of real cards)."""
_COMPUTABLE = ("3DES", "SM4")
"""The algorithms that can be computed; SSF33 is not published."""


@dataclass(frozen=True, slots=True)
class CardClaims:
    """The consequences of a card's claims for its proof."""

    algorithms: tuple[str, ...]
    """The algorithms to ask the card with, one after another."""
    proves_itself: bool
    """True if a card that declines the proof fails: its generation has internal authentication, or its
    claims fit none.
    """
    fault: Bilingual | None = None
    """The reason why its claims fit no known generation."""

    @classmethod
    def of(cls, layout: Layout, spec_version: str | None, named: str | None, problem: Bilingual | None) -> CardClaims:
        """Judge a card's claims.

        Args:
            layout: the layout chosen for the card.
            spec_version: 规范版本 as it stands in EF05; None where there is none.
            named: the algorithm that the FCI names; None where it names none.
            problem: the reason why the FCI is not understood.
        """
        fault = _fault(layout, spec_version, named, problem)
        if fault is not None:
            known = [named or layout.algorithm, *_COMPUTABLE]
            return cls(tuple(dict.fromkeys(one for one in known if one in _COMPUTABLE)), True, fault)
        if named is not None:
            return cls((named,), layout.proves_itself)
        # Sources read an FCI without a marker as 3DES, but a third-generation card may use SM4 all the same.
        others = [one for one in layout.algorithms if one in _COMPUTABLE] if layout.proves_itself else []
        return cls(tuple(dict.fromkeys([layout.algorithm, *others])), layout.proves_itself)


def _fault(layout: Layout, spec_version: str | None, named: str | None, problem: Bilingual | None) -> Bilingual | None:
    if problem is not None:
        return problem
    version = (spec_version or "").strip()
    if not _VERSION.fullmatch(version):
        shown = re.sub(r"[^0-9A-Za-z.]", "?", version)[:8]
        return Bilingual(
            f"规范版本“{shown}”不属于任何一代社会保障卡",
            f"version {shown!r} is of no generation of social security cards",
        )
    if named is not None and layout.algorithms and named not in layout.algorithms:
        return Bilingual(
            f"规范版本 {version} 的卡片不使用 {named} 算法", f"cards of version {version} do not use {named}"
        )
    return None
