"""Access conditions: the rights that open a file ("PIN or RK1DF01")."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

PIN = "PIN"
FREE = "free"
NEVER = "never"


@dataclass(frozen=True, slots=True)
class AccessCondition:
    """An access condition. Any one of ``alternatives`` opens the file; each is a set of rights that must
    all be held.
    """

    alternatives: tuple[frozenset[str], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``free``, ``never``, ``RKSSSE``, ``PIN or RK1DF01``, ``PIN and RK1DF04``."""
        words = text.split()
        if words == [NEVER]:
            return cls(())
        if words == [FREE]:
            return cls((frozenset(),))
        if len(words) % 2 == 0 or not set(words[1::2]) <= {"or", "and"}:
            raise ValueError(f"not an access condition: {text!r}")
        return cls(tuple(frozenset(part.split(" and ")) for part in " ".join(words).split(" or ")))

    def allows(self, rights: Collection[str]) -> bool:
        return any(needed <= set(rights) for needed in self.alternatives)

    @property
    def free(self) -> bool:
        return self.allows(())

    @property
    def names(self) -> frozenset[str]:
        """Return every right that the condition names, keys and PIN."""
        return frozenset().union(*self.alternatives)

    def __str__(self) -> str:
        if not self.alternatives:
            return NEVER
        return " or ".join(" and ".join(sorted(needed)) or FREE for needed in self.alternatives)

    @property
    def missing_right(self) -> str:
        """Return the missing right of a closed file as a slug, for example ``needs-pin-or-key``."""
        with_pin = any(PIN in needed for needed in self.alternatives)
        with_key = any(needed - {PIN} for needed in self.alternatives)
        both = any(PIN in needed and len(needed) > 1 for needed in self.alternatives)
        if with_pin and with_key:
            return "needs-pin-and-key" if both else "needs-pin-or-key"
        return "needs-pin" if with_pin else "needs-key"
