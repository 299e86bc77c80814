"""The errors for work with an unknown outcome: a try of the PIN may be spent, or the card may be changed."""

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
"""The error for each doubtful effect. A debit is missing, because the journal knows its state. A key is missing,
because a right key costs nothing, and a wrong one is not presented again automatically.
"""


def as_outcome(error: CardioError, doubt: CommandEffect) -> CardioError:
    """Return the error for work that an error has ended while an effect was in doubt; the same error if none was.

    Args:
        error: the error that ended the work.
        doubt: the effect that was in doubt.
    """
    kind = _UNKNOWN.get(doubt)
    if kind is None or isinstance(error, kind):
        return error
    replacement = kind(f"{kind.title}：{error.detail}", f"{kind.title_en}: {error.detail_en}", hresult=error.hresult)
    replacement.__cause__ = error
    return replacement


@contextmanager
def reporting_outcome(watch: CommandWatch) -> Iterator[None]:
    """Replace an error that invites a retry if a command with an unknown outcome was sent; for a ``with`` statement.

    Args:
        watch: the watch of the work.

    Raises:
        PinOutcomeUnknownError, WriteOutcomeUnknownError: in place of such an error, and of a person's interruption.
    """
    try:
        yield
    except CardioError as error:
        outcome = as_outcome(error, watch.uncertain_effect) if error.retryable else error
        if outcome is error:
            raise
        raise outcome from error
    except KeyboardInterrupt as interrupted:
        ended = ReaderTimeoutError("操作被中断", "interrupted")
        outcome = as_outcome(ended, watch.uncertain_effect)
        if outcome is ended:
            raise
        raise outcome from interrupted
