"""The state of ``cardio shell`` from line to line: the held card, and the place in its tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from cardio.cli.output import Output
from cardio.errors import UsageError

if TYPE_CHECKING:
    from cardio.apdu.command_watch import CommandWatch
    from cardio.apdu.trace import Exchange
    from cardio.card.session import CardSession
    from cardio.card.social_security_card import SocialSecurityCard
    from cardio.filesystem.layouts.model import Layout
    from cardio.filesystem.layouts.registry import LayoutChoice
    from cardio.readers.base import Reader
    from cardio.security.credentials import Credentials

_HELD_SECONDS = 86_400.0
"""The greatest time for which a shell holds a card: a day."""

Result = TypeVar("Result")


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
        self._held: CardSession | None = None
        self._begun = False
        """True if the layout of the held card is known."""

    def connect(self) -> None:
        """Hold the card that is in the reader now.

        Raises:
            ReaderBusyError: another program holds it.
            CardioError: an error of `Reader.connect`.
        """
        from cardio.card.session import CardSession

        self.release()
        self._held = CardSession(
            self.reader, layouts=self._layouts, credentials=self._credentials, trace=self._show, seconds=_HELD_SECONDS,
            watch=self._new_watch(), may_present=False,
        )  # fmt: skip

    def run_on_card(self, work: Callable[[SocialSecurityCard], Result]) -> Result:
        """Do a piece of work with the card; connect first if no card is held.

        After an error, or when a person interrupts it, the card is released: its current application is unknown.

        Raises:
            CardioError: an error of the work or of `connect`.
        """
        from cardio.card.social_security_card import WHOLE_CARD_SECONDS

        if self._held is None:
            self.connect()
            if self.layout is not None:
                self.output.note("已重新连接读卡器中的卡", "connected again to the card that is in the reader")
        held = self._held
        assert held is not None  # noqa: S101 - connect raises where there is none
        try:
            if held.ended_by is not None:
                raise held.ended_by
            return held.run(work, seconds=WHOLE_CARD_SECONDS, watch=self._new_watch())
        except UsageError:  # nothing was sent
            raise
        except BaseException:  # after any other error the current application of the card is unknown
            self.release()
            raise

    def known_layout(self) -> Layout:
        """Return the layout of the held card; if it does not have the present place, the place becomes the root."""
        if self._held is not None and self._begun and self.layout is not None:
            return self.layout
        layout = self.run_on_card(lambda card: card.layout)
        self._begun = True
        self.layout = layout
        ids = {application.id for application in layout.applications}
        if self.place not in ids and layout.file(self.place) is None:
            self.place = ""
        return layout

    def release(self) -> None:
        held, self._held, self._begun = self._held, None, False
        if held is not None:
            held.close()

    @staticmethod
    def _new_watch() -> CommandWatch:
        from cardio.apdu.command_watch import CommandWatch
        from cardio.readers.policy_settings import ReaderSettings

        return CommandWatch(ReaderSettings.of_this_computer().command_seconds)

    def _show(self, exchange: Exchange) -> None:
        if self.tracing:
            self.output.note(exchange.line(with_data=self.reader.simulated))

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
