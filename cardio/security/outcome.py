"""What is said of work whose end is not known: that a try of the PIN may be spent, or the card may be changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cardio.apdu.command_watch import CommandWatch
from cardio.apdu.effect import CommandEffect
from cardio.errors import CardioError, ReaderTimeoutError
from cardio.security.errors import PinOutcomeUnknownError, WriteOutcomeUnknownError

_UNKNOWN: dict[CommandEffect, type[CardioError]] = {
    CommandEffect.PIN: PinOutcomeUnknownError,
    CommandEffect.PIN_CHANGE: PinOutcomeUnknownError,
    CommandEffect.CHANGE: WriteOutcomeUnknownError,
}
"""What is known of a debit, the journal says. A key that was right costs nothing; one that was wrong is not presented
again by itself."""


def as_outcome(error: CardioError, doubt: CommandEffect) -> CardioError:
    """The error for work that ``error`` has ended while this was in doubt: the same one where nothing is."""
    kind = _UNKNOWN.get(doubt)
    if kind is None or isinstance(error, kind):
        return error
    told = kind(f"{kind.title}：{error.detail}", f"{kind.title_en}: {error.detail_en}", hresult=error.hresult)
    told.__cause__ = error
    return told


@contextmanager
def telling_outcome(watch: CommandWatch) -> Iterator[None]:
    """Around the waiting for one piece of work: what was begun is not told by an error that asks for another try.

    Raises:
        PinOutcomeUnknownError, WriteOutcomeUnknownError: in place of such an error, and where a person interrupts.
    """
    try:
        yield
    except CardioError as error:
        outcome = as_outcome(error, watch.doubt) if error.retryable else error
        if outcome is error:
            raise
        raise outcome from error
    except KeyboardInterrupt as interrupted:
        ended = ReaderTimeoutError("操作被中断", "interrupted")
        outcome = as_outcome(ended, watch.doubt)
        if outcome is ended:
            raise
        raise outcome from interrupted
