"""What a card session stands for: one card, known by what it says of itself and not by the moment it was put in.

A reader that is looked at every few hundred milliseconds does not notice a swap between two looks (Web eID's eid-mw
#34): PC/SC tells of no removal, and the session of the last card would go to the next one.
"""

from __future__ import annotations

import threading

from cardio.errors import CardChangedError


class CardBinding:
    """The card of one session; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._identity: bytes | None = None
        self.ours: bool | None = None
        """Whether it is a social security card; None as long as it was not asked."""
        self.swapped = False
        """Another card has answered in its place, and PC/SC has not told of it."""

    def confirm(self, identity: bytes) -> None:
        """Compares the card that is in with the card of this session; the first that is asked becomes its card.

        Args:
            identity: `cardio.filesystem.card_mark.card_mark`.

        Raises:
            CardChangedError: it is another card.
        """
        with self._lock:
            if self._identity is not None and identity != self._identity:
                self.swapped = True
                raise CardChangedError()
            self._identity, self.ours = identity, True
