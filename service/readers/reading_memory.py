"""The last basic reading of the card in a reader. It is answered again while nothing says that the card has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from cardio.models.reading import NO_SAM, CardReading
from cardio.readers.policy_settings import MEMORY_SECONDS


@dataclass(frozen=True, slots=True)
class RememberedReading:
    """A reading with the card and the time that it belongs to."""

    reading: CardReading
    card_session: str
    read_at: datetime
    seconds: float
    """The time on the clock of `ReadingMemory`."""


class ReadingMemory:
    """The memory of one reader; used on the event loop."""

    def __init__(self, seconds: float = MEMORY_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        """Make an empty memory.

        Args:
            seconds: the time for which a reading is answered again; 0 for never.
            clock: the seconds of a monotonic clock.
        """
        self._limit = seconds
        self._clock = clock
        self._kept: dict[bool, RememberedReading] = {}
        self.uses = 0
        """The number of times that the card was asked for anything."""

    def note_use(self) -> None:
        """Forget the readings, because the next use of the card may change it."""
        self.uses += 1
        self._kept.clear()

    def keep(self, reading: CardReading, card_session: str, *, supplement: bool, uses: int, read_at: datetime) -> None:
        """Keep a reading that has just ended, unless the card should be asked again.

        Args:
            reading: the reading.
            card_session: the card's session.
            supplement: True if DF01 was read.
            uses: the value of `uses` during the reading. If it has changed, the card was used since.
            read_at: the moment at which the reading ended.
        """
        if uses != self.uses or not _is_complete(reading):
            return
        self._kept[supplement] = RememberedReading(reading, card_session, read_at, self._clock())

    def find(self, card_session: str | None, *, supplement: bool) -> RememberedReading | None:
        """Return the reading of this insertion; None if the card has to be asked."""
        found = self._kept.get(supplement)
        if found is None or card_session is None or found.card_session != card_session:
            return None
        # The age, and the days until the card expires, are of the day of the reading.
        is_of_today = found.read_at.astimezone().date() == date.today()
        return found if is_of_today and self._clock() - found.seconds < self._limit else None


def _is_complete(reading: CardReading) -> bool:
    """Return True if the card would answer the same again: no part failed for a reason that may pass.

    A card that does not say which one it is could be swapped for another without a sign.
    """
    names_itself = bool(reading.card.identification_code)
    has_faults = any(one.error is not None for one in reading.unread)
    return names_itself and not has_faults and (reading.proof.is_genuine or reading.proof == NO_SAM)
