"""Doing something that may never come back, for at most so long."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from cardio.errors import ReaderTimeoutError

Result = TypeVar("Result")


def run_within(seconds: float, function: Callable[[], Result]) -> Result:
    """Runs a function on a thread of its own and gives its result, or raises what it raises.

    PC/SC has calls that no one can interrupt: a transmit that hangs, a transaction that is never granted.

    Raises:
        ReaderTimeoutError: it has not returned in time. Its thread goes on, and nobody waits for it any more.
    """
    outcome: queue.SimpleQueue[tuple[Result, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((function(), None))
        except BaseException as error:  # whatever it is, it belongs to the thread that waits
            outcome.put((None, error))

    threading.Thread(target=work, name="cardio-reading", daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise ReaderTimeoutError() from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]
