"""The record of what one piece of work has begun at the card, for threads that may have to give the work up.

A thread that waits for a card cannot know what a command that hangs will do. It can know which command that is, since
when it waits, and what was done before: then what is not known is called so, and what was never sent is not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from cardio.apdu.effect import CHANGES, CommandEffect
from cardio.errors import ReaderTimeoutError

COMMAND_SECONDS = 10.0
"""How long a card may take for one command. Cards that compute with RSA take six; a longer silence is a card that
hangs."""
_CHECKING_ERRORS = frozenset({*range(0x67, 0x70)} - {0x6C})
"""SW1 of a command that was not carried out (ISO/IEC 7816-4:2020 §5.6). Not 6Cxx: some cards carry a command out and
then correct Le."""
_STATUS_WORD = 2
_VERIFICATION_FAILED = 0x63
_GRAVITY = list(CommandEffect)


def says_not_carried_out(sw1: int) -> bool:
    """Tell whether SW1 says that the command was not carried out."""
    return sw1 in _CHECKING_ERRORS


class CommandWatch:
    """One piece of work. The card's thread calls `begin` and `end`; all other methods may be called from any thread."""

    def __init__(self, seconds: float = COMMAND_SECONDS, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: ``seconds`` is the limit of one command."""
        self.seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._answered = threading.Condition(self._lock)
        self._abandoned = False
        self._running: CommandEffect | None = None
        self._since = 0.0
        self._limited = True
        self._unanswered: CommandEffect | None = None
        """Of a command that has ended without an answer."""
        self._done: CommandEffect | None = None
        """The gravest effect that the card has confirmed: something was changed or spent."""
        self._given_up = False

    # -- on the card's thread ---------------------------------------------------------------------

    def begin(self, effect: CommandEffect, *, limited: bool = True, fetches: bool = False) -> None:
        """Note that a command is about to be sent.

        Args:
            limited: it has to be answered within the limit; a key pad waits for a person.
            fetches: it fetches the answer of the command before, which is worth having even late.

        Raises:
            ReaderTimeoutError: the work was given up: nothing more is sent.
        """
        with self._lock:
            if self._given_up and not fetches:
                raise ReaderTimeoutError()
            self._running, self._since, self._limited = effect, self._clock(), limited

    def end(self, answer: bytes | None) -> None:
        """Note how the command has ended: with what the card answered, or with none."""
        with self._lock:
            effect, self._running = self._running, None
            self._answered.notify_all()
            if effect is None or effect is CommandEffect.NONE:
                return
            if answer is None or len(answer) < _STATUS_WORD:
                self._unanswered = effect
            elif effect in CHANGES and not says_not_carried_out(answer[-_STATUS_WORD]):
                self._done = effect
            elif effect is CommandEffect.PIN and answer[-_STATUS_WORD] == _VERIFICATION_FAILED:
                self._done = effect  # a try is spent, and the caller has not heard of it yet

    def take_unanswered(self) -> CommandEffect:
        """Return what became unknown since the last call, for its answer never came; it is told once."""
        with self._lock:
            found, self._unanswered = self._unanswered, None
            return found or CommandEffect.NONE

    # -- on the threads that wait -----------------------------------------------------------------

    def give_up(self) -> CommandEffect:
        """End the work: no further command is sent. Gives what is not known from now on, as `doubt`."""
        with self._lock:
            self._given_up = True
            return self._doubt()

    def withdraw(self) -> CommandEffect:
        """End the work if nothing was begun that spends or changes; else let it come to its end. Gives `doubt`."""
        with self._lock:
            doubt = self._doubt()
            if doubt in (CommandEffect.NONE, CommandEffect.KEY):
                self._given_up = True
            return doubt

    @property
    def doubt(self) -> CommandEffect:
        """Return what the caller cannot know if the work ends here: at the card, or changed and not yet told."""
        with self._lock:
            return self._doubt()

    def _doubt(self) -> CommandEffect:
        found = [one for one in (self._running, self._unanswered, self._done) if one is not None]
        return max(found, key=_GRAVITY.index, default=CommandEffect.NONE)

    @property
    def in_flight(self) -> bool:
        """Tell whether a command is at the card and its answer has not come."""
        with self._lock:
            return self._running is not None

    @property
    def hangs(self) -> bool:
        """Tell whether the work was given up while a command was at the card that has not answered since."""
        with self._lock:
            return self._given_up and self._running is not None

    def wait_for_answer(self, seconds: float) -> bool:
        """Wait until no command is at the card, for so long at most, and never beyond the command's own limit.

        A card that is merely slow is waited for, and one that hangs is not, however often this is called.

        Returns:
            Whether it was answered.
        """
        with self._lock:
            ends = min(self._clock() + seconds, self._since + self.seconds)
            while self._running is not None and not self._abandoned and (left := ends - self._clock()) > 0:
                self._answered.wait(left)
            return self._running is None

    @property
    def is_over_limit(self) -> bool:
        """Tell whether a command has been at the card for longer than a card may take; a person's entry too."""
        with self._lock:
            return self._running is not None and self._clock() >= self._since + self.seconds

    def abandon(self) -> None:
        """Have the threads in `wait_for_answer` go on: the process is about to end."""
        with self._lock:
            self._abandoned = True
            self._answered.notify_all()

    def seconds_to_limit(self) -> float:
        """Return how long until a command can be over its limit; 0 when one is."""
        with self._lock:
            if self._running is None or not self._limited:
                return self.seconds
            return max(0.0, self._since + self.seconds - self._clock())
