"""How many tries of a PIN are left: asked for only where asking is known to be free, or for once to find that out.

VERIFY without data gives the count and spends nothing (ISO/IEC 7816-4 §11.6.6). Cards in the field differ: some do not
know the command in this form, and some take it for a wrong PIN. The rules here, and why, are in docs/security.en.md.
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
"""So many left, a second asking leaves at least one more than the last."""


@dataclass(frozen=True, slots=True)
class PinPolicy:
    """What a site does about PINs where the field is not of one mind."""

    unknown_count: UnknownCount = "try"
    """A PIN whose number of tries left is not known: tried, or refused without consent."""
    ask_count: bool = True
    """Cards are asked for the count, where that is not known to cost a try."""


@dataclass(frozen=True, slots=True)
class PinCount:
    """How many tries are left, and how that is known."""

    left: int | None
    """0 when blocked; None when it is not known."""
    source: Literal["told", "remembered", "unknown"]
    """``told`` by the card just now; ``remembered`` from its last answer, for asking may cost a try; or unknown."""


class TriesCounter:
    """The count of one card's PIN: asked for by the rules, and remembered."""

    def __init__(
        self, memory: CopiedMemory | VolatileMemory, policy: PinPolicy, *, family: str, identity: bytes
    ) -> None:
        self._memory = memory
        self._policy = policy
        self._family = family
        self._identity = identity
        self._restored = False
        """The PIN was right in this visit: all its tries are back."""

    @property
    def query(self) -> CountQuery:
        """Return what asking is known to cost."""
        return self._memory.query(self._family)

    def ask(self, *, once: bool = False) -> Flow[PinCount]:
        """The count. The card is asked only where that cannot spend a try that matters.

        Args: ``once``: no second time to find out what asking costs; the next card of the family is for that.
        """
        note, query = self._memory.card(self._identity), self.query
        if not self._may_ask(query, note):
            return self.remembered()
        response = yield tries_left()
        left = tries_in(response.status_word)
        if left is None:
            self._learn_without_count(query, note, response.status_word)
            return self.remembered()
        # Kept before anything else is sent: a card that is pulled now has lost no more than it said.
        self._keep(left)
        if note.left is not None and left <= note.left:
            self._compare(note.left, left)
        elif query is not CountQuery.FREE:
            left = yield from self._find_out(left, once=once and query is CountQuery.UNTRIED)
        return PinCount(left, "told")

    def remembered(self) -> PinCount:
        """Return what the card said last; nothing is sent."""
        left = self._memory.card(self._identity).left
        return PinCount(left, "unknown" if left is None else "remembered")

    def begin_try(self, left: int | None) -> None:
        """A PIN is about to be sent: should its answer never come, a try counts as spent."""
        if self.query is CountQuery.FREE:
            self._keep(None)  # the card will say
        elif left is not None:
            self._keep(max(1, left - 1))

    def told(self, left: int | None) -> None:
        """What the card answered to a PIN that was wrong; None where it gave no count."""
        self._restored = False
        if left is not None:
            self._keep(left)

    def restored(self) -> None:
        """All tries are back: the PIN was right, or the authority's key has restored them."""
        self._restored = True
        self._keep(None)

    def find_out_after_success(self) -> Flow[None]:
        """Return where it is still open whether asking is free, this is the moment: a try that it costs comes back."""
        if self._restored and self.query is CountQuery.UNDECIDED:
            yield from self.ask()

    def _keep(self, left: int | None, asking: CardQuery | None = None) -> None:
        asking = asking or self._memory.card(self._identity).asking
        self._memory.keep_card(self._identity, CardNote(left, asking))

    def _may_ask(self, query: CountQuery, note: CardNote) -> bool:
        """Return whether the card is asked. A family that was not asked before is noted as asked first, or is not
        asked.
        """
        if not self._policy.ask_count or note.asking is CardQuery.IN_VAIN:
            return False
        if note.left == 1 and note.asking is not CardQuery.FREE:
            return False  # it has said that it is at its last try, and it is not known whether asking would take that
        match query:
            case CountQuery.FREE:
                return True
            case CountQuery.UNTRIED | CountQuery.PROMISING:
                return self._memory.keep_query(self._family, CountQuery.UNDECIDED)
            case CountQuery.UNDECIDED:
                # All tries are back, or none was left: there is none that the asking could take last.
                return self._restored or note.left == 0
        return False

    def _learn_without_count(self, query: CountQuery, note: CardNote, status_word: int) -> None:
        if status_word == StatusWord.SUCCESS:
            # Verified already, or no PIN is wanted now: says nothing of the family.
            self._memory.keep_query(self._family, query)
            return
        self._keep(note.left, CardQuery.IN_VAIN)
        if status_word == VERIFICATION_FAILED:
            self._memory.keep_query(self._family, CountQuery.COSTS)
        elif query is not CountQuery.FREE:
            self._memory.keep_query(self._family, CountQuery.SILENT)

    def _compare(self, before: int, left: int) -> None:
        """What asking costs, by the count that the card gave before."""
        if left == before and left:
            self._keep(left, CardQuery.FREE)
            self._memory.keep_query(self._family, CountQuery.FREE)
        elif left < before:
            # Spent elsewhere, or by the asking: that is not known, so it is not asked again.
            self._keep(left, CardQuery.OPEN)
            self._memory.keep_query(self._family, CountQuery.UNDECIDED)

    def _find_out(self, left: int, *, once: bool) -> Flow[int]:
        """Return whether the asking has cost a try: asked again where enough are left, the count falls or stays."""
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
            # All tries were back, and a PIN has three of them at least: this one fell by the asking.
            self._memory.keep_query(self._family, CountQuery.COSTS)
        return left
