"""Whether one answer was handed over to its caller: found out where it is sent, told to what depends on it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from cardio.errors import CardioError

RECEIPT = "receipt"
"""Its name in the state of a request."""


class AnswerReceipt:
    """What became of one answer; used on the event loop only. As a context manager it concludes "not handed over" at
    its end, unless it was concluded before."""

    def __init__(self) -> None:
        self._handed_over: bool | None = None
        self._listeners: list[Callable[[bool], None]] = []
        self.unknown: CardioError | None = None
        """Of a call that was cut off in the midst of something that spends or changes: what its caller is told."""

    def note_unknown(self, error: CardioError) -> None:
        """Say that the call is cut off and that it is not known what it has done."""
        self.unknown = error

    @property
    def awaited(self) -> bool:
        """True if a listener waits for it."""
        return bool(self._listeners)

    def when_known(self, listener: Callable[[bool], None]) -> None:
        """Call the listener once with whether the answer was handed over, at once if that is known."""
        if self._handed_over is None:
            self._listeners.append(listener)
        else:
            listener(self._handed_over)

    def conclude(self, *, handed_over: bool) -> None:
        """Say what became of the answer. Only the first call counts."""
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
