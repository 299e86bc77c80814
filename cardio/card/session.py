"""A card that is held over several calls, for a caller that asks an HSM between the steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TypeVar

from cardio.apdu.command_watch import CommandWatch
from cardio.apdu.trace import Trace
from cardio.card.social_security_card import OPERATION_SECONDS, Confirm, SocialSecurityCard
from cardio.errors import CardioError, ReaderBusyError, ReaderTimeoutError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.registry import LayoutChoice
from cardio.readers.base import Connection, Reader, closing_on_error
from cardio.readers.supervision import Supervisor
from cardio.readers.worker import Worker
from cardio.security.credentials import Credentials
from cardio.security.errors import SessionEndedError
from cardio.security.outcome import reporting_outcome

SESSION_SECONDS = 120.0
"""The greatest time for which a card may be held, in seconds; other programs wait for it meanwhile."""
KEEP_ALIVE_SECONDS = 2.0
"""The seconds between calls to the reader; Windows resets a held card after five seconds without a call."""
_ANSWER_SECONDS = 2.0
"""The time in which the reader must answer that the card is still there, in seconds."""

Result = TypeVar("Result")


class CardSession:
    """One card, held in a transaction on a thread of its own, kept alive, and released when its time is over.

    Several threads may use it: a call waits until the one before has ended.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        credentials: Credentials | None = None,
        capabilities: CapabilityCache | None = None,
        layouts: LayoutChoice | None = None,
        trace: Trace | None = None,
        seconds: float = SESSION_SECONDS,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
        supervisor: Supervisor | None = None,
        confirm: Confirm | None = None,
        watch: CommandWatch | None = None,
        may_present: bool = True,
    ) -> None:
        """Connect and hold the card.

        Args:
            reader: the reader with the card.
            credentials: a SAM and a PIN.
            capabilities: the store of learnt capabilities.
            layouts: the layouts to choose from.
            trace: receives every exchange with the card.
            seconds: the greatest time for which the card is held.
            keep_alive_seconds: the time between two calls to the reader.
            supervisor: called when keeping the card alive fails in an unexpected way.
            confirm: called with the mark of the card; an error that it raises ends the work.
            watch: as in `run`, for the commands of connecting.
            may_present: False for a caller without credentials that presents nothing itself: then the card is not
                asked for its algorithm, and a closed file is reported with the card's own answer.

        Raises:
            ReaderBusyError: another program did not release the card in time.
            CardioError: an error of `Reader.connect`.
        """
        supervisor = supervisor or Supervisor()
        self._worker = Worker(supervisor)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._until = time.monotonic() + seconds
        self.ended_by: CardioError | None = None
        """The error with which the card was lost while no call was running."""
        self._keep_alive_seconds = keep_alive_seconds

        granted: list[Connection] = []

        def connect() -> tuple[Connection, SocialSecurityCard]:
            connection = reader.connect()
            granted.append(connection)
            with closing_on_error(connection):
                return connection, SocialSecurityCard(
                    connection,
                    reader,
                    capabilities=capabilities,
                    layouts=layouts,
                    # With credentials, even empty ones, the card is asked for its algorithm.
                    credentials=credentials or (Credentials() if may_present else None),
                    trace=trace,
                    seconds=seconds,
                    confirm=confirm,
                    watch=watch,
                )

        try:
            self._connection, self._card = self._worker.run_watched(
                OPERATION_SECONDS,
                connect,
                watch,
                # The card may be granted after the timeout. Then close it: no caller is waiting.
                if_given_up=lambda: granted[0].close() if granted else None,
            )
        except ReaderTimeoutError as error:
            raise ReaderBusyError() from error
        except BaseException:  # whatever the error is, no thread stays
            self._worker.close()
            raise
        self._keeper = threading.Thread(
            target=supervisor.keep_thread,
            args=("card-session", self._keep, self._ended),
            name="cardio-session",
            daemon=True,
        )
        self._keeper.start()

    def run(
        self,
        work: Callable[[SocialSecurityCard], Result],
        *,
        seconds: float = OPERATION_SECONDS,
        watch: CommandWatch | None = None,
    ) -> Result:
        """Do a piece of work with the held card.

        Args:
            work: the work; its result is returned.
            seconds: the time limit of the work.
            watch: limits each command, and shows other threads which command was sent.

        Raises:
            SessionEndedError: its time is over, it was closed, or the card was lost in an earlier call.
            PinOutcomeUnknownError, WriteOutcomeUnknownError: the work ended while it is not known what the card has
                done.
            CardioError: an error of the work. After a loss of the card the session has ended.
        """
        watch = watch or CommandWatch()

        def watched() -> Result:
            self._card.watch = watch
            return work(self._card)

        with reporting_outcome(watch), self._lock:
            left = self._until - time.monotonic()
            if self._ended.is_set() or left <= 0:
                raise SessionEndedError()
            try:
                return self._worker.run_watched(min(seconds, left), watched, watch, if_given_up=self._close_quietly)
            except BaseException as error:  # an interruption by a person too
                if not self._worker.has_thread:
                    self._ended.set()  # the thread that hangs releases the card when it returns
                elif isinstance(error, CardioError) and _has_lost_the_card(error):
                    self._end()
                raise

    def abandon(self) -> None:
        """Wake every caller that waits in `run`, because the process is about to end. Any thread may call this."""
        self._worker.abandon()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def close(self) -> None:
        """Release the card; a second call does nothing."""
        with self._lock:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self) -> None:
        while not self._ended.wait(self._keep_alive_seconds):
            with self._lock:
                if self._ended.is_set():
                    return
                try:
                    if time.monotonic() >= self._until:
                        raise SessionEndedError()
                    self._worker.run_within(
                        _ANSWER_SECONDS, self._connection.keep_alive, if_given_up=self._close_quietly
                    )
                except CardioError as error:
                    # The card was removed, or its time is over: the next call reports it.
                    self.ended_by = error
                    if self._worker.has_thread:
                        self._end()
                    self._ended.set()

    def _end(self) -> None:
        if not self._ended.is_set():
            self._ended.set()
            try:
                with suppress(ReaderTimeoutError):
                    self._worker.run_within(OPERATION_SECONDS, self._close_quietly)
            finally:
                self._worker.close()

    def _close_quietly(self) -> None:
        with suppress(CardioError):  # the card may be lost already
            self._card.close()


_LOST = frozenset(
    {
        "card-removed",
        "card-reset",
        "reader-gone",
        "reader-timeout",
        "pcsc-unavailable",
        "pcsc-not-installed",
        "card-mute",
    }
)
"""The errors after which the card is not held any more."""


def _has_lost_the_card(error: CardioError) -> bool:
    """Return True if the card is not held any more. An error of unknown outcome has its reason as its cause."""
    causes = (error, error.__cause__)
    return any(isinstance(one, CardioError) and one.code in _LOST for one in causes)
