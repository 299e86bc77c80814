"""The binding of a card session to one card, which is identified by its own data and not by the time of its insertion.

A reader that is polled every few hundred milliseconds does not notice a swap between two polls (Web eID's eid-mw #34).
PC/SC reports no removal, and the session of the last card would pass to the next one.
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
        """True if it is a social security card, False if not; None before it was asked."""
        self.swapped = False
        """True if another card has answered in its place, and PC/SC has not reported it."""

    def confirm(self, identity: bytes) -> None:
        """Compare the card that is in with the card of this session.

        The first card that is asked becomes the session's card.

        Args:
            identity: the result of `cardio.filesystem.card_mark.card_mark`.

        Raises:
            CardChangedError: it is another card.
        """
        with self._lock:
            if self._identity is not None and identity != self._identity:
                self.swapped = True
                raise CardChangedError()
            self._identity, self.ours = identity, True
