"""The number of tries that are left of a PIN. The card is asked only where asking is free, or once to find that out.

VERIFY without data returns the count and spends nothing (ISO/IEC 7816-4 §11.6.6). Cards in the field differ: some do
not know the command in this form, and some treat it as a wrong PIN. The rules, and their reasons, are in
docs/security.en.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cardio.apdu.channel import Flow
from cardio.apdu.status_word import StatusWord, tries_in
from cardio.security.pin.memory import CardNote, CardQuery, CopiedMemory, CountQuery, VolatileMemory
from cardio.security.pin.pin import tries_left

UnknownCount = Literal["try", "refuse"]
VERIFICATION_FAILED = 0x6300
_SURELY_NOT_LAST = 3
"""The least count at which a second question still leaves more than the last try."""


@dataclass(frozen=True, slots=True)
class PinPolicy:
    """The site's rules for PINs where cards in the field differ."""

    unknown_count: UnknownCount = "try"
    """The rule for a PIN with an unknown number of tries: try it, or refuse without consent."""
    ask_count: bool = True
    """True if cards are asked for the count, where that is not known to cost a try."""


@dataclass(frozen=True, slots=True)
class PinCount:
    """The number of tries that are left, and its source."""

    left: int | None
    """0 when blocked; None when it is not known."""
    source: Literal["told", "remembered", "unknown"]
    """``told``: the card has just answered it. ``remembered``: its last answer, because asking may cost a try. Or
    ``unknown``.
    """


class TriesCounter:
    """The count of one card's PIN: requested by the rules, and remembered."""

    def __init__(
        self, memory: CopiedMemory | VolatileMemory, policy: PinPolicy, *, family: str, identity: bytes
    ) -> None:
        self._memory = memory
        self._policy = policy
        self._family = family
        self._identity = identity
        self._restored = False
        """True if the PIN was right while the card was held, so that all its tries are restored."""

    @property
    def query(self) -> CountQuery:
        """Return the known cost of asking the family's cards."""
        return self._memory.query(self._family)

    def ask(self, *, once: bool = False) -> Flow[PinCount]:
        """Return the count. The card is asked only where that cannot spend a try that matters.

        Args:
            once: do not ask a second time to find out the cost; the next card of the family is asked twice.
        """
        note, query = self._memory.card(self._identity), self.query
        if not self._may_ask(query, note):
            return self.remembered()
        response = yield tries_left()
        left = tries_in(response.status_word)
        if left is None:
            self._learn_without_count(query, note, response.status_word)
            return self.remembered()
        # Saved before anything else is sent: if the card is removed now, its last count is known.
        self._keep(left)
        if note.left is not None and left <= note.left:
            self._compare(note.left, left)
        elif query is not CountQuery.FREE:
            left = yield from self._find_out(left, once=once and query is CountQuery.UNTRIED)
        return PinCount(left, "told")

    def remembered(self) -> PinCount:
        """Return the last count that the card gave; send nothing."""
        left = self._memory.card(self._identity).left
        return PinCount(left, "unknown" if left is None else "remembered")

    def begin_try(self, left: int | None) -> None:
        """Note that a PIN is about to be sent: if its answer never comes, a try counts as spent."""
        if self.query is CountQuery.FREE:
            self._keep(None)  # the card will give the count
        elif left is not None:
            self._keep(max(1, left - 1))

    def note_answer(self, left: int | None) -> None:
        """Note the card's answer to a wrong PIN.

        Args:
            left: the number of tries; None if the card gave none.
        """
        self._restored = False
        if left is not None:
            self._keep(left)

    def restored(self) -> None:
        """Note that all tries are restored: the PIN was right, or the authority's key has restored them."""
        self._restored = True
        self._keep(None)

    def probe_after_success(self) -> Flow[None]:
        """Ask for the count once more if it is still open whether that is free: a try that it costs now is restored."""
        if self._restored and self.query is CountQuery.UNDECIDED:
            yield from self.ask()

    def _keep(self, left: int | None, asking: CardQuery | None = None) -> None:
        asking = asking or self._memory.card(self._identity).asking
        self._memory.keep_card(self._identity, CardNote(left, asking))

    def _may_ask(self, query: CountQuery, note: CardNote) -> bool:
        """Return True if the card is asked.

        A family that was not asked before is first noted as asked. If that cannot be noted, the card is not asked.
        """
        if not self._policy.ask_count or note.asking is CardQuery.IN_VAIN:
            return False
        if note.left == 1 and note.asking is not CardQuery.FREE:
            return False  # the card is at its last try, and asking may spend it
        match query:
            case CountQuery.FREE:
                return True
            case CountQuery.UNTRIED | CountQuery.PROMISING:
                return self._memory.keep_query(self._family, CountQuery.UNDECIDED)
            case CountQuery.UNDECIDED:
                # All tries are restored, or none was left: asking cannot spend the last one.
                return self._restored or note.left == 0
        return False

    def _learn_without_count(self, query: CountQuery, note: CardNote, status_word: int) -> None:
        if status_word == StatusWord.SUCCESS:
            # Verified already, or no PIN is wanted now: this shows nothing about the family.
            self._memory.keep_query(self._family, query)
            return
        self._keep(note.left, CardQuery.IN_VAIN)
        if status_word == VERIFICATION_FAILED:
            self._memory.keep_query(self._family, CountQuery.COSTS)
        elif query is not CountQuery.FREE:
            self._memory.keep_query(self._family, CountQuery.SILENT)

    def _compare(self, before: int, left: int) -> None:
        """Learn the cost of asking, from the count that the card gave before."""
        if left == before and left:
            self._keep(left, CardQuery.FREE)
            self._memory.keep_query(self._family, CountQuery.FREE)
        elif left < before:
            # Spent elsewhere, or by the question: that is unknown, so the card is not asked again.
            self._keep(left, CardQuery.OPEN)
            self._memory.keep_query(self._family, CountQuery.UNDECIDED)

    def _find_out(self, left: int, *, once: bool) -> Flow[int]:
        """Find out if the question has cost a try, and return the count. If enough tries are left, the card is asked
        again.
        """
        if left >= _SURELY_NOT_LAST:
            if once:
                self._memory.keep_query(self._family, CountQuery.PROMISING)
                return left
            response = yield tries_left()
            again = tries_in(response.status_word)
            if again is None:
                return left
            self._keep(again, CardQuery.FREE if again == left else CardQuery.OPEN)
            self._memory.keep_query(self._family, CountQuery.FREE if again == left else CountQuery.COSTS)
            return again
        if self._restored and left:
            # All tries had been restored, and a PIN has at least three: the question has spent the missing one.
            self._memory.keep_query(self._family, CountQuery.COSTS)
        return left
