"""The last basic reading of the card in a reader, answered again while nothing says that the card has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from cardio.models.reading import NO_SAM, CardReading
from cardio.readers.policy_settings import MEMORY_SECONDS


@dataclass(frozen=True, slots=True)
class RememberedReading:
    """A reading, and what it was of."""

    reading: CardReading
    card_session: str
    day: date
    """The age, and the days until the card expires, are of this day."""
    read_at: datetime
    seconds: float
    """On the clock of `ReadingMemory`."""


class ReadingMemory:
    """One reader's; on the event loop."""

    def __init__(self, seconds: float = MEMORY_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: seconds: how long a reading is answered again; 0 for never."""
        self._limit = seconds
        self._clock = clock
        self._kept: dict[bool, RememberedReading] = {}
        self.uses = 0
        """How often the card was asked for anything."""

    def note_use(self) -> None:
        """The card is about to be asked for something, which may change it."""
        self.uses += 1
        self._kept.clear()

    def keep(self, reading: CardReading, card_session: str, *, supplement: bool, uses: int) -> None:
        """Keep a reading that has just ended, unless it is one that should be asked for again.

        Args:
            uses: `uses` when it was the latest use of the card.
        """
        if uses != self.uses or not _is_complete(reading):
            return
        self._kept[supplement] = RememberedReading(
            reading, card_session, date.today(), datetime.now(UTC), self._clock()
        )

    def find(self, card_session: str | None, *, supplement: bool) -> RememberedReading | None:
        """Return the reading of this insertion; None where the card has to be asked."""
        found = self._kept.get(supplement)
        if found is None or card_session is None or found.card_session != card_session:
            return None
        is_fresh = self._clock() - found.seconds < self._limit and found.day == date.today()
        return found if is_fresh else None


def _is_complete(reading: CardReading) -> bool:
    """Tell whether the card would say the same again: nothing failed for a reason that may pass."""
    has_faults = any(one.error is not None for one in reading.unread)
    return not has_faults and (reading.proof.is_genuine or reading.proof == NO_SAM)
