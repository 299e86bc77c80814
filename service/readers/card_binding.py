"""What a card session stands for: one card, known by what it says of itself and not by the moment it was put in.

A reader that is looked at every few hundred milliseconds does not notice a swap between two looks (Web eID's eid-mw
#34): PC/SC tells of no removal, and the session of the last card would go to the next one.
"""

from __future__ import annotations

import threading

from cardio.errors import CardChangedError


class CardSwappedError(CardChangedError):
    """The card in the reader is another one than before, and PC/SC has not told of it."""


class CardBinding:
    """The card of one session; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._identity: bytes | None = None
        self.ours: bool | None = None
        """Whether it is a social security card; None as long as it was not asked."""

    @property
    def is_known(self) -> bool:
        """Whether the card has said who it is."""
        return self._identity is not None

    def confirm(self, identity: bytes | None) -> None:
        """Compares the card that is in with the card of this session; the first that says who it is becomes its card.

        Args:
            identity: as `SocialSecurityCard` tells it; None: the card did not say who it is.

        Raises:
            CardSwappedError: it is another card, or one that does not say whether it is the same.
        """
        with self._lock:
            if self._identity is not None and identity != self._identity:
                raise CardSwappedError()
            if identity is not None:
                self._identity, self.ours = identity, True
