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
"""How long a card is held for the next step, and all steps together."""

Result = TypeVar("Result")


class StepSession:
    """What is held at one desk. `begin`, `do`, `end` and `end_for` run on the desk's thread."""

    def __init__(
        self,
        reader: Reader,
        manners: CapabilityCache,
        layouts: LayoutChoice,
        before: StepSession | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        """Args: ``before`` was held with the last card, and is let go."""
        self._reader = reader
        self._manners = manners
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
        """Raises: HeldError: the card is held for somebody else, whose time is not over."""
        if self.owner not in (None, grant) and time.monotonic() < self._ends:
            raise HeldError()

    def begin(
        self,
        grant: str,
        credentials: Credentials,
        confirm: Confirm | None = None,
        watch: CommandWatch | None = None,
    ) -> None:
        """Connects to the card and holds it. Raises: CardioError: as `CardSession`; what ``confirm`` raises."""
        self.end()
        session = CardSession(
            self._reader, credentials=credentials, manners=self._manners, layouts=self._layouts, seconds=HOLD_SECONDS,
            supervisor=self._supervisor, confirm=confirm, watch=watch,
        )  # fmt: skip
        try:
            steps = session.do(HsmSteps, watch=watch)
        except BaseException:  # whatever it is, the card is not held for anybody
            session.close()
            raise
        with self._lock:
            if not self._over:
                self._session, self._steps, self.owner = session, steps, grant
                self._ends = time.monotonic() + HOLD_SECONDS
                return
        session.close()  # the card was swapped while we connected: this one is not held for anybody
        raise CardChangedError()

    def do(self, grant: str, work: Callable[[HsmSteps], Result], watch: CommandWatch | None = None) -> Result:
        """Raises: StepError: nothing is held for this caller. CardioError: as the work says."""
        session, steps = self._session, self._steps
        if session is None or steps is None or self.owner != grant:
            raise StepError()
        return session.do(lambda card: work(steps), watch=watch)

    def abandon(self) -> None:
        """Has the step that waits for a slow card end now: the service ends. From any thread."""
        session = self._session
        if session is not None:
            session.abandon()

    def finish(self) -> None:
        """For good: the card has gone."""
        with self._lock:
            self._over = True
        self.end()

    @property
    def waits_for_a_step(self) -> bool:
        return self._steps is not None and self._steps.waits

    def end_for(self, grant: str) -> None:
        """Lets the card go if it is held for this caller."""
        if self.owner == grant:
            self.end()

    def end(self) -> None:
        """Lets the card go; without one nothing happens."""
        with self._lock:
            session, self._session, self._steps, self.owner = self._session, None, None, None
        if session is not None:
            session.close()
