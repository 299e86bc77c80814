"""The state of ``cardio shell`` from line to line: the held card, and the place in its tree."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from cardio.cli.output import Output
from cardio.errors import CardioError, ReaderBusyError, ReaderTimeoutError, UsageError

if TYPE_CHECKING:
    from cardio.apdu.command_watch import CommandWatch
    from cardio.apdu.trace import Exchange
    from cardio.card.social_security_card import SocialSecurityCard
    from cardio.filesystem.layouts.model import Layout
    from cardio.filesystem.layouts.registry import LayoutChoice
    from cardio.readers.base import Connection, Reader
    from cardio.security.credentials import Credentials

_SESSION_SECONDS = 86_400.0
_LETTING_GO_SECONDS = 1.0

Result = TypeVar("Result")


class _Hold:
    """A held card. Another thread works with it, because PC/SC has calls that cannot be interrupted."""

    def __init__(
        self,
        reader: Reader,
        layouts: LayoutChoice,
        credentials: Credentials | None,
        show: Callable[[Exchange], None],
    ) -> None:
        self._credentials = credentials
        self.begun = False
        """True if its layout is known."""
        self._reader, self._layouts, self._show = reader, layouts, show
        self._connection: Connection | None = None
        self._card: SocialSecurityCard | None = None
        self._given_up = False
        self._busy = threading.Lock()
        from cardio.readers.policy_settings import ReaderSettings
        from cardio.readers.worker import Worker

        self._worker = Worker()
        self._command_seconds = ReaderSettings.of_this_computer().command_seconds

    def run(self, seconds: float, work: Callable[[SocialSecurityCard], Result]) -> Result:
        from cardio.apdu.command_watch import CommandWatch
        from cardio.security.outcome import reporting_outcome

        watch = CommandWatch(self._command_seconds)
        with reporting_outcome(watch):
            return self._worker.run_watched(seconds, lambda: self._work(work, watch), watch)

    def _work(self, work: Callable[[SocialSecurityCard], Result], watch: CommandWatch) -> Result:
        with self._busy:
            if self._given_up:
                raise ReaderTimeoutError()  # already released: a connection made now would stay open
            if self._connection is None:
                self._connection = self._reader.connect()
            if self._card is None:
                self._card = self._card_on(self._connection)
            self._card.watch = watch
            return work(self._card)

    def _card_on(self, connection: Connection) -> SocialSecurityCard:
        from cardio.card.social_security_card import SocialSecurityCard

        return SocialSecurityCard(
            connection,
            self._reader,
            layouts=self._layouts,
            credentials=self._credentials,
            trace=self._trace,
            seconds=_SESSION_SECONDS,
        )

    def _trace(self, exchange: Exchange) -> None:
        self._show(exchange)
        if self._given_up:
            # No caller waits for this work any more: it ends here, so that the card can be released.
            raise ReaderTimeoutError()

    def release(self) -> None:
        """Close the connection; if the card is still at work, as soon as that ends."""
        self._given_up = True
        try:
            with suppress(CardioError):
                self._worker.run_within(_LETTING_GO_SECONDS, self._close)
        finally:
            self._worker.close()

    def _close(self) -> None:
        with self._busy:
            if self._connection is not None:
                self._connection.close()


class Session:
    """The state that lasts from line to line: the held card, the place in its tree, and the display of exchanges."""

    def __init__(
        self,
        reader: Reader,
        layouts: LayoutChoice,
        output: Output,
        *,
        tracing: bool = False,
        credentials: Credentials | None = None,
    ) -> None:
        self._credentials = credentials
        self.reader, self.output, self.tracing = reader, output, tracing
        self.place = ""
        """The place: empty at the root, else ``DF03`` or ``DF03/EF07``."""
        self.layout: Layout | None = None
        """The layout of the last card: prompt and completion take their names from it."""
        self._layouts = layouts
        self._hold: _Hold | None = None

    def connect(self) -> None:
        """Hold the card that is in the reader now.

        Raises:
            ReaderBusyError: another program holds it.
            CardioError: an error of `Reader.connect`.
        """
        from cardio.card.social_security_card import OPERATION_SECONDS

        self.release()
        self._hold = _Hold(self.reader, self._layouts, self._credentials, self._show)
        try:
            self._hold.run(OPERATION_SECONDS, lambda card: None)
        except BaseException as error:  # after any error the card is not held
            self.release()
            if isinstance(error, ReaderTimeoutError):
                raise ReaderBusyError() from error
            raise

    def run_on_card(self, work: Callable[[SocialSecurityCard], Result]) -> Result:
        """Do a piece of work with the card; connect first if no card is held.

        After an error, or when a person interrupts it, the card is released: its current application is unknown.

        Raises:
            CardioError: an error of the work or of `connect`.
        """
        from cardio.card.social_security_card import WHOLE_CARD_SECONDS

        if self._hold is None:
            self.connect()
            if self.layout is not None:
                self.output.note("已重新连接读卡器中的卡", "connected again to the card that is in the reader")
        hold = self._hold
        assert hold is not None  # noqa: S101 - connect raises where there is none
        try:
            return hold.run(WHOLE_CARD_SECONDS, work)
        except UsageError:  # nothing was sent
            raise
        except BaseException:  # after any other error the current application of the card is unknown
            self.release()
            raise

    def known_layout(self) -> Layout:
        """Return the layout of the held card; if it does not have the present place, the place becomes the root."""
        if self._hold is not None and self._hold.begun and self.layout is not None:
            return self.layout
        layout = self.run_on_card(lambda card: card.layout)
        if self._hold is not None:
            self._hold.begun = True
        self.layout = layout
        ids = {application.id for application in layout.applications}
        if self.place not in ids and layout.file(self.place) is None:
            self.place = ""
        return layout

    def release(self) -> None:
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.release()

    def _show(self, exchange: Exchange) -> None:
        if self.tracing:
            self.output.note(exchange.line(with_data=self.reader.simulated))

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
