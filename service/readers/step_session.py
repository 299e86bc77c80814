"""A card that is held for one caller between the steps of a driver function, while the caller asks its HSM."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from cardio.apdu.command_watch import CommandWatch
from cardio.card.session import CardSession
from cardio.card.social_security_card import Confirm
from cardio.driver.hsm_steps import HsmSteps
from cardio.errors import CardChangedError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.registry import LayoutChoice
from cardio.readers.base import Reader
from cardio.readers.supervision import Supervisor
from cardio.security.credentials import Credentials
from cardio.security.errors import StepError
from service.readers.errors import HeldError

HOLD_SECONDS = 60.0
"""The time for which a card is held for the next step, and for all steps together."""

Result = TypeVar("Result")


class StepSession:
    """The card that is held at one reader. `open`, `run`, `end` and `end_for` run on the reader's thread."""

    def __init__(
        self,
        reader: Reader,
        capabilities: CapabilityCache,
        layouts: LayoutChoice,
        before: StepSession | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        """Prepare a session that holds no card yet.

        Args:
            reader: the reader.
            capabilities: the cache of what was learned about card families.
            layouts: the choice of card layouts.
            before: the session of the last card, which is released.
            supervisor: the supervisor of threads.
        """
        self._reader = reader
        self._capabilities = capabilities
        self._layouts = layouts
        self._session: CardSession | None = None
        self._steps: HsmSteps | None = None
        self._ends = 0.0
        self._over = False
        self._lock = threading.RLock()
        self.owner: str | None = None
        self._supervisor = supervisor or Supervisor()
        if before is not None:
            threading.Thread(target=self._finish, args=(before,), name="cardio-let-go", daemon=True).start()

    def _finish(self, before: StepSession) -> None:
        with self._supervisor.guard("card-let-go"):
            before.finish()

    def check(self, grant: str) -> None:
        """Check that the card is not held for another caller.

        Raises:
            HeldError: the card is held for another caller, whose time is not over.
        """
        if self.owner not in (None, grant) and time.monotonic() < self._ends:
            raise HeldError()

    def open(
        self,
        grant: str,
        credentials: Credentials,
        confirm: Confirm | None = None,
        watch: CommandWatch | None = None,
    ) -> None:
        """Connect to the card and hold it for a caller.

        Args:
            grant: the caller's grant.
            credentials: the credentials of the first step.
            confirm: checks the identity of the card; its errors are passed on.
            watch: the watch over the commands.

        Raises:
            CardioError: the errors of `CardSession`, or of ``confirm``.
            CardChangedError: the card was removed during the connection.
        """
        self.end()
        session = CardSession(
            self._reader, credentials=credentials, capabilities=self._capabilities, layouts=self._layouts,
            seconds=HOLD_SECONDS,
            supervisor=self._supervisor, confirm=confirm, watch=watch,
        )  # fmt: skip
        try:
            steps = session.run(HsmSteps, watch=watch)
        except BaseException:  # after any error the card is not held
            session.close()
            raise
        with self._lock:
            if not self._over:
                self._session, self._steps, self.owner = session, steps, grant
                self._ends = time.monotonic() + HOLD_SECONDS
                return
        session.close()  # the card was swapped during the connection: do not hold the old one
        raise CardChangedError()

    def run(self, grant: str, work: Callable[[HsmSteps], Result], watch: CommandWatch | None = None) -> Result:
        """Run one step with the card that is held.

        Raises:
            StepError: no card is held for this caller.
            CardioError: the errors of the work.
        """
        session, steps = self._session, self._steps
        if session is None or steps is None or self.owner != grant:
            raise StepError()
        return session.run(lambda card: work(steps), watch=watch)

    def abandon(self) -> None:
        """End a step that waits for a slow card, because the service ends. From any thread."""
        session = self._session
        if session is not None:
            session.abandon()

    def finish(self) -> None:
        """End the session for good, because the card has gone."""
        with self._lock:
            self._over = True
        self.end()

    @property
    def awaits_step(self) -> bool:
        return self._steps is not None and self._steps.awaits_step

    def end_for(self, grant: str) -> None:
        """Release the card if it is held for this caller."""
        if self.owner == grant:
            self.end()

    def end(self) -> None:
        """Release the card; without one nothing happens."""
        with self._lock:
            session, self._session, self._steps, self.owner = self._session, None, None, None
        if session is not None:
            session.close()
