"""The interface of every software card."""

from __future__ import annotations

from typing import Protocol


class AnyCard(Protocol):
    """A card that can be put into a software reader: a software card, or one with a fault."""

    @property
    def atr(self) -> bytes: ...

    def reset(self) -> None: ...

    def transmit(self, command: bytes) -> bytes: ...
