"""The receipt of one answer: it tells its listeners whether the answer was handed over to the caller."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from cardio.errors import CardioError

RECEIPT = "receipt"
"""The key of the receipt in a request's state."""


class AnswerReceipt:
    """The receipt of one answer; used on the event loop only.

    At the end of its context it concludes "not handed over", unless it was concluded before.
    """

    def __init__(self) -> None:
        self._handed_over: bool | None = None
        self._listeners: list[Callable[[bool], None]] = []
        self.unknown: CardioError | None = None
        """The error for the caller of a call that was cut off while it spent or changed something."""

    def note_unknown(self, error: CardioError) -> None:
        """Note that the call is cut off and that its effect is not known."""
        self.unknown = error

    @property
    def awaited(self) -> bool:
        """Return True if a listener waits for the receipt."""
        return bool(self._listeners)

    def on_conclusion(self, listener: Callable[[bool], None]) -> None:
        """Call the listener once with True if the answer was handed over, else with False; at once if that is known."""
        if self._handed_over is None:
            self._listeners.append(listener)
        else:
            listener(self._handed_over)

    def conclude(self, *, handed_over: bool) -> None:
        """Conclude the receipt and tell its listeners. Only the first call counts."""
        if self._handed_over is not None:
            return
        self._handed_over = handed_over
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener(handed_over)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.conclude(handed_over=False)
