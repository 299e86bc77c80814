"""The record of what one piece of work has begun at the card, for threads that may have to give the work up.

A thread that waits for a card cannot know what a command that hangs will do. It can know which command that is, since
when it waits, and which commands were sent before. So it reports only a begun command as unknown, and not one that was
never sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from cardio.apdu.effect import CHANGES, CommandEffect
from cardio.errors import ReaderTimeoutError

COMMAND_SECONDS = 10.0
"""The time limit of a card for one command, in seconds. Cards that compute with RSA take six; a card that is silent for
longer hangs.
"""
_CHECKING_ERRORS = frozenset({*range(0x67, 0x70)} - {0x6C})
"""The SW1 of a command that was not carried out (ISO/IEC 7816-4:2020 §5.6). Not 6Cxx: some cards carry a command out
and then correct Le.
"""
_STATUS_WORD = 2
_VERIFICATION_FAILED = 0x63
_GRAVITY = list(CommandEffect)


def means_not_executed(sw1: int) -> bool:
    """Return True if SW1 says that the command was not carried out."""
    return sw1 in _CHECKING_ERRORS


class CommandWatch:
    """The watch of one piece of work. The card's thread calls `begin` and `end`; any thread may call all other
    methods.
    """

    def __init__(self, seconds: float = COMMAND_SECONDS, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Set up before the first command.

        Args:
            seconds: the time limit of one command.
            clock: the clock that the seconds are counted by.
        """
        self.seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._answered = threading.Condition(self._lock)
        self._abandoned = False
        self._running: CommandEffect | None = None
        self._since = 0.0
        self._limited = True
        self._unanswered: CommandEffect | None = None
        """The effect of a command that has ended without an answer."""
        self._done: CommandEffect | None = None
        """The gravest effect that the card has confirmed: something was changed or spent."""
        self._given_up = False

    # -- on the card's thread ---------------------------------------------------------------------

    def begin(self, effect: CommandEffect, *, limited: bool = True, fetches: bool = False) -> None:
        """Note that a command is about to be sent.

        Args:
            effect: the effect of the command.
            limited: it must be answered within the limit; False for a key pad, which waits for a person.
            fetches: it fetches the answer of the command before, which is useful even if it is late.

        Raises:
            ReaderTimeoutError: the work was given up: no further command is sent.
        """
        with self._lock:
            if self._given_up and not fetches:
                raise ReaderTimeoutError()
            self._running, self._since, self._limited = effect, self._clock(), limited

    def end(self, answer: bytes | None) -> None:
        """Note the end of the command.

        Args:
            answer: the card's answer; None without one.
        """
        with self._lock:
            effect, self._running = self._running, None
            self._answered.notify_all()
            if effect is None or effect is CommandEffect.NONE:
                return
            if answer is None or len(answer) < _STATUS_WORD:
                self._unanswered = effect
            elif effect in CHANGES and not means_not_executed(answer[-_STATUS_WORD]):
                self._done = effect
            elif effect is CommandEffect.PIN and answer[-_STATUS_WORD] == _VERIFICATION_FAILED:
                self._done = effect  # a try is spent, and the caller does not know it yet

    def pop_unanswered(self) -> CommandEffect:
        """Return the effect that became unknown since the last call because its answer never came; return it
        only once.
        """
        with self._lock:
            found, self._unanswered = self._unanswered, None
            return found or CommandEffect.NONE

    # -- on the threads that wait -----------------------------------------------------------------

    def give_up(self) -> CommandEffect:
        """End the work: no further command is sent. Return the `uncertain_effect` from now on."""
        with self._lock:
            self._given_up = True
            return self._uncertain_effect()

    def withdraw(self) -> CommandEffect:
        """End the work if no command was begun that spends or changes something; else let it finish.

        Return the `uncertain_effect`.
        """
        with self._lock:
            effect = self._uncertain_effect()
            if effect in (CommandEffect.NONE, CommandEffect.KEY):
                self._given_up = True
            return effect

    @property
    def uncertain_effect(self) -> CommandEffect:
        """Return the effect that the caller cannot know if the work ends here: still at the card, or done and not
        reported.
        """
        with self._lock:
            return self._uncertain_effect()

    def _uncertain_effect(self) -> CommandEffect:
        found = [one for one in (self._running, self._unanswered, self._done) if one is not None]
        return max(found, key=_GRAVITY.index, default=CommandEffect.NONE)

    @property
    def in_flight(self) -> bool:
        """Return True if a command is at the card and its answer has not come."""
        with self._lock:
            return self._running is not None

    @property
    def hangs(self) -> bool:
        """Return True if the work was given up while a command was at the card, and the card has not answered since."""
        with self._lock:
            return self._given_up and self._running is not None

    def wait_for_answer(self, seconds: float) -> bool:
        """Wait until no command is at the card.

        A slow card is waited for. A card that hangs is not, however often this is called.

        Args:
            seconds: the longest wait; it never goes beyond the command's own limit.

        Returns:
            True if the command was answered.
        """
        with self._lock:
            ends = min(self._clock() + seconds, self._since + self.seconds)
            while self._running is not None and not self._abandoned and (left := ends - self._clock()) > 0:
                self._answered.wait(left)
            return self._running is None

    @property
    def is_over_limit(self) -> bool:
        """Return True if a command has been at the card for longer than the limit; a person's entry counts too."""
        with self._lock:
            return self._running is not None and self._clock() >= self._since + self.seconds

    def abandon(self) -> None:
        """Wake the threads in `wait_for_answer`, because the process is about to end."""
        with self._lock:
            self._abandoned = True
            self._answered.notify_all()

    def seconds_to_limit(self) -> float:
        """Return the seconds until a command can be over its limit; 0 when one is."""
        with self._lock:
            if self._running is None or not self._limited:
                return self.seconds
            return max(0.0, self._since + self.seconds - self._clock())
